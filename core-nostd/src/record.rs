//! Fixed-width records: postcard on the host's side, views on the device's.
//!
//! A record is a struct whose integers serialize with a fixed width, little-endian, so that its postcard form has
//! one length and every field one offset. The host writes and checks records with serde; the device reads fields
//! where they lie ([`Field::get`]), without decoding and without RAM.

use serde::{Deserializer, Serializer};

/// A scalar of a record.
pub trait Field: Sized + Copy {
    /// Bytes it takes.
    const SIZE: usize;
    /// Reads it at an offset.
    fn get(bytes: &[u8], at: usize) -> Option<Self>;
    /// Serializes with fixed width, little-endian.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error>;
    /// The inverse of [`Field::serialize`].
    fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error>;
}

macro_rules! field {
    ($($t:ty, $ser:path, $de:path;)*) => {$(
        impl Field for $t {
            const SIZE: usize = size_of::<$t>();
            #[inline]
            fn get(bytes: &[u8], at: usize) -> Option<Self> {
                let b = bytes.get(at..)?.first_chunk()?;
                Some(<$t>::from_le_bytes(*b))
            }
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { $ser(self, s) }
            fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> { $de(d) }
        }
    )*};
}

field! {
    u8, serde::Serialize::serialize, serde::Deserialize::deserialize;
    i8, serde::Serialize::serialize, serde::Deserialize::deserialize;
    f32, serde::Serialize::serialize, serde::Deserialize::deserialize;
    u16, postcard::fixint::le::serialize, postcard::fixint::le::deserialize;
    i16, postcard::fixint::le::serialize, postcard::fixint::le::deserialize;
    u32, postcard::fixint::le::serialize, postcard::fixint::le::deserialize;
    i32, postcard::fixint::le::serialize, postcard::fixint::le::deserialize;
}

/// `#[serde(with)]` module that sends every scalar through [`Field`].
pub mod le {
    use super::Field;
    use serde::{Deserializer, Serializer};

    /// See [`Field::serialize`].
    pub fn serialize<T: Field, S: Serializer>(v: &T, s: S) -> Result<S::Ok, S::Error> {
        v.serialize(s)
    }

    /// See [`Field::deserialize`].
    pub fn deserialize<'de, T: Field, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
        T::deserialize(d)
    }
}

/// A record of the blob.
pub trait Record: Sized + serde::Serialize + serde::de::DeserializeOwned {
    /// Bytes of its postcard form.
    const SIZE: usize;
    /// Reads it where it lies; `None` if `bytes` is too short.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// Writes its postcard form to the front of `out` and returns the length; `None` if `out` is too short.
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        postcard::to_slice(self, out).ok().map(|s| s.len())
    }
}

/// Defines a struct that is a [`Record`].
macro_rules! record {
    ($(#[$m:meta])* $v:vis struct $name:ident { $($(#[$fm:meta])* $f:ident: $t:ty),* $(,)? }) => {
        $(#[$m])*
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[allow(clippy::exhaustive_structs, reason = "its bytes are the format; a new version is a new record")]
        $v struct $name { $($(#[$fm])* #[serde(with = "crate::record::le")] pub $f: $t),* }

        impl $crate::record::Record for $name {
            const SIZE: usize = 0 $(+ <$t as $crate::record::Field>::SIZE)*;
            #[inline]
            #[allow(unused_assignments, unused_mut, unused_variables, reason = "a record may have no field")]
            fn read(bytes: &[u8]) -> Option<Self> {
                let bytes = bytes.get(..Self::SIZE)?;
                let mut at = 0;
                $(let $f = <$t as $crate::record::Field>::get(bytes, at)?; at += <$t as $crate::record::Field>::SIZE;)*
                Some(Self { $($f),* })
            }
        }
    };
}

pub(crate) use record;
