//! Types that serialize in every way serde knows.

use serde::Serialize;
use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};

#[derive(Serialize)]
pub(crate) struct Unit;

#[derive(Serialize)]
pub(crate) struct Newtype<T>(pub(crate) T);

#[derive(Serialize)]
pub(crate) struct Tuple(pub(crate) u8, pub(crate) &'static str);

#[derive(Serialize)]
pub(crate) struct Order<T> {
    pub(crate) id: u32,
    pub(crate) amount: i64,
    pub(crate) note: T,
}

#[derive(Serialize)]
pub(crate) struct Reordered<T> {
    pub(crate) note: T,
    pub(crate) amount: i8,
    pub(crate) id: u64,
}

#[derive(Serialize)]
pub(crate) struct Flattened<T> {
    pub(crate) id: u32,
    #[serde(flatten)]
    pub(crate) rest: Rest<T>,
}

#[derive(Serialize)]
pub(crate) struct Rest<T> {
    pub(crate) note: T,
    pub(crate) amount: i64,
}

#[derive(Serialize)]
pub(crate) enum Choice {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { b: u8, a: u8 },
    Empty(),
    Hollow {},
}

/// Serializes as bytes.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Serializes as what it displays.
pub(crate) struct Displayed<T>(pub(crate) T);

impl<T: std::fmt::Display> Serialize for Displayed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A sequence whose length is not announced.
pub(crate) struct Unannounced<'a, T>(pub(crate) &'a [T]);

impl<T: Serialize> Serialize for Unannounced<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut elements = serializer.serialize_seq(None)?;
        self.0.iter().try_for_each(|element| elements.serialize_element(element))?;
        elements.end()
    }
}

/// A map with its entries in this order, equal keys and all.
pub(crate) struct Map<'a, K, V>(pub(crate) &'a [(K, V)]);

impl<K: Serialize, V: Serialize> Serialize for Map<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_map(None)?;
        self.0.iter().try_for_each(|(key, value)| entries.serialize_entry(key, value))?;
        entries.end()
    }
}

/// A value that does not serialize.
pub(crate) struct Failing;

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("out of order"))
    }
}

/// A value that contains itself.
pub(crate) struct Endless;

impl Serialize for Endless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_some(self)
    }
}
