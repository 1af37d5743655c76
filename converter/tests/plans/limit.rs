//! Limits and the frontier: a plan is within its limit or there is none, and what is offered can be had.

use carafe_converter::lower::{LowerError, Lowered};
use carafe_converter::plan::{Goal, Plan, PlanError, PlanOptions, plan};
use proptest::prelude::*;

use super::device::{blob, inputs, run, whole};
use super::model::Random;
use super::random::models;

fn ram(plan: &Plan) -> u32 {
    plan.arena_bytes + plan.state_bytes
}

fn hold_frontier(plan: &Plan) {
    let points = &plan.frontier;
    assert!(points.is_sorted_by(|a, b| a.arena_bytes < b.arena_bytes && a.cycles > b.cycles), "{points:?}");
    let chosen: Vec<_> = points.iter().filter(|p| p.chosen).collect();
    assert_eq!(chosen.len(), 1, "{points:?}");
    assert_eq!((chosen[0].arena_bytes, chosen[0].cycles), (plan.arena_bytes, plan.cycles));
}

/// What is offered can be had; between and below, a limit is kept. Gives the limits of what is offered.
fn hold_limits(lowered: &Lowered, options: &PlanOptions, n: &mut Random) -> Vec<u32> {
    let free = plan(lowered, options).unwrap();
    hold_frontier(&free);
    let within = |limit: u32| plan(lowered, &PlanOptions { ram_limit: Some(limit), goal: None, ..options.clone() });
    let offered = || free.frontier.iter().filter(|p| !p.chosen);
    for p in offered() {
        let limited = within(p.arena_bytes + p.state_bytes).unwrap();
        assert!(ram(&limited) <= p.arena_bytes + p.state_bytes && limited.cycles <= p.cycles, "{p:?}");
        hold_frontier(&limited);
    }
    let smallest = ram(&plan(lowered, &PlanOptions { goal: Some(Goal::Size), ..options.clone() }).unwrap());
    for limit in [smallest, smallest + n.below(2 * smallest as usize) as u32, smallest + n.below(64) as u32] {
        assert!(ram(&within(limit).unwrap()) <= limit);
    }
    let less = smallest - 1 - n.below(smallest as usize) as u32;
    match within(less) {
        Err(PlanError::Unfit { limit, smallest: found, .. }) => assert_eq!((limit, found), (less, smallest.into())),
        other => panic!("{:?} of {less}, {smallest}", other.map(|p| ram(&p))),
    }
    offered().map(|p| p.arena_bytes + p.state_bytes).chain([smallest]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_is_within_its_limit(mut m in models(), seed in any::<u64>(), push_rows in any::<bool>()) {
        let lowered = match m.try_lower() {
            Err(LowerError::Arithmetic { .. }) => return Ok(()),
            lowered => lowered.unwrap().1,
        };
        let data = inputs(&lowered, seed);
        let want = run(&blob(&lowered, &whole(&lowered)).1, &data).outputs;
        let options = PlanOptions { push_rows, ..PlanOptions::default() };
        for limit in hold_limits(&lowered, &options, &mut Random(seed | 1)) {
            let (_, blob) = blob(&lowered, &PlanOptions { ram_limit: Some(limit), ..options.clone() });
            prop_assert_eq!(&run(&blob, &data).outputs, &want);
        }
        let with = |goal| plan(&lowered, &PlanOptions { goal: Some(goal), ..options.clone() }).unwrap();
        let [size, balanced, speed] = [Goal::Size, Goal::Balanced, Goal::Speed].map(with);
        // Patience is for the plan that is taken: another one may come out a little smaller with it.
        let smaller = |than: &Plan| size.arena_bytes <= than.arena_bytes + than.arena_bytes / 8;
        prop_assert!(smaller(&balanced) && smaller(&speed));
        prop_assert!(balanced.cycles <= size.cycles && speed.cycles <= size.cycles);
        // Both hold.
        let both = PlanOptions { goal: Some(Goal::Speed), ram_limit: Some(ram(&size)), ..options };
        prop_assert!(ram(&plan(&lowered, &both).unwrap()) <= ram(&size));
    }
}

/// A limit is that of the arena where there is fast memory; the state counts.
#[test]
fn fast_memory_does_not_count_and_state_does() {
    let lowered = super::regions::net();
    let fast = PlanOptions { fast_bytes: Some(700), ..PlanOptions::default() };
    let plain = plan(&lowered, &PlanOptions { goal: Some(Goal::Size), ..PlanOptions::default() }).unwrap();
    let with = plan(&lowered, &PlanOptions { goal: Some(Goal::Size), ..fast.clone() }).unwrap();
    assert!(with.arena_bytes < plain.arena_bytes && with.fast_bytes > 0);
    let limit = with.arena_bytes.max(plain.arena_bytes - 1);
    let limited = plan(&lowered, &PlanOptions { ram_limit: Some(limit), ..fast }).unwrap();
    assert!(limited.arena_bytes <= limit && limited.fast_bytes > 0);
    let error = plan(&lowered, &PlanOptions { ram_limit: Some(limit.min(200)), ..PlanOptions::default() }).unwrap_err();
    let text = error.to_string();
    for part in ["the limit of 200 bytes", "the smallest found takes", "bytes)", "push_rows", "--fast-ram"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
