use std::path::PathBuf;

use anyhow::{Context, bail};
use carafe::arithmetic::{Arithmetic, Native, Tflite};
use carafe::blob::{Cpu, ScratchRecord, StringKind, region};
use carafe::ops::ConvRecord;
use carafe::record::Record;
use carafe::{Model, Node, OpCode};
use carafe_converter::plan::{Alive, Use};
use carafe_slots::{SignatureError, Trailer};
use serde::Serialize;

use super::convert::macs;
use crate::memory::{self, Memory};
use crate::plan_map::{self, Map};
use crate::tensors::{self, Io};
use crate::ui::{DIM, HEADING, Ui};
use crate::words::{self, Align};
use crate::{files, keys};

/// Show what is in a blob: inputs and outputs, ops, memory
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The blob
    #[arg(value_name = "FILE.carafe")]
    file: PathBuf,
    /// Also draw where every buffer lies in the arena, and when each of its rows is needed
    #[arg(long)]
    plan: bool,
    /// Draw the plan into a file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// A public key that the blob has to be signed with; anything else is an error
    #[arg(long, value_name = "FILE.pub")]
    key: Option<PathBuf>,
}

#[derive(Serialize)]
struct Json {
    name: String,
    cpu: String,
    arithmetic: String,
    arena_bytes: usize,
    fast_bytes: usize,
    state_bytes: usize,
    weights_bytes: usize,
    blob_bytes: usize,
    macs: u64,
    steps: usize,
    inputs: Vec<Io>,
    outputs: Vec<Io>,
    labels: Vec<String>,
    /// The signature behind the blob; none if it is not signed.
    signature: Option<Signature>,
    ops: Vec<Op>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
}

#[derive(Serialize)]
struct Signature {
    /// The key that has signed it, as it says.
    key_id: String,
    /// True if it is that of `--key`, and fits; none without one.
    valid: Option<bool>,
}

#[derive(Serialize)]
struct Op {
    index: u16,
    kind: &'static str,
    /// None unless the blob was converted with `--debug-info`.
    name: Option<String>,
    macs: u32,
    weights_bytes: u64,
    /// Most bytes of the arena that are alive while it runs.
    peak_bytes: u64,
    /// Rows, columns, channels of its result.
    shape: [u16; 3],
    /// Rows that one step makes.
    band: u8,
    segment: u16,
    /// Memory that its steps work in.
    #[serde(skip_serializing_if = "Option::is_none")]
    scratch: Option<Scratch>,
    /// The op whose result it makes a second time.
    #[serde(skip_serializing_if = "Option::is_none")]
    recomputes: Option<u16>,
}

#[derive(Serialize)]
struct Scratch {
    /// As of buffers.
    region: u8,
    offset: u32,
    /// At steps of which a bit of the first row says so.
    other_region: u8,
    other_offset: u32,
    bytes: u32,
}

#[derive(Serialize)]
struct Plan {
    /// Row counters at the front of the arena.
    counter_bytes: usize,
    /// Scratch of the op that takes the most.
    scratch_bytes: u32,
    /// Most bytes alive at one tick: no packing of this schedule takes less.
    bound_bytes: u64,
    /// The first tick where they are. Ticks are steps and pushed rows, counted from 1; 0 is before the first.
    peak_tick: u32,
    ticks: u32,
    /// Bytes alive at each tick, from tick 0.
    alive_bytes: Vec<u64>,
    buffers: Vec<Buffer>,
    segments: Vec<Segment>,
    /// What lies in the arena, row by row. What shares bytes does not share ticks.
    uses: Vec<Piece>,
}

#[derive(Serialize)]
struct Piece {
    /// `rows` of a buffer, `sums` or `scratch` of an op.
    what: &'static str,
    /// Which buffer or op.
    index: u16,
    row: u16,
    offset: u32,
    bytes: u32,
    first_tick: u32,
    last_tick: u32,
}

#[derive(Serialize)]
struct Buffer {
    index: u16,
    /// 0: the arena, 1: fast memory, 2: state.
    region: u8,
    offset: u32,
    length: u32,
    /// Rows that it holds as a ring; 0 if what lives there does so as a whole.
    ring_rows: u16,
    holds: Vec<String>,
    first_step: Option<usize>,
    last_step: Option<usize>,
}

#[derive(Serialize)]
struct Segment {
    index: u16,
    first_op: u16,
    ops: u16,
    /// Scratch of the op that takes the most of them.
    scratch_bytes: u32,
}

/// Shows it.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    if let Some(svg) = &args.svg {
        files::check_output(svg, &[&args.file])?;
    }
    let blob = files::read_blob(&args.file)?;
    let model = files::verify(&args.file, &blob)?;
    let signature = signature(args, &blob)?;
    let memory = memory::follow(&model).with_context(|| format!("{}: can't be followed", args.file.display()))?;
    let strings = model.strings();
    let json = Json {
        name: strings.find(StringKind::Model, 0).unwrap_or_default().to_owned(),
        cpu: Cpu::of_code(model.cpu()).map_or_else(|| format!("cpu-{}", model.cpu()), |cpu| cpu.name().to_owned()),
        arithmetic: match model.arithmetic() {
            Native::ID => "native".to_owned(),
            Tflite::ID => "tflite".to_owned(),
            other => format!("arithmetic-{other}"),
        },
        arena_bytes: model.arena_bytes(),
        fast_bytes: model.fast_bytes(),
        state_bytes: model.state_bytes(),
        weights_bytes: model.weights_bytes(),
        blob_bytes: model.blob_bytes(),
        macs: macs(&model),
        steps: memory.steps,
        inputs: tensors::inputs(&model),
        outputs: tensors::outputs(&model),
        labels: strings.filter(|s| s.0 == StringKind::Label).map(|s| s.2.to_owned()).collect(),
        signature,
        ops: firsts(&model).into_iter().zip(0..).filter_map(|(first, n)| op(&model, &memory, n, first)).collect(),
        plan: args.plan.then(|| plan(&model, &memory)),
    };
    let map = || Map::of(&model, &json.name, &memory.timeline);
    if let Some(svg) = &args.svg {
        files::Pending::write(svg, plan_map::svg(&map()).as_bytes())?.publish()?;
        ui.note(&format!("{}: written", svg.display()));
    }
    ui.answer(&json, || {
        let drawn = if args.plan { plan_map::text(&map(), ui.width) } else { String::new() };
        text(&json, ui) + &drawn
    })
}

/// The signature, held against the key if there is one.
fn signature(args: &Args, file: &[u8]) -> anyhow::Result<Option<Signature>> {
    let trailer = Trailer::split(file).and_then(|(_, trailer)| trailer);
    let mut valid = None;
    if let Some(path) = &args.key {
        let key = keys::read_public(path)?;
        let (file_name, id) = (args.file.display(), keys::id(&key));
        match keys::device_key(&key).check(file) {
            Ok(()) => valid = Some(true),
            Err(SignatureError::Unsigned) => bail!("{file_name}: is not signed; sign it by `carafe sign`"),
            Err(SignatureError::OtherKey { key }) => {
                bail!("{file_name}: is signed with key {}, not with {id}", carafe_hil::key_id(&key))
            }
            Err(_) => bail!("{file_name}: has changed since it was signed with key {id}"),
        }
    }
    Ok(trailer.map(|trailer| Signature { key_id: carafe_hil::key_id(&trailer.key), valid }))
}

/// The fields of an op, without what its record says of scratch.
fn own<'m>(node: &Node<'m>) -> &'m [u8] {
    let scratch = node.scratch().map_or(0, |_| ScratchRecord::SIZE);
    &node.record[..node.record.len() - scratch]
}

/// By op: the one that makes the same result before it. It has the same fields, hence the same weights, and reads the
/// same. What the converter has computed twice is known by this, whoever made the blob.
fn firsts(model: &Model<'_>) -> Vec<Option<u16>> {
    let mut firsts: Vec<Option<u16>> = Vec::new();
    for n in 0..model.nodes() {
        let first_of = |t: u16| firsts.get(usize::from(t)).copied().flatten().unwrap_or(t);
        let same = |m: &u16| {
            let (Ok(a), Ok(b)) = (model.node(*m), model.node(n)) else { return false };
            (a.header.op, a.header.version, own(&a)) == (b.header.op, b.header.version, own(&b))
                && a.out.same_shape(&b.out)
                && a.out.zero_point == b.out.zero_point
                && first_of(a.header.in0) == first_of(b.header.in0)
                && first_of(a.header.in1) == first_of(b.header.in1)
        };
        // A view makes nothing, and what outlives the inference is no second of anything.
        let makes = model.need(n).is_some_and(|need| !need.view && !need.state && !need.consumes);
        firsts.push((0..n).filter(|_| makes).find(same));
    }
    firsts
}

fn op(model: &Model<'_>, memory: &Memory, n: u16, recomputes: Option<u16>) -> Option<Op> {
    let node = model.node(n).ok()?;
    let inside = |s: &u16| model.segment_record(*s).is_some_and(|r| n >= r.first && n - r.first < r.count);
    Some(Op {
        index: n,
        kind: OpCode(node.header.op).name(),
        name: model.strings().find(StringKind::Node, n).map(str::to_owned),
        macs: model.need(n)?.macs,
        weights_bytes: weights_bytes(&node),
        peak_bytes: memory.peaks.get(usize::from(n)).copied().unwrap_or(0),
        shape: [node.out.h, node.out.w, node.out.c],
        band: node.header.band,
        segment: (0..model.segments()).find(inside).unwrap_or(0),
        scratch: node.scratch().map(|s| Scratch {
            region: (s.offset >> region::BITS) as u8,
            offset: s.offset & region::MASK as u32,
            other_region: (s.other >> region::BITS) as u8,
            other_offset: s.other & region::MASK as u32,
            bytes: s.length,
        }),
        recomputes,
    })
}

/// Bytes of the weights that an op multiplies with: without biases, multipliers and tables.
fn weights_bytes(node: &Node<'_>) -> u64 {
    let (i, o) = (u64::from(node.in0.c), u64::from(node.out.c));
    let kernel = || node.fields::<ConvRecord>().map_or(0, |r| u64::from(r.kernel_h) * u64::from(r.kernel_w));
    match OpCode(node.header.op) {
        OpCode::Conv2d => kernel() * i * o,
        OpCode::DepthwiseConv2d => kernel() * o,
        OpCode::Dense => i * o,
        _ => 0,
    }
}

fn plan(model: &Model<'_>, memory: &Memory) -> Plan {
    let nodes = model.nodes();
    let tensors = nodes.saturating_add(u16::try_from(model.inputs()).unwrap_or(u16::MAX));
    let holds = |b: u16| {
        let name = |t: u16| match t.checked_sub(nodes) {
            Some(input) => format!("input {input}"),
            None => format!("op {t}"),
        };
        let mut all: Vec<String> =
            (0..tensors).filter(|&t| model.tensor(t).is_some_and(|i| i.buffer == b)).map(name).collect();
        let aux = |n: &u16| model.node(*n).is_ok_and(|node| node.header.accumulator() == Some(b));
        all.extend((0..nodes).filter(aux).map(|n| format!("sums of op {n}")));
        all
    };
    let buffer = |b: u16| {
        let record = model.buffer(b)?;
        let accumulates = |n: &u16| model.node(*n).is_ok_and(|node| node.header.accumulator() == Some(b));
        let life = memory.timeline.life(b).or_else(|| {
            let sums = |u: &&Use| matches!(u.what, Alive::Sums(n) if accumulates(&n));
            memory.timeline.uses.iter().find(sums).map(|u| (u.first, u.last))
        });
        Some(Buffer {
            index: b,
            region: record.region,
            offset: record.offset,
            length: record.length,
            ring_rows: record.rows,
            holds: holds(b),
            first_step: life.map(|l| memory.step(l.0)),
            last_step: life.map(|l| memory.step(l.1)),
        })
    };
    let most = |nodes: std::ops::Range<u16>| {
        let scratch = |n: u16| model.node(n).ok()?.scratch();
        nodes.filter_map(scratch).map(|s| s.length).max().unwrap_or(0)
    };
    let segment = |s: u16| {
        let r = model.segment_record(s)?;
        Some(Segment {
            index: s,
            first_op: r.first,
            ops: r.count,
            scratch_bytes: most(r.first..r.first.saturating_add(r.count)),
        })
    };
    let piece = |u: &Use| {
        let (what, index) = match u.what {
            Alive::Rows(b) => ("rows", b),
            Alive::Sums(n) => ("sums", n),
            Alive::Scratch(s) => ("scratch", s),
        };
        Piece { what, index, row: u.row, offset: u.offset, bytes: u.bytes, first_tick: u.first, last_tick: u.last }
    };
    let timeline = &memory.timeline;
    let (bound_bytes, peak_tick) = timeline.peak();
    Plan {
        counter_bytes: model.counter_bytes(),
        scratch_bytes: most(0..nodes),
        bound_bytes,
        peak_tick,
        ticks: timeline.ticks(),
        alive_bytes: timeline.alive.clone(),
        buffers: (0..model.buffers()).filter_map(buffer).collect(),
        segments: (0..model.segments()).filter_map(segment).collect(),
        uses: timeline.uses.iter().map(piece).collect(),
    }
}

fn text(json: &Json, ui: &Ui) -> String {
    let mut text = format!("{HEADING}{}{HEADING:#}\n", json.name);
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:8} {value}\n"));
    line("cpu", format!("{}, {} arithmetic", json.cpu, json.arithmetic));
    line("arena", format!("{} bytes, exactly", words::count(json.arena_bytes)));
    if json.fast_bytes > 0 {
        line("fast RAM", format!("{} bytes besides", words::count(json.fast_bytes)));
    }
    if json.state_bytes > 0 {
        line("state", format!("{} bytes that outlive an inference", words::count(json.state_bytes)));
    }
    line("weights", format!("{} bytes", words::count(json.weights_bytes)));
    line("blob", format!("{} bytes", words::count(json.blob_bytes)));
    line(
        "signed",
        match &json.signature {
            Some(Signature { key_id, valid: Some(true) }) => format!("with key {key_id}: it fits"),
            Some(Signature { key_id, .. }) => format!("with key {key_id}, as it says; --key checks it"),
            None => "no".to_owned(),
        },
    );
    line("work", format!("{} multiply-accumulates in {} steps", words::macs(json.macs), words::count(json.steps)));
    let sides = [("input", &json.inputs), ("output", &json.outputs)];
    for (what, io) in sides.into_iter().flat_map(|(what, all)| all.iter().map(move |io| (what, io))) {
        line(what, format!("`{}` {}", io.name, io.describe(ui.unicode)));
    }
    if !json.labels.is_empty() {
        line("labels", words::short(&json.labels.join(", "), 100));
    }
    text.push('\n');
    text.push_str(&ops_table(&json.ops, ui));
    if let Some(plan) = &json.plan {
        text.push_str(&plan_text(plan));
    }
    text
}

fn ops_table(ops: &[Op], ui: &Ui) -> String {
    let mut head = vec![
        ("op", Align::Right),
        ("kind", Align::Left),
        ("result", Align::Right),
        ("MACs", Align::Right),
        ("weights", Align::Right),
        ("alive", Align::Right),
        ("segment", Align::Right),
    ];
    let twice = ops.iter().any(|o| o.recomputes.is_some());
    if twice {
        head.push(("again", Align::Right));
    }
    let named = ops.iter().any(|o| o.name.is_some());
    if named {
        head.push(("name", Align::Left));
    }
    let number = |n: u64| if n == 0 { "-".to_owned() } else { words::count(n) };
    let row = |o: &Op| {
        let mut cells = vec![
            o.index.to_string(),
            o.kind.to_owned(),
            words::shape(&o.shape, ui.unicode),
            number(o.macs.into()),
            number(o.weights_bytes),
            number(o.peak_bytes),
            o.segment.to_string(),
        ];
        if twice {
            cells.push(o.recomputes.map_or_else(|| "-".to_owned(), |first| format!("op {first}")));
        }
        if named {
            cells.push(words::short(o.name.as_deref().unwrap_or_default(), 40));
        }
        cells
    };
    words::table(&head, &ops.iter().map(row).collect::<Vec<_>>())
}

/// A region's name for people.
fn memory_name(region: u8) -> &'static str {
    match region {
        region::MAIN => "arena",
        region::FAST => "fast",
        region::STATE => "state",
        _ => "?",
    }
}

fn plan_text(plan: &Plan) -> String {
    let head = [
        ("buffer", Align::Right),
        ("memory", Align::Left),
        ("offset", Align::Right),
        ("bytes", Align::Right),
        ("ring", Align::Right),
        ("steps", Align::Right),
        ("holds", Align::Left),
    ];
    let row = |b: &Buffer| {
        let ring = if b.ring_rows == 0 { "whole".to_owned() } else { format!("{} rows", b.ring_rows) };
        let life = match (b.first_step, b.last_step) {
            (Some(first), Some(last)) => format!("{first}..{last}"),
            _ => "never".to_owned(),
        };
        let holds = words::short(&b.holds.join(", "), 60);
        let memory = memory_name(b.region).to_owned();
        vec![b.index.to_string(), memory, words::count(b.offset), words::count(b.length), ring, life, holds]
    };
    let mut text = format!("\n{}", words::table(&head, &plan.buffers.iter().map(row).collect::<Vec<_>>()));
    text.push_str(&format!("  {DIM}bytes 0..{} are row counters{DIM:#}\n\n", plan.counter_bytes));
    let head = [("segment", Align::Right), ("ops", Align::Left), ("scratch", Align::Right)];
    let row = |s: &Segment| {
        let last = u32::from(s.first_op) + u32::from(s.ops) - 1;
        let scratch = if s.scratch_bytes == 0 { "-".to_owned() } else { words::count(s.scratch_bytes) };
        vec![s.index.to_string(), format!("{}..{last}", s.first_op), scratch]
    };
    text.push_str(&words::table(&head, &plan.segments.iter().map(row).collect::<Vec<_>>()));
    text.push('\n');
    text
}
