//! Carafe's runner on QEMU's machine `leon3_generic` (LEON3, SPARC V8, big-endian). It speaks the protocol on the UART:
//!
//! ```text
//! qemu-system-sparc -M leon3_generic -display none -monitor none -serial stdio -kernel carafe-qemu-leon3
//! ```
//!
//! rustup has no `core` for this target, and Rust's own linker knows no SPARC; `carafe_hil::firmware` knows how cargo is
//! told.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_qemu_leon3::carafe::ops::ALL;
use carafe_qemu_leon3::{Identity, Timer, entry, serve};

const IDENTITY: Identity<'static> = Identity { board: "qemu-leon3", cpu: "leon3" };

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    serve(IDENTITY, ALL, timer)
}
