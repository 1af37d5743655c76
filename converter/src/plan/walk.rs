//! An inference without its arithmetic: the device's own schedule, and the rows that each step borrows.
//!
//! The planner walks drafts, [`super::Timeline`] walks blobs. Both see what the device does, since the order of steps is
//! the device's function and the rows are found as `Run::step` finds them.

use carafe::schedule::{self, Counters, Demand, MADE, Next, Plan, State};
use carafe::{Band, Need};

/// What a walk reads besides the schedule's own questions.
pub(super) trait Memory: Plan {
    /// What a node needs.
    fn need(&self, node: u16) -> Option<Need>;
    /// Both operands of a node lie in one buffer and neither is overwritten: the device then lends the rows of both.
    fn shares(&self, node: u16) -> bool;
    /// The operand that a node overwrites.
    fn in_place(&self, node: u16) -> Option<u8>;
}

/// What happens at a tick. Ticks count from 1; 0 is before the first step, when the user fills the inputs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A node makes or consumes a band.
    Step(u16, Band),
    /// Rows `.1 .. .2` of tensor `.0` are read or written.
    Rows(u16, u16, u16),
    /// The user pushes row `.1` of input `.0`.
    Push(u16, u16),
}

/// How long a walk was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    /// Steps and pushed rows.
    pub ticks: u32,
    /// Steps.
    pub steps: u32,
}

/// Why a walk does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    /// The plan is malformed at a node.
    Malformed(u16),
    /// More steps than were allowed, at a node.
    Endless(u16),
    /// Rows of an input are asked for that are there.
    Input(u16),
}

/// Rows done and who asked, for as many tensors as there are.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    rows: Vec<u16>,
    parents: Vec<u16>,
}

impl Progress {
    /// Nothing is done.
    pub fn new(nodes: usize, inputs: usize) -> Self {
        Self { rows: vec![0; nodes + inputs], parents: vec![u16::MAX; nodes] }
    }
}

impl Counters for Progress {
    fn progress(&self, t: u16) -> u16 {
        self.rows.get(usize::from(t)).copied().unwrap_or(0)
    }
    fn set_progress(&mut self, t: u16, rows: u16) {
        if let Some(p) = self.rows.get_mut(usize::from(t)) {
            *p = rows;
        }
    }
    fn parent(&self, n: u16) -> u16 {
        self.parents.get(usize::from(n)).copied().unwrap_or(0)
    }
    fn set_parent(&mut self, n: u16, parent: u16) {
        if let Some(p) = self.parents.get_mut(usize::from(n)) {
            *p = parent;
        }
    }
}

/// Walks a plan to its end, at most `most` steps.
pub(super) fn walk<M: Memory>(
    plan: &M,
    mut rows: Progress,
    most: u32,
    mut visit: impl FnMut(u32, Event),
) -> Result<Length, Stuck> {
    let nodes = plan.nodes();
    let mut state = State::default();
    let (mut ticks, mut steps) = (0, 0);
    loop {
        match schedule::next(plan, &mut state, &mut rows).map_err(|m| Stuck::Malformed(m.0.0))? {
            Next::Done => return Ok(Length { ticks, steps }),
            Next::Step(node, band) => {
                if steps >= most {
                    return Err(Stuck::Endless(node.0));
                }
                (ticks, steps) = (ticks + 1, steps + 1);
                let stuck = Stuck::Malformed(node.0);
                let (demand, need) = plan.demand(node.0).zip(plan.need(node.0)).ok_or(stuck)?;
                visit(ticks, Event::Step(node.0, band));
                let lent = |t, y0, y1| {
                    if y0 < y1 {
                        visit(ticks, Event::Rows(t, y0, y1));
                    }
                };
                borrow(plan, node.0, band, &demand, &need, lent);
                schedule::done(&mut state, &mut rows, node, band, need.consumes);
            }
            Next::Input(i, wanted) => {
                let t = nodes.saturating_add(i);
                let y = rows.progress(t);
                if wanted <= y || y == MADE {
                    return Err(Stuck::Input(i));
                }
                ticks += 1;
                visit(ticks, Event::Push(i, y));
                visit(ticks, Event::Rows(t, y, y + 1));
                rows.set_progress(t, y + 1);
            }
        }
    }
}

/// The rows of tensors that the device lends to one step, or shows to a probe behind it.
fn borrow<M: Memory>(plan: &M, node: u16, band: Band, d: &Demand, need: &Need, mut lent: impl FnMut(u16, u16, u16)) {
    if let Band::Produce(y0, y1) = band {
        lent(node, y0, y1);
    }
    if need.view {
        return;
    }
    let rows_of = |k: usize| {
        let (t, h, window) = d.inputs[k]?;
        let (lo, hi) = match band {
            Band::Produce(..) if need.consumes => (0, 0),
            Band::Produce(y0, y1) => window.rows(y0, y1, h),
            Band::Consume(y0, y1) => (y0, y1),
        };
        Some((t, lo, hi))
    };
    let in_place = plan.in_place(node);
    match (rows_of(0), rows_of(1)) {
        (Some((t0, lo0, hi0)), Some((t1, lo1, hi1))) if plan.shares(node) => {
            let (lo, hi) = (lo0.min(lo1), hi0.max(hi1));
            lent(t0, lo, hi);
            lent(t1, lo, hi);
        }
        (first, second) => {
            for (k, operand) in [first, second].into_iter().enumerate() {
                // What is overwritten lies where the result does.
                if let Some((t, lo, hi)) = operand
                    && in_place.map(usize::from) != Some(k)
                {
                    lent(t, lo, hi);
                }
            }
        }
    }
}
