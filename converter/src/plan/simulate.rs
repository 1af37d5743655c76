//! Runs a draft through the device's schedule, with rings that never fill, and notes what the rings would have needed.

use carafe::Need;
use carafe::schedule::{self, Counters, Demand, MADE, Next, Plan, State};

use super::storage::{Storage, tensor};
use super::{Block, PlanError, PlanOptions};
use crate::lower::Lowered;

/// What a block of memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Tensors of a group.
    Group(usize),
    /// Accumulator of a node.
    Aux(usize),
    /// Scratch of a segment.
    Scratch(usize),
}

/// What a simulation found.
#[derive(Debug)]
pub(super) struct Trace {
    pub blocks: Vec<Block>,
    pub segments: Vec<(u16, u16)>,
    pub sinks: Vec<bool>,
    pub steps: u32,
}

/// A model with cuts.
pub(super) struct Draft<'a> {
    model: &'a Lowered,
    needs: &'a [Need],
    storage: &'a Storage,
    segments: Vec<(u16, u16)>,
    sinks: Vec<bool>,
    demands: Vec<Demand>,
    /// By group: its tensors have to be there as a whole.
    whole: Vec<bool>,
    push_rows: bool,
}

impl<'a> Draft<'a> {
    pub fn new(
        model: &'a Lowered,
        needs: &'a [Need],
        storage: &'a Storage,
        cuts: &[bool],
        options: &PlanOptions,
    ) -> Self {
        let nodes = model.nodes.len();
        let mut segments: Vec<(u16, u16)> = Vec::new();
        let mut segment_of = vec![0usize; nodes];
        for n in 0..nodes {
            match segments.last_mut() {
                Some(last) if !(cuts[n] && n > 0) => last.1 += 1,
                _ => segments.push((n as u16, 1)),
            }
            segment_of[n] = segments.len() - 1;
        }
        let mut is_output = vec![false; nodes + model.inputs.len()];
        for (_, o) in &model.outputs {
            is_output[tensor(model, *o)] = true;
        }
        let leaves = |n: usize| {
            let users = storage.users(n);
            is_output[n] || users.is_empty() || users.iter().any(|&u| segment_of[u] != segment_of[n])
        };
        let sinks: Vec<bool> = (0..nodes).map(leaves).collect();
        let demands: Vec<Demand> = (0..nodes)
            .map(|n| {
                let mut node = model.node(n);
                node.header.in0 = tensor(model, model.nodes[n].inputs[0]) as u16;
                if let Some(&i) = model.nodes[n].inputs.get(1) {
                    node.header.in1 = tensor(model, i) as u16;
                }
                carafe::demand(&node, &needs[n])
            })
            .collect();
        let mut whole = vec![false; storage.groups()];
        for t in 0..nodes + model.inputs.len() {
            let input = t >= nodes;
            let reader_elsewhere = storage.users(t).iter().any(|&u| segment_of[u] != 0);
            let must = is_output[t]
                || (!input && sinks[t])
                || (input && (!options.push_rows || reader_elsewhere))
                || storage.users(t).iter().any(|&u| needs[u].view && needs[u].windows[0] == carafe::Window::ALL);
            whole[storage.place(t).group] |= must;
        }
        Self { model, needs, storage, segments, sinks, demands, whole, push_rows: options.push_rows }
    }

    fn h(&self, t: usize) -> u16 {
        let nodes = self.model.nodes.len();
        if t < nodes { self.model.nodes[t].out.h } else { self.model.inputs[t - nodes].info.h }
    }

    /// First row of tensor `t` that somebody still has to read.
    fn needed(&self, t: usize, counters: &Count) -> u16 {
        let mut low = u16::MAX;
        for &u in self.storage.users(t) {
            let d = &self.demands[u];
            let p = counters.progress(u as u16);
            if d.consumes {
                low = low.min(if p == MADE { u16::MAX } else { p });
                continue;
            }
            if p >= d.h {
                continue;
            }
            for (input, h, window) in d.inputs.iter().flatten() {
                if usize::from(*input) == t {
                    let y1 = p.saturating_add(u16::from(d.band)).min(d.h);
                    low = low.min(window.rows(p, y1, *h).0);
                }
            }
        }
        low
    }
}

impl Plan for Draft<'_> {
    fn nodes(&self) -> u16 {
        self.model.nodes.len() as u16
    }
    fn segment(&self, index: u16) -> Option<(u16, u16)> {
        self.segments.get(usize::from(index)).copied()
    }
    fn is_sink(&self, node: u16) -> bool {
        self.sinks[usize::from(node)]
    }
    fn is_reduction(&self, node: u16) -> bool {
        self.needs[usize::from(node)].consumes
    }
    fn demand(&self, node: u16) -> Option<Demand> {
        self.demands.get(usize::from(node)).copied()
    }
}

struct Count {
    progress: Vec<u16>,
    parents: Vec<u16>,
}

impl Counters for Count {
    fn progress(&self, t: u16) -> u16 {
        self.progress[usize::from(t)]
    }
    fn set_progress(&mut self, t: u16, rows: u16) {
        self.progress[usize::from(t)] = rows;
    }
    fn parent(&self, n: u16) -> u16 {
        self.parents[usize::from(n)]
    }
    fn set_parent(&mut self, n: u16, parent: u16) {
        self.parents[usize::from(n)] = parent;
    }
}

/// First and last step, and rows, of a group.
#[derive(Clone, Copy)]
struct Use {
    first: u32,
    last: u32,
    rows: u16,
}

impl Use {
    fn touch(&mut self, step: u32) {
        self.first = self.first.min(step);
        self.last = self.last.max(step);
    }
}

/// Simulates a draft.
pub(super) fn run(mut draft: Draft<'_>) -> Result<Trace, PlanError> {
    // A pushed input that would need a ring of all its rows, or that nobody reads, is there as a whole; and then it is
    // there from the beginning, which changes the order of steps and the lifetimes.
    loop {
        let trace = simulate(&draft)?;
        let nodes = draft.model.nodes.len();
        let input = |g: usize| draft.storage.members(g).iter().any(|&t| t >= nodes);
        let grown = trace.blocks.iter().find_map(|b| match b.what {
            What::Group(g) if b.rows == 0 && !draft.whole[g] && draft.push_rows && input(g) => Some(g),
            _ => None,
        });
        match grown {
            Some(g) => draft.whole[g] = true,
            None => return Ok(trace),
        }
    }
}

fn simulate(draft: &Draft<'_>) -> Result<Trace, PlanError> {
    let nodes = draft.model.nodes.len();
    let tensors = nodes + draft.model.inputs.len();
    let mut counters = Count { progress: vec![0; tensors], parents: vec![u16::MAX; nodes] };
    let unused = Use { first: u32::MAX, last: 0, rows: 0 };
    let mut groups = vec![unused; draft.storage.groups()];
    let mut aux = vec![unused; nodes];
    let mut scratch = vec![unused; draft.segments.len()];
    for t in nodes..tensors {
        let g = draft.storage.place(t).group;
        if draft.whole[g] || !draft.push_rows {
            counters.progress[t] = draft.h(t);
            // The user fills it before the first step.
            groups[g].touch(0);
        }
    }
    let mut state = State::default();
    let mut step = 0u32;
    loop {
        let next = schedule::next(draft, &mut state, &mut counters)
            .map_err(|schedule::Malformed(n)| PlanError::Schedule(usize::from(n.0)))?;
        step += 1;
        let (node, band) = match next {
            Next::Done => break,
            Next::Step(node, band) => (usize::from(node.0), band),
            Next::Input(i, _) => {
                let t = nodes + usize::from(i);
                let g = draft.storage.place(t).group;
                let y1 = counters.progress[t] + 1;
                groups[g].touch(step);
                hold(draft, &counters, &mut groups[g], g, y1);
                counters.progress[t] = y1;
                continue;
            }
        };
        let need = &draft.needs[node];
        for &i in &draft.model.nodes[node].inputs {
            groups[draft.storage.place(tensor(draft.model, i)).group].touch(step);
        }
        if need.aux > 0 {
            aux[node].touch(step);
        }
        if need.scratch > 0 {
            let s = &mut scratch[usize::from(state.segment())];
            s.touch(step);
        }
        if let carafe::Band::Produce(_, y1) = band {
            let g = draft.storage.place(node).group;
            groups[g].touch(step);
            hold(draft, &counters, &mut groups[g], g, y1);
        }
        schedule::done(&mut state, &mut counters, carafe::NodeId(node as u16), band, need.consumes);
    }
    for (_, o) in &draft.model.outputs {
        groups[draft.storage.place(tensor(draft.model, *o)).group].touch(step);
    }

    let mut blocks = Vec::new();
    for (g, u) in groups.iter().enumerate() {
        let members = draft.storage.members(g);
        if members.is_empty() {
            continue;
        }
        // A tensor that nobody makes (all readers look into padding) still has its place.
        let (first, last) = if u.first == u32::MAX { (0, 0) } else { (u.first, u.last) };
        let extent = |t: &usize| {
            let info = draft.model.info(if *t < nodes {
                crate::lower::Operand::Node(*t)
            } else {
                crate::lower::Operand::Input(*t - nodes)
            });
            let place = draft.storage.place(*t);
            let row = u64::from(info.w) * u64::from(place.pixel_stride);
            (u64::from(info.h) * row, row, info.h)
        };
        let (bytes, row, h) = members.iter().map(extent).max().unwrap_or((0, 0, 0));
        let ring = !draft.whole[g] && (1..h).contains(&u.rows);
        let (bytes, rows) = if ring { (u64::from(u.rows) * row, u.rows) } else { (bytes, 0) };
        blocks.push(Block { what: What::Group(g), bytes, rows, first, last });
    }
    for (n, u) in aux.iter().enumerate().filter(|(n, _)| draft.needs[*n].aux > 0) {
        let bytes = u64::from(draft.needs[n].aux);
        // So has the accumulator of a reduction that nobody asks for.
        let (first, last) = if u.first == u32::MAX { (0, 0) } else { (u.first, u.last) };
        blocks.push(Block { what: What::Aux(n), bytes, rows: 0, first, last });
    }
    for (s, u) in scratch.iter().enumerate().filter(|(_, u)| u.first != u32::MAX) {
        let (first, count) = draft.segments[s];
        let nodes = &draft.needs[usize::from(first)..usize::from(first + count)];
        let bytes = u64::from(nodes.iter().map(|n| n.scratch).max().unwrap_or(0));
        blocks.push(Block { what: What::Scratch(s), bytes, rows: 0, first: u.first, last: u.last });
    }
    Ok(Trace { blocks, segments: draft.segments.clone(), sinks: draft.sinks.clone(), steps: step })
}

/// Rows up to `y1` are about to be written to a group: how many rows would a ring have to hold?
fn hold(draft: &Draft<'_>, counters: &Count, group: &mut Use, g: usize, y1: u16) {
    let low = draft.storage.members(g).iter().map(|&m| draft.needed(m, counters)).min().unwrap_or(0);
    group.rows = group.rows.max(y1 - low.min(y1 - 1));
}
