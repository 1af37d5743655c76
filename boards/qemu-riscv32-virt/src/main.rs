//! Carafe's runner on QEMU's machine `virt` with a core RV32IMC. It speaks the protocol on the UART:
//!
//! ```text
//! qemu-system-riscv32 -M virt -bios none -display none -monitor none -serial stdio \
//!     -semihosting-config enable=on,target=native -kernel carafe-qemu-riscv32-virt
//! ```
//!
//! or, much faster, on semihosting's standard input and output:
//!
//! ```text
//! qemu-system-riscv32 -M virt -bios none -display none -monitor none -serial none \
//!     -semihosting-config enable=on,target=native,arg=link=console -kernel carafe-qemu-riscv32-virt
//! ```
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_qemu_riscv32_virt::carafe::ops::ALL;
use carafe_qemu_riscv32_virt::{Identity, Timer, entry, serve};

const IDENTITY: Identity<'static> = Identity { board: "qemu-riscv32-virt", cpu: "rv32imc" };

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    serve(IDENTITY, ALL, timer)
}
