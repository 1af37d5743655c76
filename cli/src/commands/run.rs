use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use carafe::Model;
use carafe::blob::StringKind;
use carafe_boards::How;
use carafe_hil::Case;
use serde::Serialize;

use crate::board::{self, BoardArgs};
use crate::failure::Usage;
use crate::inputs::InputArgs;
use crate::tensors;
use crate::ui::{DIM, GOOD, HEADING, Ui};
use crate::{files, words};

/// Run a blob on one input, here or on a board
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  carafe run digits.carafe --input 7.png --board qemu-mps2-an386")]
pub struct Args {
    /// The blob
    #[arg(value_name = "FILE.carafe")]
    file: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    /// Names of the classes, one a line, in place of those in the blob
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    board: BoardArgs,
    /// Print what the board logs meanwhile, to standard error: its firmware is built with logs
    #[arg(long, help_heading = "Board", conflicts_with = "port")]
    log: bool,
}

/// Answers that are named.
const TOP: usize = 5;

#[derive(Serialize)]
struct Json {
    board: &'static str,
    outputs: Vec<Output>,
    top: Vec<Answer>,
    arena_bytes: usize,
    arena_high_water: usize,
    /// Below the runner's frame; none if the board can't tell.
    stack_bytes: Option<usize>,
    steps: u32,
    /// That the board logged, with `--log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Vec<LogLine>>,
    /// That loading and running took on this computer; of the board's own speed they say nothing.
    seconds: f64,
}

#[derive(Serialize)]
struct Output {
    name: String,
    shape: Vec<u16>,
    raw: Vec<i16>,
    values: Vec<f32>,
}

#[derive(Serialize)]
struct LogLine {
    level: String,
    /// By the board's clock.
    time: String,
    text: String,
}

#[derive(Serialize)]
struct Answer {
    index: usize,
    label: Option<String>,
    score: f32,
}

/// Runs it.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let blob = files::read_blob(&args.file)?;
    let model = files::verify(&args.file, &blob)?;
    if args.input.is_empty() {
        return Err(Usage(format!(
            "{}: what shall it run on? Give `--input X` or `--raw-int8 FILE`",
            args.file.display()
        ))
        .into());
    }
    let inputs = args.input.read(&args.file, &model, ui)?;
    let labels = labels(args.labels.as_deref(), &model)?;

    let board = args.board.board;
    let mut target = if args.log {
        board::open_logging(board, args.board.way(), ui)?
    } else {
        board::open(board, args.board.way(), ui)?
    };
    let begun = Instant::now();
    // A large model takes seconds there.
    let meter = (board.how != How::Host).then(|| ui.meter(&format!("run on {}", board.name), 0));
    target.load(&blob)?;
    let slices: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let outcome = target.exec(&Case::of(&slices), board::LIMIT);
    drop(meter);
    // What it logged is wanted most of all when it failed.
    let lines = if args.log { target.log()? } else { vec![] };
    if !ui.json {
        lines.iter().for_each(|line| ui.log(&line.to_string()));
    }
    let outcome = outcome?;
    let line = |line: carafe_hil::LogLine| LogLine { level: line.level, time: line.time, text: line.text };
    let outputs: Vec<Output> = tensors::outputs(&model)
        .into_iter()
        .zip(&outcome.outputs)
        .map(|(io, raw)| Output {
            values: tensors::dequantize(&io, raw),
            raw: tensors::integers(&io, raw),
            shape: io.shape,
            name: io.name,
        })
        .collect();
    let answer = |(index, score)| Answer { index, label: labels.get(index).cloned(), score };
    // Of a map there is no greatest class.
    let classes = tensors::outputs(&model).first().is_some_and(tensors::is_vector);
    let values = outputs.first().filter(|_| classes).map_or(&[][..], |o| &o.values);
    let json = Json {
        board: board.name,
        top: tensors::top(values, TOP).into_iter().map(answer).collect(),
        outputs,
        arena_bytes: outcome.arena_bytes,
        arena_high_water: outcome.arena_high_water,
        stack_bytes: outcome.stack_bytes,
        steps: outcome.steps,
        log: args.log.then(|| lines.into_iter().map(line).collect()),
        seconds: begun.elapsed().as_secs_f64(),
    };
    ui.answer(&json, || text(&json, ui))
}

/// Names of the classes: those of the file, else of the blob, else none.
fn labels(file: Option<&Path>, model: &Model<'_>) -> anyhow::Result<Vec<String>> {
    let Some(file) = file else {
        return Ok(model.strings().filter(|s| s.0 == StringKind::Label).map(|s| s.2.to_owned()).collect());
    };
    let labels = files::read_labels(file)?;
    let classes = model.output(0).map_or(0, |o| o.shape().last().copied().map_or(0, usize::from));
    if labels.len() != classes {
        bail!(
            "{}: {} labels, but the output has {classes} classes; give one label a line, in the order of the output",
            file.display(),
            labels.len()
        );
    }
    Ok(labels)
}

fn text(json: &Json, ui: &Ui) -> String {
    let mut text = String::new();
    // Scores that are no probabilities are drawn beside the greatest of them.
    let most = json.top.iter().map(|a| a.score.abs()).fold(0.0, f32::max);
    let probabilities = json.top.iter().all(|a| (0.0..=1.0).contains(&a.score));
    let full = if probabilities { 1.0 } else { most };
    let name = |a: &Answer| a.label.clone().unwrap_or_else(|| format!("class {}", a.index));
    let width = json.top.iter().map(|a| name(a).chars().count()).max().unwrap_or(0);
    for (i, a) in json.top.iter().enumerate() {
        let gap = " ".repeat(width - name(a).chars().count());
        let style = if i == 0 { GOOD } else { DIM };
        let score =
            if probabilities { format!("{:>7}", words::percent(a.score.into())) } else { format!("{:9.4}", a.score) };
        let bar = words::bar(f64::from(a.score / full), 30, ui.unicode);
        let line = format!("  {style}{}{gap}{style:#}  {score}  {bar}", name(a));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if json.top.is_empty() || json.outputs.len() > 1 {
        for o in &json.outputs {
            let shape = words::shape(&o.shape, ui.unicode);
            let (low, high) = o.values.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
            let first: Vec<String> = o.values.iter().take(8).map(|v| format!("{v:.4}")).collect();
            let more = if o.values.len() > 8 { " ..." } else { "" };
            text.push_str(&format!("  {HEADING}{}{HEADING:#} {shape}, {low:.4} to {high:.4}\n", o.name));
            text.push_str(&format!("    {}{more}\n", first.join(" ")));
        }
    }
    let steps = words::count(json.steps);
    let (arena, used) = (words::count(json.arena_bytes), words::count(json.arena_high_water));
    let stack = json.stack_bytes.map_or_else(String::new, |n| format!(", {} bytes of stack", words::count(n)));
    text.push_str(&format!(
        "  {DIM}on {}, {steps} steps in an arena of {arena} bytes, {used} of them used{stack}; loaded and run in {:.1} \
         s{DIM:#}\n",
        json.board, json.seconds
    ));
    text
}
