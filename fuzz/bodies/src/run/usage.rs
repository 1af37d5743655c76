//! Ways to use a model, fair and not.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use carafe::{Memory, Model, Run, RunError, Session, Step};

use crate::Bytes;

/// What a user does.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// What was in the memory before.
    paint: u8,
    /// Of the inputs.
    seed: u8,
    /// Bytes by which the memory is off its alignment.
    shift: usize,
    /// Bytes more than needed.
    slack: usize,
    /// Steps between two looks of a run that is interrupted.
    pace: u32,
    /// Steps of a run that is dropped before.
    dropped: u32,
    /// Rows that are offered at a time.
    many: usize,
    /// Pushes what has to be refused, too.
    odd: bool,
    /// Forgets the state between two inferences.
    resets: bool,
    /// What the answers are held against.
    pub detour: Detour,
    /// Of the accelerator.
    pub scratchpad: usize,
    /// Polls until it is given up.
    pub patience: u32,
    /// The number at which it fails, if it does.
    pub fails: u8,
    /// Ticks from poll to poll.
    pub poll_ticks: u32,
}

impl Usage {
    /// Of eleven bytes.
    pub fn read(bytes: &mut Bytes<'_>) -> Self {
        let (paint, seed, place, flags) = (bytes.byte(), bytes.byte(), bytes.byte(), bytes.byte());
        Self {
            paint,
            seed,
            shift: usize::from(place % 16),
            slack: usize::from(place / 16) * 5,
            pace: 1 + u32::from(flags % 8),
            odd: flags & 8 != 0,
            resets: flags & 16 != 0,
            many: 1 + usize::from(flags >> 5),
            dropped: u32::from(bytes.byte()),
            detour: Detour::ALL[bytes.below(Detour::ALL.len())],
            scratchpad: 64 * usize::from(bytes.byte()),
            patience: 1 + 8 * u32::from(bytes.byte()),
            fails: bytes.byte(),
            poll_ticks: 1 + 16 * u32::from(bytes.short() % 512),
        }
    }

    /// The same without detours: one inference behind the other.
    pub fn straight(self) -> Self {
        Self { dropped: 0, resets: false, many: 1, ..self }
    }

    /// The same, one row at a time, without what has to be refused.
    pub fn politely(self) -> Self {
        Self { odd: false, many: 1, ..self }
    }

    /// Byte `k` of input `i` in inference `turn`.
    fn byte(&self, turn: usize, i: usize, k: usize) -> u8 {
        (k * 37 + i * 11 + turn * 5) as u8 ^ self.seed
    }

    pub(super) fn data(&self, model: &Model<'_>, turn: usize) -> Vec<Vec<u8>> {
        let input = |i| (0..model.input(i).map_or(0, |io| io.bytes)).map(|k| self.byte(turn, i, k)).collect();
        (0..model.inputs()).map(input).collect()
    }
}

/// Another way to the same answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detour {
    /// Driven otherwise, or just once more.
    Flow(Flow),
    /// One row at a time, and nothing that has to be refused.
    Politely,
    /// With the weights in a file of their own.
    WeightsApart,
    /// With an accelerator.
    Device,
}

impl Detour {
    const ALL: [Self; 9] = [
        Self::Flow(Flow::Run),
        Self::Flow(Flow::Steps),
        Self::Flow(Flow::While),
        Self::Flow(Flow::Async),
        Self::Flow(Flow::Resumed),
        Self::Politely,
        Self::WeightsApart,
        Self::Device,
        Self::Device,
    ];
}

/// How an inference is driven. What it answers does not depend on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// In one go.
    Run,
    /// Step by step.
    Steps,
    /// With interruptions.
    While,
    /// By an executor.
    Async,
    /// In one go, each inference in a session of its own that takes the state up.
    Resumed,
}

/// What an inference came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The end, or why it stopped.
    pub end: Result<(), RunError>,
    /// The outputs, as they then were.
    pub outputs: Vec<Vec<u8>>,
    steps: u32,
    high_water: [usize; 3],
}

/// Inferences of a user, one behind the other.
pub const TURNS: usize = 2;

/// Rows of all tensors: no run takes more steps, and half as many again for what reductions make.
pub fn rows(model: &Model<'_>) -> u32 {
    let h = |t| model.tensor(t).map_or(0, |t| u32::from(t.h));
    let operands = |n| model.node(n).map_or(0, |node| u32::from(node.in0.h) + 1);
    (0..model.nodes() + model.inputs() as u16).map(h).sum::<u32>() + (0..model.nodes()).map(operands).sum::<u32>()
}

/// Memory that shows what was written outside.
struct Room {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
    paint: u8,
}

impl Room {
    fn new(usage: &Usage, need: usize) -> Self {
        let (from, to) = (usage.shift, usage.shift + need + usage.slack);
        Self { bytes: vec![usage.paint; to + 64], from, to, paint: usage.paint }
    }

    fn lend(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..self.to]
    }

    fn check(&self, need: usize) {
        let outside = self.bytes[..self.from].iter().chain(&self.bytes[self.from + need..]);
        assert!(outside.into_iter().all(|&b| b == self.paint), "a byte outside the region was written");
    }
}

/// Two inferences of a model, perhaps with one before them that is dropped.
pub fn answers(model: Model<'_>, usage: &Usage, flow: Flow) -> Vec<Answer> {
    let sizes = [model.arena_bytes(), model.fast_bytes(), model.state_bytes()];
    let [mut main, mut fast, mut state] = sizes.map(|need| Room::new(usage, need));
    let mut session = Session::with_state(model, state.lend()).expect("there is room");
    if usage.dropped > 0 {
        let memory = Memory { main: main.lend(), fast: fast.lend() };
        let mut run = session.start_in(memory, ()).expect("there is room");
        fill(&mut run, usage, 9);
        for _ in 0..usage.dropped {
            if run.step().is_err() {
                break;
            }
        }
    }
    let mut answers = Vec::new();
    for turn in 0..TURNS {
        if flow == Flow::Resumed && turn > 0 {
            session = Session::resume(model, state.lend()).expect("there is room");
        }
        let memory = Memory { main: main.lend(), fast: fast.lend() };
        answers.push(infer(&mut session, memory, usage, flow, turn));
        if usage.resets {
            session.reset_state();
        }
    }
    for (room, need) in [main, fast, state].iter().zip(sizes) {
        room.check(need);
    }
    answers
}

fn fill(run: &mut Run<'_, '_>, usage: &Usage, turn: usize) {
    for i in 0..run.model().inputs() {
        if let Ok(bytes) = run.input(i) {
            bytes.iter_mut().enumerate().for_each(|(k, b)| *b = usage.byte(turn, i, k));
        }
    }
}

fn infer(session: &mut Session<'_>, memory: Memory<'_>, usage: &Usage, flow: Flow, turn: usize) -> Answer {
    let model = *session.model();
    let data = usage.data(&model, turn);
    let mut run = session.start_in(memory, ()).expect("there is room");
    fill(&mut run, usage, turn);
    let mut pushed = vec![0; data.len()];
    let end = loop {
        if usage.odd {
            refused(&mut run, &data);
        }
        match drive(&mut run, usage, flow) {
            Err(RunError::NeedsInput { input }) => {
                if !push(&mut run, usage, usize::from(input), &data, &mut pushed) {
                    break Err(RunError::Input);
                }
            }
            end => break end,
        }
    };
    let steps = run.steps();
    assert!(steps <= model.max_steps() && steps <= rows(&model), "{steps} steps");
    let high_water = [0, 1, 2].map(|region| run.high_water_in(region));
    assert!(high_water.iter().zip([0, 1, 2]).all(|(&high, region)| high <= model.region_bytes(region) as usize));
    let outputs = (0..model.outputs()).map(|i| {
        let output = run.output(i).expect("the model has this output").to_vec();
        assert_eq!(Some(output.len()), model.output(i).map(|io| io.bytes));
        output
    });
    let outputs = outputs.collect();
    assert!(run.output(model.outputs()).is_err());
    // Going on after the end changes nothing; after an error it is an error, or whatever, but no panic.
    match end {
        Ok(()) => assert_eq!((run.step(), run.steps()), (Ok(Step::Done), steps)),
        Err(_) => drop((run.step(), run.step(), run.run_while(|| false))),
    }
    Answer { end, outputs, steps, high_water }
}

fn drive(run: &mut Run<'_, '_>, usage: &Usage, flow: Flow) -> Result<(), RunError> {
    match flow {
        Flow::Run | Flow::Resumed => run.run(),
        Flow::Steps => {
            while run.step()? != Step::Done {}
            Ok(())
        }
        Flow::While => loop {
            let mut left = usage.pace;
            let go_on = || {
                left = left.wrapping_sub(1);
                left != u32::MAX
            };
            if run.run_while(go_on)? {
                return Ok(());
            }
        },
        Flow::Async => {
            let mut future = pin!(run.run_async());
            loop {
                if let Poll::Ready(end) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    return end;
                }
            }
        }
    }
}

/// What no model can take: it is refused, and nothing changes.
fn refused(run: &mut Run<'_, '_>, data: &[Vec<u8>]) {
    let before = (run.steps(), run.high_water());
    let model = run.model();
    for (i, data) in data.iter().enumerate() {
        let stride = model.input(i).and_then(|io| model.tensor(io.tensor)).map_or(0, |t| t.row_stride());
        assert_eq!(run.push_rows(i, &[]), Err(RunError::Input));
        if stride > 1 {
            let odd = vec![0x99; stride + 1];
            assert_eq!(run.push_rows(i, &odd), Err(RunError::Input));
            assert_eq!(run.push_rows(i, &odd[..stride - 1]), Err(RunError::Input));
        }
        let more = vec![0x99; data.len() + stride.max(1)];
        assert_eq!(run.push_rows(i, &more), Err(RunError::Input));
        assert_eq!(run.set_input(i, &more), Err(RunError::Input));
    }
    assert_eq!(run.push_rows(data.len(), &[1]), Err(RunError::Input));
    assert_eq!(run.set_input(usize::MAX, &[]), Err(RunError::Input));
    let after = (run.steps(), run.high_water());
    assert!(before.0 == after.0 && before.1 <= after.1);
}

/// As many rows as the user likes, or one, if the model does not want so many.
fn push(run: &mut Run<'_, '_>, usage: &Usage, i: usize, data: &[Vec<u8>], pushed: &mut [usize]) -> bool {
    let model = run.model();
    let stride = model.input(i).and_then(|io| model.tensor(io.tensor)).map_or(0, |t| t.row_stride());
    let (Some(at), Some(data)) = (pushed.get_mut(i), data.get(i)) else { return false };
    for rows in [usage.many, 1] {
        let bytes = data.get(*at..*at + rows * stride);
        if let Some(bytes) = bytes
            && run.push_rows(i, bytes).is_ok()
        {
            *at += bytes.len();
            return true;
        }
    }
    false
}
