//! From a small plan to faster ones: one change after the other, each where it saves the most time per byte. And from a
//! fast one to smaller ones.
//!
//! A change gives nodes of one segment more rows per step, or their kernels more scratch. It leaves other segments as they
//! are, so it is walked once, and again only when its own segment has changed. The bytes that a walk finds alive say which
//! changes are promising; the best few are packed.

use std::cmp::Reverse;
use std::sync::Arc;

use rayon::prelude::*;

use super::PlanError;
use super::draft::Draft;
use super::frontier::Point;
use super::lead;
use super::net::Net;
use super::pack::ALIGN;
use super::search::{Candidate, Search};
use super::segment::Segment;

/// Rows per step that are tried. None is higher: a step should not take long, since others wait for it.
const BANDS: [u8; 7] = [2, 3, 4, 5, 6, 7, 8];
/// Changes that are packed before the best of them is made.
const PACKED: usize = 4;

/// Nodes in a row whose rows are taken back at once, at most.
const TOGETHER: usize = 3;

/// Eighths of a search's budget at which a ladder ends.
const SHARE: u64 = 1;

/// What is changed at once.
#[derive(Clone, Debug)]
enum Change {
    /// These nodes make at least so many rows a step.
    Bands(Vec<usize>, u8),
    /// Kernels of all nodes of the segment get scratch of at most so many bytes.
    Scratch(u32),
    /// That of one node does.
    ScratchOf(usize, u32),
}

impl Change {
    /// Makes it. False if there is nothing to change, or it can't be.
    fn make(&self, net: &mut Net<'_>, segment: &Segment) -> Result<bool, PlanError> {
        match self {
            Self::Bands(nodes, band) => {
                let mut changed = false;
                for &n in nodes {
                    changed |= net.useful(n, *band) && net.set_band(n, *band)?;
                }
                lead::choose(net, segment.first, segment.end);
                Ok(changed)
            }
            Self::Scratch(cap) => {
                (segment.first..segment.end).for_each(|n| net.set_cap(n, *cap));
                Ok(true)
            }
            Self::ScratchOf(n, cap) => {
                net.set_cap(*n, *cap);
                Ok(true)
            }
        }
    }
}

/// A change that was walked.
#[derive(Clone, Debug)]
struct Trial {
    change: Change,
    segment: Arc<Segment>,
    /// Time less.
    saved: u64,
    /// The most bytes alive in the segment.
    peak: u64,
    /// Bytes more, as a packing found; with these it is as good as it was when that was found.
    seen: Option<u64>,
}

/// A way up from a plan.
pub(super) struct Ladder<'s, 'o, 'm> {
    pub search: &'s Search<'o>,
    pub net: Net<'m>,
    pub best: Candidate,
    /// Bytes that no plan goes beyond.
    pub limit: u64,
}

impl<'m> Ladder<'_, '_, 'm> {
    /// Goes up as far as it leads. `found` gets every plan on the way.
    pub fn climb(mut self, mut found: impl FnMut(Point<'m>)) -> Result<(), PlanError> {
        let segments = self.best.draft.segments.len();
        let mut trials = (0..segments).map(|s| self.trials(s)).collect::<Result<Vec<Vec<Trial>>, _>>()?;
        while !self.search.is_over_eighths(SHARE) {
            let Some((s, net, next)) = self.step(&mut trials)? else { break };
            (self.net, self.best) = (net, next);
            found(Point::new(self.net.clone(), self.best.clone()));
            trials[s] = self.trials(s)?;
        }
        Ok(())
    }

    /// Goes down as far as it leads, but not below so many bytes: rows per step are taken back, one node after the other, each
    /// time where the most memory is saved for its time. `found` gets every plan on the way.
    pub fn descend(mut self, until: u64, mut found: impl FnMut(Point<'m>)) -> Result<(), PlanError> {
        while self.best.packing.bytes > until && !self.search.is_over_eighths(SHARE) {
            let Some((net, next)) = self.back()? else { break };
            (self.net, self.best) = (net, next);
            found(Point::new(self.net.clone(), self.best.clone()));
        }
        Ok(())
    }

    /// The best step down.
    fn back(&self) -> Result<Option<(Net<'m>, Candidate)>, PlanError> {
        let (now, before) = (self.best.packing.bytes, self.net.time());
        let floor = self.net.floor().next_multiple_of(ALIGN);
        let mut lower: Vec<(usize, usize, usize, u8)> = Vec::new();
        for (s, segment) in self.best.draft.segments.iter().enumerate() {
            for count in 1..=TOGETHER {
                let bands = |n: usize| (1..self.net.bands[n]).map(move |band| (s, n, n + count, band));
                lower.extend((segment.first..(segment.end + 1).saturating_sub(count)).flat_map(bands));
            }
        }
        let pack = |(s, from, to, band): (usize, usize, usize, u8)| {
            let (mut net, mut segments) = (self.net.clone(), self.best.draft.segments.clone());
            let (first, end) = (segments[s].first, segments[s].end);
            let mut changed = false;
            for n in from..to {
                changed |= net.bands[n] > band && net.set_band(n, band)?;
            }
            if !changed {
                return Ok(None);
            }
            lead::choose(&mut net, first, end);
            segments[s] = Arc::new(Segment::walk(&net, first, end)?);
            self.search.spend(segments[s].length.ticks as usize);
            let draft = Draft::of(&net, segments, self.search.options.grow);
            let bound = floor + draft.bound();
            if bound >= now {
                return Ok(None);
            }
            let packed = self.search.pack_smaller(&net, &self.best, draft, bound);
            let lost = net.time().saturating_sub(before);
            Ok((packed.packing.bytes < now).then_some((lost, net, packed)))
        };
        let found: Result<Vec<Option<_>>, PlanError> = lower.into_par_iter().map(pack).collect();
        // The least time for each byte; of equals the fewest bytes.
        let price = |(lost, _, c): &(u64, Net<'m>, Candidate)| (lost * 1024 / (now - c.packing.bytes), c.packing.bytes);
        Ok(found?.into_iter().flatten().min_by_key(price).map(|(_, net, c)| (net, c)))
    }

    /// All changes of a segment that save time.
    fn trials(&self, s: usize) -> Result<Vec<Trial>, PlanError> {
        let segment = &self.best.draft.segments[s];
        let nodes = || segment.first..segment.end;
        let mut changes: Vec<Change> = Vec::new();
        if self.search.options.bands.is_none() {
            for band in BANDS {
                changes.extend(nodes().rev().map(|n| Change::Bands(vec![n], band)));
                // Together, rings stay multiples of one height.
                changes.push(Change::Bands(nodes().collect(), band));
                changes.extend(nodes().skip(1).map(|n| Change::Bands(vec![n - 1, n], band)));
            }
        }
        let had = nodes().map(|n| self.net.needs[n].scratch).max().unwrap_or(0);
        let offers = nodes().flat_map(|n| self.net.offers[n].iter().copied());
        let mut caps: Vec<u32> = offers.filter(|&offer| offer > had).collect();
        caps.sort_unstable();
        caps.dedup();
        changes.extend(caps.into_iter().map(Change::Scratch));
        let more = |n: usize| self.net.offers[n].iter().filter(move |&&offer| offer > self.net.needs[n].scratch);
        changes.extend(nodes().flat_map(|n| more(n).map(move |&offer| Change::ScratchOf(n, offer))));
        let before = self.net.time();
        let walk = |change: Change| {
            let mut net = self.net.clone();
            if !change.make(&mut net, segment)? {
                return Ok(None);
            }
            let saved = before.saturating_sub(net.time());
            if saved == 0 {
                return Ok(None);
            }
            let segment = Arc::new(Segment::walk(&net, segment.first, segment.end)?);
            self.search.spend(segment.length.ticks as usize);
            let peak = if self.search.options.grow { segment.peaks.rows } else { segment.peaks.blocks };
            Ok(Some(Trial { change, segment, saved, peak, seen: None }))
        };
        let trials: Result<Vec<Option<Trial>>, PlanError> = changes.into_par_iter().map(walk).collect();
        Ok(trials?.into_iter().flatten().collect())
    }

    /// The best of the most promising changes: its segment, and what it leads to.
    fn step(&self, trials: &mut [Vec<Trial>]) -> Result<Option<(usize, Net<'m>, Candidate)>, PlanError> {
        let floor = self.net.floor().next_multiple_of(ALIGN);
        let now = self.best.packing.bytes;
        trials.iter_mut().for_each(|t| t.retain(|t| floor + t.peak <= self.limit));
        let expected = |t: &Trial| t.seen.unwrap_or((floor + t.peak).saturating_sub(now));
        let mut order: Vec<(usize, usize)> =
            trials.iter().enumerate().flat_map(|(s, list)| (0..list.len()).map(move |i| (s, i))).collect();
        order.sort_by_key(|&(s, i)| {
            let t = &trials[s][i];
            (Reverse(rate(t.saved, expected(t))), t.peak, s, i)
        });
        while !order.is_empty() && !self.search.is_over_eighths(SHARE) {
            let some: Vec<(usize, usize)> = order.drain(..PACKED.min(order.len())).collect();
            let packed: Result<Vec<(Net<'m>, Candidate)>, PlanError> = some
                .par_iter()
                .map(|&(s, i)| {
                    let t = &trials[s][i];
                    let (mut net, mut segments) = (self.net.clone(), self.best.draft.segments.clone());
                    t.change.make(&mut net, &segments[s])?;
                    segments[s] = t.segment.clone();
                    let draft = Draft::of(&net, segments, self.search.options.grow);
                    let bound = floor + draft.bound();
                    let found = self.search.pack_again(&net, &self.best, draft, bound);
                    Ok((net, found))
                })
                .collect();
            let mut best: Option<(u64, usize, Net<'m>, Candidate)> = None;
            for (&(s, i), (net, found)) in some.iter().zip(packed?) {
                let t = &mut trials[s][i];
                let more = found.packing.bytes.saturating_sub(now);
                t.seen = Some(more);
                let rate = rate(t.saved, more);
                if found.packing.bytes <= self.limit && best.as_ref().is_none_or(|b| rate > b.0) {
                    best = Some((rate, s, net, found));
                }
            }
            if let Some((_, s, net, found)) = best {
                return Ok(Some((s, net, found)));
            }
        }
        Ok(None)
    }
}

/// What makes a change good: time saved per KB, and those of a change that takes no memory come first.
fn rate(saved: u64, bytes: u64) -> u64 {
    match bytes {
        0 => saved.saturating_add(1 << 60),
        _ => saved.saturating_mul(1024) / bytes,
    }
}
