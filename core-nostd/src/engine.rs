//! What a run does at every step. Nothing here depends on the probe, so it is there once in a program.

use core::cell::Cell;
use core::hint::black_box;
use core::ops::Range;

use crate::arena::{CounterBytes, Free, touch};
use crate::blob::region;
use crate::memory::Regions;
use crate::model::in_place;
use crate::schedule::{self, Answer, Counters, Next, State};
use crate::{Band, Cx, Model, Need, Node, NodeId, OpCode, OpEntry, Rows, RowsMut, RunError, Step, Window};

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
        let mut region = 0;
        // The compiler is not to know how many there are: it would write the loop out.
        for part in black_box(&mut parts[..]) {
            let (need, have) = (model.region_bytes(region) as usize, part.len());
            let Some(cut) = core::mem::take(part).get_mut(..need) else {
                return Err(RunError::too_small(region, need, have));
            };
            *part = cut;
            region += 1;
        }
        let counters = model.counter_bytes();
        let mut engine = Self {
            model,
            memory: Regions { parts },
            state: State::default(),
            steps: 0,
            band: Band::Produce(0, 0),
            high_water: [counters, 0, 0],
        };
        for slot in 0..counters / 2 {
            engine.counters().set(slot, 0);
        }
        // Inputs that are there as a whole count as given; rings begin empty.
        for t in model.nodes()..model.tensors.len() as u16 {
            if let Some((info, b)) = model.place(t)
                && b.rows == 0
            {
                engine.counters().set_progress(t, info.h);
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
        let p = self.model.pieces(&t, y0, y1, 0).filter(|p| p.second.is_empty())?;
        let to = self.memory.get_mut(p.first.clone()).filter(|to| to.len() == data.len())?;
        to.copy_from_slice(data);
        self.touch(&p.first);
        let mut counters = self.counters();
        counters.set_progress(tensor, y1);
        counters.raise_head(t.buffer, y1);
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
        let p = self.model.pieces(&t, y0, y1, 0)?;
        Some(Rows::new(self.memory.get(p.first.clone())?, self.memory.get(p.second.clone())?, &p, &t))
    }

    /// Lends a kernel what its band touches. `None` if that is not there.
    #[inline(never)]
    fn eval(&mut self, node: &Node<'m>, need: &Need, kernel: fn(&mut Cx<'_>, Band) -> Option<()>) -> Option<()> {
        let model = self.model;
        // Nothing is lent of the counters.
        let [main, fast, state] = &mut self.memory.parts;
        let front = model.counter_bytes();
        let (counters, main) = main.split_at_mut_checked(front)?;
        let high_water = Cell::from_mut(&mut self.high_water[..]).as_slice_of_cells();
        let mut lender = Lender {
            model,
            node,
            need,
            band: self.band,
            in_place: in_place(node),
            counters: CounterBytes::of(model, counters),
            free: Free::new(front, [main, fast, state], high_water),
        };
        let mut cx = Cx {
            node,
            inputs: [Rows::default(); 2],
            out: lender.out()?,
            in_place: lender.in_place,
            scratch: &mut [],
            aux: &mut [],
        };
        if need.aux > 0 {
            let b = model.buffer(node.header.accumulator()?)?;
            cx.aux = lender.free.take(range(b.address(), need.aux))?;
        }
        if need.scratch > 0 {
            let s = model.segment_record(self.state.segment()).filter(|s| s.scratch_length >= need.scratch)?;
            cx.scratch = lender.free.take(range(s.scratch_offset, need.scratch))?;
        }
        let [first, second] = &mut cx.inputs;
        lender.input(0, &need.windows[0], first)?;
        lender.input(1, &need.windows[1], second)?;
        kernel(&mut cx, lender.band)
    }
}

/// A step, and the memory that it borrows from.
struct Lender<'a, 'm> {
    model: &'a Model<'m>,
    node: &'a Node<'m>,
    need: &'a Need,
    band: Band,
    in_place: Option<u8>,
    counters: CounterBytes<'a>,
    free: Free<'a>,
}

impl<'a> Lender<'a, '_> {
    /// The band of the result. In place, it holds the operand.
    #[inline]
    fn out(&mut self) -> Option<RowsMut<'a>> {
        let Band::Produce(y0, y1) = self.band else { return Some(RowsMut::default()) };
        let t = &self.node.out;
        let head = if self.in_place.is_some() { self.counters.head(t.buffer) } else { 0 };
        let p = self.model.pieces(t, y0, y1, head).filter(|p| p.second.is_empty())?;
        Some(RowsMut::new(self.free.take(p.first)?, y0, t))
    }

    /// The rows of operand `k` that the band reads; none of what it overwrites.
    #[inline(never)]
    fn input<'s>(&'s self, k: u8, window: &Window, to: &mut Rows<'s>) -> Option<()> {
        let Some(t) = self.node.operand(k) else { return Some(()) };
        let (y0, y1) = match self.band {
            _ if self.in_place == Some(k) => (0, 0),
            Band::Produce(..) if self.need.consumes => (0, 0),
            Band::Produce(y0, y1) => window.rows(y0, y1, t.h),
            Band::Consume(y0, y1) => (y0, y1),
        };
        let head = if y0 < y1 { self.counters.head(t.buffer) } else { 0 };
        to.lend(&self.free, &self.model.pieces(t, y0, y1, head)?, t)
    }
}

/// What verification has proven to lie in its region.
fn range(address: u32, length: u32) -> Range<usize> {
    address as usize..(address as usize).wrapping_add(length as usize)
}
