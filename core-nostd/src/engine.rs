//! What a run does at every step. Nothing here depends on the probe, so it is there once in a program.

use core::cell::Cell;
use core::ops::Range;

use crate::arena::{CounterBytes, Free, Pieces, touch};
use crate::blob::region;
use crate::memory::Regions;
use crate::model::in_place;
use crate::schedule::{self, Answer, Counters, Next, State};
use crate::{Band, Cx, Model, Need, Node, NodeId, OpCode, OpEntry, Rows, RowsMut, RunError, Step, TensorInfo};

/// An inference under way, without a probe.
#[derive(Debug)]
pub struct Engine<'r, 'm> {
    pub model: &'r Model<'m>,
    pub(crate) memory: Regions<'r>,
    pub state: State,
    pub steps: u32,
    /// Of the step made last.
    pub band: Band,
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
        let mut engine = Self { model, memory: Regions { parts }, state: State::default(), steps: 0, band: Band::Produce(0, 0), high_water };
        for slot in 0..counters / 2 {
            engine.counters().set(slot, 0);
        }
        // Inputs that are there as a whole count as given; rings begin empty.
        for t in model.nodes()..model.tensors.len() as u16 {
            if model.whole(t).is_some()
                && let Some(info) = model.tensor(t)
            {
                engine.raise(t, info.buffer, info.h);
            }
        }
        Ok(engine)
    }

    #[inline]
    pub(crate) fn counters(&mut self) -> CounterBytes<'_> {
        CounterBytes::of(self.model, self.memory.parts[0])
    }

    /// A range has been lent.
    pub(crate) fn touch(&mut self, range: &Range<usize>) {
        touch(Cell::from_mut(&mut self.high_water[..]).as_slice_of_cells(), range);
    }

    /// Rows of a graph input are there, up to `row`.
    fn raise(&mut self, t: u16, buffer: u16, row: u16) {
        let mut c = self.counters();
        c.set_progress(t, row);
        c.raise_head(buffer, row);
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
        let t = self.model.tensor(tensor)?;
        let before = self.state;
        let next = schedule::next(self.model, &mut self.state, &mut CounterBytes::of(self.model, self.memory.parts[0]));
        self.state = before;
        let Ok(Next::Input(n, wanted)) = next else { return None };
        if usize::from(n) != i {
            return None;
        }
        let rows = u16::try_from(data.len().checked_div(t.row_stride())?).ok().filter(|&rows| rows > 0)?;
        let y0 = self.counters().progress(tensor);
        let y1 = y0.checked_add(rows).filter(|&y| y <= wanted.min(t.h))?;
        let p = self.model.pieces(&t, y0, y1).filter(|p| p.second.is_empty())?;
        let to = self.memory.get_mut(p.first.clone()).filter(|to| to.len() == data.len())?;
        to.copy_from_slice(data);
        self.touch(&p.first);
        self.raise(tensor, t.buffer, y1);
        Some(())
    }

    /// Makes the next step. `begin` is called before.
    #[inline(never)]
    pub fn step(&mut self, mut begin: Option<&mut dyn FnMut(NodeId, OpCode)>) -> Result<Step, RunError> {
        loop {
            let mut counters = CounterBytes::of(self.model, self.memory.parts[0]);
            let Some(n) = schedule::asked(self.model, &mut self.state, &mut counters) else { return Ok(Step::Done) };
            let mut answer = Answer::Malformed;
            // Where the node can't be run, there is no answer.
            let _ = self.model.visit(n, &mut |node, op, need| {
                answer = self.turn(node, op, need, &mut begin);
                Ok(())
            });
            return match answer {
                Answer::Passed => continue,
                Answer::Step(_) => Ok(Step::Made(NodeId(n))),
                Answer::Input(input, _) => Err(RunError::NeedsInput { input }),
                Answer::Malformed => Err(RunError::Plan { node: n }),
            };
        }
    }

    /// What a node does that is asked, and does it.
    #[inline]
    fn turn(
        &mut self,
        node: &Node<'m>,
        op: &OpEntry,
        need: &Need,
        begin: &mut Option<&mut dyn FnMut(NodeId, OpCode)>,
    ) -> Answer {
        let mut counters = CounterBytes::of(self.model, self.memory.parts[0]);
        let answer = schedule::answer(self.model, &mut self.state, &mut counters, node.id.0, &(node, need));
        if let Answer::Step(band) = answer {
            if self.steps >= self.model.max_steps() {
                return Answer::Malformed;
            }
            self.steps = self.steps.saturating_add(1);
            self.band = band;
            if let Some(begin) = begin {
                begin(node.id, op.code);
            }
            if !need.view && self.eval(node, need, op.eval).is_none() {
                return Answer::Malformed;
            }
            let mut counters = CounterBytes::of(self.model, self.memory.parts[0]);
            if let Band::Produce(_, y1) = band {
                counters.raise_head(node.out.buffer, y1);
            }
            schedule::done(&mut self.state, &mut counters, node.id, band, need.consumes);
        }
        answer
    }

    /// Rows that a step has made.
    pub fn rows(&self, id: NodeId, y0: u16, y1: u16) -> Option<Rows<'_>> {
        let t = self.model.tensor(id.0)?;
        let p = self.model.pieces(&t, y0, y1)?;
        Some(Rows::new(self.memory.get(p.first.clone())?, self.memory.get(p.second.clone())?, &p, &t))
    }

    /// Lends a kernel what its band touches. `None` if that is not there.
    #[inline(never)]
    fn eval(&mut self, node: &Node<'m>, need: &Need, kernel: fn(&mut Cx<'_>, Band) -> Option<()>) -> Option<()> {
        let model = self.model;
        let in_place = in_place(node);
        // Nothing is lent of the counters.
        let [main, fast, state] = &mut self.memory.parts;
        let front = model.counter_bytes();
        let (counters, main) = main.split_at_mut_checked(front)?;
        let counters = CounterBytes::of(model, counters);
        let high_water = Cell::from_mut(&mut self.high_water[..]).as_slice_of_cells();
        let mut free = Free::new(front, [main, fast, state], high_water);
        let mut cx = Cx {
            node,
            inputs: [Rows::default(); 2],
            out: RowsMut::default(),
            in_place,
            scratch: &mut [],
            aux: &mut [],
        };
        if let Band::Produce(y0, y1) = self.band {
            // In place, it holds the operand.
            let there = Some(&counters).filter(|_| in_place.is_some());
            let p = there_are(model, there, &node.out, y0, y1).filter(|p| p.second.is_empty())?;
            cx.out = RowsMut::new(free.take(p.first)?, y0, &node.out);
        }
        if need.aux > 0 {
            cx.aux = free.take(range(model.buffer(node.header.accumulator()?)?.address(), need.aux))?;
        }
        if need.scratch > 0 {
            let s = model.segment_record(self.state.segment()).filter(|s| s.scratch_length >= need.scratch)?;
            cx.scratch = free.take(range(s.scratch_offset, need.scratch))?;
        }
        let mut k = 0u8;
        while let Some(t) = node.operand(k) {
            let (y0, y1) = match self.band {
                _ if in_place == Some(k) => (0, 0),
                Band::Produce(..) if need.consumes => (0, 0),
                Band::Produce(y0, y1) => need.windows.get(usize::from(k))?.rows(y0, y1, t.h),
                Band::Consume(y0, y1) => (y0, y1),
            };
            let there = Some(&counters).filter(|_| y0 < y1);
            *cx.inputs.get_mut(usize::from(k))? = Rows::lent(&free, &there_are(model, there, t, y0, y1)?, t)?;
            k += 1;
        }
        kernel(&mut cx, self.band)
    }
}

/// Where rows lie; `None` if the first of them has been overwritten, which is seen from the counters.
#[inline(never)]
fn there_are(
    model: &Model<'_>,
    counters: Option<&CounterBytes<'_>>,
    t: &TensorInfo,
    y0: u16,
    y1: u16,
) -> Option<Pieces> {
    let p = model.pieces(t, y0, y1)?;
    let head = counters.filter(|_| p.ring != 0).map_or(0, |c| c.head(t.buffer));
    (u32::from(y0) + u32::from(p.ring) >= u32::from(head)).then_some(p)
}

/// What verification has proven to lie in its region.
fn range(address: u32, length: u32) -> Range<usize> {
    address as usize..(address as usize).wrapping_add(length as usize)
}
