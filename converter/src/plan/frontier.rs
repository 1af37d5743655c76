//! Plans none of which is better than another in both, memory and time.

use carafe::blob::{BufferRecord, ScratchRecord, SegmentRecord};
use carafe::record::Record;

use super::FrontierPoint;
use super::ladder::Ladder;
use super::net::{Net, USUAL};
use super::regions::{self, Placement};
use super::search::{Candidate, Search};
use super::{PlanError, PlanOptions, lead};

/// Points that are reported.
const REPORTED: usize = 10;
/// A point is reported if it saves one part of so many of the time.
const WORTH: u64 = 200;
/// Limits, in percent of the smallest plan with scratch, up to which ladders are climbed one after the other: greed that
/// knows its limit finds better plans than greed that does not.
const STAGES: [u64; 5] = [110, 125, 133, 150, 200];

/// Rows per step of all nodes where further ladders begin: greed that changes a node at a time seldom comes to where all
/// rings fit each other.
const ALIKE: [u8; 3] = [2, 3, 4];

/// A plan with its price.
#[derive(Clone, Debug)]
pub(super) struct Point<'m> {
    pub net: Net<'m>,
    pub plan: Candidate,
    /// Time of an inference, estimated.
    pub time: u64,
}

impl<'m> Point<'m> {
    pub fn new(net: Net<'m>, plan: Candidate) -> Self {
        let time = net.time();
        Self { net, plan, time }
    }

    /// Bytes, if all lies in the arena.
    pub fn bytes(&self) -> u64 {
        self.plan.packing.bytes
    }

    fn report(&self, placement: &Placement, chosen: bool) -> FrontierPoint {
        let (buffers, segments) = (self.net.buffers(), self.plan.draft.segments.len());
        let scratch = self.net.needs.iter().filter(|n| n.scratch > 0).count();
        let [arena, fast, state] = placement.bytes.map(|b| b as u32);
        let cost = self.net.cost();
        FrontierPoint {
            arena_bytes: arena,
            fast_bytes: fast,
            state_bytes: state,
            table_bytes: (buffers * BufferRecord::SIZE + segments * SegmentRecord::SIZE + scratch * ScratchRecord::SIZE)
                as u32,
            instructions: cost.instructions,
            cycles: cost.cycles(),
            chosen,
        }
    }
}

/// Points from the smallest to the fastest.
#[derive(Clone, Debug)]
pub(super) struct Frontier<'m> {
    pub points: Vec<Point<'m>>,
    /// Bytes of the smallest plan that grants the usual scratch.
    pub full: u64,
    /// Bytes of the smallest plan found where nodes were offered more than the usual from the start; 0 if none takes more.
    pub rich: u64,
}

impl<'m> Frontier<'m> {
    /// Of a net that grants no scratch. What is found does not depend on goal and limit.
    pub fn of(small: Net<'m>, options: &PlanOptions) -> Result<Self, PlanError> {
        let smallest = |net: Net<'m>| Search::new(options).smallest(net).map(|(net, plan)| Point::new(net, plan));
        let mut full = small.clone();
        (0..full.nodes()).for_each(|n| full.set_cap(n, USUAL));
        let no_offers = full.offers.iter().all(Vec::is_empty);
        let start = smallest(full.clone())?;
        let mut this = Self { points: vec![start.clone()], full: start.bytes(), rich: 0 };
        // What is best with more scratch is seldom on the way up from what is best with less.
        let mut rich = full.clone();
        for n in 0..rich.nodes() {
            rich.offers[n].get(1).copied().into_iter().for_each(|more| rich.set_cap(n, more));
        }
        let starts = if rich.needs == full.needs { vec![&full] } else { vec![&full, &rich] };
        let bands = ALIKE.into_iter().filter(|_| options.bands.is_none());
        for (band, from) in bands.flat_map(|band| starts.iter().map(move |&net| (band, net))) {
            let mut net = from.clone();
            for n in 0..net.nodes() {
                let _ = net.useful(n, band) && net.set_band(n, band)?;
            }
            lead::choose(&mut net, 0, full.nodes());
            let point = smallest(net)?;
            this.add(point.clone());
            if std::ptr::eq(from, &rich) {
                this.rich = if this.rich == 0 { point.bytes() } else { this.rich.min(point.bytes()) };
            }
            let search = Search::new(options);
            let ladder = Ladder { search: &search, net: point.net, best: point.plan, limit: u64::MAX };
            ladder.descend(start.bytes(), |p| this.add(p))?;
        }
        let limits = STAGES.map(|percent| this.full * percent / 100);
        for limit in limits.into_iter().chain([u64::MAX]) {
            let from = this.within(limit).unwrap_or(&start).clone();
            this.climb(from, limit, options)?;
        }
        if !no_offers {
            let start = smallest(small)?;
            this.add(start.clone());
            // More is better spent where kernels have their scratch.
            this.climb(start, this.full, options)?;
        }
        Ok(this)
    }

    /// From a plan to faster ones within a limit, and the fastest of them.
    pub fn climb(&mut self, from: Point<'m>, limit: u64, options: &PlanOptions) -> Result<Point<'m>, PlanError> {
        let (search, mut last) = (Search::new(options), from.clone());
        Ladder { search: &search, net: from.net, best: from.plan, limit }.climb(|p| {
            last = p.clone();
            self.add(p);
        })?;
        // On the way there is no time for patience.
        search.repack(&last.net, &mut last.plan);
        self.add(last.clone());
        Ok(last)
    }

    /// The fastest of at most so many bytes.
    pub fn within(&self, bytes: u64) -> Option<&Point<'m>> {
        self.points.iter().rev().find(|p| p.bytes() <= bytes)
    }

    /// Takes a point in, if none is as good in both; what is no better than it goes.
    pub fn add(&mut self, point: Point<'m>) {
        if self.points.iter().any(|p| p.bytes() <= point.bytes() && p.time <= point.time) {
            return;
        }
        self.points.retain(|p| p.bytes() < point.bytes() || p.time < point.time);
        let at = self.points.partition_point(|p| p.bytes() < point.bytes());
        self.points.insert(at, point);
    }

    /// The points that a user should see, where they lie with so many bytes of fast memory.
    pub fn report(&self, chosen: &Point<'m>, placement: &Placement, fast: u32) -> Vec<FrontierPoint> {
        let of = |p: &Point<'m>, placement: &Placement, chosen: bool| (p.time, p.report(placement, chosen));
        let mut all = vec![of(chosen, placement, true)];
        all.extend(self.points.iter().map(|p| of(p, &regions::place(&p.net, &p.plan, fast, false), false)));
        // Fast memory may turn their order round; of equals the chosen one comes first.
        all.sort_by_key(|(time, p)| (p.arena_bytes, *time, !p.chosen));
        let mut kept: Vec<(u64, FrontierPoint)> = Vec::new();
        for (time, p) in all {
            let worth = |k: &(u64, FrontierPoint)| time + k.0 / WORTH < k.0;
            if p.chosen || kept.last().is_none_or(worth) {
                kept.push((time, p));
            }
        }
        while kept.len() > REPORTED {
            let gain = |i: usize| kept[i - 1].0 as f64 / kept[i].0.max(1) as f64;
            let least = (1..kept.len()).filter(|&i| !kept[i].1.chosen).min_by(|&a, &b| gain(a).total_cmp(&gain(b)));
            let Some(least) = least else { break };
            kept.remove(least);
        }
        kept.into_iter().map(|(_, point)| point).collect()
    }
}
