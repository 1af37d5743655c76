use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, anyhow};
use carafe_boards::Board;
use carafe_hil::Entry;
use carafe_hil::suite_file::{self, Report, Row, Status, SuiteFile};
use serde::Serialize;

use crate::board::{self, PortOf, Ways};
use crate::failure::{Reported, Undecided, Usage};
use crate::files::{self, Pending};
use crate::ui::{DIM, ERROR, GOOD, HEADING, Ui, WARNING};
use crate::words::{self, Align};

/// Run a suite of tests on boards: bits, tolerances, limits, faults on the link
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 if all passed, 1 if something failed, 2 if the suite could not be run. What a board can't do, or \
                  one that is not there, is skipped and listed; --require and --deny-skips make failures of that.\n\n\
                  docs/test-suites.md has the format of a suite.\n\nExample:\n  carafe test suite.toml --board host \
                  --board qemu-mps2-an386 --junit results.xml"
)]
pub struct Args {
    /// The suite
    #[arg(value_name = "SUITE.toml")]
    suite: PathBuf,
    /// Where to run it, once or more, in place of the boards that the suite names; `carafe boards` lists them
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = board::parser(), help_heading = "Board")]
    board: Vec<&'static Board>,
    /// Firmwares in place of those that are built from the checkout: the first for the first board that takes one
    #[arg(long, value_name = "ELF", help_heading = "Board")]
    firmware: Vec<PathBuf>,
    /// The serial port of one of the boards, with its firmware on it already
    #[arg(long, value_name = "BOARD=PATH[@BAUD]", help_heading = "Board")]
    port: Vec<PortOf>,
    /// A board on which nothing may be skipped
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = board::parser(), help_heading = "Board")]
    require: Vec<&'static Board>,
    /// Nothing may be skipped anywhere
    #[arg(long, help_heading = "Board")]
    deny_skips: bool,
    /// Only cases whose `model / case` contains this
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Also write the results as JUnit XML, for a CI server
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,
}

#[derive(Serialize)]
struct Json<'r> {
    suite: &'r str,
    boards: Vec<&'static str>,
    passed: usize,
    failed: usize,
    skipped: usize,
    results: Vec<Outcome<'r>>,
    seconds: f64,
}

#[derive(Serialize)]
struct Outcome<'r> {
    board: &'r str,
    model: &'r str,
    case: &'r str,
    status: &'static str,
    /// Of a failure, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// Why it failed, or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'r str>,
    /// The board hung or was lost, and was started afresh.
    restarted: bool,
    samples: usize,
    /// Of the dearest inference.
    instructions: Option<u64>,
    ticks: Option<u64>,
    milliseconds: Option<f64>,
    arena_bytes: Option<usize>,
    stack_bytes: Option<usize>,
    /// Limits that the board can't be held to.
    unmeasured: &'r [&'static str],
    seconds: f64,
}

impl<'r> Outcome<'r> {
    fn of(row: &'r Row) -> Self {
        let (status, kind, reason) = match &row.status {
            Status::Passed => ("passed", None, None),
            Status::Skipped { reason } => ("skipped", None, Some(reason.as_str())),
            Status::Failed(failure) => ("failed", Some(failure.kind.word()), Some(failure.what.as_str())),
            // `Status` may grow; what is not known is not green.
            _ => ("failed", None, None),
        };
        let m = &row.measured;
        Self {
            board: &row.board,
            model: &row.model,
            case: &row.case,
            status,
            kind,
            reason,
            restarted: row.restarted,
            samples: row.samples,
            instructions: m.instructions,
            ticks: m.ticks,
            milliseconds: m.milliseconds,
            arena_bytes: m.arena_bytes,
            stack_bytes: m.stack_bytes,
            unmeasured: &row.unmeasured,
            seconds: row.took.as_secs_f64(),
        }
    }
}

/// Runs it.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let begun = Instant::now();
    if let Some(junit) = &args.junit {
        files::check_output(junit, &[&args.suite])?;
    }
    let mut suite = {
        let meter = ui.meter("read the suite", 0);
        SuiteFile::read(&args.suite, &mut |model| meter.say(&format!("read {model}")))?
    };
    if let Some(word) = &args.only {
        suite.keep(|name| name.contains(word.as_str()));
        if suite.models.is_empty() {
            return Err(Usage(format!("{}: no case has `{word}` in its name", args.suite.display())).into());
        }
    }
    let boards = boards(args, &suite)?;
    let mut ways = Ways::new(&boards, &args.port, &args.firmware)?;
    let mut report = Report::default();
    suite.name.clone_into(&mut report.suite);
    for &board in &boards {
        let target = board::open_counting(board, ways.next(board), suite.counts_instructions(), ui);
        let total = suite.models.iter().map(suite_file::TestModel::rows).sum::<usize>();
        let meter = ui.meter(&format!("test on {}", board.name), total as u64);
        let rows = suite_file::run(&suite, &mut Entry::new(board.name, target), &mut |at| {
            meter.set(at.done);
            meter.say(&format!("{}: {}", at.board, at.model));
        });
        report.rows.extend(rows);
    }
    report.deny_skips(|name| args.deny_skips || args.require.iter().any(|board| board.name == name));
    if let Some(path) = &args.junit {
        let xml = suite_file::junit(&report).map_err(|e| anyhow!("{e}")).context("the results have no form as XML")?;
        Pending::write(path, xml.as_bytes())?.publish()?;
    }
    let counts = report.counts();
    let json = Json {
        suite: &report.suite,
        boards: boards.iter().map(|board| board.name).collect(),
        passed: counts.passed,
        failed: counts.failed,
        skipped: counts.skipped,
        results: report.rows.iter().map(Outcome::of).collect(),
        seconds: begun.elapsed().as_secs_f64(),
    };
    ui.answer(&json, || text(&json, ui))?;
    match (counts.failed, counts.passed) {
        // All were skipped.
        (0, 0) => Err(Undecided.into()),
        (0, _) => Ok(()),
        _ => Err(Reported.into()),
    }
}

/// Those of the command line, else of the suite, else the host; and those that are required.
fn boards(args: &Args, suite: &SuiteFile) -> anyhow::Result<Vec<&'static Board>> {
    let mut boards = args.board.clone();
    if boards.is_empty() {
        boards = suite.boards.iter().map(|name| carafe_boards::find(name)).collect::<Result<_, _>>()?;
    }
    if boards.is_empty() {
        boards.push(carafe_boards::find("host")?);
    }
    boards.extend(&args.require);
    let mut seen = vec![];
    boards.retain(|board| {
        !seen.contains(&board.name) && {
            seen.push(board.name);
            true
        }
    });
    Ok(boards)
}

fn text(json: &Json<'_>, ui: &Ui) -> String {
    let mut text = String::new();
    for board in &json.boards {
        let rows: Vec<&Outcome<'_>> = json.results.iter().filter(|row| row.board == *board).collect();
        text.push_str(&format!("{HEADING}{board}{HEADING:#}\n"));
        text.push_str(&table(&rows));
        text.push('\n');
    }
    let section = |text: &mut String, status: &str, style: anstyle::Style, word: &str| {
        for row in json.results.iter().filter(|row| row.status == status) {
            let reason = row.reason.unwrap_or_default();
            let kind = row.kind.map_or_else(String::new, |kind| format!("{kind}: "));
            text.push_str(&format!(
                "{style}{word}{style:#} {} / {} on {}: {kind}{reason}\n",
                row.model, row.case, row.board
            ));
        }
    };
    section(&mut text, "skipped", WARNING, "skipped");
    for row in json.results.iter().filter(|row| row.restarted) {
        text.push_str(&format!(
            "{WARNING}restarted{WARNING:#} {} / {} on {}: the board did not answer, and was started afresh\n",
            row.model, row.case, row.board
        ));
    }
    section(&mut text, "failed", ERROR, "failed");
    let (style, verdict) = match (json.failed, json.passed) {
        (0, 0) => (WARNING, "nothing run"),
        (0, _) => (GOOD, "passed"),
        _ => (ERROR, "failed"),
    };
    let dash = if ui.unicode { "–" } else { "-" };
    text.push_str(&format!(
        "{style}{verdict}{style:#} {dash} {} passed, {} failed, {} skipped, in {:.1} s\n",
        words::count(json.passed),
        words::count(json.failed),
        words::count(json.skipped),
        json.seconds
    ));
    text
}

fn table(rows: &[&Outcome<'_>]) -> String {
    let head = [
        ("", Align::Left),
        ("model / case", Align::Left),
        ("samples", Align::Right),
        ("instructions", Align::Right),
        ("ms", Align::Right),
        ("arena", Align::Right),
        ("stack", Align::Right),
        ("", Align::Left),
    ];
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), words::count);
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let (style, word) = match row.status {
                "passed" => (GOOD, "ok"),
                "skipped" => (WARNING, "skip"),
                _ => (ERROR, "FAIL"),
            };
            let note = match (row.restarted, row.unmeasured) {
                (true, _) => "restarted".to_owned(),
                (false, []) => String::new(),
                (false, what) => format!("not told: {}", what.join(", ")),
            };
            vec![
                format!("{style}{word}{style:#}"),
                words::short(&format!("{} / {}", row.model, row.case), 48),
                if row.samples == 0 { "-".to_owned() } else { words::count(row.samples) },
                number(row.instructions),
                row.milliseconds.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2}")),
                number(row.arena_bytes.map(|n| n as u64)),
                number(row.stack_bytes.map(|n| n as u64)),
                if note.is_empty() { note } else { format!("{DIM}{note}{DIM:#}") },
            ]
        })
        .collect();
    // Columns of which nothing is known say nothing.
    let told = |column: usize| column < 2 || column == 7 || cells.iter().any(|row| row[column] != "-");
    let kept: Vec<usize> = (0..head.len()).filter(|&column| told(column)).collect();
    let head: Vec<(&str, Align)> = kept.iter().map(|&column| head[column]).collect();
    let cells: Vec<Vec<String>> =
        cells.into_iter().map(|row| kept.iter().map(|&column| row[column].clone()).collect()).collect();
    words::table(&head, &cells)
}
