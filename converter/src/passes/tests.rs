//! Random graphs through all passes.

use super::{testing::*, *};
use carafe_graph::{
    Activation, BinaryOp, Conv2d, Layout, Pads, Pool2d, PoolKind, ReduceOp, SpaceToDepth, UnaryOp, ValueId,
};
use proptest::prelude::*;

/// A small choice, made from one random number at a time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n
    }
}

/// A 4-D value and whether it is NCHW.
#[derive(Clone, Copy)]
struct Map(ValueId, Layout);

struct Builder {
    graph: Graph,
    dice: Dice,
    maps: Vec<Map>,
}

impl Builder {
    fn add(&mut self, op: Op, inputs: &[ValueId]) -> Option<ValueId> {
        let name = format!("n{}", self.graph.nodes.len());
        self.graph.add_node(name, "test", op, inputs).ok()
    }

    fn constant(&mut self, shape: &[usize]) -> ValueId {
        let seed = self.dice.roll(1 << 30) as u64;
        let name = format!("c{}", self.graph.values.len());
        self.graph.add_constant(name, noise(shape, seed))
    }

    fn pads(&mut self, most: usize) -> Pads {
        let mut d = || self.dice.roll(most + 1);
        Pads { top: d(), left: d(), bottom: d(), right: d() }
    }

    fn step(&mut self) {
        let Map(x, layout) = self.maps[self.dice.roll(self.maps.len())];
        let shape = self.graph.value(x).shape.clone();
        let channel = if layout == Layout::Nchw { 1 } else { 3 };
        let c = shape[channel];
        let made = match self.dice.roll(16) {
            0 | 1 => {
                let k = 1 + self.dice.roll(3);
                let depthwise = self.dice.roll(2) == 0;
                let (groups, o) = if depthwise { (c, c) } else { (1, 1 + self.dice.roll(4)) };
                let mut inputs = vec![x, self.constant(&[o, c / groups, k, k])];
                if self.dice.roll(2) == 0 {
                    inputs.push(self.constant(&[o]));
                }
                let strides = [1 + self.dice.roll(2), 1 + self.dice.roll(2)];
                let pads = self.pads(1);
                let activation = Activation::None;
                self.add(Op::Conv2d(Conv2d { strides, dilations: [1, 1], pads, groups, layout, activation }), &inputs)
            }
            2 | 3 => {
                let c = match (self.dice.roll(3), layout) {
                    (0, Layout::Nchw) => self.constant(&[1, c, 1, 1]),
                    (1, Layout::Nchw) => self.constant(&[c, 1, 1]),
                    (0, Layout::Nhwc) => self.constant(&[c]),
                    (1, Layout::Nhwc) => self.constant(&[1, 1, 1, c]),
                    _ => self.constant(&[]),
                };
                let ops = [BinaryOp::Mul, BinaryOp::Add, BinaryOp::Sub, BinaryOp::Max, BinaryOp::Min];
                let op = binary(ops[self.dice.roll(ops.len())]);
                let swapped = self.dice.roll(2) == 0;
                self.add(op, &if swapped { [c, x] } else { [x, c] })
            }
            4 => {
                let ops = [UnaryOp::Relu, UnaryOp::Clamp(-0.5, 0.75), UnaryOp::Sigmoid, UnaryOp::HardSwish];
                let op = ops[self.dice.roll(ops.len())];
                self.add(Op::Unary(op), &[x])
            }
            5 => {
                let same = |m: &&Map| m.1 == layout && self.graph.value(m.0).shape == shape;
                let others: Vec<_> = self.maps.iter().filter(same).copied().collect();
                let other = others[self.dice.roll(others.len())].0;
                self.add(ADD, &[x, other])
            }
            6 => {
                let kinds = [PoolKind::Max, PoolKind::AverageExcludePad, PoolKind::AverageIncludePad];
                let kind = kinds[self.dice.roll(3)];
                let kernel = match self.dice.roll(3) {
                    0 if layout == Layout::Nchw => [shape[2], shape[3]],
                    0 => [shape[1], shape[2]],
                    _ => [1 + self.dice.roll(3), 1 + self.dice.roll(3)],
                };
                let strides = [1 + self.dice.roll(2), 1 + self.dice.roll(2)];
                let pads = self.pads(1);
                self.add(Op::Pool2d(Pool2d { kind, kernel, strides, pads, layout }), &[x])
            }
            7 => {
                let others: Vec<_> = self.maps.iter().filter(|m| m.1 == layout).copied().collect();
                let other = others[self.dice.roll(others.len())].0;
                self.add(Op::Concat { axis: channel }, &[x, other])
            }
            8 | 9 => {
                let (perm, to) = match layout {
                    Layout::Nchw => (vec![0, 2, 3, 1], Layout::Nhwc),
                    Layout::Nhwc => (vec![0, 3, 1, 2], Layout::Nchw),
                };
                if let Some(y) = self.add(Op::Transpose { perm }, &[x]) {
                    self.maps.push(Map(y, to));
                }
                None
            }
            10 => {
                let Pads { top, left, bottom, right } = self.pads(1);
                let extra = usize::from(self.dice.roll(4) == 0);
                let (begin, end) = match layout {
                    Layout::Nchw => (vec![0, extra, top, left], vec![0, 0, bottom, right]),
                    Layout::Nhwc => (vec![0, top, left, extra], vec![0, bottom, right, 0]),
                };
                let value = [0.0, 0.0, 0.25, f32::NEG_INFINITY][self.dice.roll(3)];
                self.add(Op::Pad { begin, end, value }, &[x])
            }
            11 => {
                let axes = if layout == Layout::Nchw { vec![2, 3] } else { vec![1, 2] };
                let pooled = self.add(Op::Reduce { op: ReduceOp::Mean, axes, keep_dims: true }, &[x]);
                pooled.and_then(|p| self.add(binary(BinaryOp::Mul), &[x, p]))
            }
            12 => {
                let begin: Vec<usize> = shape.iter().map(|&d| self.dice.roll(d)).collect();
                let end = shape.iter().zip(&begin).map(|(&d, &b)| b + 1 + self.dice.roll(d - b)).collect();
                self.add(Op::Slice { begin, end }, &[x])
            }
            13 if shape.iter().product::<usize>() < 1000 => {
                let factors = vec![1, 1 + self.dice.roll(2), 1 + self.dice.roll(3), 1 + self.dice.roll(2)];
                self.add(Op::Upsample { factors }, &[x])
            }
            14 => {
                let (block, depth_first) = (1 + self.dice.roll(3), self.dice.roll(2) == 0);
                self.add(Op::SpaceToDepth(SpaceToDepth { block, depth_first, layout }), &[x])
            }
            _ => {
                let axis = self.dice.roll(4);
                self.add(Op::Softmax { axis }, &[x])
            }
        };
        if let Some(y) = made {
            self.maps.push(Map(y, layout));
        }
    }

    /// One head: a map, a mean, or a dense layer over a flat map.
    fn finish(&mut self) {
        let Map(x, layout) = self.maps[self.maps.len() - 1];
        let shape = self.graph.value(x).shape.clone();
        let y = match self.dice.roll(5) {
            0 => x,
            1 => {
                let axes = if layout == Layout::Nchw { vec![2, 3] } else { vec![1, 2] };
                self.add(Op::Reduce { op: ReduceOp::Mean, axes, keep_dims: false }, &[x]).unwrap()
            }
            2 => {
                let joined = match layout {
                    Layout::Nchw => vec![1, shape[1], shape[2] * shape[3]],
                    Layout::Nhwc => vec![1, shape[1] * shape[2], shape[3]],
                };
                let y = self.add(Op::Reshape { shape: joined }, &[x]).unwrap();
                self.add(Op::Transpose { perm: vec![0, 2, 1] }, &[y]).unwrap()
            }
            _ => {
                let k = shape.iter().product();
                let flat = self.add(Op::Reshape { shape: vec![1, k] }, &[x]).unwrap();
                let transpose_b = self.dice.roll(2) == 0;
                let w = self.constant(&if transpose_b { [3, k] } else { [k, 3] });
                let y = self.add(Op::MatMul { transpose_a: false, transpose_b }, &[flat, w]).unwrap();
                let b = self.constant(&[1, 3]);
                let y = self.add(ADD, &[y, b]).unwrap();
                self.add(Op::Softmax { axis: 1 }, &[y]).unwrap()
            }
        };
        self.graph.outputs.push(y);
        if self.dice.roll(3) == 0 {
            let other = self.maps[self.dice.roll(self.maps.len())].0;
            self.graph.outputs.push(other);
        }
    }
}

fn random_graph(seed: u64, steps: usize) -> Graph {
    let mut graph = Graph { name: "random".into(), ..Graph::default() };
    let mut dice = Dice(seed);
    let layout = if dice.roll(2) == 0 { Layout::Nchw } else { Layout::Nhwc };
    let [h, w, c] = [2 + dice.roll(6), 2 + dice.roll(6), 1 + dice.roll(4)];
    let x = input(&mut graph, if layout == Layout::Nchw { [1, c, h, w] } else { [1, h, w, c] });
    let mut b = Builder { graph, dice, maps: vec![Map(x, layout)] };
    (0..steps).for_each(|_| b.step());
    b.finish();
    b.graph
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn random_graphs_keep_their_meaning(seed: u64, steps in 1..16usize) {
        let graph = random_graph(seed, steps);
        let inputs = noise_for(&graph, seed);
        let expected = exec::run(&graph, &inputs).unwrap();
        let text = dump(&graph);
        let mut broken = None;
        let o = optimize(graph, &mut |name, g| {
            if let Err(e) = g.check() {
                broken.get_or_insert(format!("{name}: {e}"));
            }
        })
        .unwrap();
        prop_assert_eq!(broken, None);
        let moved: Vec<_> = inputs.iter().zip(&o.inputs).map(|(t, i)| i.to_graph(t).unwrap()).collect();
        let made = exec::run(&o.graph, &moved).unwrap();
        prop_assert_eq!(made.len(), expected.len());
        for ((made, expected), side) in made.iter().zip(&expected).zip(&o.outputs) {
            let finite = expected.as_f32().unwrap().iter().all(|v| v.is_finite());
            let d = distance(&side.to_model(made).unwrap(), expected);
            prop_assert!(!finite || d < 1e-4, "distance {}\n{}\n{}", d, text, dump(&o.graph));
        }
        let nchw = |n: &Node| match &n.op {
            Op::Conv2d(p) => p.layout == Layout::Nchw,
            Op::Pool2d(p) => p.layout == Layout::Nchw,
            _ => false,
        };
        prop_assert!(!o.graph.nodes.iter().any(nchw), "{}", dump(&o.graph));

        // Nothing is left to do.
        let again = optimize(o.graph.clone(), &mut |_, _| ()).unwrap();
        prop_assert_eq!(again.graph, o.graph);
    }
}

#[test]
fn names_of_passes_are_unique() {
    let mut names: Vec<_> = PASSES.iter().map(|p| p.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PASSES.len());
}

#[test]
fn an_inconsistent_graph_is_an_error() {
    let mut g = Graph::default();
    let x = input(&mut g, [1, 2]);
    let y = g.add_node("y", "test", RELU, [x]).unwrap();
    g.outputs = vec![y];
    g.values[y.0].shape = vec![3];
    assert!(optimize(g, &mut |_, _| ()).unwrap_err().to_string().contains("check"));
}
