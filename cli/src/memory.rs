//! What of the arena is alive when: the device's own schedule, run without computing anything.

use std::ops::Range;

use anyhow::bail;
use carafe::blob::NONE;
use carafe::schedule::{self, Counters, Next, Plan, State};
use carafe::{Band, Model};

/// No sane plan has more steps; a forged one is not followed further.
const MOST_STEPS: usize = 10_000_000;

/// The arena over time.
#[derive(Debug)]
pub struct Memory {
    /// By buffer: first and last step that needs it.
    pub lives: Vec<Option<(usize, usize)>>,
    /// By node: most bytes alive during any of its steps, row counters included. 0 if it has none.
    pub peaks: Vec<u64>,
    /// Steps of an inference.
    pub steps: usize,
}

struct Rows {
    progress: Vec<u16>,
    parents: Vec<u16>,
}

impl Counters for Rows {
    fn progress(&self, t: u16) -> u16 {
        self.progress.get(usize::from(t)).copied().unwrap_or(0)
    }
    fn set_progress(&mut self, t: u16, rows: u16) {
        if let Some(p) = self.progress.get_mut(usize::from(t)) {
            *p = rows;
        }
    }
    fn parent(&self, n: u16) -> u16 {
        self.parents.get(usize::from(n)).copied().unwrap_or(0)
    }
    fn set_parent(&mut self, n: u16, parent: u16) {
        if let Some(p) = self.parents.get_mut(usize::from(n)) {
            *p = parent;
        }
    }
}

/// Follows the plan of a model.
pub fn follow(model: &Model<'_>) -> anyhow::Result<Memory> {
    let steps = steps(model)?;
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; usize::from(model.buffers())];
    let mut touch = |buffer: u16, step: usize| {
        if let Some(life) = lives.get_mut(usize::from(buffer)) {
            let (first, last) = life.unwrap_or((step, step));
            *life = Some((first.min(step), last.max(step)));
        }
    };
    // What is given as a whole is there before the first step; what is taken, after the last.
    let buffer_of = |t: u16| model.tensor(t).map_or(NONE, |t| t.buffer);
    for io in (0..model.inputs()).filter_map(|i| model.input(i)) {
        let buffer = buffer_of(io.tensor);
        if model.buffer(buffer).is_some_and(|b| b.rows == 0) {
            touch(buffer, 0);
        }
    }
    for io in (0..model.outputs()).filter_map(|i| model.output(i)) {
        touch(buffer_of(io.tensor), steps.len().saturating_sub(1));
    }
    for (i, &(n, band)) in steps.iter().enumerate() {
        let Ok(node) = model.node(n) else { continue };
        let consumes = model.need(n).is_some_and(|need| need.consumes);
        let (reads, writes) = match band {
            Band::Consume(..) => (true, false),
            Band::Produce(..) => (!consumes, true),
        };
        if reads {
            touch(node.in0.buffer, i);
            node.in1.iter().for_each(|t| touch(t.buffer, i));
        }
        if writes {
            touch(node.out.buffer, i);
        }
        node.header.accumulator().iter().for_each(|&b| touch(b, i));
    }

    let counters = model.counter_bytes() as u64;
    let mut blocks: Vec<(Range<usize>, Range<u64>)> = vec![];
    for (buffer, life) in (0..model.buffers()).zip(&lives) {
        if let (Some(b), Some((first, last))) = (model.buffer(buffer), life) {
            blocks.push((*first..last + 1, range(b.offset, b.length)));
        }
    }
    for s in (0..model.segments()).filter_map(|s| model.segment_record(s)) {
        let mine = |n: u16| n >= s.first && n - s.first < s.count;
        let first = steps.iter().position(|(n, _)| mine(*n));
        let last = steps.iter().rposition(|(n, _)| mine(*n));
        if let (Some(first), Some(last), true) = (first, last, s.scratch_length > 0) {
            blocks.push((first..last + 1, range(s.scratch_offset, s.scratch_length)));
        }
    }
    let mut peaks = vec![0; usize::from(model.nodes())];
    let (mut now, mut until) = (0, 0);
    for (i, &(n, _)) in steps.iter().enumerate() {
        if i >= until {
            now = counters + union(blocks.iter().filter(|b| b.0.contains(&i)).map(|b| b.1.clone()));
            let changes = blocks.iter().flat_map(|b| [b.0.start, b.0.end]);
            until = changes.filter(|&c| c > i).min().unwrap_or(usize::MAX);
        }
        if let Some(peak) = peaks.get_mut(usize::from(n)) {
            *peak = now.max(*peak);
        }
    }
    Ok(Memory { lives, peaks, steps: steps.len() })
}

/// The steps of an inference: node and band.
fn steps(model: &Model<'_>) -> anyhow::Result<Vec<(u16, Band)>> {
    let nodes = model.nodes();
    let mut state = State::default();
    let mut rows =
        Rows { progress: vec![0; usize::from(nodes) + model.inputs()], parents: vec![NONE; usize::from(nodes)] };
    for io in (0..model.inputs()).filter_map(|i| model.input(i)) {
        if let Some(t) = model.tensor(io.tensor)
            && model.buffer(t.buffer).is_some_and(|b| b.rows == 0)
        {
            rows.set_progress(io.tensor, t.h);
        }
    }
    let most = MOST_STEPS.min(model.max_steps() as usize);
    let mut steps = vec![];
    loop {
        match schedule::next(model, &mut state, &mut rows) {
            Ok(Next::Done) => return Ok(steps),
            Ok(Next::Step(node, _)) if steps.len() >= most => {
                bail!("its plan takes more than {most} steps (at node {}); convert the model again", node.0)
            }
            Ok(Next::Step(node, band)) => {
                steps.push((node.0, band));
                let consumes = model.is_reduction(node.0);
                schedule::done(&mut state, &mut rows, node, band, consumes);
            }
            // Pushed rows are there as soon as they are asked for.
            Ok(Next::Input(i, row)) => {
                let t = nodes.saturating_add(i);
                if row <= rows.progress(t) {
                    bail!("its plan asks for rows of input {i} that are there; convert the model again");
                }
                rows.set_progress(t, row);
            }
            Err(malformed) => {
                bail!("its plan is wrong at node {}; convert the model again", malformed.0.0)
            }
        }
    }
}

fn range(offset: u32, length: u32) -> Range<u64> {
    u64::from(offset)..u64::from(offset) + u64::from(length)
}

/// Bytes that lie in any of the ranges.
fn union(ranges: impl Iterator<Item = Range<u64>>) -> u64 {
    let mut all: Vec<Range<u64>> = ranges.collect();
    all.sort_by_key(|r| r.start);
    let (mut bytes, mut end) = (0, 0);
    for r in all {
        bytes += r.end.saturating_sub(r.start.max(end));
        end = end.max(r.end);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::union;

    #[test]
    fn overlaps_count_once() {
        assert_eq!(union([5..10, 0..3, 8..12, 9..10].into_iter()), 10);
        assert_eq!(union(std::iter::empty()), 0);
    }
}
