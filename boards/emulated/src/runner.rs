//! What a firmware is made of that takes models over the wire: link, clock, stack and memory, as [`carafe_runner`] wants
//! them.

use carafe_runner::carafe::Registry;
use carafe_runner::{Clock, Counter, CounterKind, Ending, Identity, Memory, Runner, Stack};
use embedded_io::{Read, Write};

use crate::{File, Once, PaintedStack, Timer, flash};

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

/// What a firmware is, whatever its memory.
pub struct Firmware<T> {
    /// Who the board is.
    pub identity: Identity<'static>,
    /// The ops that it has.
    pub ops: Registry<'static>,
    /// Its timer, running.
    pub timer: T,
    /// What has been logged since, if it logs ([`Runner::logging`]).
    pub log: Option<fn(&mut [u8]) -> usize>,
    /// Resets the board, or does what comes nearest.
    pub restart: fn() -> !,
}

/// The memory of a board.
pub struct Given<'a> {
    /// For models and arena.
    pub models: Memory<'a>,
    /// What stands for flash, and stays as it is when the board restarts; may be empty.
    pub flash: &'static mut [u8],
}

/// Bytes of the banks: both take the models of small boards, one the largest that are tested (4.8 MB).
const BANK_BYTES: [usize; 2] = [5 << 20, 1 << 20];
const ARENA_BYTES: usize = 3 << 20;

impl Given<'static> {
    /// Of a large memory: 5 and 1 MB for models, 3 MB of arena, and the rest, which is flash.
    pub fn of(all: &'static mut [u8]) -> Self {
        let [bank, spare] = BANK_BYTES;
        let (bank, rest) = all.split_at_mut_checked(bank).unwrap_or_default();
        let (spare, rest) = rest.split_at_mut_checked(spare).unwrap_or_default();
        let (arena, flash) = rest.split_at_mut_checked(ARENA_BYTES).unwrap_or_default();
        Self { models: Memory { banks: [bank, spare], arena }, flash }
    }
}

/// Serves the link until the host asks to leave. True if it asks to leave well. `file` names the host's file in which
/// flash outlives the emulator.
pub fn serve<L: Read + Write, T: Timer>(
    firmware: Firmware<T>,
    link: L,
    memory: Given<'_>,
    file: Option<&[u8]>,
) -> bool {
    let Firmware { identity, ops, timer, log, restart } = firmware;
    let clock = Wide { last: timer.now(), timer, total: 0 };
    let file = match file {
        Some(name) => mirror(name, memory.flash).map(Some),
        None => Some(None),
    };
    // None if the file is another's.
    let slots = file.filter(|_| !memory.flash.is_empty()).and_then(|file| flash::slots(memory.flash, file));
    let runner = Runner::new(identity, ops, link, clock, Watched::default(), memory.models).with_slots(slots);
    #[cfg(feature = "signed")]
    let runner = runner.with_key(carafe_runner::carafe_slots::key!());
    let runner = match log {
        Some(take) => runner.logging(take),
        None => runner,
    };
    match runner.serve() {
        Ending::Restart => restart(),
        ending => matches!(ending, Ending::Exit { code: 0 }),
    }
}

/// The file, holding what the memory holds.
fn mirror(name: &[u8], memory: &mut [u8]) -> Option<File> {
    #[cfg(any(target_arch = "arm", target_arch = "riscv32"))]
    return File::mirror(name, memory);
    #[cfg(target_arch = "sparc")]
    {
        let _ = (name, memory);
        None
    }
}
