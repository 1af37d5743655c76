//! Ranges that the model brought along as FakeQuantize nodes (NNCF, quantization-aware training).
//!
//! Three steps around the usual choice of ranges:
//!
//! 1. [`take`] removes every FakeQuantize: the value that it reads gets its parameters. Where one value is read through
//!    several different ones, it gets the widest, or all together, and a `requantize` node stands for each of the
//!    others. [`legal::legalize`] then inserts `requantize` nodes wherever the integer ops could not work with what
//!    is given: scales per channel that meet an op without them, or ties between different parameters.
//! 2. [`Given::fill`] gives ranges to what was not observed: those of the parameters, and bounds that follow from
//!    them.
//! 3. [`Given::apply`] puts the parameters in, as they are.
//!
//! A `requantize` node is a `Clamp`: it changes no number that its range contains, only the scale.

mod derive;
mod legal;
mod parameters;

use std::collections::{BTreeMap, HashMap};

use carafe_graph::{Activation, Graph, Node, Op, UnaryOp, ValueId};

use crate::error::QuantError;
use crate::ranges::{Activations, Ties};
use crate::report::RangeSource;
use crate::types::Quant;
use parameters::Parameters;

/// What [`Node::origin`] of an inserted node says.
pub(crate) const REQUANTIZE: &str = "requantize";

/// Parameters that the model brought along.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// By value index; missing ends are `None`.
    quants: Vec<Option<Quant>>,
    /// Words for the report, by value index.
    notes: BTreeMap<usize, String>,
    /// Values whose range follows from others, by value index. Filled in by [`Given::fill`].
    derived: Vec<bool>,
    covers_model: bool,
}

impl Given {
    /// True if the model was quantized before, so that its ranges and biases go together: some range is on another value
    /// than an input.
    pub(crate) fn covers_model(&self) -> bool {
        self.covers_model
    }

    /// True if there is no given range.
    fn is_empty(&self) -> bool {
        self.quants.iter().all(Option::is_none)
    }

    /// The parameters of a value.
    pub(crate) fn quant(&self, v: ValueId) -> Option<&Quant> {
        self.quants.get(v.0).and_then(Option::as_ref)
    }

    /// What the report should say about a value.
    pub(crate) fn note(&self, v: usize) -> Option<&String> {
        self.notes.get(&v)
    }

    fn set(&mut self, v: ValueId, quant: Option<Quant>) {
        if self.quants.len() <= v.0 {
            self.quants.resize(v.0 + 1, None);
        }
        self.quants[v.0] = quant;
    }

    fn is_per_channel(&self, v: ValueId) -> bool {
        self.quant(v).is_some_and(|q| q.scales.len() > 1)
    }

    /// Puts the given parameters in; all values tied to one that has some get the same.
    pub(crate) fn apply(&self, graph: &Graph, activations: &mut Activations) {
        if self.is_empty() {
            return;
        }
        let ties = Ties::of(graph);
        let mut groups: HashMap<usize, &Quant> = HashMap::new();
        for (i, quant) in self.quants.iter().enumerate() {
            let Some(quant) = quant else { continue };
            let width = |q: &Quant| q.range().1 - q.range().0;
            let widest = groups.entry(ties.find(i)).or_insert(quant);
            if width(quant) > width(widest) {
                *widest = quant;
            }
        }
        for (i, activation) in activations.iter_mut().enumerate() {
            let Some((quant, source)) = activation else { continue };
            if let Some(given) = groups.get(&ties.find(i)) {
                (*quant, *source) = ((*given).clone(), RangeSource::Given);
            } else if self.derived.get(i) == Some(&true) && *source != RangeSource::Fixed {
                *source = RangeSource::Derived;
            }
        }
    }
}

/// Removes all FakeQuantize nodes; returns the graph without them and the parameters that they give. Ids of values
/// stay, those of nodes move. A graph without any is returned as it is.
pub(crate) fn take(graph: &Graph) -> Result<(Graph, Given), QuantError> {
    if !graph.nodes.iter().any(is_fake_quantize) {
        return Ok((graph.clone(), Given::default()));
    }
    let mut taker = Taker {
        old: graph,
        out: Graph { nodes: vec![], ..graph.clone() },
        given: Given::default(),
        stands_for: (0..graph.values.len()).map(ValueId).collect(),
    };
    let readers = graph.users();
    for node in &graph.nodes {
        let mut node = node.clone();
        if !is_fake_quantize(&node) {
            node.inputs.iter_mut().for_each(|v| *v = taker.stands_for[v.0]);
            taker.out.nodes.push(node);
            continue;
        }
        let x = node.inputs[0];
        let others: Vec<&Node> = readers[x.0].iter().map(|n| &graph.nodes[n.0]).collect();
        taker.fake_quantize(&node, &others)?;
    }
    let mut out = taker.out;
    for v in &mut out.outputs {
        *v = taker.stands_for[v.0];
    }
    legal::legalize(&out, taker.given)
}

fn is_fake_quantize(node: &Node) -> bool {
    matches!(node.op, Op::FakeQuantize { .. })
}

struct Taker<'g> {
    old: &'g Graph,
    out: Graph,
    given: Given,
    /// By old value: what is read in its stead.
    stands_for: Vec<ValueId>,
}

impl Taker<'_> {
    /// `readers`: all nodes that read the same value, this one among them.
    fn fake_quantize(&mut self, node: &Node, readers: &[&Node]) -> Result<(), QuantError> {
        let (x, y) = (node.inputs[0], node.outputs[0]);
        self.given.covers_model |= !self.old.inputs.contains(&x);
        let own = parameters::read(self.old, node)?;
        let source = self.stands_for[x.0];
        let plain = self.old.outputs.contains(&x) || readers.iter().any(|n| !is_fake_quantize(n));
        if self.given.quant(source).is_none() {
            let all = readers.iter().filter(|n| is_fake_quantize(n) && n.inputs[0] == x);
            let all = all.map(|n| parameters::read(self.old, n)).collect::<Result<Vec<_>, _>>()?;
            // A range that cuts off all negative numbers is a ReLU in disguise, which other readers must not see.
            let cuts = plain && all.iter().any(|p| p.low >= 0.0) && self.may_be_negative(source);
            if !cuts {
                let (quant, note) = shared(&all);
                self.given.set(source, Some(quant));
                if let Some(note) = note.or_else(|| own.note.clone()) {
                    self.given.notes.insert(source.0, note);
                }
            }
        }
        let same = self.given.quant(source) == Some(&own.quant);
        let clipped = own.clip.is_none_or(|clip| !plain && readers.len() == 1 && self.clip(source, clip));
        if same && clipped {
            self.stands_for[y.0] = source;
            // An output keeps its name, unless that which it stands for has a name that users know, too.
            let known = self.old.outputs.contains(&source) || self.old.inputs.contains(&source);
            if self.old.outputs.contains(&y) && !known {
                self.out.values[source.0].name.clone_from(&self.old.value(y).name);
            }
            return Ok(());
        }
        let op = Op::Unary(UnaryOp::Clamp(own.low, own.high));
        let origin = REQUANTIZE.into();
        self.out.nodes.push(Node { name: node.name.clone(), origin, op, inputs: vec![source], outputs: vec![y] });
        self.given.set(y, Some(own.quant));
        Ok(())
    }

    fn producer(&mut self, v: ValueId) -> Option<&mut Node> {
        self.out.nodes.iter_mut().rev().find(|n| n.outputs.contains(&v))
    }

    fn may_be_negative(&mut self, v: ValueId) -> bool {
        let lowest = |n: &mut Node| match &n.op {
            Op::Conv2d(p) => p.activation.range().0,
            Op::Dense { activation } | Op::Binary { activation, .. } => activation.range().0,
            Op::Unary(UnaryOp::Relu | UnaryOp::Sigmoid | UnaryOp::HardSigmoid { .. }) | Op::Softmax { .. } => 0.0,
            Op::Unary(UnaryOp::Clamp(low, _)) => *low,
            _ => f32::NEG_INFINITY,
        };
        self.producer(v).is_none_or(|n| lowest(n) < 0.0)
    }

    /// Narrows the clamp of the node that makes `v`; false if it has none.
    fn clip(&mut self, v: ValueId, (low, high): (f32, f32)) -> bool {
        let Some(node) = self.producer(v) else { return false };
        let activation = match &mut node.op {
            Op::Conv2d(p) => &mut p.activation,
            Op::Dense { activation } | Op::Binary { activation, .. } => activation,
            _ => return false,
        };
        let (a, b) = activation.range();
        if a.is_nan() || b.is_nan() || a > b {
            return false;
        }
        *activation = Activation::Clamp(a.clamp(low, high), b.clamp(low, high));
        true
    }
}

/// The parameters of a value that is read through several FakeQuantize nodes, and what the report should say.
fn shared(all: &[Parameters]) -> (Quant, Option<String>) {
    match all.iter().find(|p| all.iter().all(|other| p.covers(other))) {
        Some(widest) if all.iter().all(|p| p.quant == widest.quant) => (widest.quant.clone(), None),
        Some(widest) => {
            let note = "read with several given ranges: keeps the widest, the others are requantized from it";
            (widest.quant.clone(), Some(note.into()))
        }
        None => {
            let low = all.iter().fold(f32::INFINITY, |m, p| m.min(p.low));
            let high = all.iter().fold(f32::NEG_INFINITY, |m, p| m.max(p.high));
            let note = "read with several given ranges: keeps their union, from which each is requantized";
            (Quant::from_range(low, high), Some(note.into()))
        }
    }
}

#[cfg(test)]
mod tests;
