//! Parts of a run on devices with a mind of their own: an FPGA, a vector engine, another core.
//!
//! A [`Job`] is one whole segment of the plan. What it reads is there as a whole, what it leaves is made as a whole, and
//! the maps between may stay on the device. At the beginning of every segment the run offers it to the
//! [`Accelerator`]; a device that takes it ([`Accelerator::submit`]) is asked at every further step
//! ([`Accelerator::poll`]), and meanwhile the CPU works on the next segment, if that needs nothing of the job and lies
//! apart from it in memory.
//!
//! A segment is offered if, checked at run time on ranges of memory:
//!
//! * it reads and leaves at most [`PORTS`] tensors each, all without gaps and none a ring (so no input that is pushed
//!   row by row);
//! * nothing that it leaves lies on something that it reads, or on each other.
//!
//! So what the job reads stays where it is, and what it leaves may be written at any time and any number of times, until
//! the device is ready or the job is cancelled. If the device fails, the CPU begins the segment as if nothing had
//! happened. The result is the same to the bit, provided that the device's arithmetic is.
//!
//! Wrappers compose: [`Auto`] takes only what pays, [`Watchdog`] gives up on a device that hangs, [`Traced`] keeps a log,
//! [`Faulty`] fails when told to.
//!
//! # Example
//!
//! A device that does one op. (This one computes with the portable kernels, in its own memory.)
//!
//! ```
//! use carafe::offload::{Accelerator, Bid, Io, Job, Ticket, place, run_node};
//! use carafe::{OpCode, Session, Step};
//! use core::ops::Range;
//! use core::task::Poll;
//!
//! struct Multiplier {
//!     memory: [u8; 4096],
//! }
//!
//! /// Where operand, result and working memory lie in the device.
//! fn layout(job: &Job<'_>, room: usize) -> Option<[Range<usize>; 3]> {
//!     let (n, need) = (job.first(), job.need(job.first())?);
//!     let node = job.node(n)?;
//!     let mut end = 0;
//!     let fits = [place(&mut end, node.in0.bytes()), place(&mut end, node.out.bytes()), place(&mut end, need.work_bytes())];
//!     (job.count() == 1 && node.header.op == OpCode::Conv2d.0 && end <= room).then_some(fits)
//! }
//!
//! impl Accelerator for Multiplier {
//!     type Error = ();
//!     fn offer(&self, job: &Job<'_>) -> Option<Bid> {
//!         layout(job, self.memory.len()).map(|_| Bid { ticks: job.macs() / 64 })
//!     }
//!     fn submit(&mut self, _: &Job<'_>) -> Result<Ticket, ()> {
//!         Ok(Ticket(0))
//!     }
//!     fn poll(&mut self, _: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), ()>> {
//!         let mut make = || {
//!             let [x, y, work] = layout(io.job(), self.memory.len())?;
//!             self.memory.get_mut(x.clone())?.copy_from_slice(io.input(0)?);
//!             run_node(io.job(), io.job().first(), &mut self.memory, [x, 0..0], y.clone(), work)?;
//!             io.output(0)?.copy_from_slice(self.memory.get(y)?);
//!             Some(())
//!         };
//!         Poll::Ready(make().ok_or(()))
//!     }
//!     fn cancel(&mut self, _: Ticket) {}
//! }
//!
//! fn infer(session: &mut Session<'_>, arena: &mut [u8], device: &mut Multiplier) -> Result<(), carafe::RunError> {
//!     let mut run = session.start_on(arena, (), device)?;
//!     while run.step()? != Step::Done {}
//!     assert_eq!(run.tally().failed, 0);
//!     Ok(())
//! }
//! ```

mod auto;
mod drive;
mod evaluate;
mod faulty;
mod job;
mod lend;
mod log;
mod traced;
mod watchdog;

use core::task::Poll;

pub use auto::{Auto, CpuCost};
pub(crate) use drive::Companion;
pub use drive::{Offload, Tally};
pub use evaluate::{place, run_node};
pub use faulty::{Fail, Faulty, FaultyError};
pub use job::{Io, Job, PORTS, Port};
pub use log::{Event, Log, Steps, Timeline};
pub use traced::Traced;
pub use watchdog::{Watchdog, WatchdogError};

/// What a device wants for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bid {
    /// Time from submission to completion, transfers included, in ticks of a clock that all bids of a device and the
    /// cost of the CPU that they are compared with ([`CpuCost`]) share.
    pub ticks: u32,
}

/// A job that a device has taken. The number is the device's own. Not to be copied: it is spent when the job is ready,
/// and handed back when it is cancelled.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket(pub u32);

/// A device that runs jobs. One job is pending at a time.
///
/// Every method returns without waiting for the device.
pub trait Accelerator {
    /// Why it failed. The run does not care: the CPU does the work. A device that wants to tell keeps it.
    type Error;

    /// What it wants for a job, or `None` if it can't or won't do it. Asked once per segment and run.
    fn offer(&self, job: &Job<'_>) -> Option<Bid>;

    /// Takes a job that it has bid for. Memory is lent from the first [`Accelerator::poll`] on.
    ///
    /// # Errors
    /// It can't, after all: the CPU does the job.
    fn submit(&mut self, job: &Job<'_>) -> Result<Ticket, Self::Error>;

    /// Asks after a job. What the job reads and leaves is lent through `io` for this call; between calls, until it is
    /// ready or cancelled, nobody else writes to what it reads or touches what it leaves, and it is lent at the same
    /// place every time. When it is ready without an error, all of what the job leaves has to be written.
    ///
    /// A device whose memory accesses outlast this call needs unsafe code to say so, and has to stop them in
    /// [`Accelerator::cancel`]; leaking a run (`mem::forget`) is then the user's to avoid.
    ///
    /// # Errors
    /// The job has failed, and will be cancelled; the CPU does it. What was written does not matter.
    fn poll(&mut self, ticket: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), Self::Error>>;

    /// The job is no longer wanted: because it failed, or because the run was dropped. When this returns the device
    /// touches no memory of it any more.
    fn cancel(&mut self, ticket: Ticket);
}

impl<A: Accelerator + ?Sized> Accelerator for &mut A {
    type Error = A::Error;

    fn offer(&self, job: &Job<'_>) -> Option<Bid> {
        (**self).offer(job)
    }
    fn submit(&mut self, job: &Job<'_>) -> Result<Ticket, A::Error> {
        (**self).submit(job)
    }
    fn poll(&mut self, ticket: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), A::Error>> {
        (**self).poll(ticket, io)
    }
    fn cancel(&mut self, ticket: Ticket) {
        (**self).cancel(ticket)
    }
}

/// Names an image for a configurable device: a bitstream of an FPGA, microcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BitstreamId(pub u32);

/// Where an image comes from, piece by piece: flash, a file, a link.
pub trait BitSource {
    /// Fills `to` from its beginning as far as there is something, and says how far; 0 at the end. `None` if the source
    /// fails.
    fn read(&mut self, to: &mut [u8]) -> Option<usize>;
}

/// An image in memory.
impl BitSource for &[u8] {
    fn read(&mut self, to: &mut [u8]) -> Option<usize> {
        let n = to.len().min(self.len());
        let (now, rest) = self.split_at_checked(n)?;
        to.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
        *self = rest;
        Some(n)
    }
}

/// A device that has to be told what it is. It bids for nothing before.
pub trait Configure {
    /// Why it can't be configured.
    type Error;

    /// Loads an image, in place of the one before.
    ///
    /// # Errors
    /// The image is damaged, or another than `id`, or not for this device. Then none is loaded.
    fn configure(&mut self, id: BitstreamId, image: &mut dyn BitSource) -> Result<(), Self::Error>;

    /// The image that is loaded.
    fn loaded(&self) -> Option<BitstreamId>;
}
