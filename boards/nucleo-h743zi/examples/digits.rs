//! Reads handwritten digits: once a second takes a picture with a camera on SPI (ArduCAM Mega), asks the model what it shows,
//! and sleeps until the next. The three LEDs show the lower bits of the digit; all are out while there is none.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_kit::{Pause, tick};
use carafe_sensors::camera::{Camera, Error, ROW_BYTES, SIDE};
use carafe_sensors::picture::{Digit, INPUT};
use cortex_m::peripheral::SCB;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::spi::{self, Spi};
use embassy_stm32::time::Hertz;
use embedded_hal::delay::DelayNs;
use embedded_hal::spi::SpiDevice;
use embedded_hal_bus::spi::ExclusiveDevice;

carafe_macros::include_model!("../../examples/sensors/digits.carafe");

/// The chip's own oscillator, as it starts: there is no hurry.
const HZ: u32 = 64_000_000;
/// Wake-ups a second, and to a picture.
const TICKS: u32 = 10;

/// Below it the model is guessing.
const SURE: f32 = 0.6;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: digits::Arena = digits::Arena::zeroed();

    let Some(core) = cortex_m::Peripherals::take() else { SCB::sys_reset() };
    let p = embassy_stm32::init(embassy_stm32::Config::default());
    let mut leds = [
        Output::new(p.PB0, Level::Low, Speed::Low),
        Output::new(p.PB7, Level::Low, Speed::Low),
        Output::new(p.PB14, Level::Low, Speed::Low),
    ];
    let mut speed = spi::Config::default();
    speed.frequency = Hertz(4_000_000);
    let bus = Spi::new_blocking(p.SPI1, p.PA5, p.PB5, p.PA6, speed);
    let select = Output::new(p.PD14, Level::High, Speed::VeryHigh);
    let Ok(device) = ExclusiveDevice::new(bus, select, Pause { hz: HZ });
    let Ok(mut camera) = Camera::new(device, Pause { hz: HZ }) else { SCB::sys_reset() };
    // The compiler has verified the model: this fails only if flash is damaged.
    let Ok(mut net) = digits::Net::new() else { SCB::sys_reset() };
    tick(core.SYST, HZ / TICKS);
    loop {
        for _ in 0..TICKS {
            cortex_m::asm::wfi();
        }
        let mut digit = None;
        if let Ok(Some(image)) = picture(&mut camera)
            && let Ok(output) = net.run(ARENA, &image)
        {
            digit = output.ranked().next().filter(|best| best.score >= SURE).map(|best| best.index);
        }
        for (bit, led) in leds.iter_mut().enumerate() {
            let lit = digit.is_some_and(|digit| digit >> bit & 1 == 1);
            led.set_level(if lit { Level::High } else { Level::Low });
        }
    }
}

/// What the camera sees, row by row, so that there is never a whole picture in memory.
fn picture<S: SpiDevice, D: DelayNs>(camera: &mut Camera<S, D>) -> Result<Option<[u8; INPUT]>, Error<S::Error>> {
    let mut digit = Digit::default();
    let mut row = [0; ROW_BYTES];
    camera.take()?;
    for y in 0..SIDE {
        camera.row(&mut row)?;
        digit.row(y, &row);
    }
    Ok(digit.finish())
}
