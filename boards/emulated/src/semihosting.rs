//! Semihosting: the emulator as the program's operating system.

#[cfg(feature = "runner")]
mod command_line;
#[cfg(feature = "runner")]
mod console;
#[cfg(feature = "runner")]
mod file;

use core::arch::asm;
use core::ffi::CStr;

#[cfg(feature = "runner")]
pub use command_line::CommandLine;
#[cfg(feature = "runner")]
pub use console::Console;
#[cfg(feature = "runner")]
pub use file::File;

const OPEN: usize = 0x01;
const WRITE: usize = 0x05;
const EXIT: usize = 0x18;
const MODE_W: usize = 4;
/// What [`EXIT`] takes for success (`ADP_Stopped_ApplicationExit`), and for all else.
const EXIT_WELL: usize = 0x2_0026;
const EXIT_FAILED: usize = 0x2_0023;

const CONSOLE: &CStr = c":tt";

/// Asks the emulator for something.
///
/// # Safety
/// `argument` is what the operation asks for; where that is the address of a block, block and buffers are the caller's.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn ask(operation: usize, argument: usize) -> usize {
    let answer;
    // SAFETY: the instruction that the emulator takes for a call; it changes the first register and, at most, the memory
    // that the caller promises.
    unsafe {
        #[cfg(target_arch = "arm")]
        asm!("bkpt 0xAB", inlateout("r0") operation => answer, in("r1") argument, options(nostack, preserves_flags));
        // The three have to be on one page.
        #[cfg(target_arch = "riscv32")]
        asm!(
            ".option push",
            ".option norvc",
            ".balign 16",
            "slli zero, zero, 0x1f",
            "ebreak",
            "srai zero, zero, 7",
            ".option pop",
            inlateout("a0") operation => answer,
            in("a1") argument,
            options(nostack, preserves_flags)
        );
    }
    answer
}

/// Asks with a block: address of a buffer (or name), and two more words.
fn call(operation: usize, block: [usize; 3]) -> usize {
    // SAFETY: the callers give the block that the operation asks for; the buffers in it are theirs meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        ask(operation, block.as_ptr().expose_provenance())
    }
}

fn open(mode: usize) -> usize {
    call(OPEN, [CONSOLE.as_ptr().expose_provenance(), mode, CONSOLE.count_bytes()])
}

/// Ends the emulator; it comes back only where there is none.
pub fn exit(well: bool) {
    // SAFETY: the argument is a number.
    #[allow(unsafe_code)]
    unsafe {
        ask(EXIT, if well { EXIT_WELL } else { EXIT_FAILED });
    }
}

/// Prints bytes on the console. A host that does not listen gets none, and says so.
pub fn print(bytes: &[u8]) {
    call(WRITE, [open(MODE_W), bytes.as_ptr().expose_provenance(), bytes.len()]);
}
