use crate::blob::region;
use crate::engine::Engine;
use crate::offload::{Accelerator, Companion, Offload, Tally};
use crate::{Memory, Model, NodeId, Probe, RunError};

/// A model together with what outlives an inference. Scratch memory is borrowed per run, so several sessions can
/// share one arena.
#[derive(Debug)]
pub struct Session<'m> {
    model: Model<'m>,
    state: &'m mut [u8],
}

impl<'m> Session<'m> {
    /// A session of a model without state. (One of a model with state does not start.)
    pub fn new(model: Model<'m>) -> Self {
        Self { model, state: &mut [] }
    }

    /// A session of a model with state, for which `state` has [`Model::state_bytes`] bytes. It begins reset.
    ///
    /// # Errors
    /// [`RunError::RegionTooSmall`] if `state` is too small.
    pub fn with_state(model: Model<'m>, state: &'m mut [u8]) -> Result<Self, RunError> {
        let mut session = Self::resume(model, state)?;
        session.reset_state();
        Ok(session)
    }

    /// As [`Session::with_state`], to go on with a state that an earlier session of the same model left.
    ///
    /// # Errors
    /// As [`Session::with_state`].
    pub fn resume(model: Model<'m>, state: &'m mut [u8]) -> Result<Self, RunError> {
        Ok(Self { state: model.cut(region::STATE, state)?, model })
    }

    /// Forgets what was before: the state is that of a sequence of zeros. To be called where a sequence begins, and
    /// after an inference that did not come to its end, which leaves a part of the state advanced.
    pub fn reset_state(&mut self) {
        for n in 0..self.model.nodes() {
            if let Some((t, b)) = self.model.place(n)
                && b.region == region::STATE
                && let Some(bytes) =
                    self.state.get_mut(b.offset as usize..).and_then(|s| s.get_mut(..b.length as usize))
            {
                bytes.fill(t.zero_point as u8);
            }
        }
    }

    /// The model.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// Begins an inference. `scratch` needs [`Model::arena_bytes`] bytes; what is in it does not matter.
    pub fn start<'r>(&'r mut self, scratch: &'r mut [u8]) -> Result<Run<'r, 'm>, RunError> {
        self.start_with(scratch, ())
    }

    /// As [`Session::start`], with a probe that sees every band.
    pub fn start_with<'r, P: Probe>(&'r mut self, scratch: &'r mut [u8], probe: P) -> Result<Run<'r, 'm, P>, RunError> {
        self.start_in(Memory::of(scratch), probe)
    }

    /// As [`Session::start_with`], for models that are planned for several regions of memory.
    ///
    /// # Errors
    /// [`RunError::ArenaTooSmall`] or [`RunError::RegionTooSmall`].
    #[inline(never)]
    pub fn start_in<'r, P: Probe>(&'r mut self, memory: Memory<'r>, probe: P) -> Result<Run<'r, 'm, P>, RunError> {
        let parts = [memory.main, memory.fast, &mut *self.state];
        Run::begin(Run { engine: Engine::new(&self.model, parts), probe, offload: () })
    }

    /// As [`Session::start_with`], with an accelerator that is offered parts of the model ([`crate::offload`]). What it
    /// does not take, or fails at, the CPU does, with the same bits.
    pub fn start_on<'r, P: Probe, A: Accelerator>(
        &'r mut self,
        scratch: &'r mut [u8],
        probe: P,
        accelerator: A,
    ) -> Result<Run<'r, 'm, P, Offload<'r, A>>, RunError> {
        let parts = [scratch, &mut [], &mut *self.state];
        Run::begin(Run { engine: Engine::new(&self.model, parts), probe, offload: Offload::new(accelerator) })
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Step {
    /// A band of this node has been made or consumed.
    Made(NodeId),
    /// Nothing: a job is pending on the accelerator, and there is nothing else to do until it is ready. Call again,
    /// at once or after a nap: every step asks the accelerator. Never without an accelerator.
    Waiting,
    /// The inference is complete; outputs can be read.
    Done,
}

/// An inference under way. Dropped while a job is pending on an accelerator, it cancels the job.
#[derive(Debug)]
pub struct Run<'r, 'm, P: Probe = (), O: Companion<'r> = ()> {
    engine: Engine<'r, 'm>,
    probe: P,
    offload: O,
}

impl<'r, 'm, P: Probe, O: Companion<'r>> Run<'r, 'm, P, O> {
    /// In place.
    #[inline]
    fn begin(run: Self) -> Result<Self, RunError> {
        let mut begun = Ok(run);
        if let Ok(run) = &mut begun
            && let Err(error) = run.engine.begin()
        {
            begun = Err(error);
        }
        begun
    }

    /// The model.
    pub fn model(&self) -> &'r Model<'m> {
        self.engine.model
    }

    /// The bytes of input `i`, to be filled before the first step (quantized, row by row, channels innermost).
    ///
    /// # Errors
    /// [`RunError::Input`] if there is no such input, if it is pushed row by row ([`Run::push_rows`]), or if an
    /// accelerator is at work.
    pub fn input(&mut self, i: usize) -> Result<&mut [u8], RunError> {
        if self.offload.is_busy() {
            return Err(RunError::Input);
        }
        self.engine.input(i)
    }

    /// Fills input `i`.
    ///
    /// # Errors
    /// [`RunError::Input`] if the length is another than the tensor's, or there is no such input.
    pub fn set_input(&mut self, i: usize, data: &[u8]) -> Result<(), RunError> {
        let to = self.input(i)?;
        if to.len() != data.len() {
            return Err(RunError::Input);
        }
        to.copy_from_slice(data);
        Ok(())
    }

    /// Gives the next rows of input `i`, whose map does not exist as a whole. Call it when a step returns
    /// [`RunError::NeedsInput`]. `data` is a whole number of rows: one is always right; more are taken if the next step
    /// needs them all and they lie in one piece.
    ///
    /// # Errors
    /// [`RunError::Input`], and nothing has changed, if the length does not fit or the model does not ask for so many
    /// rows now: they would overwrite rows that are still to be read.
    pub fn push_rows(&mut self, i: usize, data: &[u8]) -> Result<(), RunError> {
        self.engine.push_rows(i, data).ok_or(RunError::Input)
    }

    /// As [`Run::push_rows`], of rows that `fill` writes where they lie, so that there is no copy of them: of a sensor that
    /// is read row by row. It is called once, with the bytes of `rows` rows; what is in them before does not matter.
    ///
    /// # Errors
    /// As [`Run::push_rows`]; `fill` is not called then.
    pub fn fill_rows(&mut self, i: usize, rows: u16, mut fill: impl FnMut(&mut [u8])) -> Result<(), RunError> {
        self.engine.fill_rows(i, rows, &mut fill).ok_or(RunError::Input)
    }

    /// The bytes of output `i`, once the inference is complete.
    ///
    /// # Errors
    /// [`RunError::Input`] if there is no such output.
    pub fn output(&self, i: usize) -> Result<&[u8], RunError> {
        self.engine.output(i)
    }

    /// One past the highest byte of the arena that was lent to a kernel or the user so far.
    pub fn high_water(&self) -> usize {
        self.high_water_in(region::MAIN)
    }

    /// As [`Run::high_water`], of one of [`region`]; 0 of a region that does not exist.
    pub fn high_water_in(&self, region: u8) -> usize {
        self.engine.high_water.get(usize::from(region)).copied().unwrap_or(0)
    }

    /// Steps made so far.
    pub fn steps(&self) -> u32 {
        self.engine.steps
    }

    /// Runs to the end. While an accelerator has to be waited for it is asked without a pause: where that is a waste,
    /// call [`Run::step`], and sleep on [`Step::Waiting`].
    pub fn run(&mut self) -> Result<(), RunError> {
        while self.step()? != Step::Done {}
        Ok(())
    }

    /// Runs until the end or until `go_on` says no; true if the inference is complete.
    pub fn run_while(&mut self, mut go_on: impl FnMut() -> bool) -> Result<bool, RunError> {
        while go_on() {
            if self.step()? == Step::Done {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs to the end, and yields to the executor between steps.
    pub async fn run_async(&mut self) -> Result<(), RunError> {
        while self.step()? != Step::Done {
            let mut yielded = false;
            core::future::poll_fn(|cx| {
                if yielded {
                    return core::task::Poll::Ready(());
                }
                yielded = true;
                cx.waker().wake_by_ref();
                core::task::Poll::Pending
            })
            .await;
        }
        Ok(())
    }

    /// Makes one band, or, with an accelerator, offers it a job or asks after the one that is pending, and makes a band
    /// if there is one to be made meanwhile.
    ///
    /// # Errors
    /// [`RunError::NeedsInput`] if rows of a pushed input are lacking: push them and call again.
    /// [`RunError::Plan`] if the blob's plan is wrong in meaning.
    pub fn step(&mut self) -> Result<Step, RunError> {
        if !self.offload.step(&mut self.engine, &mut self.probe) {
            return Ok(Step::Waiting);
        }
        if !self.probe.sees() {
            return self.engine.step(None);
        }
        let step = self.engine.step(Some(&mut |id, op| self.probe.begin(id, op)))?;
        let Step::Made(id) = step else { return Ok(step) };
        let (y0, y1) = self.engine.made;
        if y0 < y1
            && let Some(rows) = self.engine.rows(id, y0, y1)
        {
            self.probe.rows(id, y0..y1, &rows);
        }
        self.probe.end(id);
        Ok(step)
    }

    /// The probe.
    pub fn probe(&mut self) -> &mut P {
        &mut self.probe
    }
}

impl<'r, P: Probe, A: Accelerator> Run<'r, '_, P, Offload<'r, A>> {
    /// The accelerator.
    pub fn accelerator(&mut self) -> &mut A {
        self.offload.accelerator()
    }

    /// What became of the jobs so far.
    pub fn tally(&self) -> Tally {
        self.offload.tally()
    }
}
