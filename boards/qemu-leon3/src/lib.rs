//! What programs for QEMU's machine `leon3_generic` (LEON3, SPARC V8, big-endian) need: how they begin and end, the traps
//! of the register windows, UART and timer; with the feature `runner`, all of a firmware that takes models over the wire.
#![no_std]
// Assembly for SPARC is not stable yet.
#![feature(asm_experimental_arch)]
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod start;
mod timer;
mod uart;

pub use carafe_emulated::entry;
#[cfg(feature = "runner")]
pub use carafe_emulated::{Identity, Registry, carafe};
pub use start::leave;
pub use timer::Timer;
pub use uart::print;

#[cfg(feature = "runner")]
const BANK_BYTES: usize = 5 << 20;
#[cfg(feature = "runner")]
const ARENA_BYTES: usize = 6 << 20;

#[cfg(feature = "runner")]
static ROOM: carafe_emulated::Once<carafe_emulated::Room<BANK_BYTES, BANK_BYTES, ARENA_BYTES>> =
    carafe_emulated::Room::new();

/// Serves the UART until the host asks to leave.
#[cfg(feature = "runner")]
pub fn serve(identity: Identity<'static>, ops: Registry<'static>, timer: Timer) -> ! {
    let Some(room) = ROOM.take() else { leave(false) };
    timer::pulse();
    leave(carafe_emulated::serve(identity, ops, uart::Uart::start(), timer, room.memory()))
}
