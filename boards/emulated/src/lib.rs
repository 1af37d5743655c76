//! What programs for emulated boards have in common, whatever the core: semihosting's console, the painted stack, memory
//! that is lent once, and, with the feature `runner`, what a firmware is made of that takes models over the wire.
//!
//! A board's crate adds its memory map, its timer, its link and its way to end.
#![no_std]
#![cfg_attr(target_arch = "sparc", feature(asm_experimental_arch))]
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "cortex-m")]
mod cortex_m;
#[cfg(feature = "runner")]
mod flash;
#[cfg(feature = "runner")]
mod line;
#[cfg(all(feature = "runner", any(target_arch = "arm", target_arch = "riscv32")))]
mod link;
mod once;
#[cfg(feature = "runner")]
mod runner;
#[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
pub mod semihosting;
mod stack;

#[cfg(feature = "cortex-m")]
pub use self::cortex_m::{leave, restart};
#[cfg(all(feature = "runner", any(target_arch = "arm", target_arch = "riscv32")))]
use semihosting::File;
/// There is no way to the host's files.
#[cfg(all(feature = "runner", target_arch = "sparc"))]
enum File {}
#[cfg(all(feature = "runner", target_arch = "sparc"))]
impl File {
    fn write_at(&self, _: usize, _: &[u8]) -> bool {
        match *self {}
    }
}

#[cfg(feature = "runner")]
pub use carafe_runner::{self, Identity, Memory, carafe, carafe::Registry};
#[cfg(feature = "runner")]
pub use line::{Bytes, Line};
#[cfg(all(feature = "runner", any(target_arch = "arm", target_arch = "riscv32")))]
pub use link::Link;
pub use once::{Once, lend};
#[cfg(feature = "runner")]
pub use runner::{Firmware, Given, Room, serve};
pub use stack::PaintedStack;

/// A timer that tells single instructions apart.
pub trait Timer {
    /// Ticks a second.
    const HZ: u32;

    /// Ticks, counting up; they wrap.
    fn now(&self) -> u32;
}

/// Makes a function the program. It gets the timer, running: `entry!(main, Timer)` for `fn main(timer: Timer) -> !` and a
/// `Timer` that has `Timer::start`.
#[macro_export]
macro_rules! entry {
    ($main:path, $timer:ty) => {
        #[allow(unsafe_code, reason = "the name is that of the start-up code, which calls nothing else so")]
        #[unsafe(export_name = "main")]
        extern "C" fn entry() -> ! {
            $main(<$timer>::start())
        }
    };
}
