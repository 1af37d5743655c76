//! Random graphs under random plans.

use std::collections::BTreeSet;

use carafe::{Model, OpCode};
use carafe_converter::lower::{LowerError, Lowered};
use carafe_converter::plan::{Goal, PackStrategy, Plan, PlanOptions, Timeline};
use proptest::prelude::*;

use crate::device::{Outcome, blob, hold_against_float, inputs, run, whole};
use crate::grow::{grow, kinds};
use crate::model::{self, Random};

pub fn models() -> impl Strategy<Value = model::Model> {
    let steps = proptest::collection::vec((0..kinds(), any::<u64>()), 1..14);
    (any::<u64>(), 1usize..10, 1usize..7, 1usize..5, any::<bool>(), steps)
        .prop_map(|(seed, h, w, c, second, steps)| grow(seed, [h, w, c], second, &steps))
}

/// Plans that are forced in every way that there is, and searched for where nothing is said.
pub fn options(nodes: usize, n: &mut Random) -> PlanOptions {
    let all = PackStrategy::ALL;
    PlanOptions {
        push_rows: n.below(2) == 0,
        fast_bytes: None,
        cuts: match n.below(6) {
            0 => None,
            1 => Some(vec![]),
            2 => Some((1..nodes).collect()),
            _ => Some((1..nodes).filter(|_| n.below(3) == 0).collect()),
        },
        bands: match n.below(4) {
            0 => None,
            1 => Some(vec![]),
            _ => Some((0..nodes).map(|_| 1 + n.below(4) as u8).collect()),
        },
        in_place: match n.below(3) {
            0 => None,
            1 => Some(vec![]),
            _ => Some((0..nodes).map(|_| n.below(2) == 0).collect()),
        },
        grow: n.below(4) > 0,
        strategy: match n.below(2) {
            0 => None,
            _ => Some(all[n.below(all.len())]),
        },
        goal: [None, Some(Goal::Size), Some(Goal::Balanced), Some(Goal::Speed)][n.below(4)],
        ram_limit: None,
    }
}

/// What must hold of any plan: no two rows lie on each other while both live, and no more is needed than was planned.
fn hold_timeline(plan: &Plan, blob: &[u8], options: &PlanOptions) {
    let model = Model::verify(blob, carafe::ops::ALL).unwrap();
    let t = Timeline::of(&model).unwrap();
    let (bound, at) = t.peak();
    assert_eq!(t.alive[at as usize], bound);
    assert!(bound <= u64::from(plan.lower_bound), "{bound} of {}: {options:?}", plan.lower_bound);
    assert!(plan.lower_bound <= plan.arena_bytes, "{options:?}");
    if options.grow {
        // Both walks count the same rows, and the same scratch.
        assert!(bound + 3 >= u64::from(plan.lower_bound), "{bound} of {}: {options:?}", plan.lower_bound);
    }
    for (i, a) in t.uses.iter().enumerate() {
        assert!(a.offset >= t.counter_bytes && a.offset + a.bytes <= plan.arena_bytes, "{a:?}: {options:?}");
        for b in &t.uses[i + 1..] {
            let apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
            assert!(apart || a.last < b.first || b.last < a.first, "{a:?} {b:?}: {options:?}");
        }
    }
    if let Some(bands) = options.bands.as_ref().filter(|b| !b.is_empty()) {
        let made = plan.bands.iter().zip(bands).zip(&plan.needs);
        assert!(made.clone().all(|((got, want), need)| got == want || need.consumes));
    }
    if let Some(cuts) = &options.cuts {
        assert_eq!(plan.segments.len(), cuts.len() + 1);
    }
}

pub fn check(lowered: &Lowered, data: &[Vec<u8>], want: &[Vec<u8>], options: &PlanOptions) -> Outcome {
    let (plan, blob) = blob(lowered, options);
    let got = run(&blob, data);
    assert_eq!(got.outputs, want, "{options:?}\n{plan:#?}");
    assert_eq!(got.steps, plan.steps, "{options:?}");
    assert!(got.high_water <= plan.arena_bytes as usize);
    if got.all_rows {
        assert_eq!(got.high_water, plan.arena_bytes as usize, "{options:?}\n{plan:#?}");
    }
    hold_timeline(&plan, &blob, options);
    got
}

/// 300 graphs, or `PROPTEST_CASES`.
fn cases() -> ProptestConfig {
    let more = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig { cases: more.unwrap_or(300), max_shrink_iters: 2000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_plan_gives_the_same_bits(mut m in models(), seed in any::<u64>()) {
        let (quant, lowered) = match m.try_lower() {
            // The arithmetic refuses a difference that is always near zero, for example.
            Err(LowerError::Arithmetic { .. }) => return Ok(()),
            lowered => lowered.unwrap(),
        };
        let data = inputs(&lowered, seed);
        let (_, reference) = blob(&lowered, &whole(&lowered));
        hold_against_float(&quant, &lowered, &reference, &data);
        let want = run(&reference, &data).outputs;
        let mut n = Random(seed);
        for push_rows in [false, true] {
            check(&lowered, &data, &want, &PlanOptions { push_rows, ..PlanOptions::default() });
        }
        for _ in 0..8 {
            check(&lowered, &data, &want, &options(lowered.nodes.len(), &mut n));
        }
    }
}

/// The generator makes what it is there for: every op, and joins that read far back.
#[test]
fn random_graphs_have_every_op_and_long_skips() {
    let mut n = Random(1);
    let (mut ops, mut longest) = (BTreeSet::new(), 0);
    for seed in 0..60 {
        let steps: Vec<(usize, u64)> = (0..12).map(|_| (n.below(kinds()), n.next())).collect();
        let (_, lowered) = grow(seed, [8, 6, 3], true, &steps).lower();
        for (at, node) in lowered.nodes.iter().enumerate() {
            ops.insert(node.op.name());
            if node.op == OpCode::Concat {
                let made = |o: &carafe_converter::lower::Operand| match o {
                    carafe_converter::lower::Operand::Node(n) => *n,
                    carafe_converter::lower::Operand::Input(_) => at,
                };
                longest = node.inputs.iter().map(|o| at - made(o)).max().unwrap_or(0).max(longest);
            }
        }
    }
    // States have tests of their own.
    for op in carafe::ops::ALL.ops().iter().map(|op| op.code()).filter(|op| *op != OpCode::History) {
        assert!(ops.contains(op.name()), "{} is never made: {ops:?}", op.name());
    }
    assert!(longest >= 4, "{longest}");
}
