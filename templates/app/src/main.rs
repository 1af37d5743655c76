//! Reads a sensor, asks the model, sleeps until the next reading.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod board;
mod sensor;

use board::Board;
use sensor::Sensor;

carafe_macros::include_model!(mod net = concat!(env!("OUT_DIR"), "/model.carafe"));

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: net::Arena = net::Arena::zeroed();

    let Some(mut board) = Board::start() else { stop() };
    // The compiler has verified the model: this fails only if flash is damaged.
    let Ok(mut model) = net::Net::new() else { stop() };
    let mut reading = [0.0; net::INPUT_BYTES];
    loop {
        if board.sensor.read(&mut reading).is_ok() {
            let input = reading.map(|x| net::INPUT.quantize(x).cast_signed());
            if let Ok(output) = model.run(ARENA, &input)
                && let Some(best) = output.ranked().next()
            {
                board.show(best.label, best.score);
            }
        }
        board.sleep();
    }
}

/// Nothing more can be done.
fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

/// Nothing here panics, but the language wants a handler.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    stop()
}
