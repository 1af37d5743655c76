//! Views into the arena: what one step borrows.

use core::ops::Range;

use crate::blob::BufferRecord;
use crate::node::TensorInfo;
use crate::record::Field;
use crate::schedule::Counters;

/// Where rows of a tensor lie: at most two pieces of memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    pub first: Range<usize>,
    pub second: Range<usize>,
    pub y0: u16,
    pub split: u16,
}

/// The pieces of rows `y0..y1` of a tensor in its buffer. Capacity checks only; whether the rows are (still) there
/// is the caller's to know.
pub(crate) fn pieces(t: &TensorInfo, b: &BufferRecord, y0: u16, y1: u16) -> Option<Pieces> {
    if y0 >= y1 {
        return Some(Pieces { y0, split: u16::MAX, ..Pieces::default() });
    }
    let base = (b.offset as usize).checked_add(t.offset as usize)?;
    let limit = (b.offset as usize).checked_add(b.length as usize)?;
    let (stride, span) = (t.row_stride(), t.row_span());
    let range = |slot: u16, rows: u16| -> Option<Range<usize>> {
        if rows == 0 {
            return Some(0..0);
        }
        let from = base.checked_add(usize::from(slot).checked_mul(stride)?)?;
        let to = from.checked_add(usize::from(rows - 1).checked_mul(stride)?)?.checked_add(span)?;
        (to <= limit).then_some(from..to)
    };
    let rows = y1 - y0;
    if b.rows == 0 {
        return Some(Pieces { first: range(y0, rows)?, second: 0..0, y0, split: u16::MAX });
    }
    if rows > b.rows {
        return None;
    }
    let slot = y0.checked_rem(b.rows)?;
    let head = rows.min(b.rows - slot);
    let split = if head == rows { u16::MAX } else { y0 + head };
    Some(Pieces { first: range(slot, head)?, second: range(0, rows - head)?, y0, split })
}

/// The counters at the front of the arena: progress of every tensor, who asked each node, and rows ever written to
/// each buffer. Two bytes each, little-endian.
pub(crate) struct CounterBytes<'a> {
    pub bytes: &'a mut [u8],
    pub nodes: u16,
    pub inputs: u16,
}

impl CounterBytes<'_> {
    /// Bytes that a model's counters take.
    pub fn size(nodes: u16, inputs: u16, buffers: u16) -> usize {
        2 * (2 * usize::from(nodes) + usize::from(inputs) + usize::from(buffers))
    }

    fn get(&self, slot: usize) -> u16 {
        u16::get(self.bytes, 2 * slot).unwrap_or(0)
    }

    fn set(&mut self, slot: usize, value: u16) {
        if let Some(b) = self.bytes.get_mut(2 * slot..2 * slot + 2) {
            b.copy_from_slice(&value.to_le_bytes());
        }
    }

    fn head_slot(&self, buffer: u16) -> usize {
        2 * usize::from(self.nodes) + usize::from(self.inputs) + usize::from(buffer)
    }

    /// One more than the highest row ever written to a buffer.
    pub fn head(&self, buffer: u16) -> u16 {
        self.get(self.head_slot(buffer))
    }

    /// Rows up to `row` have been written.
    pub fn raise_head(&mut self, buffer: u16, row: u16) {
        let slot = self.head_slot(buffer);
        if row > self.get(slot) {
            self.set(slot, row);
        }
    }
}

impl Counters for CounterBytes<'_> {
    fn progress(&self, t: u16) -> u16 {
        self.get(usize::from(t))
    }
    fn set_progress(&mut self, t: u16, rows: u16) {
        self.set(usize::from(t), rows);
    }
    fn parent(&self, n: u16) -> u16 {
        self.get(usize::from(self.nodes) + usize::from(self.inputs) + usize::from(n))
    }
    fn set_parent(&mut self, n: u16, parent: u16) {
        self.set(usize::from(self.nodes) + usize::from(self.inputs) + usize::from(n), parent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(h: u16, w: u16, c: u16) -> TensorInfo {
        TensorInfo { buffer: 0, ..TensorInfo::unplaced(h, w, c, 0) }
    }

    #[test]
    fn a_ring_wraps_once() {
        let t = tensor(10, 4, 2);
        let b = BufferRecord { offset: 100, length: 24, rows: 3, region: 0 };
        let p = pieces(&t, &b, 3, 6).unwrap();
        assert_eq!((p.first, p.second, p.split), (100..124, 0..0, u16::MAX));
        let p = pieces(&t, &b, 4, 7).unwrap();
        assert_eq!((p.first, p.second, p.y0, p.split), (108..124, 100..108, 4, 6));
        assert!(pieces(&t, &b, 4, 8).is_none());
    }

    #[test]
    fn a_slice_of_a_wider_tensor_stays_inside() {
        let t = TensorInfo { pixel_stride: 6, offset: 4, ..tensor(2, 3, 2) };
        let b = BufferRecord { offset: 0, length: 36, rows: 0, region: 0 };
        assert_eq!(pieces(&t, &b, 0, 2).unwrap().first, 4..36);
        assert!(pieces(&TensorInfo { offset: 5, ..t }, &b, 0, 2).is_none());
    }
}
