//! `count` without a model: what start-up, timer, stack and console take.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::hint::black_box;

use carafe_bench::{HZ, Line, Timer, crc32, leave};

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: [u8; 16] = [0; 16];
    let Some(peripherals) = cortex_m::Peripherals::take() else { leave(false) };
    let timer = Timer::start(peripherals.SYST);
    let mut inference = || {
        black_box(&mut *ARENA);
    };
    let stack = carafe_bench::stack_of(&mut inference);
    let (ticks, nothing) = carafe_bench::count(&timer, &mut inference);

    let mut line = Line::begin("idle");
    line.field("hz", HZ.into());
    line.field("ticks", ticks.into());
    line.field("nothing", nothing.into());
    line.field("stack", stack.into());
    line.field("crc", crc32(0, ARENA).into());
    line.end();
    leave(true)
}
