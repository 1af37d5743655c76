//! One segment, walked: which rows of which memory are needed when, and how many rows a ring has to hold.

use carafe::blob::ScratchRecord;
use carafe::schedule::{Counters, Demand, MADE, Plan};
use carafe::{Band, Need};

use super::PlanError;
use super::block::{Life, NEVER, again, touch};
use super::net::Net;
use super::walk::{Event, Length, Memory, Progress, Stuck, walk};

/// What was found out about nodes `first .. end`, when cuts are there and nowhere between. Ticks count from the
/// beginning of the segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub first: usize,
    pub end: usize,
    pub length: Length,
    /// Groups that are touched, in order.
    pub groups: Vec<Touched>,
    /// Accumulators: node and life.
    pub aux: Vec<(usize, Life)>,
    /// Scratch.
    pub scratch: Vec<Scratch>,
    /// Inputs that are pushed row by row.
    pub pushed: Vec<usize>,
    /// The most bytes alive at a tick.
    pub peaks: Peaks,
}

/// What a node works in at some of its steps.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    pub node: usize,
    /// Which of its places.
    pub other: bool,
    pub bytes: u64,
    pub lives: Vec<Life>,
}

/// Memory that a segment touches.
#[derive(Clone, Debug)]
pub(super) struct Touched {
    pub group: usize,
    /// By unit.
    pub lives: Vec<Life>,
    /// Rows of the ring that it may be; 0 if it is there as a whole.
    pub ring: u16,
}

/// The most bytes alive at a tick of a segment, what crosses it included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peaks {
    /// Row by row.
    pub rows: u64,
    /// Whole maps row by row, rings as long as any row of them is needed.
    pub rings: u64,
    /// All as long as any of it is needed.
    pub blocks: u64,
}

struct Draft<'a> {
    net: &'a Net<'a>,
    first: usize,
    end: usize,
}

impl Plan for Draft<'_> {
    fn nodes(&self) -> u16 {
        self.net.nodes() as u16
    }
    fn segment(&self, index: u16) -> Option<(u16, u16)> {
        (index == 0).then_some((self.first as u16, (self.end - self.first) as u16))
    }
    fn is_sink(&self, node: u16) -> bool {
        self.net.last_reader[usize::from(node)] >= self.end
    }
    fn is_reduction(&self, node: u16) -> bool {
        self.net.needs[usize::from(node)].consumes
    }
    fn demand(&self, node: u16) -> Option<Demand> {
        self.net.demands.get(usize::from(node)).copied()
    }
}

impl Memory for Draft<'_> {
    fn need(&self, node: u16) -> Option<Need> {
        self.net.needs.get(usize::from(node)).copied()
    }
    fn shares(&self, node: u16) -> bool {
        self.net.shares(usize::from(node))
    }
    fn in_place(&self, node: u16) -> Option<u8> {
        self.net.in_place[usize::from(node)]
    }
}

impl Segment {
    /// Walks nodes `first .. end`.
    pub fn walk(net: &Net<'_>, first: usize, end: usize) -> Result<Self, PlanError> {
        let nodes = net.nodes();
        let group_of = |t: usize| net.storage.place(t).group;
        let whole = |g: usize| {
            let span = &net.spans[g];
            span.whole || span.last >= end || (first > 0 && span.crosses(first))
        };
        let inputs = nodes..nodes + net.model.inputs.len();
        let mut pushed: Vec<usize> = match net.push_rows && first == 0 {
            true => inputs.clone().filter(|&t| !whole(group_of(t))).collect(),
            false => Vec::new(),
        };
        // A pushed input that would need a ring of all its rows, or that nobody reads, is there as a whole; and then it
        // is there from the beginning, which changes the order of steps and the lifetimes.
        loop {
            let mut segment = Self::attempt(net, first, end, &pushed)?;
            for touched in &mut segment.groups {
                let input =
                    net.storage.members(touched.group).iter().any(|t| inputs.contains(t) && !pushed.contains(t));
                touched.ring = if input || whole(touched.group) { 0 } else { ring(net, touched) };
            }
            let is_ring = |t: &usize| segment.groups.iter().any(|x| x.group == group_of(*t) && x.ring > 0);
            let rings: Vec<usize> = pushed.iter().copied().filter(is_ring).collect();
            if rings.len() == pushed.len() {
                segment.peaks = segment.measure(net);
                return Ok(segment);
            }
            pushed = rings;
        }
    }

    fn attempt(net: &Net<'_>, first: usize, end: usize, pushed: &[usize]) -> Result<Self, PlanError> {
        let nodes = net.nodes();
        let mut rows = Progress::new(nodes, net.model.inputs.len());
        for n in 0..first {
            rows.set_progress(n as u16, if net.needs[n].consumes { MADE } else { net.demands[n].h });
        }
        for (i, input) in net.model.inputs.iter().enumerate() {
            if !pushed.contains(&(nodes + i)) {
                rows.set_progress((nodes + i) as u16, input.info.h);
            }
        }
        let mut slots: Vec<Option<Vec<Life>>> = vec![None; net.storage.groups()];
        let mut aux: Vec<(usize, Life)> = Vec::new();
        let mut scratch: Vec<Scratch> = Vec::new();
        let draft = Draft { net, first, end };
        let masks: Vec<u8> = (first..end).map(|n| mask(net, n, first..end)).collect();
        let visit = |tick: u32, event: Event| match event {
            Event::Rows(t, y0, y1) => {
                let t = usize::from(t);
                let place = net.storage.place(t);
                let shape = net.storage.shape_of(place.group);
                let lives = slots[place.group].get_or_insert_with(|| vec![NEVER; shape.units.len()]);
                let (from, to) = bytes(net, t, y0, y1);
                for life in &mut lives[shape.units.touched(from..to)] {
                    touch(life, tick);
                }
            }
            Event::Step(n, Band::Produce(y0, _) | Band::Consume(y0, _)) => {
                let need = &net.needs[usize::from(n)];
                if need.aux > 0 {
                    match aux.iter_mut().find(|a| a.0 == usize::from(n)) {
                        Some((_, life)) => touch(life, tick),
                        None => aux.push((usize::from(n), (tick, tick))),
                    }
                }
                if need.scratch > 0 {
                    let (node, demand) = (usize::from(n), &net.demands[usize::from(n)]);
                    let mask = masks[node - first];
                    let other = ScratchRecord::is_other(y0, demand.lead, mask);
                    match scratch.iter_mut().find(|s| (s.node, s.other) == (node, other)) {
                        Some(s) => again(&mut s.lives, tick),
                        None => {
                            let (bytes, lives) = (u64::from(need.scratch), vec![(tick, tick)]);
                            scratch.push(Scratch { node, other, bytes, lives });
                        }
                    }
                }
            }
            Event::Push(..) => {}
        };
        let length = walk(&draft, rows, u32::MAX, visit).map_err(|stuck| match stuck {
            Stuck::Malformed(n) | Stuck::Endless(n) => PlanError::Schedule(usize::from(n)),
            Stuck::Input(i) => PlanError::Schedule(nodes + usize::from(i)),
        })?;
        let groups = slots.into_iter().enumerate();
        let groups = groups.filter_map(|(group, lives)| Some(Touched { group, lives: lives?, ring: 0 })).collect();
        Ok(Self { first, end, length, groups, aux, scratch, pushed: pushed.to_vec(), peaks: Peaks::default() })
    }

    /// The most bytes alive at a tick.
    fn measure(&self, net: &Net<'_>) -> Peaks {
        let ticks = self.length.ticks;
        let mut change = [(); 3].map(|()| vec![0i64; ticks as usize + 2]);
        let add = |change: &mut Vec<i64>, life: Life, bytes: u64| {
            if life != NEVER {
                change[life.0 as usize] += bytes as i64;
                change[life.1 as usize + 1] -= bytes as i64;
            }
        };
        let mut touched = vec![false; net.spans.len()];
        for t in &self.groups {
            touched[t.group] = true;
            let (span, shape) = (&net.spans[t.group], net.storage.shape_of(t.group));
            let members = net.storage.members(t.group);
            let given = members.iter().any(|m| *m >= net.nodes() && !self.pushed.contains(m));
            let before = (self.first > 0 && span.crosses(self.first)) || (self.first == 0 && given);
            let mut hull = NEVER;
            for (unit, &life) in t.lives.iter().enumerate() {
                let mut life = life;
                if before && (life != NEVER || span.last >= self.end) {
                    touch(&mut life, 0);
                }
                if life != NEVER && span.last >= self.end {
                    touch(&mut life, ticks);
                }
                if life != NEVER {
                    let bytes = shape.units.bytes(unit);
                    add(&mut change[0], life, bytes.end - bytes.start);
                    if t.ring == 0 {
                        add(&mut change[1], life, bytes.end - bytes.start);
                    }
                    touch(&mut hull, life.0);
                    touch(&mut hull, life.1);
                }
            }
            let bytes = if t.ring == 0 { shape.bytes } else { u64::from(t.ring) * shape.row };
            if t.ring > 0 {
                add(&mut change[1], hull, bytes);
            }
            add(&mut change[2], hull, bytes);
        }
        for change in &mut change {
            self.aux.iter().for_each(|&(n, life)| add(change, life, u64::from(net.needs[n].aux)));
            for scratch in &self.scratch {
                scratch.lives.iter().for_each(|&life| add(change, life, scratch.bytes));
            }
            for (g, span) in net.spans.iter().enumerate().filter(|(g, _)| !touched[*g]) {
                if !net.storage.members(g).is_empty() && span.crosses(self.first) && span.last >= self.end {
                    add(change, (0, ticks), net.storage.shape_of(g).bytes);
                }
            }
        }
        let [rows, rings, blocks] = change.map(|change| {
            let sums = change.iter().scan(0i64, |now, c| {
                *now += c;
                Some(*now)
            });
            sums.max().unwrap_or(0) as u64
        });
        Peaks { rows, rings, blocks }
    }
}

/// The bit of a row that says at which of its places the scratch of node `n` is. The lowest of the highest bands of its
/// segment, counted in its own rows, turns when most rings around it are half full; a lower one than that of its own bands
/// would never turn.
pub(super) fn mask(net: &Net<'_>, n: usize, segment: std::ops::Range<usize>) -> u8 {
    let h = |n: usize| u32::from(net.model.nodes[n].out.h.max(1));
    let scaled = |m: usize| u32::from(net.bands[m]) * h(n) / h(m);
    let most = segment.filter(|&m| u32::from(net.bands[m]) < h(m)).map(scaled).max().map_or(1, |most| most.max(1));
    1 << most.trailing_zeros().max(net.bands[n].trailing_zeros()).min(7)
}

/// Bytes of rows `y0..y1` of a tensor, in the map that its group stands for.
pub(super) fn bytes(net: &Net<'_>, t: usize, y0: u16, y1: u16) -> (u64, u64) {
    let nodes = net.nodes();
    let info = if t < nodes { net.model.nodes[t].out } else { net.model.inputs[t - nodes].info };
    let row = u64::from(info.w) * u64::from(net.storage.place(t).pixel_stride);
    (u64::from(y0) * row, u64::from(y1) * row)
}

/// Rows of the smallest ring in which no row is overwritten that is still to be read, or 0 if that is all of them.
fn ring(net: &Net<'_>, touched: &Touched) -> u16 {
    // Row y + rows is written into the slot of row y: not before row y has been read for the last time.
    let lives = &touched.lives;
    let mut begun: Vec<u32> = lives.iter().map(|l| l.0).collect();
    for y in (1..begun.len()).rev() {
        begun[y - 1] = begun[y - 1].min(begun[y]);
    }
    let mut rows = 1;
    let (mut made, mut there) = (0, 0);
    for (y, life) in lives.iter().enumerate().filter(|(_, l)| **l != NEVER) {
        while made < lives.len() && begun[made] <= life.1 {
            // Rows that are never touched take no slot from anybody.
            if lives[made].0 <= life.1 {
                there = made + 1;
            }
            made += 1;
        }
        rows = rows.max(there.saturating_sub(y));
    }
    let members = net.storage.members(touched.group);
    let step = members.iter().filter(|&&t| t < net.nodes()).map(|&t| usize::from(net.bands[t])).fold(1, lcm);
    let rows = rows.next_multiple_of(step);
    let h = usize::from(net.storage.shape_of(touched.group).h);
    let made = lives.iter().any(|l| *l != NEVER);
    if made && rows < h { rows as u16 } else { 0 }
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b.max(1));
    while y > 0 {
        (x, y) = (y, x % y);
    }
    a / x * b.max(1)
}
