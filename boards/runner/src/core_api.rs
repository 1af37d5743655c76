//! All that the runner knows of the core: how a model is filled, stepped and watched, and its errors on the wire.

use core::cell::RefCell;
use core::ops::Range;

use carafe::{BlobError, Model, NodeId, OpCode, Probe, Registry, Rows, Run, RunError, Step};
use carafe_protocol::{Arithmetics, BlobFault, Fault, Loaded, RunFault};
use embedded_io::{Read, Write};

use crate::Clock;
use crate::outside::Outside;
use crate::transfer::wire;

/// Steps between two looks at the clock, so that one of 32 bits does not wrap unseen.
const CLOCK_STEPS: u32 = 0x100;
/// Inputs that may be pushed row by row: those of a model beyond that are refused.
const PUSHED_INPUTS: usize = 8;
/// Bytes of op codes that fit an [`Info`](carafe_protocol::Info).
const OP_LIST: usize = 256;

/// The op codes of a registry, as the wire has them; those that do not fit are left out.
pub(crate) fn op_list(registry: &Registry<'_>) -> heapless::Vec<u8, OP_LIST> {
    let mut list = heapless::Vec::new();
    for (i, op) in registry.ops().iter().enumerate() {
        // An op that depends on the arithmetic is there once for each.
        let seen = registry.ops().iter().take(i).any(|before| before.code() == op.code());
        if !seen && list.extend_from_slice(&op.code().0.to_le_bytes()).is_err() {
            break;
        }
    }
    list
}

/// The arithmetics that the core was built with.
pub(crate) fn arithmetics() -> Arithmetics {
    Arithmetics { native: carafe::arithmetic::known(0), tflite: carafe::arithmetic::known(1) }
}

/// What the host wants to know of a model that verified.
pub(crate) fn loaded(model: &Model<'_>) -> Loaded {
    let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    Loaded {
        arena_bytes: wire(model.arena_bytes()),
        state_bytes: wire(model.state_bytes()),
        inputs: count(model.inputs()),
        outputs: count(model.outputs()),
    }
}

pub(crate) fn blob_fault(error: BlobError) -> Fault {
    Fault::Blob(match error {
        BlobError::Truncated => BlobFault::Truncated,
        BlobError::Magic => BlobFault::Magic,
        BlobError::Version { major } => BlobFault::Version { major },
        BlobError::Crc => BlobFault::Crc,
        BlobError::Arithmetic { id } => BlobFault::Arithmetic { id },
        BlobError::MissingOp { node, op, version } => BlobFault::MissingOp { node, op: op.0, version },
        BlobError::Node { node, .. } => BlobFault::Node { node },
        _ => BlobFault::Structure,
    })
}

pub(crate) fn run_fault(error: RunError) -> Fault {
    match error {
        RunError::ArenaTooSmall { need, have } | RunError::RegionTooSmall { need, have, .. } => {
            Fault::ArenaTooSmall { need: wire(need), have: wire(have) }
        }
        RunError::Plan { node } => Fault::Run { why: RunFault::Plan { node } },
        RunError::NeedsInput { input } => Fault::Run { why: RunFault::NeedsInput { input } },
        _ => Fault::Run { why: RunFault::Other },
    }
}

/// Bytes of all inputs together.
pub(crate) fn input_bytes(model: &Model<'_>) -> usize {
    inputs(model).fold(0, |sum, io| sum.saturating_add(io.bytes))
}

fn inputs<'a>(model: &'a Model<'_>) -> impl Iterator<Item = carafe::TensorIo> + 'a {
    (0..model.inputs()).map_while(|i| model.input(i))
}

/// Bytes of memory that a run takes: arena, second scratch memory, state, and inputs that wait to be pushed.
pub(crate) fn memory_bytes(model: &Model<'_>) -> usize {
    let all = [model.arena_bytes(), model.fast_bytes(), model.state_bytes(), staged_bytes(model)];
    all.into_iter().fold(0, usize::saturating_add)
}

/// Bytes of the inputs that the model takes row by row: they wait beside the arena until they are asked for.
pub(crate) fn staged_bytes(model: &Model<'_>) -> usize {
    inputs(model).filter(|io| is_pushed(model, io)).fold(0, |sum, io| sum.saturating_add(io.bytes))
}

fn is_pushed(model: &Model<'_>, io: &carafe::TensorIo) -> bool {
    model.tensor(io.tensor).and_then(|tensor| model.buffer(tensor.buffer)).is_some_and(|buffer| buffer.rows != 0)
}

/// Where a pushed input waits; `None` for one that lies in the arena, or does not exist.
fn staged(model: &Model<'_>, index: usize) -> Option<Range<usize>> {
    let io = model.input(index).filter(|io| is_pushed(model, io))?;
    let from = inputs(model)
        .take(index)
        .filter(|io| is_pushed(model, io))
        .fold(0usize, |sum, io| sum.saturating_add(io.bytes));
    Some(from..from.checked_add(io.bytes)?)
}

/// Writes a part of an input.
pub(crate) fn set_input<P: Probe>(
    model: &Model<'_>,
    run: &mut Run<'_, '_, P>,
    staging: &mut [u8],
    index: u16,
    offset: u32,
    data: &[u8],
) -> Result<(), Fault> {
    let count = u16::try_from(model.inputs()).unwrap_or(u16::MAX);
    let io = model.input(usize::from(index)).ok_or(Fault::NoSuchInput { count })?;
    let range = Fault::Range { len: wire(io.bytes) };
    let tensor = match staged(model, usize::from(index)) {
        Some(at) => staging.get_mut(at).ok_or(range)?,
        None => run.input(usize::from(index)).map_err(run_fault)?,
    };
    let from = usize::try_from(offset).map_err(|_| range)?;
    let to = from.checked_add(data.len()).ok_or(range)?;
    let room = tensor.get_mut(from..to).ok_or(range)?;
    room.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
    Ok(())
}

/// Runs to the end, and gives rows of staged inputs as the model asks for them.
pub(crate) fn run_to_end<P: Probe>(
    model: &Model<'_>,
    run: &mut Run<'_, '_, P>,
    staging: &[u8],
    mut look_at_clock: impl FnMut(),
) -> Result<(), RunError> {
    // Bytes given so far of each input.
    let mut pushed = heapless::Vec::<usize, PUSHED_INPUTS>::new();
    loop {
        match run.step() {
            Ok(Step::Done) => return Ok(()),
            Ok(_) => {
                if run.steps().is_multiple_of(CLOCK_STEPS) {
                    look_at_clock();
                }
            }
            Err(RunError::NeedsInput { input }) => push_row(model, run, staging, usize::from(input), &mut pushed)?,
            Err(error) => return Err(error),
        }
    }
}

fn push_row<P: Probe, const N: usize>(
    model: &Model<'_>,
    run: &mut Run<'_, '_, P>,
    staging: &[u8],
    input: usize,
    pushed: &mut heapless::Vec<usize, N>,
) -> Result<(), RunError> {
    let data = staged(model, input).and_then(|at| staging.get(at)).ok_or(RunError::Input)?;
    let tensor = model.input(input).and_then(|io| model.tensor(io.tensor)).ok_or(RunError::Input)?;
    if pushed.len() <= input {
        pushed.resize(input.saturating_add(1), 0).map_err(|_| RunError::Input)?;
    }
    let from = pushed.get_mut(input).ok_or(RunError::Input)?;
    let to = from.checked_add(tensor.row_stride()).ok_or(RunError::Input)?;
    run.push_rows(input, data.get(*from..to).ok_or(RunError::Input)?)?;
    *from = to;
    Ok(())
}

/// Watches a run and sends or keeps what it sees.
pub(crate) struct Watch<'o, L, C> {
    outside: &'o RefCell<Outside<L, C>>,
    op: u16,
}

impl<'o, L, C> Watch<'o, L, C> {
    pub fn new(outside: &'o RefCell<Outside<L, C>>) -> Self {
        Self { outside, op: 0 }
    }
}

impl<L: Read + Write, C: Clock> Probe for Watch<'_, L, C> {
    fn begin(&mut self, _node: NodeId, op: OpCode) {
        self.op = op.0;
        if let Ok(mut outside) = self.outside.try_borrow_mut() {
            outside.begin();
        }
    }

    fn rows(&mut self, node: NodeId, y: Range<u16>, rows: &Rows<'_>) {
        if let Ok(mut outside) = self.outside.try_borrow_mut() {
            if !outside.shows_rows() {
                return;
            }
            for y in y {
                outside.row(node.0, y, || rows.pixels(y));
            }
        }
    }

    fn end(&mut self, node: NodeId) {
        if let Ok(mut outside) = self.outside.try_borrow_mut() {
            outside.end(node.0, self.op);
        }
    }
}
