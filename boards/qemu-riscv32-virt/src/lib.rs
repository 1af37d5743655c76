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

/// RAM that the linker does not know of.
#[cfg(feature = "runner")]
const MORE: (usize, usize) = (0x8400_0000, 16 << 20);
#[cfg(feature = "runner")]
static LENT: carafe_emulated::Once<()> = carafe_emulated::Once::new(());

/// Bytes of what the host may say: a path in which flash outlives the emulator, and the link.
#[cfg(feature = "runner")]
const SAID: usize = 4096 + 64;

/// Serves the link that the host asks for, UART or semihosting's console, until it asks to leave.
#[cfg(feature = "runner")]
pub fn serve(identity: Identity<'static>, ops: Registry<'static>, timer: Timer) -> ! {
    // SAFETY: the machine has 128 MB of RAM from 0x8000_0000 on, of which the linker uses the first half.
    #[allow(unsafe_code)]
    let memory = carafe_emulated::Given::of(unsafe { carafe_emulated::lend(&LENT, MORE.0, MORE.1) });
    let said = carafe_emulated::semihosting::CommandLine::<SAID>::read();
    let link = carafe_emulated::Link::said(&said, uart::Uart::start);
    let firmware = carafe_emulated::Firmware { identity, ops, timer, log: None, restart: start::restart };
    leave(carafe_emulated::serve(firmware, link, memory, said.value(b"flash=")))
}
