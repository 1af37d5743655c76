//! Reads what Rust's test harness prints under `--show-output`.
//!
//! A test that can't do its work prints `skipped: <test>: <what is missing>` and returns; the harness calls that
//! passed. Here it counts as skipped.

use std::collections::BTreeSet;

use super::summary::{Skip, Step};

/// Reads line by line.
#[derive(Debug, Default)]
pub struct Reader {
    step: Step,
    /// In the part with the output of passing tests: the one whose output comes.
    passing: Option<String>,
    /// The tests of this program that skipped.
    skipping: BTreeSet<String>,
    /// Results of programs that were seen.
    results: u32,
}

const SKIPPED: &str = "skipped: ";

impl Reader {
    /// Takes a line in. True if it is to be shown.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.result(result);
            return true;
        }
        if let Some(said) = line.strip_prefix(SKIPPED) {
            self.skip(said);
            return true;
        }
        if line == "successes:" {
            self.passing.get_or_insert_default();
            return false;
        }
        if line == "failures:" {
            self.passing = None;
            return true;
        }
        if let Some(current) = &mut self.passing {
            if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
                name.clone_into(current);
            }
            return false;
        }
        if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            if outcome == "FAILED" {
                self.step.failures.push(name.to_owned());
            } else if let Some(reason) = outcome.strip_prefix("ignored") {
                let reason = reason.strip_prefix(", ").unwrap_or("marked `#[ignore]`").to_owned();
                self.step.skips.push(Skip { test: name.to_owned(), reason });
            }
        }
        true
    }

    fn skip(&mut self, said: &str) {
        match &self.passing {
            Some(test) => {
                self.skipping.insert(test.clone());
            }
            // Said past the harness, which then counts the test as passed without our knowing which it was.
            None => self.step.skipped += 1,
        }
        let (test, reason) = said.split_once(": ").unwrap_or((said, "no reason given"));
        self.step.skips.push(Skip { test: test.to_owned(), reason: reason.to_owned() });
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    fn result(&mut self, result: &str) {
        let count = |what: &str| -> u64 {
            let mut words = result.split([' ', ';']).filter(|word| !word.is_empty());
            let mut before = None;
            words
                .find_map(|word| if word == what { before } else { before.replace(word).and(None) })
                .and_then(|number| number.parse().ok())
                .unwrap_or_default()
        };
        let skipped = std::mem::take(&mut self.skipping).len() as u64;
        self.step.passed += count("passed").saturating_sub(skipped);
        self.step.failed += count("failed");
        self.step.skipped += count("ignored") + skipped;
        self.passing = None;
        self.results += 1;
    }

    /// The counts. `success` is how cargo ended.
    pub fn finish(mut self, success: bool) -> Step {
        if !success && self.step.failed == 0 {
            self.step.failed = 1;
            self.step.failures.push("cargo test: a test program did not build, or broke off".to_owned());
        }
        if self.results == 0 && success {
            self.step.failed += 1;
            self.step.failures.push("cargo test: ran no test".to_owned());
        }
        self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 5 tests
test a ... ok
test b ... ok
test c ... FAILED
test d ... ignored, needs a board
test e ... ignored

successes:

---- a stdout ----
skipped: a: no models in /nowhere
skipped: a: no data either

---- b stdout ----
test z ... FAILED
all well

successes:
    a
    b

failures:

---- c stdout ----
assertion failed

failures:
    c

test result: FAILED. 2 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test a ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn read(output: &str, success: bool) -> (Step, Vec<&str>) {
        let mut reader = Reader::default();
        let shown = output.lines().filter(|line| reader.line(line)).collect();
        (reader.finish(success), shown)
    }

    #[test]
    fn tests_that_say_so_count_as_skipped() {
        let (step, _) = read(OUTPUT, false);
        assert_eq!((step.passed, step.failed, step.skipped), (2, 1, 3));
        assert_eq!(step.failures, ["c"]);
        let skips: Vec<_> = step.skips.iter().map(|skip| (skip.test.as_str(), skip.reason.as_str())).collect();
        let expected = [
            ("d", "needs a board"),
            ("e", "marked `#[ignore]`"),
            ("a", "no models in /nowhere"),
            ("a", "no data either"),
        ];
        assert_eq!(skips, expected);
    }

    #[test]
    fn output_of_passing_tests_is_not_shown_but_that_of_failing_ones_is() {
        let (_, shown) = read(OUTPUT, false);
        assert!(!shown.contains(&"all well") && !shown.contains(&"---- b stdout ----"));
        assert!(shown.contains(&"assertion failed") && shown.contains(&"skipped: a: no data either"));
    }

    #[test]
    fn a_build_that_fails_is_a_failure() {
        let (step, _) = read("", false);
        assert_eq!((step.passed, step.failed), (0, 1));
    }

    #[test]
    fn no_test_at_all_is_a_failure() {
        let (step, _) = read("", true);
        assert_eq!((step.passed, step.failed), (0, 1));
    }

    #[test]
    fn skips_said_past_the_harness_count() {
        let (step, _) = read("skipped: m4: no emulator\ntest result: ok. 1 passed; 0 failed; 0 ignored\n", true);
        assert_eq!((step.passed, step.skipped), (1, 1));
    }
}
