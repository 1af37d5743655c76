//! Shape inference: the extents of a node's outputs from its operands.

use crate::{Graph, GraphError, Node};

/// The shapes of the outputs of `node`, which stands in `graph` (or is about to).
pub fn infer(graph: &Graph, node: &Node) -> Result<Vec<Vec<usize>>, GraphError> {
    let _ = (graph, node);
    Ok(vec![])
}
