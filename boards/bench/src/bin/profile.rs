//! One inference, counted op by op.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::hint::black_box;

use carafe::{NodeId, OpCode, Probe, RunError, Session};
use carafe_bench::constants::{INPUT_BYTES, NODES};
use carafe_bench::{Feed, HZ, Line, Once, Ticks, Timer, crc32, entry, leave};

carafe_macros::include_model!(mod net = concat!(env!("OUT_DIR"), "/model.carafe"));

/// Steps without work that are counted, to know what the probe itself takes.
const EMPTY_STEPS: u16 = 16;

/// Ticks of the steps of each op, and of what is between steps.
struct Profile<'t> {
    timer: &'t Timer,
    since: u32,
    between: u64,
    ops: [Op; NODES],
}

#[derive(Clone, Copy)]
struct Op {
    ticks: u64,
    steps: u32,
}

impl<'t> Profile<'t> {
    fn new(timer: &'t Timer) -> Self {
        Self { timer, since: timer.now(), between: 0, ops: [Op { ticks: 0, steps: 0 }; NODES] }
    }
}

// Never inlined, so that they take the same everywhere.
impl Probe for Profile<'_> {
    #[inline(never)]
    fn begin(&mut self, _: NodeId, _: OpCode) {
        self.between = self.between.wrapping_add(self.timer.now().wrapping_sub(self.since).into());
        self.since = self.timer.now();
    }

    #[inline(never)]
    fn end(&mut self, node: NodeId) {
        let ticks = self.timer.now().wrapping_sub(self.since);
        if let Some(op) = self.ops.get_mut(usize::from(node.0)) {
            op.ticks = op.ticks.wrapping_add(ticks.into());
            op.steps = op.steps.wrapping_add(1);
        }
        self.since = self.timer.now();
    }
}

fn infer(
    session: &mut Session<'_>,
    arena: &mut [u8],
    mut feed: Feed<'_>,
    profile: &mut Profile<'_>,
) -> Result<u32, RunError> {
    let model = *session.model();
    let mut run = session.start_with(arena, profile)?;
    for i in 0..model.inputs() {
        if let Ok(to) = run.input(i) {
            feed.fill(i, to);
        }
    }
    loop {
        match run.run() {
            Err(RunError::NeedsInput { input }) => {
                let i = usize::from(input);
                let tensor = model.input(i).and_then(|io| model.tensor(io.tensor)).ok_or(RunError::Input)?;
                run.push_rows(i, feed.next(i, tensor.row_stride()))?;
            }
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    (0..model.outputs()).try_fold(0, |crc, i| Ok(crc32(crc, run.output(i)?)))
}

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    static ARENA: Once<net::Arena> = Once::new(net::Arena::zeroed());
    static INPUT: Once<[u8; INPUT_BYTES]> = Once::new([0; INPUT_BYTES]);
    let (Some(arena), Some(input)) = (ARENA.take(), INPUT.take()) else { leave(false) };
    let feed = Feed::golden(input);
    let Ok(mut net) = net::Net::new() else { leave(false) };

    let mut empty = Profile::new(&timer);
    for _ in 0..EMPTY_STEPS {
        let probe = black_box(&mut empty);
        probe.begin(NodeId(0), OpCode(0));
        probe.end(NodeId(0));
    }
    let probe = empty.ops.iter().fold(0u64, |sum, op| sum.wrapping_add(op.ticks));

    let mut profile = Profile::new(&timer);
    let Ok(crc) = infer(net.session(), arena, feed, &mut profile) else { leave(false) };
    let mut line = Line::begin("profile");
    line.field("hz", HZ.into());
    line.field("crc", crc.into());
    line.field("empty_steps", EMPTY_STEPS.into());
    line.field("empty_ticks", probe);
    line.field("between", profile.between);
    for op in &profile.ops {
        line.field("steps", op.steps.into());
        line.field("ticks", op.ticks);
    }
    line.end();
    leave(true)
}
