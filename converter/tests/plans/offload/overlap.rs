//! CPU and accelerator at the same time.

use std::cell::Cell;

use carafe::offload::{Event, Log, Steps, Traced};
use carafe::{Model, NodeId, Probe, Rows, Session};
use carafe_converter::lower::Lowered;
use carafe_converter::plan::JobRule;
use carafe_vector_engine::Config;

use super::bench::{SLOW, branches, chain, engine, every_op, jobs, run_on};
use crate::device::{blob, run, whole};

/// Steps of the CPU while a job was pending, and the timeline.
fn traced(lowered: &Lowered, data: &[Vec<u8>], rule: &JobRule, config: Config) -> (u32, String, u16) {
    let want = run(&blob(lowered, &whole(lowered)).1, data).outputs;
    let (_, blob) = jobs(lowered, rule);
    let entries = vec![Cell::new(Event::Free); 4000];
    let log = Log::new(&entries);
    let mut pad = vec![0; 1 << 16];
    let device = Traced::new(engine(config, &mut pad, &rule.ops), &log);
    let (outputs, tally) = run_on(&blob, data, Steps(&log), device);
    assert_eq!((outputs, tally.failed, log.lost()), (want, 0, 0));
    (log.overlap(), log.timeline().to_string(), tally.done)
}

#[test]
fn branches_overlap_and_chains_do_not() {
    let rule = JobRule { overlap: true, ..JobRule::new(&every_op(), 1 << 20) };
    let (lowered, data) = branches();
    let (steps, timeline, jobs) = traced(&lowered, &data, &rule, SLOW);
    println!("{timeline}");
    // Stem, one branch, join; the other branch is the CPU's, all of it while the first is pending.
    let other = 2 * 12;
    assert_eq!((steps, jobs), (other, 3), "\n{timeline}");
    let [cpu, device] = timeline.lines().collect::<Vec<_>>()[..] else { panic!("two lines") };
    assert_eq!((cpu.len(), cpu.matches('#').count()), (device.len(), 24));
    assert_eq!((device.matches('S').count(), device.matches('-').count()), (3, 24));

    // A fast engine is back before the CPU is through: the CPU finishes what it has begun.
    let fast = Config { poll_ticks: 5000, ..SLOW };
    let (steps, timeline, jobs) = traced(&lowered, &data, &rule, fast);
    assert!(steps > 0 && steps < other && jobs == 3, "\n{timeline}");

    // Neighbours that share memory do not overlap.
    let tight = JobRule { max_nodes: 2, ..JobRule::new(&every_op(), 1 << 20) };
    assert_eq!(traced(&lowered, &data, &tight, SLOW).0, 0);

    let (lowered, data) = chain();
    let (steps, timeline, jobs) = traced(&lowered, &data, &JobRule { max_nodes: 1, ..rule }, SLOW);
    assert_eq!((steps, jobs), (0, 4), "\n{timeline}");
}

/// Keeping branches apart costs memory; not keeping them apart costs none but what jobs need.
#[test]
fn the_price_is_memory() {
    let (lowered, _) = branches();
    let rule = JobRule { max_nodes: 1, ..JobRule::new(&every_op(), 1 << 20) };
    let (tight, _) = jobs(&lowered, &rule);
    let (apart, _) = jobs(&lowered, &JobRule { overlap: true, ..rule });
    assert_eq!(tight.segments.len(), apart.segments.len());
    assert!(apart.arena_bytes > tight.arena_bytes, "{} and {}", apart.arena_bytes, tight.arena_bytes);
}

/// Collects rows.
#[derive(Default)]
struct Collector(std::collections::BTreeMap<NodeId, Vec<u8>>);

impl Probe for Collector {
    fn rows(&mut self, node: NodeId, y: std::ops::Range<u16>, rows: &Rows<'_>) {
        let to = self.0.entry(node).or_default();
        y.for_each(|y| to.extend_from_slice(rows.row(y).unwrap()));
    }
}

/// A probe sees what jobs leave, as it would have seen it from the CPU.
#[test]
fn a_probe_sees_what_jobs_leave() {
    let (lowered, data) = branches();
    let rule = JobRule { max_nodes: 2, ..JobRule::new(&every_op(), 1 << 20) };
    let (plan, blob) = jobs(&lowered, &rule);
    let (mut cpu, mut device) = (Collector::default(), Collector::default());
    let mut session = Session::new(Model::verify(&blob, carafe::ops::ALL).unwrap());
    let mut arena = vec![0; session.model().arena_bytes()];
    crate::device::answer(&mut session, &mut arena, &data, &mut cpu).unwrap();
    let mut pad = vec![0; 1 << 16];
    let (_, tally) = run_on(&blob, &data, &mut device, engine(SLOW, &mut pad, &every_op()));
    assert_eq!(usize::from(tally.done), plan.segments.len());
    let sinks: Vec<u16> = (0..lowered.nodes.len() as u16).filter(|&n| plan.sinks[usize::from(n)]).collect();
    assert!(sinks.len() < lowered.nodes.len() && device.0.keys().map(|n| n.0).eq(sinks));
    assert!(device.0.iter().all(|(n, rows)| cpu.0[n] == *rows));
}
