//! What a run does at every step. Nothing here depends on the probe, so it is there once in a program.

use core::ops::Range;

use crate::arena::{CounterBytes, Free, Pieces, pieces};
use crate::blob::{BufferRecord, region};
use crate::memory::Regions;
use crate::model::{Unresolved, in_place};
use crate::schedule::{self, Counters, Next, State};
use crate::{Band, Cx, Model, Need, Node, NodeId, Rows, RowsMut, RunError, TensorInfo, Window};

/// An inference under way, without a probe.
#[derive(Debug)]
pub struct Engine<'r, 'm> {
    pub model: &'r Model<'m>,
    pub(crate) memory: Regions<'r>,
    pub state: State,
    pub steps: u32,
    /// By region.
    pub high_water: [usize; region::COUNT],
}

impl<'r, 'm> Engine<'r, 'm> {
    /// See [`crate::Session::start_in`].
    #[inline(never)]
    pub fn start(model: &'r Model<'m>, mut parts: [&'r mut [u8]; region::COUNT]) -> Result<Self, RunError> {
        for (region, part) in (0..).zip(&mut parts) {
            *part = model.cut(region, core::mem::take(part))?;
        }
        let counters = model.counter_bytes();
        let high_water = [counters, 0, 0];
        let mut engine = Self { model, memory: Regions { parts }, state: State::default(), steps: 0, high_water };
        engine.counters().clear(counters / 2);
        // Inputs that are there as a whole count as given; rings begin empty.
        for t in model.header.nodes..model.header.nodes.saturating_add(model.header.inputs) {
            if let Some((info, b)) = model.place(t)
                && b.rows == 0
            {
                engine.raise(t, &info, info.h);
            }
        }
        Ok(engine)
    }

    pub(crate) fn counters(&mut self) -> CounterBytes<'_> {
        let h = &self.model.header;
        CounterBytes { bytes: self.memory.parts[0], nodes: h.nodes, inputs: h.inputs }
    }

    /// A range has been lent.
    #[inline(never)]
    pub(crate) fn touch(&mut self, range: &Range<usize>) {
        if let Some(high) = self.high_water.get_mut(range.start >> region::BITS) {
            *high = (*high).max(range.end & region::MASK);
        }
    }

    /// Rows of a graph input are there, up to `row`.
    fn raise(&mut self, t: u16, info: &TensorInfo, row: u16) {
        let mut c = self.counters();
        c.set_progress(t, row);
        c.raise_head(info.buffer, row);
    }

    #[inline(never)]
    fn next(&mut self) -> Result<Next, schedule::Malformed> {
        let mut state = self.state;
        let next = schedule::next(self.model, &mut state, &mut self.counters());
        self.state = state;
        next
    }

    /// See [`crate::Run::input`].
    #[inline(never)]
    pub fn input(&mut self, i: usize) -> Result<&mut [u8], RunError> {
        let range = self.model.input_tensor(i).and_then(|t| self.model.whole(t)).ok_or(RunError::Input)?;
        self.touch(&range);
        self.memory.get_mut(range).ok_or(RunError::Input)
    }

    /// See [`crate::Run::output`].
    pub fn output(&self, i: usize) -> Result<&[u8], RunError> {
        let range = self.model.output_tensor(i).and_then(|t| self.model.whole(t));
        range.and_then(|r| self.memory.get(r)).ok_or(RunError::Input)
    }

    /// See [`crate::Run::push_rows`]. `None` if it is refused.
    #[inline(never)]
    pub fn push_rows(&mut self, i: usize, data: &[u8]) -> Option<()> {
        let tensor = self.model.input_tensor(i)?;
        let (t, b) = self.model.place(tensor)?;
        let before = self.state;
        let next = self.next();
        self.state = before;
        let Ok(Next::Input(n, wanted)) = next else { return None };
        if usize::from(n) != i {
            return None;
        }
        let rows = u16::try_from(data.len().checked_div(t.row_stride())?).ok().filter(|&rows| rows > 0)?;
        let y0 = self.counters().progress(tensor);
        let y1 = y0.checked_add(rows).filter(|&y| y <= wanted.min(t.h))?;
        let p = pieces(&t, &b, y0, y1).filter(|p| p.second.is_empty())?;
        let to = self.memory.get_mut(p.first.clone()).filter(|to| to.len() == data.len())?;
        to.copy_from_slice(data);
        self.touch(&p.first);
        self.raise(tensor, &t, y1);
        Some(())
    }

    /// The next step; `None` if the inference is complete.
    #[inline(never)]
    pub fn due(&mut self) -> Result<Option<(NodeId, Band)>, RunError> {
        let (id, band) = match self.next() {
            Ok(Next::Step(id, band)) => (id, band),
            Ok(Next::Done) => return Ok(None),
            Ok(Next::Input(input, _)) => return Err(RunError::NeedsInput { input }),
            Err(schedule::Malformed(NodeId(node))) => return Err(RunError::Plan { node }),
        };
        if self.steps >= self.model.max_steps() {
            return Err(RunError::Plan { node: id.0 });
        }
        self.steps = self.steps.saturating_add(1);
        Ok(Some((id, band)))
    }

    /// Makes a step.
    #[inline(never)]
    pub fn make(&mut self, id: NodeId, band: Band) -> Result<(), RunError> {
        let made = self.model.visit(id.0, &mut |node, op, need| {
            if !need.view {
                self.eval(node, need, band, op.eval).ok_or(Unresolved::Missing)?;
            }
            let mut state = self.state;
            let mut counters = self.counters();
            if let Band::Produce(_, y1) = band {
                counters.raise_head(node.out.buffer, y1);
            }
            schedule::done(&mut state, &mut counters, id, band, need.consumes);
            self.state = state;
            Ok(())
        });
        made.map_err(|_| RunError::Plan { node: id.0 })
    }

    /// Rows that a step has made.
    pub fn rows(&self, id: NodeId, y0: u16, y1: u16) -> Option<Rows<'_>> {
        let (t, b) = self.model.place(id.0)?;
        let p = pieces(&t, &b, y0, y1)?;
        Some(Rows::new(self.memory.get(p.first.clone())?, self.memory.get(p.second.clone())?, &p, &t))
    }

    /// Lends a kernel what its band touches. `None` if that is not there.
    fn eval(
        &mut self,
        node: &Node<'m>,
        need: &Need,
        band: Band,
        kernel: fn(&mut Cx<'_>, Band) -> Option<()>,
    ) -> Option<()> {
        let in_place = in_place(node);
        let p0 = self.operand(Some(&node.in0).filter(|_| in_place != Some(0)), need, 0, band)?;
        let p1 = self.operand(node.in1.as_ref().filter(|_| in_place != Some(1)), need, 1, band)?;
        let (mut y, mut out) = (0, 0..0);
        if let Band::Produce(y0, y1) = band {
            let b = self.model.buffer(node.out.buffer)?;
            let p = pieces(&node.out, &b, y0, y1).filter(|p| p.second.is_empty())?;
            if in_place.is_some() {
                self.still_there(&b, node.out.buffer, y0)?;
            }
            (y, out) = (y0, p.first);
        }
        let mut aux = 0..0;
        if need.aux > 0 {
            aux = range(self.model.buffer(node.header.accumulator()?)?.address(), need.aux);
        }
        let mut scratch = 0..0;
        if need.scratch > 0 {
            let s = self.model.segment_record(self.state.segment()).filter(|s| s.scratch_length >= need.scratch)?;
            scratch = range(s.scratch_offset, need.scratch);
        }
        for r in [&out, &aux, &scratch] {
            self.touch(r);
        }

        let mut free = Free::new(&mut self.memory);
        let out = free.take(out)?;
        let aux = free.take(aux)?;
        let scratch = free.take(scratch)?;
        let in1 = node.in1.as_ref().unwrap_or(&node.in0);
        let inputs = [free.rows(&p0, &node.in0)?, free.rows(&p1, in1)?];
        kernel(&mut Cx { node, inputs, out: RowsMut::new(out, y, &node.out), in_place, scratch, aux }, band)
    }

    /// The pieces of the rows of operand `k` that a band reads; of no operand, none. `None` if they are not (or no
    /// longer) there.
    #[inline(never)]
    fn operand(&mut self, t: Option<&TensorInfo>, need: &Need, k: usize, band: Band) -> Option<Pieces> {
        let Some(t) = t else { return Some(Pieces::default()) };
        let window = need.windows.get(k).unwrap_or(&Window::SAME);
        let (y0, y1) = match band {
            Band::Produce(..) if need.consumes => (0, 0),
            Band::Produce(y0, y1) => window.rows(y0, y1, t.h),
            Band::Consume(y0, y1) => (y0, y1),
        };
        let b = self.model.buffer(t.buffer)?;
        if y0 < y1 {
            self.still_there(&b, t.buffer, y0)?;
        }
        let p = pieces(t, &b, y0, y1)?;
        self.touch(&p.first);
        self.touch(&p.second);
        Some(p)
    }

    /// `None` if row `y0` of a ring has been overwritten.
    fn still_there(&mut self, b: &BufferRecord, buffer: u16, y0: u16) -> Option<()> {
        let head = self.counters().head(buffer);
        (b.rows == 0 || u32::from(y0) + u32::from(b.rows) >= u32::from(head)).then_some(())
    }
}

/// What verification has proven to lie in its region.
fn range(address: u32, length: u32) -> Range<usize> {
    address as usize..(address as usize).wrapping_add(length as usize)
}
