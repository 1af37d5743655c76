//! Plans whose segments can be jobs of an accelerator ([`carafe::offload`]).
//!
//! Cuts come from the rule, not from the search for the smallest arena. Then the buffers are packed again by what a job
//! needs: what it reads stays, and what it leaves is free, for as long as the whole segment takes. Where a job and the
//! segment behind it do not need each other, the two are kept apart in memory, so that CPU and accelerator can work at
//! the same time.

use std::ops::Range;

use carafe::blob::{BufferRecord, NONE, ScratchRecord};
use carafe::offload::PORTS;
use carafe::{Need, OpCode};

use super::net::need;
use super::storage::tensor;
use super::{Life, Plan, PlanError, PlanOptions, plan};
use crate::lower::{Lowered, Operand};

/// Which nodes may go to an accelerator together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRule {
    /// What it can do.
    pub ops: Vec<OpCode>,
    /// Bytes that the maps of a job take at most, each there as a whole from the node that makes it to its last reader.
    pub max_bytes: u64,
    /// Nodes of a job at most.
    pub max_nodes: usize,
    /// Begin a job behind every fork and at every join, and keep neighbours that do not need each other apart in memory.
    /// Takes more memory.
    pub overlap: bool,
}

impl JobRule {
    /// Jobs of any length of what a device can do, as far as the maps go into so many bytes.
    pub fn new(ops: &[OpCode], max_bytes: u64) -> Self {
        Self { ops: ops.to_vec(), max_bytes, max_nodes: usize::MAX, overlap: false }
    }
}

/// Plans a model for a CPU with an accelerator. `options` hold but for the cuts, and
/// for growing, which jobs leave no room for.
///
/// # Errors
/// As [`plan`].
pub fn plan_jobs(model: &Lowered, options: &PlanOptions, rule: &JobRule) -> Result<Plan, PlanError> {
    let needs: Vec<Need> = (0..model.nodes.len()).map(|n| need(model, n, 1)).collect::<Result<_, _>>()?;
    let (cuts, is_job) = Cutter::new(model, &needs, rule).cut();
    let drawn = plan(model, &PlanOptions { cuts: Some(cuts), grow: false, ..options.clone() })?;
    Repack::new(model, drawn, is_job, rule.overlap).run()
}

/// Finds the cuts.
struct Cutter<'a> {
    model: &'a Lowered,
    needs: &'a [Need],
    rule: &'a JobRule,
    /// By tensor: nodes that read it.
    users: Vec<Vec<usize>>,
    is_output: Vec<bool>,
}

impl<'a> Cutter<'a> {
    fn new(model: &'a Lowered, needs: &'a [Need], rule: &'a JobRule) -> Self {
        let tensors = model.nodes.len() + model.inputs.len();
        let mut users = vec![Vec::new(); tensors];
        for (n, node) in model.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&i| users[tensor(model, i)].push(n));
        }
        users.iter_mut().for_each(Vec::dedup);
        let mut is_output = vec![false; tensors];
        model.outputs.iter().for_each(|(_, o)| is_output[tensor(model, *o)] = true);
        Self { model, needs, rule, users, is_output }
    }

    /// Nodes that begin a segment (but the first), and by segment: it is meant for the accelerator.
    fn cut(&self) -> (Vec<usize>, Vec<bool>) {
        let mut cuts = Vec::new();
        let mut is_job: Vec<bool> = Vec::new();
        let mut first = 0;
        for n in 0..self.model.nodes.len() {
            let able = self.fits(&(n..n + 1));
            let Some(&before) = is_job.last() else {
                is_job.push(able);
                continue;
            };
            if before != able || (able && !self.joins(n, first)) {
                cuts.push(n);
                is_job.push(able);
                first = n;
            }
        }
        (cuts, is_job)
    }

    /// True if node `n` can go with the job that begins at `first`.
    fn joins(&self, n: usize, first: usize) -> bool {
        let inside = |i: &Operand| matches!(i, Operand::Node(t) if (first..n).contains(t));
        let outside = |i: &Operand| matches!(i, Operand::Node(t) if *t < first);
        let inputs = &self.model.nodes[n].inputs;
        let branches = self.users[n - 1].len() > 1 || !inputs.iter().any(inside) || inputs.iter().any(outside);
        !(self.rule.overlap && branches) && self.fits(&(first..n + 1))
    }

    /// True if nodes can be a job.
    fn fits(&self, nodes: &Range<usize>) -> bool {
        let able = |n: usize| self.rule.ops.contains(&self.model.nodes[n].op);
        if nodes.len() > self.rule.max_nodes || !nodes.clone().all(able) {
            return false;
        }
        let leaves =
            |t: usize| self.is_output[t] || self.users[t].is_empty() || self.users[t].iter().any(|u| *u >= nodes.end);
        let mut inputs: Vec<usize> =
            nodes.clone().flat_map(|n| &self.model.nodes[n].inputs).map(|&i| tensor(self.model, i)).collect();
        inputs.retain(|t| !nodes.contains(t));
        inputs.sort_unstable();
        inputs.dedup();
        let outputs = nodes.clone().filter(|&n| leaves(n)).count();
        if inputs.len() > PORTS || outputs > PORTS {
            return false;
        }
        // Bytes of every map, and from which to which node it is there.
        let last = |t: usize| {
            let read = self.users[t].iter().copied().filter(|u| nodes.contains(u)).max();
            if nodes.contains(&t) && leaves(t) { nodes.end } else { read.unwrap_or(t.min(nodes.end)) }
        };
        let bytes = |t: usize| {
            let info = match t.checked_sub(self.model.nodes.len()) {
                Some(i) => self.model.inputs[i].info,
                None => self.model.nodes[t].out,
            };
            info.bytes() as u64
        };
        let lives: Vec<(u64, usize, usize)> = (inputs.iter().map(|&t| (bytes(t), nodes.start, last(t))))
            .chain(nodes.clone().map(|n| (bytes(n), n, last(n))))
            .chain(nodes.clone().map(|n| (self.needs[n].work_bytes() as u64, n, n)))
            .collect();
        let alive = |at: usize| lives.iter().filter(|l| l.1 <= at && at <= l.2).map(|l| l.0).sum::<u64>();
        nodes.clone().all(|n| alive(n) <= self.rule.max_bytes)
    }
}

/// A buffer while it is packed.
#[derive(Clone, Debug)]
struct Piece {
    bytes: u64,
    rows: u16,
    /// Segments with nodes that touch it.
    touched: Vec<usize>,
    /// First and last segment in which it must not be anybody else's.
    span: (usize, usize),
    /// First and last step, where the drawn plan knows.
    steps: Option<(u32, u32)>,
    life: Option<Life>,
}

impl Piece {
    /// Segments that it is there for.
    fn length(&self) -> u64 {
        (self.span.1.saturating_sub(self.span.0) + 1) as u64
    }

    fn touch(&mut self, segment: usize) {
        if !self.touched.contains(&segment) {
            self.touched.push(segment);
        }
        self.span = (self.span.0.min(segment), self.span.1.max(segment));
    }
}

/// What pieces are sorted by before they are placed.
type Key = fn(&Piece) -> (u64, u64);

/// Packs a plan again.
struct Repack<'a> {
    model: &'a Lowered,
    plan: Plan,
    segment_of: Vec<usize>,
    /// By segment: steps alone do not tell who needs what when.
    whole: Vec<bool>,
    /// By segment: it and the one behind it may run at the same time.
    beside: Vec<bool>,
}

impl<'a> Repack<'a> {
    fn new(model: &'a Lowered, plan: Plan, is_job: Vec<bool>, overlap: bool) -> Self {
        let count = |s: &carafe::blob::SegmentRecord| usize::from(s.count);
        let segment_of: Vec<usize> =
            plan.segments.iter().enumerate().flat_map(|(i, s)| std::iter::repeat_n(i, count(s))).collect();
        let mut whole = is_job.clone();
        let mut beside = vec![false; is_job.len()];
        for k in 0..is_job.len().saturating_sub(1) {
            let reads = |n: usize| {
                let of = |i: &Operand| matches!(i, Operand::Node(t) if segment_of[*t] == k);
                segment_of[n] == k + 1 && model.nodes[n].inputs.iter().any(of)
            };
            if overlap && is_job[k] && !(0..model.nodes.len()).any(reads) {
                beside[k] = true;
                whole[k + 1] = true;
            }
        }
        Self { model, plan, segment_of, whole, beside }
    }

    /// By tensor: the buffer that it lies in. Those of the drawn plan, but a result of a job that overwrites an operand
    /// from outside gets a new one.
    fn homes(&self) -> (Vec<usize>, Vec<u64>) {
        let drawn = &self.plan.tensors;
        let mut home: Vec<usize> = drawn.iter().map(|p| usize::from(p.buffer)).collect();
        let mut new = Vec::new();
        for (n, node) in self.model.nodes.iter().enumerate() {
            match node.op {
                OpCode::Concat => continue,
                OpCode::Reshape => home[n] = home[tensor(self.model, node.inputs[0])],
                _ => {
                    let over = node.inputs.iter().map(|&i| tensor(self.model, i)).find(|&t| drawn[t] == drawn[n]);
                    let Some(t) = over else { continue };
                    let same = t < n && self.segment_of[t] == self.segment_of[n];
                    if same || !self.whole[self.segment_of[n]] {
                        home[n] = home[t];
                    } else {
                        home[n] = self.plan.buffers.len() + new.len();
                        new.push(node.out.bytes() as u64);
                    }
                }
            }
        }
        (home, new)
    }

    fn run(mut self) -> Result<Plan, PlanError> {
        let (home, new) = self.homes();
        let nodes = self.model.nodes.len();
        let blank = Piece { bytes: 0, rows: 0, touched: Vec::new(), span: (usize::MAX, 0), steps: None, life: None };
        let mut pieces: Vec<Piece> = (self.plan.buffers.iter().zip(&self.plan.lives))
            .map(|(b, life)| Piece {
                bytes: u64::from(b.length),
                rows: b.rows,
                steps: Some((life.first, life.last)),
                life: Some(Life { tensors: Vec::new(), ..life.clone() }),
                ..blank.clone()
            })
            .collect();
        pieces.extend(new.iter().map(|&bytes| Piece { bytes, ..blank.clone() }));
        let of_buffers = pieces.len();
        let last = self.plan.segments.len().saturating_sub(1);
        for (t, &at) in home.iter().enumerate() {
            let drawn = &self.plan.lives[usize::from(self.plan.tensors[t].buffer)];
            let life = Life { tensors: Vec::new(), ..drawn.clone() };
            pieces[at].life.get_or_insert(life).tensors.push(t);
            // An input is filled before the first step.
            pieces[at].touch(self.segment_of.get(t).copied().unwrap_or(0));
        }
        for (n, node) in self.model.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&i| pieces[home[tensor(self.model, i)]].touch(self.segment_of[n]));
            if self.plan.aux[n] != NONE {
                pieces[usize::from(self.plan.aux[n])].touch(self.segment_of[n]);
            }
        }
        for (_, o) in &self.model.outputs {
            pieces[home[tensor(self.model, *o)]].touch(last);
        }
        // Nodes of a segment work one after the other: they share their scratch.
        let of_nodes = |s: usize| {
            let of_node = |(n, scratch): (usize, &Option<ScratchRecord>)| {
                scratch.filter(|_| self.segment_of[n] == s).map_or(0, |scratch| scratch.length)
            };
            self.plan.scratch.iter().enumerate().map(of_node).max().unwrap_or(0)
        };
        for s in 0..self.plan.segments.len() {
            let mut scratch = Piece { bytes: u64::from(of_nodes(s)), ..blank.clone() };
            scratch.touch(s);
            pieces.push(scratch);
        }
        for piece in &mut pieces {
            for s in piece.touched.clone() {
                if self.beside[s] {
                    piece.span.1 = piece.span.1.max(s + 1);
                }
                if s > 0 && self.beside[s - 1] {
                    piece.span.0 = piece.span.0.min(s - 1);
                }
            }
        }
        let floor = 2 * (2 * nodes + self.model.inputs.len() + of_buffers) as u64;
        let (offsets, bytes) = self.pack(&pieces, floor);
        self.plan.arena_bytes = match i32::try_from(bytes) {
            Ok(n) => n as u32,
            Err(_) => return Err(PlanError::TooLarge(format!("{bytes} bytes of arena"))),
        };
        let record = |(p, &offset): (&Piece, &u64)| BufferRecord {
            offset: offset as u32,
            length: p.bytes as u32,
            rows: p.rows,
            region: 0,
        };
        self.plan.buffers = pieces.iter().zip(&offsets).take(of_buffers).map(record).collect();
        self.plan.lives = pieces[..of_buffers].iter().filter_map(|p| p.life.clone()).collect();
        for (n, scratch) in self.plan.scratch.iter_mut().enumerate() {
            let offset = offsets[of_buffers + self.segment_of[n]] as u32;
            scratch.iter_mut().for_each(|s| (s.offset, s.other) = (offset, offset));
        }
        for (placed, &at) in self.plan.tensors.iter_mut().zip(&home) {
            placed.buffer = u16::try_from(at).map_err(|_| PlanError::TooLarge(format!("{of_buffers} buffers")))?;
        }
        Ok(self.plan)
    }

    /// True if two pieces may not lie on each other.
    fn meet(&self, a: &Piece, b: &Piece) -> bool {
        let (from, to) = (a.span.0.max(b.span.0), a.span.1.min(b.span.1));
        if from > to {
            return false;
        }
        let (Some(x), Some(y)) = (a.steps, b.steps) else { return true };
        if x.0 <= y.1 && y.0 <= x.1 {
            return true;
        }
        // Inside one segment it is the CPU that runs, if at all, and steps tell; so they do where no job is about.
        let inner = matches!((a.touched.as_slice(), b.touched.as_slice()), ([x], [y]) if x == y);
        !inner && self.whole[from..=to].contains(&true)
    }

    /// Each piece at the lowest place where it meets no other, in the best of a few orders.
    fn pack(&self, pieces: &[Piece], floor: u64) -> (Vec<u64>, u64) {
        const ALIGN: u64 = 4;
        let floor = floor.next_multiple_of(ALIGN);
        let keys: [Key; 3] =
            [|p| (p.bytes, p.length()), |p| (p.bytes * p.length(), p.bytes), |p| (p.length(), p.bytes)];
        let tries = keys.iter().map(|key| {
            let mut order: Vec<usize> = (0..pieces.len()).collect();
            order.sort_by_key(|&i| std::cmp::Reverse(key(&pieces[i])));
            let mut offsets = vec![floor; pieces.len()];
            let mut placed: Vec<usize> = Vec::new();
            for &i in order.iter().filter(|&&i| pieces[i].bytes > 0) {
                let mut taken: Vec<(u64, u64)> = (placed.iter().filter(|&&j| self.meet(&pieces[i], &pieces[j])))
                    .map(|&j| (offsets[j], offsets[j] + pieces[j].bytes))
                    .collect();
                taken.sort_unstable();
                for (from, to) in taken {
                    if offsets[i] + pieces[i].bytes <= from {
                        break;
                    }
                    offsets[i] = offsets[i].max(to.next_multiple_of(ALIGN));
                }
                placed.push(i);
            }
            let end = placed.iter().map(|&i| offsets[i] + pieces[i].bytes).max().unwrap_or(floor);
            (offsets, end)
        });
        tries.min_by_key(|t| t.1).unwrap_or_default()
    }
}
