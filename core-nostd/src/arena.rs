//! Views into the arena: what one step borrows.

use core::cell::Cell;
use core::hint::black_box;
use core::num::NonZeroU16;
use core::ops::Range;

use crate::blob::{BufferRecord, region};
use crate::node::TensorInfo;

/// Where rows of a tensor lie: at most two pieces of memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    pub first: Range<usize>,
    pub second: Range<usize>,
    pub y0: u16,
    pub split: u16,
}

/// The pieces of rows `y0..y1` of a tensor that [`fits`] its buffer. `None` if the ring holds fewer, or if row `y0` is no
/// longer in it, of which `head` rows have been written; 0 if the caller knows.
#[inline]
pub(crate) fn pieces(t: &TensorInfo, b: &BufferRecord, y0: u16, y1: u16, head: u16) -> Option<Pieces> {
    let rows = y1.saturating_sub(y0);
    let (mut slot, mut split) = (y0, rows);
    if let Some(ring) = NonZeroU16::new(b.rows) {
        if rows > ring.get() || u32::from(y0) + u32::from(ring.get()) < u32::from(head) {
            return None;
        }
        slot = y0.wrapping_add(u16::from(t.lead)) % ring;
        split = rows.min(ring.get() - slot);
    }
    let (stride, gap) = (t.row_stride(), usize::from(t.pixel_stride.wrapping_sub(t.c)));
    // What fits does not wrap; of forged rows, any range will do that the arena then refuses.
    let range = |from: usize, rows: u16| {
        let length = if rows == 0 { 0 } else { usize::from(rows).wrapping_mul(stride).wrapping_sub(gap) };
        from..from.wrapping_add(length)
    };
    let base = (b.address() as usize).wrapping_add(t.offset as usize);
    let first = range(base.wrapping_add(usize::from(slot).wrapping_mul(stride)), split);
    let second = range(base, rows - split);
    Some(Pieces { first, second, y0, split: if split == rows { u16::MAX } else { y0.wrapping_add(split) } })
}

/// True if all of a tensor lies inside its buffer; in a ring, if every row has its slot, and the tensor its place in
/// the row.
pub(crate) fn fits(t: &TensorInfo, b: &BufferRecord) -> bool {
    // Neither exceeds 32 bits: an offset that a record has, has 16.
    let (stride, first) = (t.row_stride() as u32, t.offset.saturating_add(t.row_span() as u32));
    let rows = if b.rows == 0 { t.h.saturating_sub(1) } else { b.rows };
    let Some(all) = stride.checked_mul(u32::from(rows)) else { return false };
    if b.rows == 0 { first <= b.length && all <= b.length - first } else { all == b.length && first <= stride }
}

/// Parts of memory: those that there are from the beginning, and what is cut off of them.
const PARTS: usize = region::COUNT + 3;

/// What is left of the memory while a step borrows parts of it: at most three are taken, and what is between them can be
/// read when nothing more is taken ([`Free::left`]).
pub(crate) struct Free<'a> {
    parts: [&'a mut [u8]; PARTS],
    places: Places<'a>,
}

/// What can be read.
pub(crate) struct Left<'a, 'p> {
    parts: [&'a [u8]; PARTS],
    places: &'p Places<'a>,
}

/// Where parts of memory lie.
struct Places<'a> {
    /// The address where each begins, and its bytes.
    spans: [(usize, usize); PARTS],
    /// How many of them are to be looked at.
    count: usize,
    /// One past the highest byte lent, by region.
    high_water: &'a [Cell<usize>],
}

impl<'a> Free<'a> {
    /// All of it, of the main region without the first `front` bytes.
    #[inline]
    pub fn new(
        front: usize,
        [main, fast, state]: [&'a mut [u8]; region::COUNT],
        high_water: &'a [Cell<usize>],
    ) -> Self {
        let at = |r| region::address(r, 0) as usize;
        // With one region, nobody looks for anything in the others.
        let count = if fast.is_empty() && state.is_empty() { 1 } else { region::COUNT };
        // Nobody looks at more than there are. (Of zeros, compilers would make a call.)
        let rest = (front, main.len());
        let spans = [rest, (at(region::FAST), fast.len()), (at(region::STATE), state.len()), rest, rest, rest];
        let parts = [main, fast, state, &mut [], &mut [], &mut []];
        Self { parts, places: Places { spans, count, high_water } }
    }

    /// Takes a range out, to be written. `None` if some of it is taken, or outside.
    #[inline(never)]
    pub fn take(&mut self, range: Range<usize>) -> Option<&'a mut [u8]> {
        if range.is_empty() {
            return Some(&mut []);
        }
        let Self { parts, places } = self;
        let (i, from) = places.find(&range)?;
        let part = parts.get_mut(i)?;
        let (left, rest) = core::mem::take(part).split_at_mut_checked(from)?;
        let (taken, right) = rest.split_at_mut_checked(range.len())?;
        places.spans.get_mut(i)?.1 = from;
        *places.spans.get_mut(places.count)? = (range.end, right.len());
        *part = left;
        *parts.get_mut(places.count)? = right;
        places.count += 1;
        Some(taken)
    }

    /// What has not been taken. Nothing can be taken afterwards.
    #[inline]
    pub fn left(&mut self) -> Left<'a, '_> {
        let [a, b, c, d, e, f] = core::mem::take(&mut self.parts);
        Left { parts: [a, b, c, d, e, f], places: &self.places }
    }
}

impl<'a> Left<'a, '_> {
    /// A range. `None` if some of it is taken, or outside.
    #[inline(never)]
    pub fn read(&self, range: Range<usize>) -> Option<&'a [u8]> {
        if range.is_empty() {
            return Some(&[]);
        }
        let (i, from) = self.places.find(&range)?;
        self.parts.get(i)?.get(from..)?.get(..range.len())
    }
}

impl Places<'_> {
    /// The part that a range lies in, and its place there; notes that it is lent.
    #[inline(never)]
    fn find(&self, range: &Range<usize>) -> Option<(usize, usize)> {
        let mut i = 0;
        while i < self.count {
            let &(at, length) = self.spans.get(i)?;
            let from = range.start.wrapping_sub(at);
            if from <= length && range.len() <= length - from {
                touch(self.high_water, range);
                return Some((i, from));
            }
            // The compiler is not to count: it would write the loop out.
            i = black_box(i + 1);
        }
        None
    }
}

/// Notes that a range is lent.
#[inline]
pub(crate) fn touch(high_water: &[Cell<usize>], range: &Range<usize>) {
    if let Some(high) = high_water.get(range.start >> region::BITS) {
        high.set(high.get().max(range.end & region::MASK));
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
        let p = pieces(&t, &b, 3, 6, 6).unwrap();
        assert_eq!((p.first, p.split), (100..124, u16::MAX));
        assert!(p.second.is_empty());
        let p = pieces(&t, &b, 4, 7, 7).unwrap();
        assert_eq!((p.first, p.second, p.y0, p.split), (108..124, 100..108, 4, 6));
        assert!(pieces(&t, &b, 4, 8, 8).is_none());
        assert!(pieces(&t, &b, 4, 7, 8).is_none(), "row 4 has been overwritten");
    }

    #[test]
    fn a_slice_of_a_wider_tensor_stays_inside() {
        let t = TensorInfo { pixel_stride: 6, offset: 4, ..tensor(2, 3, 2) };
        let b = BufferRecord { offset: 0, length: 36, rows: 0, region: 0 };
        assert_eq!(pieces(&t, &b, 0, 2, 0).unwrap().first, 4..36);
        assert!(fits(&t, &b) && !fits(&TensorInfo { offset: 5, ..t }, &b));
    }

    #[test]
    fn a_tensor_fits_a_ring_row_by_row() {
        let ring = BufferRecord { offset: 0, length: 24, rows: 3, region: 0 };
        assert!(fits(&tensor(10, 4, 2), &ring));
        assert!(!fits(&tensor(10, 4, 3), &ring) && !fits(&tensor(10, 3, 2), &ring));
        let slice = TensorInfo { pixel_stride: 2, offset: 1, ..tensor(10, 4, 1) };
        assert!(fits(&slice, &ring) && !fits(&TensorInfo { offset: 2, ..slice }, &ring));
        // Larger than an address: the sums do not wrap.
        let huge = tensor(u16::MAX - 1, u16::MAX, u16::MAX);
        assert!(!fits(&huge, &BufferRecord { length: u32::MAX, rows: 0, ..ring }));
    }

    #[test]
    fn what_is_taken_is_lent_to_nobody_else() {
        let (mut arena, mut state) = ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9]);
        let mut free = Free::new(0, [&mut arena, &mut [], &mut state], &[]);
        assert_eq!(free.take(3..5).unwrap(), [3, 4]);
        assert_eq!(free.take(0..1).unwrap(), [0]);
        assert_eq!(free.take(2..2).unwrap(), []);
        assert!(free.take(4..6).is_none() && free.take(2..4).is_none() && free.take(7..9).is_none());
        assert_eq!(free.take(7..8).unwrap(), [7]);
        let fast = region::address(region::FAST, 0) as usize;
        assert!(free.take(fast..fast + 1).is_none());
        let free = free.left();
        assert_eq!((free.read(1..3), free.read(5..7)), (Some(&[1, 2][..]), Some(&[5, 6][..])));
        assert_eq!((free.read(3..3), free.read(0..2), free.read(6..8)), (Some(&[][..]), None, None));
        let state =
            |from, to| region::address(region::STATE, from) as usize..region::address(region::STATE, to) as usize;
        assert_eq!((free.read(state(0, 2)), free.read(state(1, 3))), (Some(&[8, 9][..]), None));
        assert!(free.read(fast..fast + 1).is_none());
    }
}
