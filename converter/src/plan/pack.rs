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
}

/// Blocks begin at multiples of this, so that word loads of a row are aligned.
pub(super) const ALIGN: u64 = 4;

/// What an order is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub bytes: u64,
    pub first: u32,
    pub last: u32,
}

impl Extent {
    fn ticks(&self) -> u64 {
        u64::from(self.last - self.first) + 1
    }
}

fn order(blocks: &[Extent], strategy: PackStrategy) -> Vec<usize> {
    let key = |b: &Extent| match strategy {
        PackStrategy::Size | PackStrategy::BestFit => (b.bytes, b.ticks()),
        PackStrategy::Area => (b.bytes.saturating_mul(b.ticks()), b.bytes),
        PackStrategy::Lifetime => (b.ticks(), b.bytes),
        PackStrategy::Birth => (u64::from(u32::MAX - b.first), b.bytes),
        PackStrategy::Death => (u64::from(b.last), b.bytes),
    };
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(key(&blocks[i])));
    order
}

/// Puts blocks behind `floor`.
pub(super) fn pack(blocks: &[Extent], conflicts: &Conflicts, floor: u64, effort: Effort<'_>) -> Packing {
    let floor = floor.next_multiple_of(ALIGN);
    let strategies = if effort.strategies.is_empty() { &PackStrategy::ALL } else { effort.strategies };
    let mut packer = Packer { blocks, conflicts, floor, taken: Vec::new(), offsets: vec![None; blocks.len()] };
    let mut best: Option<Packing> = None;
    if let Some(hint) = effort.hint.filter(|h| h.len() == blocks.len()) {
        best = Some(packer.place(hint.to_vec(), false));
    }
    for &strategy in strategies {
        if best.as_ref().is_some_and(|b| b.bytes <= effort.enough) {
            break;
        }
        let p = packer.place(order(blocks, strategy), strategy == PackStrategy::BestFit);
        if best.as_ref().is_none_or(|b| p.bytes < b.bytes) {
            best = Some(p);
        }
    }
    let mut best = best.unwrap_or(Packing { offsets: Vec::new(), bytes: floor, order: Vec::new() });
    let n = best.order.len();
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
            trial.swap(random(n), random(n));
        } else {
            // What reaches highest is placed earlier.
            let top = |&at: &usize| best.offsets[trial[at]] + blocks[trial[at]].bytes;
            let at = (0..n).max_by_key(top).unwrap_or(0);
            let block = trial.remove(at);
            trial.insert(random(at + 1), block);
        }
        let p = packer.place(trial, false);
        if p.bytes <= best.bytes {
            best = p;
        }
    }
    best
}

struct Packer<'a> {
    blocks: &'a [Extent],
    conflicts: &'a Conflicts,
    floor: u64,
    taken: Vec<(i64, i64)>,
    offsets: Vec<Option<i64>>,
}

impl Packer<'_> {
    /// Each block at the lowest place that is free while it lives; or (best fit) in the tightest gap.
    fn place(&mut self, order: Vec<usize>, tightest: bool) -> Packing {
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
            self.taken.sort_unstable();
            let mut at = floor;
            let mut gap: Option<(i64, i64)> = None;
            for &(lo, hi) in &self.taken {
                if at < lo {
                    if !tightest {
                        break;
                    }
                    if gap.is_none_or(|g| lo - at < g.0) {
                        gap = Some((lo - at, at));
                    }
                }
                if at <= hi {
                    at = hi + ALIGN as i64 & !(ALIGN as i64 - 1);
                }
            }
            let at = gap.map_or(at, |g| g.1);
            self.offsets[i] = Some(at);
            bytes = bytes.max(at as u64 + self.blocks[i].bytes);
        }
        let offsets = self.offsets.iter().map(|o| o.unwrap_or(floor) as u64).collect();
        Packing { offsets, bytes, order }
    }
}
