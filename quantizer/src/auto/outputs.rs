//! How far the outputs are from float: what choices are measured by.

use carafe_graph::{Graph, Op, Tensor, ValueId};

use crate::check::add_centred;
use crate::report::Sqnr;

/// Where the model's results are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) value: ValueId,
    /// The axis of the Softmax that reads the value, which does not see the mean along it.
    axis: Option<usize>,
}

/// The values that are compared: the graph's outputs, and the operand of a Softmax in its place, since probabilities
/// near 0 and 1 hide what happens to them.
pub(crate) fn targets(graph: &Graph) -> Vec<Target> {
    let producers = graph.producers();
    let mut targets = vec![];
    for &output in &graph.outputs {
        let (mut target, mut value) = (Target { value: output, axis: None }, output);
        while let Some(node) = producers[value.0].map(|n| &graph.nodes[n.0]) {
            match (&node.op, node.inputs.first()) {
                (Op::Softmax { axis }, Some(&x)) => {
                    target = Target { value: x, axis: Some(*axis) };
                    break;
                }
                (Op::Reshape { .. }, Some(&x)) => value = x,
                _ => break,
            }
        }
        if graph.constant(target.value).is_none() && !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

impl Target {
    /// How far `got` is from `want`.
    pub(crate) fn compare(&self, want: &Tensor, got: &Tensor) -> Sqnr {
        let mut sqnr = Sqnr::default();
        let (Some(w), Some(g)) = (want.as_f32(), got.as_f32()) else { return sqnr };
        match self.axis {
            Some(axis) => add_centred(&mut sqnr, &want.shape, axis, w, g),
            None => sqnr.add_all(w, g),
        }
        sqnr
    }
}

/// The noise of each sample relative to the signal of all: one number per sample from its comparisons at every target.
/// The outputs count alike, whatever their scale.
pub(crate) fn noise(samples: &[Vec<Sqnr>]) -> Vec<f64> {
    let targets = samples.first().map_or(0, Vec::len);
    let signal: Vec<f64> = (0..targets).map(|t| samples.iter().map(|s| s[t].signal()).sum()).collect();
    let relative = |s: &Sqnr, signal: f64| if signal > 0.0 { s.noise() / signal } else { 0.0 };
    samples.iter().map(|s| s.iter().zip(&signal).map(|(s, &all)| relative(s, all)).sum()).collect()
}

/// In dB, as [`Sqnr::db`].
pub(crate) fn db(noise: f64) -> f64 {
    if noise == 0.0 { 200.0 } else { (-10.0 * noise.log10()).clamp(-200.0, 200.0) }
}

/// Is the noise `a` of the samples less than `b`, by 1 % at least?
pub(crate) fn less(a: &[f64], b: &[f64]) -> bool {
    a.iter().sum::<f64>() < 0.99 * b.iter().sum::<f64>()
}

/// Is the noise `a` of the samples less than `b` of the same samples, by 1 % at least and by more than chance: is the
/// sum of the differences above its standard error?
pub(crate) fn clearly_less(a: &[f64], b: &[f64]) -> bool {
    let n = a.len() as f64;
    let gains: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    let gain: f64 = gains.iter().sum();
    let scatter: f64 = gains.iter().map(|g| (g - gain / n).powi(2)).sum();
    let standard_error = if n > 1.0 { (scatter * n / (n - 1.0)).sqrt() } else { 0.0 };
    less(a, b) && gain > standard_error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_is_looked_through() {
        let mut g = Graph::default();
        let x = g.add_value("x", [1, 4]);
        g.inputs.push(x);
        let r = g.add_node("relu", "t", Op::Unary(carafe_graph::UnaryOp::Relu), [x]).unwrap();
        let s = g.add_node("softmax", "t", Op::Softmax { axis: 1 }, [r]).unwrap();
        let flat = g.add_node("flat", "t", Op::Reshape { shape: vec![4] }, [s]).unwrap();
        g.outputs = vec![flat, x, s];
        let logits = Target { value: r, axis: Some(1) };
        assert_eq!(targets(&g), [logits, Target { value: x, axis: None }]);
        let (want, got) = (Tensor::f32([1, 2], vec![1.0, 2.0]), Tensor::f32([1, 2], vec![5.0, 6.0]));
        assert_eq!(logits.compare(&want, &got).db(), 200.0);
        assert!(targets(&g)[1].compare(&want, &got).db() < 0.0);
    }

    #[test]
    fn outputs_count_alike() {
        let of = |reference: f64, x: f64| {
            let mut s = Sqnr::default();
            s.add(reference, x);
            s
        };
        let samples = [vec![of(1.0, 1.1), of(1000.0, 1000.0)], vec![of(1.0, 1.0), of(1000.0, 1100.0)]];
        let noise = noise(&samples);
        assert!((noise[0] - 0.005).abs() < 1e-9 && (noise[1] - 0.005).abs() < 1e-9, "{noise:?}");
        assert!((db(noise[0]) - 23.01).abs() < 0.01);
        assert_eq!(db(0.0), 200.0);
    }

    #[test]
    fn chance_is_not_a_gain() {
        assert!(clearly_less(&[1.0, 2.0, 3.0], &[1.1, 2.2, 3.3]));
        assert!(!clearly_less(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]));
        assert!(!clearly_less(&[1.0, 1.0, 1.0, 1.0], &[3.0, 0.2, 0.2, 0.9]), "one sample decides");
        assert!(!clearly_less(&[0.999], &[1.0]), "too little");
        assert!(clearly_less(&[0.9], &[1.0]));
        assert!(less(&[1.0, 1.0, 1.0, 1.0], &[3.0, 0.2, 0.2, 0.9]) && !less(&[0.999], &[1.0]));
    }
}
