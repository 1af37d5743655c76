//! The board: pins, buses, clocks. Put your HAL in here; nothing else knows of it.

use core::convert::Infallible;

use cortex_m::Peripherals;
use cortex_m::peripheral::syst::SystClkSource;
use embedded_hal::i2c::{ErrorType, I2c, Operation};

use crate::sensor::OnI2c;

/// Ticks of the system timer between two readings: a second at 16 MHz.
const PERIOD: u32 = 16_000_000 - 1;

/// What the program uses of the board.
pub struct Board {
    /// What the model looks at.
    pub sensor: OnI2c<NoBus>,
}

impl Board {
    /// Takes the board, once.
    pub fn start() -> Option<Self> {
        let mut core = Peripherals::take()?;
        core.SYST.set_clock_source(SystClkSource::Core);
        core.SYST.set_reload(PERIOD);
        core.SYST.clear_current();
        core.SYST.enable_interrupt();
        core.SYST.enable_counter();
        Some(Self { sensor: OnI2c::new(NoBus, 0x29) })
    }

    /// Shows an answer. Put a LED or a radio here.
    pub fn show(&mut self, label: &str, score: f32) {
        // Keeps the compiler from leaving the model out while there is nothing to show it on.
        core::hint::black_box((label, score));
    }

    /// Sleeps until the timer, or any other interrupt, wakes the core.
    pub fn sleep(&mut self) {
        cortex_m::asm::wfi();
    }
}

/// Wakes the core; that is all that is needed.
#[cortex_m_rt::exception]
fn SysTick() {}

/// A bus with nothing on it, so that the program builds before your HAL is in.
pub struct NoBus;

impl ErrorType for NoBus {
    type Error = Infallible;
}

impl I2c for NoBus {
    fn transaction(&mut self, _: u8, _: &mut [Operation<'_>]) -> Result<(), Infallible> {
        Ok(())
    }
}
