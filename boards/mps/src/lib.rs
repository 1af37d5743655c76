//! What programs for Arm's MPS2 and MPS3 boards, as QEMU emulates them, have in common: the linker's memory map, the
//! timer, the painted stack, and how they end the emulator, a panic or a fault included. A feature names the machine.
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod stack;
mod timer;

use cortex_m_semihosting::debug;

pub use stack::PaintedStack;
pub use timer::{HZ, Timer};

/// Ends the emulator.
pub fn leave(well: bool) -> ! {
    debug::exit(if well { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}

/// Nothing in these programs panics (`cargo xtask size` holds the runner's firmware to that), but the language wants a
/// handler.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    leave(false)
}

/// Ends the emulator at once, rather than have the host wait.
#[allow(unsafe_code, reason = "the attribute asks for it; the function itself has nothing unsafe")]
#[cortex_m_rt::exception]
unsafe fn HardFault(_: &cortex_m_rt::ExceptionFrame) -> ! {
    leave(false)
}
