//! Carafe's runner on the NUCLEO-L4R5ZI: takes models over the debugger's serial port, and keeps them in flash.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod flash;

#[cfg(feature = "log")]
use defmt_rtt as _;

use carafe_kit::{Cycles, Painted, Room, Steady, restart};
use carafe_runner::carafe::ops::ALL;
use carafe_runner::carafe_slots::Slots;
use carafe_runner::{Identity, Memory, Runner};
use cortex_m::peripheral::SCB;
use embassy_stm32::bind_interrupts;
use embassy_stm32::flash::Flash;
use embassy_stm32::peripherals::LPUART1;
use embassy_stm32::rcc::{Pll, PllMul, PllPreDiv, PllRDiv, PllSource, Sysclk};
use embassy_stm32::usart::{BufferedInterruptHandler, BufferedUart, Config};

const IDENTITY: Identity<'static> = Identity { board: "nucleo-l4r5zi", cpu: "cortex-m4" };

const HZ: u32 = 80_000_000;
/// As `memory.x` leaves them: offset in flash, and bytes of each.
const SLOTS: (u32, u32) = (0x10_0000, 256 << 10);
/// Of two banks: a new model comes into one while the other's is in use.
const MODEL_BYTES: [usize; 2] = [224 << 10, 96 << 10];
const ARENA_BYTES: usize = 256 << 10;

bind_interrupts!(struct Interrupts {
    LPUART1 => BufferedInterruptHandler<LPUART1>;
});

/// 80 MHz from the internal oscillator of 16 MHz. For the 120 MHz that the chip can do, its regulator has to be in a mode
/// that the HAL does not know.
fn clocks() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    config.rcc.hsi = true;
    config.rcc.pll = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV1,
        mul: PllMul::MUL10,
        divp: None,
        divq: None,
        divr: Some(PllRDiv::DIV2),
    });
    config.rcc.sys = Sysclk::PLL1_R;
    config
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut FRONT: Room<{ MODEL_BYTES[0] }> = Room::new();
    static mut BACK: Room<{ MODEL_BYTES[1] }> = Room::new();
    static mut ARENA: Room<ARENA_BYTES> = Room::new();
    static mut SENT: [u8; 256] = [0; 256];
    static mut RECEIVED: [u8; 2048] = [0; 2048];

    let Some(core) = cortex_m::Peripherals::take() else { SCB::sys_reset() };
    let p = embassy_stm32::init(clocks());
    let uart = BufferedUart::new(p.LPUART1, p.PG8, p.PG7, SENT, RECEIVED, Interrupts, Config::default());
    let Ok(uart) = uart else { SCB::sys_reset() };
    let clock = Cycles::start(core.DCB, core.DWT, HZ);
    let memory = Memory { banks: [&mut FRONT.0, &mut BACK.0], arena: &mut ARENA.0 };
    let slots = Slots::new(flash::Ecc(Flash::new_blocking(p.FLASH)), SLOTS.0, SLOTS.1);
    let runner = Runner::new(IDENTITY, ALL, Steady(uart), clock, Painted::default(), memory).with_slots(slots.ok());
    #[cfg(feature = "signed")]
    let runner = runner.with_key(carafe_runner::carafe_slots::key!());
    // Whatever ends it, a fresh start is the answer.
    runner.serve();
    restart(HZ)
}
