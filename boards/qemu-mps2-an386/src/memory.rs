//! The board's memory beyond what the linker hands out: PSRAM for models, arena, and what stands for flash.

use carafe_runner::Memory;

const PSRAM: usize = 0x2100_0000;
const PSRAM_BYTES: usize = 16 << 20;
/// Of two banks: a new model comes into one while the other's is in use. Both take the models of small boards, one
/// the largest there are.
const BANK_BYTES: [usize; 2] = [4 << 20, 1 << 20];
const ARENA_BYTES: usize = 4 << 20;

/// All of it.
pub struct Psram {
    /// For the runner.
    pub models: Memory<'static>,
    /// Two slots of 3.5 MB.
    pub flash: &'static mut [u8],
}

/// Gives out the PSRAM. The CPU's `CPUID` is proof that this happens once.
pub fn psram(_once: cortex_m::peripheral::CPUID) -> Psram {
    // SAFETY: AN386 has 16 MB of RAM there, nothing else refers to them (the linker does not know of them), and
    // `CPUID` exists once. Bytes of RAM have a value from the start, though not a known one.
    #[allow(unsafe_code)]
    let all = unsafe { core::slice::from_raw_parts_mut(PSRAM as *mut u8, PSRAM_BYTES) };
    let [front, back] = BANK_BYTES;
    let (front, rest) = all.split_at_mut_checked(front).unwrap_or_default();
    let (back, rest) = rest.split_at_mut_checked(back).unwrap_or_default();
    let (arena, flash) = rest.split_at_mut_checked(ARENA_BYTES).unwrap_or_default();
    Psram { models: Memory { banks: [front, back], arena }, flash }
}
