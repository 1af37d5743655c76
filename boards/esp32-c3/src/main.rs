//! Carafe's runner on the ESP32-C3-DevKitM-1: takes models over the USB port of its serial bridge, and keeps them in flash.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[cfg(feature = "log")]
use defmt_rtt as _;

use carafe_kit::{Painted, Room, Steady};
use carafe_runner::carafe::ops::ALL;
use carafe_runner::carafe_slots::Slots;
use carafe_runner::{Clock, Counter, CounterKind, Identity, Memory, Runner};
use esp_hal::clock::CpuClock;
use esp_hal::delay::Delay;
use esp_hal::system::software_reset;
use esp_hal::timer::systimer::{SystemTimer, Unit};
use esp_hal::uart::{Config, Uart};
use esp_storage::FlashStorage;
use static_cell::ConstStaticCell;

// What the bootloader looks for.
esp_bootloader_esp_idf::esp_app_desc!();

const IDENTITY: Identity<'static> = Identity { board: "esp32-c3", cpu: "rv32imc" };

/// As `partitions.csv` leaves them: offset in flash, and bytes of each.
const SLOTS: (u32, u32) = (0x30_0000, 128 << 10);
const MODEL_BYTES: usize = 112 << 10;
const ARENA_BYTES: usize = 112 << 10;

static BANK: ConstStaticCell<Room<MODEL_BYTES>> = ConstStaticCell::new(Room::new());
static ARENA: ConstStaticCell<Room<ARENA_BYTES>> = ConstStaticCell::new(Room::new());

/// The system timer.
struct Timer;

impl Clock for Timer {
    fn counter(&self) -> Counter {
        Counter { kind: CounterKind::Time, hz: 16_000_000 }
    }

    fn ticks(&mut self) -> u64 {
        SystemTimer::unit_value(Unit::Unit0)
    }
}

#[esp_hal::main]
fn main() -> ! {
    let p = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let Ok(uart) = Uart::new(p.UART0, Config::default()) else { software_reset() };
    let uart = uart.with_rx(p.GPIO20).with_tx(p.GPIO21);
    let memory = Memory { banks: [&mut BANK.take().0, &mut []], arena: &mut ARENA.take().0 };
    let slots = Slots::new(FlashStorage::new(p.FLASH), SLOTS.0, SLOTS.1);
    let runner = Runner::new(IDENTITY, ALL, Steady(uart), Timer, Painted::default(), memory).with_slots(slots.ok());
    #[cfg(feature = "signed")]
    let runner = runner.with_key(carafe_runner::carafe_slots::key!());
    // Whatever ends it, a fresh start is the answer.
    runner.serve();
    // The last answer leaves first.
    Delay::new().delay_millis(20);
    software_reset()
}

/// The runner does not panic; the HAL may.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    software_reset()
}
