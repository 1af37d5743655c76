//! What programs for Arm's MPS2 and MPS3 boards, as QEMU emulates them, have in common: the linker's memory map
//! and the timer; with the feature `runner`, all of a firmware that takes models over the wire. A feature names the machine.
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "log")]
mod log;
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

/// Bytes of what the host may say: a path in which flash outlives the emulator, and the link.
#[cfg(feature = "runner")]
const SAID: usize = 4096 + 64;

/// Where log lines come from.
#[cfg(feature = "log")]
const LOG: Option<fn(&mut [u8]) -> usize> = Some(carafe_link_log::take);
#[cfg(all(feature = "runner", not(feature = "log")))]
const LOG: Option<fn(&mut [u8]) -> usize> = None;

/// Serves the link that the host asks for, UART 0 or semihosting's console, until it asks to leave.
#[cfg(feature = "runner")]
pub fn serve(identity: Identity<'static>, ops: Registry<'static>, timer: Timer) -> ! {
    let said = carafe_emulated::semihosting::CommandLine::<SAID>::read();
    let link = carafe_emulated::Link::said(&said, uart::Uart::start);
    let firmware = carafe_emulated::Firmware { identity, ops, timer, log: LOG, restart: carafe_emulated::restart };
    leave(carafe_emulated::serve(firmware, link, memory::external(), said.value(b"flash=")))
}
