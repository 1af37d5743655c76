//! The order of steps: a rule, not data. Host and device share this one function, so they cannot disagree.
//!
//! Within a segment the order is demand-driven. Of the nodes whose result leaves the segment (sinks), the one that
//! is furthest behind asks for its next band. A node that lacks rows of an operand passes the demand on to the
//! operand's producer; a node that lacks nothing makes its band. Since every node asks only for what it needs, a
//! ring holds a kernel's height of rows and little more; branches that arrive at different times wait in their rings.
//!
//! The demand path is kept (each node remembers who asked it), so a step costs the same however deep the segment is.

use crate::blob::NONE;
use crate::{Band, NodeId, Window};

/// What the rule reads of a plan. The device answers from the blob, the planner from its draft.
pub trait Plan {
    /// Number of nodes. Tensor `n < nodes()` is the result of node `n`; tensor `nodes() + i` is input `i`.
    fn nodes(&self) -> u16;
    /// First node and number of nodes of a segment; `None` behind the last.
    fn segment(&self, index: u16) -> Option<(u16, u16)>;
    /// True if the node's result leaves its segment. Asked before [`Plan::demand`], and more often.
    fn is_sink(&self, node: u16) -> bool;
    /// True if the node is a reduction. As [`Plan::is_sink`].
    fn is_reduction(&self, node: u16) -> bool;
    /// What a node asks for; `None` if the plan is malformed.
    fn demand(&self, node: u16) -> Option<Demand>;
    /// Of a sink: it is complete when its counter reaches this; the greatest number if the plan is malformed, which is
    /// found out when the node is asked. 0 of other nodes. To be overridden where that is known without the rest.
    fn due(&self, node: u16) -> u16 {
        match self.demand(node) {
            _ if !self.is_sink(node) => 0,
            Some(Demand { consumes: true, inputs: [Some((_, h, _)), _], .. }) => h.saturating_add(1),
            Some(d) => d.h,
            None => MADE,
        }
    }
}

/// The counter of a reduction that has made its result.
pub const MADE: u16 = u16::MAX;

/// What a node asks for.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Its operands: tensor, rows of that tensor, window.
    pub inputs: [Option<(u16, u16, Window)>; 2],
    /// Rows of its result.
    pub h: u16,
    /// Rows per step.
    pub band: u8,
    /// Rows that the first step makes less.
    pub lead: u8,
    /// It is a reduction.
    pub consumes: bool,
}

/// Where the counters of an inference live. Indices out of range read as 0 and ignore writes.
pub trait Counters {
    /// Rows done of tensor `t`. A reduction's counter runs over the rows it has consumed, and is [`MADE`] when its
    /// result is there.
    fn progress(&self, t: u16) -> u16;
    /// See [`Counters::progress`].
    fn set_progress(&mut self, t: u16, rows: u16);
    /// Who asked node `n` last.
    fn parent(&self, n: u16) -> u16;
    /// See [`Counters::parent`].
    fn set_parent(&mut self, n: u16, parent: u16);
}

/// Where the rule stands.
#[derive(Clone, Copy, Debug)]
pub struct State {
    segment: u16,
    cursor: u16,
}

impl Default for State {
    fn default() -> Self {
        Self { segment: 0, cursor: NONE }
    }
}

impl State {
    /// The segment at work.
    pub fn segment(&self) -> u16 {
        self.segment
    }

    /// At the beginning of a segment.
    pub(crate) fn begin(segment: u16) -> Self {
        Self { segment, cursor: NONE }
    }

    /// True between a sink's band and the next demand.
    pub(crate) fn at_rest(&self) -> bool {
        self.cursor == NONE
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// One step of a node. Tell [`done`] when it is made.
    Step(NodeId, Band),
    /// Graph input `.0` lacks rows: it has to reach row `.1`.
    Input(u16, u16),
    /// The inference is complete.
    Done,
}

/// The plan is malformed at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub NodeId);

/// Plan, counters and state in one, as a device has them: what is handed around all the time had better be one word.
pub(crate) trait World: Plan + Counters {
    fn state(&mut self) -> &mut State;
}

/// They are apart where plans are made.
struct Apart<'a, P, C> {
    plan: &'a P,
    state: &'a mut State,
    counters: &'a mut C,
}

impl<P: Plan, C> Plan for Apart<'_, P, C> {
    fn nodes(&self) -> u16 {
        self.plan.nodes()
    }
    fn segment(&self, index: u16) -> Option<(u16, u16)> {
        self.plan.segment(index)
    }
    fn is_sink(&self, node: u16) -> bool {
        self.plan.is_sink(node)
    }
    fn is_reduction(&self, node: u16) -> bool {
        self.plan.is_reduction(node)
    }
    fn demand(&self, node: u16) -> Option<Demand> {
        self.plan.demand(node)
    }
    fn due(&self, node: u16) -> u16 {
        self.plan.due(node)
    }
}

impl<P, C: Counters> Counters for Apart<'_, P, C> {
    fn progress(&self, t: u16) -> u16 {
        self.counters.progress(t)
    }
    fn set_progress(&mut self, t: u16, rows: u16) {
        self.counters.set_progress(t, rows);
    }
    fn parent(&self, n: u16) -> u16 {
        self.counters.parent(n)
    }
    fn set_parent(&mut self, n: u16, parent: u16) {
        self.counters.set_parent(n, parent);
    }
}

impl<P: Plan, C: Counters> World for Apart<'_, P, C> {
    fn state(&mut self) -> &mut State {
        self.state
    }
}

/// The next step. Calling it again without [`done`] gives the same answer.
pub fn next<P: Plan, C: Counters>(plan: &P, state: &mut State, counters: &mut C) -> Result<Next, Malformed> {
    next_in(&mut Apart { plan, state, counters })
}

/// See [`next`].
pub(crate) fn next_in<W: World>(world: &mut W) -> Result<Next, Malformed> {
    while let Some(n) = asked(world) {
        let malformed = Malformed(NodeId(n));
        let demand = world.demand(n).ok_or(malformed)?;
        let mut does = Answer::Malformed;
        let _ = answer(world, n, &demand, &mut does);
        match does {
            Answer::Step(band) => return Ok(Next::Step(NodeId(n), band)),
            Answer::Input(i, row) => return Ok(Next::Input(i, row)),
            Answer::Passed => {}
            Answer::Malformed => return Err(malformed),
        }
    }
    Ok(Next::Done)
}

/// The node that the demand stands at; `None` if the inference is complete.
#[inline(never)]
pub(crate) fn asked<W: World>(world: &mut W) -> Option<u16> {
    loop {
        let State { segment, cursor } = *world.state();
        if cursor != NONE {
            return Some(cursor);
        }
        match sink(world, world.segment(segment)?) {
            Some(n) => {
                world.set_parent(n, NONE);
                world.state().cursor = n;
            }
            None => world.state().segment = segment.saturating_add(1),
        }
    }
}

/// [`Demand`] where it is asked for.
pub(crate) trait Ask {
    /// Operand `k`, and its row that has to be there for rows `y0..y1` of the result.
    fn wants(&self, k: u8, y0: u16, y1: u16) -> Option<(u16, u16)>;
    /// Of a reduction: its operand and the rows of that.
    fn consumes(&self) -> Option<(u16, u16)>;
    /// Rows of its result.
    fn h(&self) -> u16;
    /// Rows per step.
    fn band(&self) -> u8;
    /// Rows that the first step makes less.
    fn lead(&self) -> u8;
}

impl Ask for Demand {
    fn wants(&self, k: u8, y0: u16, y1: u16) -> Option<(u16, u16)> {
        let (t, h, window) = self.inputs.get(usize::from(k))?.as_ref()?;
        Some((*t, window.rows(y0, y1, *h).1))
    }
    fn consumes(&self) -> Option<(u16, u16)> {
        self.inputs[0].filter(|_| self.consumes).map(|(t, h, _)| (t, h))
    }
    fn h(&self) -> u16 {
        self.h
    }
    fn band(&self) -> u8 {
        self.band
    }
    fn lead(&self) -> u8 {
        self.lead
    }
}

/// What a node does that is asked.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// A step.
    Step(Band),
    /// See [`Next::Input`].
    Input(u16, u16),
    /// It asks another.
    Passed,
    /// See [`Malformed`].
    Malformed,
}

/// What node `n` does, at which the demand stands: written to `answer`, which is [`Answer::Malformed`] before. `None` if
/// that is no step.
#[inline]
pub(crate) fn answer<W: World>(world: &mut W, n: u16, d: &impl Ask, answer: &mut Answer) -> Option<()> {
    let p = world.progress(n);
    let mut y0 = p;
    if let Some((t, h)) = d.consumes() {
        if p < h {
            let there = reach(world, n, (t, p.saturating_add(1)), answer)?;
            *answer = Answer::Step(Band::Consume(p, there.min(h)));
            return Some(());
        }
        if p != MADE {
            y0 = 0;
        }
    }
    let less = if y0 == 0 { d.lead() } else { 0 };
    let y1 = y0.saturating_add(u16::from(d.band().saturating_sub(less).max(1))).min(d.h());
    (y0 < y1).then_some(())?;
    if d.consumes().is_none() {
        let mut k = 0;
        while let Some(wants) = d.wants(k, y0, y1) {
            reach(world, n, wants, answer)?;
            k += 1;
        }
    }
    *answer = Answer::Step(Band::Produce(y0, y1));
    Some(())
}

/// Rows of tensor `t` that can be read now. `None` if row `row` is not among them: node `n`, which wants it, passes the
/// demand on.
#[inline(never)]
fn reach<W: World>(world: &mut W, n: u16, (t, row): (u16, u16), answer: &mut Answer) -> Option<u16> {
    let mut there = world.progress(t);
    let input = t.checked_sub(world.nodes());
    if input.is_none() && world.is_reduction(t) {
        there = u16::from(there == MADE);
    }
    if there >= row {
        return Some(there);
    }
    if let Some(i) = input {
        *answer = Answer::Input(i, row);
        return None;
    }
    // Operands come from below, and only from this segment: what earlier segments left is complete.
    let segment = world.state().segment;
    let (first, _) = world.segment(segment)?;
    if t < n && t >= first {
        world.set_parent(t, n);
        world.state().cursor = t;
        *answer = Answer::Passed;
    }
    None
}

/// A step that [`next`] gave has been made.
pub fn done<C: Counters>(state: &mut State, counters: &mut C, node: NodeId, band: Band, consumes: bool) {
    let n = node.0;
    match band {
        // A reduction goes on asking until its result is made.
        Band::Consume(_, y1) => counters.set_progress(n, y1),
        Band::Produce(_, y1) => {
            counters.set_progress(n, if consumes { MADE } else { y1 });
            state.cursor = counters.parent(n);
        }
    }
}

/// The sink of a segment that is furthest behind, measured by the fraction of its rows; the first of equals.
pub(crate) fn sink<W: Plan + Counters>(world: &W, (first, count): (u16, u16)) -> Option<u16> {
    // Its counter, and where it ends.
    let (mut best, mut bp, mut bt) = (None, 1, 1);
    for n in first..first.saturating_add(count) {
        let (p, total) = (u32::from(world.progress(n)), u32::from(world.due(n)));
        // MADE is beyond any total: done.
        if p < total && p * bt < bp * total {
            (best, bp, bt) = (Some(n), p, total);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    struct Draft {
        demands: Vec<Demand>,
        sinks: Vec<u16>,
    }

    impl Plan for Draft {
        fn nodes(&self) -> u16 {
            self.demands.len() as u16
        }
        fn segment(&self, index: u16) -> Option<(u16, u16)> {
            (index == 0).then_some((0, self.nodes()))
        }
        fn is_sink(&self, node: u16) -> bool {
            self.sinks.contains(&node)
        }
        fn is_reduction(&self, node: u16) -> bool {
            self.demands[usize::from(node)].consumes
        }
        fn demand(&self, node: u16) -> Option<Demand> {
            self.demands.get(usize::from(node)).copied()
        }
    }

    struct Count(Vec<u16>, Vec<u16>);

    impl Counters for Count {
        fn progress(&self, t: u16) -> u16 {
            self.0[usize::from(t)]
        }
        fn set_progress(&mut self, t: u16, rows: u16) {
            self.0[usize::from(t)] = rows;
        }
        fn parent(&self, n: u16) -> u16 {
            self.1[usize::from(n)]
        }
        fn set_parent(&mut self, n: u16, parent: u16) {
            self.1[usize::from(n)] = parent;
        }
    }

    fn run(plan: &Draft, inputs: &[u16]) -> Vec<(u16, Band)> {
        let n = plan.demands.len();
        let mut c = Count(vec![0; n + inputs.len()], vec![NONE; n]);
        c.0[n..].copy_from_slice(inputs);
        let mut s = State::default();
        let mut steps = vec![];
        loop {
            match next(plan, &mut s, &mut c).unwrap() {
                Next::Step(node, band) => {
                    steps.push((node.0, band));
                    done(&mut s, &mut c, node, band, plan.demands[usize::from(node.0)].consumes);
                }
                Next::Done => return steps,
                Next::Input(..) => panic!("asked for input rows that are there"),
            }
        }
    }

    const CONV3: Window = Window { num: 1, den: 1, pad: 1, extent: 3 };

    #[test]
    fn a_residual_add_waits_for_its_long_branch() {
        // conv(input) -> conv -> conv -> add(first conv, third conv), 8 rows, one a step.
        let one = |t, w| Demand { inputs: [Some((t, 8, w)), None], h: 8, band: 1, lead: 0, consumes: false };
        let mut add = one(0, Window::SAME);
        add.inputs[1] = Some((2, 8, Window::SAME));
        let plan = Draft { demands: vec![one(4, CONV3), one(0, CONV3), one(1, CONV3), add], sinks: vec![3] };
        let steps = run(&plan, &[8]);
        assert_eq!(steps.len(), 32);
        // Row 0 of the add needs rows 0..2 of node 2, hence 0..3 of node 1's input.
        let first_add = steps.iter().position(|s| s.0 == 3).unwrap();
        let before: Vec<u16> = steps[..first_add].iter().map(|s| s.0).collect();
        assert_eq!(before.iter().filter(|&&n| n == 0).count(), 3);
        assert_eq!(before.iter().filter(|&&n| n == 1).count(), 2);
        assert_eq!(before.iter().filter(|&&n| n == 2).count(), 1);
    }

    #[test]
    fn a_reduction_consumes_rows_as_they_come() {
        let conv = Demand { inputs: [Some((2, 4, CONV3)), None], h: 4, band: 1, lead: 0, consumes: false };
        let mean = Demand { inputs: [Some((0, 4, Window::ALL)), None], h: 1, band: 1, lead: 0, consumes: true };
        let plan = Draft { demands: vec![conv, mean], sinks: vec![1] };
        let steps = run(&plan, &[4]);
        let want: Vec<(u16, Band)> = (0..4u16)
            .flat_map(|y| [(0, Band::Produce(y, y + 1)), (1, Band::Consume(y, y + 1))])
            .chain([(1, Band::Produce(0, 1))])
            .collect();
        assert_eq!(steps, want);
    }

    #[test]
    fn two_heads_advance_together() {
        let d = |t, h: u16, w| Demand { inputs: [Some((t, 8, w)), None], h, band: 1, lead: 0, consumes: false };
        let half = Window { num: 2, den: 1, pad: 0, extent: 2 };
        let plan = Draft { demands: vec![d(3, 8, CONV3), d(0, 8, Window::SAME), d(0, 4, half)], sinks: vec![1, 2] };
        let steps = run(&plan, &[8]);
        // The stem never runs more than two rows ahead of either head.
        let (mut stem, mut a, mut b) = (0, 0, 0);
        for (n, _) in steps {
            match n {
                0 => stem += 1,
                1 => a += 1,
                _ => b += 1,
            }
            assert!(stem <= a + 2 && stem <= 2 * b + 2, "{stem} {a} {b}");
        }
        assert_eq!((stem, a, b), (8, 8, 4));
    }

    #[test]
    fn malformed_plans_end() {
        // A node that reads itself.
        let d = Demand { inputs: [Some((0, 4, Window::SAME)), None], h: 4, band: 1, lead: 0, consumes: false };
        let plan = Draft { demands: vec![d], sinks: vec![0] };
        let mut c = Count(vec![0; 1], vec![NONE; 1]);
        assert_eq!(next(&plan, &mut State::default(), &mut c), Err(Malformed(NodeId(0))));
    }
}
