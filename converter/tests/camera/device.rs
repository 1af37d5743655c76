//! On the device: bytes go in as they are.

use carafe::blob::Cpu;
use carafe::{DType, Model, Session};
use carafe_converter::dataset::{Color, Filter, Preprocess, Resize, ResizeTo};
use carafe_converter::plan::{self, PlanOptions};
use carafe_converter::{Converted, InputKind, Options, convert, evaluate, lower, passes, twin, write};
use carafe_graph::{BinaryOp, Graph, Op, Tensor, UnaryOp, exec};
use proptest::prelude::*;

use super::nets::*;

fn converted_as(g: &Graph, p: &Preprocess, input: InputKind) -> Converted {
    let shape = &g.value(g.inputs[0]).shape;
    let n = shape.iter().product();
    let samples: Vec<Vec<Tensor>> = (0..32).map(|seed| vec![normalized(shape, &bytes(n, seed), p)]).collect();
    let options = Options { input, preprocess: p.clone(), ..Options::default() };
    convert(g.clone(), &samples, &options, &()).unwrap()
}

fn converted(g: &Graph, p: &Preprocess) -> Converted {
    converted_as(g, p, InputKind::U8)
}

fn run(blob: &[u8], input: &[u8]) -> Vec<u8> {
    let model = Model::verify(blob, carafe::ops::ALL).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    twin::run(&mut Session::new(model), &mut arena, &[input.to_vec()], ()).unwrap().concat()
}

/// Networks whose first layers are of every kind that takes bytes.
fn net(which: usize) -> Graph {
    let (mut g, x) = graph(&[1, 6, 5, 3]);
    let y = match which {
        0 => conv(&mut g, x, 4, 1, 1, 3),
        1 => conv(&mut g, x, 3, 3, 1, 3),
        2 => conv(&mut g, x, 6, 3, 1, 3),
        3 => dense(&mut g, x, 4, 3),
        4 => g.add_node("tanh", "test", Op::Unary(UnaryOp::Tanh), [x]).unwrap(),
        _ => x,
    };
    let y = g.add_node("relu", "test", Op::Unary(UnaryOp::Relu), [y]).unwrap();
    g.outputs = vec![y];
    g
}

/// Signal to noise of the answers against float, in dB.
fn sqnr(g: &Graph, p: &Preprocess, blob: &[u8]) -> f64 {
    let model = Model::verify(blob, carafe::ops::ALL).unwrap();
    let out = model.output(0).unwrap();
    let (mut signal, mut noise) = (0.0, 0.0);
    for seed in 100..108 {
        let x = bytes(90, seed);
        let real = normalized(&[1, 6, 5, 3], &x, p);
        let input = evaluate::input_bytes(&model, 0, real.as_f32().unwrap()).unwrap();
        assert!(model.input(0).unwrap().dtype == DType::I8 || input == x, "the camera's bytes come back");
        let want = exec::run(g, &[real]).unwrap();
        for (w, q) in want[0].as_f32().unwrap().iter().zip(run(blob, &input)) {
            let got = evaluate::dequantize(q, out.scale.unwrap(), out.zero_point);
            signal += f64::from(w * w);
            noise += f64::from((w - got) * (w - got));
        }
    }
    10.0 * (signal / noise.max(1e-12)).log10()
}

#[test]
fn answers_are_as_near_to_float_as_those_of_int8() {
    for which in 0..6 {
        for p in [
            preprocess(&[127.0], &[127.5]),
            preprocess(&[127.5], &[127.5]),
            preprocess(&[], &[]),
            preprocess(&[123.675, 116.28, 103.53], &[58.395, 57.12, 57.375]),
            preprocess(&[-300.0], &[100.0]),
        ] {
            let g = net(which);
            let [bytes, int8] = [InputKind::U8, InputKind::I8].map(|kind| {
                let c = converted_as(&g, &p, kind);
                let model = Model::verify(&c.blob, carafe::ops::ALL).unwrap();
                let io = model.input(0).unwrap();
                assert_eq!(io.dtype, if kind == InputKind::U8 { DType::U8 } else { DType::I8 });
                assert_eq!(model.tensor(io.tensor).unwrap().dtype, io.dtype);
                sqnr(&g, &p, &c.blob)
            });
            // Half a byte in the padding, where the mean is no byte, costs a little.
            assert!(bytes >= int8 - 1.5, "net {which}, {:?}: {bytes} dB, int8 {int8} dB", p.mean);
        }
    }
}

#[test]
fn a_byte_counted_from_0_is_an_int8_counted_from_minus_128() {
    for which in 0..6 {
        let p = preprocess(&[100.0], &[64.0]);
        let c = converted(&net(which), &p);
        // The same quantized graph, with an input of int8.
        let signed = lower::lower(&c.quantized, None, Cpu::Portable).unwrap();
        let plan = plan::plan(&signed, &PlanOptions::default()).unwrap();
        let signed = write::write(&signed, &plan, &[], &Options::default().write).unwrap();
        for seed in 0..8 {
            let x = bytes(90, seed);
            let flipped: Vec<u8> = x.iter().map(|b| b ^ 0x80).collect();
            assert_eq!(run(&c.blob, &x), run(&signed, &flipped), "net {which}");
        }
    }
}

#[test]
fn an_input_that_only_moves_needs_no_table() {
    let c = converted(&net(5), &preprocess(&[], &[]));
    assert!(c.camera.unwrap().folded.is_empty());
    let x: Vec<u8> = (0..90).map(|i| i * 2).collect();
    let model = Model::verify(&c.blob, carafe::ops::ALL).unwrap();
    let out = model.output(0).unwrap();
    let got: Vec<f32> =
        run(&c.blob, &x).iter().map(|&q| evaluate::dequantize(q, out.scale.unwrap(), out.zero_point)).collect();
    for (x, y) in x.iter().zip(got) {
        assert!((f32::from(*x) - y).abs() <= 0.51, "{x} {y}");
    }
}

#[test]
fn every_plan_gives_the_same_bits() {
    for which in 0..6 {
        let (mut g, _) = (net(which), ());
        let y = g.outputs[0];
        let y = conv(&mut g, y, 5, 1, 1, 11);
        g.outputs = vec![y];
        let p = preprocess(&[120.4], &[60.0]);
        let c = converted(&g, &p);
        let section = &[][..];
        let x = bytes(90, 5);
        let want = run(&c.blob, &x);
        for push_rows in [false, true] {
            for cuts in [None, Some(vec![]), Some((1..c.lowered.nodes.len()).collect()), Some(vec![1])] {
                let plan = plan::plan(&c.lowered, &PlanOptions { push_rows, cuts, ..PlanOptions::default() }).unwrap();
                let blob = write::write(&c.lowered, &plan, section, &Options::default().write).unwrap();
                assert_eq!(run(&blob, &x), want, "net {which}");
            }
        }
    }
}

#[test]
fn the_blob_says_how_data_become_its_input() {
    let p = Preprocess {
        resize: Some(Resize { filter: Filter::Bilinear, to: ResizeTo::ShortSide(7) }),
        crop: Some((6, 5)),
        color: Color::Bgr,
        ..preprocess(&[127.0], &[127.5])
    };
    let c = converted(&net(0), &p);
    let model = Model::verify(&c.blob, carafe::ops::ALL).unwrap();
    assert_eq!(Preprocess::of_model(&model), p);
    let io = model.input(0).unwrap();
    assert_eq!((io.zero(), io.scale), (127, Some(1.0 / 127.5)));
    // 12 bytes in the section table, 12 of the record, 8 of mean and scale.
    let plain = write::write(&c.lowered, &c.plan, &[], &Options::default().write).unwrap();
    assert!(c.blob.len() - plain.len() <= 32 + 15, "constants may move to their alignment");
    let plain = Model::verify(&plain, carafe::ops::ALL).unwrap();
    assert_eq!(Preprocess::of_model(&plain), Preprocess::default());
}

#[test]
fn only_inputs_of_ops_that_read_bytes_may_be_bytes() {
    // A lowering that forgot the table in front of a pooling.
    let c = converted(&net(0), &preprocess(&[], &[]));
    let mut lowered = c.lowered.clone();
    lowered.nodes[0].out.dtype = DType::U8;
    assert!(plan::plan(&lowered, &PlanOptions::default()).is_err());
    let (mut g, x) = graph(&[1, 6, 5, 3]);
    let y = g.add_node("relu", "test", Op::Unary(UnaryOp::Relu), [x]).unwrap();
    let y = g.add_node(
        "sum",
        "test",
        Op::Binary { op: carafe_graph::BinaryOp::Add, activation: Default::default() },
        [x, y],
    );
    g.outputs = vec![y.unwrap()];
    let (folded, camera) = passes::take_bytes(&g, &preprocess(&[], &[])).unwrap();
    assert!(camera.folded.is_empty());
    assert_eq!(folded.nodes[1].origin, "preprocessing", "a sum gets int8");
    converted(&g, &preprocess(&[], &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bits_do_not_depend_on_how_bytes_are_counted(
        which in 0usize..6, mean in 0f32..255.0, scale in 1f32..300.0, x in proptest::collection::vec(any::<u8>(), 90),
    ) {
        let c = converted(&net(which), &preprocess(&[mean], &[scale]));
        let signed = lower::lower(&c.quantized, None, Cpu::Portable).unwrap();
        let plan = plan::plan(&signed, &PlanOptions::default()).unwrap();
        let signed = write::write(&signed, &plan, &[], &Options::default().write).unwrap();
        let flipped: Vec<u8> = x.iter().map(|b| b ^ 0x80).collect();
        prop_assert_eq!(run(&c.blob, &x), run(&signed, &flipped));
    }
}

/// `(x − mean) / std` inside the model, in front of a convolution that pads: int8 inputs get a layer for it, bytes take
/// it into their meaning.
#[test]
fn a_normalization_per_channel_inside_the_model() {
    let (mut g, x) = graph(&[1, 8, 8, 3]);
    let y = binary(&mut g, BinaryOp::Sub, x, Tensor::f32([1, 1, 1, 3], vec![120.0, 110.0, 100.0]));
    let y = binary(&mut g, BinaryOp::Div, y, Tensor::f32([3], vec![60.0, 50.0, 40.0]));
    let y = conv(&mut g, y, 8, 1, 1, 3);
    g.outputs = vec![y];
    let samples: Vec<Vec<Tensor>> =
        (0..16).map(|seed| vec![normalized(&[1, 8, 8, 3], &bytes(192, seed), &Preprocess::default())]).collect();
    for (input, ops) in [(InputKind::I8, 2), (InputKind::U8, 2)] {
        let options = Options { input, ..Options::default() };
        let c = convert(g.clone(), &samples, &options, &()).unwrap();
        assert_eq!(c.lowered.nodes.len(), ops, "{input:?}");
        let e = evaluate::evaluate(&c.blob, &c.optimized, &samples, None, &|_| {}).unwrap();
        assert!(e.sqnr_db > 35.0, "{input:?}: {} dB", e.sqnr_db);
    }
}
