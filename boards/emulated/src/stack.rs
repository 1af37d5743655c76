//! The stack below the caller, painted to see how deep it was used.

use core::arch::asm;

/// A stack that has been painted.
pub struct PaintedStack {
    top: usize,
}

const PAINT: u32 = 0xCCCC_CCCC;
/// Left unpainted below the stack pointer, for the frame of the function that paints (on SPARC, with the room that a
/// frame has for registers).
const MARGIN: usize = if cfg!(target_arch = "sparc") { 256 } else { 64 };

// SAFETY: the linker script defines it; only its address is used.
#[allow(unsafe_code)]
unsafe extern "C" {
    static _stack_end: u32;
}

fn bottom() -> usize {
    (&raw const _stack_end).addr()
}

#[inline(always)]
fn pointer() -> usize {
    let pointer: usize;
    // SAFETY: it reads a register.
    #[allow(unsafe_code)]
    unsafe {
        #[cfg(target_arch = "arm")]
        asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "riscv32")]
        asm!("mv {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "sparc")]
        asm!("mov %sp, {}", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

impl PaintedStack {
    /// Paints what is below the caller's frame.
    #[inline(always)]
    pub fn paint() -> Self {
        let painted = Self { top: pointer() };
        painted.fill();
        painted
    }

    #[inline(never)]
    fn fill(&self) {
        for at in (bottom()..self.top.saturating_sub(MARGIN)).step_by(4) {
            // SAFETY: between the end of the stack and the stack pointer there is RAM that no one uses (no interrupt has a
            // handler that runs), and `_stack_end` is aligned to 4 bytes by the linker script.
            #[allow(unsafe_code)]
            unsafe {
                (at as *mut u32).write_volatile(PAINT);
            }
        }
    }

    /// Bytes between the stack pointer of the one who painted and the deepest byte written since.
    #[inline(never)]
    pub fn used(&self) -> u32 {
        // SAFETY: as in `paint`; this only reads.
        #[allow(unsafe_code)]
        let untouched = |at: &usize| unsafe { (*at as *const u32).read_volatile() } == PAINT;
        let deepest = (bottom()..self.top).step_by(4).find(|at| !untouched(at)).unwrap_or(self.top);
        self.top.saturating_sub(deepest) as u32
    }
}
