//! Carafe's runner on the nRF52840-DK: takes models over the debugger's serial port, and keeps them in flash.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[cfg(feature = "log")]
use defmt_rtt as _;

use carafe_kit::{Cycles, Painted, Room, Steady, restart, wait};
use carafe_runner::carafe::ops::ALL;
use carafe_runner::carafe_slots::Slots;
use carafe_runner::{Identity, Memory, Runner};
use embassy_nrf::buffered_uarte::{BufferedUarte, InterruptHandler};
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::peripherals::UARTE0;
use embassy_nrf::uarte::Config;
use embassy_nrf::{bind_interrupts, config};
use embedded_io::{ErrorType, Read, Write};

const IDENTITY: Identity<'static> = Identity { board: "nrf52840-dk", cpu: "cortex-m4" };

const HZ: u32 = 64_000_000;
/// As `memory.x` leaves them: offset in flash, and bytes of each.
const SLOTS: (u32, u32) = (0xC_0000, 128 << 10);
const MODEL_BYTES: usize = 112 << 10;
const ARENA_BYTES: usize = 104 << 10;

bind_interrupts!(struct Interrupts {
    UARTE0 => InterruptHandler<UARTE0>;
});

/// The serial port of the on-board debugger. Its driver has futures only.
struct Serial<'d>(BufferedUarte<'d>);

impl ErrorType for Serial<'_> {
    type Error = embassy_nrf::buffered_uarte::Error;
}

impl Read for Serial<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        wait(self.0.read(buf))
    }
}

impl Write for Serial<'_> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        wait(self.0.write(buf))
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        wait(self.0.flush())
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut BANK: Room<MODEL_BYTES> = Room::new();
    static mut ARENA: Room<ARENA_BYTES> = Room::new();
    static mut SENT: [u8; 256] = [0; 256];
    static mut RECEIVED: [u8; 2048] = [0; 2048];

    let Some(core) = cortex_m::Peripherals::take() else { cortex_m::peripheral::SCB::sys_reset() };
    let mut config = config::Config::default();
    // The crystal: the chip's own oscillator is too far off for a serial line.
    config.hfclk_source = config::HfclkSource::ExternalXtal;
    let p = embassy_nrf::init(config);
    let uart = BufferedUarte::new_with_rtscts(
        p.UARTE0,
        p.TIMER1,
        p.PPI_CH0,
        p.PPI_CH1,
        p.PPI_GROUP0,
        p.P0_08,
        p.P0_06,
        p.P0_07,
        p.P0_05,
        Interrupts,
        Config::default(),
        RECEIVED,
        SENT,
    );
    let clock = Cycles::start(core.DCB, core.DWT, HZ);
    let memory = Memory { banks: [&mut BANK.0, &mut []], arena: &mut ARENA.0 };
    let runner = Runner::new(IDENTITY, ALL, Steady(Serial(uart)), clock, Painted::default(), memory)
        .with_slots(Slots::new(Nvmc::new(p.NVMC), SLOTS.0, SLOTS.1).ok());
    #[cfg(feature = "signed")]
    let runner = runner.with_key(carafe_runner::carafe_slots::key!());
    // Whatever ends it, a fresh start is the answer.
    runner.serve();
    restart(HZ)
}
