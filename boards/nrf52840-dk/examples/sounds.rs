//! Tells sounds apart: takes 8,000 samples a second from a microphone on SPI (Pmod MIC3), asks the model 31 times, and sleeps
//! in between, even from sample to sample. LED 1 is lit while there is a whistle, LED 2 while there is a voice.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_kit::{Pause, tick};
use carafe_sensors::microphone::Microphone;
use carafe_sensors::sound::{SAMPLES, energies};
use cortex_m::peripheral::SCB;
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::spim::{self, Frequency, Spim};
use embassy_nrf::{bind_interrupts, config, peripherals};
use embedded_hal_bus::spi::ExclusiveDevice;

carafe_macros::include_model!("../../examples/sensors/sounds.carafe");

const HZ: u32 = 64_000_000;
/// Samples a second, as in training.
const RATE: u32 = 8_000;

bind_interrupts!(struct Interrupts {
    SPI2 => spim::InterruptHandler<peripherals::SPI2>;
});

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: sounds::Arena = sounds::Arena::zeroed();

    let Some(core) = cortex_m::Peripherals::take() else { SCB::sys_reset() };
    let p = embassy_nrf::init(config::Config::default());
    // They light when low.
    let mut leds = [
        ("whistle", Output::new(p.P0_13, Level::High, OutputDrive::Standard)),
        ("voice", Output::new(p.P0_14, Level::High, OutputDrive::Standard)),
    ];
    let mut speed = spim::Config::default();
    speed.frequency = Frequency::M4;
    let bus = Spim::new_rxonly(p.SPI2, Interrupts, p.P1_15, p.P1_14, speed);
    let select = Output::new(p.P1_12, Level::High, OutputDrive::Standard);
    let Ok(device) = ExclusiveDevice::new(bus, select, Pause { hz: HZ });
    let mut microphone = Microphone::new(device);
    // The compiler has verified the model: this fails only if flash is damaged.
    let Ok(mut net) = sounds::Net::new() else { SCB::sys_reset() };
    let mut samples = [0; SAMPLES];
    tick(core.SYST, HZ / RATE);
    loop {
        for sample in &mut samples {
            cortex_m::asm::wfi();
            *sample = microphone.sample().unwrap_or(0);
        }
        let input = energies(&samples).map(|energy| sounds::INPUT.quantize(energy).cast_signed());
        if let Ok(output) = net.run(ARENA, &input) {
            for (label, led) in &mut leds {
                let heard = output.label() == *label;
                led.set_level(if heard { Level::Low } else { Level::High });
            }
        }
    }
}
