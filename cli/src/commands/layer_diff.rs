use std::path::PathBuf;
use std::time::Instant;

use carafe::blob::StringKind;
use carafe::{Model, OpCode};
use carafe_boards::Board;
use carafe_hil::{Finding, LayerDiff, Target};
use serde::Serialize;

use crate::board::{self, PortOf, Ways};
use crate::failure::{Reported, Usage};
use crate::inputs::InputArgs;
use crate::tensors::{self, Io};
use crate::ui::{DIM, ERROR, GOOD, Ui};
use crate::{files, words};

/// Find the first row of the first tensor that two boards make different
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code: 0 if nothing differs, 1 if something does, 2 for errors.\n\nExample:\n  carafe \
                        layer-diff kws.carafe --boards host,qemu-mps2-an386 --samples 5")]
pub struct Args {
    /// The blob
    #[arg(value_name = "FILE.carafe")]
    file: PathBuf,
    /// Two boards; `carafe boards` lists them
    #[arg(
        long,
        value_name = "A,B",
        required = true,
        value_delimiter = ',',
        value_parser = board::parser(),
        help_heading = "Board"
    )]
    boards: Vec<&'static Board>,
    /// Firmwares in place of those that are built from the checkout: the first for the first board that takes one
    #[arg(long, value_name = "ELF", help_heading = "Board")]
    firmware: Vec<PathBuf>,
    /// The serial port of one of the boards, with its firmware on it already
    #[arg(long, value_name = "BOARD=PATH[@BAUD]", help_heading = "Board")]
    port: Vec<PortOf>,
    /// Noise to run on, where no input is given
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["input", "raw_int8"])]
    seed: u32,
    /// How many samples; a model with a state takes them as steps of one sequence
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    samples: u32,
    #[command(flatten)]
    input: InputArgs,
}

#[derive(Serialize)]
struct Json {
    boards: [&'static str; 2],
    same: bool,
    /// That agreed, as `rows` and `nodes`.
    samples: usize,
    rows: usize,
    nodes: usize,
    difference: Option<Difference>,
    seconds: f64,
}

/// The first one.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Difference {
    /// An op makes another row of operands that agree.
    Row(Row),
    /// The boards make other rows, or in another order.
    Order { sample: usize, rows_before: usize, made: [Option<Made>; 2] },
    /// Every row agrees when it is made, an output does not.
    Output { sample: usize, output: usize, byte: usize, values: [Option<i8>; 2] },
}

#[derive(Serialize)]
struct Row {
    sample: usize,
    op: Op,
    row: u16,
    /// CRC-32 on each board.
    crcs: [u32; 2],
    /// None if the row agreed when it was made once more.
    element: Option<Element>,
    /// What the op reads.
    operands: Vec<Operand>,
}

#[derive(Serialize)]
struct Op {
    index: u16,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    shape: [u16; 3],
}

#[derive(Serialize)]
struct Element {
    column: u16,
    channel: u16,
    values: [i8; 2],
    /// Elements of the row.
    differing: usize,
    elements: usize,
}

#[derive(Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum Operand {
    Op(Op),
    Input { name: String },
}

#[derive(Serialize)]
struct Made {
    op: Op,
    row: u16,
}

/// Compares.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let Ok(boards) = <[&'static Board; 2]>::try_from(&args.boards[..]) else {
        let which = words::several(args.boards.len(), "board");
        return Err(Usage(format!("two boards are held against each other, {which} given: `--boards A,B`")).into());
    };
    let mut ways = Ways::new(&boards, &args.port, &args.firmware)?;
    let blob = files::read_blob(&args.file)?;
    let model = files::verify(&args.file, &blob)?;
    let count = usize::try_from(args.samples).unwrap_or(usize::MAX);
    let samples = if args.input.is_empty() {
        (0..args.samples).map(|i| super::profile::noise(&model, args.seed.wrapping_add(i))).collect()
    } else {
        args.input.read_many(&args.file, &model, count, ui)?
    };

    let mut open = |board| board::open(board, ways.next(board), ui);
    let mut targets: [Box<dyn Target>; 2] = [open(boards[0])?, open(boards[1])?];
    let begun = Instant::now();
    let meter = ui.meter(&format!("run on {} and {}", boards[0].name, boards[1].name), 0);
    let found = LayerDiff::run(&mut targets, &blob, &samples, board::LIMIT);
    drop(meter);
    let found = found?;
    let json = Json {
        boards: boards.map(|board| board.name),
        same: found.is_same(),
        samples: found.samples,
        rows: found.rows,
        nodes: found.nodes,
        difference: difference(&model, &found),
        seconds: begun.elapsed().as_secs_f64(),
    };
    ui.answer(&json, || text(&json, ui))?;
    if json.same { Ok(()) } else { Err(Reported.into()) }
}

fn op(model: &Model<'_>, index: u16) -> Op {
    let tensor = model.tensor(index);
    Op {
        index,
        kind: model.node(index).map_or("?", |node| OpCode(node.header.op).name()),
        name: model.strings().find(StringKind::Node, index).map(str::to_owned),
        shape: tensor.map_or([0; 3], |t| [t.h, t.w, t.c]),
    }
}

fn operands(model: &Model<'_>, index: u16) -> Vec<Operand> {
    let Ok(node) = model.node(index) else { return vec![] };
    let inputs: Vec<Io> = tensors::inputs(model);
    let one = |tensor: u16| {
        if tensor < model.nodes() {
            return Some(Operand::Op(op(model, tensor)));
        }
        let input = (0..inputs.len()).position(|i| model.input(i).is_some_and(|io| io.tensor == tensor))?;
        Some(Operand::Input { name: inputs[input].name.clone() })
    };
    let second = node.in1.map(|_| node.header.in1);
    [Some(node.header.in0), second].into_iter().flatten().filter_map(one).collect()
}

fn difference(model: &Model<'_>, found: &LayerDiff) -> Option<Difference> {
    match found.finding {
        Finding::Row(row) => Some(Difference::Row(Row {
            sample: row.sample,
            op: op(model, row.node),
            row: row.row,
            crcs: row.crcs,
            element: row.element.map(|e| Element {
                column: e.column,
                channel: e.channel,
                values: e.values,
                differing: e.differing,
                elements: e.elements,
            }),
            operands: operands(model, row.node),
        })),
        Finding::Order(order) => Some(Difference::Order {
            sample: order.sample,
            rows_before: order.at,
            made: order.rows.map(|made| made.map(|(node, row)| Made { op: op(model, node), row })),
        }),
        Finding::Output(d) => {
            let values = [d.want, d.got];
            Some(Difference::Output { sample: d.case, output: d.output, byte: d.byte, values })
        }
        _ => None,
    }
}

impl Op {
    /// `op 3, DepthwiseConv2d "block1/dw"`
    fn describe(&self) -> String {
        let name = self.name.as_ref().map_or_else(String::new, |name| format!(" \"{}\"", words::short(name, 40)));
        format!("op {}, {}{name}", self.index, self.kind)
    }
}

/// What the boards are called; two of a name are told apart.
fn names([a, b]: [&str; 2]) -> [String; 2] {
    if a == b { [format!("first {a}"), format!("second {b}")] } else { [a.to_owned(), b.to_owned()] }
}

fn text(json: &Json, ui: &Ui) -> String {
    let [a, b] = names(json.boards);
    let (rows, nodes) = (words::several(json.rows, "row"), words::several(json.nodes, "op"));
    let mut text = match &json.difference {
        None => format!(
            "{GOOD}{a} and {b} agree{GOOD:#}: {rows} of {nodes}, and all outputs, in {}\n",
            words::several(json.samples, "sample")
        ),
        Some(Difference::Row(row)) => of_row(json, row, ui),
        Some(Difference::Order { sample, rows_before, made }) => {
            let shown = |made: &Option<Made>| {
                made.as_ref().map_or_else(
                    || "nothing more".to_owned(),
                    |Made { op, row }| format!("row {row} of {}", op.describe()),
                )
            };
            format!(
                "{ERROR}{a} and {b} do not make the same rows{ERROR:#}: after {rows_before} rows of sample {sample}, {a} \
                 makes {}, {b} {}\n  They do not run the plan in the same order: one firmware is of another version. \
                 Build it again.\n",
                shown(&made[0]),
                shown(&made[1])
            )
        }
        Some(Difference::Output { sample, output, byte, values }) => {
            let shown = |value: Option<i8>| value.map_or_else(|| "nothing".to_owned(), |v| v.to_string());
            format!(
                "{ERROR}output {output} differs{ERROR:#} in byte {byte} of sample {sample}: {a} {}, {b} {}\n  Every row \
                 of it agreed when it was made: something has written over it since.\n",
                shown(values[0]),
                shown(values[1])
            )
        }
    };
    if json.difference.is_some() {
        text.push_str(&format!("  {DIM}before it, {rows} of {nodes} agree{DIM:#}\n"));
    }
    text
}

fn of_row(json: &Json, row: &Row, ui: &Ui) -> String {
    let [a, b] = names(json.boards);
    let mut text = format!(
        "{ERROR}{a} and {b} differ{ERROR:#}, first in row {} of {}\n  {:9} {}\n  {:9} {}\n",
        row.row,
        row.op.describe(),
        "result",
        words::shape(&row.op.shape, ui.unicode),
        "sample",
        row.sample
    );
    match &row.element {
        Some(e) => text.push_str(&format!(
            "  {:9} column {}, channel {}: {a} {}, {b} {}\n  {:9} {} of {}\n",
            "element",
            e.column,
            e.channel,
            e.values[0],
            e.values[1],
            "differing",
            e.differing,
            words::several(e.elements, "element")
        )),
        None => text.push_str(&format!(
            "  {:9} {a} {:08x}, {b} {:08x}, but the same when the row was made once more: one of them does not give the \
             same bits twice\n",
            "CRC-32", row.crcs[0], row.crcs[1]
        )),
    }
    for operand in &row.operands {
        let what = match operand {
            Operand::Op(op) => format!("{}: agrees in all rows made so far", op.describe()),
            Operand::Input { name } => format!("input `{name}`: given to both"),
        };
        text.push_str(&format!("  {:9} {what}\n", "operand"));
    }
    text
}
