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

/// RAM that the linker does not know of.
#[cfg(feature = "runner")]
const MORE: (usize, usize) = (0x4400_0000, 16 << 20);
#[cfg(feature = "runner")]
static LENT: carafe_emulated::Once<()> = carafe_emulated::Once::new(());

/// Serves the UART until the host asks to leave.
#[cfg(feature = "runner")]
pub fn serve(identity: Identity<'static>, ops: Registry<'static>, timer: Timer) -> ! {
    // SAFETY: the machine has 128 MB of RAM from 0x4000_0000 on, of which the linker uses the first half.
    #[allow(unsafe_code)]
    let memory = carafe_emulated::Given::of(unsafe { carafe_emulated::lend(&LENT, MORE.0, MORE.1) });
    timer::pulse();
    let firmware = carafe_emulated::Firmware { identity, ops, timer, log: None, restart: start::restart };
    leave(carafe_emulated::serve(firmware, carafe_emulated::Bytes(uart::Uart::start()), memory, None))
}
