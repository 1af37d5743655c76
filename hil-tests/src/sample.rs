//! A model of one node, written by hand: to try a link and a target with, without converter and files.

use carafe::blob::{
    BufferRecord, CONSTS_ALIGN, CRC_FROM, FORMAT_MAJOR, FORMAT_MINOR, GoldenRecord, Header, IoRecord, MAGIC, NONE,
    NodeHeader, SectionEntry, SegmentRecord, TensorRecord, crc32, golden_byte, section,
};
use carafe::ops::{Lut, LutRecord};
use carafe::record::Record;
use carafe::{DType, Kernel};

/// What a sample model takes and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// Rows.
    pub h: u16,
    /// Columns.
    pub w: u16,
    /// Channels.
    pub c: u16,
    /// Added to every element, modulo 256.
    pub add: u8,
    /// True if the input is taken row by row and never exists as a whole.
    pub pushed: bool,
}

/// Where the first buffer begins: behind the row counters, of which one node needs few.
const FIRST_BUFFER: u32 = 64;
/// Rows of the ring of a pushed input.
const RING_ROWS: u16 = 2;

impl Sample {
    /// A model of this shape that adds `add` to every element.
    pub const fn new(h: u16, w: u16, c: u16, add: u8) -> Self {
        Self { h, w, c, add, pushed: false }
    }

    /// The same with its input pushed row by row.
    #[must_use]
    pub const fn pushed(mut self) -> Self {
        self.pushed = true;
        self
    }

    /// Bytes of its input, and of its output.
    pub fn bytes(&self) -> usize {
        usize::from(self.h) * usize::from(self.w) * usize::from(self.c)
    }

    /// The output that belongs to an input.
    pub fn expected(&self, input: &[u8]) -> Vec<u8> {
        input.iter().map(|x| x.wrapping_add(self.add)).collect()
    }

    /// The blob.
    pub fn blob(&self) -> Vec<u8> {
        self.build(None)
    }

    /// The blob with a golden check, so that it can go into flash; one that fails if `right` is false.
    pub fn golden_blob(&self, right: bool) -> Vec<u8> {
        let seed = u32::from(self.add);
        let input = (0..self.bytes() as u32).map(|i| golden_byte(seed, i)).collect::<Vec<_>>();
        let crc = crc32(&self.expected(&input)) ^ u32::from(!right);
        self.build(Some(GoldenRecord { seed, crc }))
    }

    fn build(&self, golden: Option<GoldenRecord>) -> Vec<u8> {
        let (h, w, c) = (self.h, self.w, self.c);
        let row = u32::from(w) * u32::from(c);
        let input_rows = if self.pushed { RING_ROWS } else { 0 };
        let input_bytes = row * u32::from(if self.pushed { RING_ROWS } else { h });
        let output_bytes = row * u32::from(h);
        let output_at = FIRST_BUFFER + input_bytes;

        let table = (0..=u8::MAX).map(|i| (i ^ 0x80).wrapping_add(self.add)).collect::<Vec<_>>();
        let op =
            NodeHeader { op: Lut::CODE.0, version: Lut::VERSION, flags: NodeHeader::SINK, band: 1, in0: 1, in1: NONE };
        let node = [bytes(&op), bytes(&LutRecord { table: 0 })].concat();
        let from = 4u16;
        let nodes = [&from.to_le_bytes()[..], &(from + node.len() as u16).to_le_bytes(), &node].concat();
        let tensor = |buffer| TensorRecord {
            buffer,
            h,
            w,
            c,
            pixel_stride: c,
            offset: 0,
            zero_point: 0,
            kind: DType::I8.code(),
        };
        let buffer = |offset, length, rows| BufferRecord { offset, length, rows, region: 0 };
        let io = |tensor| IoRecord {
            tensor,
            rank: 4,
            quantization: 1,
            dim0: 1,
            dim1: h,
            dim2: w,
            dim3: c,
            scale: 1.0,
            zero_point: 0,
        };
        let segment = SegmentRecord { first: 0, count: 1 };
        let mut sections = vec![
            (section::CONSTS, table),
            (section::NODES, nodes),
            (section::TENSORS, [bytes(&tensor(1)), bytes(&tensor(0))].concat()),
            (
                section::BUFFERS,
                [bytes(&buffer(FIRST_BUFFER, input_bytes, input_rows)), bytes(&buffer(output_at, output_bytes, 0))]
                    .concat(),
            ),
            (section::SEGMENTS, bytes(&segment)),
            (section::IO, [bytes(&io(1)), bytes(&io(0))].concat()),
        ];
        sections.extend(golden.map(|golden| (section::GOLDEN, bytes(&golden))));

        let front = Header::SIZE + sections.len() * SectionEntry::SIZE;
        let mut entries = Vec::new();
        let mut body = vec![0; front.next_multiple_of(CONSTS_ALIGN) - front];
        for (id, data) in &sections {
            let offset = (front + body.len()) as u32;
            entries.extend(bytes(&SectionEntry {
                id: *id,
                flags: section::REQUIRED,
                offset,
                length: data.len() as u32,
            }));
            body.extend(data);
        }
        let mut header = Header {
            magic: MAGIC,
            major: FORMAT_MAJOR,
            minor: FORMAT_MINOR,
            sections: sections.len() as u16,
            length: (front + body.len()) as u32,
            crc: 0,
            arithmetic: 0,
            cpu: 0,
            flags: 0,
            arena_bytes: output_at + output_bytes,
            state_bytes: 0,
            max_steps: u32::from(h) + 1,
            nodes: 1,
            inputs: 1,
            outputs: 1,
            buffers: 2,
            segments: 1,
            reserved: 0,
        };
        let blob = |header: &Header| [bytes(header), entries.clone(), body.clone()].concat();
        header.crc = crc32(&blob(&header)[CRC_FROM..]);
        blob(&header)
    }
}

/// A record as the blob has it.
fn bytes<R: Record>(record: &R) -> Vec<u8> {
    let mut bytes = vec![0; R::SIZE];
    // The room has the record's own size.
    let length = record.write(&mut bytes);
    debug_assert_eq!(length, Some(R::SIZE));
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Case, Host, Target};

    #[test]
    fn runs_on_the_host() {
        for sample in [Sample::new(5, 3, 7, 9), Sample::new(6, 3, 7, 200).pushed(), Sample::new(1, 1, 1, 0)] {
            let mut host = Host::new();
            let loaded = host.load(&sample.blob()).unwrap();
            let input = (0..sample.bytes()).map(|i| (i * 37) as u8).collect::<Vec<_>>();
            let outcome = host.exec(&Case::of(&[&input]), Duration::from_secs(10)).unwrap();
            assert_eq!(outcome.outputs, [sample.expected(&input)], "{sample:?}");
            assert_eq!(outcome.arena_high_water, loaded.arena_bytes, "{sample:?}");
        }
    }
}
