//! Packs blocks with lifetimes into as few bytes as a few greedy orders and some luck find.

use super::simulate::What;

/// Memory with a lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is for.
    pub what: What,
    /// Length.
    pub bytes: u64,
    /// Rows of a ring, or 0.
    pub rows: u16,
    /// First step that needs it.
    pub first: u32,
    /// Last step that needs it.
    pub last: u32,
}

impl Block {
    fn meets(&self, other: &Block) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Offsets of blocks, in their order.
#[derive(Clone, Debug)]
pub(super) struct Packing {
    pub offsets: Vec<u64>,
    pub bytes: u64,
}

/// Blocks begin at multiples of this, so that word loads of a row are aligned.
const ALIGN: u64 = 4;

/// Puts blocks behind `floor`.
pub(super) fn pack(blocks: &[Block], floor: u64) -> Packing {
    let floor = floor.next_multiple_of(ALIGN);
    let by = |key: &dyn Fn(&Block) -> (u64, u64)| {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(key(&blocks[i])));
        order
    };
    let length = |b: &Block| u64::from(b.last - b.first + 1);
    let orders = [
        by(&|b| (b.bytes, length(b))),
        by(&|b| (b.bytes * length(b), b.bytes)),
        by(&|b| (length(b), b.bytes)),
        by(&|b| (u64::from(u32::MAX - b.first), b.bytes)),
    ];
    let mut best: Option<(Packing, Vec<usize>)> = None;
    for order in orders {
        let p = first_fit(blocks, &order, floor);
        if best.as_ref().is_none_or(|b| p.bytes < b.0.bytes) {
            best = Some((p, order));
        }
    }
    let Some((mut packing, mut order)) = best else { return Packing { offsets: Vec::new(), bytes: floor } };
    // No packing beats the step with the most live bytes: stop there, or after a fixed number of swaps.
    let bound = floor + lower_bound(blocks);
    let mut seed = 0x2545_F491u32;
    let mut random = |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as usize % n
    };
    for _ in 0..64 {
        if packing.bytes <= bound || order.len() < 2 {
            break;
        }
        let mut trial = order.clone();
        let (a, b) = (random(trial.len()), random(trial.len()));
        trial.swap(a, b);
        let p = first_fit(blocks, &trial, floor);
        if p.bytes <= packing.bytes {
            (packing, order) = (p, trial);
        }
    }
    packing
}

/// The most bytes alive at one step.
pub(super) fn lower_bound(blocks: &[Block]) -> u64 {
    let alive = |s: u32| blocks.iter().filter(|b| b.first <= s && s <= b.last).map(|b| b.bytes).sum();
    blocks.iter().map(|b| alive(b.first)).max().unwrap_or(0)
}

/// Each block at the lowest place where it meets no block that is there already.
fn first_fit(blocks: &[Block], order: &[usize], floor: u64) -> Packing {
    let mut offsets = vec![0; blocks.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut bytes = floor;
    for &i in order {
        let b = &blocks[i];
        let mut taken: Vec<(u64, u64)> = placed
            .iter()
            .filter(|&&j| blocks[j].meets(b))
            .map(|&j| (offsets[j], offsets[j] + blocks[j].bytes))
            .collect();
        taken.sort_unstable();
        let mut at = floor;
        for (from, to) in taken {
            if at + b.bytes <= from {
                break;
            }
            at = at.max(to.next_multiple_of(ALIGN));
        }
        offsets[i] = at;
        placed.push(i);
        bytes = bytes.max(at + b.bytes);
    }
    Packing { offsets, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_that_meet_never_overlap(raw in proptest::collection::vec((1u64..2000, 0u32..50, 0u32..20), 1..30)) {
            let blocks: Vec<Block> = raw
                .iter()
                .enumerate()
                .map(|(i, &(bytes, first, length))| Block { what: What::Group(i), bytes, rows: 0, first, last: first + length })
                .collect();
            let p = pack(&blocks, 10);
            for (i, a) in blocks.iter().enumerate() {
                prop_assert!(p.offsets[i] >= 10 && p.offsets[i].is_multiple_of(4) && p.offsets[i] + a.bytes <= p.bytes);
                for (j, b) in blocks.iter().enumerate().skip(i + 1) {
                    let apart = p.offsets[i] + a.bytes <= p.offsets[j] || p.offsets[j] + b.bytes <= p.offsets[i];
                    prop_assert!(apart || !a.meets(b));
                }
            }
            prop_assert!(p.bytes >= lower_bound(&blocks));
        }
    }
}
