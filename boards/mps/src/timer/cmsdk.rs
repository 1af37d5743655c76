//! CMSDK APB timer 0: 32 bits, counting down.

use vcell::VolatileCell;

#[repr(C)]
struct Registers {
    ctrl: VolatileCell<u32>,
    value: VolatileCell<u32>,
    reload: VolatileCell<u32>,
}

const BASE: *const Registers = if AN505 { 0x5000_0000 } else { 0x4000_0000 } as *const Registers;
const CTRL_ENABLE: u32 = 1;
const AN505: bool = cfg!(feature = "mps2-an505");

/// The board's timer, running.
pub struct Timer {
    registers: &'static Registers,
}

impl Timer {
    /// Starts the timer.
    pub fn start() -> Self {
        // SAFETY: the registers are there on these boards.
        #[allow(unsafe_code)]
        let registers = unsafe { &*BASE };
        registers.reload.set(u32::MAX);
        registers.value.set(u32::MAX);
        registers.ctrl.set(CTRL_ENABLE);
        Self { registers }
    }
}

/// Ticks of the timer, wherever it has been started.
#[cfg(feature = "log")]
pub fn ticks() -> u32 {
    // SAFETY: the registers are there on these boards, and reading this one changes nothing.
    #[allow(unsafe_code)]
    !unsafe { &*BASE }.value.get()
}

impl carafe_emulated::Timer for Timer {
    const HZ: u32 = if AN505 { 20_000_000 } else { 25_000_000 };

    #[inline(always)]
    fn now(&self) -> u32 {
        !self.registers.value.get()
    }
}
