use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use carafe::Model;
use carafe::blob::{CONSTS_ALIGN, Cpu};
use carafe_boards::Board;
use carafe_converter::dataset::Dataset;
use carafe_converter::plan::{FrontierPoint, Goal, Recomputed};
use carafe_converter::{Converted, Options, frontend, passes, split};
use carafe_graph::Graph;
use carafe_quantizer::{BiasCorrection, Decision, ObserverKind, Report};
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::check;
use crate::conversion::{self, Watcher};
use crate::data_args::{DataArgs, InputType};
use crate::failure::Usage;
use crate::files::{self, Pending};
use crate::tensors::{self, Io};
use crate::ui::{DIM, GOOD, HEADING, Ui};
use crate::{board, words};

/// Convert a trained float model into an int8 blob for microcontrollers
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  carafe convert kws.xml -o kws.carafe --calibration samples.npz --labels labels.txt"
)]
pub struct Args {
    /// OpenVINO IR: the .xml file, its .bin beside it
    #[arg(required_unless_present = "dump_after")]
    model: Option<PathBuf>,
    /// Where the blob goes
    #[arg(long, short, value_name = "FILE.carafe", required_unless_present_any = ["check", "dump_after"])]
    output: Option<PathBuf>,
    /// Typical inputs to measure ranges on: a folder of images or .npy files, an .npy, or an .npz (array `x`)
    #[arg(long, value_name = "DATA")]
    calibration: Option<PathBuf>,
    /// Of a folder, only files that this .csv names in its column `file`
    #[arg(long, value_name = "FILE.csv", requires = "calibration")]
    calibration_csv: Option<PathBuf>,
    /// Of these, only those whose column `split` says this
    #[arg(long, value_name = "NAME", requires = "calibration_csv")]
    calibration_split: Option<String>,
    /// At most so many samples, spread evenly over the data; some hundred are enough
    #[arg(long, value_name = "N", requires = "calibration", value_parser = clap::value_parser!(u32).range(1..))]
    calibration_samples: Option<u32>,
    #[command(flatten)]
    data: DataArgs,
    /// What the device's input takes
    #[arg(long, value_name = "TYPE", default_value = "auto", help_heading = "Data")]
    input_type: InputType,
    /// Names of the classes, one a line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// How ranges of activations are chosen: auto, minmax, percentile, percentile:P, mse or entropy
    #[arg(long, value_name = "NAME", default_value_t = carafe_quantizer::Options::default().observer)]
    observer: ObserverKind,
    /// Whether the mean errors of layers are taken off their biases
    #[arg(long, value_name = "WHEN", default_value_t = BiasArg::of(carafe_quantizer::Options::default().bias_correction))]
    bias_correction: BiasArg,
    /// Take the input row by row, as a camera delivers it, so that it never exists as a whole
    #[arg(long)]
    push_rows: bool,
    /// What memory is spent on [default: balanced, or with --ram-limit: speed, as far as the limit allows]
    #[arg(long, value_name = "GOAL")]
    optimize: Option<GoalArg>,
    /// Bytes of RAM that arena and state may take, --fast-ram not counted: takes the fastest plan within it, or with
    /// --optimize the one that meets both; fails if none does
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    ram_limit: Option<u32>,
    /// Compute layers a second time where that saves RAM, for at most so many percent more time; off unless asked for
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, require_equals = true, default_missing_value = "25",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    recompute: Option<u32>,
    /// Bytes of a second, fast RAM (tightly coupled memory) for what is touched most often
    #[arg(long, value_name = "BYTES")]
    fast_ram: Option<u32>,
    /// Write the weights to a file of their own, for external flash; tools find it beside the blob if it has the same name
    /// with the extension `weights`
    #[arg(long, value_name = "FILE.weights")]
    split_weights: Option<PathBuf>,
    /// Board that the blob is for: checks that it fits, and warns if not
    #[arg(long, value_name = "NAME", value_parser = board::parser())]
    board: Option<&'static Board>,
    /// CPU that weights are packed for, the board's if one is named; the bits that come out are the same on all
    #[arg(long, value_name = "CPU", value_parser = PossibleValuesParser::new(cpus()), conflicts_with = "board")]
    cpu: Option<String>,
    /// Keep names of nodes and scales of tensors, for tools that compare layers
    #[arg(long)]
    debug_info: bool,
    /// Write what quantization did to every layer
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Only read the model, and list the layers that can't be converted
    #[arg(long)]
    check: bool,
    /// Print the graph as it is after a pass; `list` names the passes
    #[arg(long, value_name = "PASS", value_parser = PossibleValuesParser::new(pass_names()))]
    dump_after: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum GoalArg {
    /// As little as possible: no working memory for kernels, which are slower then
    Size,
    /// Working memory for kernels; a tenth of the arena for steps of more rows, and about half of it, for these or for faster
    /// kernels, where that saves much time
    Balanced,
    /// Working memory for kernels, and as much again as the arena for steps of more rows
    Speed,
}

impl GoalArg {
    fn goal(self) -> Goal {
        match self {
            Self::Size => Goal::Size,
            Self::Balanced => Goal::Balanced,
            Self::Speed => Goal::Speed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Balanced => "balanced",
            Self::Speed => "speed",
        }
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum BiasArg {
    /// If the outputs come closer to float with it, as measured on calibration samples
    Auto,
    /// Yes
    On,
    /// No
    Off,
}

impl BiasArg {
    fn of(correction: BiasCorrection) -> Self {
        match correction {
            BiasCorrection::On => Self::On,
            BiasCorrection::Off => Self::Off,
            _ => Self::Auto,
        }
    }

    fn correction(self) -> BiasCorrection {
        match self {
            Self::Auto => BiasCorrection::Auto,
            Self::On => BiasCorrection::On,
            Self::Off => BiasCorrection::Off,
        }
    }
}

impl std::fmt::Display for BiasArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// The CPU that any blob runs on, and those of the boards.
fn cpus() -> Vec<&'static str> {
    let mut all = vec![PORTABLE];
    for cpu in carafe_boards::all().iter().map(|b| b.cpu).filter(|&c| c != "host") {
        if !all.contains(&cpu) {
            all.push(cpu);
        }
    }
    all
}

const PORTABLE: &str = "portable";

fn pass_names() -> Vec<&'static str> {
    passes::PASSES.iter().map(|p| p.name).chain(["list"]).collect()
}

#[derive(Serialize)]
struct Json<'a> {
    output: String,
    name: &'a str,
    cpu: &'static str,
    ops: usize,
    segments: usize,
    steps: u32,
    macs: u64,
    weights_bytes: usize,
    blob_bytes: usize,
    arena_bytes: u32,
    inputs: Vec<Io>,
    fast_bytes: u32,
    state_bytes: u32,
    instructions_estimate: u64,
    cycles_estimate: u64,
    frontier: Vec<Offer>,
    /// What is computed twice; none unless --recompute asks for it, and none if nothing pays.
    recomputed: Vec<Again<'a>>,
    /// File that holds the weights, if it is not the blob.
    weights: Option<String>,
    seconds: f64,
    report: &'a Report,
}

/// A layer that is computed twice, and what that saves and costs.
#[derive(Serialize)]
struct Again<'a> {
    layer: &'a str,
    /// Those of the blob that make it again, it the last.
    ops: &'a [usize],
    saved_bytes: i64,
    macs: u64,
    instructions_estimate: u64,
}

/// A plan that could be had.
#[derive(Serialize)]
struct Offer {
    arena_bytes: u32,
    fast_bytes: u32,
    /// At most.
    blob_bytes: usize,
    instructions_estimate: u64,
    cycles_estimate: u64,
    /// What gives it, or one that is as small and faster.
    flags: String,
    chosen: bool,
}

/// Converts.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let begun = Instant::now();
    if args.dump_after.as_deref() == Some("list") {
        let names: Vec<&str> = passes::PASSES.iter().map(|p| p.name).collect();
        return ui.answer(&serde_json::json!({ "passes": names }), || names.join("\n") + "\n");
    }
    let Some(path) = &args.model else { return Err(Usage("name the model, a .xml file".into()).into()) };
    if args.check {
        return check::run(path, ui);
    }
    let Some(output) = &args.output else { return dump_only(args, path, ui) };
    let weights = path.with_extension("bin");
    for file in [Some(output), args.report.as_ref(), args.split_weights.as_ref()].into_iter().flatten() {
        let data = [args.calibration.as_ref(), args.calibration_csv.as_ref()];
        let sources = [Some(path), Some(&weights), args.labels.as_ref()].into_iter().chain(data);
        files::check_output(file, &sources.flatten().map(PathBuf::as_path).collect::<Vec<_>>())?;
    }
    if args.report.as_ref() == Some(output) {
        bail!("{}: is both the output and the report; give them names of their own", output.display());
    }

    if args.split_weights.as_ref().is_some_and(|file| file == output || args.report.as_ref() == Some(file)) {
        bail!("{}: is to hold the weights and something else; give both names of their own", output.display());
    }

    let graph = frontend::load(path)?;
    let Some(data) = &args.calibration else { return Err(no_calibration(&graph).into()) };
    let labels = match &args.labels {
        Some(file) => labels(file, &graph)?,
        None => vec![],
    };
    let spec = conversion::input_spec(&graph)?;
    let preprocess = args.data.preprocess();
    let mut data = Dataset::open(data, &spec, &preprocess).context("calibration data")?;
    if let Some(csv) = &args.calibration_csv {
        data = data.with_files_of(csv, args.calibration_split.as_deref()).context("calibration data")?;
    }
    let most = args.calibration_samples.map_or(data.len(), |n| n as usize);
    let samples = conversion::calibration(&data, most, graph.is_stateful(), ui).context("calibration data")?;
    let mut options = Options { input: args.input_type.kind(&data), preprocess, ..Options::default() };
    options.quantizer.observer = args.observer;
    options.quantizer.bias_correction = args.bias_correction.correction();
    options.cpu = Cpu::of_core(args.cpu.as_deref().or(args.board.map(|b| b.cpu)).unwrap_or(PORTABLE));
    options.plan.push_rows = args.push_rows;
    options.plan.fast_bytes = args.fast_ram;
    options.plan.goal = args.optimize.map(GoalArg::goal);
    options.plan.ram_limit = args.ram_limit;
    options.recompute = args.recompute;
    options.write.labels = labels;
    options.write.debug = args.debug_info;
    let watcher = Watcher::new(ui, args.dump_after.as_deref());
    let converted = carafe_converter::convert(graph, &samples, &options, &watcher)
        .with_context(|| format!("{}: can't be converted", path.display()))?;

    print_dump(&watcher.into_dump(), ui)?;
    let report = args.report.as_ref().map(|file| {
        let text = serde_json::to_string_pretty(&converted.report)? + "\n";
        Pending::write(file, text.as_bytes())
    });
    let report = report.transpose()?;
    let weights = match &args.split_weights {
        Some(file) => {
            let (head, weights) = split::split(&converted.blob)?;
            Pending::write(file, &weights)?.publish()?;
            Pending::write(output, &head)?.publish()?;
            Some(file.display().to_string())
        }
        None => {
            Pending::write(output, &converted.blob)?.publish()?;
            None
        }
    };
    report.map_or(Ok(()), Pending::publish)?;

    let model = files::verify(output, &converted.blob)?;
    let inputs = tensors::inputs(&model);
    advise(args, &model, ui);
    let json = Json {
        output: output.display().to_string(),
        name: &converted.lowered.name,
        cpu: converted.lowered.cpu.name(),
        ops: converted.lowered.nodes.len(),
        segments: converted.plan.segments.len(),
        steps: converted.plan.steps,
        macs: macs(&model),
        weights_bytes: model.weights_bytes(),
        blob_bytes: converted.blob.len(),
        arena_bytes: converted.plan.arena_bytes,
        inputs,
        fast_bytes: converted.plan.fast_bytes,
        state_bytes: converted.plan.state_bytes,
        instructions_estimate: converted.plan.instructions,
        cycles_estimate: converted.plan.cycles,
        frontier: frontier(args, &converted),
        recomputed: converted.recomputed.iter().map(again).collect(),
        weights,
        seconds: begun.elapsed().as_secs_f64(),
        report: &converted.report,
    };
    if ui.quiet && !ui.json {
        return Ok(());
    }
    ui.answer(&json, || text(&json, &converted, args, ui))
}

fn again(made: &Recomputed) -> Again<'_> {
    let Recomputed { layer, nodes, saved_bytes, macs, instructions } = made;
    Again { layer, ops: nodes, saved_bytes: *saved_bytes, macs: *macs, instructions_estimate: *instructions }
}

/// The plans that were found, from the smallest to the fastest.
fn frontier(args: &Args, converted: &Converted) -> Vec<Offer> {
    let points = &converted.plan.frontier;
    let tables = points.iter().find(|p| p.chosen).map_or(0, |p| p.table_bytes as isize);
    let round_up = |bytes: isize| {
        let align = CONSTS_ALIGN as isize;
        (bytes + align - 1).div_euclid(align) * align
    };
    let offer = |p: &FrontierPoint| {
        let mut flags: Vec<String> = Vec::new();
        if p.chosen {
            flags.extend(args.optimize.map(|goal| format!("--optimize {}", goal.word())));
            flags.extend(args.ram_limit.map(|limit| format!("--ram-limit {limit}")));
        } else {
            flags.push(format!("--ram-limit {}", p.arena_bytes + p.state_bytes));
        }
        flags.extend(args.recompute.map(|percent| format!("--recompute={percent}")));
        Offer {
            arena_bytes: p.arena_bytes,
            fast_bytes: p.fast_bytes,
            // Weights begin at a round address, so that a few bytes more or less may not show.
            blob_bytes: converted.blob.len().saturating_add_signed(round_up(p.table_bytes as isize - tables)),
            instructions_estimate: p.instructions,
            cycles_estimate: p.cycles,
            flags: flags.join(" "),
            chosen: p.chosen,
        }
    };
    points.iter().map(offer).collect()
}

/// Multiply-accumulates of an inference.
pub fn macs(model: &Model<'_>) -> u64 {
    (0..model.nodes()).filter_map(|n| model.need(n)).map(|need| u64::from(need.macs)).sum()
}

fn no_calibration(graph: &Graph) -> Usage {
    let input = graph.inputs.first().map(|&i| graph.value(i));
    let takes = input.map_or_else(String::new, |v| format!(" Input `{}` takes {:?}.", v.name, v.shape));
    Usage(format!(
        "int8 ranges are measured on real inputs: give some hundred typical ones by `--calibration DATA`, where DATA is \
         a folder of images or .npy files, an .npy, or an .npz with array `x`.{takes} Where the model wants other \
         numbers than the data has, add --mean and --scale"
    ))
}

fn labels(file: &Path, graph: &Graph) -> anyhow::Result<Vec<String>> {
    let labels = files::read_labels(file)?;
    let classes = graph.outputs.first().and_then(|&o| graph.value(o).shape.last().copied()).unwrap_or(0);
    if labels.len() != classes {
        bail!(
            "{}: {} labels, but the output has {classes} classes; give one label a line, in the order of the output",
            file.display(),
            labels.len()
        );
    }
    Ok(labels)
}

/// The graph without a blob: passes need no data.
fn dump_only(args: &Args, path: &Path, ui: &Ui) -> anyhow::Result<()> {
    let pass = args.dump_after.as_deref().unwrap_or_default();
    let mut dump = String::new();
    passes::optimize(frontend::load(path)?, &mut |name, graph| {
        if name == pass {
            dump.push_str(&format!("after {name}: {}", passes::dump(graph)));
        }
    })?;
    print_dump(&dump, ui)?;
    if ui.json { ui.answer(&serde_json::json!({ "dump_after": pass, "graph": dump }), String::new) } else { Ok(()) }
}

fn print_dump(dump: &str, ui: &Ui) -> anyhow::Result<()> {
    if ui.json {
        eprint!("{dump}");
        Ok(())
    } else {
        ui.print(dump)
    }
}

/// Says what the user of a board should know.
fn advise(args: &Args, model: &Model<'_>, ui: &Ui) {
    let Some(board) = args.board.filter(|b| b.ram_bytes() > 0) else { return };
    let (arena, blob) = (model.arena_bytes() as u64, model.blob_bytes() as u64);
    if arena > board.ram_bytes() {
        let (need, have) = (words::count(arena), words::count(board.ram_bytes()));
        ui.warn(&format!("the arena of {need} bytes does not fit {}, which has {have} bytes of RAM", board.name));
    }
    if blob > board.flash_bytes().max(board.ram_bytes().saturating_sub(arena)) {
        ui.warn(&format!("the blob of {} bytes fits neither flash nor RAM of {}", words::count(blob), board.name));
    }
}

/// How ranges were chosen, and why so.
fn ranges(report: &Report) -> String {
    match &report.ranges {
        None => format!("by {}", report.observer),
        Some(d) if d.applied => {
            format!("{} of their own, the rest by minmax: {}", words::several(d.changed, "set"), d.why)
        }
        Some(d) => format!("by minmax: {}", d.why),
    }
}

/// Whether biases were corrected, and why so.
fn biases(d: &Decision) -> String {
    if d.applied {
        format!("corrected in {}: {}", words::several(d.changed, "layer"), d.why)
    } else {
        format!("not corrected: {}", d.why)
    }
}

/// Memory against time. The estimate knows the inner loops, not the shapes that they like: within a fifth of what `bench`
/// counts, as a rule, and better between plans of one model.
fn offers(json: &Json<'_>) -> String {
    if json.frontier.len() < 2 {
        return String::new();
    }
    let mut text = format!(
        "{HEADING}memory against time{HEADING:#} {DIM}(instructions and cycles on a Cortex-M4, estimated: within about a fifth of `bench`){DIM:#}\n"
    );
    for p in &json.frontier {
        let (arena, blob) = (words::count(p.arena_bytes), words::count(p.blob_bytes));
        let flags = if p.chosen { format!("{GOOD}this one{GOOD:#}") } else { p.flags.clone() };
        let [instructions, cycles] = [p.instructions_estimate, p.cycles_estimate].map(words::macs);
        text.push_str(&format!(
            "  {arena:>9} B of arena {blob:>10} B of blob {instructions:>9} {cycles:>9}  {flags}\n"
        ));
    }
    text
}

/// Layers that the summary names.
const WORST: usize = 3;

fn text(json: &Json<'_>, converted: &Converted, args: &Args, ui: &Ui) -> String {
    let mut text = format!("{GOOD}{}{GOOD:#}\n", json.output);
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:9} {value}\n"));
    let both = |n: u64| match words::bytes(n) {
        exact if n < 10_240 => exact,
        short => format!("{short} ({} bytes)", words::count(n)),
    };
    line(
        "model",
        format!("{}, {} in {}", json.name, words::several(json.ops, "op"), words::several(json.segments, "segment")),
    );
    for io in &json.inputs {
        line("input", format!("`{}` {}", words::short(&io.name, 40), io.describe(ui.unicode)));
    }
    line("work", format!("{} multiply-accumulates an inference", words::macs(json.macs)));
    line("weights", both(json.weights_bytes as u64));
    line("blob", format!("{}, all that has to be flashed", both(json.blob_bytes as u64)));
    line("arena", format!("{}: exactly what an inference takes, nothing is added", both(json.arena_bytes.into())));
    if json.fast_bytes > 0 {
        line("fast RAM", format!("{} besides, for what is touched most often", both(json.fast_bytes.into())));
    }
    if json.state_bytes > 0 {
        line("state", format!("{} that outlive an inference", both(json.state_bytes.into())));
    }
    for a in &json.recomputed {
        let (ops, saved) = (words::several(a.ops.len(), "op"), words::count(a.saved_bytes.unsigned_abs()));
        let (macs, time) = (words::macs(a.macs), words::macs(a.instructions_estimate));
        let less = if a.saved_bytes < 0 { "more" } else { "less" };
        let layer = words::short(a.layer, 40);
        let price = format!("{macs} multiply-accumulates, about {time} instructions");
        line("again", format!("`{layer}`, {ops} run twice: {saved} bytes {less} for {price}"));
    }
    if args.recompute.is_some() && json.recomputed.is_empty() {
        line("again", "nothing: no layer is worth computing twice".to_owned());
    }
    if let Some(file) = &json.weights {
        line("apart", format!("the weights are in {file}, the rest in the blob"));
    }
    for o in &json.report.outputs {
        let logits = o.logit_sqnr_db.map_or_else(String::new, |db| format!(", {db:.1} dB before its softmax"));
        line("accuracy", format!("`{}` {:.1} dB SQNR against float{logits}", words::short(&o.name, 40), o.sqnr_db));
    }
    line("ranges", ranges(json.report));
    line("biases", biases(&json.report.bias_correction));
    line("time", format!("{:.1} s, {} calibration samples", json.seconds, json.report.samples));
    text.push_str(&offers(json));
    text.push_str(&format!("{HEADING}layers farthest from float{HEADING:#}\n"));
    for l in converted.report.worst(WORST) {
        text.push_str(&format!("  {:6.1} dB  {} `{}`\n", l.sqnr_db, l.kind, words::short(&l.name, 60)));
        l.hints.iter().for_each(|h| text.push_str(&format!("             {DIM}{h}{DIM:#}\n")));
    }
    text
}
