//! The system counter of the subsystem SSE-300; of its 64 bits the lower half.

use vcell::VolatileCell;

const CONTROL: *const VolatileCell<u32> = 0x5810_0000 as *const VolatileCell<u32>;
const VALUE: *const VolatileCell<u32> = 0x5810_1000 as *const VolatileCell<u32>;
const CONTROL_ENABLE: u32 = 1;

/// The board's counter, running.
pub struct Timer {
    value: &'static VolatileCell<u32>,
}

impl Timer {
    /// Starts the counter.
    pub fn start() -> Self {
        // SAFETY: both registers are there on AN547.
        #[allow(unsafe_code)]
        let (control, value) = unsafe { (&*CONTROL, &*VALUE) };
        control.set(CONTROL_ENABLE);
        Self { value }
    }
}

/// Ticks of the counter, wherever it has been started.
#[cfg(feature = "log")]
pub fn ticks() -> u32 {
    // SAFETY: the register is there on AN547, and reading it changes nothing.
    #[allow(unsafe_code)]
    unsafe { &*VALUE }.get()
}

impl carafe_emulated::Timer for Timer {
    const HZ: u32 = 32_000_000;

    #[inline(always)]
    fn now(&self) -> u32 {
        self.value.get()
    }
}
