use core::task::Poll;

use super::{Accelerator, Bid, Io, Job, Ticket};

/// When to fail. Counting begins at 0 and goes on over all jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fail {
    /// Never.
    Never,
    /// At submission number n.
    Submit(u32),
    /// At poll number n, after having spoilt what the job leaves.
    Poll(u32),
}

/// Why a [`Faulty`] device failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultyError<E> {
    /// It was told to.
    Told,
    /// The device itself failed.
    Device(E),
}

/// A device that fails when told to: shows that a run survives it.
#[derive(Debug)]
pub struct Faulty<A> {
    inner: A,
    fail: Fail,
    submits: u32,
    polls: u32,
}

/// What a failing device leaves behind.
const SPOILT: u8 = 0x5A;

impl<A> Faulty<A> {
    /// Of a device.
    pub fn new(inner: A, fail: Fail) -> Self {
        Self { inner, fail, submits: 0, polls: 0 }
    }

    /// The device.
    pub fn inner(&mut self) -> &mut A {
        &mut self.inner
    }

    /// Submissions so far.
    pub fn submits(&self) -> u32 {
        self.submits
    }

    /// Polls so far.
    pub fn polls(&self) -> u32 {
        self.polls
    }
}

/// Counts, and says what the count was.
fn count(n: &mut u32) -> u32 {
    let before = *n;
    *n = n.wrapping_add(1);
    before
}

impl<A: Accelerator> Accelerator for Faulty<A> {
    type Error = FaultyError<A::Error>;

    fn offer(&self, job: &Job<'_>) -> Option<Bid> {
        self.inner.offer(job)
    }

    fn submit(&mut self, job: &Job<'_>) -> Result<Ticket, Self::Error> {
        if self.fail == Fail::Submit(count(&mut self.submits)) {
            return Err(FaultyError::Told);
        }
        self.inner.submit(job).map_err(FaultyError::Device)
    }

    fn poll(&mut self, ticket: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), Self::Error>> {
        if self.fail == Fail::Poll(count(&mut self.polls)) {
            for k in 0..io.job().outputs().len() {
                if let Some(bytes) = io.output(k) {
                    bytes.fill(SPOILT);
                }
            }
            return Poll::Ready(Err(FaultyError::Told));
        }
        self.inner.poll(ticket, io).map_err(FaultyError::Device)
    }

    fn cancel(&mut self, ticket: Ticket) {
        self.inner.cancel(ticket);
    }
}
