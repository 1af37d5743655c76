use std::path::PathBuf;

use anyhow::Context;
use carafe::blob::StringKind;
use carafe::{Model, OpCode};
use carafe_boards::{Board, How};
use carafe_hil::PortName;
use carafe_hil::bench::{self, Flavor, Measurement};
use serde::Serialize;

use super::convert::macs;
use super::profile;
use crate::board::{self, Way};
use crate::failure::Usage;
use crate::files;
use crate::ui::{DIM, HEADING, Ui};
use crate::words::{self, Align};

/// Count instructions, memory and flash of a blob, in a firmware built for it; or time it on this machine
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Instructions are counted exactly, on an emulator; they are no cycles. On the host there are times in place of \
                  them, by the wall clock of this machine; on a board without a firmware for single models, what its own \
                  counter says over the link (see `carafe profile`).\n\nExamples:\n  carafe bench kws.carafe --board \
                  qemu-mps2-an386\n  carafe bench kws.carafe --board host"
)]
pub struct Args {
    /// The blob
    #[arg(value_name = "FILE.carafe")]
    pub file: PathBuf,
    /// Where to run; `carafe boards` lists them
    #[arg(long, value_name = "NAME", value_parser = board::parser())]
    pub board: &'static Board,
    /// Compile the runtime for flash, not for speed: opt-level "s" and the portable loops
    #[arg(long)]
    small: bool,
    /// The board's serial port: measured over the link, by the firmware that is on the board
    #[arg(long, value_name = "PATH[@BAUD]", conflicts_with = "small")]
    port: Option<PortName>,
}

#[derive(Serialize)]
struct Json {
    board: &'static str,
    /// Compiled for flash.
    small: bool,
    /// Of one inference: start, copy of the input, all steps.
    instructions: u64,
    /// None for a model without multiply-accumulates.
    instructions_per_mac: Option<f64>,
    /// Of `instructions`, those that are no op's.
    outside_ops: u64,
    macs: u64,
    arena_bytes: usize,
    stack_bytes: u64,
    flash: Flash,
    ops: Vec<Op>,
    /// Calls `carafe_bench_begin` and `carafe_bench_end` around the inference.
    firmware: String,
}

#[derive(Serialize)]
struct Flash {
    runtime_bytes: u64,
    text_bytes: u64,
    rodata_bytes: u64,
    data_bytes: u64,
    model_bytes: u64,
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
    instructions: u64,
}

/// Measures.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    if args.board.how == How::Host && args.port.is_none() {
        return super::pace::run(args, ui);
    }
    let blob = files::read_blob(&args.file)?;
    let model = files::verify(&args.file, &blob)?;
    if args.port.is_some() || (!args.board.bench && args.board.takes_models()) {
        return by_link(args, &blob, &model, ui);
    }
    ui.note(&format!(
        "building a firmware for {} in {}",
        args.file.display(),
        carafe_hil::firmware::checkout().display()
    ));
    let flavor = if args.small { Flavor::Small } else { Flavor::Fast };
    let programs = bench::build(args.board, &blob, flavor)?;
    let meter = ui.meter("count instructions", 0);
    let found = programs.measure(&blob, board::LIMIT);
    drop(meter);
    let found = found.with_context(|| args.file.display().to_string())?;
    let json = Json { small: args.small, ..json(args.board, &model, &found, programs.count.display().to_string()) };
    ui.answer(&json, || text(&json, ui))
}

/// On a board without programs of its own for this: by the counter of the firmware that takes models.
fn by_link(args: &Args, blob: &[u8], model: &Model<'_>, ui: &Ui) -> anyhow::Result<()> {
    let board = args.board;
    if args.small {
        return Err(Usage(format!(
            "{}: `--small` builds a firmware for the model, and there is none there yet",
            board.name
        ))
        .into());
    }
    if args.port.is_none() {
        ui.note(&format!(
            "{} has no firmware for a single model: measured over the link, by the one that takes all models; flash is not told",
            board.name
        ));
    }
    let way = Way { port: args.port.as_ref(), firmware: None };
    let found = profile::measure(board, way, blob, model, &profile::noise(model, 1), ui)
        .with_context(|| args.file.display().to_string())?;
    ui.answer(&found, || profile::text(&found, ui))
}

/// What an op is: kind, name, shape of the result, multiply-accumulates.
pub fn place(model: &Model<'_>, index: u16) -> Option<(&'static str, Option<String>, [u16; 3], u64)> {
    let node = model.node(index).ok()?;
    let name = model.strings().find(StringKind::Node, index).map(str::to_owned);
    Some((OpCode(node.header.op).name(), name, [node.out.h, node.out.w, node.out.c], model.need(index)?.macs.into()))
}

fn json(board: &Board, model: &Model<'_>, found: &Measurement, firmware: String) -> Json {
    let macs = macs(model);
    let op = |(index, count): (u16, &bench::OpCount)| {
        let (kind, name, shape, macs) = place(model, index)?;
        Some(Op { index, kind, name, shape, macs, steps: count.steps, instructions: count.instructions })
    };
    Json {
        board: board.name,
        small: false,
        instructions: found.instructions,
        instructions_per_mac: (macs > 0).then(|| found.instructions as f64 / macs as f64),
        outside_ops: found.outside_ops(),
        macs,
        arena_bytes: model.arena_bytes(),
        stack_bytes: found.stack_bytes,
        flash: Flash {
            runtime_bytes: found.runtime.total(),
            text_bytes: found.runtime.text,
            rodata_bytes: found.runtime.rodata,
            data_bytes: found.runtime.data,
            model_bytes: found.model_bytes,
        },
        ops: (0..).zip(&found.ops).filter_map(op).collect(),
        firmware,
    }
}

fn text(json: &Json, ui: &Ui) -> String {
    let mut text = format!("{HEADING}{}{HEADING:#}\n", json.board);
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:8} {value}\n"));
    let per_mac = |instructions: u64, macs: u64| match macs {
        0 => "-".to_owned(),
        _ => format!("{:.2}", instructions as f64 / macs as f64),
    };
    line(
        "work",
        format!(
            "{} instructions an inference, {} a multiply-accumulate",
            words::count(json.instructions),
            per_mac(json.instructions, json.macs)
        ),
    );
    line("arena", format!("{} bytes", words::count(json.arena_bytes)));
    line("stack", format!("{} bytes", words::count(json.stack_bytes)));
    line(
        "flash",
        format!(
            "{} bytes of runtime, {} of model",
            words::count(json.flash.runtime_bytes),
            words::count(json.flash.model_bytes)
        ),
    );
    text.push('\n');
    let head = [
        ("op", Align::Right),
        ("kind", Align::Left),
        ("result", Align::Right),
        ("MACs", Align::Right),
        ("instructions", Align::Right),
        ("a MAC", Align::Right),
        ("share", Align::Right),
        ("name", Align::Left),
    ];
    let share = |instructions: u64| words::percent(instructions as f64 / json.instructions.max(1) as f64);
    let mut rows: Vec<Vec<String>> = json
        .ops
        .iter()
        .map(|op| {
            vec![
                op.index.to_string(),
                op.kind.to_owned(),
                words::shape(&op.shape, ui.unicode),
                if op.macs == 0 { "-".to_owned() } else { words::count(op.macs) },
                words::count(op.instructions),
                per_mac(op.instructions, op.macs),
                share(op.instructions),
                words::short(op.name.as_deref().unwrap_or_default(), 30),
            ]
        })
        .collect();
    let outside = words::count(json.outside_ops);
    let cells = ["", "start, input, choice of steps", "", "", &outside, "", &share(json.outside_ops), ""];
    rows.push(cells.map(str::to_owned).to_vec());
    text.push_str(&words::table(&head, &rows));
    text.push_str(&format!("  {DIM}instructions are counted by QEMU, one by one; they are no cycles{DIM:#}\n"));
    text
}
