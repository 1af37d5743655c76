use std::time::Duration;

use anyhow::Context;
use carafe::Model;
use carafe_hil::pace::{self, Pace};
use serde::Serialize;

use super::bench::{Args, place};
use super::convert::macs;
use crate::ui::{DIM, HEADING, Ui};
use crate::words::{self, Align};
use crate::{board, files};

/// How long each kind of run goes on.
const BUDGET: Duration = Duration::from_secs(1);

/// What the times are.
const CLOCK: &str = "wall clock of this machine";

#[derive(Serialize)]
struct Json {
    board: &'static str,
    /// Times are no instructions: they are others on another machine, and while other programs run.
    clock: &'static str,
    /// Of one thread: what its median inference takes.
    inferences_per_second: f64,
    /// Inferences that are behind it.
    inferences: usize,
    threads: usize,
    /// Of all threads together.
    inferences_per_second_all_threads: f64,
    macs: u64,
    arena_bytes: usize,
    ops: Vec<Op>,
}

#[derive(Serialize)]
struct Op {
    index: u16,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    shape: [u16; 3],
    macs: u64,
    steps: u64,
    nanoseconds: u64,
}

/// Measures on this machine.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let blob = files::read_blob(&args.file)?;
    let model = files::verify(&args.file, &blob)?;
    let meter = ui.meter("time inferences", 0);
    let found = pace::measure(&blob, BUDGET, board::LIMIT);
    drop(meter);
    let found = found.with_context(|| args.file.display().to_string())?;
    let json = json(args.board.name, &model, &found);
    ui.answer(&json, || text(&json, ui))
}

fn json(board: &'static str, model: &Model<'_>, found: &Pace) -> Json {
    let op = |(index, time): (u16, &pace::OpTime)| {
        let (kind, name, shape, macs) = place(model, index)?;
        Some(Op { index, kind, name, shape, macs, steps: time.steps, nanoseconds: time.nanoseconds })
    };
    Json {
        board,
        clock: CLOCK,
        inferences_per_second: found.one_thread,
        inferences: found.inferences,
        threads: found.threads,
        inferences_per_second_all_threads: found.all_threads,
        macs: macs(model),
        arena_bytes: model.arena_bytes(),
        ops: (0..).zip(&found.ops).filter_map(op).collect(),
    }
}

/// A number with as many decimals as say something.
fn rate(x: f64) -> String {
    if x < 1e3 { format!("{x:.1}") } else { words::count(x.round() as u64) }
}

fn text(json: &Json, ui: &Ui) -> String {
    let mut text = format!("{HEADING}{}{HEADING:#}\n", json.board);
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:8} {value}\n"));
    let one = json.inferences_per_second;
    line("speed", format!("{} inferences a second on one thread, the median of {}", rate(one), json.inferences));
    line(
        "",
        format!(
            "{} on {} together",
            rate(json.inferences_per_second_all_threads),
            words::several(json.threads, "thread")
        ),
    );
    line("work", format!("{} million multiply-accumulates a second on one thread", rate(json.macs as f64 * one / 1e6)));
    line("arena", format!("{} bytes", words::count(json.arena_bytes)));
    text.push('\n');
    let head = [
        ("op", Align::Right),
        ("kind", Align::Left),
        ("result", Align::Right),
        ("MACs", Align::Right),
        ("microseconds", Align::Right),
        ("share", Align::Right),
        ("name", Align::Left),
    ];
    let all: u64 = json.ops.iter().map(|op| op.nanoseconds).sum();
    let rows: Vec<Vec<String>> = json
        .ops
        .iter()
        .map(|op| {
            vec![
                op.index.to_string(),
                op.kind.to_owned(),
                words::shape(&op.shape, ui.unicode),
                if op.macs == 0 { "-".to_owned() } else { words::count(op.macs) },
                format!("{:.1}", op.nanoseconds as f64 / 1e3),
                words::percent(op.nanoseconds as f64 / all.max(1) as f64),
                words::short(op.name.as_deref().unwrap_or_default(), 30),
            ]
        })
        .collect();
    text.push_str(&words::table(&head, &rows));
    text.push_str(&format!(
        "  {DIM}times are by the {}: of this machine, and of what else it does meanwhile{DIM:#}\n",
        json.clock
    ));
    text
}
