//! The time of log lines.

use core::cell::Cell;

use carafe_emulated::Timer as _;
use critical_section::Mutex;

use crate::timer::{Timer, ticks};

/// Microseconds since the start. Right if something is logged at least as often as the timer wraps: every two minutes.
fn now() -> u64 {
    static LAST: Mutex<Cell<(u32, u64)>> = Mutex::new(Cell::new((0, 0)));
    let ticks = ticks();
    critical_section::with(|section| {
        let (last, total) = LAST.borrow(section).get();
        let total = total.wrapping_add(u64::from(ticks.wrapping_sub(last)));
        LAST.borrow(section).set((ticks, total));
        total / u64::from(Timer::HZ / 1_000_000)
    })
}

defmt::timestamp!("{=u64:us}", now());
