//! Where every tensor lies, to the byte, before anything is flashed.
//!
//! The network is cut into segments. Within a segment nodes run interleaved, row by row, and tensors that do not leave
//! it live in rings of a few rows; what crosses a cut is there as a whole. The planner tries cuts, simulates each draft
//! with the device's own schedule ([`carafe::schedule`]), which gives ring capacities and lifetimes, packs the buffers,
//! and keeps the draft with the smallest arena.

mod pack;
mod simulate;
mod storage;

use carafe::blob::{BufferRecord, NONE, SegmentRecord};
use carafe::{Need, OpCode};
use rayon::prelude::*;

use crate::lower::Lowered;
pub use pack::Block;
use simulate::{Draft, Trace};
use storage::Storage;

/// What the planner may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Inputs are pushed row by row and never there as a whole.
    pub push_rows: bool,
    /// Cut before these nodes and search no further: for tests and experiments.
    pub cuts: Option<Vec<usize>>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The lowering made a node that the device would refuse: a bug.
    #[error("node `{node}` ({op}) is refused by its own kernel: {fault:?}; this is a bug in the converter")]
    Node {
        /// Name.
        node: String,
        /// Op.
        op: &'static str,
        /// What the kernel says.
        fault: carafe::Fault,
    },
    /// The schedule does not come to an end: a bug.
    #[error("the schedule stops at node {0}; this is a bug in the converter")]
    Schedule(usize),
    /// More nodes, buffers or bytes than the format can hold.
    #[error("the model is too large for the format: {0}")]
    TooLarge(String),
}

/// Where a tensor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Buffer.
    pub buffer: u16,
    /// Byte in the buffer (in a ring: in the row).
    pub offset: u32,
    /// Bytes from pixel to pixel.
    pub pixel_stride: u16,
}

/// A buffer with its lifetime, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// What lives there: tensors (nodes first, then inputs), or the accumulator of a node.
    pub tensors: Vec<usize>,
    /// Node whose accumulator it is.
    pub aux_of: Option<usize>,
    /// First step that needs it.
    pub first: u32,
    /// Last step that needs it.
    pub last: u32,
}

/// A plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// By tensor: results of nodes, then inputs.
    pub tensors: Vec<Placed>,
    /// Buffers.
    pub buffers: Vec<BufferRecord>,
    /// By buffer.
    pub lives: Vec<Life>,
    /// Segments.
    pub segments: Vec<SegmentRecord>,
    /// By node: rows per step.
    pub bands: Vec<u8>,
    /// By node: its result leaves its segment.
    pub sinks: Vec<bool>,
    /// By node: buffer of the accumulator, or [`NONE`].
    pub aux: Vec<u16>,
    /// By node: what its kernel said.
    pub needs: Vec<Need>,
    /// Bytes of arena.
    pub arena_bytes: u32,
    /// Steps of an inference.
    pub steps: u32,
}

/// Plans a model.
pub fn plan(model: &Lowered, options: &PlanOptions) -> Result<Plan, PlanError> {
    let nodes = model.nodes.len();
    let tensors = nodes + model.inputs.len();
    if tensors >= usize::from(NONE) {
        return Err(PlanError::TooLarge(format!("{tensors} tensors; at most 65534")));
    }
    let needs = needs(model)?;
    let storage = Storage::of(model, &needs);
    let draft = |cuts: &[bool]| -> Result<(Trace, pack::Packing), PlanError> {
        let trace = simulate::run(Draft::new(model, &needs, &storage, cuts, options))?;
        let packing = pack::pack(&trace.blocks, floor(model, trace.blocks.len()));
        Ok((trace, packing))
    };
    let cuts = match &options.cuts {
        Some(list) => (0..nodes).map(|n| list.contains(&n)).collect(),
        None => search(nodes, |cuts| draft(cuts).map(|d| d.1.bytes))?,
    };
    let (trace, packing) = draft(&cuts)?;
    assemble(model, needs, &storage, &cuts, trace, packing)
}

/// Bytes of row counters in front of the first buffer.
fn floor(model: &Lowered, buffers: usize) -> u64 {
    2 * (2 * model.nodes.len() + model.inputs.len() + buffers) as u64
}

fn needs(model: &Lowered) -> Result<Vec<Need>, PlanError> {
    (0..model.nodes.len())
        .map(|n| {
            let node = &model.nodes[n];
            let refuse = |fault| PlanError::Node { node: node.name.clone(), op: node.op.name(), fault };
            let entry = carafe::ops::ALL.find(node.op, 1, model.arithmetic).ok_or(refuse(carafe::Fault::Field))?;
            entry.check(&model.node(n)).map_err(refuse)
        })
        .collect()
}

/// Cuts that make the arena small: from a few beginnings, the best single change at a time until none helps.
fn search(nodes: usize, cost: impl Fn(&[bool]) -> Result<u64, PlanError> + Sync) -> Result<Vec<bool>, PlanError> {
    let every = |k: usize| (0..nodes).map(|n| n > 0 && n % k == 0).collect::<Vec<bool>>();
    let beginnings: Vec<Vec<bool>> = vec![vec![false; nodes], every(1), every(4), every(8)];
    let mut best: Option<(u64, Vec<bool>)> = None;
    for mut cuts in beginnings {
        let mut now = cost(&cuts)?;
        loop {
            let trial = |n: usize| {
                let mut c = cuts.clone();
                c[n] = !c[n];
                cost(&c).map(|bytes| (bytes, n))
            };
            let trials: Result<Vec<(u64, usize)>, PlanError> = (1..nodes).into_par_iter().map(trial).collect();
            match trials?.into_iter().min() {
                Some((bytes, n)) if bytes < now => {
                    now = bytes;
                    cuts[n] = !cuts[n];
                }
                _ => break,
            }
        }
        if best.as_ref().is_none_or(|b| now < b.0) {
            best = Some((now, cuts));
        }
    }
    Ok(best.map(|b| b.1).unwrap_or_default())
}

fn assemble(
    model: &Lowered,
    needs: Vec<Need>,
    storage: &Storage,
    cuts: &[bool],
    trace: Trace,
    packing: pack::Packing,
) -> Result<Plan, PlanError> {
    let nodes = model.nodes.len();
    if packing.bytes > i32::MAX as u64 {
        return Err(PlanError::TooLarge(format!("{} bytes of arena", packing.bytes)));
    }
    let mut plan = Plan {
        tensors: Vec::new(),
        buffers: Vec::new(),
        lives: Vec::new(),
        segments: Vec::new(),
        bands: vec![1; nodes],
        sinks: trace.sinks,
        aux: vec![NONE; nodes],
        needs,
        arena_bytes: packing.bytes as u32,
        steps: trace.steps,
    };
    let mut buffer_of_group = vec![NONE; storage.groups()];
    let mut scratch = vec![(0u32, 0u32); trace.segments.len()];
    for (block, &offset) in trace.blocks.iter().zip(&packing.offsets) {
        let offset = offset as u32;
        let mut life = Life { tensors: Vec::new(), aux_of: None, first: block.first, last: block.last };
        match block.what {
            simulate::What::Scratch(s) => {
                scratch[s] = (offset, block.bytes as u32);
                continue;
            }
            simulate::What::Group(g) => {
                buffer_of_group[g] = plan.buffers.len() as u16;
                life.tensors = storage.members(g).to_vec();
            }
            simulate::What::Aux(n) => {
                plan.aux[n] = plan.buffers.len() as u16;
                life.aux_of = Some(n);
            }
        }
        let length = block.bytes as u32;
        plan.buffers.push(BufferRecord { offset, length, rows: block.rows, region: 0 });
        plan.lives.push(life);
    }
    for t in 0..nodes + model.inputs.len() {
        let place = storage.place(t);
        let buffer = buffer_of_group[place.group];
        plan.tensors.push(Placed { buffer, offset: place.offset, pixel_stride: place.pixel_stride });
    }
    for (&(first, count), (scratch_offset, scratch_length)) in trace.segments.iter().zip(scratch) {
        plan.segments.push(SegmentRecord { first, count, scratch_offset, scratch_length });
    }
    debug_assert_eq!(cuts.iter().filter(|c| **c).count() + 1, plan.segments.len());
    Ok(plan)
}

/// True for ops that only rename memory.
fn is_view(op: OpCode) -> bool {
    op == OpCode::Concat || op == OpCode::Reshape
}
