//! Inputs that take the bytes of a camera: what becomes of mean and scale, in float and on the device.

#[path = "../common/mod.rs"]
mod common;
mod device;
mod folding;
mod nets;
mod real;
