//! What programs for QEMU's machine `virt` with a core RV32IMC need: how they begin and end, and a timer; with the feature
//! `runner`, all of a firmware that takes models over the wire.
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod start;
mod timer;
#[cfg(feature = "runner")]
mod uart;

#[cfg(feature = "runner")]
pub use carafe_emulated::{Identity, Registry, carafe};
pub use carafe_emulated::{entry, semihosting::print};
pub use start::leave;
pub use timer::Timer;

#[cfg(feature = "runner")]
const BANK_BYTES: usize = 5 << 20;
#[cfg(feature = "runner")]
const ARENA_BYTES: usize = 6 << 20;

#[cfg(feature = "runner")]
static ROOM: carafe_emulated::Once<carafe_emulated::Room<BANK_BYTES, BANK_BYTES, ARENA_BYTES>> =
    carafe_emulated::Room::new();

/// Serves the link that the host asks for, UART or semihosting's console, until it asks to leave.
#[cfg(feature = "runner")]
pub fn serve(identity: Identity<'static>, ops: Registry<'static>, timer: Timer) -> ! {
    let Some(room) = ROOM.take() else { leave(false) };
    let link = carafe_emulated::Link::asked(uart::Uart::start);
    leave(carafe_emulated::serve(identity, ops, link, timer, room.memory()))
}
