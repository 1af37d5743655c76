//! The odd cases that the interfaces have to carry: reductions that consume rows, joins that copy nothing, results in
//! place of operands, branches that arrive at different times, inputs that never exist as a whole.

use std::pin::pin;
use std::task::{Context, Waker};

use carafe::{Model, OpCode, RunError, Session};
use carafe_converter::lower::{Lowered, Operand};
use carafe_converter::plan::{Goal, Plan, PlanOptions};
use carafe_graph::{Activation, UnaryOp};

use crate::device::{blob, hold_against_float, inputs, run, whole};
use crate::model;

/// One segment, a row a step.
const ONE_SEGMENT: PlanOptions = PlanOptions {
    push_rows: false,
    fast_bytes: None,
    cuts: Some(Vec::new()),
    bands: Some(Vec::new()),
    in_place: Some(Vec::new()),
    grow: true,
    strategy: None,
    goal: Some(Goal::Balanced),
    ram_limit: None,
};

/// Plans a model as one segment; proves that the plan gives the bits of whole maps and of the float meaning, and
/// that the high-water mark is what was planned.
fn one_segment(m: &mut model::Model) -> (Lowered, Plan) {
    let (quant, lowered) = m.lower();
    let data = inputs(&lowered, 7);
    let (_, reference) = blob(&lowered, &whole(&lowered));
    hold_against_float(&quant, &lowered, &reference, &data);
    let (plan, blob) = blob(&lowered, &ONE_SEGMENT);
    let outcome = run(&blob, &data);
    assert_eq!(outcome.outputs, run(&reference, &data).outputs);
    assert_eq!(outcome.high_water, plan.arena_bytes as usize);
    (lowered, plan)
}

/// Index of the `k`-th node with an op.
fn nth(lowered: &Lowered, op: OpCode, k: usize) -> usize {
    lowered.nodes.iter().enumerate().filter(|(_, n)| n.op == op).nth(k).map(|(i, _)| i).expect("there is such a node")
}

/// Rows of the buffer of tensor `t`: of a ring, or 0.
fn rows(plan: &Plan, t: usize) -> u16 {
    plan.buffers[usize::from(plan.tensors[t].buffer)].rows
}

#[test]
fn a_reduction_consumes_rows_and_needs_no_map() {
    let mut m = model::Model::new(1);
    let x = m.input(&[1, 16, 8, 3]);
    let c = m.conv3(x, 9);
    let v = m.mean(c, false);
    let y = m.dense(v, 4, Activation::None);
    m.output(y);
    let (lowered, plan) = one_segment(&mut m);
    let (conv, mean) = (nth(&lowered, OpCode::Conv2d, 0), nth(&lowered, OpCode::Mean, 0));
    assert!(plan.needs[mean].consumes);
    assert_eq!(rows(&plan, conv), 1, "one row of the map that is reduced");
    let accumulator = plan.buffers[usize::from(plan.aux[mean])];
    assert_eq!(accumulator.length, 4 * 9);
}

/// Two rows of a 3×3 convolution read four. In bands of two that begin at odd rows these are four rows that are there, else
/// six.
#[test]
fn bands_of_hundreds_of_rows() {
    let mut m = model::Model::new(1);
    let x = m.input(&[1, 300, 4, 3]);
    let a = m.conv3(x, 4);
    let b = m.conv3(a, 4);
    m.output(b);
    let (_, lowered) = m.lower();
    let data = inputs(&lowered, 7);
    let (_, reference) = blob(&lowered, &whole(&lowered));
    for band in [100, 128, 192, 200, 255] {
        let (plan, blob) = blob(&lowered, &PlanOptions { bands: Some(vec![band; lowered.nodes.len()]), ..ONE_SEGMENT });
        assert!(plan.scratch.iter().flatten().count() == 2, "{:?}", plan.scratch);
        assert_eq!(run(&blob, &data).outputs, run(&reference, &data).outputs);
    }
}

#[test]
fn bands_begin_where_their_readers_like_it() {
    let mut m = model::Model::new(1);
    let x = m.input(&[1, 17, 6, 3]);
    let a = m.conv3(x, 4);
    let b = m.conv3(a, 4);
    let c = m.conv3(b, 4);
    let y = m.mean(c, false);
    m.output(y);
    let (quant, lowered) = m.lower();
    let data = inputs(&lowered, 7);
    let (_, reference) = blob(&lowered, &whole(&lowered));
    hold_against_float(&quant, &lowered, &reference, &data);
    let (plan, blob) = blob(&lowered, &PlanOptions { bands: Some(vec![2; lowered.nodes.len()]), ..ONE_SEGMENT });
    assert_eq!(run(&blob, &data).outputs, run(&reference, &data).outputs);
    let convs = [0, 1, 2].map(|k| nth(&lowered, OpCode::Conv2d, k));
    assert_eq!(convs.map(|n| plan.tensors[n].lead), [0, 1, 0]);
    assert_eq!(convs.map(|n| rows(&plan, n)), [4, 4, 2]);
}

#[test]
fn a_join_copies_nothing() {
    let mut m = model::Model::new(2);
    let x = m.input(&[1, 12, 6, 3]);
    let a = m.conv3(x, 4);
    let b = m.conv3(x, 2);
    let b = m.conv3(b, 5);
    let joined = m.concat(&[a, b]);
    let y = m.conv3(joined, 3);
    m.output(y);
    let (lowered, plan) = one_segment(&mut m);
    assert!(lowered.nodes.iter().all(|n| n.op == OpCode::Conv2d || n.op == OpCode::Concat), "no node copies");
    let join = nth(&lowered, OpCode::Concat, 0);
    assert!(plan.needs[join].view, "the device does nothing for it");
    let parts: Vec<usize> = lowered.nodes[join]
        .inputs
        .iter()
        .map(|o| match o {
            Operand::Node(n) => *n,
            Operand::Input(_) => panic!("the parts are made by nodes"),
        })
        .collect();
    let (a, b, y) = (plan.tensors[parts[0]], plan.tensors[parts[1]], plan.tensors[join]);
    assert_eq!((a.buffer, a.offset, a.pixel_stride), (y.buffer, 0, 9));
    assert_eq!((b.buffer, b.offset, b.pixel_stride), (y.buffer, 4, 9));
    // The short branch waits for the long one in a ring of joined pixels.
    assert!((1..12).contains(&rows(&plan, join)));
}

#[test]
fn a_result_takes_the_place_of_its_operand() {
    let mut m = model::Model::new(3);
    let x = m.input(&[1, 10, 6, 3]);
    let a = m.conv3(x, 4);
    let b = m.unary(a, UnaryOp::HardSwish);
    let c = m.conv3(x, 4);
    let y = m.add(b, c, Activation::Relu);
    let y = m.conv3(y, 2);
    m.output(y);
    let (lowered, plan) = one_segment(&mut m);
    let table = nth(&lowered, OpCode::Lut, 0);
    assert_eq!(plan.tensors[table], plan.tensors[nth(&lowered, OpCode::Conv2d, 0)]);
    let add = nth(&lowered, OpCode::Add, 0);
    assert_eq!(plan.tensors[add], plan.tensors[nth(&lowered, OpCode::Conv2d, 1)], "onto the operand made last");
}

/// What somebody else reads later must not be overwritten.
#[test]
fn an_operand_with_another_reader_keeps_its_place() {
    let mut m = model::Model::new(4);
    let x = m.input(&[1, 6, 6, 3]);
    let a = m.conv3(x, 4);
    let b = m.unary(a, UnaryOp::HardSwish);
    m.output(a);
    let c = m.unary(b, UnaryOp::Sigmoid);
    let d = m.conv3(b, 2);
    m.output(c);
    m.output(d);
    let (lowered, plan) = one_segment(&mut m);
    let tables = (nth(&lowered, OpCode::Lut, 0), nth(&lowered, OpCode::Lut, 1));
    assert_ne!(plan.tensors[tables.0].buffer, plan.tensors[nth(&lowered, OpCode::Conv2d, 0)].buffer);
    assert_ne!(plan.tensors[tables.1].buffer, plan.tensors[tables.0].buffer);
}

/// A sum of a tensor with itself under another name: neither operand may be overwritten.
#[test]
fn one_memory_under_two_names_is_not_overwritten() {
    let mut m = model::Model::new(12);
    let x = m.input(&[1, 4, 4, 2]);
    let a = m.conv3(x, 2);
    let b = m.reshape(a, &[1, 4, 8, 1]);
    let b = m.reshape(b, &[1, 4, 4, 2]);
    let y = m.add(b, a, Activation::None);
    m.output(y);
    let (lowered, plan) = one_segment(&mut m);
    let add = nth(&lowered, OpCode::Add, 0);
    assert_ne!(plan.tensors[add].buffer, plan.tensors[nth(&lowered, OpCode::Conv2d, 0)].buffer);
}

#[test]
fn branches_of_a_sum_arrive_at_different_times() {
    let mut m = model::Model::new(5);
    let x = m.input(&[1, 20, 6, 3]);
    let a = m.conv3(x, 4);
    let b = m.conv3(a, 4);
    let b = m.conv3(b, 4);
    let y = m.add(a, b, Activation::Relu);
    let y = m.conv3(y, 2);
    m.output(y);
    let (lowered, plan) = one_segment(&mut m);
    let short = nth(&lowered, OpCode::Conv2d, 0);
    // Row y of the sum needs rows up to y + 2 of the first convolution: rows y..=y + 2 wait.
    assert_eq!(rows(&plan, short), 3);
    // The second convolution's window is all that it needs.
    assert_eq!(rows(&plan, nth(&lowered, OpCode::Conv2d, 1)), 3);
}

#[test]
fn a_pushed_input_never_exists_as_a_whole() {
    let mut m = model::Model::new(6);
    let x = m.input(&[1, 32, 8, 3]);
    let a = m.conv3(x, 2);
    let v = m.mean(a, true);
    m.output(v);
    let (_, lowered) = m.lower();
    let data = inputs(&lowered, 8);
    let (_, reference) = blob(&lowered, &whole(&lowered));
    let want = run(&reference, &data).outputs;
    let (plan, blob) =
        blob(&lowered, &PlanOptions { push_rows: true, goal: Some(Goal::Size), ..PlanOptions::default() });
    assert!(plan.arena_bytes < 32 * 8 * 3, "{} bytes of arena", plan.arena_bytes);
    assert_eq!(run(&blob, &data).outputs, want);

    let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
    let mut session = Session::new(model);
    let mut arena = vec![0; model.arena_bytes()];
    let mut run = session.start(&mut arena).unwrap();
    let row = 8 * 3;
    // A row more than there is, to push too many at the end too.
    let (data, want) = ([&data[0][..], &[0; 8 * 3]].concat(), &want[0]);
    assert_eq!(run.set_input(0, &data[row..]), Err(RunError::Input), "not there as a whole");
    assert_eq!(run.run(), Err(RunError::NeedsInput { input: 0 }));
    assert_eq!(run.push_rows(0, &data[..row - 1]), Err(RunError::Input), "no whole row");
    assert_eq!(run.push_rows(0, &[]), Err(RunError::Input), "nothing");
    assert_eq!(run.push_rows(1, &data[..row]), Err(RunError::Input), "no such input");
    assert_eq!(run.push_rows(0, &data[..3 * row]), Err(RunError::Input), "the first row of the result needs two");
    // Both rows at once, and then more than is asked for at every turn.
    run.push_rows(0, &data[..2 * row]).unwrap();
    let mut at = 2;
    while let Err(e) = run.run() {
        assert_eq!(e, RunError::NeedsInput { input: 0 });
        assert_eq!(run.push_rows(0, &data[at * row..][..2 * row]), Err(RunError::Input));
        run.push_rows(0, &data[at * row..][..row]).unwrap();
        at += 1;
    }
    assert_eq!(at, 32);
    assert_eq!(run.output(0).unwrap(), want);
    assert_eq!(run.push_rows(0, &data[..row]), Err(RunError::Input), "complete");
    assert_eq!(run.output(1), Err(RunError::Input));
}

/// Nobody reads the first input; the second has one row, so that there is no ring for it.
#[test]
fn pushed_inputs_without_a_ring_are_given_as_a_whole() {
    let mut m = model::Model::new(7);
    let _ = m.input(&[1, 5, 4, 3]);
    let late = m.input(&[1, 1, 4, 2]);
    let x = m.input(&[1, 9, 8, 3]);
    let a = m.conv3(x, 4);
    let a = m.pool(a, carafe_graph::PoolKind::Max, 8, 8, 0);
    let a = m.reshape(a, &[1, 1, 1, 4]);
    let b = m.mean(late, true);
    let b = m.dense(b, 4, Activation::None);
    let y = m.add(a, b, Activation::None);
    m.output(y);
    let (_, lowered) = m.lower();
    let data = inputs(&lowered, 9);
    let (_, reference) = blob(&lowered, &whole(&lowered));
    for cuts in [None, Some(vec![]), Some(vec![2, 4])] {
        let (plan, blob) = blob(&lowered, &PlanOptions { push_rows: true, cuts, ..PlanOptions::default() });
        let got = run(&blob, &data);
        assert_eq!(got.outputs, run(&reference, &data).outputs);
        assert_eq!(got.high_water, plan.arena_bytes as usize);
    }
}

/// One tensor twice among the parts, or under another name, or also an output: it cannot be a slice in all places.
#[test]
fn parts_that_cannot_be_slices_are_copied() {
    let mut m = model::Model::new(8);
    let x = m.input(&[1, 6, 5, 3]);
    let a = m.conv3(x, 2);
    let twice = m.concat(&[a, a]);
    let v = m.mean(a, false);
    m.output(v);
    let renamed = m.reshape(v, &[1, 1, 1, 2]);
    let other = m.mean(twice, true);
    let joined = m.concat(&[renamed, other, renamed]);
    m.output(joined);
    // A part that is computed from another part.
    let b = m.conv3(x, 2);
    let c = m.unary(b, UnaryOp::Relu);
    let both = m.concat(&[b, c]);
    m.output(both);
    let (lowered, _) = one_segment(&mut m);
    assert!(lowered.nodes.iter().filter(|n| n.name.contains("/copy")).count() >= 4);
}

/// An input handed through, one value under two names, and one twice: each output is a tensor of its own.
#[test]
fn outputs_are_tensors_of_their_own() {
    let mut m = model::Model::new(11);
    let x = m.input(&[1, 5, 4, 2]);
    let a = m.conv3(x, 3);
    let v = m.mean(a, false);
    let w = m.reshape(v, &[1, 1, 1, 3]);
    for output in [x, a, a, v, w] {
        m.output(output);
    }
    let (lowered, plan) = one_segment(&mut m);
    let data = inputs(&lowered, 12);
    let (_, blob) = blob(&lowered, &PlanOptions { push_rows: true, ..PlanOptions::default() });
    let got = run(&blob, &data).outputs;
    assert_eq!(got[0], data[0]);
    assert_eq!((&got[1], &got[3]), (&got[2], &got[4]));
    let buffers: Vec<u16> = lowered
        .outputs
        .iter()
        .map(|(_, o)| match o {
            Operand::Node(n) => plan.tensors[*n].buffer,
            Operand::Input(_) => panic!("an output is made by a node"),
        })
        .collect();
    assert!((1..5).all(|i| !buffers[..i].contains(&buffers[i])), "{buffers:?}");
}

/// Pieces of a run: while a condition holds, and as a future that yields after every step.
#[test]
fn runs_can_be_interrupted_anywhere() {
    let mut m = model::Model::new(9);
    let x = m.input(&[1, 9, 5, 3]);
    let a = m.conv3(x, 4);
    let y = m.mean(a, true);
    m.output(y);
    let (_, lowered) = m.lower();
    let data = inputs(&lowered, 10);
    let (_, blob) = blob(&lowered, &ONE_SEGMENT);
    let want = run(&blob, &data);
    let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
    let mut session = Session::new(model);
    let mut arena = vec![0; model.arena_bytes()];

    let mut run = session.start(&mut arena).unwrap();
    run.set_input(0, &data[0]).unwrap();
    let mut turns = 0;
    loop {
        let mut left = 2;
        turns += 1;
        let complete = run.run_while(|| {
            left -= 1;
            left >= 0
        });
        if complete.unwrap() {
            break;
        }
    }
    assert_eq!(turns, want.steps / 2 + 1);
    assert_eq!(run.output(0).unwrap(), want.outputs[0]);

    let mut run = session.start(&mut arena).unwrap();
    run.set_input(0, &data[0]).unwrap();
    let mut yields = 0;
    {
        let mut future = pin!(run.run_async());
        let mut cx = Context::from_waker(Waker::noop());
        while future.as_mut().poll(&mut cx).is_pending() {
            yields += 1;
        }
    }
    assert_eq!(yields, want.steps);
    assert_eq!(run.output(0).unwrap(), want.outputs[0]);
}

/// Work is bounded: a deep graph with joins that read far back is planned in seconds, not hours.
#[test]
fn hundreds_of_nodes_are_planned() {
    let mut m = model::Model::new(13);
    let mut x = m.input(&[1, 24, 4, 3]);
    x = m.conv3(x, 4);
    let mut kept = vec![x];
    for i in 0..130 {
        let y = m.conv3(x, 4);
        let y = m.unary(y, UnaryOp::HardSwish);
        x = m.add(y, kept[kept.len() - 1 - i % 4 % kept.len()], Activation::Clamp(-1.0, 1.0));
        kept.push(x);
    }
    m.output(x);
    let (_, lowered) = m.lower();
    assert!(lowered.nodes.len() > 300);
    let begun = std::time::Instant::now();
    let data = inputs(&lowered, 14);
    let (_, reference) = blob(&lowered, &whole(&lowered));
    let (plan, blob) = blob(&lowered, &PlanOptions::default());
    let took = begun.elapsed();
    println!("{} nodes: {} bytes, at least {}, in {took:.1?}", lowered.nodes.len(), plan.arena_bytes, plan.lower_bound);
    assert!(took.as_secs() < 60, "{took:?}");
    assert_eq!(run(&blob, &data).outputs, run(&reference, &data).outputs);
}

#[test]
fn an_arena_that_is_too_small_says_what_is_needed() {
    let mut m = model::Model::new(10);
    let x = m.input(&[1, 4, 4, 2]);
    let y = m.conv3(x, 2);
    m.output(y);
    let (_, lowered) = m.lower();
    let (plan, blob) = blob(&lowered, &ONE_SEGMENT);
    let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
    let need = plan.arena_bytes as usize;
    let mut arena = vec![0; need - 1];
    let mut session = Session::new(model);
    assert_eq!(session.start(&mut arena).err(), Some(RunError::ArenaTooSmall { need, have: need - 1 }));
}
