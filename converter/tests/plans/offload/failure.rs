//! Devices that fail, at every point at which they can.

use core::task::Poll;

use carafe::offload::{Accelerator, Bid, Fail, Faulty, Io, Job, Ticket, Watchdog};
use carafe_converter::lower::Lowered;
use carafe_converter::plan::JobRule;
use carafe_vector_engine::Config;

use super::bench::{SLOW, branches, digits, engine, every_op, jobs, run_on};
use crate::device::run;

/// Fails at every submission and at every poll in turn.
fn fail_everywhere(lowered: &Lowered, data: &[Vec<u8>], rule: &JobRule, config: Config) {
    let (_, blob) = jobs(lowered, rule);
    let want = run(&blob, data).outputs;
    let attempt = |fail| {
        let mut pad = vec![0; 1 << 18];
        let mut device = Faulty::new(engine(config, &mut pad, &rule.ops), fail);
        let (outputs, tally) = run_on(&blob, data, (), &mut device);
        assert_eq!(outputs, want, "{fail:?}");
        assert!(!device.inner().is_busy());
        (device.submits(), device.polls(), tally)
    };
    let (submits, polls, clean) = attempt(Fail::Never);
    assert_eq!((clean.failed, u32::from(clean.done)), (0, submits));
    assert!(submits >= 2 && polls > 2 * submits, "{submits} submissions, {polls} polls");
    for fail in (0..submits).map(Fail::Submit).chain((0..polls).map(Fail::Poll)) {
        let (_, _, tally) = attempt(fail);
        // That one is done by the CPU, all others by the device.
        assert_eq!((tally.failed, tally.done, tally.offered), (1, clean.done - 1, clean.offered), "{fail:?}");
    }
}

#[test]
fn digits_survive_every_failure() {
    let (lowered, data) = digits();
    let rule = JobRule { max_nodes: 2, ..JobRule::new(&every_op(), 1 << 20) };
    fail_everywhere(&lowered, &data, &rule, Config { poll_ticks: 600, ..SLOW });
}

#[test]
fn two_branches_survive_every_failure() {
    let (lowered, data) = branches();
    let rule = JobRule { max_nodes: 1, ..JobRule::new(&every_op(), 1 << 20) };
    fail_everywhere(&lowered, &data, &rule, SLOW);
}

/// While the job is pending the CPU is somewhere in the other branch, or through with it.
#[test]
fn two_branches_at_a_time_survive_every_failure() {
    let (lowered, data) = branches();
    let rule = JobRule { overlap: true, ..JobRule::new(&every_op(), 1 << 20) };
    let (_, blob) = jobs(&lowered, &rule);
    let want = run(&blob, &data).outputs;
    for polls in 0..400 {
        let mut pad = vec![0; 1 << 16];
        let mut device = Faulty::new(engine(SLOW, &mut pad, &rule.ops), Fail::Poll(polls));
        let (outputs, tally) = run_on(&blob, &data, (), &mut device);
        assert_eq!(outputs, want, "poll {polls}");
        if device.polls() <= polls {
            assert!(polls > 50, "{polls} polls are few");
            assert_eq!(tally.failed, 0);
            return;
        }
        assert_eq!(tally.failed, 1, "poll {polls}");
    }
    panic!("the run does not end");
}

/// Takes every job and never comes back.
#[derive(Default)]
struct Hangs {
    taken: u32,
    cancelled: u32,
}

impl Accelerator for Hangs {
    type Error = ();
    fn offer(&self, _: &Job<'_>) -> Option<Bid> {
        Some(Bid { ticks: 1 })
    }
    fn submit(&mut self, _: &Job<'_>) -> Result<Ticket, ()> {
        self.taken += 1;
        Ok(Ticket(self.taken))
    }
    fn poll(&mut self, _: &mut Ticket, io: &mut Io<'_>) -> Poll<Result<(), ()>> {
        io.output(0).unwrap().fill(0xEE);
        Poll::Pending
    }
    fn cancel(&mut self, ticket: Ticket) {
        assert_eq!(ticket, Ticket(self.taken));
        self.cancelled += 1;
    }
}

#[test]
fn a_device_that_hangs_is_given_up() {
    for overlap in [false, true] {
        for limit in [0, 1, 7, 500] {
            let (lowered, data) = branches();
            let rule = JobRule { max_nodes: 2, overlap, ..JobRule::new(&every_op(), 1 << 20) };
            let (plan, blob) = jobs(&lowered, &rule);
            let mut device = Watchdog::new(Hangs::default(), limit);
            let (outputs, tally) = run_on(&blob, &data, (), &mut device);
            assert_eq!(outputs, run(&blob, &data).outputs);
            let Hangs { taken, cancelled } = *device.inner();
            assert_eq!((taken, tally.done), (cancelled, 0));
            assert_eq!(taken, u32::from(tally.failed));
            // The one that the CPU worked on ahead is not offered.
            assert!(taken as usize + usize::from(overlap) * 2 >= plan.segments.len(), "{taken}");
        }
    }
}
