//! Tells gestures apart: reads an accelerometer LIS3DH 50 times a second, asks the model six times, and sleeps in between.
//! The LED on GPIO 7 is lit while the board is not held still.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::cell::RefCell;

use carafe_sensors::lis3dh::{ADDRESSES, Lis3dh};
use carafe_sensors::motion::Window;
use critical_section::Mutex;
use esp_hal::Blocking;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::i2c::master::{Config, I2c};
use esp_hal::interrupt::wait_for_interrupt;
use esp_hal::system::software_reset;
use esp_hal::time::Duration;
use esp_hal::timer::PeriodicTimer;
use esp_hal::timer::systimer::SystemTimer;
use static_cell::ConstStaticCell;

// What the bootloader looks for.
esp_bootloader_esp_idf::esp_app_desc!();

carafe_macros::include_model!("../../examples/sensors/gestures.carafe");

/// Between two readings, as in training.
const PERIOD: Duration = Duration::from_millis(20);

static TIMER: Mutex<RefCell<Option<PeriodicTimer<'static, Blocking>>>> = Mutex::new(RefCell::new(None));
static ARENA: ConstStaticCell<gestures::Arena> = ConstStaticCell::new(gestures::Arena::zeroed());

#[esp_hal::main]
fn main() -> ! {
    let p = esp_hal::init(esp_hal::Config::default());
    let arena = ARENA.take();
    let mut led = Output::new(p.GPIO7, Level::Low, OutputConfig::default());
    let Ok(bus) = I2c::new(p.I2C0, Config::default()) else { software_reset() };
    let bus = bus.with_sda(p.GPIO5).with_scl(p.GPIO6);
    // The compiler has verified the model: this fails only if flash is damaged.
    let Ok(mut net) = gestures::Net::new() else { software_reset() };
    let Ok(mut sensor) = Lis3dh::new(bus, ADDRESSES[0]) else { software_reset() };
    let mut window = Window::default();
    let mut timer = PeriodicTimer::new(SystemTimer::new(p.SYSTIMER).alarm0);
    timer.set_interrupt_handler(woken);
    timer.listen();
    if timer.start(PERIOD).is_err() {
        software_reset();
    }
    critical_section::with(|section| TIMER.borrow_ref_mut(section).replace(timer));
    loop {
        wait_for_interrupt();
        let Ok(reading) = sensor.read() else { continue };
        let Some(window) = window.push(reading) else { continue };
        let input = window.map(|g| gestures::INPUT.quantize(g).cast_signed());
        if let Ok(output) = net.run(arena, &input) {
            let still = output.label() == "still";
            led.set_level(if still { Level::Low } else { Level::High });
        }
    }
}

/// Wakes the core; that is all that is needed.
#[esp_hal::handler]
fn woken() {
    critical_section::with(|section| {
        if let Some(timer) = TIMER.borrow_ref_mut(section).as_mut() {
            timer.clear_interrupt();
        }
    });
}

/// Nothing here panics; the HAL may.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    software_reset()
}
