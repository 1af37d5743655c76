//! Bias correction: the mean error of each output channel, taken off its bias.

use std::collections::BTreeMap;

use carafe_graph::exec::evaluate;
use carafe_graph::{Activation, Graph, GraphError, Op, Tensor};

use super::trial::Exact;
use crate::simulate::{Simulation, fake};
use crate::types::QuantGraph;

/// By node index, the mean error of each output channel before the clamp, one per sample.
pub(crate) type Errors = BTreeMap<usize, Vec<f64>>;

/// The errors that the layers make by themselves on one sample: on exact inputs, brought to their grid, with quantized
/// weights.
pub(crate) fn errors(
    graph: &Graph,
    quantized: &QuantGraph,
    simulation: &Simulation<'_>,
    inputs: &[Tensor],
) -> Result<Errors, GraphError> {
    let exact = Exact::new(graph, inputs)?;
    let mut errors = Errors::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        let mut open = node.clone();
        match &mut open.op {
            Op::Conv2d(p) => p.activation = Activation::None,
            Op::Dense { activation } => *activation = Activation::None,
            _ => continue,
        }
        let Some(operands) = node.inputs.iter().map(|v| exact.value(*v)).collect::<Option<Vec<_>>>() else { continue };
        let want = evaluate(&open, &operands)?;
        let mut x = operands[0].clone();
        if let Some(quant) = quantized.activation(node.inputs[0]) {
            fake(quant, &mut x);
        }
        let constants = simulation.operands(n);
        let got = evaluate(&open, &[&x].into_iter().chain(constants).collect::<Vec<_>>())?;
        let channels = want.shape.last().copied().unwrap_or(1).max(1);
        let mut sums = vec![0.0f64; channels];
        let (want, got) = (want.as_f32().unwrap_or_default(), got.as_f32().unwrap_or_default());
        for (w, g) in want.chunks(channels).zip(got.chunks(channels)) {
            sums.iter_mut().zip(w.iter().zip(g)).for_each(|(s, (w, g))| *s += f64::from(*g) - f64::from(*w));
        }
        let pixels = (want.len() / channels).max(1) as f64;
        sums.iter_mut().for_each(|s| *s /= pixels);
        errors.insert(n, sums);
    }
    Ok(errors)
}

/// The graph with the errors taken off its biases, and the number of layers that got another bias.
///
/// Nodes get bias constants of their own, after all values that the graph has.
pub(crate) fn corrected(graph: &Graph, samples: &[Errors]) -> (Graph, usize) {
    let (mut out, mut layers) = (graph.clone(), 0);
    let Some(first) = samples.first() else { return (out, 0) };
    for (&n, errors) in first {
        let column = |c: usize| samples.iter().map(move |s| s.get(&n).and_then(|e| e.get(c)).copied().unwrap_or(0.0));
        let correction: Vec<f64> = (0..errors.len()).map(|c| mean_beyond_chance(column(c))).collect();
        if correction.iter().all(|c| *c == 0.0) {
            continue;
        }
        let bias = out.nodes[n].inputs.get(2).copied();
        let old = bias.and_then(|b| out.constant(b)).and_then(Tensor::as_f32).unwrap_or_default();
        let new: Vec<f32> = correction
            .iter()
            .enumerate()
            .map(|(c, error)| (f64::from(old.get(c).copied().unwrap_or(0.0)) - error) as f32)
            .collect();
        let name = bias.map_or_else(|| format!("{}/bias", out.nodes[n].name), |b| out.value(b).name.clone());
        let id = out.add_constant(name, Tensor::f32([new.len()], new));
        out.nodes[n].inputs.truncate(2);
        out.nodes[n].inputs.push(id);
        layers += 1;
    }
    (out, layers)
}

/// The mean, made smaller by the part that chance has in it: `mean · max(0, 1 − standard error² / mean²)`. The means of a
/// few samples of a layer without pixels would otherwise bring more noise than they take off.
fn mean_beyond_chance(samples: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = samples.clone().count() as f64;
    let mean = samples.clone().sum::<f64>() / n;
    if n < 2.0 || mean == 0.0 {
        return 0.0;
    }
    let variance = samples.map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    mean * (1.0 - variance / n / (mean * mean)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_left_out() {
        let mean = |x: &[f64]| mean_beyond_chance(x.iter().copied());
        assert_eq!(mean(&[2.0, 2.0, 2.0]), 2.0);
        assert_eq!(mean(&[5.0, -4.0, 0.5]), 0.0);
        assert_eq!(mean(&[3.0]), 0.0, "one sample says nothing about chance");
        assert_eq!(mean(&[0.0, 0.0]), 0.0);
        let some = mean(&[1.0, 2.0, 1.5]);
        assert!(some > 1.3 && some < 1.5, "{some}");
    }

    #[test]
    fn biases_are_made_and_replaced() {
        let mut g = Graph::default();
        let x = g.add_value("x", [1, 2]);
        g.inputs.push(x);
        let w = g.add_constant("w", Tensor::f32([2, 2], vec![1.0; 4]));
        let b = g.add_constant("b", Tensor::f32([2], vec![1.0, 2.0]));
        let op = Op::Dense { activation: Activation::Relu };
        let y = g.add_node("with", "t", op.clone(), [x, w, b]).unwrap();
        let z = g.add_node("without", "t", op.clone(), [y, w]).unwrap();
        let last = g.add_node("same", "t", op, [z, w, b]).unwrap();
        g.outputs.push(last);
        let errors = Errors::from([(0, vec![0.25, 0.0]), (1, vec![0.0, -0.5]), (2, vec![0.0, 0.0])]);
        let (made, layers) = corrected(&g, &[errors.clone(), errors]);
        made.check().unwrap();
        assert_eq!(layers, 2);
        let bias = |n: usize| made.constant(made.nodes[n].inputs[2]).unwrap().as_f32().unwrap().to_vec();
        assert_eq!(bias(0), [0.75, 2.0]);
        assert_eq!(bias(1), [0.0, 0.5]);
        assert_eq!(bias(2), [1.0, 2.0], "constants that others read stay");
        assert_eq!(corrected(&g, &[]).0, g);
    }
}
