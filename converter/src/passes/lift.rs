//! FakeQuantize moves in front of what only moves elements.

use carafe_graph::{Graph, Op, Tensor, exec};

use super::{
    PassError,
    rewrite::{self, Uses},
};

/// Exchanges a FakeQuantize with one range for all elements and the Reshape, Transpose or zero Pad before it, so that
/// these come to stand next to the ops that they can be folded into. The value between the two must have no other
/// reader.
pub fn lift_fake_quantize(graph: &mut Graph) -> Result<usize, PassError> {
    rewrite::each_node(graph, |graph, i, uses| Ok(try_lift(graph, i, uses).is_some()))
}

fn try_lift(graph: &mut Graph, i: usize, uses: &Uses) -> Option<()> {
    let quantize = &graph.nodes[i];
    let Op::FakeQuantize { .. } = quantize.op else { return None };
    // A single element in more axes than the operand of the mover has would not broadcast to it.
    let scalar = |v: &carafe_graph::ValueId| graph.constant(*v).is_some_and(|t| t.len() == 1);
    if !quantize.inputs[1..].iter().all(scalar) {
        return None;
    }
    let between = quantize.inputs[0];
    let at = uses.sole_producer(between)?;
    let mover = &graph.nodes[at];
    match mover.op {
        Op::Reshape { .. } | Op::Transpose { .. } => {}
        Op::Pad { value, .. } if value == 0.0 && keeps_zero(graph, i) => {}
        _ => return None,
    }
    let source = mover.inputs[0];
    let limits: Vec<_> = quantize.inputs[1..].to_vec();
    let (output, name) = (quantize.outputs[0], quantize.name.clone());
    let limits: Vec<_> = limits
        .into_iter()
        .map(|v| match graph.value(v).shape.is_empty() {
            true => Some(v),
            false => {
                let (name, data) = (graph.value(v).name.clone(), graph.constant(v)?.data.clone());
                Some(graph.add_constant(name, Tensor { shape: vec![], data }))
            }
        })
        .collect::<Option<_>>()?;
    let shape = graph.value(source).shape.clone();
    let quantized = graph.add_value(name, shape);
    let mut mover = graph.nodes[at].clone();
    mover.inputs[0] = quantized;
    mover.outputs = vec![output];
    let mut quantize = graph.nodes[i].clone();
    quantize.inputs = [source].into_iter().chain(limits).collect();
    quantize.outputs = vec![quantized];
    graph.nodes[at] = quantize;
    graph.nodes[i] = mover;
    Some(())
}

/// True if FakeQuantize node `i` returns 0 for 0.
fn keeps_zero(graph: &Graph, i: usize) -> bool {
    let node = &graph.nodes[i];
    let zero = Tensor::f32([1], vec![0.0]);
    let limits: Option<Vec<Tensor>> = node.inputs[1..]
        .iter()
        .map(|v| graph.constant(*v).map(|t| Tensor { shape: vec![1], data: t.data.clone() }))
        .collect();
    let Some(limits) = limits else { return false };
    let operands: Vec<&Tensor> = [&zero].into_iter().chain(&limits).collect();
    exec::evaluate(node, &operands).is_ok_and(|y| y.as_f32() == Some(&[0.0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::*;
    use carafe_graph::{Layout, ValueId};

    fn quantize(g: &mut Graph, x: ValueId, low: f32, high: f32) -> ValueId {
        let shape = vec![1; g.value(x).shape.len()];
        let mut limit = |v: f32| g.add_constant("limit", Tensor::f32(shape.clone(), vec![v]));
        let (low, high) = (limit(low), limit(high));
        g.add_node("fq", "test", Op::FakeQuantize { levels: 256 }, [x, low, high, low, high]).unwrap()
    }

    #[test]
    fn reshapes_and_transposes_come_after() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 2, 3]);
        let y = g.add_node("t", "test", Op::Transpose { perm: vec![0, 2, 1] }, [x]).unwrap();
        let y = g.add_node("r", "test", Op::Reshape { shape: vec![6] }, [y]).unwrap();
        let y = quantize(&mut g, y, -0.5, 0.5);
        g.outputs = vec![y];
        // One step at a time; rounds of all passes take it further.
        for changes in [1, 1, 0] {
            assert_eq!(preserved(&mut g, lift_fake_quantize), changes);
        }
        let kinds: Vec<_> = g.nodes.iter().map(|n| n.op.kind()).collect();
        assert_eq!(kinds, ["FakeQuantize", "Transpose", "Reshape"]);
    }

    #[test]
    fn zero_padding_comes_after_where_zero_is_exact() {
        // 0 lies on the grid of -1..1.55 with 256 levels, and between two steps of -1..1.
        for (high, changes) in [(1.55, 1), (1.0, 0)] {
            let mut g = Graph::default();
            let x = input(&mut g, [1, 4, 4, 2]);
            let op = Op::Pad { begin: vec![0, 1, 1, 0], end: vec![0; 4], value: 0.0 };
            let p = g.add_node("p", "test", op, [x]).unwrap();
            let q = quantize(&mut g, p, -1.0, high);
            let w = g.add_constant("w", noise(&[3, 2, 3, 3], 1));
            let y = g.add_node("y", "test", conv(Layout::Nhwc, 1), [q, w]).unwrap();
            g.outputs = vec![y];
            assert_eq!(preserved(&mut g, lift_fake_quantize), changes, "{high}");
        }
    }

    #[test]
    fn what_others_read_stays() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 6]);
        let r = g.add_node("r", "test", Op::Reshape { shape: vec![6] }, [x]).unwrap();
        let y = quantize(&mut g, r, -0.5, 0.5);
        g.outputs = vec![y, r];
        assert_eq!(preserved(&mut g, lift_fake_quantize), 0);
    }
}
