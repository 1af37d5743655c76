//! Models, engines and runs.

use std::path::Path;

use carafe::offload::{Accelerator, BitstreamId, Configure, Tally};
use carafe::{Model, OpCode, Probe, RunError, Session};
use carafe_converter::lower::Lowered;
use carafe_converter::plan::{Goal, JobRule, Plan, PlanOptions, plan_jobs};
use carafe_converter::write::{WriteOptions, write};
use carafe_converter::{Options, convert, frontend};
use carafe_graph::Activation;
use carafe_vector_engine::{Config, VectorEngine, image};

use crate::model::{self, Random};

/// Every op that there is.
pub fn every_op() -> Vec<OpCode> {
    let mut ops: Vec<OpCode> = carafe::ops::ALL.ops().iter().map(carafe::OpEntry::code).collect();
    ops.sort_unstable();
    ops.dedup();
    ops
}

/// What an image in this file is named.
pub const MICROCODE: BitstreamId = BitstreamId(7);

/// An engine that needs many polls.
pub const SLOW: Config = Config { lanes: 8, dma_bytes: 4, latency: 20, poll_ticks: 60, microcode: MICROCODE };

/// An engine with microcode for some ops.
pub fn engine<'p>(config: Config, pad: &'p mut [u8], ops: &[OpCode]) -> VectorEngine<'p> {
    let mut engine = VectorEngine::new(config, pad);
    let microcode = image(MICROCODE, ops).unwrap();
    engine.configure(MICROCODE, &mut microcode.as_slice()).unwrap();
    engine
}

/// A plan with jobs, and its blob.
pub fn jobs(lowered: &Lowered, rule: &JobRule) -> (Plan, Vec<u8>) {
    // A row a step where more would take memory: tests count steps.
    jobs_with(lowered, &PlanOptions { goal: Some(Goal::Size), ..PlanOptions::default() }, rule)
}

/// As [`jobs`], with options of the planner.
pub fn jobs_with(lowered: &Lowered, options: &PlanOptions, rule: &JobRule) -> (Plan, Vec<u8>) {
    let plan = plan_jobs(lowered, options, rule).unwrap_or_else(|e| panic!("{rule:?}: {e}"));
    let blob =
        write(lowered, &plan, &[], &WriteOptions::default()).unwrap_or_else(|e| panic!("{rule:?}: {e}\n{plan:#?}"));
    (plan, blob)
}

/// One inference in painted memory, with an accelerator. Proves that no byte behind the arena changes.
pub fn run_on<P: Probe, A: Accelerator>(
    blob: &[u8],
    inputs: &[Vec<u8>],
    probe: P,
    accelerator: A,
) -> (Vec<Vec<u8>>, Tally) {
    let model = Model::verify(blob, carafe::ops::ALL).unwrap();
    let need = model.arena_bytes();
    let mut memory = vec![0xC7; need + 64];
    let mut session = Session::new(model);
    let mut run = session.start_on(&mut memory, probe, accelerator).unwrap();
    for (i, data) in inputs.iter().enumerate() {
        if run.input(i).is_ok() {
            run.set_input(i, data).unwrap();
        }
    }
    let mut at = vec![0; inputs.len()];
    while let Err(e) = run.run() {
        let RunError::NeedsInput { input } = e else { panic!("{e}") };
        let i = usize::from(input);
        let row = model.tensor(model.input(i).unwrap().tensor).unwrap().row_stride();
        run.push_rows(i, &inputs[i][at[i]..at[i] + row]).unwrap();
        at[i] += row;
    }
    assert!(run.high_water() <= need && run.steps() <= model.max_steps());
    let outputs = (0..model.outputs()).map(|i| run.output(i).unwrap().to_vec()).collect();
    let tally = run.tally();
    drop(run);
    assert!(memory[need..].iter().all(|&b| b == 0xC7), "a byte behind the arena was written");
    (outputs, tally)
}

/// The bundled example, and one of its samples.
pub fn digits() -> (Lowered, Vec<Vec<u8>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits");
    let graph = frontend::load(&folder.join("digits.xml")).unwrap();
    let shape = graph.value(graph.inputs[0]).shape.clone();
    let mut random = Random(3);
    let samples: Vec<_> = (0..4).map(|_| vec![random.tensor(&shape)]).collect();
    let mut options = Options::default();
    options.plan.cuts = Some(vec![]);
    let lowered = convert(graph, &samples, &options, &()).unwrap().lowered;
    let inputs = crate::device::inputs(&lowered, 21);
    (lowered, inputs)
}

/// A stem, two branches of two convolutions each that do not need each other, and their sum.
pub fn branches() -> (Lowered, Vec<Vec<u8>>) {
    let mut m = model::Model::new(11);
    let x = m.input(&[1, 12, 10, 3]);
    let stem = m.conv3(x, 4);
    let ends = [5, 7].map(|channels| {
        let y = m.conv3(stem, channels);
        m.conv3(y, 4)
    });
    let y = m.add(ends[0], ends[1], Activation::Relu);
    m.output(y);
    let (_, lowered) = m.lower();
    let inputs = crate::device::inputs(&lowered, 5);
    (lowered, inputs)
}

/// A chain of convolutions.
pub fn chain() -> (Lowered, Vec<Vec<u8>>) {
    let mut m = model::Model::new(12);
    let x = m.input(&[1, 12, 10, 3]);
    let y = [5, 7, 4, 4].iter().fold(x, |v, &channels| m.conv3(v, channels));
    m.output(y);
    let (_, lowered) = m.lower();
    let inputs = crate::device::inputs(&lowered, 6);
    (lowered, inputs)
}
