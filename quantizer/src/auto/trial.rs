//! What one quantized tensor alone does to the outputs.

use carafe_graph::exec::{evaluate, run_with};
use carafe_graph::{Graph, GraphError, Op, Tensor, ValueId};

use super::outputs::Target;
use crate::check::Keep;
use crate::report::Sqnr;
use crate::simulate::fake;
use crate::types::Quant;

/// What is made again when some values change, and what that costs.
pub(super) struct Path {
    /// By value index: the values that change by themselves.
    changed: Vec<bool>,
    /// The nodes that have to run, in order.
    nodes: Vec<usize>,
    /// After which of `nodes` a value is not read again.
    last_use: Vec<(usize, ValueId)>,
    /// In multiplications, about.
    pub(super) cost: u64,
}

impl Path {
    /// From the values in `changed` to the end.
    pub(super) fn new(graph: &Graph, changed: &[usize], targets: &[Target]) -> Self {
        let is_changed = |v: ValueId| changed.contains(&v.0);
        let mut dirty: Vec<bool> = (0..graph.values.len()).map(|v| changed.contains(&v)).collect();
        let (mut nodes, mut cost) = (vec![], 0);
        for (n, node) in graph.nodes.iter().enumerate() {
            if node.inputs.iter().any(|v| dirty[v.0]) {
                node.outputs.iter().for_each(|v| dirty[v.0] = true);
                nodes.push(n);
                cost += node_cost(graph, n);
            }
        }
        let mut last = vec![None; graph.values.len()];
        for &n in &nodes {
            graph.nodes[n].inputs.iter().for_each(|v| last[v.0] = Some(n));
        }
        targets.iter().for_each(|t| last[t.value.0] = None);
        let mut last_use: Vec<_> =
            last.iter().enumerate().filter_map(|(v, n)| n.filter(|_| dirty[v]).map(|n| (n, ValueId(v)))).collect();
        last_use.sort();
        let changed = (0..graph.values.len()).map(|v| is_changed(ValueId(v))).collect();
        Self { changed, nodes, last_use, cost }
    }
}

/// About how many multiplications a node takes; moving an element counts as 16.
pub(super) fn node_cost(graph: &Graph, node: usize) -> u64 {
    let node = &graph.nodes[node];
    let elements = |v: Option<&ValueId>| v.map_or(0, |v| graph.value(*v).shape.iter().product::<usize>()) as u64;
    let made = elements(node.outputs.first());
    let last = |v: Option<&ValueId>| v.and_then(|v| graph.value(*v).shape.last()).map_or(1, |&d| d as u64);
    let each = match &node.op {
        Op::Conv2d(_) => {
            elements(node.inputs.get(1)) / node.inputs.get(1).map_or(1, |w| graph.value(*w).shape[0].max(1) as u64)
        }
        Op::Dense { .. } | Op::MatMul { .. } => last(node.inputs.first()),
        _ => 0,
    };
    made * (each + 16)
}

/// One sample, with every value of its float run.
pub(super) struct Exact<'a> {
    graph: &'a Graph,
    values: Vec<Option<Tensor>>,
}

impl<'a> Exact<'a> {
    pub(super) fn new(graph: &'a Graph, inputs: &[Tensor]) -> Result<Self, GraphError> {
        let mut keep = Keep(vec![None; graph.values.len()]);
        run_with(graph, inputs, &mut keep)?;
        Ok(Self { graph, values: keep.0 })
    }

    pub(super) fn value(&self, v: ValueId) -> Option<&Tensor> {
        self.graph.constant(v).or(self.values[v.0].as_ref())
    }

    /// The targets' noise when the changed values of `path`, and nothing else, are brought to the grid of `quant`.
    pub(super) fn with(&self, path: &Path, quant: &Quant, targets: &[Target]) -> Result<Vec<Sqnr>, GraphError> {
        let graph = self.graph;
        let mut dirty: Vec<Option<Tensor>> = vec![None; graph.values.len()];
        // What is not made again below, but changes.
        for (v, _) in path.changed.iter().enumerate().filter(|(_, c)| **c) {
            let mut tensor = self.values[v].clone();
            tensor.iter_mut().for_each(|t| _ = fake(quant, t));
            dirty[v] = tensor;
        }
        let mut last_use = path.last_use.iter().peekable();
        for &n in &path.nodes {
            let node = &graph.nodes[n];
            let operand = |v: &ValueId| dirty[v.0].as_ref().or(self.value(*v)).expect("the float run has made it");
            let operands: Vec<&Tensor> = node.inputs.iter().map(operand).collect();
            let mut made = evaluate(node, &operands)?;
            if let Some(out) = node.outputs.first() {
                if path.changed[out.0] {
                    fake(quant, &mut made);
                }
                dirty[out.0] = Some(made);
            }
            while let Some((_, v)) = last_use.next_if(|(at, _)| *at <= n) {
                dirty[v.0] = None;
            }
        }
        let compare = |t: &Target| {
            let want = self.value(t.value)?;
            Some(t.compare(want, dirty[t.value.0].as_ref().unwrap_or(want)))
        };
        Ok(targets.iter().map(|t| compare(t).unwrap_or_default()).collect())
    }
}

#[cfg(test)]
mod tests {
    use carafe_graph::exec::Hook;
    use carafe_graph::{Activation, BinaryOp, ReduceOp, UnaryOp};

    use super::*;
    use crate::auto::outputs::targets;

    /// Brings some values to a grid.
    struct Fake<'a>(&'a [usize], &'a Quant);

    impl Hook for Fake<'_> {
        fn value(&mut self, _: &Graph, value: ValueId, tensor: &mut Tensor) {
            if self.0.contains(&value.0) {
                fake(self.1, tensor);
            }
        }
    }

    /// x → a = relu x → b = a + x → mean, with b and x·w as outputs too.
    fn graph() -> Graph {
        let mut g = Graph::default();
        let x = g.add_value("x", [2, 3]);
        g.inputs.push(x);
        let w = g.add_constant("w", Tensor::f32([2, 3], vec![0.3, -0.7, 1.1, 0.2, 0.9, -0.4]));
        let a = g.add_node("a", "t", Op::Unary(UnaryOp::Relu), [x]).unwrap();
        let op = Op::Binary { op: BinaryOp::Add, activation: Activation::None };
        let b = g.add_node("b", "t", op, [a, x]).unwrap();
        let op = Op::Reduce { op: ReduceOp::Mean, axes: vec![0], keep_dims: true };
        let c = g.add_node("c", "t", op, [b]).unwrap();
        let d = g.add_node("d", "t", Op::Dense { activation: Activation::None }, [x, w]).unwrap();
        g.outputs = vec![c, b, d];
        g
    }

    #[test]
    fn a_partial_run_is_a_whole_run() {
        let g = graph();
        let targets = targets(&g);
        let input = [Tensor::f32([2, 3], vec![0.33, -1.0, 0.71, 0.05, 2.0, -0.29])];
        let exact = Exact::new(&g, &input).unwrap();
        let quant = Quant::per_tensor(0.25, 3);
        let made: Vec<usize> = g.inputs.iter().chain(g.nodes.iter().flat_map(|n| &n.outputs)).map(|v| v.0).collect();
        let pairs = made.iter().flat_map(|&a| made.iter().map(move |&b| vec![a, b]));
        for changed in pairs.chain([vec![], made.clone()]) {
            let outputs = run_with(&g, &input, &mut Fake(&changed, &quant)).unwrap();
            let want: Vec<Sqnr> = targets
                .iter()
                .map(|t| {
                    let i = g.outputs.iter().position(|o| *o == t.value).unwrap();
                    t.compare(exact.value(t.value).unwrap(), &outputs[i])
                })
                .collect();
            let path = Path::new(&g, &changed, &targets);
            assert_eq!(exact.with(&path, &quant, &targets).unwrap(), want, "{changed:?}");
        }
    }

    #[test]
    fn costs_follow_what_is_run() {
        let g = graph();
        let of = |name: &str| vec![g.nodes.iter().find(|n| n.name == name).unwrap().outputs[0].0];
        let cost = |changed: &[usize]| Path::new(&g, changed, &[]).cost;
        assert_eq!(cost(&of("c")), 0);
        assert_eq!(cost(&of("b")), 3 * 16);
        assert_eq!(cost(&of("a")), cost(&of("b")) + 6 * 16);
        assert_eq!(node_cost(&g, 3), 4 * (3 + 16));
        assert_eq!(cost(&[g.inputs[0].0]), (0..4).map(|n| node_cost(&g, n)).sum::<u64>());
    }
}
