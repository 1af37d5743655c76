//! Writes arrays of `f32` as NumPy stores them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes an array in C order.
pub fn write(path: &Path, shape: &[usize], data: &[f32]) -> Result<()> {
    fs::write(path, bytes(shape, data)).with_context(|| path.display().to_string())
}

fn bytes(shape: &[usize], data: &[f32]) -> Vec<u8> {
    const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
    let extents: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({extents}), }}");
    // The data begin at a multiple of 64 bytes, behind a line feed.
    let unpadded = MAGIC.len() + 2 + header.len() + 1;
    header.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let mut all = MAGIC.to_vec();
    all.extend((header.len() as u16).to_le_bytes());
    all.extend(header.bytes());
    all.extend(data.iter().flat_map(|x| x.to_le_bytes()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_begin_at_a_multiple_of_64_bytes() {
        for shape in [&[2, 1][..], &[2], &[1, 2, 1, 1, 1]] {
            let bytes = bytes(shape, &[1.0, -2.0]);
            assert_eq!(bytes.len() % 64, 8);
            assert_eq!(bytes[bytes.len() - 9], b'\n');
            assert_eq!(bytes[bytes.len() - 4..], (-2.0f32).to_le_bytes());
        }
    }
}
