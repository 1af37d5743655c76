//! A report as JUnit XML, which CI servers show.

use std::time::Duration;

use quick_junit::{FlakyOrRerun, NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::{Report, Row, Status};

/// The XML: a suite for each board, so that a server shows boards beside each other.
///
/// # Errors
/// A name that XML can't hold.
pub fn junit(report: &Report) -> Result<String, SerializeError> {
    let mut all = quick_junit::Report::new(report.suite.as_str());
    let mut boards: Vec<&str> = vec![];
    for row in &report.rows {
        if !boards.contains(&row.board.as_str()) {
            boards.push(&row.board);
        }
    }
    let mut whole = Duration::ZERO;
    for board in boards {
        let mut suite = TestSuite::new(format!("{} on {board}", report.suite));
        let mut took = Duration::ZERO;
        for row in report.rows.iter().filter(|row| row.board == board) {
            took += row.took;
            suite.add_test_case(case(row));
        }
        suite.set_time(took);
        whole += took;
        all.add_test_suite(suite);
    }
    all.set_time(whole);
    all.to_string()
}

fn case(row: &Row) -> TestCase {
    let mut status = match &row.status {
        Status::Passed => TestCaseStatus::success(),
        Status::Skipped { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            status
        }
        Status::Failed(failure) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(failure.kind.word()).set_message(failure.what.as_str());
            status
        }
    };
    if row.restarted && !matches!(row.status, Status::Skipped { .. }) {
        let mut first = TestRerun::new(NonSuccessKind::Error);
        first.set_type("restarted").set_message("the board did not answer, and was started afresh");
        let kind = if row.status == Status::Passed { FlakyOrRerun::Flaky } else { FlakyOrRerun::Rerun };
        status.add_rerun(first).set_rerun_kind(kind);
    }
    let mut case = TestCase::new(row.name(), status);
    case.set_classname(row.board.as_str()).set_time(row.took);
    let m = &row.measured;
    for (name, value) in [
        ("instructions", m.instructions.map(|n| n.to_string())),
        ("ticks", m.ticks.map(|n| n.to_string())),
        ("milliseconds", m.milliseconds.map(|n| n.to_string())),
        ("arena_bytes", m.arena_bytes.map(|n| n.to_string())),
        ("stack_bytes", m.stack_bytes.map(|n| n.to_string())),
    ] {
        if let Some(value) = value {
            case.add_property((name, value.as_str()));
        }
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite_file::{Failure, FailureKind, Measured};

    fn row(board: &str, case: &str, status: Status) -> Row {
        Row {
            board: board.to_owned(),
            model: "m<1>".to_owned(),
            case: case.to_owned(),
            status,
            measured: Measured { stack_bytes: Some(99), ..Measured::default() },
            unmeasured: vec![],
            samples: 1,
            restarted: case == "slow",
            took: Duration::from_millis(1500),
        }
    }

    #[test]
    fn the_xml_has_all_that_a_server_shows() {
        let failure = Failure { kind: FailureKind::Limit, what: "5 ticks & more".to_owned() };
        let report = Report {
            suite: "s".to_owned(),
            rows: vec![
                row("a", "one", Status::Passed),
                row("b", "two", Status::Failed(failure)),
                row("a", "three", Status::Skipped { reason: "no emulator".to_owned() }),
                row("b", "slow", Status::Passed),
            ],
        };
        let xml = junit(&report).unwrap();
        for part in [
            r#"name="s" tests="4" skipped="1" failures="1""#,
            r#"name="s on a" tests="2" skipped="1""#,
            r#"name="m&lt;1&gt; / two" classname="b" time="1.500""#,
            r#"type="limit""#,
            r#"message="5 ticks &amp; more""#,
            r#"<skipped message="no emulator"/>"#,
            r#"name="stack_bytes" value="99""#,
            "flakyError",
            "started afresh",
        ] {
            assert!(xml.contains(part), "`{part}` is not in:\n{xml}");
        }
    }
}
