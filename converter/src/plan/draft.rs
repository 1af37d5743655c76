//! A whole plan before anything is placed: segments one after the other, and the blocks of memory that they need.

use std::sync::Arc;

use super::block::{Block, Cell, Life, NEVER, What, alive, touch};
use super::net::Net;
use super::segment::{Segment, bytes};
use super::storage::tensor;
use super::walk::Length;

/// Segments that follow each other.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub segments: Vec<Arc<Segment>>,
    pub blocks: Vec<Block>,
    pub length: Length,
}

impl Draft {
    /// With `grow`, every row has a lifetime of its own.
    pub fn of(net: &Net<'_>, segments: Vec<Arc<Segment>>, grow: bool) -> Self {
        let nodes = net.nodes();
        let mut lives: Vec<Option<Vec<Life>>> = vec![None; net.storage.groups()];
        let mut rings = vec![0u16; net.storage.groups()];
        let mut aux: Vec<Option<Life>> = net.needs.iter().map(|n| (n.aux > 0).then_some(NEVER)).collect();
        let mut scratch = Vec::new();
        let (mut base, mut steps) = (0, 0);
        for segment in &segments {
            let shift = |life: Life| if life == NEVER { NEVER } else { (life.0 + base, life.1 + base) };
            for t in &segment.groups {
                rings[t.group] = t.ring;
                let known = lives[t.group].get_or_insert_with(|| vec![NEVER; t.lives.len()]);
                for (to, life) in known.iter_mut().zip(&t.lives).filter(|(_, l)| **l != NEVER) {
                    let life = shift(*life);
                    touch(to, life.0);
                    touch(to, life.1);
                }
            }
            segment.aux.iter().for_each(|&(n, life)| aux[n] = Some(shift(life)));
            for s in &segment.scratch {
                let lives = s.lives.iter().map(|&life| shift(life)).collect();
                scratch.push(Block::recurring(What::Scratch(s.node, s.other), s.bytes, lives));
            }
            base += segment.length.ticks;
            steps += segment.length.steps;
        }
        // The user fills inputs before the first step and reads outputs after the last.
        let mut keep = |t: usize, h: u16, tick: u32| {
            let group = net.storage.place(t).group;
            let units = &net.storage.shape_of(group).units;
            let known = lives[group].get_or_insert_with(|| vec![NEVER; units.len()]);
            let (from, to) = bytes(net, t, 0, h);
            known[units.touched(from..to)].iter_mut().for_each(|life| touch(life, tick));
        };
        for (i, input) in net.model.inputs.iter().enumerate() {
            if !segments.first().is_some_and(|s| s.pushed.contains(&(nodes + i))) {
                keep(nodes + i, input.info.h, 0);
            }
        }
        for (info, o) in &net.model.outputs {
            keep(tensor(net.model, *o), info.info.h, base);
        }
        let mut blocks: Vec<Block> = Vec::new();
        for (g, known) in lives.iter().enumerate().filter(|(g, _)| !net.storage.members(*g).is_empty()) {
            blocks.push(group(net, g, known.as_deref().unwrap_or(&[]), rings[g]));
        }
        for (n, life) in aux.iter().enumerate() {
            blocks.extend(life.map(|life| Block::solid(What::Aux(n), u64::from(net.needs[n].aux), life)));
        }
        blocks.extend(scratch);
        if !grow {
            blocks = blocks.into_iter().map(Block::coarse).collect();
        }
        Self { segments, blocks, length: Length { ticks: base, steps } }
    }

    /// The most bytes alive at a tick: no packing takes less.
    pub fn bound(&self) -> u64 {
        alive(&self.blocks, self.length.ticks).into_iter().max().unwrap_or(0)
    }
}

/// The block of a group: its rows, or the slots of its ring.
fn group(net: &Net<'_>, g: usize, lives: &[Life], ring: u16) -> Block {
    let shape = net.storage.shape_of(g);
    // State is placed apart: it takes nothing of what is searched for.
    if net.storage.is_state(g, &net.needs) {
        return Block::solid(What::Group(g), 0, NEVER);
    }
    if ring == 0 {
        let cell = |(unit, life): (usize, &Life)| Cell {
            bytes: shape.units.bytes(unit),
            lives: if *life == NEVER { vec![] } else { vec![*life] },
        };
        return Block::of(What::Group(g), shape.bytes, 0, lives.iter().enumerate().map(cell));
    }
    // Row 0 lies in the slot that its lead says.
    let shift = usize::from(ring) - usize::from(net.lead(g));
    let slot = |slot: usize| {
        let rows = lives.iter().skip((slot + shift) % usize::from(ring)).step_by(usize::from(ring));
        Cell {
            bytes: slot as u64 * shape.row..(slot as u64 + 1) * shape.row,
            lives: rows.copied().filter(|l| *l != NEVER).collect(),
        }
    };
    let bytes = u64::from(ring) * shape.row;
    Block::of(What::Group(g), bytes, ring, (0..usize::from(ring)).map(slot))
}
