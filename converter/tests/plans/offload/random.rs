//! Random graphs under random plans, with a device that takes what it can and fails when it likes.

use carafe::offload::{Fail, Faulty};
use carafe_converter::lower::LowerError;
use carafe_converter::plan::{JobRule, PlanOptions};
use carafe_vector_engine::Config;
use proptest::prelude::*;

use super::bench::{MICROCODE, engine, every_op, jobs_with, run_on};
use crate::device::{blob, inputs, run, whole};
use crate::random::models;

/// 200 graphs, or `PROPTEST_CASES`.
fn cases() -> ProptestConfig {
    let more = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig { cases: more.unwrap_or(200), max_shrink_iters: 2000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_job_anywhere_gives_the_same_bits(
        mut m in models(),
        seed in any::<u64>(),
        chance in proptest::collection::vec(any::<bool>(), 40),
        (capacity, max_nodes, overlap) in (0u64..4000, 1usize..6, any::<bool>()),
        (poll_ticks, fail) in (1u32..400, 0u32..40),
    ) {
        let lowered = match m.try_lower() {
            // The arithmetic may refuse what random numbers make of a graph.
            Err(LowerError::Arithmetic { .. }) => return Ok(()),
            lowered => lowered.unwrap().1,
        };
        let data = inputs(&lowered, seed);
        let (_, reference) = blob(&lowered, &whole(&lowered));
        let want = run(&reference, &data).outputs;
        let mut blobs = vec![reference];
        let some: Vec<usize> = (1..lowered.nodes.len()).filter(|&n| chance[n % chance.len()]).collect();
        for (cuts, push_rows) in [(some.clone(), false), (some, true), (vec![], false)] {
            blobs.push(blob(&lowered, &PlanOptions { push_rows, cuts: Some(cuts), ..PlanOptions::default() }).1);
        }
        let ops: Vec<_> = every_op().into_iter().enumerate().filter(|(i, _)| chance[*i]).map(|(_, op)| op).collect();
        for (ops, push_rows) in [(every_op(), false), (ops.clone(), false), (ops, true)] {
            let rule = JobRule { ops, max_bytes: capacity, max_nodes, overlap };
            let options = PlanOptions { push_rows, ..PlanOptions::default() };
            let (_, planned) = jobs_with(&lowered, &options, &rule);
            prop_assert_eq!(&run(&planned, &data).outputs, &want, "{:?}", rule);
            blobs.push(planned);
        }
        let config = Config { lanes: 4, dma_bytes: 3, latency: 5, poll_ticks, microcode: MICROCODE };
        for blob in &blobs {
            for fail in [Fail::Never, Fail::Poll(fail), Fail::Submit(fail / 8)] {
                let mut pad = vec![0x77; capacity as usize];
                let mut device = Faulty::new(engine(config, &mut pad, &every_op()), fail);
                let (outputs, tally) = run_on(blob, &data, (), &mut device);
                prop_assert_eq!(&outputs, &want, "{:?} {:?}", fail, tally);
                prop_assert!(!device.inner().is_busy());
            }
        }
    }
}
