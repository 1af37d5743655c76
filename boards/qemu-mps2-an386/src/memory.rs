//! The board's memory beyond what the linker hands out: PSRAM for models and arena.

use carafe_runner::Memory;

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
