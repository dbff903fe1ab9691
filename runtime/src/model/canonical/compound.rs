//! The values that contain others: lists of elements, and entries in the order of their keys.

use serde::ser::{self, Serialize};

use super::{Canonical, CanonicalError};

/// A sequence, tuple, tuple struct or tuple variant that is being written.
pub(in crate::model) struct Elements<'a>(pub(super) &'a mut Canonical);

impl Elements<'_> {
    fn close(self) -> Result<(), CanonicalError> {
        self.0.close();
        Ok(())
    }
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = CanonicalError;

    fn serialize_element<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.0.nest(value)
    }

    fn end(self) -> Result<(), CanonicalError> {
        self.close()
    }
}

impl ser::SerializeTuple for Elements<'_> {
    type Ok = ();
    type Error = CanonicalError;

    fn serialize_element<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.0.nest(value)
    }

    fn end(self) -> Result<(), CanonicalError> {
        self.close()
    }
}

impl ser::SerializeTupleStruct for Elements<'_> {
    type Ok = ();
    type Error = CanonicalError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        self.0.nest(value)
    }

    fn end(self) -> Result<(), CanonicalError> {
        self.close()
    }
}

impl ser::SerializeTupleVariant for Elements<'_> {
    type Ok = ();
    type Error = CanonicalError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        self.0.nest(value)
    }

    fn end(self) -> Result<(), CanonicalError> {
        self.close()
    }
}

/// A map, struct or struct variant that is being written.
///
/// The entries lie one after the other from `start`; what follows the last finished one, from
/// `entry`, is the entry being written.
pub(in crate::model) struct Entries<'a> {
    canonical: &'a mut Canonical,
    start: usize,
    entry: usize,
    first_entry: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn new(canonical: &'a mut Canonical) -> Self {
        let start = canonical.bytes.len();
        let first_entry = canonical.entries.len();
        // One allocation serves most arguments.
        canonical.entries.reserve(16);
        Self { canonical, start, entry: start, first_entry }
    }

    fn push_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        let result = self.canonical.nest(value);
        if result.is_ok() {
            let end = self.canonical.bytes.len();
            self.canonical.entries.push(self.entry..end);
            self.entry = end;
        } else {
            // The key goes with its value.
            self.canonical.bytes.truncate(self.entry);
        }
        result
    }

    fn push_field<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.canonical.push_text(super::tag::STRING, name.as_bytes());
        self.push_value(value)
    }

    fn close(self) -> Result<(), CanonicalError> {
        self.canonical.bytes.truncate(self.entry);
        self.canonical.sort_entries(self.start, self.first_entry);
        self.canonical.close();
        Ok(())
    }
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = CanonicalError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CanonicalError> {
        self.canonical.nest(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        self.push_value(value)
    }

    fn end(self) -> Result<(), CanonicalError> {
        self.close()
    }
}

impl ser::SerializeStruct for Entries<'_> {
    type Ok = ();
    type Error = CanonicalError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.push_field(name, value)
    }

    fn end(self) -> Result<(), CanonicalError> {
        self.close()
    }
}

impl ser::SerializeStructVariant for Entries<'_> {
    type Ok = ();
    type Error = CanonicalError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.push_field(name, value)
    }

    fn end(self) -> Result<(), CanonicalError> {
        self.close()
    }
}
