//! The board's memory beyond what the linker hands out: PSRAM for models and arena, and the painted stack.

use carafe_runner::{Memory, Stack};

const PSRAM: usize = 0x2100_0000;
const PSRAM_BYTES: usize = 16 << 20;
/// Each of two banks: the new model comes into one while the other's is in use.
const BANK_BYTES: usize = 5 << 20;

/// Gives out the PSRAM. The CPU's `CPUID` is proof that this happens once.
pub fn psram(_once: cortex_m::peripheral::CPUID) -> Memory<'static> {
    // SAFETY: AN386 has 16 MB of RAM there, nothing else refers to them (the linker does not know of them), and
    // `CPUID` exists once. Bytes of RAM have a value from the start, though not a known one.
    #[allow(unsafe_code)]
    let all = unsafe { core::slice::from_raw_parts_mut(PSRAM as *mut u8, PSRAM_BYTES) };
    let (front, rest) = all.split_at_mut_checked(BANK_BYTES).unwrap_or_default();
    let (back, arena) = rest.split_at_mut_checked(BANK_BYTES).unwrap_or_default();
    Memory { banks: [front, back], arena }
}

/// The stack below the caller, painted to see how deep it was used.
pub struct PaintedStack {
    top: usize,
}

const PAINT: u32 = 0xCCCC_CCCC;
/// Left unpainted below the stack pointer, for the frame of the function that paints.
const MARGIN: usize = 256;

// SAFETY: the linker script defines it; only its address is used.
#[allow(unsafe_code)]
unsafe extern "C" {
    static _stack_end: u32;
}

impl PaintedStack {
    /// A stack not yet painted.
    pub const fn new() -> Self {
        Self { top: 0 }
    }

    fn bottom() -> usize {
        (&raw const _stack_end).addr()
    }
}

impl Stack for PaintedStack {
    #[inline(never)]
    fn paint(&mut self) {
        self.top = cortex_m::register::msp::read() as usize;
        for at in (Self::bottom()..self.top.saturating_sub(MARGIN)).step_by(4) {
            // SAFETY: between the end of the stack and the stack pointer there is RAM that no one uses (interrupts
            // are off), and `_stack_end` is aligned to 4 bytes by the linker script.
            #[allow(unsafe_code)]
            unsafe {
                (at as *mut u32).write_volatile(PAINT);
            }
        }
    }

    fn used(&self) -> Option<u32> {
        // SAFETY: as in `paint`; this only reads.
        #[allow(unsafe_code)]
        let untouched = |at: &usize| unsafe { (*at as *const u32).read_volatile() } == PAINT;
        let deepest = (Self::bottom()..self.top).step_by(4).find(|at| !untouched(at)).unwrap_or(self.top);
        u32::try_from(self.top.saturating_sub(deepest)).ok()
    }
}
