//! Programs for Arm's microcontrollers: how they end, a panic or a fault included.

use crate::semihosting;

/// Ends the emulator.
pub fn leave(well: bool) -> ! {
    semihosting::exit(well);
    loop {
        // The emulator is about to end.
        core::hint::spin_loop();
    }
}

/// Application interrupt and reset control, and what resets the core (Armv6-M and later).
const AIRCR: *mut u32 = 0xE000_ED0C as *mut u32;
const SYSRESETREQ: u32 = 0x05FA_0004;

/// Resets the board: memory that the program does not write when it starts stays as it is.
pub fn restart() -> ! {
    // Once: the emulator restarts a while later, and would do so again for what is asked for meanwhile.
    // SAFETY: every Cortex-M has the register.
    #[allow(unsafe_code)]
    unsafe {
        AIRCR.write_volatile(SYSRESETREQ);
    }
    loop {
        core::hint::spin_loop();
    }
}

/// Nothing in these programs panics (`cargo xtask size` holds the runner's firmware to that), but the language wants a
/// handler.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    leave(false)
}

/// Ends the emulator at once, rather than have the host wait.
#[allow(unsafe_code, reason = "the attribute asks for it; the function itself has nothing unsafe")]
#[cortex_m_rt::exception]
unsafe fn HardFault(_: &cortex_m_rt::ExceptionFrame) -> ! {
    leave(false)
}
