//! Carafe's runner on the MPS2 board AN386 (Cortex-M4F) as QEMU emulates it: memory map, links, timer, stack; all else
//! is `carafe-runner`. It speaks the protocol on UART 0:
//!
//! ```text
//! qemu-system-arm -M mps2-an386 -display none -monitor none -serial stdio \
//!     -semihosting-config enable=on,target=native -kernel carafe-qemu-mps2-an386
//! ```
//!
//! or, much faster, on semihosting's standard input and output:
//!
//! ```text
//! qemu-system-arm -M mps2-an386 -display none -monitor none -serial none \
//!     -semihosting-config enable=on,target=native,arg=link=console -kernel carafe-qemu-mps2-an386
//! ```
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod console;
mod link;
mod memory;
mod timer;
mod uart;

use carafe_runner::{Ending, Identity, Runner, carafe};
use cortex_m_semihosting::debug;

const IDENTITY: Identity<'static> = Identity { board: "qemu-mps2-an386", cpu: "cortex-m4" };

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else { leave(false) };
    let memory = memory::psram(peripherals.CPUID);
    let timer = timer::Timer::new(peripherals.SYST);
    let link = match console::Console::if_asked() {
        Some(console) => link::Link::Console(console),
        None => link::Link::Uart(uart::Uart::new(peripherals.NVIC)),
    };
    let runner = Runner::new(IDENTITY, carafe::ops::ALL, link, timer, memory::PaintedStack::new(), memory);
    leave(matches!(runner.serve(), Ending::Exit { code: 0 }))
}

/// Ends the emulator.
fn leave(well: bool) -> ! {
    debug::exit(if well { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}

/// Nothing in this firmware panics (`cargo xtask size` holds it to that), but the language wants a handler.
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
