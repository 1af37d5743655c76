use std::ops::Range;
use std::time::{Duration, Instant};

use carafe::{Memory, Model, NodeId, OpCode, Probe, Registry, Rows, Run, RunError, Session, Step};
use carafe_protocol::{CRC, Counter, CounterKind, NodeTicks, Observe};

use crate::Error;
use crate::target::{Case, LoadedModel, Outcome, RowRecord, Target};

/// This computer: the device's own crate, in this process.
pub struct Host {
    registry: Registry<'static>,
    blob: Option<Vec<u8>>,
    arena: Vec<u8>,
    fast: Vec<u8>,
    /// Goes on from run to run.
    state: Vec<u8>,
}

pub(crate) const ID: &str = "host";

impl Host {
    /// With every op there is.
    pub fn new() -> Self {
        Self::with_registry(carafe::ops::ALL)
    }

    /// With the ops named.
    pub fn with_registry(registry: Registry<'static>) -> Self {
        Self { registry, blob: None, arena: Vec::new(), fast: Vec::new(), state: Vec::new() }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn refused(source: carafe::BlobError) -> Error {
    Error::Blob { board: ID.to_owned(), source }
}

pub(crate) fn failed(source: RunError) -> Error {
    Error::Run { board: ID.to_owned(), source }
}

/// Holds the inputs of a case against those of the model.
pub(crate) fn check_inputs(board: &str, model: &Model<'_>, case: &Case<'_>) -> Result<(), Error> {
    let (have, want) = (case.inputs.len(), model.inputs());
    if have != want {
        return Err(Error::InputCount { board: board.to_owned(), have, want });
    }
    for (index, input) in case.inputs.iter().enumerate() {
        let want = model.input(index).map_or(0, |io| io.bytes);
        if input.len() != want {
            return Err(Error::InputBytes { board: board.to_owned(), index, have: input.len(), want });
        }
    }
    Ok(())
}

impl Target for Host {
    fn id(&self) -> &str {
        ID
    }

    fn load(&mut self, blob: &[u8]) -> Result<LoadedModel, Error> {
        self.blob = None;
        let model = Model::verify(blob, self.registry).map_err(refused)?;
        let loaded = LoadedModel { arena_bytes: model.arena_bytes(), state_bytes: model.state_bytes() };
        self.arena = vec![0; loaded.arena_bytes];
        self.fast = vec![0; model.fast_bytes()];
        self.state = vec![0; loaded.state_bytes];
        Session::with_state(model, &mut self.state).map_err(failed)?;
        self.blob = Some(blob.to_vec());
        Ok(loaded)
    }

    fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error> {
        let Some(blob) = &self.blob else { return Err(Error::NoModel { board: ID.to_owned() }) };
        let model = Model::verify(blob, self.registry).map_err(refused)?;
        check_inputs(ID, &model, case)?;
        let mut session = Session::resume(model, &mut self.state).map_err(failed)?;
        let memory = Memory { main: &mut self.arena, fast: &mut self.fast };
        let mut watch = Watch::new(case.observe);
        let mut run = session.start_in(memory, &mut watch).map_err(failed)?;
        let ticks = complete(&mut run, &case.inputs, limit)?;
        let ticks = u64::try_from(ticks.as_nanos()).unwrap_or(u64::MAX);
        let outputs = (0..model.outputs()).map(|i| run.output(i).map(<[u8]>::to_vec));
        let mut outcome = Outcome {
            outputs: outputs.collect::<Result<_, _>>().map_err(failed)?,
            ticks,
            counter: Some(Counter { kind: CounterKind::Time, hz: 1_000_000_000 }),
            steps: run.steps(),
            arena_bytes: model.arena_bytes(),
            arena_high_water: run.high_water(),
            ..Outcome::default()
        };
        outcome.profile = watch.profile;
        outcome.rows = watch.rows;
        Ok(outcome)
    }
}

/// Gives a run its inputs, and takes it to its end; the time of the latter.
pub(crate) fn complete<P: Probe>(
    run: &mut Run<'_, '_, P>,
    inputs: &[impl AsRef<[u8]>],
    limit: Duration,
) -> Result<Duration, Error> {
    let model = run.model();
    let mut pushed = vec![0; inputs.len()];
    for (index, input) in inputs.iter().enumerate() {
        if !is_pushed(model, index) {
            run.set_input(index, input.as_ref()).map_err(failed)?;
        }
    }
    let begun = Instant::now();
    loop {
        match run.step() {
            Ok(Step::Done) => return Ok(begun.elapsed()),
            Ok(_) if begun.elapsed() > limit => {
                return Err(Error::Timeout { board: ID.to_owned(), during: "the run", limit });
            }
            Ok(_) => {}
            Err(RunError::NeedsInput { input }) => {
                let index = usize::from(input);
                let rest = inputs.get(index).and_then(|data| data.as_ref().get(*pushed.get(index)?..));
                let row = model.input(index).and_then(|io| model.tensor(io.tensor)).map_or(0, |t| t.row_stride());
                let data = rest.and_then(|rest| rest.get(..row)).ok_or_else(|| failed(RunError::Input))?;
                run.push_rows(index, data).map_err(failed)?;
                pushed[index] += row;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// True if the model takes this input row by row.
fn is_pushed(model: &Model<'_>, index: usize) -> bool {
    let tensor = model.input(index).and_then(|io| model.tensor(io.tensor));
    tensor.and_then(|tensor| model.buffer(tensor.buffer)).is_some_and(|buffer| buffer.rows != 0)
}

/// The host's twin of the runner's probe.
struct Watch {
    observe: Observe,
    op: u16,
    begun: Option<Instant>,
    profile: Vec<NodeTicks>,
    rows: Vec<RowRecord>,
}

impl Watch {
    fn new(observe: Observe) -> Self {
        Self { observe, op: 0, begun: None, profile: Vec::new(), rows: Vec::new() }
    }
}

impl Probe for Watch {
    fn begin(&mut self, _node: NodeId, op: OpCode) {
        self.op = op.0;
        self.begun = (self.observe == Observe::Profile).then(Instant::now);
    }

    fn rows(&mut self, node: NodeId, y: Range<u16>, rows: &Rows<'_>) {
        let whole = match self.observe {
            Observe::Digests => false,
            Observe::Node { node: wanted } if wanted == node.0 => true,
            _ => return,
        };
        for row in y {
            let data = rows.pixels(row).flatten().copied().collect::<Vec<_>>();
            let crc = CRC.checksum(&data);
            self.rows.push(RowRecord { node: node.0, row, crc, data: if whole { data } else { Vec::new() } });
        }
    }

    fn end(&mut self, node: NodeId) {
        let Some(begun) = self.begun else { return };
        let ticks = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match self.profile.iter_mut().find(|record| record.node == node.0) {
            Some(record) => {
                record.calls += 1;
                record.ticks += ticks;
            }
            None => self.profile.push(NodeTicks { node: node.0, op: self.op, calls: 1, ticks }),
        }
    }
}
