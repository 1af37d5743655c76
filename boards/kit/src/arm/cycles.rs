//! The cycle counter of the debug unit, which Armv6-M does not have.

use carafe_runner::{Clock, Counter, CounterKind};
use cortex_m::peripheral::{DCB, DWT};

/// Cycles of the core.
///
/// Right if asked at least once in 2^32 cycles, nine seconds at 480 MHz; the runner does.
pub struct Cycles {
    dwt: DWT,
    hz: u32,
    last: u32,
    total: u64,
}

impl Cycles {
    /// Starts the counter, of a core that runs at `hz`.
    pub fn start(mut dcb: DCB, mut dwt: DWT, hz: u32) -> Self {
        dcb.enable_trace();
        // A Cortex-M7 keeps the unit locked until it is told.
        DWT::unlock();
        dwt.enable_cycle_counter();
        Self { dwt, hz, last: 0, total: 0 }.begun()
    }

    fn begun(mut self) -> Self {
        self.last = self.dwt.cyccnt.read();
        self
    }
}

impl Clock for Cycles {
    fn counter(&self) -> Counter {
        Counter { kind: CounterKind::Cycles, hz: self.hz }
    }

    fn ticks(&mut self) -> u64 {
        let now = self.dwt.cyccnt.read();
        self.total = self.total.wrapping_add(u64::from(now.wrapping_sub(self.last)));
        self.last = now;
        self.total
    }
}
