//! Carafe's runner on the MPS2 board AN505 (Cortex-M33F with the DSP extension) as QEMU emulates it; all that it is made
//! of is in `carafe-mps` and `carafe-runner`. It speaks the protocol on UART 0:
//!
//! ```text
//! qemu-system-arm -M mps2-an505 -display none -monitor none -serial stdio \
//!     -semihosting-config enable=on,target=native -kernel carafe-qemu-mps2-an505
//! ```
//!
//! or, much faster, on semihosting's standard input and output:
//!
//! ```text
//! qemu-system-arm -M mps2-an505 -display none -monitor none -serial none \
//!     -semihosting-config enable=on,target=native,arg=link=console -kernel carafe-qemu-mps2-an505
//! ```
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_mps::carafe::ops::ALL;
use carafe_mps::{Identity, Timer, entry, serve};

const IDENTITY: Identity<'static> = Identity { board: "qemu-mps2-an505", cpu: "cortex-m33" };

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    serve(IDENTITY, ALL, timer)
}
