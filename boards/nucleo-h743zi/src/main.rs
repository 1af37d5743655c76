//! Carafe's runner on the NUCLEO-H743ZI: takes models over the debugger's serial port, and keeps them in flash.
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
use embassy_stm32::peripherals::USART3;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, HSIPrescaler, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk, VoltageScale,
};
use embassy_stm32::usart::{BufferedInterruptHandler, BufferedUart, Config};

const IDENTITY: Identity<'static> = Identity { board: "nucleo-h743zi", cpu: "cortex-m7" };

const HZ: u32 = 400_000_000;
/// As `memory.x` leaves them: offset in flash, and bytes of each.
const SLOTS: (u32, u32) = (0x10_0000, 256 << 10);
const MODEL_BYTES: usize = 240 << 10;
const ARENA_BYTES: usize = 240 << 10;

bind_interrupts!(struct Interrupts {
    USART3 => BufferedInterruptHandler<USART3>;
});

/// 400 MHz, the most of every revision of the chip, from the internal oscillator of 64 MHz.
fn clocks() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    config.rcc.hsi = Some(HSIPrescaler::DIV1);
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL50,
        fracn: None,
        divp: Some(PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.ahb_pre = AHBPrescaler::DIV2;
    config.rcc.apb1_pre = APBPrescaler::DIV2;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config.rcc.apb3_pre = APBPrescaler::DIV2;
    config.rcc.apb4_pre = APBPrescaler::DIV2;
    config.rcc.voltage_scale = VoltageScale::Scale1;
    config
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut BANK: Room<MODEL_BYTES> = Room::new();
    static mut ARENA: Room<ARENA_BYTES> = Room::new();
    static mut SENT: [u8; 256] = [0; 256];
    static mut RECEIVED: [u8; 2048] = [0; 2048];

    let Some(mut core) = cortex_m::Peripherals::take() else { SCB::sys_reset() };
    let p = embassy_stm32::init(clocks());
    flash::uncached(&core.MPU);
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    let uart = BufferedUart::new(p.USART3, p.PD9, p.PD8, SENT, RECEIVED, Interrupts, Config::default());
    let Ok(uart) = uart else { SCB::sys_reset() };
    let clock = Cycles::start(core.DCB, core.DWT, HZ);
    let memory = Memory { banks: [&mut BANK.0, &mut []], arena: &mut ARENA.0 };
    let slots = Slots::new(flash::Ecc::new(Flash::new_blocking(p.FLASH), core.SCB), SLOTS.0, SLOTS.1);
    let runner = Runner::new(IDENTITY, ALL, Steady(uart), clock, Painted::default(), memory).with_slots(slots.ok());
    #[cfg(feature = "signed")]
    let runner = runner.with_key(carafe_runner::carafe_slots::key!());
    // Whatever ends it, a fresh start is the answer.
    runner.serve();
    restart(HZ)
}
