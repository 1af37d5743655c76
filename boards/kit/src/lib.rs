//! What the runner's firmware on real boards has in common. A board's own crate has the rest: memory map, clocks, pins, and
//! which bus its link is.
//!
//! On Cortex-M this has the handlers of panics and faults, which reset the board: the runner does not panic, but vendors'
//! HALs can. A model that brings the board down is on trial, and after three starts the old one returns.
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(target_arch = "arm")]
mod arm;
mod link;
mod room;
mod stack;

#[cfg(all(target_arch = "arm", not(armv6m)))]
pub use arm::Cycles;
#[cfg(target_arch = "arm")]
pub use arm::{Pause, restart, tick, wait};
pub use link::Steady;
pub use room::Room;
pub use stack::Painted;
