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
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod console;
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

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else { leave(false) };
    let memory = memory::psram(peripherals.CPUID);
    let clock = watch::WideTimer::new(peripherals.SYST);
    let link = match console::Console::if_asked() {
        Some(console) => link::Link::Console(console),
        None => link::Link::Uart(uart::Uart::new(peripherals.NVIC)),
    };
    let runner = Runner::new(IDENTITY, OPS, link, clock, watch::Watched::default(), memory);
    #[cfg(feature = "log")]
    let runner = runner.logging(carafe_link_log::take);
    leave(matches!(runner.serve(), Ending::Exit { code: 0 }))
}
