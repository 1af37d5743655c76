//! Gives blocks their places: greedy orders, and swaps in the best of them.

use super::PackStrategy;
use super::conflicts::Conflicts;

/// Offsets of blocks, in their order.
#[derive(Clone, Debug)]
pub(super) struct Packing {
    pub offsets: Vec<u64>,
    pub bytes: u64,
    /// The order that blocks were placed in.
    pub order: Vec<usize>,
}

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort<'a> {
    /// Orders to try; all of them if empty.
    pub strategies: &'a [PackStrategy],
    /// Swaps to try after that.
    pub swaps: usize,
    /// An order that was good for a similar draft.
    pub hint: Option<&'a [usize]>,
    /// Good enough.
    pub enough: u64,
    /// Try more orders.
    pub patient: bool,
}

/// Blocks begin at multiples of this, so that word loads of a row are aligned.
pub(super) const ALIGN: u64 = 4;

/// What an order is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub bytes: u64,
    pub first: u32,
    pub last: u32,
    /// Alive now and again: it may go into what the others leave.
    pub recurring: bool,
}

impl Extent {
    fn ticks(&self) -> u64 {
        u64::from(self.last - self.first) + 1
    }
}

/// An order of blocks; with `behind`, of those that recur behind the others.
fn order(blocks: &[Extent], strategy: PackStrategy, behind: bool) -> Vec<usize> {
    let key = |b: &Extent| match strategy {
        PackStrategy::Size | PackStrategy::BestFit => (b.bytes, b.ticks()),
        PackStrategy::Area => (b.bytes.saturating_mul(b.ticks()), b.bytes),
        PackStrategy::Lifetime => (b.ticks(), b.bytes),
        PackStrategy::Birth => (u64::from(u32::MAX - b.first), b.bytes),
        PackStrategy::Death => (u64::from(b.last), b.bytes),
    };
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&i| (behind && blocks[i].recurring, std::cmp::Reverse(key(&blocks[i]))));
    order
}

/// Puts blocks behind `floor`.
pub(super) fn pack(blocks: &[Extent], conflicts: &Conflicts, floor: u64, effort: Effort<'_>) -> Packing {
    let floor = floor.next_multiple_of(ALIGN);
    let strategies = if effort.strategies.is_empty() { &PackStrategy::ALL } else { effort.strategies };
    let mut packer = Packer { blocks, conflicts, floor, taken: Vec::new(), offsets: vec![None; blocks.len()] };
    let mut best: Option<Packing> = None;
    if let Some(hint) = effort.hint.filter(|h| h.len() == blocks.len()) {
        best = packer.place(hint.to_vec(), false, u64::MAX);
    }
    // What recurs goes into what the others leave; where it is large, it may be better in front. One way or the other is the
    // same where nothing recurs.
    let ways = if blocks.iter().any(|b| b.recurring) && effort.patient { &[true, false][..] } else { &[true][..] };
    for (behind, &strategy) in ways.iter().flat_map(|&behind| strategies.iter().map(move |s| (behind, s))) {
        if best.as_ref().is_some_and(|b| b.bytes <= effort.enough) {
            break;
        }
        let limit = best.as_ref().map_or(u64::MAX, |b| b.bytes - 1);
        best = packer.place(order(blocks, strategy, behind), strategy == PackStrategy::BestFit, limit).or(best);
    }
    let mut best = best.unwrap_or(Packing { offsets: Vec::new(), bytes: floor, order: Vec::new() });
    let n = best.order.len();
    // Where what recurs is behind the others, it finds its place, and the others are worth a swap.
    let lasting = blocks.iter().filter(|b| !b.recurring).count().max(1);
    // The seed is fixed: the same model gives the same plan.
    let mut seed = 0x2545_F491u32;
    let mut random = |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as usize % n
    };
    for turn in 0..effort.swaps {
        if best.bytes <= effort.enough || n < 2 {
            break;
        }
        let mut trial = best.order.clone();
        if turn % 2 == 0 {
            let n = if turn % 8 == 6 { n } else { lasting };
            trial.swap(random(n), random(n));
        } else {
            // What reaches highest is placed earlier.
            let top = |&at: &usize| best.offsets[trial[at]] + blocks[trial[at]].bytes;
            let at = (0..n).max_by_key(top).unwrap_or(0);
            let block = trial.remove(at);
            trial.insert(random(at + 1), block);
        }
        if let Some(p) = packer.place(trial, false, best.bytes) {
            best = p;
        }
    }
    best
}

/// The first place behind a taken one.
fn above(hi: i64) -> i64 {
    (hi + ALIGN as i64) & !(ALIGN as i64 - 1)
}

struct Packer<'a> {
    blocks: &'a [Extent],
    conflicts: &'a Conflicts,
    floor: u64,
    taken: Vec<(i64, i64)>,
    offsets: Vec<Option<i64>>,
}

impl Packer<'_> {
    /// Each block at the lowest place that is free while it lives; or (best fit) in the tightest gap. `None` if that takes
    /// more than `limit` bytes.
    fn place(&mut self, order: Vec<usize>, tightest: bool, limit: u64) -> Option<Packing> {
        let floor = self.floor as i64;
        self.offsets.fill(None);
        let mut bytes = self.floor;
        for &i in &order {
            self.taken.clear();
            for (j, forbidden) in self.conflicts.of(i) {
                if let Some(at) = self.offsets[*j] {
                    self.taken.extend(forbidden.iter().map(|&(lo, hi)| (at + lo, at + hi)).filter(|t| t.1 >= floor));
                }
            }
            let at = if tightest { self.tightest(floor) } else { self.lowest(floor) };
            self.offsets[i] = Some(at);
            bytes = bytes.max(at as u64 + self.blocks[i].bytes);
            if bytes > limit {
                return None;
            }
        }
        let offsets = self.offsets.iter().map(|o| o.unwrap_or(floor) as u64).collect();
        Some(Packing { offsets, bytes, order })
    }

    /// The lowest place that is not taken. (Without sorting: a few passes are enough, and this is what packing spends its time
    /// on.)
    fn lowest(&self, floor: i64) -> i64 {
        let mut at = floor;
        loop {
            let before = at;
            for &(lo, hi) in &self.taken {
                if lo <= at && at <= hi {
                    at = above(hi);
                }
            }
            if at == before {
                return at;
            }
        }
    }

    /// The narrowest gap, or behind all that is taken.
    fn tightest(&mut self, floor: i64) -> i64 {
        self.taken.sort_unstable();
        let mut at = floor;
        let mut gap: Option<(i64, i64)> = None;
        for &(lo, hi) in &self.taken {
            if at < lo && gap.is_none_or(|g| lo - at < g.0) {
                gap = Some((lo - at, at));
            }
            if at <= hi {
                at = above(hi);
            }
        }
        gap.map_or(at, |g| g.1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::{Block, Cell, What, alive};
    use super::*;
    use proptest::prelude::*;

    /// A block of rows that are born and die in order, as those of a map, or that live again and again, as slots.
    fn block(i: usize, rows: &[(u64, u32, u32)], again: u32) -> Block {
        let mut cells = Vec::new();
        let (mut at, mut first, mut last) = (0, 0, 0);
        for &(bytes, later, longer) in rows {
            first += later;
            last = (first + longer).max(last);
            let lives = (0..=again).map(|k| (first + k * 40, (last + k * 40).min(first + k * 40 + 39))).collect();
            cells.push(Cell { bytes: at..at + bytes, lives });
            at += bytes;
        }
        Block::of(What::Group(i), at, 0, cells.into_iter())
    }

    proptest! {
        #[test]
        fn rows_that_live_together_never_overlap(
            raw in proptest::collection::vec(
                (proptest::collection::vec((1u64..300, 0u32..4, 0u32..9), 1..7), 0u32..3), 1..14),
            which in 0usize..7,
        ) {
            let blocks: Vec<Block> = raw.iter().enumerate().map(|(i, (rows, again))| block(i, rows, *again)).collect();
            let extents: Vec<Extent> = blocks.iter().map(Block::extent).collect();
            let strategies = PackStrategy::ALL.get(which).copied();
            let effort = Effort { strategies: strategies.as_slice(), swaps: 20, hint: None, enough: 0, patient: true };
            let p = pack(&extents, &Conflicts::new(&blocks), 10, effort);
            for (i, a) in blocks.iter().enumerate() {
                prop_assert!(p.offsets[i] >= 10 && p.offsets[i].is_multiple_of(ALIGN));
                prop_assert!(p.offsets[i] + a.bytes <= p.bytes);
                for (j, b) in blocks.iter().enumerate().skip(i + 1) {
                    for (x, y) in a.cells.iter().flat_map(|x| b.cells.iter().map(move |y| (x, y))) {
                        let apart = p.offsets[i] + x.bytes.end <= p.offsets[j] + y.bytes.start
                            || p.offsets[j] + y.bytes.end <= p.offsets[i] + x.bytes.start;
                        let meet = x.lives.iter().any(|l| y.lives.iter().any(|m| l.0 <= m.1 && m.0 <= l.1));
                        prop_assert!(apart || !meet, "{x:?} of {i} at {} and {y:?} of {j} at {}", p.offsets[i], p.offsets[j]);
                    }
                }
            }
            prop_assert!(p.bytes >= 12 + alive(&blocks, 1000).into_iter().max().unwrap_or(0));
        }
    }

    /// A map whose rows die in order, and one that is made one tick later: it follows one row behind.
    #[test]
    fn a_map_grows_into_the_rows_of_another() {
        let map = |i, born: u32, dies: u32| {
            let cell = |y: u32| Cell {
                bytes: u64::from(y) * 8..u64::from(y + 1) * 8,
                lives: vec![(if born == 0 { 0 } else { born + y }, dies + y)],
            };
            Block::of(What::Group(i), 80, 0, (0..10).map(cell))
        };
        // Row y of the first is read for the last time at tick y + 1; row y of the second is made then, and kept.
        let blocks = [map(0, 0, 1), map(1, 1, 30)];
        let extents: Vec<Extent> = blocks.iter().map(Block::extent).collect();
        let effort = Effort { strategies: &[], swaps: 0, hint: None, enough: 0, patient: true };
        let p = pack(&extents, &Conflicts::new(&blocks), 0, effort);
        assert_eq!(p.bytes, 88);
        assert_eq!(p.offsets[0], p.offsets[1] + 8);
    }
}
