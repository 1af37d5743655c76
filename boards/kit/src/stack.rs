//! The stack below the runner's frame, painted to see how deep a run goes. Interrupts that come meanwhile count as well.

use carafe_runner::Stack;

const PAINT: u32 = 0xCCCC_CCCC;
/// Left unpainted below the stack pointer, for the frame of the function that paints.
const MARGIN: usize = 64;

// SAFETY: linker scripts define them; only their addresses are used.
#[allow(unsafe_code)]
unsafe extern "C" {
    #[cfg(target_arch = "arm")]
    static _stack_end: u32;
    #[cfg(target_arch = "riscv32")]
    #[link_name = "__stack_chk_guard"]
    static _stack_end: u32;
}

/// The stack of the one core that the runner has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Painted {
    top: Option<usize>,
}

/// Of an ESP32 what is above the word that its HAL has a watchpoint on: to paint that ends in an exception.
fn bottom() -> usize {
    let end = (&raw const _stack_end).addr().next_multiple_of(4);
    if cfg!(target_arch = "riscv32") { end + 4 } else { end }
}

#[cfg(target_arch = "arm")]
#[inline(always)]
fn pointer() -> usize {
    cortex_m::register::msp::read() as usize
}

#[cfg(target_arch = "riscv32")]
#[inline(always)]
fn pointer() -> usize {
    let pointer: usize;
    // SAFETY: reads a register.
    #[allow(unsafe_code)]
    unsafe {
        core::arch::asm!("mv {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// Paints below `top`. An interrupt that comes in between leaves its frame there, and is through with it when this goes on.
#[inline(never)]
fn fill(top: usize) {
    for at in (bottom()..top.saturating_sub(MARGIN)).step_by(4) {
        // SAFETY: between the end of the stack and the stack pointer there is RAM that no one uses, and `at` is a
        // multiple of 4.
        #[allow(unsafe_code)]
        unsafe {
            (at as *mut u32).write_volatile(PAINT);
        }
    }
}

#[inline(never)]
fn used(top: usize) -> u32 {
    // SAFETY: as in `fill`; this only reads.
    #[allow(unsafe_code)]
    let painted = |at: &usize| unsafe { (*at as *const u32).read_volatile() } == PAINT;
    let deepest = (bottom()..top).step_by(4).find(|at| !painted(at)).unwrap_or(top);
    top.saturating_sub(deepest) as u32
}

impl Stack for Painted {
    #[inline(always)]
    fn paint(&mut self) {
        let top = pointer();
        self.top = Some(top);
        fill(top);
    }

    fn used(&self) -> Option<u32> {
        self.top.map(used)
    }
}
