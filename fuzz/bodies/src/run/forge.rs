//! Forged blobs that verify: edits of fields, of which those stay that the verifier accepts.

use carafe::Model;
use carafe::blob::{BufferRecord, Header, IoRecord, NodeHeader, SectionEntry, SegmentRecord, TensorRecord, section};
use carafe::record::Record;

use crate::Bytes;
use crate::blob::mend;

/// Every op, both arithmetics, rings and whole maps, inputs pushed and given, a state, two regions, a plan with jobs.
pub const BASES: [&[u8]; 10] = [
    include_bytes!("../../../seeds/blob/chain"),
    include_bytes!("../../../seeds/blob/joins_pushed"),
    include_bytes!("../../../seeds/blob/whole"),
    include_bytes!("../../../seeds/blob/rings_pushed"),
    include_bytes!("../../../seeds/blob/moves"),
    include_bytes!("../../../seeds/blob/tflite"),
    include_bytes!("../../../seeds/blob/pushed"),
    include_bytes!("../../../seeds/blob/streaming"),
    include_bytes!("../../../seeds/blob/fast"),
    include_bytes!("../../../seeds/blob/jobs"),
];

/// The most edits of one blob.
const EDITS: usize = 24;

/// A blob that the verifier accepts.
#[derive(Debug, Clone)]
pub struct Forged {
    /// Its bytes.
    pub blob: Vec<u8>,
    /// Groups of edits that changed something.
    pub tried: u32,
    /// Those of them that the verifier accepted.
    pub kept: u32,
}

/// Makes a blob of one of [`BASES`]. A group of edits is one, or several of which only the last is to be accepted: what
/// hangs together has to change together.
pub fn forge(base: &[u8], bytes: &mut Bytes<'_>) -> Forged {
    let mut forged = Forged { blob: base.to_vec(), tried: 0, kept: 0 };
    let mut draft = forged.blob.clone();
    for _ in 0..EDITS {
        if bytes.is_empty() {
            break;
        }
        if !edit(&mut draft, bytes) {
            continue;
        }
        mend(&mut draft);
        if draft == forged.blob {
            continue;
        }
        forged.tried += 1;
        if Model::verify(&draft, carafe::ops::ALL).is_ok() {
            forged.kept += 1;
            forged.blob.clone_from(&draft);
        } else {
            draft.clone_from(&forged.blob);
        }
    }
    forged
}

/// Where a section lies in the blob, and how long it is.
fn extent(blob: &[u8], id: u16) -> Option<(usize, usize)> {
    let header = Header::read(blob)?;
    let entry = |i: u16| SectionEntry::read(blob.get(Header::SIZE + usize::from(i) * SectionEntry::SIZE..)?);
    let found = (0..header.sections).filter_map(entry).find(|e| e.id == id)?;
    Some((found.offset as usize, found.length as usize))
}

/// Offsets and widths of the fields of a record.
type Fields = &'static [(usize, usize)];

const HEADER: Fields =
    &[(16, 1), (17, 1), (20, 4), (24, 4), (28, 4), (32, 2), (34, 2), (36, 2), (38, 2), (40, 2), (6, 2), (5, 1)];
const NODE: Fields = &[(0, 2), (2, 1), (3, 1), (4, 1), (5, 2), (7, 2)];
const TENSOR: Fields = &[(0, 2), (2, 2), (4, 2), (6, 2), (8, 2), (10, 2), (12, 1), (13, 1)];
const BUFFER: Fields = &[(0, 4), (4, 4), (8, 2), (10, 1)];
const SEGMENT: Fields = &[(0, 2), (2, 2)];
const IO: Fields = &[(0, 2), (2, 1), (3, 1), (4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 1)];

/// One edit, of six bytes. True if that is all of its group.
fn edit(blob: &mut [u8], bytes: &mut Bytes<'_>) -> bool {
    let (area, index, field) = (bytes.byte(), usize::from(bytes.byte()), usize::from(bytes.byte()));
    let (how, value) = (bytes.byte(), bytes.short());
    let group_ends = how < 0xC0;
    let table = |id, size: usize, fields: Fields| {
        let (from, length) = extent(blob, id)?;
        let of = |i: usize| from + i % (length / size).max(1) * size;
        let (at, width) = fields[field % fields.len()];
        Some((of(index) + at, of(usize::from(value)) + at, width))
    };
    let place = match area % 16 {
        0 => {
            let (at, width) = HEADER[field % HEADER.len()];
            Some((at, at, width))
        }
        1..=3 => node_field(blob, index, field, usize::from(value)),
        4..=6 => table(section::TENSORS, TensorRecord::SIZE, TENSOR),
        7..=10 => table(section::BUFFERS, BufferRecord::SIZE, BUFFER),
        11 => table(section::SEGMENTS, SegmentRecord::SIZE, SEGMENT),
        12 => table(section::IO, IoRecord::SIZE, IO),
        13 => extent(blob, section::REGIONS).map(|(from, _)| (from, from, 4)),
        _ => extent(blob, section::CONSTS).map(|(from, length)| {
            let at = |n: usize| from + n % length.max(1);
            (at(index * 256 + field), at(usize::from(value)), 1)
        }),
    };
    if let Some((at, other, width)) = place {
        change(blob, at, other, width, how, value);
    }
    group_ends
}

/// A field of a node: of its front, or of the op's own record. And the same field of another node.
fn node_field(blob: &[u8], index: usize, field: usize, other: usize) -> Option<(usize, usize, usize)> {
    let (from, _) = extent(blob, section::NODES)?;
    let nodes = usize::from(Header::read(blob)?.nodes).max(1);
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(*blob.get(at..)?.first_chunk()?)));
    let begin = |n: usize| Some(from + short(from + n % nodes * 2)?);
    let length = (short(from + (index % nodes + 1) * 2)? + from).checked_sub(begin(index)?)?;
    let own = length.saturating_sub(NodeHeader::SIZE);
    let (at, width) = match field % 4 {
        0 | 1 if own > 0 => {
            let at = field / 4;
            (NodeHeader::SIZE + at / 3 % own, [1, 2, 4][at % 3])
        }
        _ => NODE[field / 4 % NODE.len()],
    };
    Some((begin(index)? + at, begin(other)? + at, width))
}

/// Another number in a field.
fn change(blob: &mut [u8], at: usize, other: usize, width: usize, how: u8, value: u16) {
    let number = |blob: &[u8], at: usize| {
        let mut word = [0; 4];
        word.get_mut(..width)?.copy_from_slice(blob.get(at..at + width)?);
        Some(u32::from_le_bytes(word))
    };
    let (Some(old), Some(there)) = (number(blob, at), number(blob, other)) else { return };
    let most = if width == 4 { u32::MAX } else { (1 << (8 * width)) - 1 };
    let (small, value) = (u32::from(value & 0x0F), u32::from(value));
    let new = match how % 16 {
        0 => value,
        1 => old.wrapping_add(small),
        2 => old.wrapping_sub(small),
        3 => old ^ 1u32.wrapping_shl(value),
        4 => old.wrapping_mul(2),
        5 => old / 2,
        6 => most.wrapping_sub(small),
        7 => small,
        8 => (most / 2).wrapping_add(small),
        9 => old.wrapping_add(value),
        10 => old.wrapping_sub(value),
        // What stands in another record of the sort is most likely to fit here.
        _ => there,
    };
    if let Some(to) = blob.get_mut(at..at + width) {
        to.copy_from_slice(&new.to_le_bytes()[..width]);
    }
}
