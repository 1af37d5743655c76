//! How programs begin and end.

#![allow(unsafe_code, reason = "programs begin in assembly")]

use vcell::VolatileCell;

/// "Test finisher": what is written there ends the machine.
const FINISHER: *const VolatileCell<u32> = 0x0010_0000 as *const VolatileCell<u32>;
const PASS: u32 = 0x5555;
#[cfg(feature = "runner")]
const RESET: u32 = 0x7777;
/// With the code 1 in the upper half.
const FAIL: u32 = 0x1_3333;

// The emulator has loaded all but zeroes. A trap of any kind is a failure: nothing here asks for one.
core::arch::global_asm!(
    ".section .start, \"ax\"",
    ".global _start",
    "_start:",
    "la sp, _stack_start",
    "la t0, trap",
    "csrw mtvec, t0",
    "la t0, _bss_start",
    "la t1, _bss_end",
    "1: bgeu t0, t1, 2f",
    "sw zero, 0(t0)",
    "addi t0, t0, 4",
    "j 1b",
    "2: call main",
    ".balign 4",
    "trap:",
    "li t0, {finisher}",
    "li t1, {fail}",
    "sw t1, 0(t0)",
    "j trap",
    finisher = const 0x0010_0000,
    fail = const FAIL,
);

/// Ends the emulator.
pub fn leave(well: bool) -> ! {
    // SAFETY: the machine has this register.
    let finisher = unsafe { &*FINISHER };
    loop {
        finisher.set(if well { PASS } else { FAIL });
    }
}

/// Resets the machine; the emulator loads the program again, and leaves other memory as it is.
#[cfg(feature = "runner")]
pub fn restart() -> ! {
    // SAFETY: the machine has this register.
    let finisher = unsafe { &*FINISHER };
    // Once: the emulator restarts a while later, and would do so again for what is asked for meanwhile.
    finisher.set(RESET);
    loop {
        core::hint::spin_loop();
    }
}

/// Nothing in these programs panics (`cargo xtask size` holds the runner's firmware to that), but the language wants a
/// handler.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    leave(false)
}
