//! Images of microcode: which ops the engine can do.
//!
//! `VEC1`, identifier (u32), number of ops (u16), their codes (u16 each), CRC-32 of all that; little-endian.

use carafe::OpCode;
use carafe::blob::crc32;
use carafe::offload::{BitSource, BitstreamId};
use heapless::Vec;

/// Ops that an image has at most.
pub const OPS: usize = 32;
/// Bytes of the largest image.
pub const IMAGE_BYTES: usize = HEAD + 2 * OPS + 4;

const MAGIC: &[u8; 4] = b"VEC1";
const HEAD: usize = 10;

/// A loaded image.
#[derive(Debug)]
pub(crate) struct Microcode {
    pub id: BitstreamId,
    pub ops: Vec<u16, OPS>,
}

/// An image for some ops. `None` if they are more than [`OPS`].
pub fn image(id: BitstreamId, ops: &[OpCode]) -> Option<Vec<u8, IMAGE_BYTES>> {
    let mut image = Vec::new();
    image.extend_from_slice(MAGIC).ok()?;
    image.extend_from_slice(&id.0.to_le_bytes()).ok()?;
    image.extend_from_slice(&u16::try_from(ops.len()).ok()?.to_le_bytes()).ok()?;
    for op in ops {
        image.extend_from_slice(&op.0.to_le_bytes()).ok()?;
    }
    let crc = crc32(&image);
    image.extend_from_slice(&crc.to_le_bytes()).ok()?;
    Some(image)
}

/// Reads an image to its end.
pub(crate) fn load(source: &mut dyn BitSource) -> Option<Microcode> {
    let mut image = Vec::<u8, IMAGE_BYTES>::new();
    loop {
        let mut part = [0; 16];
        let n = source.read(&mut part)?;
        if n == 0 {
            break;
        }
        image.extend_from_slice(part.get(..n)?).ok()?;
    }
    let (body, crc) = image.split_last_chunk::<4>()?;
    let (head, codes) = body.split_at_checked(HEAD)?;
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let (id, count) = rest.split_first_chunk::<4>()?;
    let count = u16::from_le_bytes(*count.first_chunk()?);
    let whole = magic == MAGIC && crc32(body) == u32::from_le_bytes(*crc) && codes.len() == 2 * usize::from(count);
    whole.then_some(())?;
    let mut ops = Vec::new();
    for code in codes.as_chunks().0 {
        ops.push(u16::from_le_bytes(*code)).ok()?;
    }
    Some(Microcode { id: BitstreamId(u32::from_le_bytes(*id)), ops })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn an_image_is_read_back() {
        let ops: Vec<OpCode> = (0..OPS as u16).map(OpCode).collect();
        let full = image(BitstreamId(77), &ops).unwrap();
        assert_eq!(full.len(), IMAGE_BYTES);
        let read = load(&mut full.as_slice()).unwrap();
        assert_eq!((read.id, read.ops.len(), read.ops[31]), (BitstreamId(77), OPS, 31));
        assert!(image(BitstreamId(1), &[OpCode(1); OPS + 1]).is_none());
    }

    #[test]
    fn damage_is_found() {
        let good = image(BitstreamId(5), &[OpCode(1), OpCode(2)]).unwrap();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            assert!(load(&mut bad.as_slice()).is_none(), "byte {i}");
            assert!(load(&mut &good[..i]).is_none(), "the first {i} bytes");
        }
        assert!(load(&mut [0u8; IMAGE_BYTES + 1].as_slice()).is_none());
    }
}
