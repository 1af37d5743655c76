//! Nodes that run a second time: the bits stay, and memory is saved where a tensor waits long for its last reader.

use std::collections::BTreeSet;

use carafe::{Model, OpCode};
use carafe_converter::lower::{LowerError, Lowered};
use carafe_converter::plan::{Again, Goal, Plan, PlanOptions, Recomputing, plan, plan_recomputing};
use carafe_converter::write::{WriteOptions, write};
use carafe_graph::{Activation, PoolKind};
use proptest::prelude::*;

use super::device::{blob, inputs, run, whole};
use super::model::{self, Random, plain};
use super::random::{check, models, options};

/// A cheap layer of many channels whose result waits for six rows of the branch beside it.
fn long_residual() -> Lowered {
    let mut m = model::Model::new(3);
    let x = m.input(&[1, 24, 24, 2]);
    let wide = m.conv(x, 16, plain(1, 0), [1, 1]);
    let mut y = m.conv3(wide, 4);
    for _ in 0..5 {
        y = m.conv3(y, 4);
    }
    let back = m.conv(y, 16, plain(1, 0), [1, 1]);
    let sum = m.add(wide, back, Activation::None);
    let y = m.conv(sum, 1, plain(1, 0), [1, 1]);
    m.output(y);
    m.lower().1
}

/// Two levels of a net that goes down and comes up again.
fn unet() -> Lowered {
    let mut m = model::Model::new(5);
    let x = m.input(&[1, 32, 32, 3]);
    let top = m.conv3(x, 8);
    let half = m.pool(top, PoolKind::Max, 2, 2, 0);
    let middle = m.conv3(half, 16);
    let quarter = m.pool(middle, PoolKind::Max, 2, 2, 0);
    let low = m.conv3(quarter, 16);
    let low = m.conv3(low, 16);
    let up = m.upsample(low, [2, 2]);
    let joined = m.concat(&[middle, up]);
    let up = m.conv3(joined, 8);
    let up = m.upsample(up, [2, 2]);
    let joined = m.concat(&[top, up]);
    let y = m.conv3(joined, 2);
    m.output(y);
    m.lower().1
}

fn recompute(lowered: &Lowered, options: &PlanOptions, percent: u32) -> Recomputing {
    plan_recomputing(lowered, options, percent, &|_, _| ()).unwrap_or_else(|e| panic!("{options:?}: {e}"))
}

fn ram(plan: &Plan) -> i64 {
    i64::from(plan.arena_bytes) + i64::from(plan.state_bytes)
}

/// Its plan takes less than that without, by what is said, and the blob gives the same bits.
fn hold(lowered: &Lowered, options: &PlanOptions, found: &Recomputing) {
    let (before, reference) = blob(lowered, options);
    let data = inputs(lowered, 7);
    let model = found.model.as_ref().unwrap_or_else(|| panic!("nothing runs again: {options:?}"));
    let made = write(model, &found.plan, &[], &WriteOptions::default()).unwrap();
    assert_eq!(run(&made, &data).outputs, run(&reference, &data).outputs);
    assert!(found.plan.arena_bytes < before.arena_bytes, "{options:?}");
    assert_eq!(ram(&before) - ram(&found.plan), found.made.iter().map(|m| m.saved_bytes).sum::<i64>());
    // The price is what the device pays, and weights are there once.
    let macs = |blob: &[u8]| -> u64 {
        let m = Model::verify(blob, carafe::ops::ALL).unwrap();
        (0..m.nodes()).map(|n| u64::from(m.need(n).unwrap().macs)).sum()
    };
    assert_eq!(macs(&made) - macs(&reference), found.made.iter().map(|m| m.macs).sum::<u64>());
    let again: BTreeSet<usize> = found.made.iter().flat_map(|m| m.nodes.iter().copied()).collect();
    let nodes = again.len();
    assert!(model.nodes.iter().enumerate().all(|(n, node)| node.name.ends_with(" again") == again.contains(&n)));
    assert_eq!(model.nodes.len(), lowered.nodes.len() + nodes);
    assert_eq!(model.consts, lowered.consts);
    assert!(made.len() < reference.len() + 96 * nodes + 64, "{} {}", made.len(), reference.len());
}

#[test]
fn a_shortcut_that_waits_long_is_made_again() {
    let lowered = long_residual();
    for goal in [Goal::Size, Goal::Balanced, Goal::Speed] {
        let options = PlanOptions { goal: Some(goal), ..PlanOptions::default() };
        let found = recompute(&lowered, &options, 25);
        hold(&lowered, &options, &found);
        assert_eq!(found.made.len(), 1, "{:?}", found.made);
        assert_eq!((found.made[0].layer.as_str(), found.made[0].nodes.len()), ("Conv2d0", 1));
        assert_eq!(found.made[0].macs, 24 * 24 * 2 * 16);
    }
    let small = PlanOptions { goal: Some(Goal::Size), ..PlanOptions::default() };
    let saved = recompute(&lowered, &small, 25).made[0].saved_bytes;
    // Rows of 24 pixels and 16 channels have waited.
    assert!(saved > 2 * 24 * 16, "{saved}");
}

#[test]
fn a_net_that_comes_up_again_needs_no_maps_from_its_way_down() {
    let lowered = unet();
    for push_rows in [false, true] {
        let options = PlanOptions { push_rows, goal: Some(Goal::Size), ..PlanOptions::default() };
        let found = recompute(&lowered, &options, 100);
        hold(&lowered, &options, &found);
        let saved = found.made.iter().map(|m| m.saved_bytes).sum::<i64>();
        assert!(saved > ram(&found.plan), "less than half: {:?}", found.made);
    }
}

#[test]
fn the_price_is_kept() {
    let lowered = long_residual();
    let options = PlanOptions { goal: Some(Goal::Size), ..PlanOptions::default() };
    let dear = recompute(&lowered, &options, 25).made;
    let found = recompute(&lowered, &options, 1);
    assert!(found.made.is_empty() && found.model.is_none(), "{:?} for 1 %, {dear:?} for 25 %", found.made);
    assert_eq!(found.plan.arena_bytes, plan(&lowered, &options).unwrap().arena_bytes);
    // Forced plans are left alone.
    let forced = PlanOptions { cuts: Some(vec![]), ..options };
    assert!(recompute(&lowered, &forced, 25).made.is_empty());
}

#[test]
fn a_limit_that_nothing_fits_is_met() {
    let lowered = long_residual();
    let small = PlanOptions { goal: Some(Goal::Size), ..PlanOptions::default() };
    let (before, after) = (plan(&lowered, &small).unwrap(), recompute(&lowered, &small, 25).plan);
    let between =
        PlanOptions { ram_limit: Some(u32::midpoint(before.arena_bytes, after.arena_bytes)), ..PlanOptions::default() };
    assert!(plan(&lowered, &between).is_err());
    let found = recompute(&lowered, &between, 25);
    assert!(found.plan.arena_bytes <= between.ram_limit.unwrap() && found.made.len() == 1);
    assert!(found.plan.instructions <= after.instructions);
    // What is offered can be had.
    for p in found.plan.frontier.iter().filter(|p| !p.chosen) {
        let limit = PlanOptions { ram_limit: Some(p.arena_bytes), ..PlanOptions::default() };
        let had = recompute(&lowered, &limit, 25).plan;
        assert!(had.arena_bytes <= p.arena_bytes && had.instructions <= p.instructions, "{p:?}");
    }
    let less = PlanOptions { ram_limit: Some(after.arena_bytes / 2), ..PlanOptions::default() };
    assert!(plan_recomputing(&lowered, &less, 25, &|_, _| ()).is_err());
}

#[test]
fn where_nothing_waits_nothing_is_made_again() {
    let mut m = model::Model::new(1);
    let x = m.input(&[1, 12, 12, 3]);
    let x = m.conv3(x, 4);
    let y = m.conv3(x, 4);
    m.output(y);
    let lowered = m.lower().1;
    assert!(Again::all(&lowered).is_empty());
    assert!(recompute(&lowered, &PlanOptions::default(), 25).made.is_empty());
}

#[test]
fn chains_are_in_order_and_leave_out_what_holds_nothing() {
    let lowered = unet();
    let all = Again::all(&lowered);
    assert!(all.iter().any(|a| a.nodes.len() > 1), "{all:?}");
    for again in &all {
        assert!(again.nodes.is_sorted() && again.readers.is_sorted());
        assert!(again.nodes.iter().all(|&n| n < again.begin()));
        let views = [OpCode::Concat, OpCode::Reshape, OpCode::History];
        assert!(again.nodes.iter().all(|&n| !views.contains(&lowered.nodes[n].op)));
        let model = again.of(&lowered);
        let names: BTreeSet<&str> = model.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names.len(), lowered.nodes.len() + again.nodes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Whatever runs again, and however it is planned.
    #[test]
    fn a_second_run_gives_the_same_bits(mut m in models(), seed in any::<u64>()) {
        let lowered = match m.try_lower() {
            Err(LowerError::Arithmetic { .. }) => return Ok(()),
            lowered => lowered.unwrap().1,
        };
        let data = inputs(&lowered, seed);
        let want = run(&blob(&lowered, &whole(&lowered)).1, &data).outputs;
        let (mut n, mut twice) = (Random(seed), lowered.clone());
        for _ in 0..3 {
            let all = Again::all(&twice);
            if all.is_empty() {
                break;
            }
            twice = all[n.below(all.len())].of(&twice);
            for _ in 0..3 {
                check(&twice, &data, &want, &options(twice.nodes.len(), &mut n));
            }
        }
        for push_rows in [false, true] {
            let options = PlanOptions { push_rows, ..PlanOptions::default() };
            let found = recompute(&lowered, &options, 100);
            let model = found.model.as_ref().unwrap_or(&lowered);
            let made = write(model, &found.plan, &[], &WriteOptions::default()).unwrap();
            prop_assert_eq!(&run(&made, &data).outputs, &want);
            prop_assert!(ram(&found.plan) <= ram(&plan(&lowered, &options).unwrap()));
        }
    }
}
