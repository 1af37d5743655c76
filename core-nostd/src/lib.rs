//! Carafe's device side: a blob made by the converter is verified once and then executed, band of rows by band of
//! rows, in an arena whose size is known to the byte before flashing.
//!
//! * [`Model::verify`] proves a blob and is the way to a [`Model`].
//! * [`Session`] has what outlives an inference; [`Session::start`] borrows scratch memory and gives a [`Run`].
//! * [`Run::step`] makes one band; [`Run::run`] makes them all.
//! * [`registry!`] names the ops that are linked; what is not named costs nothing.
//! * `carafe_macros::include_model!` embeds a blob, verified when the program is compiled, and writes all of that for its
//!   model.
//! * [`offload`] lends parts of a run to an accelerator.
//! * [`schedule`] is the one rule of the order of steps; the host's planner simulates with the same function.
//!
//! The same crate runs on the host, so a result seen on the desk is the result in the field, to the bit.
//!
//! No allocation, no unsafe code, no panic on any input.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate std;

mod arena;
pub mod arithmetic;
pub mod blob;
#[doc(hidden)]
pub mod embedded;
mod engine;
mod error;
mod memory;
mod model;
mod node;
pub mod offload;
pub mod ops;
mod probe;
pub mod record;
mod registry;
pub mod schedule;
mod session;
pub mod typed;
mod verify;
mod view;

pub use error::{BlobError, Fault, RunError};
pub use memory::Memory;
pub use model::{Model, TensorIo, demand};
pub use node::{Band, Cx, DType, Kernel, Need, Node, NodeId, OpCode, TensorInfo, Window};
pub use probe::Probe;
pub use registry::{OpEntry, Registry};
pub use session::{Run, Session, Step};
pub use typed::{Aligned, Class, Element, Output, TensorSpec};
pub use view::{OnPixels, Rows, RowsMut};
