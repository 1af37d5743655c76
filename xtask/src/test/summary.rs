//! What is said at the end.

use std::fmt;

/// A part of the tests.
#[derive(Debug, Default)]
pub struct Step {
    /// What it is.
    pub name: String,
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that could not do their work.
    pub skipped: u64,
    /// How long it took.
    pub seconds: u64,
    /// What failed.
    pub failures: Vec<String>,
    /// What was skipped. A test may have skipped several things.
    pub skips: Vec<Skip>,
}

/// Something that was not tested.
#[derive(Debug)]
pub struct Skip {
    /// The test.
    pub test: String,
    /// What is missing.
    pub reason: String,
}

/// All parts.
#[derive(Debug, Default)]
pub struct Summary {
    steps: Vec<Step>,
}

impl Summary {
    /// Adds a part.
    pub fn add(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Tests that failed.
    pub fn failed(&self) -> u64 {
        self.sum(|step| step.failed)
    }

    fn sum(&self, of: impl Fn(&Step) -> u64) -> u64 {
        self.steps.iter().map(of).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or_default();
        writeln!(f, "\n{:width$}  passed  failed  skipped     time", "")?;
        for step in &self.steps {
            writeln!(
                f,
                "{:width$}  {:>6}  {:>6}  {:>7}  {:>5} s",
                step.name, step.passed, step.failed, step.skipped, step.seconds
            )?;
        }
        for failure in self.steps.iter().flat_map(|step| &step.failures) {
            writeln!(f, "\nfailed: {failure}")?;
        }
        let mut skips = self.steps.iter().flat_map(|step| &step.skips).peekable();
        if skips.peek().is_some() {
            writeln!(f)?;
        }
        for skip in skips {
            writeln!(f, "skipped: {}: {}", skip.test, skip.reason)?;
        }
        let (passed, skipped) = (self.sum(|step| step.passed), self.sum(|step| step.skipped));
        writeln!(f, "\n{passed} passed, {} failed, {skipped} skipped", self.failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_the_sums_alone() {
        let mut summary = Summary::default();
        summary.add(Step { name: "one".to_owned(), passed: 3, skipped: 1, ..Step::default() });
        let skips = vec![Skip { test: "t".to_owned(), reason: "no emulator".to_owned() }];
        summary.add(Step { name: "another".to_owned(), passed: 4, failed: 2, skips, ..Step::default() });
        let text = summary.to_string();
        assert_eq!(text.lines().last(), Some("7 passed, 2 failed, 1 skipped"));
        assert!(text.contains("skipped: t: no emulator"), "{text}");
    }
}
