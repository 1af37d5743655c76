//! The runtime with an accelerator that is chosen by cost and watched, and no op: what jobs take.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::task::Poll;

use carafe::offload::{Accelerator, Auto, Bid, CpuCost, Io, Job, Ticket, Watchdog};

/// A driver of which the compiler knows nothing.
struct Device;

impl Accelerator for Device {
    type Error = ();
    fn offer(&self, job: &Job<'_>) -> Option<Bid> {
        black_box(Some(Bid { ticks: job.macs() }))
    }
    fn submit(&mut self, job: &Job<'_>) -> Result<Ticket, ()> {
        black_box(Ok(Ticket(u32::from(job.first()))))
    }
    fn poll(&mut self, ticket: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), ()>> {
        black_box((io.input(0), ticket));
        black_box(io.output(0));
        black_box(Poll::Ready(Ok(())))
    }
    fn cancel(&mut self, ticket: Ticket) {
        black_box(ticket);
    }
}

carafe_size::program!({
    let cost = black_box(CpuCost { per_mac: 256, per_element: 256, per_node: 1 });
    carafe_size::infer_on(carafe::registry![], Watchdog::new(Auto::new(Device, cost), black_box(9)))
});
