use core::task::Poll;

use super::{Accelerator, Bid, Io, Job, Ticket};

/// Why a watched device failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchdogError<E> {
    /// It was not ready in time.
    Late,
    /// The device itself failed.
    Device(E),
}

/// Gives up on a job that is not ready at poll number `limit`: a device that hangs must not hang the inference.
#[derive(Debug)]
pub struct Watchdog<A> {
    inner: A,
    limit: u32,
    polls: u32,
}

impl<A> Watchdog<A> {
    /// Of a device. A poll comes with every step of the run, so `limit` has to allow for the steps that the CPU makes
    /// meanwhile.
    pub fn new(inner: A, limit: u32) -> Self {
        Self { inner, limit, polls: 0 }
    }

    /// The device.
    pub fn inner(&mut self) -> &mut A {
        &mut self.inner
    }
}

impl<A: Accelerator> Accelerator for Watchdog<A> {
    type Error = WatchdogError<A::Error>;

    fn offer(&self, job: &Job<'_>) -> Option<Bid> {
        self.inner.offer(job)
    }

    fn submit(&mut self, job: &Job<'_>) -> Result<Ticket, Self::Error> {
        self.polls = 0;
        self.inner.submit(job).map_err(WatchdogError::Device)
    }

    fn poll(&mut self, ticket: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), Self::Error>> {
        let answer = self.inner.poll(ticket, io).map_err(WatchdogError::Device);
        self.polls = self.polls.saturating_add(1);
        if answer.is_pending() && self.polls >= self.limit {
            return Poll::Ready(Err(WatchdogError::Late));
        }
        answer
    }

    fn cancel(&mut self, ticket: Ticket) {
        self.inner.cancel(ticket);
    }
}
