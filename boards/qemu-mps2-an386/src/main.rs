//! Carafe's runner on the MPS2 board AN386 (Cortex-M4F) as QEMU emulates it: PSRAM and links; timer, stack and the way
//! to end are `carafe-mps`, all else is `carafe-runner`. It speaks the protocol on UART 0:
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
//!
//! Models in flash outlive the emulator with `arg=flash=FILE` behind these.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod command_line;
mod console;
mod flash;
mod link;
#[cfg(feature = "log")]
mod log;
mod memory;
mod uart;
mod watch;

#[cfg(feature = "broken-kernel")]
use carafe_broken_kernel::OPS;
use carafe_mps::leave;
#[cfg(not(feature = "broken-kernel"))]
use carafe_runner::carafe::ops::ALL as OPS;
use carafe_runner::{Ending, Identity, Runner};

const IDENTITY: Identity<'static> = Identity { board: "qemu-mps2-an386", cpu: "cortex-m4" };

/// Whose models are taken: the public key as `carafe keygen` prints it.
#[cfg(feature = "signed")]
const KEY: carafe_runner::carafe_slots::Key = {
    let digits = env!("CARAFE_PUBLIC_KEY", "set CARAFE_PUBLIC_KEY to the 64 digits that `carafe keygen` prints");
    match carafe_runner::carafe_slots::Key::from_hex(digits) {
        Some(key) => key,
        None => panic!("CARAFE_PUBLIC_KEY has to be 64 hexadecimal digits, as `carafe keygen` prints them"),
    }
};

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else { leave(false) };
    let memory = memory::psram(peripherals.CPUID);
    let arguments = command_line::CommandLine::read();
    let slots = flash::slots(memory.flash, arguments.value(b"flash="));
    let clock = watch::WideTimer::new(peripherals.SYST);
    // Given by the host as `-semihosting-config arg=link=console`.
    let link = match arguments.value(b"link=console") {
        Some(_) => link::Link::Console(console::Console::open()),
        None => link::Link::Uart(uart::Uart::new(peripherals.NVIC)),
    };
    let runner = Runner::new(IDENTITY, OPS, link, clock, watch::Watched::default(), memory.models).with_slots(slots);
    #[cfg(feature = "signed")]
    let runner = runner.with_key(KEY);
    #[cfg(feature = "log")]
    let runner = runner.logging(carafe_link_log::take);
    match runner.serve() {
        // PSRAM stays as it is, and so do the host's pipes.
        Ending::Restart => cortex_m::peripheral::SCB::sys_reset(),
        ending => leave(matches!(ending, Ending::Exit { code: 0 })),
    }
}
