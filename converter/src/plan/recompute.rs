//! Memory for time: which nodes had better run a second time.
//!
//! Of the tensors that wait for late readers while memory is fullest, the one is taken whose second making saves the most,
//! then the next, as long as that pays and the price is within what may be paid. What is found does not depend on goal and
//! limit, as the frontier does not; how many of them the plan takes does.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::again::Again;
use super::block::{What, alive};
use super::cost::{self, Cost};
use super::net::{Net, USUAL};
use super::search::{Candidate, Search};
use super::storage::Overwrite;
use super::{Plan, PlanError, PlanOptions, plan, start};
use crate::lower::Lowered;

/// Memory is fullest where so many eighths of the most are alive.
const FULL: u64 = 7;
/// Chains that are searched with all care: those with the lowest bounds.
const TRIED: usize = 16;
/// What is saved is worth it if it is one part of so many.
const WORTH: u64 = 100;

/// A chain of nodes that run again, with what that saves and costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recomputed {
    /// What is made again, by its name.
    pub layer: String,
    /// Nodes of the new model that run again for it, it the last.
    pub nodes: Vec<usize>,
    /// Bytes of arena and state that the plan takes less, compared with the plan that has only those before this one.
    pub saved_bytes: i64,
    /// Multiply-accumulates that an inference takes more.
    pub macs: u64,
    /// Instructions that these nodes take in the plan, as the planner estimates them.
    pub instructions: u64,
}

/// A model in which some nodes may run twice, and its plan.
#[derive(Clone, Debug)]
pub struct Recomputing {
    /// The model, if it is another.
    pub model: Option<Lowered>,
    /// Its plan.
    pub plan: Plan,
    /// What runs again: nothing, if nothing pays.
    pub made: Vec<Recomputed>,
}

/// As [`plan`], but nodes may run a second time where that takes less memory, for so many percent more time at most; with
/// a limit of RAM and no goal, where the limit can't be met without, or only by a plan that is slower. Where a plan is
/// forced node by node there is nothing to search for. `progress` hears how many chains have been tried, of how many; 0
/// begins a round.
///
/// # Errors
/// As [`plan`].
pub fn plan_recomputing(
    model: &Lowered,
    options: &PlanOptions,
    percent: u32,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Recomputing, PlanError> {
    let mut best = Taken { model: None, plan: plan(model, options), made: Vec::new() };
    if options.cuts.is_some() || options.bands.is_some() || options.in_place.is_some() {
        return best.finish(options);
    }
    let (mut made, mut before) = (Vec::<Recomputed>::new(), ram(&best.plan));
    for step in chains(model, options, percent, progress)? {
        let plan = plan(&step.model, options);
        let after = ram(&plan);
        made.iter_mut().for_each(|m| m.nodes.iter_mut().for_each(|n| *n = step.again.moved(*n)));
        made.push(Recomputed { saved_bytes: before as i64 - after as i64, ..step.made });
        before = after;
        let next = Taken { model: Some(step.model), plan, made: made.clone() };
        if next.rank(options) < best.rank(options) {
            best = next;
        }
    }
    best.finish(options)
}

/// Bytes of RAM that a plan takes; if none fits, those of the smallest.
fn ram(plan: &Result<Plan, PlanError>) -> u64 {
    match plan {
        Ok(plan) => u64::from(plan.arena_bytes) + u64::from(plan.state_bytes),
        Err(PlanError::Unfit { smallest, .. }) => *smallest,
        Err(_) => u64::MAX,
    }
}

/// What is to be had.
struct Taken {
    model: Option<Lowered>,
    plan: Result<Plan, PlanError>,
    made: Vec<Recomputed>,
}

impl Taken {
    /// First comes what fits, then what takes less of what counts.
    fn rank(&self, options: &PlanOptions) -> (bool, u64) {
        match &self.plan {
            Ok(plan) if options.ram_limit.is_some() && options.goal.is_none() => (false, plan.cycles),
            plan => (plan.is_err(), ram(plan)),
        }
    }

    /// With the price in this plan.
    fn finish(mut self, options: &PlanOptions) -> Result<Recomputing, PlanError> {
        let plan = self.plan?;
        if let Some(model) = &self.model {
            let caps = plan.needs.iter().map(|n| n.scratch).collect();
            let overwrite = vec![Overwrite::default(); model.nodes.len()];
            let net = Net::new(model, options, plan.bands.clone(), overwrite, caps)?;
            self.made.iter_mut().for_each(|m| m.instructions = price(&net, &m.nodes).instructions);
        }
        Ok(Recomputing { model: self.model, plan, made: self.made })
    }
}

/// A model with a chain more that runs again.
struct Step {
    model: Lowered,
    again: Again,
    made: Recomputed,
    /// Time that it takes, in the unit of [`Cost::time`].
    time: u64,
}

/// Chains that save memory, one after the other.
fn chains(
    model: &Lowered,
    options: &PlanOptions,
    percent: u32,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Step>, PlanError> {
    let mut steps: Vec<Step> = Vec::new();
    let mut left = None;
    loop {
        let small = Smallest::of(steps.last().map_or(model, |s| &s.model), options)?;
        let allowance = *left.get_or_insert(small.net.time().saturating_mul(percent.into()) / 100);
        let Some(step) = small.step(allowance, options, progress)? else { return Ok(steps) };
        left = Some(allowance.saturating_sub(step.time));
        steps.push(step);
    }
}

/// The smallest plan of a model: with scratch for its kernels, and without.
struct Smallest<'m> {
    net: Net<'m>,
    plans: [Candidate; 2],
}

impl<'m> Smallest<'m> {
    fn of(model: &'m Lowered, options: &PlanOptions) -> Result<Self, PlanError> {
        let (_, without) = Search::new(options).smallest(start(model, options)?)?;
        let (net, with) = Search::new(options).smallest(roomy(model, options)?)?;
        Ok(Self { net, plans: [with, without] })
    }

    fn bytes(&self) -> u64 {
        self.plans.iter().map(|p| p.packing.bytes).sum()
    }

    /// The chain that saves the most, if any is worth it. It may take so much time.
    fn step(
        &self,
        allowance: u64,
        options: &PlanOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Option<Step>, PlanError> {
        let promising = self.promising(allowance, options)?;
        let (total, done) = (promising.len(), AtomicUsize::new(0));
        progress(0, total);
        let search = |again: Again| {
            let bytes = Smallest::of(&again.of(self.net.model), options)?.bytes();
            progress(1 + done.fetch_add(1, Ordering::Relaxed), total);
            Ok(((bytes, price(&self.net, &again.nodes).time), again))
        };
        let found = promising.into_par_iter().map(search).collect::<Result<Vec<_>, PlanError>>()?;
        let best = found.into_iter().min_by_key(|(rank, _)| *rank);
        let worth = self.bytes() - self.bytes() / WORTH;
        Ok(best.filter(|((bytes, _), _)| *bytes <= worth).map(|((_, time), again)| Step {
            time,
            model: again.of(self.net.model),
            made: Recomputed {
                layer: again.nodes.last().map_or_else(String::new, |&n| self.net.model.nodes[n].name.clone()),
                nodes: again.made().collect(),
                saved_bytes: 0,
                macs: again.nodes.iter().map(|&n| u64::from(self.net.needs[n].macs)).sum(),
                instructions: price(&self.net, &again.nodes).instructions,
            },
            again,
        }))
    }

    /// The chains of tensors that wait which lower the bound of the plan, cut as before or not at all; those that lower it
    /// most, if there are many. Only these are worth a search.
    fn promising(&self, allowance: u64, options: &PlanOptions) -> Result<Vec<Again>, PlanError> {
        let waits = self.waiting();
        let mut all = Again::all(self.net.model);
        all.retain(|a| a.nodes.last().is_some_and(|&n| waits[n]) && price(&self.net, &a.nodes).time <= allowance);
        let bound = |again: Again| {
            let model = again.of(self.net.model);
            let net = roomy(&model, options)?;
            // A cut before its first reader is one before what it reads.
            let moved = |&n: &usize| if n == again.begin() { n } else { again.moved(n) };
            let cuts: Vec<usize> = self.plans[0].cuts.iter().map(moved).collect();
            let search = Search::new(options);
            let bound = search.bound(&net, &cuts)?.min(search.bound(&net, &[])?);
            Ok(((bound, price(&self.net, &again.nodes).time), again))
        };
        let mut all = all.into_par_iter().map(bound).collect::<Result<Vec<_>, PlanError>>()?;
        all.retain(|((bound, _), _)| *bound < self.plans[0].bound);
        all.sort_by_key(|(rank, _)| *rank);
        all.truncate(TRIED);
        Ok(all.into_iter().map(|(_, again)| again).collect())
    }

    /// By node: some of its result is there when memory is fullest.
    fn waiting(&self) -> Vec<bool> {
        let mut waits = vec![false; self.net.nodes()];
        for plan in &self.plans {
            let alive = alive(&plan.draft.blocks, plan.draft.length.ticks);
            let most = alive.iter().copied().max().unwrap_or(0);
            let full: Vec<bool> = alive.iter().map(|bytes| bytes * 8 >= most * FULL).collect();
            for block in &plan.draft.blocks {
                let What::Group(g) = block.what else { continue };
                let mut lives = block.cells.iter().flat_map(|c| &c.lives);
                if lives.any(|&(first, last)| full[first as usize..=last as usize].contains(&true)) {
                    for &t in self.net.storage.members(g) {
                        waits.get_mut(t).into_iter().for_each(|w| *w = true);
                    }
                }
            }
        }
        waits
    }
}

fn price(net: &Net<'_>, nodes: &[usize]) -> Cost {
    nodes.iter().map(|&n| cost::cost(net, n, net.bands[n])).sum()
}

/// A model with all scratch that its kernels ask for.
fn roomy<'m>(model: &'m Lowered, options: &PlanOptions) -> Result<Net<'m>, PlanError> {
    let mut net = start(model, options)?;
    (0..net.nodes()).for_each(|n| net.set_cap(n, USUAL));
    Ok(net)
}
