//! Carafe's runner on the Raspberry Pi Pico: takes models over UART 0, and keeps them in flash.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[cfg(feature = "log")]
use defmt_rtt as _;

use carafe_kit::{Painted, Room, Steady, restart};
use carafe_runner::carafe::ops::ALL;
use carafe_runner::carafe_slots::Slots;
use carafe_runner::{Clock, Counter, CounterKind, Identity, Memory, Runner};
use embassy_rp::bind_interrupts;
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::peripherals::{FLASH, UART0};
use embassy_rp::uart::{BufferedInterruptHandler, BufferedUart, Config};

const IDENTITY: Identity<'static> = Identity { board: "pico", cpu: "cortex-m0plus" };

/// From the crystal.
const HZ: u32 = 125_000_000;
const FLASH_BYTES: usize = 2 << 20;
/// As `memory.x` leaves them: offset in flash, and bytes of each.
const SLOTS: (u32, u32) = (0x1C_0000, 128 << 10);
const MODEL_BYTES: usize = 112 << 10;
const ARENA_BYTES: usize = 104 << 10;

bind_interrupts!(struct Interrupts {
    UART0_IRQ => BufferedInterruptHandler<UART0>;
});

/// The timer of the RP2040, in microseconds: Armv6-M counts no cycles.
struct Timer;

impl Clock for Timer {
    fn counter(&self) -> Counter {
        Counter { kind: CounterKind::Time, hz: 1_000_000 }
    }

    fn ticks(&mut self) -> u64 {
        let timer = embassy_rp::pac::TIMER;
        loop {
            let high = timer.timerawh().read();
            let low = timer.timerawl().read();
            if timer.timerawh().read() == high {
                return u64::from(high) << 32 | u64::from(low);
            }
        }
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut BANK: Room<MODEL_BYTES> = Room::new();
    static mut ARENA: Room<ARENA_BYTES> = Room::new();
    static mut SENT: [u8; 256] = [0; 256];
    static mut RECEIVED: [u8; 2048] = [0; 2048];

    let p = embassy_rp::init(embassy_rp::config::Config::default());
    let uart = BufferedUart::new(p.UART0, p.PIN_0, p.PIN_1, Interrupts, SENT, RECEIVED, Config::default());
    let flash = Flash::<FLASH, Blocking, FLASH_BYTES>::new_blocking(p.FLASH);
    let memory = Memory { banks: [&mut BANK.0, &mut []], arena: &mut ARENA.0 };
    let runner = Runner::new(IDENTITY, ALL, Steady(uart), Timer, Painted::default(), memory)
        .with_slots(Slots::new(flash, SLOTS.0, SLOTS.1).ok());
    #[cfg(feature = "signed")]
    let runner = runner.with_key(carafe_runner::carafe_slots::key!());
    // Whatever ends it, a fresh start is the answer.
    runner.serve();
    restart(HZ)
}
