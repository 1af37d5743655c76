//! The sensors of the boards' examples: drivers over embedded-hal 1.0, and what is made of their readings for a model.
//!
//! No driver here does more than its example needs, and none allocates, waits for ever, or panics.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod camera;
pub mod lis3dh;
pub mod microphone;
pub mod motion;
pub mod picture;
pub mod sound;

#[cfg(test)]
mod bus;
