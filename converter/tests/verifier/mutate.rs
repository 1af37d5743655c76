//! Damage, from a flipped bit to a forged table.

use carafe::blob::Header;
use carafe::record::Record;

use crate::model::Random;

/// Bytes of an entry of the section table.
const ENTRY: usize = 12;

/// Numbers at which checks go wrong.
fn boundary(random: &mut Random, old: u32, bits: u32) -> u32 {
    let most = if bits == 32 { u32::MAX } else { (1 << bits) - 1 };
    match random.below(10) {
        0 => 0,
        1 => 1,
        2 => most,
        3 => most - 1,
        4 => most / 2,
        5 => most / 2 + 1,
        6 => old.wrapping_add(1) & most,
        7 => old.wrapping_sub(1) & most,
        8 => random.below(300) as u32,
        _ => old.wrapping_mul(2) & most,
    }
}

/// Where to strike: mostly in what is structure, each section as often as another, however short it is.
fn place(blob: &[u8], random: &mut Random) -> usize {
    let anywhere = random.below(blob.len());
    match random.below(10) {
        0 => anywhere,
        1 => random.below(Header::SIZE + 9 * ENTRY).min(blob.len() - 1),
        // Nodes, tensors, buffers, segments, inputs and outputs.
        _ => match extent(blob, 1 + random.below(5) as u8) {
            Some((from, length)) if length > 0 => (from + random.below(length)).min(blob.len() - 1),
            _ => anywhere,
        },
    }
}

/// Offset and length of a section.
fn extent(blob: &[u8], id: u8) -> Option<(usize, usize)> {
    let word = |b: &[u8], at: usize| Some(u32::from_le_bytes(*b.get(at..)?.first_chunk()?) as usize);
    let entry = |i: usize| blob.get(Header::SIZE + i * ENTRY..)?.first_chunk::<ENTRY>();
    let found = (0..9).filter_map(entry).find(|e| e[0] == id && e[1] == 0)?;
    Some((word(found, 4)?, word(found, 8)?))
}

/// One change.
pub fn mutate(blob: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if blob.len() < 2 * Header::SIZE {
        return;
    }
    let at = place(blob, random);
    match random.below(40) {
        0..=5 => blob[at] ^= 1 << random.below(8),
        6..=9 => blob[at] = random.next() as u8,
        10..=15 => blob[at] = boundary(random, u32::from(blob[at]), 8) as u8,
        16..=25 => field(blob, at, 2, random),
        26..=30 => field(blob, at, 4, random),
        31 | 32 => section(blob, random),
        33..=35 => {
            // A piece of another blob, or of this one.
            let n = (1 + random.below(40)).min(blob.len() - at);
            let from = if random.below(2) == 0 { other.to_vec() } else { blob.clone() };
            if from.len() > n {
                let begin = random.below(from.len() - n);
                blob[at..at + n].copy_from_slice(&from[begin..begin + n]);
            }
        }
        36 => {
            blob.truncate(at.max(1));
            if random.below(2) == 0 {
                length(blob);
            }
        }
        37 => {
            let n = 1 + random.below(20);
            let with: Vec<u8> = random.bytes(n);
            blob.splice(at..at, with);
            length(blob);
        }
        38 => {
            let n = (1 + random.below(20)).min(blob.len() - at);
            blob.drain(at..at + n);
            length(blob);
        }
        _ => {
            // A field of the header: counts, arena, steps.
            let field_at = Header::SIZE - 2 * (1 + random.below(14));
            field(blob, field_at, 2, random);
        }
    }
}

/// Another number in a field.
fn field(blob: &mut [u8], at: usize, width: usize, random: &mut Random) {
    let Some(bytes) = blob.get_mut(at..at + width) else { return };
    let mut old = [0; 4];
    old[..width].copy_from_slice(bytes);
    let new = boundary(random, u32::from_le_bytes(old), 8 * width as u32);
    bytes.copy_from_slice(&new.to_le_bytes()[..width]);
}

/// An edit of the section table.
fn section(blob: &mut [u8], random: &mut Random) {
    let entry = |i: usize| Header::SIZE + i * ENTRY;
    let (a, b) = (entry(random.below(9)), entry(random.below(9)));
    if blob.len() < a.max(b) + ENTRY {
        return;
    }
    match random.below(5) {
        // Identifier, flags.
        0 => field(blob, a, 2, random),
        1 => field(blob, a + 2, 2, random),
        // Offset, length.
        2 => field(blob, a + 4, 4, random),
        3 => field(blob, a + 8, 4, random),
        // One section in place of another, offset and length alike.
        _ => blob.copy_within(a + 4..a + ENTRY, b + 4),
    }
}

/// Writes the length that the blob has.
fn length(blob: &mut [u8]) {
    let n = (blob.len() as u32).to_le_bytes();
    if let Some(to) = blob.get_mut(8..12) {
        to.copy_from_slice(&n);
    }
}
