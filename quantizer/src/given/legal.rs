//! Inserts `requantize` nodes where ops could not work with what is given.

use std::collections::HashMap;

use carafe_graph::{Activation, Graph, Node, Op, PoolKind, UnaryOp, ValueId};

use super::{Given, REQUANTIZE};
use crate::error::QuantError;
use crate::ranges::{activation_operands, moves_bytes};
use crate::types::Quant;

/// Rebuilds a graph so that scales per channel stand only where a Conv2d or Dense makes them and a depthwise
/// convolution (or a MaxPool on the way to one) reads them, and so that ops which only move bytes have one set of
/// parameters on both sides.
pub(super) fn legalize(graph: &Graph, given: Given) -> Result<(Graph, Given), QuantError> {
    let mut legal = Legal {
        out: Graph { nodes: Vec::with_capacity(graph.nodes.len()), ..graph.clone() },
        given,
        made: HashMap::new(),
        per_channel_inputs: HashMap::new(),
    };
    for &v in &graph.inputs {
        if let Some(quant) = legal.given.quant(v).filter(|q| q.scales.len() > 1).cloned() {
            legal.given.set(v, Some(per_tensor(&quant)));
            let fine = legal.requantize(v, quant);
            legal.per_channel_inputs.insert(v, fine);
        }
    }
    for node in &graph.nodes {
        legal.node(node.clone());
    }
    for i in 0..legal.out.outputs.len() {
        let v = legal.out.outputs[i];
        if legal.given.is_per_channel(v) {
            let coarse = legal.coarse(v);
            let name = legal.out.value(v).name.clone();
            legal.out.values[coarse.0].name = name;
            legal.out.outputs[i] = coarse;
        }
    }
    legal.out.check()?;
    Ok((legal.out, legal.given))
}

/// One scale that covers the ranges of all channels.
fn per_tensor(quant: &Quant) -> Quant {
    Quant::per_tensor(quant.scales.iter().copied().fold(f32::MIN_POSITIVE, f32::max), quant.zero_point)
}

fn is_requantize(node: &Node) -> bool {
    node.origin == REQUANTIZE && matches!(node.op, Op::Unary(UnaryOp::Clamp(..)))
}

struct Legal {
    out: Graph,
    given: Given,
    /// Requantized values by source and parameters.
    made: HashMap<ValueId, Vec<(Quant, ValueId)>>,
    /// Inputs that are per tensor outside, and what stands for them inside.
    per_channel_inputs: HashMap<ValueId, ValueId>,
}

impl Legal {
    fn node(&mut self, mut node: Node) {
        let operands = activation_operands(&node).len();
        for i in 0..operands {
            if let Some(fine) = self.per_channel_inputs.get(&node.inputs[i]) {
                node.inputs[i] = *fine;
            }
        }
        if moves_bytes(&node.op) {
            self.tie(&mut node);
        }
        for i in 0..operands {
            let v = node.inputs[i];
            if self.given.is_per_channel(v) && !self.reads_channels(&node) {
                node.inputs[i] = self.coarse(v);
            }
        }
        let &[output] = node.outputs.as_slice() else { return self.out.nodes.push(node) };
        let Some(quant) = self.given.quant(output).cloned() else { return self.out.nodes.push(node) };
        if matches!(node.op, Op::Softmax { .. }) {
            // Its own parameters are part of its arithmetic.
            if quant != Quant::per_tensor(Quant::UNIT_SCALE, -128) {
                self.split(node, output, None);
            } else {
                self.out.nodes.push(node);
            }
        } else if quant.scales.len() > 1 && !self.makes_channels(&node, output) {
            self.split(node, output, Some(per_tensor(&quant)));
        } else {
            self.out.nodes.push(node);
        }
    }

    /// Lets a node make a value with parameters `quant`, and requantizes it to `output`.
    fn split(&mut self, mut node: Node, output: ValueId, quant: Option<Quant>) {
        let value = self.out.value(output);
        let (name, shape) = (format!("{}/wide", value.name), value.shape.clone());
        let wide = self.out.add_value(name, shape);
        self.given.set(wide, quant);
        let name = format!("{}/{REQUANTIZE}", node.name);
        node.outputs = vec![wide];
        self.out.nodes.push(node);
        self.out.nodes.push(Node {
            name,
            origin: REQUANTIZE.into(),
            op: Op::Unary(UnaryOp::Clamp(f32::NEG_INFINITY, f32::INFINITY)),
            inputs: vec![wide],
            outputs: vec![output],
        });
    }

    /// Can the node read scales per channel?
    fn reads_channels(&self, node: &Node) -> bool {
        let channels = |v: ValueId| self.out.value(v).shape.last().copied();
        match &node.op {
            Op::Conv2d(p) => p.groups > 1 && channels(node.inputs[0]) == Some(p.groups),
            Op::Pool2d(p) => p.kind == PoolKind::Max,
            Op::Reshape { shape } => shape.last().copied() == channels(node.inputs[0]),
            _ => is_requantize(node),
        }
    }

    /// Can the node make the scales per channel given for `output`? Where a clamp is in the way that would be another
    /// integer in each channel, scales are narrowed to it if that can be done.
    fn makes_channels(&mut self, node: &Node, output: ValueId) -> bool {
        let activation = match &node.op {
            Op::Conv2d(p) => p.activation,
            Op::Dense { activation } => *activation,
            op => return is_requantize(node) || (moves_bytes(op) && self.reads_channels(node)),
        };
        let Some(quant) = self.given.quant(output) else { return true };
        match narrowed(quant, activation) {
            Some(quant) => {
                self.given.set(output, Some(quant));
                true
            }
            None => false,
        }
    }

    /// The value with one scale for all channels.
    fn coarse(&mut self, v: ValueId) -> ValueId {
        match self.given.quant(v).map(per_tensor) {
            Some(quant) => self.requantize(v, quant),
            None => v,
        }
    }

    /// The value with other parameters: made once, right after it is first needed.
    fn requantize(&mut self, v: ValueId, quant: Quant) -> ValueId {
        if let Some((_, made)) = self.made.get(&v).and_then(|m| m.iter().find(|(q, _)| *q == quant)) {
            return *made;
        }
        let value = self.out.value(v);
        let index = self.made.get(&v).map_or(0, Vec::len);
        let (name, shape) = (format!("{}/{REQUANTIZE}.{index}", value.name), value.shape.clone());
        let made = self.out.add_value(&name, shape);
        let op = Op::Unary(UnaryOp::Clamp(f32::NEG_INFINITY, f32::INFINITY));
        let (inputs, outputs) = (vec![v], vec![made]);
        self.out.nodes.push(Node { name, origin: REQUANTIZE.into(), op, inputs, outputs });
        self.given.set(made, Some(quant.clone()));
        self.made.entry(v).or_default().push((quant, made));
        made
    }

    /// Gives one set of parameters to both sides of an op that moves bytes.
    fn tie(&mut self, node: &mut Node) {
        let &[output] = node.outputs.as_slice() else { return };
        let mut distinct: Vec<Quant> = vec![];
        for v in &node.inputs {
            if let Some(q) = self.given.quant(*v)
                && !distinct.contains(q)
            {
                distinct.push(q.clone());
            }
        }
        let wanted = match (self.given.quant(output), distinct.as_slice()) {
            (Some(q), _) => q.clone(),
            (None, []) => return,
            (None, [one]) => one.clone(),
            (None, several) => {
                let ends = several.iter().map(Quant::range);
                let (low, high) = ends.fold((0.0f32, 0.0f32), |a, b| (a.0.min(b.0), a.1.max(b.1)));
                // Half a step beyond an end is rounded to it.
                let covers = |q: &&Quant| {
                    let (half, ends) = (q.scale() / 2.0, q.range());
                    q.scales.len() == 1 && ends.0 - half <= low && ends.1 + half >= high
                };
                several.iter().find(covers).cloned().unwrap_or_else(|| Quant::from_range(low, high))
            }
        };
        let wanted = if wanted.scales.len() > 1 && !self.reads_channels(node) { per_tensor(&wanted) } else { wanted };
        let softmax = |out: &Graph, v: ValueId| {
            out.nodes.iter().any(|n| n.outputs.contains(&v) && matches!(n.op, Op::Softmax { .. }))
        };
        for i in 0..node.inputs.len() {
            let v = node.inputs[i];
            match self.given.quant(v) {
                Some(q) if *q == wanted => {}
                Some(_) => node.inputs[i] = self.requantize(v, wanted.clone()),
                None if wanted.scales.len() > 1 => node.inputs[i] = self.requantize(v, wanted.clone()),
                // What a Softmax makes is separated later; a constant follows its tie.
                None if softmax(&self.out, v) || self.out.constant(v).is_some() => {}
                None => self.given.set(v, Some(wanted.clone())),
            }
        }
        match self.given.quant(output).cloned() {
            Some(q) if q != wanted => {
                // Per channel behind an op that cannot make that: `node` splits it.
            }
            _ => self.given.set(output, Some(wanted)),
        }
    }
}

/// Scales per channel that a fused clamp fits: its ends must be one integer for all channels, or beyond the reach of
/// int8. `None` if that would cost range.
fn narrowed(quant: &Quant, activation: Activation) -> Option<Quant> {
    let (lo, hi) = activation.range();
    let (below, above) = ((-128 - quant.zero_point) as f32, (127 - quant.zero_point) as f32);
    let mut quant = quant.clone();
    for scale in &mut quant.scales {
        // Half a step within the end rounds to it.
        let low_reached = lo != 0.0 && lo > (below + 0.5) * *scale;
        let high_reached = hi != 0.0 && hi < (above - 0.5) * *scale;
        if low_reached {
            return None;
        }
        if high_reached {
            // Nothing is above `hi`: a finer grid up to there loses nothing, if the lower end allows it.
            let finer = hi / above;
            if !(lo >= below * finer && finer.is_normal() && finer > 0.0) {
                return None;
            }
            *scale = finer;
        }
    }
    Some(quant)
}
