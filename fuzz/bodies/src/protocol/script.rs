//! From the fuzzer's bytes to frames, sound and broken.

use carafe_protocol::frame::encode;
use carafe_protocol::{MAX_DATA, MAX_FRAME, MAX_PAYLOAD};
use serde::ser::{Serialize, SerializeTuple, Serializer};

use crate::Bytes;

/// The body of a message, as it goes over the wire.
pub struct Raw<'a>(pub &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

/// A sound frame. Nothing, if the message is too long for one.
pub fn frame<M: Serialize>(seq: u32, message: &M) -> Vec<u8> {
    encode(seq, message, &mut [0; MAX_FRAME]).map(<[u8]>::to_vec).unwrap_or_default()
}

/// What a script says next, of what is the same for both ends: bytes for the wire.
pub fn broken(bytes: &mut Bytes<'_>, frame: &mut Vec<u8>) {
    if frame.is_empty() {
        return;
    }
    let at = usize::from(bytes.short()) % frame.len();
    match bytes.below(6) {
        0 | 1 => frame[at] ^= 1 << bytes.below(8),
        2 => frame.truncate(at),
        3 => frame.insert(at, bytes.byte()),
        4 => drop(frame.remove(at)),
        _ => frame.insert(at, 0),
    }
}

/// Bytes of any sort, up to more than a frame holds.
pub fn noise(bytes: &mut Bytes<'_>) -> Vec<u8> {
    match bytes.below(4) {
        0 => vec![0; bytes.below(64)],
        1 => vec![bytes.byte(); 16 * usize::from(bytes.byte())],
        _ => {
            let n = bytes.below(64);
            bytes.take(n).to_vec()
        }
    }
}

/// Data for a message: short from the script, long of one byte.
pub fn data(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let n = bytes.byte();
    match n {
        0xF0.. => vec![bytes.byte(); [MAX_DATA, MAX_DATA - 1, MAX_DATA + 1, MAX_PAYLOAD][usize::from(n & 3)]],
        n => bytes.take(usize::from(n % 64)).to_vec(),
    }
}

/// A number, mostly small.
pub fn number(bytes: &mut Bytes<'_>) -> u32 {
    match bytes.byte() {
        n @ 0..=0xEF => u32::from(n),
        0xF0..=0xF7 => u32::from(bytes.short()),
        0xF8..=0xFB => u32::MAX - u32::from(bytes.byte()),
        _ => bytes.word(),
    }
}
