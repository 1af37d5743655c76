//! `count` without a model: what start-up, timer, stack and console take.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::hint::black_box;

use carafe_bench::{HZ, Line, Once, Timer, crc32, entry, leave};

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    static ARENA: Once<[u8; 16]> = Once::new([0; 16]);
    let Some(arena) = ARENA.take() else { leave(false) };
    let mut inference = || {
        black_box(&mut *arena);
    };
    let stack = carafe_bench::stack_of(&mut inference);
    let (ticks, nothing) = carafe_bench::count(&timer, &mut inference);

    let mut line = Line::begin("idle");
    line.field("hz", HZ.into());
    line.field("ticks", ticks.into());
    line.field("nothing", nothing.into());
    line.field("stack", stack.into());
    line.field("crc", crc32(0, arena).into());
    line.end();
    leave(true)
}
