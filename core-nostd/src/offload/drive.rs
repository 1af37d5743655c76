use core::task::Poll;

use super::job::{Io, Job};
use super::{Accelerator, Ticket, lend};
use crate::Probe;
use crate::blob::NONE;
use crate::engine::Engine;

/// What became of the jobs of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tally {
    /// Segments that could be jobs and were offered.
    pub offered: u16,
    /// Jobs that the device did.
    pub done: u16,
    /// Jobs that it took, or was to take, and failed at. The CPU did them.
    pub failed: u16,
}

/// What a run has beside its CPU: `()`, which is nothing and costs nothing, or an [`Offload`].
pub trait Companion<'r> {
    /// What comes before a step of the CPU. False if there is none to be made now.
    fn step<P: Probe>(&mut self, engine: &mut Engine<'r, '_>, probe: &mut P) -> bool;

    /// True while a job is pending.
    fn is_busy(&self) -> bool;
}

impl<'r> Companion<'r> for () {
    #[inline]
    fn step<P: Probe>(&mut self, _: &mut Engine<'r, '_>, _: &mut P) -> bool {
        true
    }

    #[inline]
    fn is_busy(&self) -> bool {
        false
    }
}

/// The accelerator of a run, and the job that is pending there. Made by [`crate::Session::start_on`].
#[derive(Debug)]
pub struct Offload<'r, A: Accelerator> {
    device: Device<A>,
    job: Option<Job<'r>>,
    /// The CPU works on the segment behind the job meanwhile.
    ahead: bool,
    /// A failed job: the CPU runs that segment when it is through with the one ahead. To leave that one in the middle
    /// would change the order of steps that its rings were made for.
    again: Option<u16>,
    /// The segment that was offered last.
    asked: u16,
    tally: Tally,
}

/// Apart from the rest, so that no borrow of a run but the device's has to outlive it.
#[derive(Debug)]
struct Device<A: Accelerator> {
    accelerator: A,
    ticket: Option<Ticket>,
}

impl<A: Accelerator> Device<A> {
    fn cancel(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.accelerator.cancel(ticket);
        }
    }
}

impl<A: Accelerator> Drop for Device<A> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<'r, A: Accelerator> Companion<'r> for Offload<'r, A> {
    fn step<P: Probe>(&mut self, engine: &mut Engine<'r, '_>, probe: &mut P) -> bool {
        self.poll(engine, probe);
        if self.job.is_none() && self.again.is_none() {
            self.offer(engine);
        }
        if self.job.is_some() {
            return self.ahead && !engine.segment_over();
        }
        if let Some(segment) = self.again
            && engine.segment_over()
        {
            engine.go_to(segment);
            self.again = None;
        }
        true
    }

    fn is_busy(&self) -> bool {
        self.job.is_some()
    }
}

impl<'r, A: Accelerator> Offload<'r, A> {
    pub(crate) fn new(accelerator: A) -> Self {
        let device = Device { accelerator, ticket: None };
        Self { device, job: None, ahead: false, again: None, asked: NONE, tally: Tally::default() }
    }

    pub(crate) fn accelerator(&mut self) -> &mut A {
        &mut self.device.accelerator
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    fn poll<P: Probe>(&mut self, engine: &mut Engine<'r, '_>, probe: &mut P) {
        let (Some(job), Some(ticket)) = (&self.job, &mut self.device.ticket) else { return };
        let mut io = Io { job, memory: engine.memory.lend() };
        match self.device.accelerator.poll(ticket, &mut io) {
            Poll::Pending => return,
            Poll::Ready(Ok(())) => {
                self.device.ticket = None;
                self.tally.done = self.tally.done.saturating_add(1);
                for (node, h) in engine.complete(job) {
                    if probe.sees()
                        && let Some(rows) = engine.rows(node, 0, h)
                    {
                        probe.rows(node, 0..h, &rows);
                    }
                }
            }
            Poll::Ready(Err(_)) => {
                self.device.cancel();
                self.tally.failed = self.tally.failed.saturating_add(1);
                if self.ahead {
                    self.again = Some(job.segment);
                }
            }
        }
        self.job = None;
    }

    /// Offers the segment that is about to begin.
    fn offer(&mut self, engine: &mut Engine<'r, '_>) {
        let Some(segment) = engine.beginning().filter(|&s| s != self.asked) else { return };
        self.asked = segment;
        let Some(job) = engine.job(segment) else { return };
        self.tally.offered = self.tally.offered.saturating_add(1);
        if self.device.accelerator.offer(&job).is_none() {
            return;
        }
        match self.device.accelerator.submit(&job) {
            Ok(ticket) => {
                self.ahead = lend::independent(&job);
                if self.ahead {
                    engine.go_to(segment.saturating_add(1));
                }
                self.device.ticket = Some(ticket);
                self.job = Some(job);
            }
            Err(_) => self.tally.failed = self.tally.failed.saturating_add(1),
        }
    }
}
