//! Carafe's runner on the MPS2 board AN386 (Cortex-M4F) as QEMU emulates it; all that it is made of is in `carafe-mps`
//! and `carafe-runner`. It speaks the protocol on UART 0:
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

#[cfg(feature = "broken-kernel")]
use carafe_broken_kernel::OPS;
#[cfg(not(feature = "broken-kernel"))]
use carafe_mps::carafe::ops::ALL as OPS;
use carafe_mps::{Identity, Timer, entry, serve};

const IDENTITY: Identity<'static> = Identity { board: "qemu-mps2-an386", cpu: "cortex-m4" };

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    serve(IDENTITY, OPS, timer)
}
