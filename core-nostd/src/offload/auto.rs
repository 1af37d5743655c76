use core::task::Poll;

use super::{Accelerator, Bid, Io, Job, Ticket};

/// What the CPU takes for a job, in ticks of the clock of [`Bid::ticks`]:
/// `(macs · per_mac + elements · per_element) / 256 + nodes · per_node`, where elements are those of all results.
///
/// To find the numbers for a board: run two models of different shape and divide. A tick may be an instruction, a cycle
/// or a microsecond, as long as the device bids in the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuCost {
    /// Ticks per multiplication, times 256.
    pub per_mac: u32,
    /// Ticks per element of a result, times 256: requantization, table lookups, additions.
    pub per_element: u32,
    /// Ticks per node: what its steps cost whatever they do.
    pub per_node: u32,
}

impl CpuCost {
    /// Ticks for a job.
    pub fn ticks(&self, job: &Job<'_>) -> u64 {
        let of = |n: u32, each: u32| u64::from(n) * u64::from(each);
        let work = of(job.macs(), self.per_mac).saturating_add(of(job.elements(), self.per_element));
        (work / 256).saturating_add(of(u32::from(job.count()), self.per_node))
    }
}

/// Lets a device bid only for what it does sooner than the CPU.
#[derive(Debug)]
pub struct Auto<A> {
    inner: A,
    cpu: CpuCost,
}

impl<A> Auto<A> {
    /// Of a device beside a CPU.
    pub fn new(inner: A, cpu: CpuCost) -> Self {
        Self { inner, cpu }
    }

    /// The device.
    pub fn inner(&mut self) -> &mut A {
        &mut self.inner
    }
}

impl<A: Accelerator> Accelerator for Auto<A> {
    type Error = A::Error;

    fn offer(&self, job: &Job<'_>) -> Option<Bid> {
        self.inner.offer(job).filter(|bid| u64::from(bid.ticks) < self.cpu.ticks(job))
    }

    fn submit(&mut self, job: &Job<'_>) -> Result<Ticket, A::Error> {
        self.inner.submit(job)
    }

    fn poll(&mut self, ticket: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), A::Error>> {
        self.inner.poll(ticket, io)
    }

    fn cancel(&mut self, ticket: Ticket) {
        self.inner.cancel(ticket);
    }
}
