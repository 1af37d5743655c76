//! Recognizes handwritten digits. `build.rs` converts the model and brings eight images; this program classifies them,
//! says what it found on the debugger's console, and ends the emulator.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod console;

use carafe::{BlobError, RunError};
use console::Console;
use cortex_m_semihosting::debug;

carafe_macros::include_model!(concat!(env!("OUT_DIR"), "/digits.carafe"));

mod samples {
    include!(concat!(env!("OUT_DIR"), "/samples.rs"));
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: digits::Arena = digits::Arena::zeroed();

    let mut console = Console::open();
    let result = classify(ARENA, &mut console);
    match result {
        Ok(()) => {}
        Err(Failure::Blob(_)) => console.write("the model is damaged: flash it again\n"),
        Err(Failure::Run(_)) => console.write("the inference failed: is the arena large enough?\n"),
    }
    leave(result.is_ok())
}

/// Says of every sample what it is, and how sure that is.
fn classify(arena: &mut [u8], console: &mut Console) -> Result<(), Failure> {
    let mut net = digits::Net::new().map_err(Failure::Blob)?;
    for (name, image) in &samples::SAMPLES {
        let output = net.run(arena, image).map_err(Failure::Run)?;
        let Some(best) = output.ranked().next() else { continue };
        console.write(name);
        console.write(": ");
        console.write(best.label);
        console.write(" (");
        console.percent(best.score);
        console.write(")\n");
    }
    Ok(())
}

/// What can go wrong.
enum Failure {
    /// The model is not what was compiled in.
    #[expect(dead_code, reason = "for the debugger")]
    Blob(BlobError),
    /// It does not run.
    #[expect(dead_code, reason = "for the debugger")]
    Run(RunError),
}

/// Ends the emulator, with exit code 0 or 1.
fn leave(well: bool) -> ! {
    debug::exit(if well { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}

/// Nothing in this firmware panics, but the language wants a handler.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    leave(false)
}
