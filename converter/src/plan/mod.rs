//! Where every tensor lies, to the byte, before anything is flashed.
//!
//! The network is cut into segments. Within a segment nodes run interleaved, row by row, and tensors that do not leave
//! it live in rings of a few rows; what crosses a cut is there as a whole. The planner walks drafts with the device's own
//! schedule ([`carafe::schedule`]), which gives ring capacities and the lifetime of every row, packs the buffers so that
//! no two rows lie on each other while both live, and keeps the draft with the smallest arena.
//!
//! | file | idea |
//! |---|---|
//! | `storage` | which tensors share memory by meaning |
//! | `net` | the model with what its nodes need |
//! | `walk` | an inference without its arithmetic |
//! | `segment`, `units` | the rows that one segment touches, and when |
//! | `draft`, `block` | segments in sequence, and the memory that they need |
//! | `conflicts`, `pack` | how blocks may lie to each other, and where they lie |
//! | `cost` | what a node costs in time |
//! | `search` | the smallest arena |
//! | `ladder` | from there to faster plans |
//! | `frontier`, `choose` | what is worth knowing of all these, and which is taken |
//! | `again`, `recompute` | nodes that run a second time, where that takes less memory |
//! | `unfit` | what to say if none fits |
//! | `jobs` | plans for a CPU with an accelerator |
//! | `regions` | what lies in fast memory, and what in the state |
//! | `timeline` | the same for a finished blob |

mod again;
mod block;
mod choose;
mod conflicts;
mod cost;
mod draft;
mod frontier;
mod jobs;
mod ladder;
mod lead;
mod net;
mod pack;
mod recompute;
mod regions;
mod search;
mod segment;
mod storage;
mod timeline;
mod unfit;
mod units;
mod walk;

use carafe::blob::{BufferRecord, NONE, ScratchRecord, SegmentRecord, region};
use carafe::{Need, OpCode};

use crate::lower::Lowered;
pub use again::Again;
use block::What;
use frontier::{Frontier, Point};
pub use jobs::{JobRule, plan_jobs};
use net::Net;
pub use recompute::{Recomputed, Recomputing, plan_recomputing};
use regions::Placement;
use storage::Overwrite;
pub use timeline::{Alive, Happening, Timeline, TimelineError, Use};

/// What the planner may do. By default it searches for the smallest arena; what is given here is not searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Inputs are pushed row by row and never there as a whole.
    pub push_rows: bool,
    /// Bytes of fast memory ([`carafe::blob::region::FAST`]) that may be used for what is touched most often.
    pub fast_bytes: Option<u32>,
    /// Cut before these nodes and nowhere else. Every node: whole maps. None: one segment.
    pub cuts: Option<Vec<usize>>,
    /// Rows per step by node; 0 counts as 1, and what lacks at the end is 1.
    pub bands: Option<Vec<u8>>,
    /// By node: its result may overwrite an operand; what lacks at the end may.
    pub in_place: Option<Vec<bool>>,
    /// Rows have lifetimes of their own, so that a map grows into rows that have been read for the last time, of
    /// whole maps and of rings. Without it a buffer lives as long as any of its rows.
    pub grow: bool,
    /// The one order in which buffers are placed.
    pub strategy: Option<PackStrategy>,
    /// What memory is spent on. None: balanced; or with a limit, time, as far as it allows.
    pub goal: Option<Goal>,
    /// Bytes of RAM that a plan may take: of arena and state, but not of the fast memory.
    pub ram_limit: Option<u32>,
}

/// What memory is spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// Nothing but the rows themselves: no scratch for kernels, and no higher bands but where they are free.
    Size,
    /// Scratch for kernels, and higher bands where they are worth it: up to a tenth of the arena; and up to two fifths of it,
    /// or a tenth more than with all that kernels would take (a fifth of it, if rows are pushed), where each percent of
    /// memory saves a tenth of a percent of the time.
    #[default]
    Balanced,
    /// Scratch, and higher bands wherever they save time, up to as much again as the arena.
    Speed,
}

impl Goal {
    /// Bytes that higher bands may add to an arena of so many.
    fn allowance(self, bytes: u64) -> u64 {
        match self {
            Self::Size => 0,
            Self::Balanced => bytes / 10,
            Self::Speed => bytes,
        }
    }
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            push_rows: false,
            fast_bytes: None,
            cuts: None,
            bands: None,
            in_place: None,
            grow: true,
            strategy: None,
            goal: None,
            ram_limit: None,
        }
    }
}

/// An order in which buffers are placed, each at the lowest free place unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackStrategy {
    /// The largest first.
    Size,
    /// The largest product of bytes and ticks first.
    Area,
    /// The longest life first.
    Lifetime,
    /// The earliest born first.
    Birth,
    /// The last to die first: then a map finds the place behind its predecessor free, and follows it.
    Death,
    /// The largest first, each in the tightest gap that holds it.
    BestFit,
}

impl PackStrategy {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 6] = [Self::Size, Self::Area, Self::Lifetime, Self::Birth, Self::Death, Self::BestFit];
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
    /// No plan that was found fits [`PlanOptions::ram_limit`].
    #[error(
        "no plan fits the limit of {limit} bytes of RAM: the smallest found takes {smallest}. The most of them, where it \
         is fullest: {most}. Raise the limit, or {remedies}"
    )]
    Unfit {
        /// The limit.
        limit: u32,
        /// Bytes of arena and state that the smallest plan takes.
        smallest: u64,
        /// What takes most of it.
        most: String,
        /// What may help.
        remedies: String,
    },
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
    /// [`carafe::TensorInfo::lead`].
    pub lead: u8,
}

/// A buffer with its lifetime, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// What lives there: tensors (nodes first, then inputs), or the accumulator of a node.
    pub tensors: Vec<usize>,
    /// Node whose accumulator it is.
    pub aux_of: Option<usize>,
    /// First tick that needs it (0 of what outlives the inference, and of what is never touched): ticks are steps and pushed rows, counted from 1; 0 is before the first.
    pub first: u32,
    /// Last tick that needs it.
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
    /// By node: its scratch memory.
    pub scratch: Vec<Option<ScratchRecord>>,
    /// By node: what its kernel said.
    pub needs: Vec<Need>,
    /// Bytes of arena.
    pub arena_bytes: u32,
    /// Bytes of the fast memory.
    pub fast_bytes: u32,
    /// Bytes of state.
    pub state_bytes: u32,
    /// The most bytes alive at one tick, row counters included: no packing of this schedule takes less.
    pub lower_bound: u32,
    /// Steps of an inference.
    pub steps: u32,
    /// Instructions of an inference on a Cortex-M4, as the planner estimates them.
    pub instructions: u64,
    /// Cycles, which plans are compared by; estimated, too, of memory without wait states.
    pub cycles: u64,
    /// What else could be had: the plans that were found, none of which is better in both memory and time, from the
    /// smallest to the fastest; if there are many, those that differ most.
    pub frontier: Vec<FrontierPoint>,
}

/// A plan that could be had. If it was not taken, [`PlanOptions::ram_limit`] of its arena and state, without a goal, gives
/// it, or one within the limit that is faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontierPoint {
    /// Bytes of arena.
    pub arena_bytes: u32,
    /// Bytes of the fast memory.
    pub fast_bytes: u32,
    /// Bytes of state.
    pub state_bytes: u32,
    /// Bytes of the blob that say where everything lies. All else in it is the same in all plans.
    pub table_bytes: u32,
    /// Instructions of an inference on a Cortex-M4, estimated.
    pub instructions: u64,
    /// Cycles, estimated.
    pub cycles: u64,
    /// It is the plan that was taken.
    pub chosen: bool,
}

/// Plans a model.
pub fn plan(model: &Lowered, options: &PlanOptions) -> Result<Plan, PlanError> {
    let mut frontier = Frontier::of(start(model, options)?, options)?;
    let chosen = choose::choose(&mut frontier, options)?;
    let fast = options.fast_bytes.unwrap_or(0);
    let placement = regions::place(&chosen.net, &chosen.plan, fast, true);
    let reported = frontier.report(&chosen, &placement, fast);
    assemble(chosen, placement, reported)
}

/// A model with the bands that are asked for, without scratch.
fn start<'m>(model: &'m Lowered, options: &PlanOptions) -> Result<Net<'m>, PlanError> {
    let nodes = model.nodes.len();
    let tensors = nodes + model.inputs.len();
    if tensors >= usize::from(NONE) {
        return Err(PlanError::TooLarge(format!("{tensors} tensors; at most 65534")));
    }
    let of = |list: Option<&Vec<u8>>, n: usize| list.and_then(|l| l.get(n)).copied().unwrap_or(1).max(1);
    let mut bands: Vec<u8> = (0..nodes).map(|n| of(options.bands.as_ref(), n)).collect();
    for (n, band) in bands.iter_mut().enumerate() {
        let (need, node) = (net::need(model, n, *band)?, &model.nodes[n]);
        // A reduction makes its one result at once.
        if need.consumes {
            *band = 1;
        }
        // What outlives the inference moves on as one.
        if need.state {
            *band = u8::try_from(node.out.h).map_err(|_| {
                PlanError::TooLarge(format!(
                    "the history `{}` has {} rows, at most 255 are possible: take fewer rows a step",
                    node.name, node.out.h
                ))
            })?;
        }
    }
    let may = |n: usize| options.in_place.as_ref().and_then(|l| l.get(n)).copied().unwrap_or(true);
    let overwrite = (0..nodes).map(|n| if may(n) { Overwrite::Last } else { Overwrite::Never }).collect();
    Net::new(model, options, bands, overwrite, vec![0; nodes])
}

fn assemble(chosen: Point<'_>, placement: Placement, frontier: Vec<FrontierPoint>) -> Result<Plan, PlanError> {
    let Point { net, plan: best, .. } = chosen;
    let cost = net.cost();
    let (model, storage, nodes) = (net.model, &net.storage, net.nodes());
    if let Some(bytes) = placement.bytes.iter().find(|&&b| b > region::MASK as u64) {
        return Err(PlanError::TooLarge(format!("{bytes} bytes in one region of memory")));
    }
    let [main, fast, state] = placement.bytes.map(|b| b as u32);
    let mut plan = Plan {
        tensors: Vec::new(),
        buffers: Vec::new(),
        lives: Vec::new(),
        segments: Vec::new(),
        bands: net.bands.clone(),
        sinks: vec![false; nodes],
        aux: vec![NONE; nodes],
        scratch: vec![None; nodes],
        needs: net.needs.clone(),
        arena_bytes: main,
        fast_bytes: fast,
        state_bytes: state,
        lower_bound: placement.bound as u32,
        steps: best.draft.length.steps,
        instructions: cost.instructions,
        cycles: cost.cycles(),
        frontier,
    };
    let mut buffer_of_group = vec![NONE; storage.groups()];
    for (block, &address) in best.draft.blocks.iter().zip(&placement.addresses) {
        let (first, last) = block.hull().unwrap_or((0, 0));
        let mut life = Life { tensors: Vec::new(), aux_of: None, first, last };
        match block.what {
            What::Scratch(n, other) => {
                // Where it is never at one of them, both are the same.
                let only = ScratchRecord { offset: address, other: address, length: block.bytes as u32, mask: 1 };
                let known = plan.scratch[n].get_or_insert(only);
                *if other { &mut known.other } else { &mut known.offset } = address;
                continue;
            }
            What::Group(g) => {
                buffer_of_group[g] = plan.buffers.len() as u16;
                life.tensors = storage.members(g).to_vec();
            }
            What::Aux(n) => {
                plan.aux[n] = plan.buffers.len() as u16;
                life.aux_of = Some(n);
            }
        }
        let (number, offset) = ((address >> region::BITS) as u8, address & region::MASK as u32);
        let length = match block.what {
            What::Group(g) if number == region::STATE => storage.shape_of(g).bytes as u32,
            _ => block.bytes as u32,
        };
        plan.buffers.push(BufferRecord { offset, length, rows: block.rows, region: number });
        plan.lives.push(life);
    }
    for t in 0..nodes + model.inputs.len() {
        let place = storage.place(t);
        let buffer = buffer_of_group[place.group];
        let lead = net.demands.get(t).map_or(0, |d| d.lead);
        plan.tensors.push(Placed { buffer, offset: place.offset, pixel_stride: place.pixel_stride, lead });
    }
    for segment in &best.draft.segments {
        let (first, count) = (segment.first as u16, (segment.end - segment.first) as u16);
        plan.segments.push(SegmentRecord { first, count });
        for n in segment.first..segment.end {
            plan.sinks[n] = net.last_reader[n] >= segment.end;
            let mask = segment::mask(&net, n, segment.first..segment.end);
            plan.scratch[n].iter_mut().for_each(|s| s.mask = mask);
        }
    }
    Ok(plan)
}

/// True for ops that only rename memory.
fn is_view(op: OpCode) -> bool {
    op == OpCode::Concat || op == OpCode::Reshape
}
