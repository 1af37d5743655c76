//! Row by row: boards make each row of each tensor as the host does, and a kernel that is broken on purpose is named.

use carafe::{Model, OpCode};
use carafe_broken_kernel as broken;
use carafe_hil::{Finding, Host, LayerDiff, Qemu, QemuOptions, Target, firmware};

use crate::models::{self, Prepared};
use crate::{BOARD, LIMIT};

/// Inputs that a model is compared on; those of a model with state go on from one to the next.
const SAMPLES: usize = 3;
/// A larger blob takes seconds for an inference on an emulated board: it is compared on one input.
const LARGE: usize = 1 << 20;

fn host() -> Box<dyn Target> {
    Box::new(Host::new())
}

/// A board with a firmware of these features, or `None` where there is no emulator.
fn board(test: &str, features: &[&str]) -> Option<Box<dyn Target>> {
    let board = carafe_boards::find(BOARD).unwrap();
    if let carafe_boards::Availability::Missing { why_not } = board.availability() {
        println!("skipped: {test} on {BOARD}: {why_not}");
        return None;
    }
    let mut options = QemuOptions::default();
    options.firmware = Some(firmware::build_with(board, features).unwrap());
    Some(Box::new(Qemu::start(BOARD, options).unwrap()))
}

fn samples(model: &Prepared) -> &[Vec<Vec<u8>>] {
    let most = if model.suite.blob.len() > LARGE { 1 } else { SAMPLES };
    &model.suite.cases[..most.min(model.suite.cases.len())]
}

/// The first depthwise convolution that makes a row [`broken::ROW`], in the order of the plan, and that its row has the
/// element that is broken.
fn first_broken(model: &Model<'_>) -> Option<u16> {
    (0..model.nodes()).find(|&n| {
        let (node, tensor) = (model.node(n).unwrap(), model.tensor(n).unwrap());
        OpCode(node.header.op) == OpCode::DepthwiseConv2d
            && tensor.h > broken::ROW
            && tensor.w > broken::COLUMN
            && tensor.c > broken::CHANNEL
    })
}

#[test]
fn no_row_differs_on_a_board() {
    let Some(mut board) = board("no_row_differs_on_a_board", &[]) else { return };
    for model in models::prepared("no_row_differs_on_a_board") {
        let suite = &model.suite;
        let mut pair = [host(), board];
        let diff = LayerDiff::run(&mut pair, &suite.blob, samples(model), LIMIT).unwrap();
        [_, board] = pair;
        assert!(diff.is_same(), "{}: {diff:?}", suite.name);
        assert_eq!(diff.samples, samples(model).len(), "{}", suite.name);
        // Every row of every tensor is compared, but for those that are cut off: nobody asks for them.
        let blob = Model::verify(&suite.blob, carafe::ops::ALL).unwrap();
        let rows: usize = (0..blob.nodes()).map(|n| usize::from(blob.tensor(n).unwrap().h)).sum();
        let cut = (0..blob.nodes()).any(|n| OpCode(blob.node(n).unwrap().header.op) == OpCode::Slice);
        let all = rows * diff.samples;
        assert!(diff.rows == all || cut && diff.rows < all, "{}: {} rows of {all}", suite.name, diff.rows);
        assert_eq!(diff.nodes, usize::from(blob.nodes()), "{}", suite.name);
        println!("{}: {} rows of {} ops agree", suite.name, diff.rows, diff.nodes);
    }
}

#[test]
fn a_broken_kernel_is_named_with_row_column_and_channel() {
    let test = "a_broken_kernel_is_named_with_row_column_and_channel";
    let models = models::prepared(test);
    let mut targets = vec![Box::new(Host::with_registry(broken::OPS)) as Box<dyn Target>];
    targets.extend(board(test, &["broken-kernel"]));
    let mut found = 0;
    for target in targets {
        let mut pair = [host(), target];
        for model in models {
            let suite = &model.suite;
            let blob = Model::verify(&suite.blob, carafe::ops::ALL).unwrap();
            let Some(node) = first_broken(&blob) else { continue };
            let diff = LayerDiff::run(&mut pair, &suite.blob, samples(model), LIMIT).unwrap();
            let (name, on) = (&suite.name, pair[1].id());
            let Finding::Row(row) = diff.finding else { panic!("{name} on {on}: {diff:?}") };
            assert_eq!((row.sample, row.node, row.row), (0, node, broken::ROW), "{name} on {on}");
            let element = row.element.unwrap();
            assert_eq!((element.column, element.channel), (broken::COLUMN, broken::CHANNEL), "{name} on {on}");
            assert_eq!(element.values[0] ^ element.values[1], broken::BIT as i8, "{name} on {on}");
            assert_eq!(element.differing, 1, "{name} on {on}");
            println!("{name}: {on} differs in op {node}, after {} rows that agree", diff.rows);
            found += 1;
        }
    }
    // The bundled digits have such an op.
    assert!(found > 0);
}
