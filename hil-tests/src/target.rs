use std::time::Duration;

use carafe_protocol::{Counter, NodeTicks, Observe};

use crate::Error;
use crate::log::LogLine;
use crate::suite_file::Wire;

/// Something that runs models.
pub trait Target {
    /// Its name: that of its board.
    fn id(&self) -> &str;

    /// Puts a model on it, in place of the one before. Its state, if it has one, begins reset.
    ///
    /// # Errors
    /// The model does not verify or does not fit, or the target is out of reach.
    fn load(&mut self, model: &[u8]) -> Result<LoadedModel, Error>;

    /// Runs the model once, within `limit`. A model with state takes cases as steps of one sequence.
    ///
    /// # Errors
    /// The case does not fit the model, the run failed, or the target did not answer in time, not even after a fresh
    /// start.
    fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error>;

    /// True if [`Target::exec`] starts it afresh by itself when it hangs; else whoever runs it may, by
    /// [`Target::restart`].
    fn restarts_itself(&self) -> bool {
        false
    }

    /// Starts it afresh, whatever it was at; the model has to be loaded again. False if that can't be done.
    ///
    /// # Errors
    /// It does not start.
    fn restart(&mut self) -> Result<bool, Error> {
        Ok(false)
    }

    /// What it has logged since it was asked last, if it logs (see [`QemuOptions::log`](crate::QemuOptions::log)).
    ///
    /// # Errors
    /// The log can't be read.
    fn log(&mut self) -> Result<Vec<LogLine>, Error> {
        Ok(Vec::new())
    }

    /// The link to it, if it has one.
    ///
    /// # Errors
    /// It is down, and can't be had again.
    fn wire(&mut self) -> Result<Option<&mut dyn Wire>, Error> {
        Ok(None)
    }
}

/// What a target says of a model that it has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedModel {
    /// Bytes of arena that it needs.
    pub arena_bytes: usize,
    /// Bytes of state that it keeps between runs.
    pub state_bytes: usize,
}

/// One inference.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Case<'a> {
    /// The input tensors, int8 as they are (NHWC).
    pub inputs: Vec<&'a [u8]>,
    /// What to watch meanwhile.
    pub observe: Observe,
}

impl<'a> Case<'a> {
    /// A case that is not watched.
    pub fn of(inputs: &[&'a [u8]]) -> Self {
        Self { inputs: inputs.to_vec(), observe: Observe::Nothing }
    }

    /// The same, watched.
    #[must_use]
    pub fn observed(mut self, observe: Observe) -> Self {
        self.observe = observe;
        self
    }
}

/// What came of an inference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The output tensors, int8 as they are.
    pub outputs: Vec<Vec<u8>>,
    /// Ticks of `counter`.
    pub ticks: u64,
    /// What the ticks are, if the target has a counter.
    pub counter: Option<Counter>,
    /// Instructions of the run, where the target counts them (see [`QemuOptions::count_instructions`]).
    ///
    /// [`QemuOptions::count_instructions`]: crate::QemuOptions::count_instructions
    pub instructions: Option<u64>,
    /// Steps taken.
    pub steps: u32,
    /// Bytes of arena that the plan has.
    pub arena_bytes: usize,
    /// Bytes of arena up to the last one used.
    pub arena_high_water: usize,
    /// Bytes of stack below the runner's frame, where the target can tell.
    pub stack_bytes: Option<usize>,
    /// Ticks of each node, for [`Observe::Profile`].
    pub profile: Vec<NodeTicks>,
    /// Rows as they were made, for [`Observe::Digests`] and [`Observe::Node`].
    pub rows: Vec<RowRecord>,
    /// True if the target had to be started afresh for it.
    pub restarted: bool,
}

/// A row of a node's result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowRecord {
    /// The node, as the blob numbers them.
    pub node: u16,
    /// The row.
    pub row: u16,
    /// CRC-32 of its bytes, pixel by pixel without gaps.
    pub crc: u32,
    /// Its bytes, for [`Observe::Node`].
    pub data: Vec<u8>,
}
