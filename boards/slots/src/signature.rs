//! The signature behind a blob: `blob · trailer`, which every reader of blobs skips.
//!
//! ```text
//!  0  │ 'C' 'S' 'I' 'G'               │ kind  │ 0 │ 0 │ 0         │
//!  8  │ key: the first 8 bytes of the public key                  │
//! 16  │ signature (64 bytes) …
//! ```
//!
//! Kind 1 is Ed25519 (RFC 8032) of the blob as it is, from its first byte to the last that its header counts. It is not
//! Ed25519ph: that serves who can't hold the message while it is read twice, and a model has to be in memory anyway to
//! be verified; so any tool that knows Ed25519 can check it.

/// Bytes of a trailer.
pub const TRAILER_BYTES: usize = 80;

const MAGIC: [u8; 8] = *b"CSIG\x01\0\0\0";
/// Where a blob's header has its length.
const LENGTH_AT: usize = 8;

/// The front of a public key, to tell keys apart.
pub type KeyId = [u8; 8];

/// A signature as it stands behind a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// The key that made it, as it says.
    pub key: KeyId,
    /// Ed25519.
    pub signature: [u8; 64],
}

impl Trailer {
    /// Parts a file into blob and trailer; `None` for the trailer if there is none. `None` if that is no blob, or not
    /// all of it.
    pub fn split(file: &[u8]) -> Option<(&[u8], Option<Self>)> {
        let length = file.get(LENGTH_AT..)?.first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (blob, behind) = file.split_at_checked(length)?;
        Some((blob, Self::read(behind)))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let signature = rest.first_chunk()?;
        (*magic == MAGIC).then_some(Self { key: *key, signature: *signature })
    }

    /// Its bytes.
    pub fn bytes(&self) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        let parts = MAGIC.iter().chain(&self.key).chain(&self.signature);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        bytes
    }
}

#[cfg(feature = "signed")]
pub use verifying::{Key, SignatureError};

/// The key whose models a firmware takes, as `carafe keygen` prints it, from the environment of the build: the variable
/// `CARAFE_PUBLIC_KEY`, of the crate that this stands in.
#[cfg(feature = "signed")]
#[macro_export]
macro_rules! key {
    () => {{
        const DIGITS: &str =
            env!("CARAFE_PUBLIC_KEY", "set CARAFE_PUBLIC_KEY to the 64 digits that `carafe keygen` prints");
        const KEY: $crate::Key = match $crate::Key::from_hex(DIGITS) {
            Some(key) => key,
            None => panic!("CARAFE_PUBLIC_KEY has to be 64 hexadecimal digits, as `carafe keygen` prints them"),
        };
        KEY
    }};
}

#[cfg(feature = "signed")]
mod verifying {
    use super::{KeyId, Trailer};

    /// The public key whose models a board takes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Key([u8; 32]);

    /// Why a model is not taken for one of the key's.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    pub enum SignatureError {
        /// It has no signature.
        Unsigned,
        /// Another key has signed it.
        OtherKey {
            /// Which, as it says.
            key: KeyId,
        },
        /// It has changed since it was signed, or was never signed by that key.
        Wrong,
    }

    /// The order of the curve's base point, from its last byte on: a signature has a number below it, or there would be two
    /// for one message.
    const ORDER: [u8; 32] = [
        0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xDE, 0xF9, 0xDE, 0xA2, 0xF7, 0x9C, 0xD6, 0x58, 0x12,
        0x63, 0x1A, 0x5C, 0xF5, 0xD3, 0xED,
    ];

    impl Key {
        /// A key of its bytes.
        pub const fn new(bytes: [u8; 32]) -> Self {
            Self(bytes)
        }

        /// A key of 64 hexadecimal digits, as `carafe keygen` prints them; `None` if they are none.
        pub const fn from_hex(digits: &str) -> Option<Self> {
            let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
            if pairs.len() != 32 {
                return None;
            }
            let mut key = [0; 32];
            let mut rest: &mut [u8] = &mut key;
            let mut pairs = pairs;
            while let (Some((to, after)), Some(([high, low], more))) = (rest.split_first_mut(), pairs.split_first()) {
                let (Some(high), Some(low)) = ((*high as char).to_digit(16), (*low as char).to_digit(16)) else {
                    return None;
                };
                *to = (high << 4 | low) as u8;
                (rest, pairs) = (after, more);
            }
            Some(Self(key))
        }

        /// Tells it from others.
        pub fn id(&self) -> KeyId {
            self.0.first_chunk().copied().unwrap_or_default()
        }

        /// Checks that a file is a blob that this key has signed.
        ///
        /// # Errors
        /// See [`SignatureError`].
        pub fn check(&self, file: &[u8]) -> Result<(), SignatureError> {
            let (blob, trailer) = Trailer::split(file).ok_or(SignatureError::Unsigned)?;
            let trailer = trailer.ok_or(SignatureError::Unsigned)?;
            if trailer.key != self.id() {
                return Err(SignatureError::OtherKey { key: trailer.key });
            }
            let number = trailer.signature.iter().rev().take(ORDER.len());
            if number.ge(&ORDER) {
                return Err(SignatureError::Wrong);
            }
            if crate::ed25519::verify(&self.0, blob, &trailer.signature) { Ok(()) } else { Err(SignatureError::Wrong) }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::vec::Vec;

        fn blob() -> Vec<u8> {
            let mut blob = (0..60).collect::<Vec<u8>>();
            blob.splice(8..12, 60u32.to_le_bytes());
            blob
        }

        #[test]
        fn only_what_the_key_has_signed_passes() {
            let pair = salty::Keypair::from(&[7; 32]);
            let key = Key::new(*pair.public.as_bytes());
            let blob = blob();
            let trailer = Trailer { key: key.id(), signature: pair.sign(&blob).to_bytes() };
            let file = [&blob[..], &trailer.bytes()].concat();
            assert_eq!(key.check(&file), Ok(()));
            assert_eq!(Trailer::split(&file), Some((&blob[..], Some(trailer))));
            assert_eq!(key.check(&[&file[..], b"padding"].concat()), Ok(()));
            assert_eq!(key.check(&blob), Err(SignatureError::Unsigned));
            for i in 0..file.len() {
                let mut other = file.clone();
                other[i] ^= 1;
                assert!(key.check(&other).is_err(), "byte {i}");
            }
            let other = Key::new([9; 32]);
            assert_eq!(other.check(&file), Err(SignatureError::OtherKey { key: key.id() }));
            // The same number, once around.
            let mut around = file.clone();
            let mut carry = 0;
            for (byte, add) in around[60 + 48..60 + 80].iter_mut().zip(ORDER.iter().rev()) {
                let sum = u16::from(*byte) + u16::from(*add) + carry;
                (*byte, carry) = (sum as u8, sum >> 8);
            }
            assert_eq!(key.check(&around), Err(SignatureError::Wrong));
        }

        #[test]
        fn keys_are_read_from_digits() {
            let digits = "00ff".repeat(16);
            assert_eq!(Key::from_hex(&digits).map(|k| k.id()), Some([0, 255, 0, 255, 0, 255, 0, 255]));
            assert_eq!(Key::from_hex("00"), None);
            assert_eq!(Key::from_hex(&"0g".repeat(32)), None);
        }
    }
}
