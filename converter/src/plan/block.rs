//! Memory with lifetimes, piece by piece.

use std::ops::Range;

use super::pack::Extent;

/// What a block of memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Tensors of a group.
    Group(usize),
    /// Accumulator of a node.
    Aux(usize),
    /// Scratch of a node, at one of its places ([`carafe::blob::ScratchRecord::is_other`]).
    Scratch(usize, bool),
}

/// When something is needed: from its first tick to its last, both of them included.
pub(super) type Life = (u32, u32);

/// The life of what is never touched.
pub(super) const NEVER: Life = (u32::MAX, 0);

/// Lengthens a life so that it holds a tick.
pub(super) fn touch(life: &mut Life, tick: u32) {
    life.0 = life.0.min(tick);
    life.1 = life.1.max(tick);
}

/// Adds a tick, not before the last one, to lives that are in order.
pub(super) fn again(lives: &mut Vec<Life>, tick: u32) {
    match lives.last_mut() {
        Some(last) if tick <= last.1 + 1 => last.1 = tick,
        _ => lives.push((tick, tick)),
    }
}

/// Bytes of a block that live together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// Bytes, counted in the block.
    pub bytes: Range<u64>,
    /// Lives, in order and apart from each other: more than one in the slots of a ring.
    pub lives: Vec<Life>,
}

/// Memory that is placed in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub what: What,
    pub bytes: u64,
    /// Rows of a ring, or 0.
    pub rows: u16,
    /// In order; what is never touched is in none.
    pub cells: Vec<Cell>,
}

impl Block {
    /// Bytes that are needed now and again.
    pub fn recurring(what: What, bytes: u64, lives: Vec<Life>) -> Self {
        Self { what, bytes, rows: 0, cells: vec![Cell { bytes: 0..bytes, lives }] }
    }

    /// Bytes that live together.
    pub fn solid(what: What, bytes: u64, life: Life) -> Self {
        let cells = if life == NEVER { vec![] } else { vec![Cell { bytes: 0..bytes, lives: vec![life] }] };
        Self { what, bytes, rows: 0, cells }
    }

    /// A block of cells; neighbours with equal lives become one.
    pub fn of(what: What, bytes: u64, rows: u16, cells: impl Iterator<Item = Cell>) -> Self {
        let mut all: Vec<Cell> = Vec::new();
        for cell in cells.filter(|c| !c.lives.is_empty()) {
            match all.last_mut() {
                Some(last) if last.bytes.end == cell.bytes.start && last.lives == cell.lives => {
                    last.bytes.end = cell.bytes.end;
                }
                _ => all.push(cell),
            }
        }
        Self { what, bytes, rows, cells: all }
    }

    /// From the first tick that needs any of it to the last.
    pub fn hull(&self) -> Option<Life> {
        let lives = || self.cells.iter().flat_map(|c| [c.lives.first(), c.lives.last()]).flatten();
        Some((lives().map(|l| l.0).min()?, lives().map(|l| l.1).max()?))
    }

    /// The block as if all of it lived as long as any of it; but for scratch, which is nobody's from step to step.
    pub fn coarse(self) -> Self {
        if matches!(self.what, What::Scratch(..)) {
            return self;
        }
        let life = self.hull().unwrap_or(NEVER);
        Self { rows: self.rows, ..Self::solid(self.what, self.bytes, life) }
    }

    /// For orders of packing.
    pub fn extent(&self) -> Extent {
        let (first, last) = self.hull().unwrap_or((0, 0));
        Extent { bytes: self.bytes, first, last, recurring: matches!(self.what, What::Scratch(..)) }
    }
}

/// Bytes alive at each tick up to `ticks`, as (tick, change) pairs summed up.
pub(super) fn alive(blocks: &[Block], ticks: u32) -> Vec<u64> {
    let mut change = vec![0i64; ticks as usize + 2];
    for cell in blocks.iter().flat_map(|b| &b.cells) {
        let bytes = (cell.bytes.end - cell.bytes.start) as i64;
        for &(first, last) in &cell.lives {
            change[first as usize] += bytes;
            change[last as usize + 1] -= bytes;
        }
    }
    let mut now = 0;
    change[..=ticks as usize]
        .iter()
        .map(|c| {
            now += c;
            now as u64
        })
        .collect()
}
