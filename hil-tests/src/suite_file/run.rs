//! A suite on one target.

use std::time::{Duration, Instant};

use super::check::wrong;
use super::faults::{FaultKind, Trial, Trouble};
use super::{Failure, FailureKind, Measured, Row, Status, SuiteFile, TestCase, TestModel};
use crate::Error;
use crate::protocol::Fault;
use crate::suite::Entry;
use crate::target::{Case, LoadedModel, Outcome, Target};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'p> {
    /// The board.
    pub board: &'p str,
    /// The model that is run next.
    pub model: &'p str,
    /// Its case.
    pub case: &'p str,
    /// Cases that are done on this board.
    pub done: usize,
    /// Cases there are.
    pub total: usize,
}

/// Runs all cases of a suite on one target; there is a row for each, whatever happens.
///
/// A target that hangs, or whose link ends, is started afresh and tried once more; the row says so. One that can't be
/// reached has all its rows skipped.
pub fn run(suite: &SuiteFile, entry: &mut Entry, watch: &mut dyn FnMut(Progress<'_>)) -> Vec<Row> {
    let total = suite.models.iter().map(TestModel::rows).sum();
    let mut rows: Vec<Row> = vec![];
    for model in &suite.models {
        let mut at = |case: &str, done: usize| {
            watch(Progress { board: &entry.id, model: &model.name, case, done, total });
        };
        at("", rows.len());
        let names = model.row_names();
        let left_out = model.skip.iter().chain(&entry.skip).find(|(name, _)| *name == entry.id || *name == model.name);
        let target = match (left_out, &mut entry.target) {
            (Some((_, reason)), _) => Err(Status::Skipped { reason: reason.clone() }),
            (None, Err(error)) if error.is_unavailable() => Err(Status::Skipped { reason: error.to_string() }),
            (None, Err(error)) => Err(Status::Failed(failure(error))),
            (None, Ok(target)) => Ok(target.as_mut()),
        };
        let loaded = target.and_then(|target| {
            let (loaded, restarted) = load(target, &model.blob).map_err(|error| match failure(&error) {
                Failure { kind: FailureKind::DoesNotFit, what } if model.may_not_fit => {
                    Status::Skipped { reason: what }
                }
                failure => Status::Failed(failure),
            })?;
            Ok((target, loaded, restarted))
        });
        let (target, loaded, mut restarted) = match loaded {
            Ok(loaded) => loaded,
            Err(status) => {
                rows.extend(names.iter().map(|case| blank(&entry.id, model, case, status.clone())));
                continue;
            }
        };
        for (index, case) in model.cases.iter().enumerate() {
            at(&case.name, rows.len());
            let mut runner = Runner { target, model, loaded, restarted, used: false };
            let row = runner.case(&entry.id, case, index > 0);
            restarted = false;
            rows.push(row);
        }
        for &kind in &model.faults {
            at(kind.word(), rows.len());
            let mut runner = Runner { target, model, loaded, restarted: false, used: true };
            rows.push(runner.fault(&entry.id, kind));
        }
    }
    rows
}

fn blank(board: &str, model: &TestModel, case: &str, status: Status) -> Row {
    Row {
        board: board.to_owned(),
        model: model.name.clone(),
        case: case.to_owned(),
        status,
        measured: Measured::default(),
        unmeasured: vec![],
        samples: 0,
        restarted: false,
        took: Duration::ZERO,
    }
}

/// What an error of a target is for a suite.
fn failure(error: &Error) -> Failure {
    let kind = match error {
        Error::Timeout { .. } | Error::Silent { .. } => FailureKind::Hung,
        Error::LinkLost { .. } | Error::PortLost { .. } => FailureKind::LinkLost,
        Error::Refused { fault: Fault::ModelTooBig { .. } | Fault::ArenaTooSmall { .. }, .. } => {
            FailureKind::DoesNotFit
        }
        _ => FailureKind::Error,
    };
    Failure { kind, what: error.to_string() }
}

/// Puts a model on a target; if that hangs, once more on a fresh start. True if it was needed.
fn load(target: &mut dyn Target, blob: &[u8]) -> Result<(LoadedModel, bool), Error> {
    match target.load(blob) {
        Err(error) if error.is_link() && !target.restarts_itself() && target.restart()? => {
            target.load(blob).map(|loaded| (loaded, true))
        }
        other => other.map(|loaded| (loaded, false)),
    }
}

/// A target with a model on it.
struct Runner<'r> {
    target: &'r mut dyn Target,
    model: &'r TestModel,
    loaded: LoadedModel,
    restarted: bool,
    /// True if it may have run since the model was loaded.
    used: bool,
}

/// What an attempt came to.
type Attempt<T> = Result<T, Failure>;

impl Runner<'_> {
    fn case(&mut self, board: &str, case: &TestCase, used: bool) -> Row {
        let begun = Instant::now();
        self.used = used;
        let mut row = blank(board, self.model, &case.name, Status::Passed);
        let limits = case.limits_on(board);
        let outcomes = match self.samples(case) {
            Ok(outcomes) => outcomes,
            Err(failure) => {
                let status = match failure.kind {
                    // The arena is only asked for when it runs.
                    FailureKind::DoesNotFit if self.model.may_not_fit => Status::Skipped { reason: failure.what },
                    _ => Status::Failed(failure),
                };
                return Row { status, restarted: self.restarted, took: begun.elapsed(), ..row };
            }
        };
        row.samples = outcomes.len();
        row.measured = outcomes.iter().map(Measured::of).reduce(Measured::or_more).unwrap_or_default();
        let planned = outcomes.iter().enumerate().find(|(_, o)| o.arena_high_water > o.arena_bytes).map(|(i, o)| {
            let what = format!("sample {i} used {} bytes of arena, the plan has {}", o.arena_high_water, o.arena_bytes);
            (FailureKind::Limit, what)
        });
        let (passed, unmeasured) = limits.hold(&row.measured);
        row.unmeasured = unmeasured;
        let demanded = case.demanded_on(board).hold(&row.measured).1;
        let limit = match (&passed[..], &demanded[..]) {
            ([], []) => None,
            ([], not) => Some(format!("there is a limit for this board, but it does not tell its {}", not.join(", "))),
            (passed, _) => Some(passed.join("; ")),
        };
        let outputs: Vec<Vec<Vec<u8>>> = outcomes.into_iter().map(|outcome| outcome.outputs).collect();
        let found = wrong(&case.expect, &outputs).or(planned).or(limit.map(|what| (FailureKind::Limit, what)));
        if let Some((kind, what)) = found {
            row.status = Status::Failed(Failure { kind, what });
        }
        row.restarted = self.restarted;
        row.took = begun.elapsed();
        row
    }

    /// All samples of a case; from the first once more, if the board had to be started afresh and had a state.
    fn samples(&mut self, case: &TestCase) -> Attempt<Vec<Outcome>> {
        let state = self.loaded.state_bytes > 0;
        if state && self.used {
            self.reload()?;
        }
        let mut again = false;
        'all: loop {
            let mut outcomes = vec![];
            for (at, sample) in case.samples.iter().enumerate() {
                let was_fresh = self.restarted;
                let outcome = self.one(sample, case.timeout)?;
                let lost = outcome.restarted || (self.restarted && !was_fresh);
                self.restarted |= outcome.restarted;
                if state && lost && at > 0 {
                    if again {
                        let what = "the board had to be started afresh twice in one sequence".to_owned();
                        return Err(Failure { kind: FailureKind::Hung, what });
                    }
                    again = true;
                    self.reload()?;
                    continue 'all;
                }
                outcomes.push(outcome);
            }
            return Ok(outcomes);
        }
    }

    fn reload(&mut self) -> Attempt<()> {
        let (loaded, restarted) = load(self.target, &self.model.blob).map_err(|error| failure(&error))?;
        self.loaded = loaded;
        self.restarted |= restarted;
        Ok(())
    }

    /// One inference; if the board hangs, once more on a fresh start.
    fn one(&mut self, sample: &[Vec<u8>], limit: Duration) -> Attempt<Outcome> {
        let inputs: Vec<&[u8]> = sample.iter().map(Vec::as_slice).collect();
        let case = Case::of(&inputs);
        let first = match self.target.exec(&case, limit) {
            Err(error) if error.is_link() => error,
            // A target that starts itself afresh and then errs in another way has been tried twice, too.
            other => return other.map_err(|error| failure(&error)),
        };
        self.restarted = true;
        if self.target.restarts_itself() {
            return Err(twice(&first, &first));
        }
        match self.target.restart() {
            Ok(true) => {}
            Ok(false) => return Err(failure(&first)),
            Err(error) => return Err(twice(&first, &error)),
        }
        self.target
            .load(&self.model.blob)
            .and_then(|_| self.target.exec(&case, limit))
            .map_err(|second| if second.is_link() { twice(&first, &second) } else { failure(&second) })
    }

    fn fault(&mut self, board: &str, kind: FaultKind) -> Row {
        let begun = Instant::now();
        let status = match self.stands(kind) {
            Ok(()) => Status::Passed,
            Err(Trouble::NoLink) => {
                Status::Skipped { reason: format!("{board} has no link that something could go wrong on") }
            }
            Err(Trouble::NoSlots) => Status::Skipped { reason: format!("{board} keeps no models in flash") },
            Err(Trouble::Unexpected(what)) => Status::Failed(Failure { kind: FailureKind::Fault, what }),
            Err(Trouble::Broken(error)) => match failure(&error) {
                // The arena is only asked for when it runs.
                Failure { kind: FailureKind::DoesNotFit, what } if self.model.may_not_fit => {
                    Status::Skipped { reason: what }
                }
                failure => Status::Failed(failure),
            },
        };
        if matches!(status, Status::Failed(_)) {
            // The next one shall not suffer from it. If this fails, that one tells.
            let _ = self.target.restart().and_then(|_| self.target.load(&self.model.blob));
        }
        let row = blank(board, self.model, &format!("fault: {}", kind.word()), status);
        Row { restarted: self.restarted, took: begun.elapsed(), ..row }
    }

    fn stands(&mut self, kind: FaultKind) -> Result<(), Trouble> {
        let trial = Trial { kind, blob: &self.model.blob, noise_frames: self.model.noise_frames };
        trial.run(self.target)?;
        let probe = &self.model.probe;
        let inputs: Vec<&[u8]> = probe.input.iter().map(Vec::as_slice).collect();
        let exec = |target: &mut dyn Target| {
            let outcome = target.exec(&Case::of(&inputs), self.model.timeout)?;
            if outcome.restarted {
                return Err(Trouble::Unexpected("it had to be started afresh after it".to_owned()));
            }
            let expect = super::Expect::Bits(vec![probe.outputs.clone()]);
            match wrong(&expect, &[outcome.outputs]) {
                Some((_, what)) => Err(Trouble::Unexpected(format!("it computes something else after it: {what}"))),
                None => Ok(()),
            }
        };
        match exec(self.target) {
            // A board with room for one model has given it up for the one that did not arrive.
            Err(Trouble::Broken(Error::Refused { fault: Fault::NoModel, .. })) if kind == FaultKind::CutTransfer => {}
            other => other?,
        }
        self.target.load(&self.model.blob)?;
        exec(self.target)
    }
}

fn twice(first: &Error, second: &Error) -> Failure {
    let Failure { kind, .. } = failure(first);
    Failure { kind, what: format!("{second}; so it was twice, the second time on a fresh start") }
}
