//! The smallest arena: cuts and operands to overwrite are tried, until nothing helps.
//!
//! What a segment needs depends on its two ends alone, so each pair of ends is walked once, and the cuts with the
//! smallest peak of live bytes are a shortest path over the pairs. Packing costs more than that peak, so the best few
//! are packed, and single changes are tried on the best of them as long as they help. Work is counted, not timed: the same
//! model gives the same plan on every machine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::conflicts::Conflicts;
use super::draft::Draft;
use super::net::Net;
use super::pack::{Effort, Extent, Packing, pack};
use super::segment::{Peaks, Segment};
use super::storage::Overwrite;
use super::{PlanError, PlanOptions};

/// Work that a search may do: ticks walked, and as much again for packing, in units of about a tenth of a microsecond.
const BUDGET: u64 = 8_000_000;
/// Places where a cut is tried.
const PLACES: usize = 128;
/// Swaps of a packing while searching.
const SWAPS: usize = 24;
/// Swaps of one on the way down, for all of its blocks together; not fewer than of others.
const SWAPS_DOWN: usize = 6400;
/// Swaps of the packing that is kept.
const SWAPS_KEPT: usize = 1500;

/// A way to a place: its greatest peak and its bytes over time, and the place before.
type Way = ((u64, u64), usize);

/// A draft with places.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Nodes that begin a segment, but the first.
    pub cuts: Vec<usize>,
    pub draft: Draft,
    pub packing: Packing,
    /// Bytes that no packing of this draft goes below.
    pub bound: u64,
}

impl Candidate {
    fn rank(&self) -> (u64, u32, usize) {
        (self.packing.bytes, self.draft.length.steps, self.cuts.len())
    }
}

/// Segments by their ends, walked once.
struct Walks<'n, 'm> {
    net: &'n Net<'m>,
    known: Mutex<HashMap<(usize, usize), Arc<Segment>>>,
}

impl Walks<'_, '_> {
    fn get(&self, first: usize, end: usize, spent: &AtomicU64) -> Result<Arc<Segment>, PlanError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&(first, end)).cloned();
        if let Some(s) = known {
            return Ok(s);
        }
        let walked = Arc::new(Segment::walk(self.net, first, end)?);
        // Who comes second does not count, so that the sum does not depend on how threads meet.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.insert((first, end), walked.clone()).is_none() {
            spent.fetch_add(u64::from(walked.length.ticks), Ordering::Relaxed);
        }
        Ok(walked)
    }

    fn all(&self, cuts: &[usize], spent: &AtomicU64) -> Result<Vec<Arc<Segment>>, PlanError> {
        let ends = cuts.iter().copied().chain([self.net.nodes()]);
        let firsts = [0].into_iter().chain(cuts.iter().copied());
        firsts.zip(ends).map(|(first, end)| self.get(first, end, spent)).collect()
    }
}

/// Finds a plan for a net.
pub(super) struct Search<'o> {
    pub options: &'o PlanOptions,
    spent: AtomicU64,
}

impl<'o> Search<'o> {
    pub fn new(options: &'o PlanOptions) -> Self {
        Self { options, spent: AtomicU64::new(0) }
    }

    /// The smallest that was found. The net comes back with the operands that go with it.
    pub fn smallest<'m>(&self, mut net: Net<'m>) -> Result<(Net<'m>, Candidate), PlanError> {
        let mut best = {
            let walks = Walks { net: &net, known: Mutex::default() };
            match &self.options.cuts {
                Some(cuts) => {
                    let mut cuts: Vec<usize> = cuts.iter().copied().filter(|&n| n > 0 && n < net.nodes()).collect();
                    cuts.sort_unstable();
                    cuts.dedup();
                    self.pack(&net, cuts.clone(), walks.all(&cuts, &self.spent)?, None)
                }
                None => self.cuts(&walks)?,
            }
        };
        self.repack(&net, &mut best);
        if self.options.in_place.is_none() {
            self.operands(&mut net, &mut best)?;
            self.repack(&net, &mut best);
        }
        if self.options.cuts.is_none() {
            self.join(&net, &mut best)?;
        }
        Ok((net, best))
    }

    /// Bytes that no packing goes below, if it is cut like this.
    pub fn bound(&self, net: &Net<'_>, cuts: &[usize]) -> Result<u64, PlanError> {
        let walks = Walks { net, known: Mutex::default() };
        let draft = Draft::of(net, walks.all(cuts, &self.spent)?, self.options.grow);
        Ok(net.floor().next_multiple_of(super::pack::ALIGN) + draft.bound())
    }

    pub fn spend(&self, work: usize) {
        self.spent.fetch_add(work as u64, Ordering::Relaxed);
    }

    /// True if so many quarters of the budget are used up.
    fn is_over(&self, share: u64) -> bool {
        self.is_over_eighths(2 * share)
    }

    /// True if so many eighths of the budget are used up.
    pub fn is_over_eighths(&self, share: u64) -> bool {
        self.spent.load(Ordering::Relaxed) > BUDGET / 8 * share
    }

    fn swaps(&self, swaps: usize) -> usize {
        if self.options.strategy.is_some() { 0 } else { swaps }
    }

    fn pack(
        &self,
        net: &Net<'_>,
        cuts: Vec<usize>,
        segments: Vec<Arc<Segment>>,
        hint: Option<&Candidate>,
    ) -> Candidate {
        let draft = Draft::of(net, segments, self.options.grow);
        let bound = net.floor().next_multiple_of(super::pack::ALIGN) + draft.bound();
        let enough = hint.map_or(0, |h| h.packing.bytes);
        self.pack_draft(net, cuts, draft, bound, hint, (self.swaps(SWAPS), enough))
    }

    fn pack_draft(
        &self,
        net: &Net<'_>,
        cuts: Vec<usize>,
        draft: Draft,
        bound: u64,
        hint: Option<&Candidate>,
        (swaps, enough): (usize, u64),
    ) -> Candidate {
        self.spend(draft.blocks.len() * (40 + swaps) + draft.length.ticks as usize / 2);
        let extents: Vec<Extent> = draft.blocks.iter().map(super::block::Block::extent).collect();
        let same = |h: &&Candidate| {
            h.draft.blocks.len() == draft.blocks.len()
                && h.draft.blocks.iter().zip(&draft.blocks).all(|(a, b)| a.what == b.what)
        };
        let hint = hint.filter(same);
        let effort = Effort {
            strategies: self.options.strategy.as_slice(),
            swaps,
            hint: hint.map(|h| h.packing.order.as_slice()),
            enough: bound.max(enough),
            patient: swaps >= SWAPS_KEPT,
        };
        let packing = pack(&extents, &Conflicts::new(&draft.blocks), net.floor(), effort);
        Candidate { cuts, draft, packing, bound }
    }

    /// Packs a draft that differs a little from one that is packed.
    pub fn pack_again(&self, net: &Net<'_>, like: &Candidate, draft: Draft, bound: u64) -> Candidate {
        self.pack_draft(net, like.cuts.clone(), draft, bound, Some(like), (self.swaps(SWAPS), like.packing.bytes))
    }

    /// Packs a draft that should be smaller than one that is packed.
    pub fn pack_smaller(&self, net: &Net<'_>, like: &Candidate, draft: Draft, bound: u64) -> Candidate {
        // Of many blocks there are many such drafts, and a swap is more work.
        let swaps = (SWAPS_DOWN / draft.blocks.len().max(1)).max(SWAPS);
        self.pack_draft(net, like.cuts.clone(), draft, bound, Some(like), (self.swaps(swaps), 0))
    }

    /// Packs the best draft with more patience.
    pub fn repack(&self, net: &Net<'_>, best: &mut Candidate) {
        if best.packing.bytes <= best.bound || self.options.strategy.is_some() {
            return;
        }
        let again =
            self.pack_draft(net, best.cuts.clone(), best.draft.clone(), best.bound, None, (self.swaps(SWAPS_KEPT), 0));
        if again.packing.bytes < best.packing.bytes {
            *best = again;
        }
    }

    /// Packs a draft if it can be better than `best`.
    fn better(
        &self,
        net: &Net<'_>,
        cuts: Vec<usize>,
        segments: Vec<Arc<Segment>>,
        best: &Candidate,
    ) -> Option<Candidate> {
        let draft = Draft::of(net, segments, self.options.grow);
        let bound = net.floor().next_multiple_of(super::pack::ALIGN) + draft.bound();
        let rank = (bound, draft.length.steps, cuts.len());
        if rank >= best.rank() {
            return None;
        }
        let c = self.pack_draft(net, cuts, draft, bound, None, (self.swaps(SWAPS), 0));
        (c.rank() < best.rank()).then_some(c)
    }

    fn cuts(&self, walks: &Walks<'_, '_>) -> Result<Candidate, PlanError> {
        let net = walks.net;
        let nodes = net.nodes();
        let crossing: Vec<u64> = (0..=nodes).map(|n| net.crossing(n)).collect();
        // Where little memory crosses, if there are too many places to try all.
        let mut places: Vec<usize> = (1..nodes).collect();
        places.sort_by_key(|&n| (crossing[n], n));
        let whole = walks.get(0, nodes, &self.spent)?;
        let most = (6 * (BUDGET / 3) / u64::from(whole.length.ticks.max(1))).isqrt() as usize;
        places.truncate(PLACES.min(most.max(4)));
        places.extend([0, nodes]);
        places.sort_unstable();

        let measures: [fn(&Peaks) -> u64; 3] = [|p| p.rows, |p| p.rings, |p| p.blocks];
        let measures = if self.options.grow { &measures[..] } else { &measures[2..] };
        let mut starts = vec![vec![], places[1..places.len() - 1].to_vec()];
        for measure in measures {
            starts.push(self.shortest(walks, &places, &crossing, *measure)?);
        }
        starts.dedup();
        let packed: Result<Vec<Candidate>, PlanError> = starts
            .into_par_iter()
            .map(|cuts| Ok(self.pack(net, cuts.clone(), walks.all(&cuts, &self.spent)?, None)))
            .collect();
        let Some(mut best) = packed?.into_iter().min_by_key(Candidate::rank) else {
            return Ok(self.pack(net, vec![], vec![whole], None));
        };
        while !self.is_over(2) {
            let trial = |&n: &usize| {
                let mut cuts = best.cuts.clone();
                match cuts.binary_search(&n) {
                    Ok(i) => _ = cuts.remove(i),
                    Err(i) => cuts.insert(i, n),
                }
                let segments = walks.all(&cuts, &self.spent)?;
                Ok(self.better(net, cuts, segments, &best))
            };
            let found: Result<Vec<Option<Candidate>>, PlanError> =
                places[1..places.len() - 1].par_iter().map(trial).collect();
            match found?.into_iter().flatten().min_by_key(Candidate::rank) {
                Some(c) => best = c,
                None => break,
            }
        }
        Ok(best)
    }

    /// Takes back cuts that save no memory: each takes room in the blob.
    pub fn join(&self, net: &Net<'_>, best: &mut Candidate) -> Result<(), PlanError> {
        let walks = Walks { net, known: Mutex::default() };
        let mut i = 0;
        while i < best.cuts.len() && !self.is_over(5) {
            let mut cuts = best.cuts.clone();
            cuts.remove(i);
            let mut joined = self.pack(net, cuts.clone(), walks.all(&cuts, &self.spent)?, None);
            if joined.bound <= best.packing.bytes && joined.packing.bytes > best.packing.bytes {
                self.repack(net, &mut joined);
            }
            if joined.packing.bytes <= best.packing.bytes {
                *best = joined;
            } else {
                i += 1;
            }
        }
        Ok(())
    }

    /// The cuts whose greatest peak is smallest; of equals, those that hold the least memory over time.
    fn shortest(
        &self,
        walks: &Walks<'_, '_>,
        places: &[usize],
        crossing: &[u64],
        measure: fn(&Peaks) -> u64,
    ) -> Result<Vec<usize>, PlanError> {
        let last = places.len() - 1;
        let peak = |a: usize, b: usize| -> Result<(u64, u64), PlanError> {
            let s = walks.get(places[a], places[b], &self.spent)?;
            let peak = measure(&s.peaks);
            Ok((peak, peak.saturating_mul(u64::from(s.length.ticks))))
        };
        // One segment, or a segment per place: no path need be worse.
        let mut enough = peak(0, last)?.0;
        let mut steps = 0;
        for a in 0..last {
            steps = peak(a, a + 1)?.0.max(steps);
        }
        enough = enough.min(steps);
        let mut best: Vec<Option<Way>> = vec![None; last + 1];
        best[0] = Some(((0, 0), 0));
        for b in 1..=last {
            let ways: Result<Vec<Option<Way>>, PlanError> = (0..b)
                .into_par_iter()
                .map(|a| {
                    let Some((so_far, _)) = best[a] else { return Ok(None) };
                    if so_far.0.max(crossing[places[a]]).max(crossing[places[b]]) > enough {
                        return Ok(None);
                    }
                    let (peak, area) = peak(a, b)?;
                    Ok((peak <= enough).then_some(((so_far.0.max(peak), so_far.1.saturating_add(area)), a)))
                })
                .collect();
            best[b] = ways?.into_iter().flatten().min();
        }
        let mut cuts = Vec::new();
        let mut at = last;
        while let Some((_, from)) = best[at] {
            if at < last {
                cuts.push(places[at]);
            }
            if at == 0 {
                cuts.pop();
                break;
            }
            at = from;
        }
        cuts.reverse();
        Ok(cuts)
    }

    /// Tries for every node to overwrite the other operand, or none.
    fn operands(&self, net: &mut Net<'_>, best: &mut Candidate) -> Result<(), PlanError> {
        for n in 0..net.nodes() {
            let other = if net.needs[n].in_place == 0b11 && net.model.nodes[n].inputs.len() > 1 {
                &[Overwrite::First, Overwrite::Never][..]
            } else {
                &[Overwrite::Never][..]
            };
            if net.needs[n].in_place == 0 || net.in_place[n].is_none() {
                continue;
            }
            for &how in other {
                if self.is_over(3) || best.packing.bytes <= net.floor() {
                    return Ok(());
                }
                let mut overwrite = net.overwrite.clone();
                overwrite[n] = how;
                let trial = Net::new(net.model, self.options, net.bands.clone(), overwrite, net.caps.clone())?;
                let walks = Walks { net: &trial, known: Mutex::default() };
                let segments = walks.all(&best.cuts, &self.spent)?;
                let found = self.better(&trial, best.cuts.clone(), segments, best);
                drop(walks);
                // Fewer bytes: an operand that is not overwritten costs traffic, so equality is no reason.
                if let Some(c) = found.filter(|c| c.packing.bytes < best.packing.bytes) {
                    (*net, *best) = (trial, c);
                }
            }
        }
        Ok(())
    }
}
