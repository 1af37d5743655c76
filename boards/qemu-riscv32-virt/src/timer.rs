//! `mtime`, the machine's clock, of its 64 bits the lower half. What `mcycle` and `minstret` count depends on the emulator's
//! command line; this is time always.

use vcell::VolatileCell;

const MTIME: *const VolatileCell<u32> = 0x0200_BFF8 as *const VolatileCell<u32>;

/// The clock, which always runs.
pub struct Timer {
    value: &'static VolatileCell<u32>,
}

impl Timer {
    /// The clock.
    pub fn start() -> Self {
        // SAFETY: the register is there on this machine.
        #[allow(unsafe_code)]
        let value = unsafe { &*MTIME };
        Self { value }
    }
}

impl carafe_emulated::Timer for Timer {
    const HZ: u32 = 10_000_000;

    #[inline(always)]
    fn now(&self) -> u32 {
        self.value.get()
    }
}
