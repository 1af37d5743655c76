//! Suites × targets: every model and input on every target, the same bits demanded of all.

use std::fmt;
use std::time::Duration;

use crate::Error;
use crate::target::{Case, Target};

/// Models with inputs.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// Its name, for the report.
    pub name: String,
    /// What is run.
    pub models: Vec<SuiteModel>,
    /// The longest that one inference may take.
    pub limit: Duration,
    /// The most bytes of stack that one may take, where the target can tell.
    pub stack_bytes: Option<usize>,
}

/// A model and its inputs.
#[derive(Debug, Clone, Default)]
pub struct SuiteModel {
    /// Its name, for the report.
    pub name: String,
    /// The blob.
    pub blob: Vec<u8>,
    /// Cases; of each, its input tensors.
    pub cases: Vec<Vec<Vec<u8>>>,
    /// The outputs of each case that all targets have to give; empty: those of the first target that can be reached.
    pub expected: Vec<Vec<Vec<u8>>>,
}

/// A column of the matrix.
pub struct Entry {
    /// Its name.
    pub id: String,
    /// The target, or why it can't be reached.
    pub target: Result<Box<dyn Target>, Error>,
    /// Models that are not run on it, each with the reason: skipped, never green.
    pub skip: Vec<(String, String)>,
}

impl Entry {
    /// A target that runs all models.
    pub fn new(id: &str, target: Result<Box<dyn Target>, Error>) -> Self {
        Self { id: id.to_owned(), target, skip: Vec::new() }
    }

    /// Leaves a model out, for a reason that the report gives.
    #[must_use]
    pub fn skipping(mut self, model: &str, reason: &str) -> Self {
        self.skip.push((model.to_owned(), reason.to_owned()));
        self
    }
}

/// What came of one model on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// All cases gave the bits demanded, and the high-water mark of the arena was the plan's.
    Passed {
        /// Cases run.
        cases: usize,
    },
    /// Not run, and why.
    Skipped {
        /// The reason.
        reason: String,
    },
    /// Some bits differ.
    Differs(Difference),
    /// More, or less, of the arena was used than planned.
    Arena {
        /// The case.
        case: usize,
        /// Bytes that the plan has.
        planned: usize,
        /// Bytes up to the last one used.
        used: usize,
    },
    /// More of the stack was used than is allowed.
    Stack {
        /// The case.
        case: usize,
        /// Bytes that it may use.
        allowed: usize,
        /// Bytes used.
        used: usize,
    },
    /// It could not be run.
    Failed {
        /// The case; `None` if the model could not be loaded.
        case: Option<usize>,
        /// The error.
        error: String,
    },
}

/// The first byte that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The case, from 0.
    pub case: usize,
    /// The output, from 0.
    pub output: usize,
    /// The byte, from 0; if one output is shorter than the other, its length.
    pub byte: usize,
    /// What was demanded.
    pub want: Option<i8>,
    /// What came.
    pub got: Option<i8>,
}

impl Difference {
    /// The first difference between the outputs of a case.
    pub fn first(case: usize, want: &[Vec<u8>], got: &[Vec<u8>]) -> Option<Self> {
        let none = Vec::new();
        (0..want.len().max(got.len())).find_map(|output| {
            let (want, got) = (want.get(output).unwrap_or(&none), got.get(output).unwrap_or(&none));
            let byte = (0..want.len().max(got.len())).find(|&i| want.get(i) != got.get(i))?;
            let at = |tensor: &[u8]| tensor.get(byte).map(|&b| i8::from_le_bytes([b]));
            Some(Self { case, output, byte, want: at(want), got: at(got) })
        })
    }
}

/// One field of the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cell {
    /// The model.
    pub model: String,
    /// The target.
    pub target: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// The matrix, filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The suite.
    pub suite: String,
    /// Model by model, target by target.
    pub cells: Vec<Cell>,
}

impl Report {
    /// True if nothing failed. What was skipped did not fail; see [`Report::skipped`].
    pub fn is_good(&self) -> bool {
        self.cells.iter().all(|cell| matches!(cell.verdict, Verdict::Passed { .. } | Verdict::Skipped { .. }))
    }

    /// What was not run.
    pub fn skipped(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| matches!(cell.verdict, Verdict::Skipped { .. }))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Cell { model, target, verdict } in &self.cells {
            writeln!(f, "{}: {model} on {target}: {verdict}", self.suite)?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passed { cases } => write!(f, "passed, {cases} cases"),
            Verdict::Skipped { reason } => write!(f, "skipped: {reason}"),
            Verdict::Differs(Difference { case, output, byte, want, got }) => {
                let shown = |value: &Option<i8>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
                let (want, got) = (shown(want), shown(got));
                write!(f, "FAILED: case {case}, output {output}, byte {byte}: {got} instead of {want}")
            }
            Verdict::Arena { case, planned, used } => {
                write!(f, "FAILED: case {case} used {used} bytes of arena, the plan has {planned}")
            }
            Verdict::Stack { case, allowed, used } => {
                write!(f, "FAILED: case {case} used {used} bytes of stack, it may use {allowed}")
            }
            Verdict::Failed { case: Some(case), error } => write!(f, "FAILED: case {case}: {error}"),
            Verdict::Failed { case: None, error } => write!(f, "FAILED: {error}"),
        }
    }
}

impl Suite {
    /// Runs every model on every target. The first target that can be reached gives the bits that the others have to
    /// give, where a model does not come with expected outputs: put the host first.
    pub fn run(&self, entries: &mut [Entry]) -> Report {
        let mut report = Report { suite: self.name.clone(), cells: Vec::new() };
        for model in &self.models {
            let mut expected = model.expected.clone();
            for entry in &mut *entries {
                let verdict = match (entry.skip.iter().find(|(name, _)| *name == model.name), &mut entry.target) {
                    (Some((_, reason)), _) => Verdict::Skipped { reason: reason.clone() },
                    (None, Err(error)) if error.is_unavailable() => Verdict::Skipped { reason: error.to_string() },
                    (None, Err(error)) => Verdict::Failed { case: None, error: error.to_string() },
                    (None, Ok(target)) => self.run_model(model, target.as_mut(), &mut expected),
                };
                report.cells.push(Cell { model: model.name.clone(), target: entry.id.clone(), verdict });
            }
        }
        report
    }

    fn run_model(&self, model: &SuiteModel, target: &mut dyn Target, expected: &mut Vec<Vec<Vec<u8>>>) -> Verdict {
        if let Err(error) = target.load(&model.blob) {
            return Verdict::Failed { case: None, error: error.to_string() };
        }
        let mut found = Vec::new();
        for (case, inputs) in model.cases.iter().enumerate() {
            let inputs = inputs.iter().map(Vec::as_slice).collect::<Vec<_>>();
            let outcome = match target.exec(&Case::of(&inputs), self.limit) {
                Ok(outcome) => outcome,
                Err(error) => return Verdict::Failed { case: Some(case), error: error.to_string() },
            };
            let (planned, used) = (outcome.arena_bytes, outcome.arena_high_water);
            if planned != used {
                return Verdict::Arena { case, planned, used };
            }
            if let (Some(allowed), Some(used)) = (self.stack_bytes, outcome.stack_bytes)
                && used > allowed
            {
                return Verdict::Stack { case, allowed, used };
            }
            match expected.get(case) {
                Some(want) => {
                    if let Some(difference) = Difference::first(case, want, &outcome.outputs) {
                        return Verdict::Differs(difference);
                    }
                }
                None => found.push(outcome.outputs),
            }
        }
        // An expectation that no case was held against would be a test that can't fail.
        let (have, want) = (model.cases.len(), expected.len());
        if want > have {
            let error = format!("there are {want} expected outputs for {have} cases");
            return Verdict::Failed { case: None, error };
        }
        expected.extend(found);
        Verdict::Passed { cases: have }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{LoadedModel, Outcome};

    /// Gives its input back, with `add` added to the last byte.
    struct Fake {
        add: u8,
        high_water: usize,
    }

    impl Target for Fake {
        fn id(&self) -> &str {
            "fake"
        }

        fn load(&mut self, _model: &[u8]) -> Result<LoadedModel, Error> {
            Ok(LoadedModel { arena_bytes: 10, state_bytes: 0 })
        }

        fn exec(&mut self, case: &Case<'_>, _limit: Duration) -> Result<Outcome, Error> {
            let mut outputs = case.inputs.iter().map(|input| input.to_vec()).collect::<Vec<_>>();
            if let Some(last) = outputs.last_mut().and_then(|output| output.last_mut()) {
                *last = last.wrapping_add(self.add);
            }
            let stack_bytes = Some(99);
            Ok(Outcome {
                outputs,
                arena_bytes: 10,
                arena_high_water: self.high_water,
                stack_bytes,
                ..Outcome::default()
            })
        }
    }

    fn fake(id: &str, add: u8) -> Entry {
        Entry::new(id, Ok(Box::new(Fake { add, high_water: 10 })))
    }

    fn suite() -> Suite {
        let model = SuiteModel {
            name: "m".to_owned(),
            cases: vec![vec![vec![1, 2, 3]], vec![vec![4, 5, 6]]],
            ..SuiteModel::default()
        };
        Suite { name: "s".to_owned(), models: vec![model], limit: Duration::from_secs(1), stack_bytes: None }
    }

    #[test]
    fn the_first_byte_that_differs_is_named() {
        let report = suite().run(&mut [fake("a", 0), fake("b", 0), fake("c", 250)]);
        assert!(!report.is_good());
        let text = report.to_string();
        assert!(text.contains("s: m on b: passed, 2 cases"), "{text}");
        assert!(text.contains("s: m on c: FAILED: case 0, output 0, byte 2: -3 instead of 3"), "{text}");
    }

    #[test]
    fn outputs_of_different_lengths_differ_where_one_ends() {
        let difference = Difference::first(1, &[vec![1, 2]], &[vec![1, 2, 0]]).unwrap();
        assert_eq!((difference.byte, difference.want, difference.got), (2, None, Some(0)));
        assert_eq!(Difference::first(1, &[vec![1, 2]], &[vec![1, 2]]), None);
        assert!(Difference::first(0, &[vec![1]], &[]).is_some());
    }

    #[test]
    fn skipped_is_not_passed_and_says_why() {
        let missing = Error::Unavailable { board: "c".to_owned(), why_not: "no emulator".to_owned() };
        let mut entries = [fake("a", 0), fake("b", 9).skipping("m", "too large"), Entry::new("c", Err(missing))];
        let report = suite().run(&mut entries);
        assert!(report.is_good());
        assert_eq!(report.skipped().map(|cell| cell.target.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert!(report.to_string().contains("skipped: too large"));
        assert!(report.to_string().contains("no emulator"));
    }

    #[test]
    fn no_more_stack_than_is_allowed() {
        let run = |stack_bytes| Suite { stack_bytes, ..suite() }.run(&mut [fake("a", 0)]);
        assert!(run(Some(99)).is_good());
        let report = run(Some(98));
        assert!(!report.is_good());
        assert!(report.to_string().contains("case 0 used 99 bytes of stack, it may use 98"), "{report}");
    }

    #[test]
    fn expected_outputs_and_the_planned_arena_are_demanded() {
        let mut suite = suite();
        suite.models[0].expected = vec![vec![vec![1, 2, 3]], vec![vec![4, 5, 7]]];
        let report = suite.run(&mut [fake("a", 0)]);
        assert!(matches!(report.cells[0].verdict, Verdict::Differs(Difference { case: 1, byte: 2, .. })));
        suite.models[0].expected.clear();
        let low = Entry::new("low", Ok(Box::new(Fake { add: 0, high_water: 9 })));
        assert!(matches!(suite.run(&mut [low]).cells[0].verdict, Verdict::Arena { planned: 10, used: 9, .. }));
    }
}
