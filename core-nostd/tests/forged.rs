//! Blobs that are wrong in one way each, with a checksum that fits: each is refused for just that, or stops.

#[allow(dead_code, reason = "shared with the tests of kernels, which use all of it")]
mod support;

use carafe::blob::{CRC_FROM, Header, NodeHeader, ScratchRecord, SectionEntry, crc32, region, section};
use carafe::record::Record;
use carafe::{BlobError, Fault, Model, OpCode, RunError, Session};
use support::{Builder, Place, bytes};

/// Two nodes that copy, the first into a ring.
fn copies() -> Vec<u8> {
    copies_beside(0)
}

/// The same, each with scratch memory, the same for both.
fn copies_beside(scratch: u32) -> Vec<u8> {
    let mut b = Builder::default();
    b.scratch(scratch);
    let place = b.alone([6, 2, 3], 0, 0);
    let x = b.input(place);
    let place = b.alone([6, 2, 3], 0, 2);
    let x = b.copy(x, place, 1);
    let place = b.alone([6, 2, 3], 0, 0);
    let x = b.copy(x, place, 1);
    b.output(x);
    b.finish()
}

fn mend(blob: &mut [u8]) {
    let crc = crc32(&blob[CRC_FROM..]);
    blob[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_le_bytes());
}

fn header(blob: &[u8]) -> Header {
    Header::read(blob).unwrap()
}

/// With another header.
fn with_header(blob: &[u8], change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut h = header(blob);
    change(&mut h);
    let mut blob = [bytes(&h), blob[Header::SIZE..].to_vec()].concat();
    mend(&mut blob);
    blob
}

fn entry(blob: &[u8], id: u16) -> (usize, SectionEntry) {
    let n = usize::from(header(blob).sections);
    let all = (0..n).map(|i| Header::SIZE + i * SectionEntry::SIZE);
    all.map(|at| (at, SectionEntry::read(&blob[at..]).unwrap())).find(|(_, e)| e.id == id).unwrap()
}

/// With record `i` of a section changed.
fn with_record<R: Record>(blob: &[u8], id: u16, i: usize, change: impl FnOnce(&mut R)) -> Vec<u8> {
    let mut blob = blob.to_vec();
    let at = entry(&blob, id).1.offset as usize + i * R::SIZE;
    let mut r = R::read(&blob[at..]).unwrap();
    change(&mut r);
    blob[at..at + R::SIZE].copy_from_slice(&bytes(&r));
    mend(&mut blob);
    blob
}

/// With the header of node `n` changed.
fn with_node(blob: &[u8], n: usize, change: impl FnOnce(&mut NodeHeader)) -> Vec<u8> {
    let mut blob = blob.to_vec();
    let nodes = entry(&blob, section::NODES).1.offset as usize;
    let at = nodes + usize::from(u16::from_le_bytes([blob[nodes + 2 * n], blob[nodes + 2 * n + 1]]));
    let mut h = NodeHeader::read(&blob[at..]).unwrap();
    change(&mut h);
    blob[at..at + NodeHeader::SIZE].copy_from_slice(&bytes(&h));
    mend(&mut blob);
    blob
}

/// With the scratch of node 0 changed. It stands in front of node 1.
fn with_scratch(blob: &[u8], change: impl FnOnce(&mut ScratchRecord)) -> Vec<u8> {
    let mut blob = blob.to_vec();
    let nodes = entry(&blob, section::NODES).1.offset as usize;
    let at = nodes + usize::from(u16::from_le_bytes([blob[nodes + 2], blob[nodes + 3]])) - ScratchRecord::SIZE;
    let mut s = ScratchRecord::read(&blob[at..]).unwrap();
    change(&mut s);
    blob[at..at + ScratchRecord::SIZE].copy_from_slice(&bytes(&s));
    mend(&mut blob);
    blob
}

fn refused(blob: &[u8]) -> BlobError {
    Model::verify(blob, carafe::ops::ALL).expect_err("accepted")
}

/// The end of a run in an arena of just the right size.
fn end(blob: &[u8]) -> Result<(), RunError> {
    let model = Model::verify(blob, carafe::ops::ALL).unwrap_or_else(|e| panic!("{e}"));
    let mut arena = vec![0; model.arena_bytes()];
    Session::new(model).start(&mut arena)?.run()
}

#[test]
fn it_is_good_before() {
    assert_eq!(end(&copies()), Ok(()));
}

#[test]
fn counts() {
    let good = copies();
    assert_eq!(refused(&with_header(&good, |h| h.nodes = 0)), BlobError::Section { id: section::TENSORS });
    assert_eq!(refused(&with_header(&good, |h| h.outputs = 0)), BlobError::Section { id: section::IO });
    assert_eq!(refused(&with_header(&good, |h| h.segments = 2)), BlobError::Section { id: section::SEGMENTS });
    assert_eq!(refused(&with_header(&good, |h| h.arena_bytes = 3)), BlobError::Header);
    assert_eq!(refused(&with_header(&good, |h| h.arena_bytes = u32::MAX)), BlobError::Header);
    assert_eq!(refused(&with_header(&good, |h| h.arithmetic = 77)), BlobError::Arithmetic { id: 77 });
    assert_eq!(refused(&with_header(&good, |h| h.sections = 65)), BlobError::Header, "they are looked up by walking");
    // Sections without the records that they need.
    let short = with_header(&good, |h| h.length -= 1);
    assert_eq!(refused(&short[..short.len() - 1]), BlobError::Crc);
}

/// More inputs and outputs than a u16 counts, each with its record.
#[test]
#[cfg_attr(miri, ignore = "a blob of a megabyte")]
fn inputs_and_outputs_beyond_a_u16() {
    let good = copies();
    let (at, e) = entry(&good, section::IO);
    let records = &good[e.offset as usize..][..e.length as usize];
    let (input, output) = records.split_at(records.len() / 2);
    let all: Vec<u8> = std::iter::once(input).chain(std::iter::repeat_n(output, 65535)).flatten().copied().collect();
    let mut blob = good.clone();
    let moved = SectionEntry { offset: blob.len() as u32, length: all.len() as u32, ..e };
    blob[at..at + SectionEntry::SIZE].copy_from_slice(&bytes(&moved));
    blob.extend(all);
    let length = blob.len() as u32;
    let blob = with_header(&blob, |h| (h.outputs, h.length) = (65535, length));
    assert_eq!(refused(&blob), BlobError::Header);
}

#[test]
fn sections() {
    let good = copies();
    let twice = with_header(&good, |_| ());
    let (at, e) = entry(&twice, section::CONSTS);
    let mut twice = twice;
    twice[at..at + SectionEntry::SIZE].copy_from_slice(&bytes(&SectionEntry { id: section::IO, ..e }));
    mend(&mut twice);
    assert_eq!(refused(&twice), BlobError::Section { id: section::IO });

    let edit = |change: fn(&mut SectionEntry)| {
        let mut blob = good.clone();
        let (at, mut e) = entry(&blob, section::CONSTS);
        change(&mut e);
        blob[at..at + SectionEntry::SIZE].copy_from_slice(&bytes(&e));
        mend(&mut blob);
        blob
    };
    assert_eq!(refused(&edit(|e| e.offset = u32::MAX)), BlobError::Section { id: section::CONSTS });
    assert_eq!(refused(&edit(|e| e.length = u32::MAX)), BlobError::Section { id: section::CONSTS });
    assert_eq!(refused(&edit(|e| e.id = 9999)), BlobError::UnknownSection { id: 9999 });
    assert_eq!(end(&edit(|e| (e.id, e.flags) = (9999, 0))), Ok(()), "unknown and not required: skipped");
}

#[test]
fn tensors_and_buffers() {
    use carafe::blob::{BufferRecord, TensorRecord};
    let good = copies();
    let tensor = |change: fn(&mut TensorRecord)| refused(&with_record(&good, section::TENSORS, 0, change));
    let bad = BlobError::Tensor { index: 0 };
    assert_eq!(tensor(|t| t.h = 0), bad);
    assert_eq!(tensor(|t| t.h = u16::MAX), bad, "the number that stands for a reduction's end");
    assert_eq!(tensor(|t| t.w = u16::MAX), bad);
    assert_eq!(tensor(|t| t.c = 4), bad);
    assert_eq!(tensor(|t| t.pixel_stride = 2), bad);
    assert_eq!(tensor(|t| t.offset = 1), bad);
    assert_eq!(tensor(|t| t.buffer = 3), bad);
    assert_eq!(tensor(|t| t.kind = 1), bad, "a result of u8");
    let buffer = |change: fn(&mut BufferRecord)| refused(&with_record(&good, section::BUFFERS, 1, change));
    let bad = BlobError::Buffer { index: 1 };
    assert_eq!(buffer(|b| b.offset = 0), bad, "on the row counters");
    assert_eq!(buffer(|b| b.offset = u32::MAX), bad);
    assert_eq!(buffer(|b| b.length = u32::MAX), bad);
    assert_eq!(buffer(|b| b.length = 0), bad);
    assert_eq!(buffer(|b| b.rows = 5), bad);
    assert_eq!(buffer(|b| b.region = 1), bad);
    assert_eq!(buffer(|b| b.length = 6), BlobError::Tensor { index: 0 }, "rows of three bytes");
}

/// What users see of inputs and outputs contradicts the tensor: a host refuses it. (A device shows nothing instead.)
#[test]
fn inputs_and_outputs() {
    use carafe::blob::IoRecord;
    let good = copies();
    let io = |change: fn(&mut IoRecord)| refused(&with_record(&good, section::IO, 1, change));
    let bad = BlobError::Io { index: 1 };
    assert_eq!(io(|r| r.tensor = 0), bad, "read from a ring");
    assert_eq!(io(|r| r.tensor = 3), bad);
    assert_eq!(io(|r| r.rank = 5), bad);
    assert_eq!(io(|r| r.dim1 += 1), bad);
    assert_eq!(io(|r| r.scale = f32::NAN), bad);
    assert_eq!(io(|r| r.scale = -1.0), bad);
    assert_eq!(io(|r| r.quantization = 2), bad);
}

#[test]
fn nodes() {
    let good = copies();
    let node = |n, change: fn(&mut NodeHeader)| refused(&with_node(&good, n, change));
    let bad = |node, fault| BlobError::Node { node, fault };
    assert_eq!(node(0, |h| h.in0 = 0), bad(0, Fault::Operand), "reads itself");
    assert_eq!(node(0, |h| h.in0 = 1), bad(0, Fault::Operand), "reads what comes behind");
    assert_eq!(node(1, |h| h.in0 = 3), bad(1, Fault::Operand));
    assert_eq!(node(1, |h| h.in1 = 0), bad(1, Fault::Operand), "takes one operand");
    assert_eq!(node(1, |h| h.band = 0), bad(1, Fault::Field));
    assert_eq!(node(0, |h| h.band = 4), bad(0, Fault::Placement), "a band that is no divisor of the ring");
    let lead =
        |t, kind| refused(&with_record(&good, section::TENSORS, t, |t: &mut carafe::blob::TensorRecord| t.kind = kind));
    assert_eq!(lead(0, 200), bad(0, Fault::Placement), "a first band of less than no row");
    assert_eq!(lead(2, 2), BlobError::Tensor { index: 2 }, "bands of an input");
    assert_eq!(node(1, |h| h.flags |= NodeHeader::REDUCTION), bad(1, Fault::Field));
    assert_eq!(node(1, |h| h.op = 999), BlobError::MissingOp { node: 1, op: OpCode(999), version: 1 });
    assert_eq!(node(1, |h| h.version = 2), BlobError::MissingOp { node: 1, op: OpCode::Lut, version: 2 });
    assert_eq!(node(1, |h| h.op = OpCode::Concat.0), bad(1, Fault::Operand));
    // Nobody asks for the output: it would be read before it is made.
    assert_eq!(node(1, |h| h.flags = 0), BlobError::Io { index: 1 });
}

#[test]
fn scratch() {
    let good = copies_beside(20);
    assert_eq!(end(&good), Ok(()));
    let bad = BlobError::Node { node: 0, fault: Fault::Placement };
    let scratch = |change: fn(&mut ScratchRecord)| refused(&with_scratch(&good, change));
    assert_eq!(scratch(|s| s.length = 0), bad);
    assert_eq!(scratch(|s| s.length += 1), bad, "it ends behind the arena");
    assert_eq!(scratch(|s| s.offset += 1), bad);
    assert_eq!(scratch(|s| s.other += 1), bad);
    assert_eq!(scratch(|s| s.other = u32::MAX), bad);
    assert_eq!(scratch(|s| s.offset = 2), bad, "among the row counters");
    assert_eq!(scratch(|s| s.offset = region::address(region::STATE, 0)), bad, "what outlives the inference");
    assert_eq!(scratch(|s| s.offset = region::address(region::FAST, 0)), bad, "memory that is not there");
    let flag = |h: &mut NodeHeader| h.flags |= NodeHeader::SCRATCH;
    assert_eq!(refused(&with_node(&copies(), 0, flag)), bad, "a record that is too short to tell");
    // The result of the step itself, of every second row.
    let result = Model::verify(&good, carafe::ops::ALL).unwrap().buffer(1).unwrap().offset;
    let stop = Err(RunError::Plan { node: 0 });
    assert_eq!(end(&with_scratch(&good, |s| (s.offset, s.length) = (result, 12))), stop);
    assert_eq!(end(&with_scratch(&good, |s| (s.other, s.length, s.mask) = (result, 12, 1))), stop);
    assert_eq!(end(&with_scratch(&good, |s| (s.other, s.length, s.mask) = (result, 12, 8))), Ok(()));
    assert_eq!(end(&with_scratch(&good, |s| (s.other, s.length, s.mask) = (result, 12, 0))), Ok(()));
}

/// Plans whose bounds hold and whose meaning is wrong.
#[test]
fn wrong_plans_stop() {
    let good = copies();
    let steps = 12;
    assert_eq!(end(&with_header(&good, |h| h.max_steps = steps)), Ok(()));
    let stop = |node| Err(RunError::Plan { node });
    assert_eq!(end(&with_header(&good, |h| h.max_steps = steps - 1)), stop(1));
    assert_eq!(end(&with_header(&good, |h| h.max_steps = 0)), stop(0));
    // A node that is also asked on the plan's own account goes in step with its reader.
    assert_eq!(end(&with_node(&good, 0, |h| h.flags = NodeHeader::SINK)), Ok(()));
    let mut b = Builder::default();
    let place = b.alone([6, 2, 3], 0, 0);
    let input = b.input(place);
    let ring = b.alone([6, 2, 3], 0, 2);
    let first = b.copy(input, ring, 1);
    let short = carafe::ops::PoolRecord {
        kernel_h: 3,
        kernel_w: 1,
        stride_h: 1,
        stride_w: 1,
        pad_top: 0,
        pad_left: 0,
        lo: -128,
        hi: 127,
        shift: 0,
        exclude_pad: 0,
        multipliers: 0,
    };
    let place = b.alone([4, 2, 3], 0, 0);
    let pool = b.node(OpCode::MaxPool2d, bytes(&short), &[first], place, 1);
    b.output(pool);
    assert_eq!(end(&b.finish()), stop(1), "three rows in a ring of two");
}

/// A result among the pixels of its operand, without being it: the same bytes would be lent twice.
#[test]
fn overlapping_memory_is_not_lent_twice() {
    let mut b = Builder::default();
    let place = b.alone([4, 2, 2], 0, 0);
    let input = b.input(place);
    let pixels = b.alone([4, 2, 4], 0, 0);
    let left = b.copy(input, Place { hwc: [4, 2, 2], ..pixels }, 1);
    let right = b.copy(left, Place { hwc: [4, 2, 2], offset: 2, ..pixels }, 1);
    let place = b.alone([4, 2, 2], 0, 0);
    let out = b.copy(right, place, 1);
    b.output(out);
    assert_eq!(end(&b.finish()), Err(RunError::Plan { node: 1 }));
}
