use super::*;
use crate::{Activation, BinaryOp, Conv2d, Layout, Pads, Pool2d, PoolKind, ReduceOp, UnaryOp};
use proptest::prelude::*;

fn node(op: Op) -> Node {
    Node { name: "n".into(), origin: "test".into(), op, inputs: vec![], outputs: vec![] }
}

fn eval(op: Op, operands: &[&Tensor]) -> Tensor {
    evaluate(&node(op), operands).unwrap()
}

fn t<const N: usize>(shape: &[usize], data: [f32; N]) -> Tensor {
    Tensor::f32(shape, data.to_vec())
}

/// Numbers without a pattern that a wrong index could hit by chance.
fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let data: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::f32(shape, data)
}

fn close(a: &Tensor, b: &Tensor) -> Result<(), TestCaseError> {
    prop_assert_eq!(&a.shape, &b.shape);
    for (x, y) in a.as_f32().unwrap().iter().zip(b.as_f32().unwrap()) {
        prop_assert!((x - y).abs() <= 1e-4 * (1.0 + x.abs()), "{} and {}", x, y);
    }
    Ok(())
}

/// Convolution as the sum that defines it, NCHW.
fn naive_conv(p: &Conv2d, x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Tensor {
    let &[n, c, h, wd] = x.shape.as_slice() else { panic!() };
    let &[o, cg, kh, kw] = w.shape.as_slice() else { panic!() };
    let out_shape = shape::infer_op(&Op::Conv2d(p.clone()), &[&x.shape, &w.shape]).unwrap();
    let (oh, ow) = (out_shape[2], out_shape[3]);
    let (xs, ws) = (x.as_f32().unwrap(), w.as_f32().unwrap());
    let mut out = vec![];
    for b_ in 0..n {
        for oc in 0..o {
            for oy in 0..oh {
                for ox in 0..ow {
                    let mut sum = b.map_or(0.0, |b| b.as_f32().unwrap()[oc]);
                    for i in 0..cg {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let iy = (oy * p.strides[0] + ky * p.dilations[0]) as isize - p.pads.top as isize;
                                let ix = (ox * p.strides[1] + kx * p.dilations[1]) as isize - p.pads.left as isize;
                                if iy >= 0 && ix >= 0 && iy < h as isize && ix < wd as isize {
                                    let ic = oc / (o / p.groups) * cg + i;
                                    sum += xs[((b_ * c + ic) * h + iy as usize) * wd + ix as usize]
                                        * ws[((oc * cg + i) * kh + ky) * kw + kx];
                                }
                            }
                        }
                    }
                    out.push(p.activation.apply(sum));
                }
            }
        }
    }
    Tensor::f32(out_shape, out)
}

fn to_nhwc(x: &Tensor) -> Tensor {
    eval(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[x])
}

fn to_nchw(x: &Tensor) -> Tensor {
    eval(Op::Transpose { perm: vec![0, 3, 1, 2] }, &[x])
}

proptest! {
    #[test]
    fn convolution_is_the_naive_sum_in_both_layouts(
        (batch, groups, cg, og) in (1..3usize, 1..4usize, 1..4usize, 1..4usize),
        (h, w, kh, kw) in (1..9usize, 1..9usize, 1..4usize, 1..4usize),
        strides in prop::array::uniform2(1..4usize),
        dilations in prop::array::uniform2(1..3usize),
        pads in prop::array::uniform4(0..3usize),
        has_bias: bool,
        relu: bool,
        seed: u64,
    ) {
        let pads = Pads { top: pads[0], left: pads[1], bottom: pads[2], right: pads[3] };
        let activation = if relu { Activation::Relu } else { Activation::Clamp(-0.5, 0.5) };
        let mut p = Conv2d { strides, dilations, pads, groups, layout: Layout::Nchw, activation };
        let x = noise(&[batch, groups * cg, h, w], seed);
        let weights = noise(&[groups * og, cg, kh, kw], seed ^ 1);
        let bias = has_bias.then(|| noise(&[groups * og], seed ^ 2));
        prop_assume!(shape::infer_op(&Op::Conv2d(p.clone()), &[&x.shape, &weights.shape]).is_ok());
        let expected = naive_conv(&p, &x, &weights, bias.as_ref());
        let with = |x| [x, &weights].into_iter().chain(&bias).collect::<Vec<_>>();
        close(&eval(Op::Conv2d(p.clone()), &with(&x)), &expected)?;
        p.layout = Layout::Nhwc;
        let x = to_nhwc(&x);
        close(&to_nchw(&eval(Op::Conv2d(p), &with(&x))), &expected)?;
    }

    #[test]
    fn pooling_agrees_in_both_layouts_and_with_the_definition(
        (c, h, w) in (1..4usize, 1..9usize, 1..9usize),
        kernel in prop::array::uniform2(1..4usize),
        strides in prop::array::uniform2(1..4usize),
        pads in prop::array::uniform4(0..3usize),
        kind in prop::sample::select(vec![PoolKind::Max, PoolKind::AverageExcludePad, PoolKind::AverageIncludePad]),
        seed: u64,
    ) {
        let pads = Pads { top: pads[0], left: pads[1], bottom: pads[2], right: pads[3] };
        let mut p = Pool2d { kind, kernel, strides, pads, layout: Layout::Nchw };
        let x = noise(&[1, c, h, w], seed);
        prop_assume!(shape::infer_op(&Op::Pool2d(p.clone()), &[&x.shape]).is_ok());
        let made = eval(Op::Pool2d(p.clone()), &[&x]);
        let (oh, ow) = (made.shape[2], made.shape[3]);
        let mut expected = vec![];
        for (channel, oy, ox) in (0..c).flat_map(|c| (0..oh).flat_map(move |y| (0..ow).map(move |x| (c, y, x)))) {
            let mut seen = vec![];
            for iy in (oy * strides[0])..(oy * strides[0] + kernel[0]) {
                for ix in (ox * strides[1])..(ox * strides[1] + kernel[1]) {
                    if iy >= pads.top && iy < h + pads.top && ix >= pads.left && ix < w + pads.left {
                        seen.push(x.as_f32().unwrap()[(channel * h + iy - pads.top) * w + ix - pads.left]);
                    }
                }
            }
            expected.push(match kind {
                PoolKind::Max => seen.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                PoolKind::AverageExcludePad => seen.iter().sum::<f32>() / seen.len() as f32,
                PoolKind::AverageIncludePad => seen.iter().sum::<f32>() / (kernel[0] * kernel[1]) as f32,
            });
        }
        close(&made, &Tensor::f32(made.shape.clone(), expected))?;
        p.layout = Layout::Nhwc;
        close(&to_nchw(&eval(Op::Pool2d(p), &[&to_nhwc(&x)])), &made)?;
    }

    #[test]
    fn matmul_is_the_naive_sum(
        (m, k, n) in (1..9usize, 1..20usize, 1..9usize),
        transpose_a: bool, transpose_b: bool, lead_a in 1..3usize, seed: u64,
    ) {
        let order = |r, c, t: bool| if t { [c, r] } else { [r, c] };
        let a = noise(&[&[lead_a, 1][..], &order(m, k, transpose_a)].concat(), seed);
        let b = noise(&[&[2][..], &order(k, n, transpose_b)].concat(), seed ^ 1);
        let (ad, bd) = (a.as_f32().unwrap(), b.as_f32().unwrap());
        let mut expected = vec![];
        for (la, lb, i, j) in (0..lead_a).flat_map(|la| (0..2).map(move |lb| (la, lb)))
            .flat_map(|(la, lb)| (0..m * n).map(move |i| (la, lb, i / n, i % n)))
        {
            expected.push((0..k).map(|l| {
                let x = if transpose_a { ad[la * m * k + l * m + i] } else { ad[la * m * k + i * k + l] };
                let y = if transpose_b { bd[lb * k * n + j * k + l] } else { bd[lb * k * n + l * n + j] };
                x * y
            }).sum::<f32>());
        }
        let made = eval(Op::MatMul { transpose_a, transpose_b }, &[&a, &b]);
        close(&made, &Tensor::f32(vec![lead_a, 2, m, n], expected))?;
    }

    #[test]
    fn broadcasting_reads_the_right_elements(
        extents in prop::collection::vec(1..4usize, 1..5),
        stretch_a in prop::collection::vec(any::<bool>(), 5),
        stretch_b in prop::collection::vec(any::<bool>(), 5),
        drop in 0..4usize, seed: u64,
    ) {
        let stretched = |s: &[bool]| extents.iter().zip(s).map(|(&d, s)| if *s { 1 } else { d }).collect::<Vec<_>>();
        let a = noise(&stretched(&stretch_a), seed);
        let b = noise(&stretched(&stretch_b)[drop.min(extents.len())..], seed ^ 1);
        let made = eval(Op::Binary { op: BinaryOp::Sub, activation: Activation::None }, &[&a, &b]);
        let rank = made.shape.len();
        let element = |t: &Tensor, at: &[usize]| {
            let at = &at[rank - t.shape.len()..];
            let flat = t.shape.iter().zip(at).fold(0, |f, (&d, &i)| f * d + i.min(d - 1));
            t.as_f32().unwrap()[flat]
        };
        for (flat, v) in made.as_f32().unwrap().iter().enumerate() {
            let mut at = vec![0; rank];
            let mut rest = flat;
            for axis in (0..rank).rev() {
                at[axis] = rest % made.shape[axis];
                rest /= made.shape[axis];
            }
            prop_assert_eq!(*v, element(&a, &at) - element(&b, &at));
        }
    }
}

#[test]
fn unary_ops_have_their_textbook_values() {
    let x = t(&[4], [-2.0, -0.5, 0.0, 3.0]);
    let check = |op: UnaryOp, expected: [f32; 4]| {
        let made = eval(Op::Unary(op), &[&x]);
        for (m, e) in made.as_f32().unwrap().iter().zip(expected) {
            assert!((m - e).abs() < 1e-5, "{op:?}: {m} is not {e}");
        }
    };
    check(UnaryOp::Relu, [0.0, 0.0, 0.0, 3.0]);
    check(UnaryOp::Clamp(-1.0, 1.0), [-1.0, -0.5, 0.0, 1.0]);
    check(UnaryOp::Sigmoid, [0.119203, 0.377541, 0.5, 0.952574]);
    check(UnaryOp::Tanh, [-0.964028, -0.462117, 0.0, 0.995055]);
    check(UnaryOp::HardSwish, [-1.0 / 3.0, -0.208333, 0.0, 3.0]);
    check(UnaryOp::HardSigmoid { alpha: 0.2, beta: 0.5 }, [0.1, 0.4, 0.5, 1.0]);
    check(UnaryOp::LeakyRelu(0.1), [-0.2, -0.05, 0.0, 3.0]);
    check(UnaryOp::Elu(2.0), [-1.729329, -0.786939, 0.0, 3.0]);
    check(UnaryOp::Swish(1.0), [-0.238406, -0.188770, 0.0, 2.857722]);
    check(UnaryOp::Gelu { tanh: false }, [-0.0455, -0.154269, 0.0, 2.99595]);
    check(UnaryOp::Gelu { tanh: true }, [-0.045402, -0.154286, 0.0, 2.996363]);
    check(UnaryOp::Mish, [-0.252501, -0.220743, 0.0, 2.986535]);
    check(UnaryOp::SoftPlus, [0.126928, 0.474077, std::f32::consts::LN_2, 3.048587]);
    check(UnaryOp::Exp, [0.135335, 0.606531, 1.0, 20.085537]);
    check(UnaryOp::Abs, [2.0, 0.5, 0.0, 3.0]);
    check(UnaryOp::Neg, [2.0, 0.5, 0.0, -3.0]);
    check(UnaryOp::Floor, [-2.0, -1.0, 0.0, 3.0]);
    check(UnaryOp::Ceil, [-2.0, 0.0, 0.0, 3.0]);
    let y = t(&[2], [1.0, 4.0]);
    assert_eq!(eval(Op::Unary(UnaryOp::Sqrt), &[&y]), t(&[2], [1.0, 2.0]));
    assert_eq!(eval(Op::Unary(UnaryOp::Log), &[&y]).as_f32().unwrap()[1], 4f32.ln());
    assert_eq!(eval(Op::Unary(UnaryOp::SoftPlus), &[&t(&[1], [200.0])]), t(&[1], [200.0]));
}

#[test]
fn binary_ops_and_their_activation() {
    let (a, b) = (t(&[2, 2], [1.0, 2.0, 3.0, 4.0]), t(&[2], [2.0, -1.0]));
    let check = |op, expected| {
        assert_eq!(eval(Op::Binary { op, activation: Activation::None }, &[&a, &b]), t(&[2, 2], expected), "{op:?}");
    };
    check(BinaryOp::Add, [3.0, 1.0, 5.0, 3.0]);
    check(BinaryOp::Sub, [-1.0, 3.0, 1.0, 5.0]);
    check(BinaryOp::Mul, [2.0, -2.0, 6.0, -4.0]);
    check(BinaryOp::Div, [0.5, -2.0, 1.5, -4.0]);
    check(BinaryOp::Max, [2.0, 2.0, 3.0, 4.0]);
    check(BinaryOp::Min, [1.0, -1.0, 2.0, -1.0]);
    check(BinaryOp::Pow, [1.0, 0.5, 9.0, 0.25]);
    check(BinaryOp::SquaredDifference, [1.0, 9.0, 1.0, 25.0]);
    let clamped = Op::Binary { op: BinaryOp::Add, activation: Activation::Clamp(2.0, 4.0) };
    assert_eq!(eval(clamped, &[&a, &b]), t(&[2, 2], [3.0, 2.0, 4.0, 3.0]));
}

#[test]
fn dense_with_bias_and_clamp() {
    let w = t(&[2, 3], [1.0, 2.0, 3.0, -1.0, 0.0, 1.0]);
    let b = t(&[2], [0.5, -3.0]);
    let op = Op::Dense { activation: Activation::Relu };
    assert_eq!(eval(op.clone(), &[&t(&[1, 3], [1.0, 1.0, 2.0]), &w, &b]), t(&[1, 2], [9.5, 0.0]));
    let x = t(&[1, 2, 3], [1.0, 1.0, 2.0, 0.0, 0.0, 5.0]);
    assert_eq!(eval(op, &[&x, &w, &b]), t(&[1, 2, 2], [9.5, 0.0, 15.5, 2.0]));
}

#[test]
fn reductions() {
    let x = t(&[2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]);
    let check = |op, axes: &[usize], keep_dims, expected: Tensor| {
        assert_eq!(eval(Op::Reduce { op, axes: axes.to_vec(), keep_dims }, &[&x]), expected);
    };
    check(ReduceOp::Mean, &[1], false, t(&[2], [2.0, 6.0]));
    check(ReduceOp::Sum, &[0], true, t(&[1, 3], [5.0, 7.0, 12.0]));
    check(ReduceOp::Max, &[0, 1], false, t(&[], [9.0]));
    check(ReduceOp::Min, &[1], true, t(&[2, 1], [1.0, 4.0]));
    check(ReduceOp::Mean, &[], false, x.clone());
}

#[test]
fn softmax_sums_to_one_along_its_axis_and_does_not_overflow() {
    let x = t(&[2, 2], [1000.0, 1000.0, 0.0, (3f32).ln()]);
    close(&eval(Op::Softmax { axis: 1 }, &[&x]), &t(&[2, 2], [0.5, 0.5, 0.25, 0.75])).unwrap();
    let along0 = eval(Op::Softmax { axis: 0 }, &[&t(&[2, 1], [0.0, (3f32).ln()])]);
    close(&along0, &t(&[2, 1], [0.25, 0.75])).unwrap();
}

#[test]
fn moving_elements() {
    let x = t(&[2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(eval(Op::Transpose { perm: vec![1, 0] }, &[&x]), t(&[3, 2], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    let y = eval(Op::Transpose { perm: vec![2, 0, 1] }, &[&t(&[1, 2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
    assert_eq!(y, t(&[3, 1, 2], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    assert_eq!(
        eval(Op::Pad { begin: vec![0, 1], end: vec![1, 0], value: 9.0 }, &[&x]),
        t(&[3, 4], [9.0, 1.0, 2.0, 3.0, 9.0, 4.0, 5.0, 6.0, 9.0, 9.0, 9.0, 9.0])
    );
    let z = t(&[2, 1], [7.0, 8.0]);
    assert_eq!(eval(Op::Concat { axis: 1 }, &[&x, &z]), t(&[2, 4], [1.0, 2.0, 3.0, 7.0, 4.0, 5.0, 6.0, 8.0]));
    assert_eq!(eval(Op::Reshape { shape: vec![3, 2] }, &[&x]).shape, [3, 2]);
    let part = Op::Slice { begin: vec![0, 1], end: vec![2, 3] };
    assert_eq!(eval(part, &[&x]), t(&[2, 2], [2.0, 3.0, 5.0, 6.0]));
    assert_eq!(
        eval(Op::Upsample { factors: vec![1, 2] }, &[&x]),
        t(&[2, 6], [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0, 6.0, 6.0])
    );
    assert_eq!(
        eval(Op::Upsample { factors: vec![2, 1] }, &[&x]),
        t(&[4, 3], [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 4.0, 5.0, 6.0])
    );
}

/// x → Relu → Add(x) with a branch that is an output.
fn small() -> (Graph, ValueId, ValueId) {
    let mut g = Graph::default();
    let x = g.add_value("x", [2]);
    g.inputs.push(x);
    let r = g.add_node("r", "test", Op::Unary(UnaryOp::Relu), [x]).unwrap();
    let c = g.add_constant("c", t(&[2], [10.0, 20.0]));
    let a = g.add_node("a", "test", Op::Binary { op: BinaryOp::Add, activation: Activation::None }, [r, c]).unwrap();
    g.outputs = vec![a, r];
    (g, r, a)
}

#[test]
fn runs_a_graph_and_keeps_all_outputs() {
    let (g, ..) = small();
    let out = run(&g, &[t(&[2], [-1.0, 1.0])]).unwrap();
    assert_eq!(out, [t(&[2], [10.0, 21.0]), t(&[2], [0.0, 1.0])]);
}

struct Doubles(Vec<ValueId>);

impl Hook for Doubles {
    fn value(&mut self, _: &Graph, value: ValueId, tensor: &mut Tensor) {
        self.0.push(value);
        let twice: Vec<f32> = tensor.as_f32().unwrap().iter().map(|v| 2.0 * v).collect();
        *tensor = Tensor::f32(tensor.shape.clone(), twice);
    }
}

#[test]
fn the_hook_sees_values_in_order_and_readers_see_what_it_wrote() {
    let (g, r, a) = small();
    let mut hook = Doubles(vec![]);
    let out = run_with(&g, &[t(&[2], [-1.0, 1.0])], &mut hook).unwrap();
    assert_eq!(hook.0, [g.inputs[0], r, a]);
    assert_eq!(out, [t(&[2], [20.0, 48.0]), t(&[2], [0.0, 4.0])]);
}

#[test]
fn wrong_inputs_and_hooks_are_errors() {
    let (g, ..) = small();
    assert!(matches!(run(&g, &[]), Err(GraphError::Input { .. })));
    assert!(matches!(run(&g, &[t(&[3], [0.0; 3])]), Err(GraphError::Input { .. })));
    assert!(matches!(run(&g, &[Tensor::i64(vec![2], vec![0, 0])]), Err(GraphError::Input { .. })));
    struct Shrinks;
    impl Hook for Shrinks {
        fn value(&mut self, _: &Graph, _: ValueId, tensor: &mut Tensor) {
            *tensor = Tensor::f32(vec![1], vec![0.0]);
        }
    }
    assert!(matches!(run_with(&g, &[t(&[2], [0.0; 2])], &mut Shrinks), Err(GraphError::Shape { .. })));
    let mut integers = g.clone();
    let c = integers.nodes[1].inputs[1];
    integers.values[c.0].constant = Some(Tensor::i64(vec![2], vec![1, 2]));
    assert!(run(&integers, &[t(&[2], [0.0; 2])]).unwrap_err().to_string().contains("integers"));
}

#[test]
fn many_samples_come_back_in_order() {
    let (g, ..) = small();
    let samples: Vec<Vec<Tensor>> = (0..20).map(|i| vec![t(&[2], [i as f32, 0.0])]).collect();
    let most = AtomicUsize::new(0);
    let outs = run_many(&g, &samples, &|n| {
        most.fetch_max(n, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(most.into_inner(), 20);
    for (i, out) in outs.iter().enumerate() {
        assert_eq!(out[1], t(&[2], [i as f32, 0.0]));
    }
}
