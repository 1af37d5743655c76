//! How two blocks may lie to each other.
//!
//! Rows of a map die in the order in which they were made, so that a map made later may follow at some distance behind
//! the rows that are read for the last time. What that distance is, between two blocks, does not depend on where the
//! others lie: it is found once, and packing only adds offsets.

use super::block::{Block, Cell, Life, What};

/// A block that is met, and the forbidden differences of offsets (one's own minus the other's): closed intervals in order.
pub(super) type Forbidden = (usize, Vec<(i64, i64)>);

/// By block: the others that it meets.
#[derive(Clone, Debug)]
pub(super) struct Conflicts {
    of: Vec<Vec<Forbidden>>,
}

impl Conflicts {
    /// Of all pairs.
    pub fn new(blocks: &[Block]) -> Self {
        let shapes: Vec<Option<Shape>> = blocks.iter().map(Shape::of).collect();
        let mut of: Vec<Vec<Forbidden>> = vec![Vec::new(); blocks.len()];
        for (i, a) in blocks.iter().enumerate() {
            for (j, b) in blocks.iter().enumerate().skip(i + 1) {
                let (Some(sa), Some(sb)) = (&shapes[i], &shapes[j]) else { continue };
                // Of two nodes, one works after the other.
                let both_scratch = matches!((a.what, b.what), (What::Scratch(..), What::Scratch(..)));
                if both_scratch || !meet(sa.hull, sb.hull) {
                    continue;
                }
                let forbidden = between(a, b, sb);
                if forbidden.is_empty() {
                    continue;
                }
                of[j].push((i, forbidden.iter().rev().map(|&(lo, hi)| (-hi, -lo)).collect()));
                of[i].push((j, forbidden));
            }
        }
        Self { of }
    }

    /// Of block `i`.
    pub fn of(&self, i: usize) -> &[Forbidden] {
        &self.of[i]
    }
}

struct Shape {
    hull: Life,
    /// Every cell has one life, and those begin and end in order.
    steady: bool,
}

impl Shape {
    fn of(block: &Block) -> Option<Self> {
        let hull = block.hull()?;
        let one = block.cells.iter().all(|c| c.lives.len() == 1);
        let in_order = |w: &[Cell]| w[0].lives[0].0 <= w[1].lives[0].0 && w[0].lives[0].1 <= w[1].lives[0].1;
        Some(Self { hull, steady: one && block.cells.windows(2).all(in_order) })
    }
}

/// Forbidden values of offset(a) − offset(b).
fn between(a: &Block, b: &Block, shape: &Shape) -> Vec<(i64, i64)> {
    let mut all: Vec<(i64, i64)> = Vec::new();
    let mut forbid = |cell: &Cell, from: u64, to: u64| {
        all.push((from as i64 - cell.bytes.end as i64 + 1, to as i64 - cell.bytes.start as i64 - 1));
    };
    for cell in &a.cells {
        if shape.steady {
            // What meets a life is then one run of cells.
            for &(first, last) in &cell.lives {
                let from = b.cells.partition_point(|c| c.lives[0].1 < first);
                let to = b.cells.partition_point(|c| c.lives[0].0 <= last);
                if let Some(run) = b.cells.get(from..to)
                    && let (Some(low), Some(high)) = (run.first(), run.last())
                {
                    // Cells that are never touched may lie between: then this forbids a little too much.
                    forbid(cell, low.bytes.start, high.bytes.end);
                }
            }
        } else {
            for other in b.cells.iter().filter(|c| any_meet(&cell.lives, &c.lives)) {
                forbid(cell, other.bytes.start, other.bytes.end);
            }
        }
    }
    all.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (lo, hi) in all {
        match merged.last_mut() {
            Some(last) if lo <= last.1 + 1 => last.1 = last.1.max(hi),
            _ => merged.push((lo, hi)),
        }
    }
    merged
}

fn meet(a: Life, b: Life) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

/// True if a life of one list meets a life of the other.
fn any_meet(a: &[Life], b: &[Life]) -> bool {
    let (mut i, mut j) = (0, 0);
    while let (Some(&x), Some(&y)) = (a.get(i), b.get(j)) {
        if meet(x, y) {
            return true;
        }
        if x.1 < y.0 { i += 1 } else { j += 1 }
    }
    false
}
