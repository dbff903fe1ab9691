//! The canonical form: a serde format with exactly one text for every value.
//!
//! Every value opens with a tag, and is either of fixed length, led by its length, or closed by
//! [`tag::END`], which opens no value. No value is therefore the beginning of another one, and a
//! list of values can be cut in one way only.

mod compound;

use std::fmt::{self, Display, Write};
use std::ops::Range;

use serde::ser::{self, Serialize, Serializer};

use compound::{Elements, Entries};

/// How deep values may be nested, counting every sequence, map, struct, variant with content,
/// newtype and `Some`.
///
/// Low enough for the stack of a worker thread in a debug build, where each level costs several
/// frames of the caller's own code.
pub(super) const MAX_DEPTH: usize = 128;

/// What opens a value. The numbers are part of algorithm version 1 and never change.
mod tag {
    pub(super) const UNIT: u8 = b'0';
    pub(super) const FALSE: u8 = b'F';
    pub(super) const TRUE: u8 = b'T';
    /// A number of bytes, and as many bytes of the magnitude, the highest (not zero) first.
    pub(super) const INTEGER: u8 = b'+';
    pub(super) const NEGATIVE_INTEGER: u8 = b'-';
    /// The eight bytes of an IEEE 754 double, the highest first.
    pub(super) const FLOAT: u8 = b'f';
    /// A length in LEB128, and as many bytes. Variants carry their name the same way.
    pub(super) const STRING: u8 = b's';
    pub(super) const BYTES: u8 = b'b';
    pub(super) const NONE: u8 = b'N';
    /// Then the value.
    pub(super) const SOME: u8 = b'S';
    /// Then the elements and `END`.
    pub(super) const SEQUENCE: u8 = b'[';
    /// Then keys and values in turn, ordered by their bytes, and `END`.
    pub(super) const MAP: u8 = b'{';
    pub(super) const UNIT_VARIANT: u8 = b'u';
    /// Then the name and the value.
    pub(super) const NEWTYPE_VARIANT: u8 = b'n';
    /// Then the name and the content, as in a sequence.
    pub(super) const TUPLE_VARIANT: u8 = b't';
    /// Then the name and the content, as in a map.
    pub(super) const STRUCT_VARIANT: u8 = b'm';
    pub(super) const END: u8 = b'.';
}

/// All NaNs are one value: which one an operation gives differs between processors.
const NAN: u64 = 0x7ff8_0000_0000_0000;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
pub(super) enum CanonicalError {
    /// Its `Serialize` says so.
    #[error("{0}")]
    Custom(String),
    /// It is nested deeper than [`MAX_DEPTH`], or contains itself.
    #[error("the value is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

impl ser::Error for CanonicalError {
    fn custom<T: Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

/// Whether `value`, written as JSON, reads back as itself where `null` is concerned: JSON has no
/// other word for `Some(())`, `Some(None)`, NaN and the infinities.
pub(crate) fn survives_null<T: Serialize + ?Sized>(value: &T) -> bool {
    let mut canonical = Canonical::new();
    canonical.nest(value).is_ok() && !canonical.null_in_json
}

/// Writes values in their canonical form, one after the other.
pub(super) struct Canonical {
    bytes: Vec<u8>,
    depth: usize,
    /// The finished entries of every open map: the innermost map's are the last.
    entries: Vec<Range<usize>>,
    /// Where entries are put in order.
    sorted: Vec<u8>,
    /// Whether JSON would write `null` for something that is not nothing.
    null_in_json: bool,
}

impl Canonical {
    pub(super) fn new() -> Self {
        // Room for an ordinary list of arguments: growing costs more than what is not used.
        let bytes = Vec::with_capacity(256);
        Self { bytes, depth: 0, entries: Vec::new(), sorted: Vec::new(), null_in_json: false }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn open_sequence(&mut self) {
        self.bytes.push(tag::SEQUENCE);
    }

    pub(super) fn close(&mut self) {
        self.bytes.push(tag::END);
    }

    /// Appends a value that stands inside another one.
    ///
    /// A value that fails leaves nothing behind, even where the `Serialize` around it carries on.
    pub(super) fn nest<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        if self.depth == MAX_DEPTH {
            return Err(CanonicalError::TooDeep);
        }
        let (length, entries) = (self.bytes.len(), self.entries.len());
        self.depth += 1;
        let result = value.serialize(&mut *self);
        self.depth -= 1;
        if result.is_err() {
            self.bytes.truncate(length);
            self.entries.truncate(entries);
        }
        result
    }

    fn push_integer(&mut self, tag: u8, magnitude: u128) {
        let bytes = magnitude.to_be_bytes();
        let zeros = magnitude.leading_zeros() as usize / 8;
        self.bytes.extend_from_slice(&[tag, (bytes.len() - zeros) as u8]);
        self.bytes.extend_from_slice(&bytes[zeros..]);
    }

    fn push_text(&mut self, tag: u8, text: &[u8]) {
        self.bytes.push(tag);
        self.push_length(text.len());
        self.bytes.extend_from_slice(text);
    }

    fn push_length(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.bytes.push(length as u8);
    }

    /// Puts the entries of a map in order; they fill the buffer from `start` to its end.
    ///
    /// No key is the beginning of another one, so comparing whole entries compares keys first, and
    /// values where keys are equal.
    fn sort_entries(&mut self, start: usize, first_entry: usize) {
        let Self { bytes, entries, sorted, .. } = self;
        let order = &mut entries[first_entry..];
        if !order.is_sorted_by(|a, b| bytes[a.clone()] <= bytes[b.clone()]) {
            order.sort_unstable_by(|a, b| bytes[a.clone()].cmp(&bytes[b.clone()]));
            sorted.clear();
            sorted.reserve(bytes.len() - start);
            for entry in &*order {
                sorted.extend_from_slice(&bytes[entry.clone()]);
            }
            bytes.truncate(start);
            bytes.extend_from_slice(sorted);
        }
        entries.truncate(first_entry);
    }
}

/// Lets `Display` write into the buffer.
impl Write for Canonical {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A number of any width is written as the widest of its sort, which holds it exactly.
macro_rules! widen {
    ($($narrow:ident($number:ty) => $wide:ident,)*) => {$(
        fn $narrow(self, value: $number) -> Result<(), CanonicalError> {
            self.$wide(value.into())
        }
    )*};
}

impl<'a> Serializer for &'a mut Canonical {
    type Ok = ();
    type Error = CanonicalError;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Elements<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Entries<'a>;
    type SerializeStructVariant = Entries<'a>;

    widen! {
        serialize_i8(i8) => serialize_i128,
        serialize_i16(i16) => serialize_i128,
        serialize_i32(i32) => serialize_i128,
        serialize_i64(i64) => serialize_i128,
        serialize_u8(u8) => serialize_u128,
        serialize_u16(u16) => serialize_u128,
        serialize_u32(u32) => serialize_u128,
        serialize_u64(u64) => serialize_u128,
        serialize_f32(f32) => serialize_f64,
    }

    fn serialize_bool(self, value: bool) -> Result<(), CanonicalError> {
        self.bytes.push(if value { tag::TRUE } else { tag::FALSE });
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<(), CanonicalError> {
        let tag = if value < 0 { tag::NEGATIVE_INTEGER } else { tag::INTEGER };
        self.push_integer(tag, value.unsigned_abs());
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<(), CanonicalError> {
        self.push_integer(tag::INTEGER, value);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), CanonicalError> {
        let bits = if value.is_nan() { NAN } else { value.to_bits() };
        self.null_in_json |= !value.is_finite();
        self.bytes.push(tag::FLOAT);
        self.bytes.extend_from_slice(&bits.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), CanonicalError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), CanonicalError> {
        self.push_text(tag::STRING, value.as_bytes());
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), CanonicalError> {
        let start = self.bytes.len();
        write!(self, "{value}").map_err(ser::Error::custom)?;
        let text = start..self.bytes.len();
        self.bytes.push(tag::STRING);
        self.push_length(text.len());
        // The text came first and its head, now known, goes before it.
        self.bytes[start..].rotate_left(text.len());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), CanonicalError> {
        self.push_text(tag::BYTES, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), CanonicalError> {
        self.bytes.push(tag::NONE);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CanonicalError> {
        self.bytes.push(tag::SOME);
        let inner = self.bytes.len();
        self.nest(value)?;
        self.null_in_json |= matches!(self.bytes.get(inner), Some(&(tag::NONE | tag::UNIT)));
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), CanonicalError> {
        self.bytes.push(tag::UNIT);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), CanonicalError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), CanonicalError> {
        self.push_text(tag::UNIT_VARIANT, variant.as_bytes());
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.nest(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.push_text(tag::NEWTYPE_VARIANT, variant.as_bytes());
        self.nest(value)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Elements<'a>, CanonicalError> {
        self.open_sequence();
        Ok(Elements(self))
    }

    fn serialize_tuple(self, _length: usize) -> Result<Elements<'a>, CanonicalError> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Elements<'a>, CanonicalError> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Elements<'a>, CanonicalError> {
        self.push_text(tag::TUPLE_VARIANT, variant.as_bytes());
        Ok(Elements(self))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Entries<'a>, CanonicalError> {
        self.bytes.push(tag::MAP);
        Ok(Entries::new(self))
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Entries<'a>, CanonicalError> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Entries<'a>, CanonicalError> {
        self.push_text(tag::STRUCT_VARIANT, variant.as_bytes());
        Ok(Entries::new(self))
    }
}
