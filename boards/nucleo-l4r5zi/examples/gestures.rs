//! Tells gestures apart: reads an accelerometer LIS3DH 50 times a second, asks the model six times, and sleeps in between.
//! The LED is lit while the board is not held still.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_kit::tick;
use carafe_sensors::lis3dh::{ADDRESSES, Lis3dh};
use carafe_sensors::motion::Window;
use cortex_m::peripheral::SCB;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::i2c::{Config, I2c};

carafe_macros::include_model!("../../examples/sensors/gestures.carafe");

/// Readings a second, as in training.
const RATE: u32 = 50;

/// The chip's own oscillator, as it starts: a core that mostly sleeps needs no more.
const HZ: u32 = 4_000_000;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: gestures::Arena = gestures::Arena::zeroed();

    let Some(core) = cortex_m::Peripherals::take() else { SCB::sys_reset() };
    let p = embassy_stm32::init(embassy_stm32::Config::default());
    let mut led = Output::new(p.PC7, Level::Low, Speed::Low);
    let bus = I2c::new_blocking(p.I2C1, p.PB8, p.PB9, Config::default());
    // The compiler has verified the model: this fails only if flash is damaged.
    let Ok(mut net) = gestures::Net::new() else { SCB::sys_reset() };
    let Ok(mut sensor) = Lis3dh::new(bus, ADDRESSES[0]) else { SCB::sys_reset() };
    let mut window = Window::default();
    tick(core.SYST, HZ / RATE);
    loop {
        cortex_m::asm::wfi();
        let Ok(reading) = sensor.read() else { continue };
        let Some(window) = window.push(reading) else { continue };
        let input = window.map(|g| gestures::INPUT.quantize(g).cast_signed());
        if let Ok(output) = net.run(ARENA, &input) {
            let still = output.label() == "still";
            led.set_level(if still { Level::Low } else { Level::High });
        }
    }
}
