//! Timer 0 of the nRF51: 32 bits, counting up.

use vcell::VolatileCell;

const START: *const VolatileCell<u32> = 0x4000_8000 as *const VolatileCell<u32>;
const CAPTURE: *const VolatileCell<u32> = 0x4000_8040 as *const VolatileCell<u32>;
const BITS: *const VolatileCell<u32> = 0x4000_8508 as *const VolatileCell<u32>;
const PRESCALER: *const VolatileCell<u32> = 0x4000_8510 as *const VolatileCell<u32>;
const CAPTURED: *const VolatileCell<u32> = 0x4000_8540 as *const VolatileCell<u32>;
const BITS_32: u32 = 3;

/// The timer, running.
pub struct Timer {
    capture: &'static VolatileCell<u32>,
    captured: &'static VolatileCell<u32>,
}

impl Timer {
    /// Starts the timer.
    pub fn start() -> Self {
        // SAFETY: the registers are there on the nRF51.
        #[allow(unsafe_code)]
        let [start, bits, prescaler, capture, captured] =
            unsafe { [&*START, &*BITS, &*PRESCALER, &*CAPTURE, &*CAPTURED] };
        bits.set(BITS_32);
        prescaler.set(0);
        start.set(1);
        Self { capture, captured }
    }
}

impl carafe_emulated::Timer for Timer {
    const HZ: u32 = 16_000_000;

    #[inline(always)]
    fn now(&self) -> u32 {
        self.capture.set(1);
        self.captured.get()
    }
}
