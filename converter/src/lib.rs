//! From a trained model to a blob: frontends read it into a [`carafe_graph::Graph`], passes make it small and NHWC,
//! the quantizer makes it int8, the lowering makes ops of the device of it, the planner places them in memory,
//! and the writer puts one file together.
#![forbid(unsafe_code)]

pub mod build;
mod convert;
pub mod dataset;
pub mod evaluate;
pub mod frontend;
pub mod lower;
pub mod passes;
pub mod plan;
pub mod split;
mod stateful;
pub mod twin;
pub mod write;

pub use convert::{ConvertError, Converted, InputKind, Options, Watch, convert};
