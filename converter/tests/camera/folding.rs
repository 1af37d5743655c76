//! In float: the graph that takes bytes computes what the normalised one does.

use carafe_converter::dataset::Preprocess;
use carafe_converter::passes::take_bytes;
use carafe_graph::{BinaryOp, Graph, Layout, Op, Pads, Pool2d, PoolKind, Tensor, exec};
use proptest::prelude::*;

use super::nets::*;

/// The greatest difference between the two, over a few inputs, and the kinds of nodes of the graph that takes bytes.
fn compare(g: &Graph, p: &Preprocess) -> (f32, Vec<&'static str>) {
    let (folded, camera) = take_bytes(g, p).unwrap();
    folded.check().unwrap();
    let shape = &g.value(g.inputs[0]).shape;
    let mut worst = 0.0f32;
    for seed in 0..3 {
        let x = bytes(shape.iter().product(), seed);
        let x = normalized(shape, &x, p);
        let want = exec::run(g, std::slice::from_ref(&x)).unwrap();
        let got = exec::run(&folded, &[camera.sample(&x)]).unwrap();
        for (w, g) in want.iter().zip(&got) {
            for (w, g) in w.as_f32().unwrap().iter().zip(g.as_f32().unwrap()) {
                worst = worst.max((w - g).abs() / (1.0 + w.abs()));
            }
        }
    }
    let kinds = folded.nodes.iter().skip(1).map(|n| n.op.kind()).collect();
    assert_eq!(folded.nodes[0].op, Op::FakeQuantize { levels: 256 }, "the range of the input is known");
    (worst, kinds)
}

fn one_conv(groups: usize, pad: usize) -> Graph {
    let (mut g, x) = graph(&[1, 5, 6, 3]);
    let y = conv(&mut g, x, 6, groups, pad, 3);
    g.outputs = vec![y];
    g
}

#[test]
fn a_mean_that_is_a_byte_costs_nothing() {
    let g = one_conv(1, 1);
    for p in [preprocess(&[127.0], &[127.5]), preprocess(&[], &[255.0]), preprocess(&[], &[])] {
        let (folded, camera) = take_bytes(&g, &p).unwrap();
        assert_eq!(folded.nodes[1].inputs[1..], g.nodes[0].inputs[1..], "weights and bias stay as they are");
        assert_eq!(camera.folded, ["conv3"]);
        let (worst, _) = compare(&g, &p);
        assert!(worst < 1e-4, "{worst}");
    }
}

#[test]
fn halves_are_exact_inside_and_half_a_byte_off_in_the_padding() {
    let p = preprocess(&[127.5], &[127.5]);
    assert!(compare(&one_conv(1, 0), &p).0 < 1e-4);
    let (worst, kinds) = compare(&one_conv(1, 1), &p);
    // At most 5 of 9 taps of 3 channels lie in the padding, weights are below 1, and half a byte is 0.5 / 127.5.
    assert!(worst > 1e-4 && worst < 15.0 * 0.5 / 127.5, "{worst}");
    assert_eq!(kinds, ["Conv2d"]);
}

#[test]
fn channels_of_their_own_fold_unless_the_padding_would_be_wrong() {
    let p = preprocess(&[123.675, 116.28, 103.53], &[58.395, 57.12, 57.375]);
    assert_eq!(compare(&one_conv(1, 0), &p).1, ["Conv2d"]);
    assert_eq!(compare(&one_conv(1, 1), &p).1, ["Conv2d", "Conv2d"]);
    let close = preprocess(&[127.0, 127.5, 127.4], &[58.395, -57.12, 57.375]);
    assert_eq!(compare(&one_conv(3, 1), &close).1, ["Conv2d"]);
    for pad in [0, 1] {
        for groups in [1, 3] {
            let (worst, _) = compare(&one_conv(groups, pad), &p);
            assert!(worst < 1e-3, "{pad} {groups}: {worst}");
        }
    }
}

#[test]
fn all_readers_fold_or_none() {
    let (mut g, x) = graph(&[1, 5, 6, 3]);
    let (a, b) = (conv(&mut g, x, 6, 1, 1, 3), conv(&mut g, x, 6, 3, 1, 5));
    g.outputs = vec![a, b];
    let p = preprocess(&[100.0], &[50.0]);
    assert_eq!(take_bytes(&g, &p).unwrap().1.folded, ["conv3", "conv5"]);
    assert!(compare(&g, &p).0 < 1e-4);

    let pool =
        Pool2d { kind: PoolKind::Max, kernel: [2, 2], strides: [2, 2], pads: Pads::default(), layout: Layout::Nhwc };
    let c = g.add_node("pool", "test", Op::Pool2d(pool), [x]).unwrap();
    g.outputs.push(c);
    let (worst, kinds) = compare(&g, &p);
    assert_eq!(kinds, ["Add", "Conv2d", "Conv2d", "MaxPool"]);
    assert!(worst < 1e-4);
    // The input as an output, too.
    g.outputs.push(x);
    assert!(compare(&g, &p).0 < 1e-4);
}

#[test]
fn dense_layers_fold_over_any_number_of_axes() {
    for shape in [&[1, 7][..], &[1, 4, 7], &[1, 2, 4, 7]] {
        let (mut g, x) = graph(shape);
        let y = dense(&mut g, x, 5, 2);
        g.outputs = vec![y];
        for p in [preprocess(&[33.3], &[100.0]), preprocess(&[1., 2., 3., 4., 5., 6., 7.], &[255.0])] {
            let (worst, kinds) = compare(&g, &p);
            assert_eq!(kinds, ["Dense"]);
            assert!(worst < 1e-4, "{worst}");
        }
    }
}

#[test]
fn arithmetic_at_the_front_of_the_model_is_taken_in() {
    // Keras' Rescaling(1/127.5, offset=-1), as `ovc` writes it, and a normalisation per channel behind it.
    let (mut g, x) = graph(&[1, 5, 6, 3]);
    let y = binary(&mut g, BinaryOp::Mul, x, Tensor::f32([], vec![1.0 / 127.5]));
    let y = binary(&mut g, BinaryOp::Add, y, Tensor::f32([1], vec![-1.0]));
    let mut limit = |x: f32| g.add_constant("limit", Tensor::f32([], vec![x]));
    let (low, high) = (limit(-1.0), limit(1.0));
    let y = g.add_node("fq", "test", Op::FakeQuantize { levels: 256 }, [y, low, high, low, high]).unwrap();
    let y = conv(&mut g, y, 4, 1, 0, 9);
    g.outputs = vec![y];
    let (worst, kinds) = compare(&g, &preprocess(&[], &[]));
    assert_eq!(kinds, ["Conv2d"]);
    assert!(worst < 1e-4, "{worst}");

    let (mut g, x) = graph(&[1, 5, 6, 3]);
    let y = binary(&mut g, BinaryOp::Sub, x, Tensor::f32([1, 1, 1, 3], vec![0.4, 0.5, 0.6]));
    let y = binary(&mut g, BinaryOp::Div, y, Tensor::f32([1, 1, 1, 3], vec![0.2, 0.25, 0.3]));
    let y = conv(&mut g, y, 4, 1, 0, 9);
    g.outputs = vec![y];
    let (worst, kinds) = compare(&g, &preprocess(&[], &[255.0]));
    assert_eq!(kinds, ["Conv2d"]);
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn what_cannot_take_bytes_is_refused() {
    let (mut g, x) = graph(&[1, 4]);
    let y = g.add_node("relu", "test", Op::Unary(carafe_graph::UnaryOp::Relu), [x]).unwrap();
    g.outputs = vec![y];
    for p in [preprocess(&[1.0, 2.0], &[]), preprocess(&[1.0, 2.0, 3.0, 4.0], &[])] {
        let text = take_bytes(&g, &p).unwrap_err().to_string();
        assert!(text.contains("`x`") && text.contains("int8"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_in_give_the_same_out(
        mean in proptest::collection::vec(-20f32..280.0, 0..4), scale in proptest::collection::vec(10f32..300.0, 0..4),
        negative in any::<bool>(), depthwise in any::<bool>(), pad in 0usize..2, which in 0usize..3,
    ) {
        let list = |v: Vec<f32>| match v.len() { 2 => v[..1].to_vec(), _ => v };
        let mut p = preprocess(&list(mean), &list(scale));
        p.scale.iter_mut().filter(|_| negative).for_each(|s| *s = -*s);
        let (mut g, x) = graph(&[1, 5, 4, 3]);
        let y = match which {
            0 => conv(&mut g, x, 6, if depthwise { 3 } else { 1 }, pad, 3),
            1 => dense(&mut g, x, 6, 3),
            _ => g.add_node("relu", "test", Op::Unary(carafe_graph::UnaryOp::Relu), [x]).unwrap(),
        };
        g.outputs = vec![y];
        let smallest = p.scale.iter().fold(f32::MAX, |m, s| m.min(s.abs())).min(if p.scale.is_empty() { 1.0 } else { f32::MAX });
        let (worst, _) = compare(&g, &p);
        // Half a byte in every tap that may be padding.
        let in_padding = if which == 0 && pad > 0 { 15.0 * 0.5 / smallest } else { 0.0 };
        prop_assert!(worst <= in_padding + 2e-3, "{worst} {in_padding}");
    }
}
