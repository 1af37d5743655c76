//! What came of a suite.

use std::fmt;
use std::time::Duration;

use super::Measured;

/// All rows, board by board.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The suite.
    pub suite: String,
    /// Case by case.
    pub rows: Vec<Row>,
}

/// One case, or one fault, on one board.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// The board.
    pub board: String,
    /// The model.
    pub model: String,
    /// The case, or `fault: ..`.
    pub case: String,
    /// What came of it.
    pub status: Status,
    /// What the dearest inference cost.
    pub measured: Measured,
    /// Limits that the board can't be held to, for it does not tell.
    pub unmeasured: Vec<&'static str>,
    /// Inferences made.
    pub samples: usize,
    /// True if the board hung or was lost, and had to be started afresh for it.
    pub restarted: bool,
    /// How long it took on this computer.
    pub took: Duration,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// All as expected.
    Passed,
    /// Not run, and why.
    Skipped {
        /// The reason.
        reason: String,
    },
    /// Something is wrong.
    Failed(Failure),
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In one word.
    pub kind: FailureKind,
    /// In words.
    pub what: String,
}

/// What is wrong, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// Other bits.
    Differs,
    /// Numbers too far off.
    Tolerance,
    /// Another class.
    Label,
    /// A limit is passed.
    Limit,
    /// No answer in time, not after a fresh start either.
    Hung,
    /// The link ended, after a fresh start too.
    LinkLost,
    /// The model does not go onto the board.
    DoesNotFit,
    /// A fault had consequences that it must not have.
    Fault,
    /// Anything else.
    Error,
}

impl FailureKind {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            FailureKind::Differs => "differs",
            FailureKind::Tolerance => "tolerance",
            FailureKind::Label => "label",
            FailureKind::Limit => "limit",
            FailureKind::Hung => "hung",
            FailureKind::LinkLost => "link-lost",
            FailureKind::DoesNotFit => "does-not-fit",
            FailureKind::Fault => "fault",
            FailureKind::Error => "error",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.word(), self.what)
    }
}

/// How many rows ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// All as expected.
    pub passed: usize,
    /// Something is wrong.
    pub failed: usize,
    /// Not run.
    pub skipped: usize,
}

impl Report {
    /// How many rows ended how.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in &self.rows {
            match row.status {
                Status::Passed => counts.passed += 1,
                Status::Skipped { .. } => counts.skipped += 1,
                Status::Failed(_) => counts.failed += 1,
            }
        }
        counts
    }

    /// Makes failures of what was skipped: all of it, or that on the boards named.
    pub fn deny_skips(&mut self, denied: impl Fn(&str) -> bool) {
        for row in self.rows.iter_mut().filter(|row| denied(&row.board)) {
            if let Status::Skipped { reason } = &row.status {
                let what = format!("skipped, but the board is required: {reason}");
                row.status = Status::Failed(Failure { kind: FailureKind::Error, what });
            }
        }
    }
}

impl Row {
    /// `digits / seven`
    pub fn name(&self) -> String {
        format!("{} / {}", self.model, self.case)
    }
}
