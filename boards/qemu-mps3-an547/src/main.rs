//! Carafe's runner on the MPS3 board AN547 (Cortex-M55 with Helium) as QEMU emulates it; all that it is made of is in
//! `carafe-mps` and `carafe-runner`. It speaks the protocol on UART 0:
//!
//! ```text
//! qemu-system-arm -M mps3-an547 -display none -monitor none -serial stdio \
//!     -semihosting-config enable=on,target=native -kernel carafe-qemu-mps3-an547
//! ```
//!
//! or, much faster, on semihosting's standard input and output:
//!
//! ```text
//! qemu-system-arm -M mps3-an547 -display none -monitor none -serial none \
//!     -semihosting-config enable=on,target=native,arg=link=console -kernel carafe-qemu-mps3-an547
//! ```
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_mps::carafe::ops::ALL;
use carafe_mps::{Identity, Timer, entry, serve};

const IDENTITY: Identity<'static> = Identity { board: "qemu-mps3-an547", cpu: "cortex-m55" };

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    serve(IDENTITY, ALL, timer)
}
