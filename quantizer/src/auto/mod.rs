//! Choices by measurement: for each tensor the range, and whether biases are corrected.

mod correct;
mod outputs;
mod trial;

use carafe_graph::{Graph, GraphError, Tensor};
use rayon::prelude::*;

use crate::error::QuantError;
use crate::histogram::Histogram;
use crate::observer::ObserverKind;
use crate::quantize::{Built, Counter, Phase, Progress};
use crate::ranges::{Activations, Ties, choose};
use crate::report::{Candidate, Choice, Decision, RangeSource, Sqnr};
use crate::search;
use crate::simulate::Simulation;
use crate::types::Quant;
use outputs::{Target, clearly_less, db, less, noise, targets};
use trial::{Exact, Path, node_cost};

/// What trials may cost, in multiplications: some 8 s of one core of a desktop.
const BUDGET: u64 = 160_000_000_000;
/// On how many samples a trial is made, as the budget allows.
const TRIAL_SAMPLES: (usize, usize) = (8, 32);
/// On how many samples whole models are compared and mean errors measured, as [`COMPARISON`] allows.
const COMPARED: (usize, usize) = (16, 64);
/// What a run of a whole model on all samples that are compared may cost, in multiplications.
const COMPARISON: u64 = 10_000_000_000;
/// Candidates that do not promise to take this part of the tensor's noise off are not tried.
const PROMISE: f64 = 0.05;
/// Ranges that differ by less than this part of their width are taken as one.
const SAME: f64 = 0.02;

type Ranges = [Option<(f32, f32)>];

/// A set of tied values, or one value, with the ranges it may get.
#[derive(Debug)]
pub(crate) struct Group {
    /// Value indices.
    pub(crate) members: Vec<usize>,
    /// The first is MinMax.
    candidates: Vec<Proposal>,
    /// Index into `candidates`.
    chosen: usize,
    why: String,
    /// How much less of the outputs' noise this group makes with the chosen range.
    gain: f64,
}

#[derive(Debug)]
struct Proposal {
    kind: ObserverKind,
    range: (f32, f32),
    /// Noise relative to the signal in the tensor, by its histogram.
    local: f64,
    /// Whether it differs enough from those before and promises enough to be tried.
    worth_it: bool,
    /// Noise of the outputs when this group alone is quantized, per sample.
    measured: Vec<f64>,
}

impl Proposal {
    fn total(&self) -> f64 {
        self.measured.iter().sum()
    }
}

impl Group {
    fn range(&self) -> (f32, f32) {
        self.candidates[self.chosen].range
    }

    /// The most noise in the tensor that a candidate promises to take off.
    fn promise(&self) -> f64 {
        let worth = self.candidates.iter().filter(|c| c.worth_it).map(|c| c.local);
        worth.reduce(f64::min).map_or(0.0, |least| self.candidates[0].local - least)
    }

    pub(crate) fn report(&self) -> Choice {
        let candidate = |c: &Proposal| Candidate {
            observer: c.kind.to_string(),
            min: c.range.0,
            max: c.range.1,
            tensor_sqnr_db: db(c.local),
            output_sqnr_db: (!c.measured.is_empty()).then(|| db(c.total())),
        };
        Choice {
            observer: self.candidates[self.chosen].kind.to_string(),
            why: self.why.clone(),
            candidates: self.candidates.iter().map(candidate).collect(),
        }
    }

    /// Takes the measured best if it is clearly better than MinMax.
    fn decide(&mut self) {
        if self.candidates[0].measured.is_empty() {
            return;
        }
        let tried = self.candidates.iter().enumerate().skip(1).filter(|(_, c)| !c.measured.is_empty());
        let Some((best, b)) = tried.min_by(|a, b| a.1.total().total_cmp(&b.1.total())) else { return };
        let all = &self.candidates[0];
        let words = format!(
            "with this tensor alone quantized the outputs have {:.1} dB with {}, {:.1} dB with minmax",
            db(b.total()),
            b.kind,
            db(all.total())
        );
        if clearly_less(&b.measured, &all.measured) {
            (self.chosen, self.gain, self.why) = (best, all.total() - b.total(), words);
        } else {
            self.why = format!("{words}: not clearly better");
        }
    }
}

/// The groups whose range can be chosen: observed, and neither fixed nor given.
fn propose(
    graph: &Graph,
    histograms: &[Option<Histogram>],
    activations: &Activations,
    targets: &[Target],
) -> Vec<Group> {
    let ties = Ties::of(graph);
    let mut by_root = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for v in (0..activations.len()).filter(|&v| activations[v].is_some()) {
        by_root.entry(ties.find(v)).or_default().push(v);
    }
    let free = |v: &usize| matches!(activations[*v], Some((_, RangeSource::Observed | RangeSource::Tied)));
    let groups: Vec<Vec<usize>> = by_root.into_values().filter(|m| m.iter().all(free)).collect();
    groups
        .into_par_iter()
        .filter_map(|members| {
            let seen: Option<Vec<&Histogram>> = members.iter().map(|&v| histograms[v].as_ref()).collect();
            let mut group = Group::new(members, &seen?)?;
            if targets.iter().any(|t| group.members.contains(&t.value.0)) {
                group.candidates.iter_mut().for_each(|c| c.worth_it = false);
                group.why =
                    "an output, or what a Softmax makes it of: the largest numbers decide, and none is cut off".into();
            }
            Some(group)
        })
        .collect()
}

impl Group {
    fn new(members: Vec<usize>, seen: &[&Histogram]) -> Option<Self> {
        let kinds = [
            ObserverKind::MinMax,
            ObserverKind::Percentile(ObserverKind::PERCENTILE),
            ObserverKind::Mse,
            ObserverKind::Entropy,
        ];
        let weighted = |f: &dyn Fn(&Histogram) -> f64| seen.iter().map(|h| f(h) * h.counted() as f64).sum::<f64>();
        let signal = weighted(&search::power);
        let mut candidates: Vec<Proposal> = vec![];
        for kind in kinds {
            let ranges = seen.iter().filter_map(|h| kind.range(h));
            let range = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
            let noise = weighted(&|h| search::error(h, range));
            let local = if signal > 0.0 { noise / signal } else { 0.0 };
            let differs = |c: &Proposal| {
                let width = f64::from(c.range.1.max(0.0)) - f64::from(c.range.0.min(0.0));
                let ends = f64::from((c.range.0 - range.0).abs()) + f64::from((c.range.1 - range.1).abs());
                ends > SAME * width
            };
            let promises = candidates.first().is_some_and(|all| local < (1.0 - PROMISE) * all.local);
            let known = |c: &&Proposal| c.worth_it || c.kind == ObserverKind::MinMax;
            let worth_it = promises && candidates.iter().filter(known).all(differs);
            candidates.push(Proposal { kind, range, local, worth_it, measured: vec![] });
        }
        let why = format!("no other range promises {:.0} % less noise in the tensor", 100.0 * PROMISE);
        Some(Self { members, candidates, chosen: 0, why, gain: 0.0 })
    }
}

/// At most `n` samples with their indices, evenly spread; `second` gives those half-way between.
pub(crate) fn spread(samples: &[Vec<Tensor>], n: usize, second: bool) -> Vec<(usize, &[Tensor])> {
    let n = n.min(samples.len());
    let index = |i: usize| (2 * i + usize::from(second)) * samples.len() / (2 * n);
    (0..n).map(index).map(|i| (i, samples[i].as_slice())).collect()
}

/// What choices are made on.
pub(crate) struct Judge<'a> {
    graph: &'a Graph,
    samples: &'a [Vec<Tensor>],
    targets: Vec<Target>,
    /// Cost of a run.
    once: u64,
    /// Number of samples that whole models are compared on.
    compared: usize,
    progress: &'a (dyn Fn(Progress) + Sync),
    /// What float makes of [`Judge::compared`], at the targets.
    float: Vec<Vec<Option<Tensor>>>,
}

/// Runs `f` on samples in parallel; results in their order.
fn on_all<T: Send>(
    samples: &[(usize, &[Tensor])],
    counter: &Counter<'_>,
    f: impl Fn(usize, &[Tensor]) -> Result<T, GraphError> + Sync,
) -> Result<Vec<T>, QuantError> {
    let one = |(i, &(sample, inputs)): (usize, &(usize, &[Tensor]))| {
        let made = f(i, inputs).map_err(|source| QuantError::Run { sample, source })?;
        counter.one_more();
        Ok(made)
    };
    samples.par_iter().enumerate().with_max_len(1).map(one).collect()
}

impl<'a> Judge<'a> {
    pub(crate) fn new(graph: &'a Graph, samples: &'a [Vec<Tensor>], progress: &'a (dyn Fn(Progress) + Sync)) -> Self {
        let once: u64 = (0..graph.nodes.len()).map(|n| node_cost(graph, n)).sum();
        let compared = usize::try_from(COMPARISON / once.max(1)).unwrap_or(COMPARED.1).clamp(COMPARED.0, COMPARED.1);
        let compared = compared.min(samples.len());
        Self { graph, samples, targets: targets(graph), once, compared, progress, float: vec![] }
    }

    /// The samples that whole models are compared on: others than those of trials, where there are enough.
    fn compared(&self) -> Vec<(usize, &'a [Tensor])> {
        spread(self.samples, self.compared, true)
    }

    /// The outputs' noise per compared sample, for each of several quantized graphs.
    fn compare(&mut self, counter: &Counter<'_>, candidates: &[&Built]) -> Result<Vec<Vec<f64>>, QuantError> {
        let samples = self.compared();
        if self.float.is_empty() {
            self.float = on_all(&samples, &Counter::silent(), |_, inputs| {
                let exact = Exact::new(self.graph, inputs)?;
                Ok(self.targets.iter().map(|t| exact.value(t.value).cloned()).collect())
            })?;
        }
        let mut all = vec![];
        for built in candidates {
            let simulation = Simulation::new(&built.quantized);
            let compared = on_all(&samples, counter, |i, inputs| {
                let mut sums = vec![Sqnr::default(); self.targets.len()];
                simulation.run_with(inputs, |v, got| {
                    for (t, (target, want)) in self.targets.iter().zip(&self.float[i]).enumerate() {
                        if let (true, Some(want)) = (target.value == v, want) {
                            sums[t] = target.compare(want, got);
                        }
                    }
                })?;
                Ok(sums)
            })?;
            all.push(noise(&compared));
        }
        Ok(all)
    }

    /// Chooses a range for every group. `plain` is what MinMax makes, and `build` makes the like for other ranges.
    pub(crate) fn choose_ranges(
        &mut self,
        histograms: &[Option<Histogram>],
        ranges: &Ranges,
        plain: Built,
        build: &dyn Fn(Activations) -> Result<Built, QuantError>,
    ) -> Result<(Built, Vec<Group>, Decision), QuantError> {
        let mut groups = propose(self.graph, histograms, &plain.activations, &self.targets);
        let counter = self.try_out(&mut groups)?;
        groups.iter_mut().for_each(Group::decide);
        let mut changed: Vec<usize> = (0..groups.len()).filter(|&g| groups[g].chosen > 0).collect();
        let samples = self.compared;
        let decision = |applied, changed, noise: Option<(f64, f64)>, why: &str| Decision {
            applied,
            changed,
            samples,
            without_db: noise.map(|n| db(n.0)),
            with_db: noise.map(|n| db(n.1)),
            why: why.into(),
        };
        if changed.is_empty() {
            let why = "minmax is best, or as good as any, for every tensor";
            counter.finish();
            return Ok((plain, groups, decision(false, 0, None, why)));
        }
        // The strongest first. Where all together are no gain, half of them may be.
        changed.sort_by(|a, b| groups[*b].gain.total_cmp(&groups[*a].gain));
        let without = self.compare(&counter, &[&plain])?.remove(0);
        let mut first = None;
        loop {
            let mut chosen = ranges.to_vec();
            for &g in &changed {
                groups[g].members.iter().for_each(|&v| chosen[v] = Some(groups[g].range()));
            }
            let built = build(choose(self.graph, &chosen))?;
            let with = self.compare(&counter, &[&built])?.remove(0);
            let totals = (without.iter().sum(), with.iter().sum());
            first = first.or(Some(totals));
            if clearly_less(&with, &without) {
                let dropped = |(g, group): &(usize, &mut Group)| group.chosen > 0 && !changed.contains(g);
                groups.iter_mut().enumerate().filter(dropped).for_each(|(_, group)| group.chosen = 0);
                let why = "the outputs of the whole model are clearly closer to float with it";
                return Ok((built, groups, decision(true, changed.len(), Some(totals), why)));
            }
            if changed.len() == 1 {
                break;
            }
            for g in changed.split_off(changed.len() / 2) {
                groups[g].why.push_str("; but together with the others it did not help");
            }
        }
        for g in groups.iter_mut().filter(|g| g.chosen > 0) {
            g.chosen = 0;
            if !g.why.ends_with("did not help") {
                g.why.push_str("; but in the whole model it did not help");
            }
        }
        let why = "in the whole model nothing is clearly better than minmax, whatever single tensors gain";
        Ok((plain, groups, decision(false, 0, first, why)))
    }

    /// Measures as many candidates as the budget allows, the most promising first. Returns the counter of the phase.
    fn try_out(&self, groups: &mut [Group]) -> Result<Counter<'a>, QuantError> {
        let mut order: Vec<usize> = (0..groups.len()).filter(|&g| groups[g].promise() > 0.0).collect();
        order.sort_by(|a, b| groups[*b].promise().total_cmp(&groups[*a].promise()));
        let paths: Vec<Path> =
            order.par_iter().map(|&g| Path::new(self.graph, &groups[g].members, &self.targets)).collect();
        let trials_of = |g: usize| 1 + groups[g].candidates.iter().filter(|c| c.worth_it).count() as u64;
        let costs: Vec<u64> = order.iter().zip(&paths).map(|(&g, p)| trials_of(g) * (p.cost + 1)).collect();
        let all = self.once + costs.iter().sum::<u64>();
        let (fewest, most) = TRIAL_SAMPLES;
        let n = usize::try_from(BUDGET / all.max(1)).unwrap_or(most).clamp(fewest, most).min(self.samples.len());
        let mut spent = self.once * n as u64;
        let affordable = costs.iter().take_while(|c| {
            spent += **c * n as u64;
            spent <= BUDGET
        });
        let affordable = affordable.count();
        for &g in &order[affordable..] {
            groups[g].why = "not measured: the time was spent on tensors that promised more".into();
        }
        order.truncate(affordable);
        let samples = spread(self.samples, if order.is_empty() { 0 } else { n }, false);
        let counter = Counter::new(self.progress, Phase::Choose, samples.len() + 2 * self.compared().len());
        let trials: Vec<(usize, usize, &Path, Quant)> = order
            .iter()
            .zip(&paths)
            .flat_map(|(&g, path)| {
                let tried = groups[g].candidates.iter().enumerate().filter(|(c, p)| *c == 0 || p.worth_it);
                tried.map(move |(c, p)| (g, c, path, Quant::from_range(p.range.0, p.range.1)))
            })
            .collect();
        let mut results: Vec<Vec<Vec<Sqnr>>> = on_all(&samples, &counter, |_, inputs| {
            let exact = Exact::new(self.graph, inputs)?;
            trials.iter().map(|(_, _, path, quant)| exact.with(path, quant, &self.targets)).collect()
        })?;
        for (t, (g, c, ..)) in trials.iter().enumerate() {
            let per_sample: Vec<Vec<Sqnr>> = results.iter_mut().map(|r| std::mem::take(&mut r[t])).collect();
            groups[*g].candidates[*c].measured = noise(&per_sample);
        }
        Ok(counter)
    }

    /// Corrects biases: always, or only if the outputs come clearly closer to float.
    pub(crate) fn correct_biases(
        &mut self,
        always: bool,
        built: Built,
        build: &dyn Fn(Graph) -> Result<Built, QuantError>,
    ) -> Result<(Built, Decision), QuantError> {
        let samples = spread(self.samples, self.compared, false);
        let simulation = Simulation::new(&built.quantized);
        let total = samples.len() + 2 * self.compared().len();
        let counter = Counter::new(self.progress, Phase::Correct, total);
        let errors =
            on_all(&samples, &counter, |_, inputs| correct::errors(self.graph, &built.quantized, &simulation, inputs))?;
        drop(simulation);
        let (graph, layers) = correct::corrected(self.graph, &errors);
        let mut decision = Decision {
            applied: false,
            changed: 0,
            samples: self.compared,
            without_db: None,
            with_db: None,
            why: "no layer has a mean error beyond chance".into(),
        };
        if layers == 0 {
            counter.finish();
            return Ok((built, decision));
        }
        let corrected = build(graph)?;
        let noise = self.compare(&counter, &[&built, &corrected])?;
        let total = |i: usize| db(noise[i].iter().sum());
        (decision.without_db, decision.with_db) = (Some(total(0)), Some(total(1)));
        // A shrunk mean does no harm by chance: less noise on other samples than it was measured on is enough.
        decision.applied = always || less(&noise[1], &noise[0]);
        decision.changed = if decision.applied { layers } else { 0 };
        decision.why = match (always, decision.applied) {
            (true, _) => "asked for",
            (_, true) => "the outputs of the whole model are closer to float with it",
            _ => "the outputs of the whole model are not closer to float with it",
        }
        .into();
        Ok((if decision.applied { corrected } else { built }, decision))
    }
}
