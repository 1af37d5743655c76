use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use carafe::Model;
use carafe_boards::Board;
use carafe_converter::evaluate::{self, Evaluation};
use carafe_converter::{Converted, Options};
use carafe_graph::{Data, Graph, Tensor};
use carafe_hil::{Case, Host, PortName, Target};
use serde::Serialize;

use super::convert::macs;
use crate::board::{self, Way};
use crate::conversion::{self, Watcher};
use crate::demo::assets::{self, Sample};
use crate::demo::draw::{Picture, Style};
use crate::tensors::{self, Io};
use crate::ui::{DIM, ERROR, GOOD, HEADING, Ui, WARNING};
use crate::words;

/// Watch a bundled model become int8 and read digits, here and on an emulated Cortex-M4
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Board to run on besides this computer
    #[arg(long, value_name = "NAME", default_value = "qemu-mps2-an386", value_parser = board::parser())]
    board: &'static Board,
    /// Run on this computer only
    #[arg(long, conflicts_with_all = ["board", "firmware"])]
    no_board: bool,
    /// A firmware for the board, in place of one that is built from the checkout
    #[arg(long, value_name = "ELF")]
    firmware: Option<PathBuf>,
    /// The board's serial port, with its firmware on it already
    #[arg(long, value_name = "PATH[@BAUD]", conflicts_with_all = ["firmware", "no_board"])]
    port: Option<PortName>,
    /// Images to show: the eight bundled ones first, then those of the test set
    #[arg(long, value_name = "N", default_value_t = 8)]
    samples: usize,
}

#[derive(Serialize)]
struct Json {
    model: String,
    float_ops: usize,
    ops: usize,
    parameters: usize,
    macs: u64,
    float_bytes: usize,
    weights_bytes: usize,
    blob_bytes: usize,
    arena_bytes: usize,
    convert_seconds: f64,
    test: Test,
    samples: Vec<Answer>,
    board: Option<OnBoard>,
}

/// What was found on the test images.
#[derive(Serialize)]
struct Test {
    samples: usize,
    top1: f64,
    float_top1: f64,
    agreement: f64,
    sqnr_db: f64,
}

impl Test {
    fn of(e: &Evaluation) -> Self {
        Self {
            samples: e.samples,
            top1: e.top1.unwrap_or_default(),
            float_top1: e.float_top1.unwrap_or_default(),
            agreement: e.agreement,
            sqnr_db: e.sqnr_db,
        }
    }
}

#[derive(Serialize)]
struct Answer {
    name: String,
    truth: u32,
    answer: usize,
    score: f32,
    float_answer: usize,
    float_score: f32,
    raw: Vec<i16>,
}

#[derive(Serialize)]
struct OnBoard {
    name: &'static str,
    ran: bool,
    why_not: Option<String>,
    samples: usize,
    same_bits: bool,
    /// Bytes of arena up to the last one used there.
    arena_high_water: usize,
    stack_bytes: Option<usize>,
    seconds: f64,
}

/// An inference on this computer, to compare a board's with.
struct Ran {
    input: Vec<u8>,
    output: Vec<Vec<u8>>,
}

/// The whole way, step by step.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let graph = assets::model()?;
    let parameters = parameters(&graph);
    let float_bytes = parameters * size_of::<f32>();
    let spec = conversion::input_spec(&graph)?;
    heading(ui, "A float model")?;
    ui.print(&format!(
        "  {}: reads handwritten digits; OpenVINO IR of {}, bundled\n  {} operations, {} parameters, {} in float\n\n",
        graph.name,
        words::bytes(assets::MODEL_BYTES as u64),
        graph.nodes.len(),
        words::count(parameters),
        words::bytes(float_bytes as u64)
    ))?;

    heading(ui, "becomes an int8 blob")?;
    let begun = Instant::now();
    let calibration = assets::calibration(&spec)?;
    let mut options = Options::default();
    options.write.labels = assets::labels();
    let float_ops = graph.nodes.len();
    let watcher = Watcher::new(ui, None);
    let converted = carafe_converter::convert(graph.clone(), &calibration.samples, &options, &watcher)
        .context("the bundled model can't be converted")?;
    drop(watcher);
    let convert_seconds = begun.elapsed().as_secs_f64();
    let model = Model::verify(&converted.blob, carafe::ops::ALL).context("the bundled model")?;
    ui.print(&conversion_text(&converted, &model, float_ops, float_bytes, calibration.samples.len(), convert_seconds))?;

    heading(ui, "as accurate as before")?;
    let data = assets::test(&spec)?;
    let begun = Instant::now();
    let meter = ui.meter("test images", data.samples.len() as u64);
    let all = (&data.samples, Some(data.truth.as_slice()));
    let found = evaluate::evaluate(&converted.blob, &converted.optimized, all.0, all.1, &|done| meter.set(done))
        .context("the bundled test images")?;
    drop(meter);
    let test = Test::of(&found);
    ui.print(&test_text(&test, begun.elapsed()))?;

    let samples = assets::samples(args.samples, &spec, &data)?;
    let mut host = Host::new();
    host.load(&converted.blob)?;
    let mut cases = vec![];
    let mut answers = vec![];
    for sample in &samples {
        let image = converted.optimized.samples(std::slice::from_ref(&sample.image))?;
        let real = image.first().and_then(Tensor::as_f32).context("the bundled samples")?;
        let input = evaluate::input_bytes(&model, 0, real).context("the bundled model")?;
        let output = exec(&mut host, &input)?.outputs;
        let float = carafe_graph::exec::run(&graph, std::slice::from_ref(&sample.image))?;
        let float = float.first().and_then(Tensor::as_f32).context("the bundled model")?;
        answers.push(answer(sample, &tensors::outputs(&model), &output, float));
        cases.push(Ran { input, output });
    }
    if !samples.is_empty() {
        heading(ui, "reads")?;
        ui.print(&gallery(&samples, &answers, ui))?;
    }

    let board = if args.no_board { None } else { Some(on_board(args, &converted.blob, &cases, ui)?) };
    if let Some(b) = &board {
        heading(ui, &format!("on {}", b.name))?;
        ui.print(&board_text(b, args.board, model.arena_bytes()))?;
    }
    let failed = board.as_ref().filter(|b| b.ran && !b.same_bits).map(|b| b.name);
    if ui.json {
        let json = Json {
            model: converted.lowered.name.clone(),
            float_ops,
            ops: converted.lowered.nodes.len(),
            parameters,
            macs: macs(&model),
            float_bytes,
            weights_bytes: model.weights_bytes(),
            blob_bytes: converted.blob.len(),
            arena_bytes: model.arena_bytes(),
            convert_seconds,
            test,
            samples: answers,
            board,
        };
        ui.answer(&json, String::new)?;
    }
    match failed {
        Some(_) => Err(crate::failure::Reported.into()),
        None => Ok(()),
    }
}

fn heading(ui: &Ui, text: &str) -> anyhow::Result<()> {
    ui.print(&format!("{HEADING}{text}{HEADING:#}\n"))
}

/// Elements of the constants of the model that are floats: shapes and axes are none.
fn parameters(graph: &Graph) -> usize {
    let floats = |t: &Tensor| matches!(t.data, Data::F32(_)).then_some(t.data.len());
    graph.values.iter().filter_map(|v| v.constant.as_ref().and_then(floats)).sum()
}

fn conversion_text(
    converted: &Converted,
    model: &Model<'_>,
    float_ops: usize,
    float_bytes: usize,
    samples: usize,
    seconds: f64,
) -> String {
    let rings = converted.plan.buffers.iter().filter(|b| b.rows > 0).count();
    let mut text = String::new();
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:14} {value}\n"));
    line("fold and fuse", format!("{float_ops} operations -> {} for the device", converted.lowered.nodes.len()));
    line("quantize", format!("ranges measured on {samples} images, weights to int8"));
    line("weights", format!("{} -> {}", words::bytes(float_bytes as u64), words::bytes(model.weights_bytes() as u64)));
    line("blob", format!("{}: all that has to be flashed", words::bytes(converted.blob.len() as u64)));
    let rows = if rings > 0 { format!("; {rings} maps exist as a few rows only") } else { String::new() };
    line("arena", format!("{} bytes of RAM, exactly{rows}", words::count(model.arena_bytes())));
    line("work", format!("{} multiply-accumulates an image", words::macs(macs(model))));
    line("took", format!("{seconds:.1} s"));
    text + "\n"
}

fn test_text(test: &Test, time: Duration) -> String {
    let line = |what: &str, fraction| format!("  {what:14} {:>7}", words::percent(fraction));
    format!(
        "{} of {} test images are right\n{} are right\n{} get one answer from both\n  {:14} {:.1} s on all cores\n\n",
        line("float", test.float_top1),
        test.samples,
        line("int8", test.top1),
        line("agreement", test.agreement),
        "took",
        time.as_secs_f64()
    )
}

fn exec(target: &mut dyn Target, input: &[u8]) -> Result<carafe_hil::Outcome, carafe_hil::Error> {
    target.exec(&Case::of(&[input]), board::LIMIT)
}

fn answer(sample: &Sample, outputs: &[Io], raw: &[Vec<u8>], float: &[f32]) -> Answer {
    let raw = raw.first().cloned().unwrap_or_default();
    let values = outputs.first().map_or_else(Vec::new, |io| tensors::dequantize(io, &raw));
    let best = |v: &[f32]| tensors::top(v, 1).first().copied().unwrap_or((0, 0.0));
    let ((answer, score), (float_answer, float_score)) = (best(&values), best(float));
    Answer {
        name: sample.name.clone(),
        truth: sample.truth,
        answer,
        score,
        float_answer,
        float_score,
        raw: outputs.first().map_or_else(Vec::new, |io| tensors::integers(io, &raw)),
    }
}

/// Runs the samples on the board and compares the bits. A board that is not there is no error.
fn on_board(args: &Args, blob: &[u8], cases: &[Ran], ui: &Ui) -> anyhow::Result<OnBoard> {
    let mut result = OnBoard {
        name: args.board.name,
        ran: false,
        why_not: None,
        samples: 0,
        same_bits: false,
        arena_high_water: 0,
        stack_bytes: None,
        seconds: 0.0,
    };
    let way = Way { firmware: args.firmware.as_deref(), port: args.port.as_ref() };
    let mut target = match board::open(args.board, way, ui) {
        Ok(target) => target,
        Err(error @ (carafe_hil::Error::Unavailable { .. } | carafe_hil::Error::Firmware { .. })) => {
            result.why_not = Some(error.to_string());
            return Ok(result);
        }
        Err(error) => return Err(error.into()),
    };
    let begun = Instant::now();
    target.load(blob)?;
    let meter = ui.meter(&format!("run on {}", args.board.name), cases.len() as u64);
    result.same_bits = true;
    for (i, case) in cases.iter().enumerate() {
        let outcome = exec(target.as_mut(), &case.input)?;
        result.same_bits &= outcome.outputs == case.output;
        result.arena_high_water = outcome.arena_high_water.max(result.arena_high_water);
        result.stack_bytes = outcome.stack_bytes.max(result.stack_bytes);
        meter.set(i + 1);
    }
    result.ran = !cases.is_empty();
    result.samples = cases.len();
    result.seconds = begun.elapsed().as_secs_f64();
    Ok(result)
}

fn board_text(b: &OnBoard, board: &Board, arena_bytes: usize) -> String {
    if let Some(why_not) = &b.why_not {
        return format!("  {WARNING}left out:{WARNING:#} {why_not}; or all at once by `cargo xtask setup`\n");
    }
    if !b.ran {
        return "  nothing to run\n".to_owned();
    }
    let verdict = match b.same_bits {
        true => format!("{GOOD}same bits{GOOD:#} as on this computer"),
        false => format!("{ERROR}other bits{ERROR:#} than on this computer: this is a bug, please report it"),
    };
    let stack = b.stack_bytes.map_or_else(String::new, |s| format!(", {} bytes of stack", words::count(s)));
    format!(
        "  {}\n  {} images, {}: {verdict}\n  {} of the {} bytes of arena used{stack}; {:.1} s in all\n",
        board.about,
        b.samples,
        board.cpu,
        words::count(b.arena_high_water),
        words::count(arena_bytes),
        b.seconds,
    )
}

/// Columns of the words beside a picture.
const WORDS: usize = 16;
/// Columns between what is side by side.
const GAP: usize = 3;

/// The samples with the answers beside them, as many in a row as the terminal has place for.
fn gallery(samples: &[Sample], answers: &[Answer], ui: &Ui) -> String {
    let style = match (ui.unicode, ui.color) {
        (true, true) => Style::Grey,
        (true, false) => Style::Blocks,
        (false, _) => Style::Ascii,
    };
    let picture = |s: &Sample| Picture {
        width: s.image.shape.get(2).copied().unwrap_or(0),
        pixels: s.image.as_f32().unwrap_or(&[]).iter().map(|&v| v.clamp(0.0, 255.0) as u8).collect(),
    };
    let pictures: Vec<Picture> = samples.iter().map(picture).collect();
    let columns = pictures.iter().map(Picture::columns).max().unwrap_or(0);
    let cell = columns + GAP + WORDS + GAP;
    let per_row = ((ui.width.saturating_sub(2) + GAP) / cell).max(1);
    let mut text = String::new();
    let both: Vec<(&Picture, &Answer)> = pictures.iter().zip(answers).collect();
    for row in both.chunks(per_row) {
        let drawn: Vec<Vec<String>> = row.iter().map(|(p, _)| p.draw(columns, style)).collect();
        let said: Vec<Vec<(String, String)>> = row.iter().map(|(_, a)| caption(a, ui.unicode)).collect();
        let lines = drawn.iter().map(Vec::len).chain(said.iter().map(|s| s.len() + 1)).max().unwrap_or(0);
        for y in 0..lines {
            let mut line = String::from("  ");
            for (d, s) in drawn.iter().zip(&said) {
                line.push_str(d.get(y).map_or(&" ".repeat(columns), |l| l));
                line.push_str(&" ".repeat(GAP));
                // Words begin one line below the picture's top.
                let (plain, shown) = y.checked_sub(1).and_then(|y| s.get(y)).cloned().unwrap_or_default();
                line.push_str(&shown);
                line.push_str(&" ".repeat((WORDS + GAP).saturating_sub(plain.chars().count())));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// The words beside a picture: each line without and with its colours.
fn caption(a: &Answer, unicode: bool) -> Vec<(String, String)> {
    let right = a.answer == a.truth as usize;
    let styled = |style: anstyle::Style, text: String| {
        let shown = format!("{style}{text}{style:#}");
        (text, shown)
    };
    let verdict = match (right, a.float_answer == a.answer) {
        (true, _) => styled(GOOD, "right".into()),
        (false, true) => styled(ERROR, format!("wrong: it is {},", a.truth)),
        (false, false) => styled(ERROR, format!("wrong: it is {}", a.truth)),
    };
    let same = if !right && a.float_answer == a.answer { "as is float" } else { "float" };
    let mut lines = vec![
        styled(DIM, a.name.clone()),
        styled(HEADING, format!("{}  {}", a.answer, words::percent(a.score.into()))),
        styled(if right { GOOD } else { ERROR }, words::bar(a.score.into(), WORDS, unicode)),
        verdict,
    ];
    if same == "float" {
        lines.push(styled(DIM, format!("float {} {}", a.float_answer, words::percent(a.float_score.into()))));
    } else {
        lines.push(styled(DIM, format!("{same}: {}", a.float_answer)));
        lines.push(styled(DIM, words::percent(a.float_score.into())));
    }
    lines
}
