//! What is offered, and what is taken.

use std::cell::Cell;

use carafe::offload::{Auto, BitstreamId, Configure, CpuCost, Event, Log, Traced};
use carafe::{OpCode, RunError, Session, Step};
use carafe_converter::plan::{JobRule, PlanOptions};
use carafe_graph::{Activation, UnaryOp};
use carafe_vector_engine::{Config, EngineError, VectorEngine, image};

use super::bench::{MICROCODE, SLOW, branches, chain, digits, engine, every_op, jobs, run_on};
use crate::device::{blob, inputs, run, whole};
use crate::model;

#[test]
fn all_some_or_none_of_the_digits_fit() {
    let (lowered, data) = digits();
    let want = run(&blob(&lowered, &whole(&lowered)).1, &data).outputs;
    let mut done = Vec::new();
    for capacity in [1 << 20, 6000, 3000, 1000, 16] {
        let rule = JobRule { max_nodes: 3, ..JobRule::new(&every_op(), 1 << 20) };
        let (plan, blob) = jobs(&lowered, &rule);
        let mut pad = vec![0; capacity];
        let mut engine = engine(SLOW, &mut pad, &every_op());
        let (outputs, tally) = run_on(&blob, &data, (), &mut engine);
        assert_eq!(outputs, want, "{capacity} bytes");
        assert_eq!(usize::from(tally.offered), plan.segments.len());
        assert_eq!((tally.failed, u32::from(tally.done)), (0, engine.work().jobs));
        assert!(engine.work().peak <= capacity && !engine.is_busy());
        done.push(usize::from(tally.done));
        // Nothing is lost without the engine.
        assert_eq!(run(&blob, &data).outputs, want);
    }
    let segments = lowered.nodes.len().div_ceil(3);
    assert!(done.is_sorted_by(|a, b| a >= b), "{done:?}");
    assert!(done[0] >= segments && done[4] == 0, "{done:?}, {segments} segments at least");
    assert!(done.iter().any(|&n| n > 0 && n < done[0]), "{done:?}: some, not all");
}

/// A rule that knows the size of the scratchpad makes jobs that fit, but for what its pieces leave between them.
#[test]
fn jobs_are_cut_to_the_scratchpad() {
    let (lowered, data) = digits();
    let want = run(&blob(&lowered, &whole(&lowered)).1, &data).outputs;
    let count = |bytes: u64| {
        let (plan, blob) = jobs(&lowered, &JobRule::new(&every_op(), bytes));
        let mut pad = vec![0; bytes as usize];
        let mut engine = engine(SLOW, &mut pad, &every_op());
        let (outputs, tally) = run_on(&blob, &data, (), &mut engine);
        assert_eq!(outputs, want, "{bytes} bytes");
        (plan.segments.len(), tally.done)
    };
    assert_eq!(count(1 << 20), (1, 1));
    let (segments, done) = count(4000);
    assert!(segments > 2 && done > 1, "{segments} segments, {done} jobs");
}

/// Only convolutions: the rest stays with the CPU, and may work in place.
#[test]
fn a_device_gets_what_it_can_do() {
    let (lowered, data) = branches();
    let want = run(&blob(&lowered, &whole(&lowered)).1, &data).outputs;
    let (plan, blob) = jobs(&lowered, &JobRule::new(&[OpCode::Conv2d], 1 << 20));
    assert_eq!(plan.segments.len(), 2);
    let mut pad = vec![0; 1 << 16];
    let (outputs, tally) = run_on(&blob, &data, (), engine(SLOW, &mut pad, &[OpCode::Conv2d]));
    assert_eq!((outputs, tally.offered, tally.done), (want.clone(), 1, 1));
    // Microcode with another op is of no use here.
    let mut pad = vec![0; 1 << 16];
    let (outputs, tally) = run_on(&blob, &data, (), engine(SLOW, &mut pad, &[OpCode::Add]));
    assert_eq!((outputs, tally.offered, tally.done), (want, 1, 0));
}

#[test]
fn rows_that_are_pushed_are_not_offered() {
    let (lowered, data) = chain();
    let want = run(&blob(&lowered, &whole(&lowered)).1, &data).outputs;
    for (cuts, offered) in [(vec![], 0), (vec![2], 1)] {
        let (cuts, bands) = (Some(cuts), Some(vec![]));
        let options = PlanOptions { push_rows: true, cuts, bands, grow: false, ..PlanOptions::default() };
        let (plan, blob) = blob(&lowered, &options);
        let input = usize::from(plan.tensors[lowered.nodes.len()].buffer);
        assert!(plan.buffers[input].rows > 0, "the input is a ring");
        let mut pad = vec![0; 1 << 16];
        let (outputs, tally) = run_on(&blob, &data, (), engine(SLOW, &mut pad, &every_op()));
        assert_eq!((&outputs, tally.offered, tally.done), (&want, offered, offered));
    }
}

#[test]
fn results_in_place_of_operands_are_not_offered() {
    let mut m = model::Model::new(4);
    let x = m.input(&[1, 9, 6, 2]);
    let y = m.conv3(x, 3);
    let y = m.unary(y, UnaryOp::Sigmoid);
    m.output(y);
    let (_, lowered) = m.lower();
    let data = inputs(&lowered, 8);
    let options = PlanOptions { in_place: Some(vec![]), grow: false, ..whole(&lowered) };
    let (plan, in_place) = blob(&lowered, &options);
    assert_eq!(plan.tensors[0], plan.tensors[1], "the table works in place");
    let want = run(&in_place, &data).outputs;
    let mut pad = vec![0; 1 << 16];
    let (outputs, tally) = run_on(&in_place, &data, (), engine(SLOW, &mut pad, &every_op()));
    assert_eq!((&outputs, tally.offered, tally.done), (&want, 1, 1));
    // A plan made for jobs gives the table's result a place of its own.
    let rule = JobRule { max_nodes: 1, ..JobRule::new(&every_op(), 1 << 20) };
    let (plan, apart) = jobs(&lowered, &rule);
    assert_ne!(plan.tensors[0], plan.tensors[1]);
    let mut pad = vec![0; 1 << 16];
    let (outputs, tally) = run_on(&apart, &data, (), engine(SLOW, &mut pad, &every_op()));
    assert_eq!((&outputs, tally.offered, tally.done), (&want, 2, 2));
}

/// A map and its other shape are the same bytes: a device that brings back two results would write them twice.
#[test]
fn results_that_share_memory_are_not_offered() {
    let mut m = model::Model::new(4);
    let x = m.input(&[1, 6, 4, 2]);
    let y = m.conv3(x, 3);
    m.output(y);
    let r = m.reshape(y, &[1, 72]);
    m.output(r);
    let (_, lowered) = m.lower();
    let data = inputs(&lowered, 8);
    let want = run(&blob(&lowered, &whole(&lowered)).1, &data).outputs;
    for (max_nodes, offered) in [(2, 0), (1, 1)] {
        let (_, blob) = jobs(&lowered, &JobRule { max_nodes, ..JobRule::new(&every_op(), 1 << 20) });
        let mut pad = vec![0; 1 << 16];
        let (outputs, tally) = run_on(&blob, &data, (), engine(SLOW, &mut pad, &every_op()));
        assert_eq!((&outputs, tally.offered, tally.done), (&want, offered, offered));
    }
}

#[test]
fn a_tiny_job_stays_with_the_cpu() {
    let mut m = model::Model::new(9);
    let x = m.input(&[1, 12, 12, 2]);
    let v = m.mean(x, false);
    let v = m.dense(v, 2, Activation::None);
    m.output(v);
    let y = m.conv3(x, 16);
    m.output(y);
    let (_, lowered) = m.lower();
    let data = inputs(&lowered, 8);
    let want = run(&blob(&lowered, &whole(&lowered)).1, &data).outputs;
    let rule = JobRule { max_nodes: 1, ..JobRule::new(&[OpCode::Dense, OpCode::Conv2d], 1 << 20) };
    let (_, blob) = jobs(&lowered, &rule);
    let entries = [const { Cell::new(Event::Free) }; 1000];
    let log = Log::new(&entries);
    let mut pad = vec![0; 1 << 16];
    let config = Config { lanes: 16, dma_bytes: 8, latency: 200, ..SLOW };
    let cost = CpuCost { per_mac: 3 * 256, per_element: 10 * 256, per_node: 50 };
    let auto = Traced::new(Auto::new(engine(config, &mut pad, &rule.ops), cost), &log);
    let (outputs, tally) = run_on(&blob, &data, (), auto);
    assert_eq!((outputs, tally.done, tally.failed), (want.clone(), 1, 0));
    let conv = lowered.nodes.iter().position(|n| n.op == OpCode::Conv2d).unwrap() as u16;
    let taken: Vec<Event> = log.events().filter(|e| matches!(e, Event::Submitted { .. })).collect();
    assert_eq!(taken, [Event::Submitted { segment: conv }], "three nodes, three segments");
    // Where the CPU costs next to nothing the engine gets nothing, and where it costs all, everything.
    for (per_mac, jobs) in [(0, 0), (1 << 24, 2)] {
        let mut pad = vec![0; 1 << 16];
        let auto = Auto::new(engine(config, &mut pad, &rule.ops), CpuCost { per_mac, per_element: 0, per_node: 0 });
        let (outputs, tally) = run_on(&blob, &data, (), auto);
        assert_eq!((outputs, tally.done), (want.clone(), jobs));
    }
}

#[test]
fn nothing_is_taken_before_the_microcode_is_there() {
    let (lowered, data) = branches();
    let (_, blob) = jobs(&lowered, &JobRule::new(&every_op(), 1 << 20));
    let want = run(&blob, &data).outputs;
    let mut pad = vec![0; 1 << 16];
    let mut engine = VectorEngine::new(SLOW, &mut pad);
    let done = |engine: &mut VectorEngine<'_>| {
        let (outputs, tally) = run_on(&blob, &data, (), engine);
        assert_eq!((outputs, tally.failed), (want.clone(), 0));
        tally.done
    };
    assert_eq!((engine.loaded(), done(&mut engine)), (None, 0));
    let right = image(MICROCODE, &every_op()).unwrap();
    let other = image(BitstreamId(8), &every_op()).unwrap();
    engine.configure(MICROCODE, &mut right.as_slice()).unwrap();
    assert_eq!((engine.loaded(), done(&mut engine)), (Some(MICROCODE), 1));
    // What fails takes away what was there.
    let mut damaged = right.clone();
    damaged[12] ^= 4;
    for (id, image, error) in [
        (BitstreamId(8), &other, EngineError::WrongImage),
        (MICROCODE, &other, EngineError::WrongImage),
        (BitstreamId(8), &right, EngineError::WrongImage),
        (MICROCODE, &damaged, EngineError::Image),
    ] {
        engine.configure(MICROCODE, &mut right.as_slice()).unwrap();
        assert_eq!(engine.configure(id, &mut image.as_slice()), Err(error));
        assert_eq!((engine.loaded(), done(&mut engine)), (None, 0));
    }
}

/// While a job is pending a run says so, refuses new input, and takes the job back when it is dropped.
#[test]
fn a_run_that_is_dropped_takes_its_job_back() {
    let (lowered, data) = chain();
    let (_, blob) = jobs(&lowered, &JobRule::new(&every_op(), 1 << 20));
    let want = run(&blob, &data).outputs;
    let mut pad = vec![0; 1 << 16];
    let mut engine = engine(SLOW, &mut pad, &every_op());
    let mut session = Session::new(carafe::Model::verify(&blob, carafe::ops::ALL).unwrap());
    let mut arena = vec![0; session.model().arena_bytes()];
    {
        let mut run = session.start_on(&mut arena, (), &mut engine).unwrap();
        run.set_input(0, &data[0]).unwrap();
        assert_eq!((run.step(), run.step()), (Ok(Step::Waiting), Ok(Step::Waiting)));
        assert!(run.accelerator().is_busy());
        assert_eq!(run.set_input(0, &data[0]), Err(RunError::Input));
        assert_eq!(run.run_while(|| false), Ok(false));
        assert_eq!((run.steps(), run.tally().done), (0, 0));
    }
    assert!(!engine.is_busy() && engine.work().jobs == 0);
    // The device is free for the next one.
    let (outputs, tally) = run_on(&blob, &data, (), &mut engine);
    assert_eq!((outputs, tally.done), (want, 1));
}
