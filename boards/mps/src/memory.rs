//! The boards' memory beyond what the linker hands out: external RAM for models and arena.

use carafe_emulated::{Memory, Once, in_banks};

const START: usize = if cfg!(feature = "mps2-an505") {
    0x8000_0000
} else if cfg!(any(feature = "mps2-an500", feature = "mps3-an547")) {
    0x6000_0000
} else {
    0x2100_0000
};
/// AN547 has 2 GB there; the others have this.
const BYTES: usize = 16 << 20;
const BANK_BYTES: usize = 5 << 20;

static LENT: Once<()> = Once::new(());

/// Gives out the external RAM, the first time; later nothing.
pub fn external() -> Memory<'static> {
    let all: &mut [u8] = match LENT.take() {
        // SAFETY: the boards have RAM there, nothing else refers to it (the linker puts nothing there), and this is the
        // only time that this is done. Bytes of RAM have a value from the start, though not a known one.
        #[allow(unsafe_code)]
        Some(()) => unsafe { core::slice::from_raw_parts_mut(START as *mut u8, BYTES) },
        None => &mut [],
    };
    in_banks(all, BANK_BYTES)
}
