//! The first timer of the GPTIMER: 32 bits, counting down.

use vcell::VolatileCell;

#[repr(C)]
struct Registers {
    scaler: VolatileCell<u32>,
    scaler_reload: VolatileCell<u32>,
    config: VolatileCell<u32>,
    latch: VolatileCell<u32>,
    timers: [One; 2],
}

#[repr(C)]
struct One {
    counter: VolatileCell<u32>,
    reload: VolatileCell<u32>,
    control: VolatileCell<u32>,
    latched: VolatileCell<u32>,
}

impl One {
    fn start(&self, ticks: u32) {
        self.reload.set(ticks);
        self.control.set(ENABLE | RESTART | LOAD);
    }
}

const BASE: *const Registers = 0x8000_0300 as *const Registers;
const ENABLE: u32 = 1;
const RESTART: u32 = 1 << 1;
const LOAD: u32 = 1 << 2;
/// 0.5 ms.
#[cfg(feature = "runner")]
const PULSE: u32 = 20_000;

/// The timer, running.
pub struct Timer {
    timer: &'static One,
}

fn registers() -> &'static Registers {
    // SAFETY: the registers are there on this machine.
    #[allow(unsafe_code)]
    unsafe {
        &*BASE
    }
}

/// Has the second timer run through again and again. Nobody looks at it, but each time the emulator's main loop wakes, and
/// looks whether the UART has room again for what is waiting for it; else it would once a second.
#[cfg(feature = "runner")]
pub fn pulse() {
    let [_, second] = &registers().timers;
    second.start(PULSE);
}

impl Timer {
    /// Starts the timer.
    pub fn start() -> Self {
        let registers = registers();
        registers.scaler_reload.set(0);
        registers.scaler.set(0);
        let [timer, _] = &registers.timers;
        timer.start(u32::MAX);
        Self { timer }
    }
}

impl carafe_emulated::Timer for Timer {
    const HZ: u32 = 40_000_000;

    #[inline(always)]
    fn now(&self) -> u32 {
        !self.timer.counter.get()
    }
}
