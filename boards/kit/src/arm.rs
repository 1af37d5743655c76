//! What is Cortex-M's own.

#[cfg(not(armv6m))]
mod cycles;

#[cfg(not(armv6m))]
pub use cycles::Cycles;

use core::pin::pin;
use core::task::{Context, Poll, Waker};

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use embedded_hal::delay::DelayNs;

/// Sleeps until a future has come, for drivers that have no other way to wait. The end of every interrupt wakes the core, so
/// no wake-up is missed.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        cortex_m::asm::wfe();
    }
}

/// Has the core woken every so many of its cycles, up to 2^24: what an application sleeps through.
pub fn tick(mut timer: SYST, cycles: u32) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(cycles.saturating_sub(1));
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

/// Wakes the core; that is all that is needed.
#[cortex_m_rt::exception]
fn SysTick() {}

/// Waits by counting, for drivers that have to: at least as long as it was told.
#[derive(Debug, Clone, Copy)]
pub struct Pause {
    /// Of the core.
    pub hz: u32,
}

impl DelayNs for Pause {
    fn delay_ns(&mut self, ns: u32) {
        let cycles = u64::from(ns).saturating_mul(u64::from(self.hz)).div_ceil(1_000_000_000);
        cortex_m::asm::delay(u32::try_from(cycles).unwrap_or(u32::MAX));
    }
}

/// Starts afresh, once the last answer has left the UART of a core that runs at `hz`.
pub fn restart(hz: u32) -> ! {
    cortex_m::asm::delay(hz / 50);
    SCB::sys_reset()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    SCB::sys_reset()
}

#[allow(unsafe_code, reason = "the attribute asks for it; the function itself has nothing unsafe")]
#[cortex_m_rt::exception]
unsafe fn HardFault(_: &cortex_m_rt::ExceptionFrame) -> ! {
    SCB::sys_reset()
}
