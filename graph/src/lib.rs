//! The typed graph of a neural network on the host: what every frontend makes,
//! every pass rewrites, and the quantizer and the lowering read.
//!
//! * [`Graph`], [`Node`], [`Value`], [`Op`]: the data.
//! * [`shape`]: shape inference, one function per op.
//! * [`exec`]: the float reference executor, which defines what every op means.
//!
//! Shapes are static. The graph is in topological order at all times:
//! [`Graph::check`] proves it.
#![forbid(unsafe_code)]

mod op;
mod tensor;
mod types;

pub mod exec;
pub mod shape;

pub use op::*;
pub use tensor::{Data, Tensor};
pub use types::{Graph, GraphError, Node, NodeId, Value, ValueId};
