//! What a run does at every step. Nothing here depends on the probe, so it is there once in a program.

use core::cell::Cell;
use core::hint::black_box;
use core::ops::Range;

use crate::arena::{Free, touch};
use crate::blob::region;
use crate::memory::Regions;
use crate::schedule::{self, Answer, Counters, Demand, Next, Plan, State, World};
use crate::{Band, Cx, Model, Need, Node, NodeId, OpCode, Rows, RowsMut, RunError, Step, TensorInfo};

/// An inference under way, without a probe.
#[derive(Debug)]
pub struct Engine<'r, 'm> {
    pub model: &'r Model<'m>,
    /// Progress of every tensor, who asked each node, and rows ever written to each buffer: two bytes each,
    /// little-endian, at the front of the arena.
    counters: &'r mut [[u8; 2]],
    pub(crate) memory: Regions<'r>,
    pub state: State,
    pub steps: u32,
    /// Rows that the last step made.
    pub made: (u16, u16),
    /// By region.
    pub high_water: [usize; region::COUNT],
}

impl<'r, 'm> Engine<'r, 'm> {
    /// Before [`Engine::begin`].
    #[inline]
    pub fn new(model: &'r Model<'m>, parts: [&'r mut [u8]; region::COUNT]) -> Self {
        let memory = Regions { parts, front: 0 };
        Self {
            model,
            counters: &mut [],
            memory,
            state: State::default(),
            steps: 0,
            made: (0, 0),
            high_water: [0; region::COUNT],
        }
    }

    /// See [`crate::Session::start_in`]. An engine is too large to be handed around, so it is begun where it lies.
    #[inline]
    pub fn begin(&mut self) -> Result<(), RunError> {
        let model = self.model;
        // The compiler is not to know how many there are: it would write the loop out.
        for (region, part) in (0..).zip(black_box(&self.memory.parts[..])) {
            let (need, have) = (model.region_bytes(region) as usize, part.len());
            if have < need {
                return Err(RunError::too_small(region, need, have));
            }
        }
        let front = model.counter_bytes();
        let main = &mut self.memory.parts[0];
        let Some((counters, rest)) = core::mem::take(main).split_at_mut_checked(front) else {
            return Err(RunError::too_small(region::MAIN, front, 0));
        };
        *main = rest;
        self.memory.front = front;
        self.high_water[0] = front;
        self.counters = counters.as_chunks_mut().0;
        for slot in 0..self.counters.len() {
            self.set(slot, 0);
        }
        // Inputs that are there as a whole count as given; rings begin empty.
        for t in model.nodes()..model.tensors.len() as u16 {
            if let Some((info, b)) = model.place(t)
                && b.rows == 0
            {
                self.set(usize::from(t), info.h);
            }
        }
        Ok(())
    }

    #[inline]
    fn get(&self, slot: usize) -> u16 {
        get(self.counters, slot)
    }

    #[inline(never)]
    fn set(&mut self, slot: usize, value: u16) {
        if let Some(bytes) = self.counters.get_mut(slot) {
            *bytes = value.to_le_bytes();
        }
    }

    /// Rows up to `row` have been written.
    #[inline]
    fn raise_head(&mut self, buffer: u16, row: u16) {
        let slot = head(self.model, buffer);
        if row > self.get(slot) {
            self.set(slot, row);
        }
    }

    /// A range has been lent.
    pub(crate) fn touch(&mut self, range: &Range<usize>) {
        touch(Cell::from_mut(&mut self.high_water[..]).as_slice_of_cells(), range);
    }

    /// See [`crate::Run::input`].
    #[inline]
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
        let stride = self.model.tensor(self.model.input_tensor(i)?)?.row_stride();
        let rows = u16::try_from(data.len().checked_div(stride)?).ok()?;
        if usize::from(rows) * stride != data.len() {
            return None;
        }
        self.fill_rows(i, rows, &mut |to| carafe_cpu::copy(to, data))
    }

    /// See [`crate::Run::fill_rows`]. `None` if it is refused.
    #[inline(never)]
    pub fn fill_rows(&mut self, i: usize, rows: u16, fill: &mut dyn FnMut(&mut [u8])) -> Option<()> {
        let tensor = self.model.input_tensor(i)?;
        let t = self.model.tensor(tensor)?;
        let before = self.state;
        let next = schedule::next_in(self);
        self.state = before;
        let Ok(Next::Input(n, wanted)) = next else { return None };
        if usize::from(n) != i || rows == 0 {
            return None;
        }
        let y0 = self.progress(tensor);
        let y1 = y0.checked_add(rows).filter(|&y| y <= wanted.min(t.h))?;
        let p = self.model.pieces(&t, y0, y1, 0).filter(|p| p.second.is_empty())?;
        fill(self.memory.get_mut(p.first.clone()).filter(|to| to.len() == usize::from(rows) * t.row_stride())?);
        self.touch(&p.first);
        self.set_progress(tensor, y1);
        self.raise_head(t.buffer, y1);
        Some(())
    }

    /// Makes the next step. `begin` is called before.
    #[inline(never)]
    pub fn step(&mut self, mut begin: Option<&mut dyn FnMut(NodeId, OpCode)>) -> Result<Step, RunError> {
        let mut node = Node::none();
        loop {
            let Some(n) = schedule::asked(self) else { return Ok(Step::Done) };
            let mut answer = Answer::Malformed;
            if self.turn(n, &mut node, &mut begin, &mut answer).is_none()
                && let Answer::Step(_) = answer
            {
                answer = Answer::Malformed;
            }
            return match answer {
                Answer::Passed => continue,
                Answer::Step(_) => Ok(Step::Made(NodeId(n))),
                Answer::Input(input, _) => Err(RunError::NeedsInput { input }),
                Answer::Malformed => Err(RunError::Plan { node: n }),
            };
        }
    }

    /// What node `n` does, which is asked, and does it. `None` if it fails, or does nothing.
    #[inline]
    fn turn(
        &mut self,
        n: u16,
        node: &mut Node<'m>,
        begin: &mut Option<&mut dyn FnMut(NodeId, OpCode)>,
        answer: &mut Answer,
    ) -> Option<()> {
        let op = self.model.resolve(n, node).ok()?;
        let node = &*node;
        let Ok(need) = &(op.need)(node) else { return None };
        schedule::answer(self, n, &(node, need), answer)?;
        let Answer::Step(band) = *answer else { return None };
        (self.steps < self.model.max_steps()).then_some(())?;
        self.steps = self.steps.saturating_add(1);
        if let Some(begin) = begin {
            begin(node.id, op.code);
        }
        if !need.view {
            self.eval(node, need, band, op.eval)?;
        }
        self.made = (0, 0);
        if let Band::Produce(y0, y1) = band {
            self.raise_head(node.out.buffer, y1);
            self.made = (y0, y1);
        }
        let mut state = self.state;
        schedule::done(&mut state, self, node.id, band, need.consumes);
        self.state = state;
        Some(())
    }

    /// Rows that a step has made.
    pub fn rows(&self, id: NodeId, y0: u16, y1: u16) -> Option<Rows<'_>> {
        let t = self.model.tensor(id.0)?;
        let p = self.model.pieces(&t, y0, y1, 0)?;
        Some(Rows::new(self.memory.get(p.first.clone())?, self.memory.get(p.second.clone())?, &p, &t))
    }

    /// Runs a kernel. `None` if what its band touches is not there.
    #[inline(never)]
    fn eval(
        &mut self,
        node: &Node<'m>,
        need: &Need,
        band: Band,
        kernel: fn(&mut Cx<'_>, Band) -> Option<()>,
    ) -> Option<()> {
        let mut cx = Cx {
            node,
            inputs: [Rows::default(), Rows::default()],
            out: RowsMut::default(),
            in_place: None,
            scratch: &mut [],
            aux: &mut [],
        };
        // What it takes to lend is not on the stack while the kernel runs.
        self.lend(need, band, &mut cx)?;
        kernel(&mut cx, band)
    }

    /// Lends a kernel what its band touches.
    #[inline(never)]
    fn lend<'s>(&'s mut self, need: &Need, band: Band, cx: &mut Cx<'s>) -> Option<()> {
        let Self { model, counters, memory, high_water, .. } = self;
        let (model, node) = (*model, cx.node);
        // Which rows are there.
        let head = |t: &TensorInfo| get(counters, head(model, t.buffer));
        cx.in_place = model.in_place(node);
        let [main, fast, kept] = &mut memory.parts;
        let high_water = Cell::from_mut(&mut high_water[..]).as_slice_of_cells();
        let mut free = Free::new(memory.front, [main, fast, kept], high_water);
        // The band of the result never wraps. In place, it holds the operand.
        if let Band::Produce(y0, y1) = band {
            let t = &node.out;
            let head = if cx.in_place.is_some() { head(t) } else { 0 };
            let p = model.pieces(t, y0, y1, head).filter(|p| p.second.is_empty())?;
            cx.out = RowsMut::new(free.take(p.first)?, y0, t);
        }
        if need.aux > 0 {
            let b = model.buffer(node.header.accumulator()?)?;
            cx.aux = free.take(range(b.address(), need.aux))?;
        }
        // Kernels work with what there is, or without any.
        if let Some(s) = node.scratch() {
            let (Band::Produce(y0, _) | Band::Consume(y0, _)) = band;
            cx.scratch = free.take(range(s.at(y0, node.out.lead), s.length))?;
        }
        // The rows of operands that the band reads; none of what it overwrites.
        let left = free.left();
        for (k, (rows, window)) in (0..).zip(cx.inputs.iter_mut().zip(&need.windows)) {
            let Some(t) = node.operand(k) else { break };
            let (y0, y1) = match band {
                _ if cx.in_place == Some(k) => (0, 0),
                Band::Produce(..) if need.consumes => (0, 0),
                Band::Produce(y0, y1) => window.rows(y0, y1, t.h),
                Band::Consume(y0, y1) => (y0, y1),
            };
            let head = if y0 < y1 { head(t) } else { 0 };
            rows.lend(&left, &model.pieces(t, y0, y1, head)?, t)?;
        }
        Some(())
    }
}

/// A counter; 0 of none.
#[inline(never)]
fn get(counters: &[[u8; 2]], slot: usize) -> u16 {
    counters.get(slot).map_or(0, |&bytes| u16::from_le_bytes(bytes))
}

/// The counter of rows written to a buffer: one more than the highest row.
#[inline]
fn head(model: &Model<'_>, buffer: u16) -> usize {
    model.tensors.len() + usize::from(model.nodes()) + usize::from(buffer)
}

impl Plan for Engine<'_, '_> {
    #[inline]
    fn nodes(&self) -> u16 {
        self.model.nodes()
    }
    #[inline]
    fn segment(&self, index: u16) -> Option<(u16, u16)> {
        self.model.segment(index)
    }
    #[inline]
    fn is_sink(&self, node: u16) -> bool {
        self.model.is_sink(node)
    }
    #[inline]
    fn is_reduction(&self, node: u16) -> bool {
        self.model.is_reduction(node)
    }
    fn demand(&self, node: u16) -> Option<Demand> {
        self.model.demand(node)
    }
    #[inline]
    fn due(&self, node: u16) -> u16 {
        self.model.due(node)
    }
}

impl Counters for Engine<'_, '_> {
    #[inline]
    fn progress(&self, t: u16) -> u16 {
        self.get(usize::from(t))
    }
    #[inline]
    fn set_progress(&mut self, t: u16, rows: u16) {
        self.set(usize::from(t), rows);
    }
    #[inline]
    fn parent(&self, n: u16) -> u16 {
        self.get(self.model.tensors.len() + usize::from(n))
    }
    #[inline]
    fn set_parent(&mut self, n: u16, parent: u16) {
        self.set(self.model.tensors.len() + usize::from(n), parent);
    }
}

impl World for Engine<'_, '_> {
    #[inline]
    fn state(&mut self) -> &mut State {
        &mut self.state
    }
}

/// What verification has proven to lie in its region.
fn range(address: u32, length: u32) -> Range<usize> {
    address as usize..(address as usize).wrapping_add(length as usize)
}
