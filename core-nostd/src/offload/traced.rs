use core::task::Poll;

use super::{Accelerator, Bid, Event, Io, Job, Log, Ticket};

/// Writes to a log what happens between the run and a device.
#[derive(Debug)]
pub struct Traced<'l, A> {
    inner: A,
    log: &'l Log<'l>,
}

impl<'l, A> Traced<'l, A> {
    /// Of a device.
    pub fn new(inner: A, log: &'l Log<'l>) -> Self {
        Self { inner, log }
    }

    /// The device.
    pub fn inner(&mut self) -> &mut A {
        &mut self.inner
    }
}

impl<A: Accelerator> Accelerator for Traced<'_, A> {
    type Error = A::Error;

    fn offer(&self, job: &Job<'_>) -> Option<Bid> {
        let bid = self.inner.offer(job);
        self.log.add(Event::Offered { segment: job.segment(), ticks: bid.map(|b| b.ticks) });
        bid
    }

    fn submit(&mut self, job: &Job<'_>) -> Result<Ticket, A::Error> {
        let ticket = self.inner.submit(job);
        let segment = job.segment();
        self.log.add(if ticket.is_ok() { Event::Submitted { segment } } else { Event::Refused { segment } });
        ticket
    }

    fn poll(&mut self, ticket: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), A::Error>> {
        let answer = self.inner.poll(ticket, io);
        self.log.add(match answer {
            Poll::Pending => Event::Busy,
            Poll::Ready(Ok(())) => Event::Ready,
            Poll::Ready(Err(_)) => Event::Failed,
        });
        answer
    }

    fn cancel(&mut self, ticket: Ticket) {
        self.inner.cancel(ticket);
        self.log.add(Event::Cancelled);
    }
}
