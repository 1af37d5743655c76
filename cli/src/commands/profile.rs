use std::path::PathBuf;

use anyhow::Context;
use carafe::Model;
use carafe::blob::golden_byte;
use carafe_boards::{Board, How};
use carafe_hil::protocol::{CounterKind, Observe};
use carafe_hil::{Case, Outcome};
use serde::Serialize;

use super::bench::place;
use super::convert::macs;
use crate::board::{self, BoardArgs, Way};
use crate::files;
use crate::inputs::InputArgs;
use crate::ui::{DIM, HEADING, Ui};
use crate::words::{self, Align};

/// Time each op of a blob by a board's own counter, over the link
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The generic firmware runs the blob twice: once undisturbed, for the whole, and once looking at the counter at \
                  every step, for the ops. An emulator counts instructions, which are no cycles.\n\nExample:\n  carafe profile \
                  kws.carafe --board qemu-mps2-an386"
)]
pub struct Args {
    /// The blob
    #[arg(value_name = "FILE.carafe")]
    file: PathBuf,
    /// Noise to run on, where no input is given
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["input", "raw_int8"])]
    seed: u32,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    board: BoardArgs,
}

/// What a board's own counter says of a blob.
#[derive(Serialize)]
pub struct Json {
    pub board: &'static str,
    /// `link`: by the generic firmware, in ticks of the board's own counter; `process`: here.
    source: &'static str,
    counter: Counter,
    /// Of a run that is not watched.
    ticks: u64,
    instructions: Option<u64>,
    milliseconds: Option<f64>,
    macs: u64,
    arena_bytes: usize,
    arena_high_water: usize,
    /// Below the runner's frame; none if the board can't tell.
    stack_bytes: Option<usize>,
    ops: Vec<Op>,
    /// Of the run that was watched: between the ops, looking at the counter included.
    outside_ops: Cost,
}

#[derive(Serialize)]
struct Counter {
    /// `time`, `cycles` or `instructions`.
    kind: &'static str,
    /// Ticks a second; 0 where they have no fixed rate.
    hz: u32,
}

#[derive(Serialize)]
struct Op {
    index: u16,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Of the tensor that it makes.
    shape: [u16; 3],
    macs: u64,
    steps: u32,
    #[serde(flatten)]
    cost: Cost,
}

#[derive(Serialize)]
struct Cost {
    ticks: u64,
    instructions: Option<u64>,
    microseconds: Option<f64>,
    /// Of the run that was watched.
    share: f64,
}

/// The board that is none.
const HOST: &str = "host";

/// Profiles.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let blob = files::read_blob(&args.file)?;
    let model = files::verify(&args.file, &blob)?;
    let inputs =
        if args.input.is_empty() { noise(&model, args.seed) } else { args.input.read(&args.file, &model, ui)? };
    let json = measure(args.board.board, args.board.way(), &blob, &model, &inputs, ui)
        .with_context(|| args.file.display().to_string())?;
    ui.answer(&json, || text(&json, ui))
}

/// Bytes of every value for each input.
pub fn noise(model: &Model<'_>, seed: u32) -> Vec<Vec<u8>> {
    // Not the seeds beside each other: they would give the same bytes, moved by one.
    let mut bytes = (0..).map(|i| golden_byte(seed.wrapping_mul(0x9E37_79B9), i));
    let sizes = (0..model.inputs()).filter_map(|i| model.input(i)).map(|io| io.bytes);
    sizes.map(|n| bytes.by_ref().take(n).collect()).collect()
}

/// Runs a blob on a board, undisturbed and watched.
pub fn measure(
    board: &'static Board,
    way: Way<'_>,
    blob: &[u8],
    model: &Model<'_>,
    inputs: &[Vec<u8>],
    ui: &Ui,
) -> anyhow::Result<Json> {
    let emulated = matches!(board.how, How::Qemu(_));
    let mut target = board::open_counting(board, way, emulated, ui)?;
    let meter = (board.how != How::Host).then(|| ui.meter(&format!("profile on {}", board.name), 0));
    target.load(blob)?;
    let slices: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let whole = target.exec(&Case::of(&slices), board::LIMIT)?;
    let watched = target.exec(&Case::of(&slices).observed(Observe::Profile), board::LIMIT)?;
    drop(meter);
    Ok(json(board.name, model, &whole, &watched))
}

fn json(board: &'static str, model: &Model<'_>, whole: &Outcome, watched: &Outcome) -> Json {
    let counter = whole.counter;
    let kind = counter.map_or("none", |counter| match counter.kind {
        CounterKind::Cycles => "cycles",
        CounterKind::Instructions => "instructions",
        _ => "time",
    });
    let hz = counter.map_or(0, |counter| counter.hz);
    // Where instructions are counted, each takes the same time.
    let instructions = |ticks: u64| {
        let counted = u128::from(whole.instructions?);
        u64::try_from(u128::from(ticks) * counted / u128::from(whole.ticks.max(1))).ok()
    };
    let seconds = |ticks: u64| (hz > 0 && whole.instructions.is_none()).then(|| ticks as f64 / f64::from(hz));
    let cost = |ticks: u64| Cost {
        ticks,
        instructions: instructions(ticks),
        microseconds: seconds(ticks).map(|s| s * 1e6),
        share: ticks as f64 / watched.ticks.max(1) as f64,
    };
    let op = |record: &carafe_hil::protocol::NodeTicks| {
        let (kind, name, shape, macs) = place(model, record.node)?;
        Some(Op { index: record.node, kind, name, shape, macs, steps: record.calls, cost: cost(record.ticks) })
    };
    let mut ops: Vec<Op> = watched.profile.iter().filter_map(op).collect();
    ops.sort_by_key(|op| op.index);
    let in_ops = watched.profile.iter().fold(0u64, |sum, record| sum.saturating_add(record.ticks));
    Json {
        board,
        source: if board == HOST { "process" } else { "link" },
        counter: Counter { kind, hz },
        ticks: whole.ticks,
        instructions: instructions(whole.ticks),
        milliseconds: seconds(whole.ticks).map(|s| s * 1e3),
        macs: macs(model),
        arena_bytes: whole.arena_bytes,
        arena_high_water: whole.arena_high_water,
        stack_bytes: whole.stack_bytes,
        ops,
        outside_ops: cost(watched.ticks.saturating_sub(in_ops)),
    }
}

/// The profile for people.
pub fn text(json: &Json, ui: &Ui) -> String {
    let mut text = format!("{HEADING}{}{HEADING:#}\n", json.board);
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:8} {value}\n"));
    let per_mac = |n: u64| {
        if json.macs == 0 {
            String::new()
        } else {
            format!(", {:.2} a multiply-accumulate", n as f64 / json.macs as f64)
        }
    };
    let unit = match (json.instructions, json.milliseconds, json.counter.kind) {
        (Some(n), ..) => {
            line("work", format!("{} instructions an inference{}", words::count(n), per_mac(n)));
            "instructions"
        }
        (None, Some(ms), "cycles") => {
            line(
                "work",
                format!("{} cycles an inference{}; {ms:.3} ms", words::count(json.ticks), per_mac(json.ticks)),
            );
            "cycles"
        }
        (None, Some(ms), _) => {
            line("time", format!("{ms:.3} ms an inference"));
            "microseconds"
        }
        (None, None, kind) => {
            line("work", format!("{} {kind} an inference{}", words::count(json.ticks), per_mac(json.ticks)));
            "ticks"
        }
    };
    let arena =
        format!("{} bytes used of {} planned", words::count(json.arena_high_water), words::count(json.arena_bytes));
    line("arena", arena);
    line("stack", json.stack_bytes.map_or_else(|| "not told".to_owned(), |n| format!("{} bytes", words::count(n))));
    text.push('\n');
    let head = [
        ("op", Align::Right),
        ("kind", Align::Left),
        ("tensor", Align::Right),
        ("steps", Align::Right),
        ("MACs", Align::Right),
        (unit, Align::Right),
        ("share", Align::Right),
        ("name", Align::Left),
    ];
    let shown = |cost: &Cost| match (cost.instructions, cost.microseconds) {
        (Some(n), _) => words::count(n),
        (None, Some(us)) if unit == "microseconds" => format!("{us:.1}"),
        _ => words::count(cost.ticks),
    };
    let mut rows: Vec<Vec<String>> = json
        .ops
        .iter()
        .map(|op| {
            vec![
                op.index.to_string(),
                op.kind.to_owned(),
                words::shape(&op.shape, ui.unicode),
                words::count(op.steps),
                if op.macs == 0 { "-".to_owned() } else { words::count(op.macs) },
                shown(&op.cost),
                words::percent(op.cost.share),
                words::short(op.name.as_deref().unwrap_or_default(), 30),
            ]
        })
        .collect();
    let outside = &json.outside_ops;
    let cells = ["", "choice of steps, watching", "", "", "", &shown(outside), &words::percent(outside.share), ""];
    rows.push(cells.map(str::to_owned).to_vec());
    text.push_str(&words::table(&head, &rows));
    let what = match (json.instructions, json.board) {
        (_, HOST) => "by the wall clock of this machine, a look at it included in each step",
        (Some(_), _) => {
            "over the link, by the firmware that takes all models; instructions by the emulator's clock, a look at it \
             included in each step: they are no cycles"
        }
        _ => {
            "over the link, by the firmware that takes all models and the board's own counter, a look at it included in each step"
        }
    };
    text.push_str(&format!("  {DIM}{what}{DIM:#}\n"));
    text
}
