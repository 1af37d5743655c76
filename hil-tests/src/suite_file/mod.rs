//! Suites as files: cases × boards, as `carafe test` runs them. `docs/test-suites.md` has the format.
//!
//! * [`SuiteFile::read`] reads one, and all that it names: models, inputs, expected outputs. What is wrong with it is said
//!   before any board is touched.
//! * [`run`] takes it through one target: a hang costs a restart and is told, never hidden.
//! * [`Report`] is what came of it, and [`junit`] the same for a CI server.

mod case;
mod check;
mod faults;
mod format;
mod junit;
mod limits;
mod prepare;
mod report;
mod run;
mod slots;
mod source;

pub use check::{Expect, Tolerance};
pub use faults::{FaultKind, Wire};
pub use junit::junit;
pub use limits::{Limits, Measured};
pub use prepare::{Probe, SuiteFile, TestCase, TestModel};
pub use report::{Counts, Failure, FailureKind, Report, Row, Status};
pub use run::{Progress, run};

/// Why a suite can't be run: which file, which model and case, which key, and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct SuiteError {
    /// File, model and case.
    pub place: String,
    /// What is wrong, and the remedy.
    pub what: String,
}

impl SuiteError {
    fn new(place: impl ToString, what: impl ToString) -> Self {
        Self { place: place.to_string(), what: what.to_string() }
    }
}
