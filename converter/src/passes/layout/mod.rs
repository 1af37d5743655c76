//! NHWC everywhere.
//!
//! The graph is rebuilt node by node. For each value the pass keeps the tensor that is stored in its stead and the
//! order of that tensor's axes. A Transpose makes no node: it is the same tensor under another order. Ops without a
//! spatial meaning take whatever order their operand has and have their axes renumbered. Only where an op needs an
//! order that its operand does not have is a Transpose made, or a Reshape if nothing but extents of 1 move.

use std::collections::HashMap;

use carafe_graph::{Graph, GraphError, Layout, Node, Op, Tensor, ValueId, exec};

use super::{Optimized, PassError, rewrite::Uses};

mod node;
mod order;

pub(super) use order::inverse;
use order::{NHWC, identity, moves_only_ones, permuted, relative};

/// Makes every Conv2d and Pool2d NHWC, and removes the Transposes that this makes superfluous. 4-D inputs and outputs
/// of the graph that are NCHW become NHWC, which is recorded in the [`Optimized`].
///
/// A Transpose that remains moves data that some op needs in another order.
pub fn make_nhwc(optimized: &mut Optimized) -> Result<usize, PassError> {
    let error = |e| PassError::new("make_nhwc", e);
    let old = &optimized.graph;
    let mut rebuild = Rebuild::new(old);
    let wanted = wants_nhwc(old);
    let mut input_orders = Vec::new();
    for v in &old.inputs {
        let value = old.value(*v);
        let order = if wanted[v.0] { NHWC.to_vec() } else { identity(value.shape.len()) };
        let id = rebuild.new.add_value(value.name.clone(), permuted(&value.shape, &order));
        rebuild.new.inputs.push(id);
        rebuild.stored[v.0] = Some(Stored { id, order: order.clone() });
        input_orders.push(order);
    }
    for node in &old.nodes {
        rebuild.node(node).map_err(error)?;
    }
    let mut output_orders = Vec::new();
    for v in &old.outputs {
        let order = rebuild.order(*v).filter(|o| o == NHWC).unwrap_or_else(|| identity(old.value(*v).shape.len()));
        let id = rebuild.operand(*v, &order).map_err(error)?;
        rebuild.new.outputs.push(id);
        output_orders.push(order);
    }
    let mut new = rebuild.new;
    name_outputs(&mut new, old);

    let (before, after) = (Census::of(old), Census::of(&new));
    let changes = (before.nchw - after.nchw) + before.transposes.saturating_sub(after.transposes);
    if changes == 0 {
        return Ok(0);
    }
    let compose = |sides: &mut [super::Interface], orders: &[Vec<usize>]| {
        for (side, order) in sides.iter_mut().zip(orders) {
            side.perm = permuted(&side.perm, order);
        }
    };
    compose(&mut optimized.inputs, &input_orders);
    compose(&mut optimized.outputs, &output_orders);
    optimized.graph = new;
    Ok(changes)
}

/// A value that lost its producer to the renaming of a Transpose still has the name that users know it by.
fn name_outputs(new: &mut Graph, old: &Graph) {
    let uses = Uses::of(new);
    for (i, (now, was)) in new.outputs.clone().into_iter().zip(&old.outputs).enumerate() {
        if uses.producer(now).is_some() && !new.outputs[..i].contains(&now) {
            new.values[now.0].name.clone_from(&old.value(*was).name);
        }
    }
}

/// What the pass is there to remove.
struct Census {
    nchw: usize,
    transposes: usize,
}

impl Census {
    fn of(graph: &Graph) -> Self {
        let count = |f: fn(&Op) -> bool| graph.nodes.iter().filter(|n| f(&n.op)).count();
        Self { nchw: count(is_nchw), transposes: count(|op| matches!(op, Op::Transpose { .. })) }
    }
}

fn is_nchw(op: &Op) -> bool {
    op.layout() == Some(Layout::Nchw)
}

/// The 4-D values that reach an NCHW op, or a Transpose to NHWC, through nothing but ops that take any order.
fn wants_nhwc(graph: &Graph) -> Vec<bool> {
    let mut wants = vec![false; graph.values.len()];
    for node in graph.nodes.iter().rev() {
        let wanted = match &node.op {
            op if is_nchw(op) => true,
            Op::Transpose { perm } => perm == NHWC,
            Op::Binary { .. } | Op::Concat { .. } | Op::FakeQuantize { .. } => wants[node.outputs[0].0],
            op => {
                let any_order = op.reordered(&identity(graph.value(node.inputs[0]).shape.len())).is_some();
                any_order && wants[node.outputs[0].0]
            }
        };
        let operands = if is_nchw(&node.op) { &node.inputs[..1] } else { &node.inputs[..] };
        for v in operands.iter().filter(|v| wanted && graph.value(**v).shape.len() == 4) {
            wants[v.0] = true;
        }
    }
    wants
}

/// The tensor that stands for a value of the old graph: its axis i is axis `order[i]` of the value.
#[derive(Clone)]
struct Stored {
    id: ValueId,
    order: Vec<usize>,
}

struct Rebuild<'a> {
    old: &'a Graph,
    new: Graph,
    uses: Uses,
    /// By old value. Constants are stored when they are first read, by `operand`.
    stored: Vec<Option<Stored>>,
    /// What was made for values that are needed in several orders or shapes.
    copies: HashMap<(ValueId, Vec<usize>, Vec<usize>), ValueId>,
    /// For flattened values: which element of the old value each element of the stored one is.
    columns: HashMap<ValueId, Vec<usize>>,
}

impl<'a> Rebuild<'a> {
    fn new(old: &'a Graph) -> Self {
        Self {
            old,
            new: Graph { name: old.name.clone(), ..Graph::default() },
            uses: Uses::of(old),
            stored: vec![None; old.values.len()],
            copies: HashMap::new(),
            columns: HashMap::new(),
        }
    }

    /// The order in which a value is stored; none for constants, which take any.
    fn order(&self, old: ValueId) -> Option<Vec<usize>> {
        match self.old.constant(old) {
            Some(_) => None,
            None => self.stored[old.0].as_ref().map(|s| s.order.clone()),
        }
    }

    /// The tensor that holds `old` in the given order of axes.
    fn operand(&mut self, old: ValueId, order: &[usize]) -> Result<ValueId, GraphError> {
        let shape = self.old.value(old).shape.clone();
        self.operand_as(old, &shape, order)
    }

    /// As `operand`, of `old` reshaped to `shape`, which differs from its own by leading ones.
    fn operand_as(&mut self, old: ValueId, shape: &[usize], order: &[usize]) -> Result<ValueId, GraphError> {
        let value = self.old.value(old);
        let leading = shape.len() - value.shape.len();
        if self.old.constant(old).is_none()
            && let Some(s) = &self.stored[old.0]
            && leading == 0
            && s.order == order
        {
            return Ok(s.id);
        }
        let key = (old, shape.to_vec(), order.to_vec());
        if let Some(&id) = self.copies.get(&key) {
            return Ok(id);
        }
        let id = if let Some(constant) = self.old.constant(old) {
            let wide = Tensor { shape: shape.to_vec(), data: constant.data.clone() };
            let moved = |t: Tensor| if order.is_sorted() { Ok(t) } else { transpose_constant(&value.name, &t, order) };
            let steps = value.steps.as_ref().map(|s| Tensor { shape: shape.to_vec(), data: s.data.clone() });
            self.new.add_stepped(value.name.clone(), moved(wide)?, steps.map(moved).transpose()?)
        } else {
            let s = self.stored[old.0].clone().ok_or_else(|| undefined(&value.name))?;
            let wide_order: Vec<usize> = (0..leading).chain(s.order.iter().map(|a| a + leading)).collect();
            let name = value.name.clone();
            let stored_shape = permuted(shape, &wide_order);
            let id = match leading {
                0 => s.id,
                _ => self.new.add_node(
                    format!("{name}/unsqueeze"),
                    "layout",
                    Op::Reshape { shape: stored_shape.clone() },
                    [s.id],
                )?,
            };
            let perm = relative(&wide_order, order);
            if perm.is_sorted() {
                id
            } else if moves_only_ones(&stored_shape, &perm) {
                let shape = permuted(&stored_shape, &perm);
                self.new.add_node(format!("{name}/reshape"), "layout", Op::Reshape { shape }, [id])?
            } else {
                self.new.add_node(format!("{name}/transpose"), "layout", Op::Transpose { perm }, [id])?
            }
        };
        self.copies.insert(key, id);
        Ok(id)
    }

    /// Adds a node that makes the old node's output in the given order.
    fn emit(&mut self, old: &Node, op: Op, inputs: Vec<ValueId>, order: Vec<usize>) -> Result<(), GraphError> {
        let id = self.new.add_node(old.name.clone(), old.origin.clone(), op, inputs)?;
        let output = old.outputs[0];
        self.new.values[id.0].name.clone_from(&self.old.value(output).name);
        debug_assert_eq!(self.new.value(id).shape, permuted(&self.old.value(output).shape, &order), "{old:?}");
        self.stored[output.0] = Some(Stored { id, order });
        Ok(())
    }
}

fn transpose_constant(name: &str, tensor: &Tensor, perm: &[usize]) -> Result<Tensor, GraphError> {
    let op = Op::Transpose { perm: perm.to_vec() };
    let node = Node { name: name.into(), origin: "constant".into(), op, inputs: vec![], outputs: vec![] };
    exec::evaluate(&node, &[tensor])
}

fn undefined(name: &str) -> GraphError {
    GraphError::Order { node: name.into(), what: "is read before it is made".into() }
}

#[cfg(test)]
mod tests;
