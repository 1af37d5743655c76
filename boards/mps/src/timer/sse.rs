//! The system counter of the subsystem SSE-300; of its 64 bits the lower half.

use vcell::VolatileCell;

const CONTROL: *const VolatileCell<u32> = 0x5810_0000 as *const VolatileCell<u32>;
const VALUE: *const VolatileCell<u32> = 0x5810_1000 as *const VolatileCell<u32>;
const CONTROL_ENABLE: u32 = 1;

/// Ticks a second.
pub const HZ: u32 = 32_000_000;

/// The board's counter, running.
pub struct Timer {
    value: &'static VolatileCell<u32>,
}

impl Timer {
    /// Starts the counter. The system timer is proof that this happens once.
    pub fn start(_once: cortex_m::peripheral::SYST) -> Self {
        // SAFETY: both registers are there on AN547, and `Timer` alone has them, for `SYST` exists once.
        #[allow(unsafe_code)]
        let (control, value) = unsafe { (&*CONTROL, &*VALUE) };
        control.set(CONTROL_ENABLE);
        Self { value }
    }

    /// Ticks, counting up; they wrap.
    #[inline(always)]
    pub fn now(&self) -> u32 {
        self.value.get()
    }
}
