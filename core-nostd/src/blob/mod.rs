//! The blob: the only contract between host and device. `docs/blob.md` draws it byte by byte.
//!
//! Everything is little-endian and read through views, so it holds on big-endian cores too. The host writes these
//! records with serde and postcard.

use crate::record::record;

mod cpu;
mod crc;
mod preprocess;
mod strings;

pub use cpu::Cpu;
pub use crc::Crc;
pub use preprocess::{PreprocessRecord, StoredPreprocess};
pub use strings::{StringKind, Strings};

/// The first four bytes: `CARF`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"CARF");
/// Blobs of another major version are refused.
pub const FORMAT_MAJOR: u8 = 2;
/// A newer minor version adds sections that may be skipped, or ops.
pub const FORMAT_MINOR: u8 = 0;
/// Offset of the first byte that the checksum covers; it goes to the end of the blob.
pub const CRC_FROM: usize = 16;
/// "No operand", "no buffer".
pub const NONE: u16 = u16::MAX;
/// Constants begin at a multiple of this, counted from the start of the blob.
pub const CONSTS_ALIGN: usize = 16;

/// The checksum: CRC-32/ISO-HDLC (that of zlib) over `blob[CRC_FROM..]`.
pub fn crc32(bytes: &[u8]) -> u32 {
    if cfg!(target_os = "none") {
        return Crc::of(bytes);
    }
    const CRC: ::crc::Crc<u32, ::crc::Table<16>> = ::crc::Crc::<u32, ::crc::Table<16>>::new(&::crc::CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}

record! {
    /// The first bytes of a blob.
    pub struct Header {
        /// [`MAGIC`].
        magic: u32,
        /// [`FORMAT_MAJOR`].
        major: u8,
        /// [`FORMAT_MINOR`].
        minor: u8,
        /// Entries of the section table that follows the header.
        sections: u16,
        /// Length of the blob in bytes, signature excluded.
        length: u32,
        /// [`crc32`] of the bytes from [`CRC_FROM`] on.
        crc: u32,
        /// Identifier of the arithmetic ([`crate::arithmetic::Arithmetic::ID`]).
        arithmetic: u8,
        /// [`Cpu::code`] of what the weights are packed for.
        cpu: u8,
        /// Reserved, zero.
        flags: u16,
        /// Bytes of arena: row counters, buffers and scratch.
        arena_bytes: u32,
        /// Bytes of state that outlive an inference.
        state_bytes: u32,
        /// An inference takes at most so many steps.
        max_steps: u32,
        /// Number of nodes.
        nodes: u16,
        /// Number of graph inputs.
        inputs: u16,
        /// Number of graph outputs.
        outputs: u16,
        /// Number of buffers.
        buffers: u16,
        /// Number of segments.
        segments: u16,
        /// Reserved, zero.
        reserved: u16,
    }
}

record! {
    /// An entry of the section table.
    pub struct SectionEntry {
        /// One of the identifiers in [`section`].
        id: u16,
        /// Bit 0: required. A reader that does not know a required section refuses the blob.
        flags: u16,
        /// From the start of the blob.
        offset: u32,
        /// In bytes.
        length: u32,
    }
}

/// Identifiers of sections.
pub mod section {
    /// Node records, behind a table of `nodes + 1` offsets (u16, from the start of the section).
    pub const NODES: u16 = 1;
    /// [`super::TensorRecord`] of every node's output, then of every graph input.
    pub const TENSORS: u16 = 2;
    /// [`super::BufferRecord`]s.
    pub const BUFFERS: u16 = 3;
    /// [`super::SegmentRecord`]s.
    pub const SEGMENTS: u16 = 4;
    /// [`super::IoRecord`] of every graph input, then of every output.
    pub const IO: u16 = 5;
    /// Weights, channel parameters, tables.
    pub const CONSTS: u16 = 6;
    /// Names and labels ([`super::Strings`]).
    pub const STRINGS: u16 = 7;
    /// [`super::GoldenRecord`].
    pub const GOLDEN: u16 = 8;
    /// Scale (f32) of every tensor, in the order of [`TENSORS`]: for tools that compare layers with floats.
    pub const SCALES: u16 = 9;
    /// Reserved for dynamic shapes; always required where present.
    pub const DYNAMIC: u16 = 10;
    /// [`super::StoredPreprocess`]: how data become the first input.
    pub const PREPROCESS: u16 = 11;
    /// [`super::RegionsRecord`]: sizes of the regions that the header does not name. Required where present.
    pub const REGIONS: u16 = 12;
    /// [`super::WeightsRecord`]: [`CONSTS`] is a file of its own. Required where present.
    pub const WEIGHTS: u16 = 13;
    /// One more than the greatest identifier.
    pub(crate) const COUNT: usize = 14;
    /// A blob has at most so many.
    pub const MOST: u16 = 64;
    /// Bit 0 of the flags of an entry.
    pub const REQUIRED: u16 = 1;
}

record! {
    /// The front of every node record; the op's own fields follow.
    pub struct NodeHeader {
        /// [`crate::OpCode`].
        op: u16,
        /// Version of the op's record.
        version: u8,
        /// [`NodeHeader::SINK`], [`NodeHeader::REDUCTION`], [`NodeHeader::SCRATCH`].
        flags: u8,
        /// Rows that one step makes; at least 1. The last band of a map may be shorter, and the first one is by
        /// [`crate::TensorInfo::lead`] of the result.
        band: u8,
        /// First operand: a tensor.
        in0: u16,
        /// Second operand, or [`NONE`]; of a reduction, which has one operand: the buffer of its accumulator.
        in1: u16,
    }
}

impl NodeHeader {
    /// Flag: the schedule asks this node for rows on its own account, because its result is read outside its
    /// segment or is an output of the graph.
    pub const SINK: u8 = 1;
    /// Flag: the op takes the rows of its operand as they come. Repeats what its `check` says, so that the
    /// schedule can ask cheaply.
    pub const REDUCTION: u8 = 2;

    /// Flag: the node has scratch memory, of which a [`ScratchRecord`] at the end of its record tells.
    pub const SCRATCH: u8 = 4;

    /// Byte of `flags` in the record.
    pub(crate) const FLAGS: usize = 3;

    /// The second operand.
    pub fn second(&self) -> Option<u16> {
        (self.flags & Self::REDUCTION == 0 && self.in1 != NONE).then_some(self.in1)
    }

    /// The buffer of the accumulator.
    pub fn accumulator(&self) -> Option<u16> {
        (self.flags & Self::REDUCTION != 0 && self.in1 != NONE).then_some(self.in1)
    }
}

record! {
    /// Memory that a node has for the time of a step; behind the fields of its op. Rings leave one place free at one band and
    /// another at the next: there are two of them ([`ScratchRecord::at`]).
    pub struct ScratchRecord {
        /// Address ([`region::address`]).
        offset: u32,
        /// The other one; often the same.
        other: u32,
        /// Length of either; not 0.
        length: u32,
        /// Bits of a row that say which: see [`ScratchRecord::is_other`].
        mask: u8,
    }
}

impl ScratchRecord {
    /// Where it is at the step that makes a band from row `y0` on.
    #[inline]
    pub fn at(&self, y0: u16, lead: u8) -> u32 {
        if Self::is_other(y0, lead, self.mask) { self.other } else { self.offset }
    }

    /// True if it is at the other address: by bits of the row, which need no division. With the lowest bit of the height of
    /// bands, every second band is.
    #[inline]
    pub fn is_other(y0: u16, lead: u8, mask: u8) -> bool {
        // The first band is short, and would begin `lead` rows before.
        y0 != 0 && y0.wrapping_add(u16::from(lead)) & u16::from(mask) != 0
    }
}

record! {
    /// A tensor: extents, element type, and where it lies in its buffer. Batch is 1, layout is row, column, channel.
    pub struct TensorRecord {
        /// Index of the buffer.
        buffer: u16,
        /// Rows.
        h: u16,
        /// Columns.
        w: u16,
        /// Channels.
        c: u16,
        /// Bytes from one pixel to the next: more than its channels' where the tensor is a slice of a wider one.
        pixel_stride: u16,
        /// Byte of its first element: in a ring within a row, else within the buffer.
        offset: u16,
        /// Byte of the element that stands for zero; padding is filled with it.
        zero_point: i8,
        /// Bit 0: [`crate::DType`]. Above: [`crate::TensorInfo::lead`].
        kind: u8,
    }
}

/// Regions of memory, and the addresses in them.
pub mod region {
    /// The arena: the row counters lie at its front.
    pub const MAIN: u8 = 0;
    /// A second scratch memory, e.g. a tightly coupled one.
    pub const FAST: u8 = 1;
    /// What outlives an inference.
    pub const STATE: u8 = 2;
    /// Number of regions.
    pub const COUNT: usize = 3;
    /// Bits of an address that number the byte; the region is above them.
    pub const BITS: u32 = 29;
    /// These bits; a region has at most so many bytes.
    pub const MASK: usize = (1 << BITS) - 1;

    /// Address of a byte of a region.
    pub const fn address(region: u8, offset: u32) -> u32 {
        ((region as u32) << BITS).wrapping_add(offset)
    }
}

record! {
    /// Sizes of regions.
    pub struct RegionsRecord {
        /// Bytes of [`region::FAST`].
        fast_bytes: u32,
    }
}

record! {
    /// The constants that belong to a blob and are kept apart from it.
    pub struct WeightsRecord {
        /// Their length in bytes.
        length: u32,
        /// [`crc32`] of them.
        crc: u32,
    }
}

record! {
    /// A piece of memory that tensors live in.
    pub struct BufferRecord {
        /// Byte in its region.
        offset: u32,
        /// Length in bytes.
        length: u32,
        /// Rows that it holds as a ring, or 0 if its tensors are there as a whole.
        rows: u16,
        /// One of [`region`].
        region: u8,
    }
}

record! {
    /// Consecutive nodes that run interleaved, demand-driven.
    pub struct SegmentRecord {
        /// First node.
        first: u16,
        /// Number of nodes.
        count: u16,
    }
}

record! {
    /// What the user sees of an input or output.
    pub struct IoRecord {
        /// Index of the tensor.
        tensor: u16,
        /// Extents used of `dim0..=dim3`.
        rank: u8,
        /// 0: none; 1: per tensor. Per channel is reserved.
        quantization: u8,
        /// Shape, outermost first.
        dim0: u16,
        /// See `dim0`.
        dim1: u16,
        /// See `dim0`.
        dim2: u16,
        /// See `dim0`.
        dim3: u16,
        /// real = scale · (q − zero_point). Where bytes of a camera are normalised per channel, or by numbers that are
        /// no bytes, this is the nearest such line; [`StoredPreprocess`] has the truth.
        scale: f32,
        /// See `scale`; a byte of the tensor's type.
        zero_point: i8,
    }
}

record! {
    /// A check that a device runs on itself: the CRC of all outputs for a made input.
    pub struct GoldenRecord {
        /// Seed of [`golden_byte`].
        seed: u32,
        /// [`crc32`] of the outputs' bytes, in order.
        crc: u32,
    }
}

/// Byte `i` of the input that a golden check feeds (all inputs in one stream): the top byte of a linear
/// congruential generator (Knuth, MMIX constants truncated to 32 bits).
pub fn golden_byte(seed: u32, i: u32) -> u8 {
    let x = seed.wrapping_add(i).wrapping_mul(0x4C95_7F2D).wrapping_add(0x1405_7B7F);
    ((x ^ (x >> 15)).wrapping_mul(0x2C1B_3C6D) >> 24) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use std::vec::Vec;

    fn round_trip<R: Record + PartialEq + core::fmt::Debug>(r: R, want: usize) {
        let mut out = [0u8; 64];
        let n = r.write(&mut out).unwrap();
        assert_eq!((n, R::SIZE), (want, want));
        assert_eq!(R::read(&out).unwrap(), r);
        assert_eq!(postcard::from_bytes::<R>(&out).unwrap(), r);
        assert!(R::read(&out[..n - 1]).is_none());
        assert!(r.write(&mut out[..n - 1]).is_none());
    }

    #[test]
    fn scratch_changes_places_from_band_to_band() {
        let s = |mask| ScratchRecord { offset: 10, other: 20, length: 1, mask };
        // Bands of four, the first of them shorter by three.
        assert_eq!([0, 1, 5, 9, 13].map(|y0| s(4).at(y0, 3)), [10, 20, 10, 20, 10]);
        // Bands of three, and of two whose place is that of every second.
        assert_eq!([0, 3, 6, 9].map(|y0| s(1).at(y0, 0)), [10, 20, 10, 20]);
        assert_eq!([0, 2, 4, 6, 8].map(|y0| s(4).at(y0, 0)), [10, 10, 20, 20, 10]);
        assert_eq!(s(255).at(0, 7), 10);
    }

    #[test]
    fn records_have_one_length_and_are_little_endian() {
        let t = TensorRecord {
            buffer: 0x0102,
            h: 0x0304,
            w: 5,
            c: 6,
            pixel_stride: 7,
            offset: 0x0809,
            zero_point: -2,
            kind: 3,
        };
        round_trip(t, 14);
        let mut out = [0u8; 14];
        t.write(&mut out).unwrap();
        assert_eq!(out, [2, 1, 4, 3, 5, 0, 6, 0, 7, 0, 9, 8, 0xFE, 3]);
        round_trip(BufferRecord { offset: 1, length: 2, rows: 3, region: 4 }, 11);
        round_trip(SegmentRecord { first: 1, count: 2 }, 4);
        round_trip(ScratchRecord { offset: 1, other: 2, length: 3, mask: 4 }, 13);
        let node = NodeHeader { op: 300, version: 1, flags: 77, band: 200, in0: 1, in1: NONE };
        round_trip(node, 9);
        node.write(&mut out).unwrap();
        assert_eq!(out[NodeHeader::FLAGS], 77);
        round_trip(SectionEntry { id: 1, flags: 1, offset: 70000, length: 3 }, 12);
        round_trip(GoldenRecord { seed: 1, crc: 0xFFFF_FFFF }, 8);
    }

    #[test]
    fn crc_is_that_of_zlib() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!((Crc::of(b"123456789"), Crc::of(&all)), (0xCBF4_3926, crc32(&all)));
        assert_eq!(Crc::of(&[]), 0);
    }

    #[test]
    fn golden_bytes_use_the_whole_range() {
        let v: Vec<u8> = (0..4096).map(|i| golden_byte(1, i)).collect();
        assert!((0..=255u8).all(|b| v.contains(&b)));
    }
}
