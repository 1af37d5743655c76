//! The boards' memory beyond what the linker hands out: external RAM for models, arena, and what stands for flash.

use carafe_emulated::{Given, Once, lend};

const START: usize = if cfg!(feature = "mps2-an505") {
    0x8000_0000
} else if cfg!(any(feature = "mps2-an500", feature = "mps3-an547")) {
    0x6000_0000
} else {
    0x2100_0000
};
/// AN547 has 2 GB there; the others have this.
const BYTES: usize = 16 << 20;

static LENT: Once<()> = Once::new(());

/// Gives out the external RAM, the first time; later nothing.
pub fn external() -> Given<'static> {
    // SAFETY: the boards have RAM there, and the linker puts nothing there.
    #[allow(unsafe_code)]
    Given::of(unsafe { lend(&LENT, START, BYTES) })
}
