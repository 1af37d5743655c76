//! What the runner wants to know of the board: time and stack.

use carafe_mps::{HZ, PaintedStack, Timer};
use carafe_runner::{Clock, Counter, CounterKind, Stack};

/// Ticks since the start. Right if read at least once in 171 s, the time in which the timer's 32 bits wrap.
pub struct WideTimer {
    timer: Timer,
    last: u32,
    total: u64,
}

impl WideTimer {
    /// Starts the timer. The system timer is proof that this happens once.
    pub fn new(once: cortex_m::peripheral::SYST) -> Self {
        let timer = Timer::start(once);
        let last = timer.now();
        Self { timer, last, total: 0 }
    }
}

impl Clock for WideTimer {
    fn counter(&self) -> Counter {
        Counter { kind: CounterKind::Time, hz: HZ }
    }

    fn ticks(&mut self) -> u64 {
        let now = self.timer.now();
        self.total = self.total.wrapping_add(u64::from(now.wrapping_sub(self.last)));
        self.last = now;
        self.total
    }
}

/// The stack below the runner's frame.
#[derive(Default)]
pub struct Watched(Option<PaintedStack>);

impl Stack for Watched {
    fn paint(&mut self) {
        self.0 = Some(PaintedStack::paint());
    }

    fn used(&self) -> Option<u32> {
        self.0.as_ref().map(PaintedStack::used)
    }
}
