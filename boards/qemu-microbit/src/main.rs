//! Carafe's runner on the BBC micro:bit (nRF51822, Cortex-M0, 16 KB of RAM) as QEMU emulates it. It speaks the protocol on
//! the UART:
//!
//! ```text
//! qemu-system-arm -M microbit -display none -monitor none -serial stdio \
//!     -semihosting-config enable=on,target=native -kernel carafe-qemu-microbit
//! ```
//!
//! or, much faster, on semihosting's standard input and output:
//!
//! ```text
//! qemu-system-arm -M microbit -display none -monitor none -serial none \
//!     -semihosting-config enable=on,target=native,arg=link=console -kernel carafe-qemu-microbit
//! ```
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod timer;
mod uart;

use carafe_emulated::carafe::ops::ALL;
use carafe_emulated::{Firmware, Given, Identity, Link, Once, Room, entry, leave, restart, serve};
use timer::Timer;
use uart::Uart;

const IDENTITY: Identity<'static> = Identity { board: "qemu-microbit", cpu: "cortex-m0" };

/// A third of the RAM: the runner has 6.7 KB of the stack for itself (two frames, a profile), and runs take what is left.
static ROOM: Once<Room<2_560, 768, 2_080>> = Room::new();

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    let Some(room) = ROOM.take() else { leave(false) };
    // A slot would take more than there is: what is flashed is gone with the power, and `carafe flash` says so.
    let memory = Given { models: room.memory(), flash: &mut [] };
    let firmware = Firmware { identity: IDENTITY, ops: ALL, timer, log: None, restart };
    leave(serve(firmware, Link::asked(Uart::start), memory, None))
}
