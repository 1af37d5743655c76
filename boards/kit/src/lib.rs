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

/// Whose models are taken: the public key as `carafe keygen` prints it, from the environment of the build.
#[macro_export]
macro_rules! key {
    () => {{
        const DIGITS: &str =
            env!("CARAFE_PUBLIC_KEY", "set CARAFE_PUBLIC_KEY to the 64 digits that `carafe keygen` prints");
        const KEY: $crate::runner::carafe_slots::Key = match $crate::runner::carafe_slots::Key::from_hex(DIGITS) {
            Some(key) => key,
            None => panic!("CARAFE_PUBLIC_KEY has to be 64 hexadecimal digits, as `carafe keygen` prints them"),
        };
        KEY
    }};
}

#[doc(hidden)]
pub use carafe_runner as runner;
