//! The body of every Carafe firmware, board-independent: it speaks [`carafe_protocol`] over any byte link, takes
//! models, and runs them.
//!
//! A board brings a link ([`embedded_io::Read`] and [`embedded_io::Write`]), a [`Clock`], a [`Stack`] and [`Memory`],
//! and gives its `main` to [`Runner::serve`]:
//!
//! ```
//! use carafe_runner::{Ending, Identity, Memory, NoClock, NoStack, Runner};
//!
//! # fn board(registry: carafe::Registry<'_>, uart: impl embedded_io::Read + embedded_io::Write, bank: &mut [u8], arena: &mut [u8]) {
//! let identity = Identity { board: "my-board", cpu: "cortex-m4" };
//! let memory = Memory { banks: [bank, &mut []], arena };
//! match Runner::new(identity, registry, uart, NoClock, NoStack, memory).serve() {
//!     Ending::Exit { code } => { /* restart */ }
//!     Ending::LinkLost => { /* wait for a new link */ }
//!     _ => {}
//! }
//! # }
//! ```
//!
//! A board with flash to spare gives it two slots for models ([`Runner::with_slots`]); it then starts with the model that
//! is in them. `docs/flashing.md` has the way of a model into flash.
//!
//! There is no allocation and no panic, and nothing that arrives on the link can wedge it: whatever comes, the runner
//! reads on. What it borrows says what it can do: without a model it has both banks of memory, with one it has the
//! other bank, and during a run the arena belongs to that run. `docs/protocol.md` has the protocol.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

mod core_api;
mod log;
mod outside;
mod serve;
mod store;
mod transfer;

pub use carafe;
pub use carafe_protocol::{Counter, CounterKind};
pub use carafe_slots;
pub use serve::Runner;

/// Who the board is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Identity<'a> {
    /// Its name in the host's table of boards; at most [`carafe_protocol::MAX_NAME`] bytes.
    pub board: &'a str,
    /// Its CPU, as `cortex-m4`; at most [`carafe_protocol::MAX_NAME`] bytes.
    pub cpu: &'a str,
}

/// The memory that a board gives to models.
#[derive(Debug)]
pub struct Memory<'a> {
    /// Where models are put. With room in both, a new model comes into one while the old one stays usable in the
    /// other; the second may be empty. Aligned to 16 bytes, for the kernels' sake.
    pub banks: [&'a mut [u8]; 2],
    /// For the arena of the model that runs, its second scratch memory, and its state at the end. Aligned to 16 bytes.
    pub arena: &'a mut [u8],
}

/// The board's counter.
pub trait Clock {
    /// What it counts, and how fast.
    fn counter(&self) -> Counter;

    /// Ticks so far, never less than before. The runner asks at least every few hundred steps of a run, so a counter
    /// of 32 bits can be extended here.
    fn ticks(&mut self) -> u64;
}

/// No counter: all ticks are 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoClock;

impl Clock for NoClock {
    fn counter(&self) -> Counter {
        Counter { kind: CounterKind::Time, hz: 0 }
    }

    fn ticks(&mut self) -> u64 {
        0
    }
}

/// The board's stack, painted to see how deep a run goes.
pub trait Stack {
    /// Paints what lies below the caller.
    fn paint(&mut self);

    /// Bytes below the last [`Stack::paint`] that were used since, or `None` if the board cannot tell.
    fn used(&self) -> Option<u32>;
}

/// A stack that can't be watched.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStack;

impl Stack for NoStack {
    fn paint(&mut self) {}

    fn used(&self) -> Option<u32> {
        None
    }
}

/// Why [`Runner::serve`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Ending {
    /// The host asked for it.
    Exit {
        /// What it wants the emulator to end with; 0 for success.
        code: u8,
    },
    /// The link has ended, or failed.
    LinkLost,
    /// The host wants the board to start afresh, as after a loss of power: reset it.
    Restart,
}
