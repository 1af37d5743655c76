//! What a case may cost, and what it did.

use serde::Deserialize;

use crate::protocol::CounterKind;
use crate::target::Outcome;

/// What one inference may cost at most; `None` for what is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Instructions, where the target counts them.
    pub instructions: Option<u64>,
    /// Ticks of the board's own counter.
    pub ticks: Option<u64>,
    /// Time, by the board's own counter. On an emulator that is the emulator's, and says nothing of a board.
    pub milliseconds: Option<f64>,
    /// Bytes of arena.
    pub arena_bytes: Option<usize>,
    /// Bytes of stack below the runner's frame.
    pub stack_bytes: Option<usize>,
}

impl Limits {
    /// These, but where `other` says something.
    #[must_use]
    pub fn but(self, other: Self) -> Self {
        Self {
            instructions: other.instructions.or(self.instructions),
            ticks: other.ticks.or(self.ticks),
            milliseconds: other.milliseconds.or(self.milliseconds),
            arena_bytes: other.arena_bytes.or(self.arena_bytes),
            stack_bytes: other.stack_bytes.or(self.stack_bytes),
        }
    }

    /// Holds what was measured against them: those that are passed, in words, and those of which the target tells
    /// nothing, by name.
    pub fn hold(&self, found: &Measured) -> (Vec<String>, Vec<&'static str>) {
        let mut passed = vec![];
        let mut unmeasured = vec![];
        let mut hold = |what, limit: Option<f64>, found: Option<f64>| match (limit, found) {
            (Some(limit), Some(found)) if found > limit => passed.push(format!("{found} {what}, the limit is {limit}")),
            (Some(_), None) => unmeasured.push(what),
            _ => {}
        };
        hold("instructions", self.instructions.map(|n| n as f64), found.instructions.map(|n| n as f64));
        hold("ticks", self.ticks.map(|n| n as f64), found.ticks.map(|n| n as f64));
        hold("milliseconds", self.milliseconds, found.milliseconds);
        hold("bytes of arena", self.arena_bytes.map(|n| n as f64), found.arena_bytes.map(|n| n as f64));
        hold("bytes of stack", self.stack_bytes.map(|n| n as f64), found.stack_bytes.map(|n| n as f64));
        (passed, unmeasured)
    }
}

/// What the dearest inference of a case cost; `None` for what the target does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Measured {
    /// Instructions.
    pub instructions: Option<u64>,
    /// Ticks of the board's counter.
    pub ticks: Option<u64>,
    /// Time by the board's counter.
    pub milliseconds: Option<f64>,
    /// Bytes of arena up to the last one used.
    pub arena_bytes: Option<usize>,
    /// Bytes of stack.
    pub stack_bytes: Option<usize>,
}

impl Measured {
    /// The costs of one inference.
    pub(super) fn of(outcome: &Outcome) -> Self {
        let counter = outcome.counter;
        let counted = counter.is_some_and(|c| c.kind == CounterKind::Instructions).then_some(outcome.ticks);
        let hz = counter.filter(|c| c.hz > 0 && c.kind != CounterKind::Instructions).map(|c| c.hz);
        Self {
            instructions: outcome.instructions.or(counted),
            ticks: counter.map(|_| outcome.ticks),
            milliseconds: hz.map(|hz| outcome.ticks as f64 * 1e3 / f64::from(hz)),
            arena_bytes: Some(outcome.arena_high_water),
            stack_bytes: outcome.stack_bytes,
        }
    }

    /// The dearer of both, in each.
    pub(super) fn or_more(self, other: Self) -> Self {
        let ms = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::max);
        Self {
            instructions: self.instructions.max(other.instructions),
            ticks: self.ticks.max(other.ticks),
            milliseconds: ms(self.milliseconds, other.milliseconds),
            arena_bytes: self.arena_bytes.max(other.arena_bytes),
            stack_bytes: self.stack_bytes.max(other.stack_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_limit_counts() {
        let suite = Limits { arena_bytes: Some(10), stack_bytes: Some(5), ..Limits::default() };
        let case = Limits { arena_bytes: Some(20), ..Limits::default() };
        assert_eq!(suite.but(case), Limits { arena_bytes: Some(20), stack_bytes: Some(5), ..Limits::default() });
    }

    #[test]
    fn what_is_not_measured_is_not_kept_either() {
        let limits = Limits { arena_bytes: Some(10), stack_bytes: Some(5), ticks: Some(3), ..Limits::default() };
        let found = Measured { arena_bytes: Some(11), ticks: Some(3), ..Measured::default() };
        let (passed, unmeasured) = limits.hold(&found);
        assert_eq!(passed, ["11 bytes of arena, the limit is 10"]);
        assert_eq!(unmeasured, ["bytes of stack"]);
    }
}
