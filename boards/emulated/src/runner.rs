//! What a firmware is made of that takes models over the wire: link, clock, stack and memory, as [`carafe_runner`] wants
//! them.

use carafe_runner::carafe::Registry;
use carafe_runner::{Clock, Counter, CounterKind, Ending, Identity, Memory, Runner, Stack};
use embedded_io::{Read, Write};

use crate::{Once, PaintedStack, Timer};

/// Ticks since the start. Right if read at least once in the time in which the timer's 32 bits wrap, minutes.
struct Wide<T> {
    timer: T,
    last: u32,
    total: u64,
}

impl<T: Timer> Clock for Wide<T> {
    fn counter(&self) -> Counter {
        Counter { kind: CounterKind::Time, hz: T::HZ }
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
struct Watched(Option<PaintedStack>);

impl Stack for Watched {
    fn paint(&mut self) {
        self.0 = Some(PaintedStack::paint());
    }

    fn used(&self) -> Option<u32> {
        self.0.as_ref().map(PaintedStack::used)
    }
}

/// Memory for models: two banks (the new model comes into one while the other's is in use), and an arena.
#[repr(C, align(16))]
pub struct Room<const BANK: usize, const SPARE: usize, const ARENA: usize> {
    bank: [u8; BANK],
    spare: [u8; SPARE],
    arena: [u8; ARENA],
}

impl<const BANK: usize, const SPARE: usize, const ARENA: usize> Room<BANK, SPARE, ARENA> {
    /// Zeroes, to be lent once. Lengths are multiples of 16.
    pub const fn new() -> Once<Self> {
        const { assert!(BANK % 16 == 0 && SPARE % 16 == 0, "kernels want the arena aligned") };
        Once::new(Self { bank: [0; BANK], spare: [0; SPARE], arena: [0; ARENA] })
    }

    /// All of it.
    pub fn memory(&mut self) -> Memory<'_> {
        Memory { banks: [&mut self.bank, &mut self.spare], arena: &mut self.arena }
    }
}

/// Two banks of the front of a memory, and the arena behind them.
pub fn in_banks(all: &mut [u8], bank_bytes: usize) -> Memory<'_> {
    let (bank, rest) = all.split_at_mut_checked(bank_bytes).unwrap_or_default();
    let (spare, arena) = rest.split_at_mut_checked(bank_bytes).unwrap_or_default();
    Memory { banks: [bank, spare], arena }
}

/// Serves the link until the host asks to leave. True if it asks to leave well.
pub fn serve<L: Read + Write, T: Timer>(
    identity: Identity<'static>,
    registry: Registry<'static>,
    link: L,
    timer: T,
    memory: Memory<'_>,
) -> bool {
    let clock = Wide { last: timer.now(), timer, total: 0 };
    let runner = Runner::new(identity, registry, link, clock, Watched::default(), memory);
    matches!(runner.serve(), Ending::Exit { code: 0 })
}
