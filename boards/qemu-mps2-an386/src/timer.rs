//! CMSDK APB timer 0 as the board's clock: 25 MHz, 32 bits, counting down.

use carafe_runner::{Clock, Counter, CounterKind};
use vcell::VolatileCell;

#[repr(C)]
struct Registers {
    ctrl: VolatileCell<u32>,
    value: VolatileCell<u32>,
    reload: VolatileCell<u32>,
}

const BASE: *const Registers = 0x4000_0000 as *const Registers;
const CTRL_ENABLE: u32 = 1;
const HZ: u32 = 25_000_000;

/// Ticks since the start. Right if read at least once in 171 s, the time in which 32 bits wrap.
pub struct Timer {
    registers: &'static Registers,
    last: u32,
    total: u64,
}

impl Timer {
    /// Starts the timer. The system timer is proof that this happens once.
    pub fn new(_syst: cortex_m::peripheral::SYST) -> Self {
        // SAFETY: the registers are there on AN386, and `Timer` alone has them, for `SYST` exists once.
        #[allow(unsafe_code)]
        let registers = unsafe { &*BASE };
        registers.reload.set(u32::MAX);
        registers.value.set(u32::MAX);
        registers.ctrl.set(CTRL_ENABLE);
        Self { registers, last: 0, total: 0 }
    }
}

impl Clock for Timer {
    fn counter(&self) -> Counter {
        Counter { kind: CounterKind::Time, hz: HZ }
    }

    fn ticks(&mut self) -> u64 {
        let now = !self.registers.value.get();
        self.total = self.total.wrapping_add(u64::from(now.wrapping_sub(self.last)));
        self.last = now;
        self.total
    }
}
