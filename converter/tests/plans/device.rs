//! Plans, blobs and runs, with everything checked that holds for all of them.

use std::collections::BTreeMap;
use std::ops::Range;

use carafe::{Model, NodeId, Probe, Rows, RunError, Session};
use carafe_converter::lower::Lowered;
use carafe_converter::plan::{Plan, PlanOptions, plan};
use carafe_converter::write::{WriteOptions, write};
use carafe_graph::{Op, Tensor, ValueId, exec};
use carafe_quantizer::{Quant, QuantGraph};

/// Every node a segment of its own, no two maps on each other while either is needed, and nothing overwritten.
pub fn whole(lowered: &Lowered) -> PlanOptions {
    let n = lowered.nodes.len();
    PlanOptions {
        cuts: Some((1..n).collect()),
        bands: Some(vec![1; n]),
        in_place: Some(vec![false; n]),
        grow: false,
        ..PlanOptions::default()
    }
}

/// A plan and the blob of it.
pub fn blob(lowered: &Lowered, options: &PlanOptions) -> (Plan, Vec<u8>) {
    let plan = plan(lowered, options).unwrap_or_else(|e| panic!("{options:?}: {e}"));
    let blob =
        write(lowered, &plan, &[], &WriteOptions::default()).unwrap_or_else(|e| panic!("{options:?}: {e}\n{plan:#?}"));
    (plan, blob)
}

/// Inputs of random bytes.
pub fn inputs(lowered: &Lowered, seed: u64) -> Vec<Vec<u8>> {
    let mut random = super::model::Random(seed);
    lowered.inputs.iter().map(|i| random.bytes(i.info.bytes())).collect()
}

/// What a run came to.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub outputs: Vec<Vec<u8>>,
    pub steps: u32,
    pub high_water: usize,
    /// Every row of every tensor was asked for. A stride may leave out the last rows of an operand, and a window may lie
    /// in the padding alone: then memory that was planned for them is never touched.
    pub all_rows: bool,
}

/// Counts rows as they are made.
#[derive(Default)]
struct Made(BTreeMap<NodeId, usize>);

impl Probe for Made {
    fn rows(&mut self, node: NodeId, y: Range<u16>, _: &Rows<'_>) {
        *self.0.entry(node).or_default() += y.len();
    }
}

/// Runs a blob in painted memory. Proves that it takes no more steps than the header says, that no byte outside the
/// arena changes, and that the outcome does not depend on what was in the arena.
pub fn run(blob: &[u8], inputs: &[Vec<u8>]) -> Outcome {
    let model = Model::verify(blob, carafe::ops::ALL).unwrap();
    let mut session = Session::new(model);
    let mut once = |paint: u8| {
        let need = model.arena_bytes();
        let mut memory = vec![paint; need + 64];
        let mut made = Made::default();
        let mut outcome = answer(&mut session, &mut memory, inputs, &mut made).unwrap();
        let rows = |n| model.tensor(n).map(|t| usize::from(t.h));
        outcome.all_rows &= (0..model.nodes()).all(|n| made.0.get(&NodeId(n)).copied() == rows(n));
        assert!(memory[need..].iter().all(|&b| b == paint), "a byte behind the arena was written");
        assert!(outcome.steps <= model.max_steps(), "{} steps, planned {}", outcome.steps, model.max_steps());
        outcome
    };
    let outcome = once(0xA5);
    assert_eq!(outcome, once(0x3C), "the outcome depends on what was in the arena");
    outcome
}

/// One inference; pushes a row at a time where the model asks for rows.
pub fn answer<P: Probe>(
    session: &mut Session<'_>,
    arena: &mut [u8],
    inputs: &[Vec<u8>],
    probe: P,
) -> Result<Outcome, RunError> {
    let model = *session.model();
    let mut run = session.start_with(arena, probe)?;
    for (i, data) in inputs.iter().enumerate() {
        if run.input(i).is_ok() {
            run.set_input(i, data)?;
        }
    }
    let mut at: Vec<usize> = inputs.iter().enumerate().map(|(i, x)| run.input(i).map_or(0, |_| x.len())).collect();
    while let Err(e) = run.run() {
        let RunError::NeedsInput { input } = e else { return Err(e) };
        let i = usize::from(input);
        let row = model.tensor(model.input(i).unwrap().tensor).unwrap().row_stride();
        run.push_rows(i, &inputs[i][at[i]..at[i] + row])?;
        at[i] += row;
    }
    let outputs = (0..model.outputs()).map(|i| run.output(i).map(<[u8]>::to_vec)).collect::<Result<_, _>>()?;
    let all_rows = at.iter().zip(inputs).all(|(&n, x)| n == x.len());
    Ok(Outcome { outputs, steps: run.steps(), high_water: run.high_water(), all_rows })
}

/// Collects every row that is made.
#[derive(Default)]
struct Collector(BTreeMap<NodeId, Vec<i8>>);

impl Probe for Collector {
    fn rows(&mut self, node: NodeId, y: Range<u16>, rows: &Rows<'_>) {
        let to = self.0.entry(node).or_default();
        for y in y {
            for pixel in rows.pixels(y) {
                to.extend(pixel.iter().map(|&q| q as i8));
            }
        }
    }
}

/// Runs a blob and holds the result of every node, as the device made it, against the float meaning of the node on the
/// operands that the device had: they may differ by one step of rounding, and what two roundings of a multiplier add.
pub fn hold_against_float(quant: &QuantGraph, lowered: &Lowered, blob: &[u8], inputs: &[Vec<u8>]) {
    let model = Model::verify(blob, carafe::ops::ALL).unwrap();
    let mut collector = Collector::default();
    let mut arena = vec![0; model.arena_bytes()];
    answer(&mut Session::new(model), &mut arena, inputs, &mut collector).unwrap();
    let graph = &quant.graph;
    let mut values: BTreeMap<ValueId, Tensor> = BTreeMap::new();
    let real = |v: ValueId, data: &[i8]| {
        let q = quant.activation(v).unwrap();
        Tensor::f32(graph.value(v).shape.clone(), data.iter().map(|&x| q.dequantize(x)).collect::<Vec<f32>>())
    };
    for (&v, data) in graph.inputs.iter().zip(inputs) {
        values.insert(v, real(v, &data.iter().map(|&b| b as i8).collect::<Vec<i8>>()));
    }
    for (n, node) in graph.nodes.iter().enumerate() {
        let out = node.outputs[0];
        let constants: Vec<Option<Tensor>> =
            node.inputs.iter().enumerate().map(|(i, &v)| constant(quant, carafe_graph::NodeId(n), i, v)).collect();
        let operands: Vec<&Tensor> =
            node.inputs.iter().zip(&constants).map(|(v, c)| c.as_ref().unwrap_or_else(|| &values[v])).collect();
        let want = exec::evaluate(node, &operands).unwrap();
        let made = lowered.nodes.iter().position(|l| l.source == Some(carafe_graph::NodeId(n)));
        // A change of shape that the device does not see has no node there.
        let got = match made {
            Some(made) => real(out, &collector.0[&NodeId(made as u16)]),
            None => want.clone(),
        };
        let q = quant.activation(out).unwrap();
        for (i, (got, want)) in got.as_f32().unwrap().iter().zip(want.as_f32().unwrap()).enumerate() {
            let want = want.clamp(q.range().0, q.range().1);
            let steps = (got - want).abs() / q.scale();
            assert!(steps <= 1.05, "`{}` element {i}: {got}, float {want}: {steps} steps", node.name);
        }
        values.insert(out, got);
    }
}

/// A constant operand as the device has it: weights and biases quantized.
fn constant(quant: &QuantGraph, node: carafe_graph::NodeId, i: usize, v: ValueId) -> Option<Tensor> {
    let shape = quant.graph.value(v).shape.clone();
    let op = &quant.graph.nodes[node.0];
    if let Some(w) = quant.weights.get(&v) {
        return Some(Tensor::f32(shape, w.dequantize()));
    }
    if i == 2 && matches!(op.op, Op::Conv2d(_) | Op::Dense { .. }) {
        let unit = quant.activation(op.inputs[0]).map(Quant::scale).unwrap();
        let scales = &quant.weights[&op.inputs[1]].scales;
        let bias = quant.bias(node).unwrap();
        let real: Vec<f32> =
            bias.iter().zip(scales).map(|(&b, &s)| (f64::from(b) * f64::from(unit) * f64::from(s)) as f32).collect();
        return Some(Tensor::f32(shape, real));
    }
    quant.graph.constant(v).cloned()
}
