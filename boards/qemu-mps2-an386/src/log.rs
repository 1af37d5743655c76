//! The time of log lines.

use core::cell::Cell;

use carafe_mps::{Ticks, Timer};
use critical_section::Mutex;
use vcell::VolatileCell;

/// The timer's value, counting down; the one that `carafe-mps` has started.
const VALUE: *const VolatileCell<u32> = 0x4000_0004 as *const VolatileCell<u32>;

/// Microseconds since the start. Right if something is logged at least every 171 s, in which the timer wraps.
fn now() -> u64 {
    static LAST: Mutex<Cell<(u32, u64)>> = Mutex::new(Cell::new((0, 0)));
    // SAFETY: the register is there on this board, and reading it changes nothing.
    #[allow(unsafe_code)]
    let ticks = !unsafe { &*VALUE }.get();
    critical_section::with(|section| {
        let (last, total) = LAST.borrow(section).get();
        let total = total.wrapping_add(u64::from(ticks.wrapping_sub(last)));
        LAST.borrow(section).set((ticks, total));
        total / u64::from(<Timer as Ticks>::HZ / 1_000_000)
    })
}

defmt::timestamp!("{=u64:us}", now());
