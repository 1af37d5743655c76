//! Carafe's runner on the MPS2 board AN385 (Cortex-M3) as QEMU emulates it; all that it is made of is in `carafe-mps`
//! and `carafe-runner`. It speaks the protocol on UART 0:
//!
//! ```text
//! qemu-system-arm -M mps2-an385 -display none -monitor none -serial stdio \
//!     -semihosting-config enable=on,target=native -kernel carafe-qemu-mps2-an385
//! ```
//!
//! or, much faster, on semihosting's standard input and output:
//!
//! ```text
//! qemu-system-arm -M mps2-an385 -display none -monitor none -serial none \
//!     -semihosting-config enable=on,target=native,arg=link=console -kernel carafe-qemu-mps2-an385
//! ```
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_mps::carafe::ops::ALL;
use carafe_mps::{Identity, Timer, entry, serve};

const IDENTITY: Identity<'static> = Identity { board: "qemu-mps2-an385", cpu: "cortex-m3" };

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    serve(IDENTITY, ALL, timer)
}
