use core::ops::Range;

use crate::arena::{CounterBytes, Pieces, pieces};
use crate::blob::BufferRecord;
use crate::model::in_place;
use crate::schedule::{self, Counters, Next, State};
use crate::{Band, Cx, Model, Node, NodeId, OpCode, Probe, Rows, RowsMut, RunError, TensorInfo};

/// A model together with what outlives an inference. Scratch memory is borrowed per run, so several sessions can
/// share one arena.
#[derive(Debug)]
pub struct Session<'m> {
    model: Model<'m>,
}

impl<'m> Session<'m> {
    /// A session of a model without state.
    pub fn new(model: Model<'m>) -> Self {
        Self { model }
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
        let need = self.model.arena_bytes();
        let have = scratch.len();
        let arena = scratch.get_mut(..need).ok_or(RunError::ArenaTooSmall { need, have })?;
        let counters = self.model.counter_bytes();
        if let Some(c) = arena.get_mut(..counters) {
            c.fill(0);
        }
        let mut run = Run { model: &self.model, arena, state: State::default(), steps: 0, high_water: counters, probe };
        run.reset_inputs();
        Ok(run)
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Step {
    /// A band of this node has been made or consumed.
    Made(NodeId),
    /// The inference is complete; outputs can be read.
    Done,
}

/// An inference under way.
#[derive(Debug)]
pub struct Run<'r, 'm, P: Probe = ()> {
    model: &'r Model<'m>,
    arena: &'r mut [u8],
    state: State,
    steps: u32,
    high_water: usize,
    probe: P,
}

impl<'r, 'm, P: Probe> Run<'r, 'm, P> {
    fn counters(&mut self) -> CounterBytes<'_> {
        let h = &self.model.header;
        CounterBytes { bytes: self.arena, nodes: h.nodes, inputs: h.inputs }
    }

    /// Inputs that are there as a whole count as given; rings begin empty.
    fn reset_inputs(&mut self) {
        let (nodes, inputs) = (self.model.header.nodes, self.model.header.inputs);
        for t in nodes..nodes.saturating_add(inputs) {
            let Some(info) = self.model.tensor(t) else { continue };
            let whole = self.model.buffer(info.buffer).is_some_and(|b| b.rows == 0);
            if whole {
                let mut c = self.counters();
                c.set_progress(t, info.h);
                c.raise_head(info.buffer, info.h);
            }
        }
    }

    /// The bytes of input `i`, to be filled before the first step (quantized, row by row, channels innermost).
    ///
    /// # Errors
    /// [`RunError::Input`] if there is no such input, or if it is pushed row by row ([`Run::push_rows`]).
    pub fn input(&mut self, i: usize) -> Result<&mut [u8], RunError> {
        let io = self.model.input(i).ok_or(RunError::Input)?;
        let range = self.whole(io.tensor).ok_or(RunError::Input)?;
        self.high_water = self.high_water.max(range.end);
        self.arena.get_mut(range).ok_or(RunError::Input)
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
        let model = self.model;
        let io = model.input(i).ok_or(RunError::Input)?;
        let t = model.tensor(io.tensor).ok_or(RunError::Input)?;
        let b = model.buffer(t.buffer).ok_or(RunError::Input)?;
        let Ok(Next::Input(n, wanted)) = schedule::next(self.model, &mut { self.state }, &mut self.counters()) else {
            return Err(RunError::Input);
        };
        if usize::from(n) != i {
            return Err(RunError::Input);
        }
        let rows = data.len().checked_div(t.row_stride()).and_then(|n| u16::try_from(n).ok()).ok_or(RunError::Input)?;
        let y0 = self.counters().progress(io.tensor);
        let y1 = y0.checked_add(rows).filter(|&y| y <= wanted.min(t.h) && rows > 0).ok_or(RunError::Input)?;
        let p = pieces(&t, &b, y0, y1).filter(|p| p.second.is_empty()).ok_or(RunError::Input)?;
        self.high_water = self.high_water.max(p.first.end);
        let to = self.arena.get_mut(p.first).filter(|to| to.len() == data.len()).ok_or(RunError::Input)?;
        to.copy_from_slice(data);
        let mut c = self.counters();
        c.set_progress(io.tensor, y1);
        c.raise_head(t.buffer, y1);
        Ok(())
    }

    /// The bytes of output `i`, once the inference is complete.
    ///
    /// # Errors
    /// [`RunError::Input`] if there is no such output.
    pub fn output(&self, i: usize) -> Result<&[u8], RunError> {
        let io = self.model.output(i).ok_or(RunError::Input)?;
        let range = self.whole(io.tensor).ok_or(RunError::Input)?;
        self.arena.get(range).ok_or(RunError::Input)
    }

    /// Where a tensor lies that is there as a whole and without gaps.
    fn whole(&self, t: u16) -> Option<Range<usize>> {
        let info = self.model.tensor(t)?;
        let b = self.model.buffer(info.buffer)?;
        if b.rows != 0 {
            return None;
        }
        pieces(&info, &b, 0, info.h).map(|p| p.first)
    }

    /// One past the highest byte of the arena that was lent to a kernel or the user so far.
    pub fn high_water(&self) -> usize {
        self.high_water
    }

    /// Steps made so far.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Runs to the end.
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

    /// Makes one band.
    ///
    /// # Errors
    /// [`RunError::NeedsInput`] if rows of a pushed input are lacking: push them and call again.
    /// [`RunError::Plan`] if the blob's plan is wrong in meaning.
    pub fn step(&mut self) -> Result<Step, RunError> {
        let model = self.model;
        let mut state = self.state;
        let next = schedule::next(model, &mut state, &mut self.counters());
        self.state = state;
        let (id, band) = match next {
            Ok(Next::Step(id, band)) => (id, band),
            Ok(Next::Done) => return Ok(Step::Done),
            Ok(Next::Input(input, _)) => return Err(RunError::NeedsInput { input }),
            Err(schedule::Malformed(NodeId(node))) => return Err(RunError::Plan { node }),
        };
        let wrong = RunError::Plan { node: id.0 };
        if self.steps >= model.max_steps() {
            return Err(wrong);
        }
        self.steps = self.steps.saturating_add(1);
        let node = model.node(id.0).map_err(|_| wrong)?;
        let (op, need) = model.resolve(&node).ok_or(wrong)?;
        self.probe.begin(id, OpCode(node.header.op));
        if !need.view {
            self.eval(&node, &need, band, op.eval).ok_or(wrong)??;
        }
        if let Band::Produce(y0, y1) = band {
            self.counters().raise_head(node.out.buffer, y1);
            self.show(&node, y0, y1);
        }
        let mut state = self.state;
        schedule::done(&mut state, &mut self.counters(), id, band, need.consumes);
        self.state = state;
        self.probe.end(id);
        Ok(Step::Made(id))
    }

    /// Lends a kernel what its band touches. `None` if that is not there.
    fn eval(
        &mut self,
        node: &Node<'m>,
        need: &crate::Need,
        band: Band,
        kernel: fn(&mut Cx<'_>, Band) -> Result<(), RunError>,
    ) -> Option<Result<(), RunError>> {
        let model = self.model;
        let in_place = in_place(node);
        let mut lent: [Range<usize>; 7] = core::array::from_fn(|_| 0..0);

        let rows_of = |window: crate::Window, h: u16| match band {
            Band::Produce(_, _) if need.consumes => (0, 0),
            Band::Produce(y0, y1) => window.rows(y0, y1, h),
            Band::Consume(y0, y1) => (y0, y1),
        };
        let [w0, w1] = need.windows;
        let (mut lo0, mut hi0) = rows_of(w0, node.in0.h);
        let (mut lo1, mut hi1) = node.in1.map_or((0, 0), |t| rows_of(w1, t.h));
        // Operands in one buffer are lent once, for the rows of both.
        let shared = node.in1.is_some_and(|t| t.buffer == node.in0.buffer) && in_place.is_none();
        if shared {
            (lo0, hi0) = (lo0.min(lo1), hi0.max(hi1));
            (lo1, hi1) = (lo0, hi0);
        }

        let mut p0 = Pieces::default();
        if in_place != Some(0) {
            p0 = self.resident(model, &node.in0, lo0, hi0)?;
        }
        let mut p1 = Pieces::default();
        if let Some(t) = node.in1
            && in_place != Some(1)
        {
            p1 = self.resident(model, &t, lo1, hi1)?;
        }
        if shared {
            let join = |a: &Range<usize>, b: &Range<usize>| {
                if b.is_empty() { a.clone() } else { a.start.min(b.start)..a.end.max(b.end) }
            };
            lent[0] = join(&p0.first, &p1.first);
            lent[1] = join(&p0.second, &p1.second);
        } else {
            lent[0] = p0.first.clone();
            lent[1] = p0.second.clone();
            lent[2] = p1.first.clone();
            lent[3] = p1.second.clone();
        }
        let (mut y0, mut y1) = (0, 0);
        if let Band::Produce(a, b) = band {
            (y0, y1) = (a, b);
            let b = model.buffer(node.out.buffer)?;
            let p = pieces(&node.out, &b, y0, y1)?;
            if !p.second.is_empty() {
                return None;
            }
            if in_place.is_some() {
                self.still_there(&b, node.out.buffer, y0)?;
            }
            lent[4] = p.first;
        }
        if need.aux > 0 {
            let b = model.buffer(node.header.accumulator()?)?;
            lent[5] = range(b.offset, need.aux)?;
        }
        if need.scratch > 0 {
            let s = model.segment_record(self.state.segment())?;
            if s.scratch_length < need.scratch {
                return None;
            }
            lent[6] = range(s.scratch_offset, need.scratch)?;
        }
        for r in &lent {
            self.high_water = self.high_water.max(r.end);
        }

        let starts: [usize; 2] = core::array::from_fn(|i| lent.get(i).map_or(0, |r| r.start));
        let [a, b, c, d, out, aux, scratch] = self.arena.get_disjoint_mut(lent).ok()?;
        let (a, b, c, d): (&[u8], &[u8], &[u8], &[u8]) = (a, b, c, d);
        let cut = |piece: &[u8], from: usize, r: &Range<usize>| -> Option<(usize, usize)> {
            let lo = r.start.checked_sub(from)?;
            let hi = r.end.checked_sub(from)?;
            (hi <= piece.len()).then_some((lo, hi))
        };
        let view = |t: &TensorInfo, p: &Pieces, lent: bool| -> Option<Rows<'_>> {
            if !lent {
                return Some(Rows::default());
            }
            let (lo, hi) = cut(a, starts[0], &p.first)?;
            let second = if p.second.is_empty() {
                &[][..]
            } else {
                let (lo, hi) = cut(b, starts[1], &p.second)?;
                b.get(lo..hi)?
            };
            Some(Rows::new(a.get(lo..hi)?, second, p.y0, p.split, t))
        };
        let rows0 = view(&node.in0, &p0, in_place != Some(0))?;
        let rows1 = match node.in1 {
            Some(t) if shared => view(&t, &p1, true)?,
            Some(t) if in_place != Some(1) => Rows::new(c, d, p1.y0, p1.split, &t),
            _ => Rows::default(),
        };
        let _ = y1;
        let mut cx =
            Cx { node: *node, inputs: [rows0, rows1], out: RowsMut::new(out, y0, &node.out), in_place, scratch, aux };
        Some(kernel(&mut cx, band))
    }

    /// The pieces of rows that have been written and not overwritten since.
    fn resident(&mut self, model: &Model<'m>, t: &TensorInfo, y0: u16, y1: u16) -> Option<Pieces> {
        let b = model.buffer(t.buffer)?;
        if y0 < y1 {
            self.still_there(&b, t.buffer, y0)?;
        }
        pieces(t, &b, y0, y1)
    }

    /// `None` if row `y0` of a ring has been overwritten.
    fn still_there(&mut self, b: &BufferRecord, buffer: u16, y0: u16) -> Option<()> {
        let head = self.counters().head(buffer);
        (b.rows == 0 || u32::from(y0) + u32::from(b.rows) >= u32::from(head)).then_some(())
    }

    /// Shows a band to the probe.
    fn show(&mut self, node: &Node<'m>, y0: u16, y1: u16) {
        let Some(b) = self.model.buffer(node.out.buffer) else { return };
        let Some(p) = pieces(&node.out, &b, y0, y1) else { return };
        let (Some(first), Some(second)) = (self.arena.get(p.first), self.arena.get(p.second)) else { return };
        self.probe.rows(node.id, y0..y1, &Rows::new(first, second, p.y0, p.split, &node.out));
    }

    /// The probe.
    pub fn probe(&mut self) -> &mut P {
        &mut self.probe
    }
}

fn range(offset: u32, length: u32) -> Option<Range<usize>> {
    let from = offset as usize;
    Some(from..from.checked_add(length as usize)?)
}
