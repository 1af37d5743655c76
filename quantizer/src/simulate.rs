//! The integer graph, simulated in float.

use std::sync::Arc;

use carafe_graph::exec::{Hook, run_with};
use carafe_graph::{Data, Graph, GraphError, Op, Tensor, ValueId};

use crate::types::{Quant, QuantGraph, quantize_bias};

/// The integer graph, simulated in float: weights, biases and constants are what their integers stand for, and every
/// value is brought to its int8 grid right after it is made.
///
/// What an integer runtime does besides is not in it: the rounding of fixed-point multipliers, and tables or
/// polynomials inside Softmax, means and the like. These are well below the steps of the grid.
pub struct Simulation<'a> {
    quantized: &'a QuantGraph,
    graph: Graph,
}

impl<'a> Simulation<'a> {
    /// Prepares the simulation of a quantized graph. Ids of values are those of `quantized.graph`.
    pub fn new(quantized: &'a QuantGraph) -> Self {
        let mut graph = quantized.graph.clone();
        for (i, quant) in quantized.activations.iter().enumerate() {
            let (Some(quant), Some(value)) = (quant, graph.values.get_mut(i)) else { continue };
            if let Some(tensor) = &mut value.constant {
                fake(quant, tensor);
            }
        }
        for n in 0..graph.nodes.len() {
            if matches!(graph.nodes[n].op, Op::Conv2d(_) | Op::Dense { .. }) {
                set_weights(&mut graph, quantized, n);
            }
        }
        Self { quantized, graph }
    }

    /// Runs one sample (one float tensor per input, not quantized yet) and returns the outputs as real numbers.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
        self.run_with(inputs, |_, _| {})
    }

    /// As [`Simulation::run`]; `see` is called with every value, inputs included, once it is on its grid.
    pub fn run_with(
        &self,
        inputs: &[Tensor],
        mut see: impl FnMut(ValueId, &Tensor),
    ) -> Result<Vec<Tensor>, GraphError> {
        self.run_inner(inputs, &mut |id, tensor| {
            self.fake(id, tensor);
            see(id, tensor);
        })
    }

    /// The constant operands of node `n` after the first: weights and biases as their integers stand for them.
    pub(crate) fn operands(&self, n: usize) -> impl Iterator<Item = &Tensor> {
        self.graph.nodes[n].inputs.iter().skip(1).filter_map(|v| self.graph.constant(*v))
    }

    /// Runs with `change` in place of the grid.
    pub(crate) fn run_inner(
        &self,
        inputs: &[Tensor],
        change: &mut dyn FnMut(ValueId, &mut Tensor),
    ) -> Result<Vec<Tensor>, GraphError> {
        struct Changer<'b>(&'b mut dyn FnMut(ValueId, &mut Tensor));
        impl Hook for Changer<'_> {
            fn value(&mut self, _: &Graph, value: ValueId, tensor: &mut Tensor) {
                (self.0)(value, tensor);
            }
        }
        run_with(&self.graph, inputs, &mut Changer(change))
    }

    /// Brings a value to its grid; returns how many elements saturated.
    pub(crate) fn fake(&self, id: ValueId, tensor: &mut Tensor) -> u64 {
        self.quantized.activation(id).map_or(0, |q| fake(q, tensor))
    }
}

/// Quantizes and dequantizes a float tensor; returns how many elements saturated.
pub(crate) fn fake(quant: &Quant, tensor: &mut Tensor) -> u64 {
    match &mut tensor.data {
        Data::F32(data) => quant.fake(Arc::make_mut(data)),
        Data::I64(_) => 0,
    }
}

/// Gives node `n` constants of its own, so that others may read the same ones with other parameters.
fn set_weights(graph: &mut Graph, quantized: &QuantGraph, n: usize) {
    let inputs = graph.nodes[n].inputs.clone();
    let (Some(&x), Some(&w)) = (inputs.first(), inputs.get(1)) else { return };
    let Some(weights) = quantized.weights.get(&w) else { return };
    let shape = graph.value(w).shape.clone();
    let real = graph.add_constant(graph.value(w).name.clone(), Tensor::f32(shape, weights.dequantize()));
    graph.nodes[n].inputs[1] = real;
    let channels = weights.scales.len();
    let input_scale = |c| quantized.activation(x).map_or(1.0, |q| q.scale_under(c, channels));
    let Some((id, bias)) = inputs.get(2).and_then(|b| Some((*b, graph.constant(*b)?.as_f32()?))) else { return };
    let real = |(c, (&b, &s)): (usize, (&f32, &f32))| {
        let input_scale = input_scale(c);
        (f64::from(quantize_bias(b, input_scale, s)) * f64::from(input_scale) * f64::from(s)) as f32
    };
    let bias: Vec<f32> = bias.iter().zip(&weights.scales).enumerate().map(real).collect();
    let tensor = Tensor::f32(vec![bias.len()], bias);
    graph.nodes[n].inputs[2] = graph.add_constant(graph.value(id).name.clone(), tensor);
}
