//! What programs for Arm's MPS2 and MPS3 boards, as QEMU emulates them, have in common: the linker's memory map
//! and the timer; with the feature `runner`, all of a firmware that takes models over the wire. A feature names the machine.
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "runner")]
mod memory;
mod timer;
#[cfg(feature = "runner")]
mod uart;

pub use carafe_emulated::semihosting::print;
#[cfg(feature = "runner")]
pub use carafe_emulated::{Identity, Registry, carafe};
pub use carafe_emulated::{entry, leave};
pub use timer::Timer;

/// Serves the link that the host asks for, UART 0 or semihosting's console, until it asks to leave.
#[cfg(feature = "runner")]
pub fn serve(identity: Identity<'static>, ops: Registry<'static>, timer: Timer) -> ! {
    let link = carafe_emulated::Link::asked(uart::Uart::start);
    leave(carafe_emulated::serve(identity, ops, link, timer, memory::external()))
}
