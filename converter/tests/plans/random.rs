//! Random graphs under random plans.

use carafe_converter::plan::PlanOptions;
use carafe_graph::{Activation, BinaryOp, Conv2d, Op, Pads, PoolKind, UnaryOp, ValueId};
use proptest::prelude::*;

use crate::device::{blob, hold_against_float, inputs, run, whole};
use crate::model::{Model, plain};

/// One step of making a graph: what to add, and numbers that choose the details.
type Growth = (u8, u64);

/// A graph that grows step by step; steps that do not fit what is there are left out.
fn grow(seed: u64, h: usize, w: usize, c: usize, second: bool, steps: &[Growth]) -> Model {
    let mut m = Model::new(seed);
    let mut maps = vec![m.input(&[1, h, w, c])];
    let mut vectors: Vec<ValueId> = Vec::new();
    if second {
        maps.push(m.input(&[1, h, w, 2]));
    }
    for &(kind, numbers) in steps {
        let mut n = crate::model::Random(numbers);
        // Later values more often, so that graphs are deep.
        let back = n.below(maps.len()).min(n.below(maps.len()));
        let x = maps[maps.len() - 1 - back];
        let shape = m.shape(x);
        let activation = [Activation::None, Activation::Relu, Activation::Clamp(-0.5, 1.5)][n.below(3)];
        let made = match kind {
            0..=2 => {
                let kernel = [1 + n.below(3), 1 + n.below(3)];
                let dilations = if n.below(4) == 0 { [2, 2] } else { [1, 1] };
                let pads = Pads { top: n.below(3), left: n.below(3), bottom: n.below(3), right: n.below(3) };
                let fits = |size: usize, k: usize, d: usize, p: usize| size + p > (k - 1) * d;
                if !fits(shape[1], kernel[0], dilations[0], pads.top + pads.bottom)
                    || !fits(shape[2], kernel[1], dilations[1], pads.left + pads.right)
                {
                    continue;
                }
                let op = Conv2d {
                    strides: [1 + n.below(2), 1 + n.below(2)],
                    dilations,
                    pads,
                    groups: usize::from(kind < 2),
                    activation,
                    ..plain(1, 0)
                };
                m.conv(x, if kind < 2 { 1 + n.below(5) } else { 1 + n.below(2) }, op, kernel)
            }
            3 => {
                let kind = [PoolKind::Max, PoolKind::AverageExcludePad, PoolKind::AverageIncludePad][n.below(3)];
                let (kernel, stride) = (1 + n.below(3), 1 + n.below(2));
                let pad = n.below(2).min(kernel - 1);
                if shape[1] + 2 * pad < kernel || shape[2] + 2 * pad < kernel {
                    continue;
                }
                m.pool(x, kind, kernel, stride, pad)
            }
            4 | 5 => {
                let same: Vec<ValueId> = maps.iter().copied().filter(|&v| m.shape(v) == shape).collect();
                let other = same[n.below(same.len())];
                let op = if n.below(3) == 0 { BinaryOp::Sub } else { BinaryOp::Add };
                m.node(Op::Binary { op, activation }, &[x, other])
            }
            6 | 7 => {
                let like: Vec<ValueId> =
                    maps.iter().copied().filter(|&v| m.shape(v)[1..3] == shape[1..3] && m.shape(v)[3] < 12).collect();
                if like.is_empty() {
                    continue;
                }
                let parts: Vec<ValueId> = (0..2 + n.below(2)).map(|_| like[n.below(like.len())]).collect();
                m.concat(&parts)
            }
            8 | 9 => {
                let ops = [UnaryOp::Relu, UnaryOp::Sigmoid, UnaryOp::HardSwish, UnaryOp::LeakyRelu(0.1), UnaryOp::Tanh];
                m.unary(x, ops[n.below(ops.len())])
            }
            10 => m.mean(x, n.below(2) == 0),
            11 => match vectors.last() {
                Some(&v) if n.below(3) > 0 => m.dense(v, 1 + n.below(5), activation),
                _ => m.dense(x, 1 + n.below(5), activation),
            },
            12 => {
                let elements = shape[1] * shape[2] * shape[3];
                let to: &[usize] = match n.below(4) {
                    0 => &[1, elements],
                    1 => &[1, shape[1], shape[2] * shape[3], 1],
                    2 => &[1, 1, 1, elements],
                    _ => &[1, shape[2], shape[1], shape[3]],
                };
                m.reshape(x, to)
            }
            13 => {
                let axis = shape.len() - 1;
                m.node(Op::Softmax { axis }, &[x])
            }
            14 => match vectors.last() {
                Some(&v) => {
                    let c = m.shape(v)[1];
                    m.reshape(v, &[1, 1, 1, c])
                }
                None => continue,
            },
            _ => {
                if !m.graph.inputs.contains(&x) && !m.graph.outputs.contains(&x) {
                    m.output(x);
                }
                continue;
            }
        };
        if m.shape(made).len() == 4 { maps.push(made) } else { vectors.push(made) }
    }
    // What was made last is always an output: there is something to run.
    let Some(last) = m.graph.nodes.last().map(|n| n.outputs[0]) else {
        let v = m.conv3(maps[0], 2);
        m.output(v);
        return m;
    };
    if !m.graph.outputs.contains(&last) {
        m.output(last);
    }
    m
}

fn models() -> impl Strategy<Value = Model> {
    let steps = proptest::collection::vec((0u8..16, any::<u64>()), 1..14);
    (any::<u64>(), 1usize..10, 1usize..7, 1usize..5, any::<bool>(), steps)
        .prop_map(|(seed, h, w, c, second, steps)| grow(seed, h, w, c, second, &steps))
}

/// 400 graphs, or `PROPTEST_CASES`.
fn cases() -> ProptestConfig {
    let more = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig { cases: more.unwrap_or(400), max_shrink_iters: 2000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_plan_gives_the_same_bits(mut m in models(), seed in any::<u64>(), chance in proptest::collection::vec(any::<bool>(), 40)) {
        let (quant, lowered) = m.lower();
        let data = inputs(&lowered, seed);
        let (_, reference) = blob(&lowered, &whole(&lowered));
        hold_against_float(&quant, &lowered, &reference, &data);
        let want = run(&reference, &data).outputs;
        let some: Vec<usize> = (1..lowered.nodes.len()).filter(|&n| chance[n % chance.len()]).collect();
        let cuts = [whole(&lowered).cuts, Some(vec![]), Some(some), None];
        for (cuts, push_rows) in cuts.iter().flat_map(|c| [(c, false), (c, true)]) {
            let options = PlanOptions { push_rows, cuts: cuts.clone() };
            let (plan, blob) = blob(&lowered, &options);
            let got = run(&blob, &data);
            prop_assert_eq!(&got.outputs, &want, "{:?}\n{:#?}", options, plan);
            if got.all_rows {
                prop_assert_eq!(got.high_water, plan.arena_bytes as usize, "{:?}\n{:#?}", options, plan);
            }
            prop_assert!(got.high_water <= plan.arena_bytes as usize);
        }
    }
}
