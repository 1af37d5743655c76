//! From observed ranges to scales and zero points: which values share parameters, which have fixed ones.

use carafe_graph::{Graph, Node, Op, UnaryOp, ValueId};

use crate::report::RangeSource;
use crate::types::Quant;

/// The chosen parameters by value index, each with where it comes from.
pub(crate) type Activations = Vec<Option<(Quant, RangeSource)>>;

/// The operands of a node that are read as activations; the others are weights and biases.
pub(crate) fn activation_operands(node: &Node) -> &[ValueId] {
    match node.op {
        Op::Conv2d(_) | Op::Dense { .. } => node.inputs.get(..1).unwrap_or_default(),
        _ => &node.inputs,
    }
}

/// Does the op only move or select bytes, so that its output must have the parameters of its inputs?
pub(crate) fn moves_bytes(op: &Op) -> bool {
    op.selects() || matches!(op, Op::History { .. } | Op::Pad { .. })
}

/// The values that a Softmax made, as it is or moved: their parameters cannot change.
fn softmax_values(graph: &Graph) -> Vec<bool> {
    let mut is = vec![false; graph.values.len()];
    for node in &graph.nodes {
        let made = match &node.op {
            Op::Softmax { .. } => true,
            Op::Pad { value, .. } if !(0.0..=1.0).contains(value) => false,
            op => moves_bytes(op) && !node.inputs.is_empty() && node.inputs.iter().all(|v| is[v.0]),
        };
        for o in &node.outputs {
            is[o.0] = made;
        }
    }
    is
}

/// Puts a `Clamp(0, 1)` between a Softmax and an op that would tie it to a wider range. Ids of values stay; those of
/// nodes move.
pub(crate) fn separate_softmax(graph: &Graph) -> Graph {
    let softmax = softmax_values(graph);
    let mut out = graph.clone();
    out.nodes.clear();
    for node in &graph.nodes {
        let mut node = node.clone();
        let made = node.outputs.iter().all(|o| softmax[o.0]);
        if moves_bytes(&node.op) && !made {
            for (i, v) in node.inputs.iter_mut().enumerate().filter(|(_, v)| softmax[v.0]) {
                let name = format!("{}/requantize.{i}", node.name);
                let value = out.add_value(&name, graph.value(*v).shape.clone());
                let (inputs, outputs) = (vec![*v], vec![value]);
                let op = Op::Unary(UnaryOp::Clamp(0.0, 1.0));
                out.nodes.push(Node { name, origin: "requantize".into(), op, inputs, outputs });
                *v = value;
            }
        }
        out.nodes.push(node);
    }
    out
}

/// Sets of values that share their parameters.
pub(crate) struct Ties(Vec<usize>);

impl Ties {
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut ties = Ties((0..graph.values.len()).collect());
        for node in graph.nodes.iter().filter(|n| moves_bytes(&n.op)) {
            for v in node.inputs.iter().chain(&node.outputs) {
                if let Some(o) = node.outputs.first() {
                    ties.join(o.0, v.0);
                }
            }
        }
        ties
    }

    pub(crate) fn find(&self, mut i: usize) -> usize {
        while self.0[i] != i {
            i = self.0[i];
        }
        i
    }

    /// The smaller index becomes the root, so that the sets do not depend on the order of joins.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// What the members of a tied set bring together.
#[derive(Clone, Default)]
struct Group {
    range: Option<(f32, f32)>,
    members: usize,
    softmax: bool,
    /// The fixed parameters of members made by Sigmoid or Tanh, while they agree.
    table: Option<Quant>,
    tables_differ: bool,
}

/// The parameters and the real interval of an op whose output range is known.
fn fixed(op: &Op) -> Option<Quant> {
    match op {
        Op::Softmax { .. } | Op::Unary(UnaryOp::Sigmoid) => Some(Quant::per_tensor(Quant::UNIT_SCALE, -128)),
        Op::Unary(UnaryOp::Tanh) => Some(Quant::per_tensor(Quant::TANH_SCALE, 0)),
        _ => None,
    }
}

/// Chooses the parameters of every value with a range: `ranges` by value index, `None` for values that are not
/// activations.
pub(crate) fn choose(graph: &Graph, ranges: &[Option<(f32, f32)>]) -> Activations {
    let ties = Ties::of(graph);
    let producers = graph.producers();
    let mut groups = vec![Group::default(); graph.values.len()];
    for (i, range) in ranges.iter().enumerate() {
        let Some(range) = range else { continue };
        let g = &mut groups[ties.find(i)];
        g.members += 1;
        g.range = Some(g.range.map_or(*range, |r| (r.0.min(range.0), r.1.max(range.1))));
        let Some(op) = producers[i].map(|n| &graph.nodes[n.0].op) else { continue };
        g.softmax |= matches!(op, Op::Softmax { .. });
        if let Some(q) = fixed(op) {
            g.tables_differ |= g.table.as_ref().is_some_and(|t| *t != q);
            g.table = Some(q);
        }
    }
    let chosen: Vec<Option<(Quant, RangeSource)>> = groups.into_iter().map(|g| g.choose()).collect();
    let mut activations: Activations =
        (0..ranges.len()).map(|i| ranges[i].and_then(|_| chosen[ties.find(i)].clone())).collect();
    widen_dead(graph, &ties, &mut activations);
    activations
}

impl Group {
    fn choose(self) -> Option<(Quant, RangeSource)> {
        let (min, max) = self.range?;
        if let Some(q) = self.table.filter(|_| !self.tables_differ) {
            let (low, high) = q.range();
            // The ends ±1 that the fixed parameters leave out are one step beyond what they represent.
            if self.softmax || (min >= low && max <= high + q.scale()) {
                return Some((q, RangeSource::Fixed));
            }
        }
        let source = match self.members {
            _ if min == 0.0 && max == 0.0 => RangeSource::Dead,
            0 | 1 => RangeSource::Observed,
            _ => RangeSource::Tied,
        };
        Some((Quant::from_range(min, max), source))
    }
}

/// The largest scale that the weights of a Conv2d or Dense would have by themselves.
fn weight_unit(graph: &Graph, node: &Node) -> Option<f32> {
    if !matches!(node.op, Op::Conv2d(_) | Op::Dense { .. }) {
        return None;
    }
    let weights = graph.constant(*node.inputs.get(1)?)?.as_f32()?;
    Some(weights.iter().fold(0.0f32, |m, w| m.max(w.abs())) / 127.0)
}

/// A layer whose clamp let nothing through says nothing about its output scale, but its accumulators may be large: a
/// scale below their unit would need a multiplier above 1.
fn widen_dead(graph: &Graph, ties: &Ties, activations: &mut Activations) {
    for node in &graph.nodes {
        let (Some(input), Some(output)) = (node.inputs.first(), node.outputs.first()) else { continue };
        if !matches!(activations[output.0], Some((_, RangeSource::Dead))) {
            continue;
        }
        let Some(unit) = weight_unit(graph, node) else { continue };
        let Some(input) = activations[input.0].as_ref().map(|(q, _)| q.scale()) else { continue };
        let root = ties.find(output.0);
        for i in (0..activations.len()).filter(|&i| ties.find(i) == root) {
            if let Some((q, _)) = &mut activations[i] {
                q.scales = vec![q.scale().max((input * unit).min(f32::MAX))];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use carafe_graph::{Activation, BinaryOp, Tensor};

    use super::*;

    fn add(graph: &mut Graph, op: Op, inputs: &[ValueId], shape: &[usize]) -> ValueId {
        let name = format!("n{}", graph.nodes.len());
        let out = graph.add_value(&name, shape);
        let origin = "test".into();
        graph.nodes.push(Node { name, origin, op, inputs: inputs.to_vec(), outputs: vec![out] });
        out
    }

    fn relu() -> Op {
        Op::Unary(UnaryOp::Relu)
    }

    fn scales(a: &Activations, v: ValueId) -> (f32, i32) {
        let (q, _) = a[v.0].as_ref().unwrap();
        (q.scale(), q.zero_point)
    }

    #[test]
    fn moved_values_share_the_union_of_their_ranges() {
        let mut g = Graph::default();
        let x = g.add_value("x", [1, 4]);
        let y = g.add_value("y", [1, 4]);
        let a = add(&mut g, relu(), &[x], &[1, 4]);
        let r = add(&mut g, Op::Reshape { shape: vec![4, 1] }, &[x], &[4, 1]);
        let r = add(&mut g, Op::Transpose { perm: vec![1, 0] }, &[r], &[1, 4]);
        let c = add(&mut g, Op::Concat { axis: 1 }, &[r, y], &[1, 8]);
        let ranges = [Some((-1.0, 1.0)), Some((0.0, 50.0)), Some((0.0, 1.0)), Some((-1.0, 1.0)), Some((-1.0, 1.0))];
        let mut ranges = ranges.to_vec();
        ranges.push(Some((-1.0, 50.0)));
        let act = choose(&g, &ranges);
        for v in [x, y, r, c] {
            assert_eq!(act[v.0].as_ref().unwrap().0, Quant::from_range(-1.0, 50.0));
            assert_eq!(act[v.0].as_ref().unwrap().1, RangeSource::Tied);
        }
        assert_eq!(act[a.0], Some((Quant::from_range(0.0, 1.0), RangeSource::Observed)));
    }

    #[test]
    fn fixed_parameters() {
        let mut g = Graph::default();
        let x = g.add_value("x", [1, 4]);
        let s = add(&mut g, Op::Unary(UnaryOp::Sigmoid), &[x], &[1, 4]);
        let t = add(&mut g, Op::Unary(UnaryOp::Tanh), &[x], &[1, 4]);
        let m = add(&mut g, Op::Softmax { axis: 1 }, &[x], &[1, 4]);
        let r = add(&mut g, Op::Reshape { shape: vec![4] }, &[m], &[4]);
        let act =
            choose(&g, &[Some((-5.0, 5.0)), Some((0.1, 0.9)), Some((-0.5, 1.0)), Some((0.0, 1.0)), Some((0.0, 1.0))]);
        assert_eq!(scales(&act, s), (1.0 / 256.0, -128));
        assert_eq!(scales(&act, t), (1.0 / 128.0, 0));
        assert_eq!(scales(&act, m), (1.0 / 256.0, -128));
        assert_eq!(scales(&act, r), (1.0 / 256.0, -128));
    }

    #[test]
    fn sigmoid_yields_to_a_wider_tie() {
        let mut g = Graph::default();
        let x = g.add_value("x", [1, 4]);
        let s = add(&mut g, Op::Unary(UnaryOp::Sigmoid), &[x], &[1, 4]);
        let c = add(&mut g, Op::Concat { axis: 1 }, &[x, s], &[1, 8]);
        let act = choose(&g, &[Some((-5.0, 5.0)), Some((0.0, 1.0)), Some((-5.0, 5.0))]);
        assert_eq!(scales(&act, s), scales(&act, c));
        assert_eq!(act[s.0].as_ref().unwrap().0, Quant::from_range(-5.0, 5.0));
    }

    #[test]
    fn softmax_is_separated_from_a_wider_tie_but_not_from_its_like() {
        let mut g = Graph::default();
        let x = g.add_value("x", [1, 4]);
        let s = add(&mut g, Op::Softmax { axis: 1 }, &[x], &[1, 4]);
        let r = add(&mut g, Op::Reshape { shape: vec![1, 4] }, &[s], &[1, 4]);
        let both = add(&mut g, Op::Concat { axis: 1 }, &[s, r], &[1, 8]);
        let mixed = add(&mut g, Op::Concat { axis: 1 }, &[r, x], &[1, 8]);
        let separated = separate_softmax(&g);
        assert_eq!(separated.nodes.len(), g.nodes.len() + 1);
        let clamp = &separated.nodes[3];
        assert_eq!(clamp.op, Op::Unary(UnaryOp::Clamp(0.0, 1.0)));
        assert_eq!(clamp.inputs, [r]);
        assert_eq!(separated.nodes[4].inputs, [clamp.outputs[0], x]);
        let mut ranges = vec![Some((-9.0, 9.0)); separated.values.len()];
        for v in [s, r, both, clamp.outputs[0]] {
            ranges[v.0] = Some((0.0, 1.0));
        }
        let act = choose(&separated, &ranges);
        for v in [s, r, both] {
            assert_eq!(scales(&act, v), (1.0 / 256.0, -128));
        }
        for v in [x, mixed, clamp.outputs[0]] {
            assert_eq!(act[v.0].as_ref().unwrap().0, Quant::from_range(-9.0, 9.0));
        }
        assert_eq!(separate_softmax(&separated), separated, "nothing is left to separate");
    }

    #[test]
    fn a_dead_layer_gets_at_least_its_accumulator_unit() {
        let mut g = Graph::default();
        let x = g.add_value("x", [1, 2]);
        let w = g.add_constant("w", Tensor::f32([1, 2], vec![-1270.0, 3.0]));
        let d = add(&mut g, Op::Dense { activation: Activation::Relu }, &[x, w], &[1, 1]);
        let r = add(&mut g, Op::Reshape { shape: vec![1] }, &[d], &[1]);
        let act = choose(&g, &[Some((0.0, 255.0)), None, Some((0.0, 0.0)), Some((0.0, 0.0))]);
        assert_eq!(scales(&act, d), (10.0, -128));
        assert_eq!(scales(&act, r), (10.0, -128));
        assert_eq!(act[d.0].as_ref().unwrap().1, RangeSource::Dead);
        let mut g = Graph::default();
        let x = g.add_value("x", [2]);
        let y = add(&mut g, Op::Binary { op: BinaryOp::Add, activation: Activation::Relu }, &[x, x], &[2]);
        let act = choose(&g, &[Some((-1.0, 0.0)), Some((0.0, 0.0))]);
        assert_eq!(scales(&act, y), (1.0 / 255.0, -128));
    }
}
