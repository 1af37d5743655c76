//! What each op does with an operand whose axes are in another order.

use carafe_graph::{GraphError, Layout, Node, Op, Tensor, ValueId};

use super::{
    Rebuild, Stored,
    order::{NHWC, identity, inverse, permuted, reshaped},
    undefined,
};

impl Rebuild<'_> {
    pub(super) fn node(&mut self, node: &Node) -> Result<(), GraphError> {
        let x = node.inputs[0];
        let x_rank = self.old.value(x).shape.len();
        if let Some(layout) = node.op.layout() {
            return self.in_order(node, node.op.clone().with_layout(Layout::Nhwc), spatial(layout));
        }
        let order = self.order(x).unwrap_or_else(|| identity(x_rank));
        if let Some(op) = node.op.reordered(&order) {
            return self.in_order(node, op, order);
        }
        match &node.op {
            Op::Reduce { op, axes, keep_dims } => {
                let back = inverse(&order);
                let mut stored_axes: Vec<usize> = axes.iter().map(|&a| back[a]).collect();
                stored_axes.sort_unstable();
                let out_order = if *keep_dims {
                    order.clone()
                } else {
                    // Axes that are left, numbered without those that are gone.
                    let left = order.iter().filter(|a| !axes.contains(a));
                    left.map(|a| a - axes.iter().filter(|r| *r < a).count()).collect()
                };
                let id = self.operand(x, &order)?;
                let op = Op::Reduce { op: *op, axes: stored_axes, keep_dims: *keep_dims };
                self.emit(node, op, vec![id], out_order)
            }
            Op::Concat { axis } => {
                let order = self.common_order(&node.inputs, x_rank);
                let axis = inverse(&order)[*axis];
                let inputs = node.inputs.iter().map(|v| self.operand(*v, &order)).collect::<Result<_, _>>()?;
                self.emit(node, Op::Concat { axis }, inputs, order)
            }
            Op::Binary { .. } | Op::FakeQuantize { .. } => self.binary(node),
            Op::Transpose { perm } => self.transpose(node, perm),
            Op::Reshape { shape } => self.reshape(node, shape),
            Op::Dense { .. } => self.dense(node),
            Op::MatMul { transpose_a, transpose_b } => {
                let (a, flip_a) = self.matrix(x)?;
                let (b, flip_b) = self.matrix(node.inputs[1])?;
                let op = Op::MatMul { transpose_a: transpose_a ^ flip_a, transpose_b: transpose_b ^ flip_b };
                self.emit(node, op, vec![a, b], identity(self.old.value(node.outputs[0]).shape.len()))
            }
            // Everything in its own order.
            op => {
                let own = |v: &ValueId| identity(self.old.value(*v).shape.len());
                let out_order = own(&node.outputs[0]);
                let orders: Vec<_> = node.inputs.iter().map(|v| (*v, own(v))).collect();
                let inputs = orders.iter().map(|(v, order)| self.operand(*v, order)).collect::<Result<_, _>>()?;
                self.emit(node, op.clone(), inputs, out_order)
            }
        }
    }

    /// The first operand in `order`, others (weights, bias) as they are; the output in `order`.
    fn in_order(&mut self, node: &Node, op: Op, order: Vec<usize>) -> Result<(), GraphError> {
        let mut inputs = vec![self.operand(node.inputs[0], &order)?];
        for v in &node.inputs[1..] {
            let rank = self.old.value(*v).shape.len();
            inputs.push(self.operand(*v, &identity(rank))?);
        }
        self.emit(node, op, inputs, order)
    }

    /// The order for an op over several operands: NHWC if one has it, else that of the largest with `rank` axes.
    fn common_order(&self, operands: &[ValueId], rank: usize) -> Vec<usize> {
        let full = operands.iter().filter(|v| self.old.value(**v).shape.len() == rank);
        let mut orders: Vec<_> =
            full.filter_map(|v| Some((self.old.value(*v).shape.iter().product::<usize>(), self.order(*v)?))).collect();
        orders.sort_by_key(|(elements, order)| (order == NHWC, *elements));
        orders.pop().map_or_else(|| identity(rank), |o| o.1)
    }

    fn binary(&mut self, node: &Node) -> Result<(), GraphError> {
        let rank = self.old.value(node.outputs[0]).shape.len();
        let order = self.common_order(&node.inputs, rank);
        let mut inputs = Vec::new();
        for v in &node.inputs {
            let shape = &self.old.value(*v).shape;
            // Broadcasting adds leading axes by itself, which is what is wanted only in the value's own order.
            let id = if order.is_sorted() {
                self.operand(*v, &identity(shape.len()))?
            } else {
                let wide: Vec<usize> =
                    std::iter::repeat_n(1, rank - shape.len()).chain(shape.iter().copied()).collect();
                self.operand_as(*v, &wide, &order)?
            };
            inputs.push(id);
        }
        self.emit(node, node.op.clone(), inputs, order)
    }

    /// No node: the same tensor, its axes named otherwise.
    fn transpose(&mut self, node: &Node, perm: &[usize]) -> Result<(), GraphError> {
        let x = node.inputs[0];
        let stored = match self.order(x) {
            Some(order) => {
                let id = self.operand(x, &order)?;
                Stored { id, order: permuted(&inverse(perm), &order) }
            }
            None => Stored { id: self.operand(x, perm)?, order: identity(perm.len()) },
        };
        self.stored[node.outputs[0].0] = Some(stored);
        Ok(())
    }

    fn reshape(&mut self, node: &Node, shape: &[usize]) -> Result<(), GraphError> {
        let x = node.inputs[0];
        let from = &self.old.value(x).shape;
        let order = self.order(x).unwrap_or_else(|| identity(from.len()));
        if let Some(out_order) = reshaped(from, shape, &order) {
            let id = self.operand(x, &order)?;
            let op = Op::Reshape { shape: permuted(shape, &out_order) };
            return self.emit(node, op, vec![id], out_order);
        }
        let plain = identity(shape.len());
        if self.is_flattened_for_dense(node, shape) {
            let id = self.operand(x, &order)?;
            self.columns.insert(node.outputs[0], elements_in_order(from, &order));
            return self.emit(node, node.op.clone(), vec![id], plain);
        }
        let id = self.operand(x, &identity(from.len()))?;
        self.emit(node, node.op.clone(), vec![id], plain)
    }

    /// True if all readers of a Reshape are Dense nodes that see all elements as one row: their weights can take the
    /// elements in any order.
    fn is_flattened_for_dense(&self, node: &Node, shape: &[usize]) -> bool {
        let output = node.outputs[0];
        let one_row = shape.split_last().is_some_and(|(_, lead)| lead.iter().all(|&d| d == 1));
        let dense = |n: &Node| {
            matches!(n.op, Op::Dense { .. })
                && n.inputs[1..].iter().all(|v| *v != output)
                && self.old.constant(n.inputs[1]).is_some_and(|t| t.as_f32().is_some())
        };
        let mut readers = self.old.nodes.iter().filter(|n| n.inputs.contains(&output));
        one_row && !self.uses.is_output(output) && readers.all(dense)
    }

    fn dense(&mut self, node: &Node) -> Result<(), GraphError> {
        let (x, w) = (node.inputs[0], node.inputs[1]);
        let rank = self.old.value(x).shape.len();
        // Leading axes may be in any order; the last one is summed over.
        let order = self.order(x).filter(|o| o.last() == Some(&(rank - 1))).unwrap_or_else(|| identity(rank));
        let Some(columns) = self.columns.get(&x) else { return self.in_order(node, node.op.clone(), order) };
        let weights = self.old.constant(w).ok_or_else(|| undefined(&self.old.value(w).name))?;
        let in_order = |t: &Tensor| {
            let rows = t.as_f32()?.chunks_exact(columns.len());
            let moved: Vec<f32> = rows.flat_map(|row| columns.iter().map(|&c| row[c])).collect();
            Some(Tensor::f32(t.shape.clone(), moved))
        };
        let moved = in_order(weights).ok_or_else(|| undefined(&self.old.value(w).name))?;
        let steps = self.old.steps(w).and_then(in_order);
        let mut inputs = vec![self.operand(x, &order)?];
        inputs.push(self.new.add_stepped(self.old.value(w).name.clone(), moved, steps));
        for v in &node.inputs[2..] {
            inputs.push(self.operand(*v, &identity(1))?);
        }
        self.emit(node, node.op.clone(), inputs, order)
    }

    /// An operand of MatMul, and whether its last two axes stand exchanged.
    fn matrix(&mut self, v: ValueId) -> Result<(ValueId, bool), GraphError> {
        let rank = self.old.value(v).shape.len();
        let mut exchanged = identity(rank);
        exchanged.swap(rank - 1, rank - 2);
        let flip = self.order(v).is_some_and(|o| o == exchanged);
        Ok((self.operand(v, &if flip { exchanged } else { identity(rank) })?, flip))
    }
}

/// The order of axes in which an op with this layout has NHWC.
fn spatial(layout: Layout) -> Vec<usize> {
    match layout {
        Layout::Nchw => NHWC.to_vec(),
        Layout::Nhwc => identity(4),
    }
}

/// For each element of a value stored in `order`, its index in the value's own order.
fn elements_in_order(shape: &[usize], order: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    let mut indices = vec![0];
    for &axis in order {
        indices = indices
            .iter()
            .flat_map(|&i| (0..shape[axis]).map(move |k| (i, k)))
            .map(|(i, k)| i + k * strides[axis])
            .collect();
    }
    indices
}
