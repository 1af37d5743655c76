//! How programs begin and end, and the traps of the register windows.

#![allow(unsafe_code, reason = "programs begin in assembly")]

use core::arch::{asm, global_asm};

// The table of traps: four instructions each, in a page of its own. All but reset and the two of the register windows
// are failures: nothing here asks for them.
//
// Of the eight windows one is always invalid (`WIM` has its bit). A `save` into it means that the oldest window has to go
// to the stack, and a `restore` into it that one has to come back from there; both have their place at the window's stack
// pointer, which every frame leaves free.
global_asm!(
    ".section .start, \"ax\"",
    ".balign 4096",
    "traps:",
    "b _start",
    "nop; nop; nop",
    ".rept 4",
    "b fail",
    "nop; nop; nop",
    ".endr",
    "b overflow",
    "nop; nop; nop",
    "b underflow",
    "nop; nop; nop",
    ".rept 249",
    "b fail",
    "nop; nop; nop",
    ".endr",
    // The window that the trap came to is the invalid one; the next older is saved and becomes it.
    "overflow:",
    "rd %wim, %l3",
    "mov %g1, %l7",
    "srl %l3, 1, %g1",
    "sll %l3, 7, %l4",
    "or %l4, %g1, %g1",
    "save",
    "wr %g1, 0, %wim",
    "nop; nop; nop",
    "std %l0, [%sp]",
    "std %l2, [%sp + 8]",
    "std %l4, [%sp + 16]",
    "std %l6, [%sp + 24]",
    "std %i0, [%sp + 32]",
    "std %i2, [%sp + 40]",
    "std %i4, [%sp + 48]",
    "std %i6, [%sp + 56]",
    "restore",
    "mov %l7, %g1",
    "jmp %l1",
    "rett %l2",
    // Two windows up is the one that is wanted.
    "underflow:",
    "rd %wim, %l3",
    "sll %l3, 1, %l4",
    "srl %l3, 7, %l5",
    "or %l5, %l4, %l5",
    "wr %l5, 0, %wim",
    "nop; nop; nop",
    "restore",
    "restore",
    "ldd [%sp], %l0",
    "ldd [%sp + 8], %l2",
    "ldd [%sp + 16], %l4",
    "ldd [%sp + 24], %l6",
    "ldd [%sp + 32], %i0",
    "ldd [%sp + 40], %i2",
    "ldd [%sp + 48], %i4",
    "ldd [%sp + 56], %i6",
    "save",
    "save",
    "jmp %l1",
    "rett %l2",
    // A trap while traps are off ends the emulator.
    "fail:",
    "ta 1",
    "b fail",
    "nop",
    // Window 0, window 1 invalid; supervisor, all interrupts masked, FPU and traps on. The emulator has loaded all but
    // zeroes.
    ".global _start",
    "_start:",
    "set traps, %g1",
    "wr %g1, 0, %tbr",
    "wr %g0, 2, %wim",
    "set 0x1fa0, %g1",
    "wr %g1, 0, %psr",
    "nop; nop; nop",
    "set _stack_start - 96, %sp",
    "mov 0, %fp",
    "set _bss_start, %g1",
    "set _bss_end, %g2",
    "1: cmp %g1, %g2",
    "bgeu 2f",
    "nop",
    "st %g0, [%g1]",
    "b 1b",
    "add %g1, 4, %g1",
    "2: call main",
    "nop",
);

/// Ends the emulator: traps off, trap 0 means success, any other not.
pub fn leave(well: bool) -> ! {
    // SAFETY: nothing is executed afterwards.
    unsafe {
        asm!("rd %psr, {0}", "andn {0}, 0x20, {0}", "wr {0}, 0, %psr", "nop; nop; nop", out(reg) _);
        if well {
            asm!("ta 0");
        } else {
            asm!("ta 1");
        }
    }
    loop {
        core::hint::spin_loop();
    }
}

/// Begins the program again: the machine can't be reset by a program. Memory that the linker does not know of stays as it
/// is.
#[cfg(feature = "runner")]
pub fn restart() -> ! {
    unsafe extern "C" {
        fn _start() -> !;
    }
    // SAFETY: the code there makes stack, windows and zeroed memory anew, whatever they were.
    unsafe { _start() }
}

/// Nothing in these programs panics (`cargo xtask size` holds the runner's firmware to that), but the language wants a
/// handler.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    leave(false)
}
