//! Shape inference: the extents of a node's outputs from its operands.
//!
//! Inference accepts any [`Node`], however malformed, and returns an error instead of panicking: frontends and
//! passes lean on it to find out whether what they built makes sense.

use crate::{Conv2d, Graph, GraphError, Layout, Node, Op, Pool2d, SpaceToDepth};

/// The largest tensor that is accepted, in elements (1 GiB of `f32`). It keeps products of extents from overflowing
/// and a hostile model from exhausting the host's memory with one node.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// The number of elements of `shape`, or `None` above [`MAX_ELEMENTS`].
pub fn elements(shape: &[usize]) -> Option<usize> {
    // A zero extent makes the tensor empty whatever the others are.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d).filter(|&n| n <= MAX_ELEMENTS))
}

/// The common shape of two operands under NumPy broadcasting, or `None` if they do not fit.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |k| s[k]);
    (0..rank)
        .map(|i| match (extent(a, i), extent(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// The shapes of the outputs of `node`, which stands in `graph` (or is about to).
///
/// # Errors
/// [`GraphError::Shape`] if the operands do not fit the operation (the message holds the shapes), and
/// [`GraphError::Order`] if an operand is no value of `graph`.
pub fn infer(graph: &Graph, node: &Node) -> Result<Vec<Vec<usize>>, GraphError> {
    let mut shapes = Vec::with_capacity(node.inputs.len());
    for id in &node.inputs {
        let Some(value) = graph.values.get(id.0) else {
            return Err(GraphError::Order { node: node.name.clone(), what: format!("there is no value {}", id.0) });
        };
        shapes.push(value.shape.as_slice());
    }
    infer_op(&node.op, &shapes).map(|s| vec![s]).map_err(|what| GraphError::Shape {
        node: node.name.clone(),
        origin: node.origin.clone(),
        what,
    })
}

/// As [`infer`], for an op that stands in no graph: operand shapes in, output shape or message out.
pub(crate) fn infer_op(op: &Op, operands: &[&[usize]]) -> Result<Vec<usize>, String> {
    for s in operands {
        match elements(s) {
            Some(0) => return Err(format!("an operand of shape {s:?} has no elements")),
            Some(_) => {}
            None => return Err(format!("an operand of shape {s:?} has more than {MAX_ELEMENTS} elements")),
        }
    }
    let out = match op {
        Op::Conv2d(p) => conv2d(p, operands)?,
        Op::MatMul { transpose_a, transpose_b } => {
            let [a, b] = fixed(operands)?;
            matmul(a, b, *transpose_a, *transpose_b)?
        }
        Op::Dense { .. } => dense(operands)?,
        Op::Binary { .. } => {
            let [a, b] = fixed(operands)?;
            broadcast(a, b).ok_or_else(|| format!("shapes {a:?} and {b:?} do not broadcast"))?
        }
        Op::Unary(_) => {
            let [x] = fixed(operands)?;
            x.to_vec()
        }
        Op::Pool2d(p) => {
            let [x] = fixed(operands)?;
            pool2d(p, x)?
        }
        Op::Reduce { axes, keep_dims, .. } => {
            let [x] = fixed(operands)?;
            reduce(x, axes, *keep_dims)?
        }
        Op::Softmax { axis } => {
            let [x] = fixed(operands)?;
            check_axis(*axis, x)?;
            x.to_vec()
        }
        Op::Concat { axis } => concat(operands, *axis)?,
        Op::History { axis, keep } => {
            let [x] = fixed(operands)?;
            check_axis(*axis, x)?;
            history(x, *axis, *keep)?
        }
        Op::Reshape { shape } => {
            let [x] = fixed(operands)?;
            if elements(shape) != elements(x) {
                return Err(format!("cannot reshape {x:?} to {shape:?}: the number of elements differs"));
            }
            shape.clone()
        }
        Op::Transpose { perm } => {
            let [x] = fixed(operands)?;
            transpose(x, perm)?
        }
        Op::Pad { begin, end, .. } => {
            let [x] = fixed(operands)?;
            pad(x, begin, end)?
        }
        Op::Slice { begin, end } => {
            let [x] = fixed(operands)?;
            slice(x, begin, end)?
        }
        Op::Upsample { factors } => {
            let [x] = fixed(operands)?;
            upsample(x, factors)?
        }
        Op::SpaceToDepth(p) => {
            let [x] = fixed(operands)?;
            space_to_depth(p, x)?
        }
        Op::FakeQuantize { levels } => fake_quantize(*levels, operands)?,
    };
    match elements(&out) {
        Some(n) if n > 0 => Ok(out),
        Some(_) => Err(format!("the output shape {out:?} has no elements")),
        None => Err(format!("the output shape {out:?} has more than {MAX_ELEMENTS} elements")),
    }
}

fn history(x: &[usize], axis: usize, keep: usize) -> Result<Vec<usize>, String> {
    if keep == 0 {
        return Err("a history of nothing".into());
    }
    let mut out = x.to_vec();
    match out.get_mut(axis).and_then(|d| Some((d.checked_add(keep)?, d))) {
        Some((longer, d)) => *d = longer,
        None => return Err(format!("a history of {keep} entries is too long")),
    }
    Ok(out)
}

fn fixed<'a, const N: usize>(operands: &[&'a [usize]]) -> Result<[&'a [usize]; N], String> {
    operands.try_into().map_err(|_| format!("takes {N} operands, got {}: {operands:?}", operands.len()))
}

/// Input, weights and, where there is one, bias.
type WithBias<'a> = (&'a [usize], &'a [usize], Option<&'a [usize]>);

fn with_bias<'a>(operands: &[&'a [usize]]) -> Result<WithBias<'a>, String> {
    match operands {
        [x, w] => Ok((x, w, None)),
        [x, w, b] => Ok((x, w, Some(b))),
        _ => Err(format!("takes 2 or 3 operands, got {}: {operands:?}", operands.len())),
    }
}

fn check_axis(axis: usize, x: &[usize]) -> Result<(), String> {
    if axis < x.len() { Ok(()) } else { Err(format!("axis {axis} is outside of shape {x:?}")) }
}

/// Rows, columns and channels of a 4-D activation, as indices of its axes.
pub(crate) fn axes_of(layout: Layout) -> [usize; 3] {
    match layout {
        Layout::Nchw => [2, 3, 1],
        Layout::Nhwc => [1, 2, 3],
    }
}

fn four(x: &[usize], what: &str) -> Result<[usize; 4], String> {
    x.try_into().map_err(|_| format!("the {what} must have 4 axes, its shape is {x:?}"))
}

fn place(layout: Layout, batch: usize, rows: usize, columns: usize, channels: usize) -> Vec<usize> {
    match layout {
        Layout::Nchw => vec![batch, channels, rows, columns],
        Layout::Nhwc => vec![batch, rows, columns, channels],
    }
}

/// Output extent of a window that slides along one axis.
fn slide(input: usize, kernel: usize, stride: usize, dilation: usize, pads: [usize; 2]) -> Result<usize, String> {
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err(format!("kernel {kernel}, stride {stride} and dilation {dilation} must all be at least 1"));
    }
    let padded = input
        .checked_add(pads[0])
        .and_then(|n| n.checked_add(pads[1]))
        .filter(|&n| n <= MAX_ELEMENTS)
        .ok_or_else(|| format!("padding {pads:?} of extent {input} is too large"))?;
    let reach = (kernel - 1)
        .checked_mul(dilation)
        .filter(|&n| n < padded)
        .ok_or_else(|| format!("kernel {kernel} with dilation {dilation} is larger than the padded input {padded}"))?;
    Ok((padded - reach - 1) / stride + 1)
}

fn conv2d(p: &Conv2d, operands: &[&[usize]]) -> Result<Vec<usize>, String> {
    let (x, w, bias) = with_bias(operands)?;
    let x4 = four(x, "input")?;
    let [o, per_group, kh, kw] = four(w, "weights")?;
    let [row, column, channel] = axes_of(p.layout);
    if p.groups == 0 || per_group.checked_mul(p.groups) != Some(x4[channel]) || o % p.groups != 0 {
        return Err(format!(
            "input {x:?} ({:?}) and weights {w:?} do not fit together with {} groups",
            p.layout, p.groups
        ));
    }
    if let Some(b) = bias
        && b != [o]
    {
        return Err(format!("bias must have shape [{o}] to fit weights {w:?}, it has {b:?}"));
    }
    let context = |e| format!("{e} (input {x:?}, weights {w:?})");
    let oh = slide(x4[row], kh, p.strides[0], p.dilations[0], [p.pads.top, p.pads.bottom]).map_err(context)?;
    let ow = slide(x4[column], kw, p.strides[1], p.dilations[1], [p.pads.left, p.pads.right]).map_err(context)?;
    // The executor gathers the windows of at least one output row.
    if elements(&[ow, per_group, kh, kw]).is_none() {
        return Err(format!("a row of windows has more than {MAX_ELEMENTS} elements (input {x:?}, weights {w:?})"));
    }
    Ok(place(p.layout, x4[0], oh, ow, o))
}

fn pool2d(p: &Pool2d, x: &[usize]) -> Result<Vec<usize>, String> {
    let x4 = four(x, "input")?;
    let [row, column, channel] = axes_of(p.layout);
    let [kh, kw] = p.kernel;
    if p.pads.top >= kh || p.pads.bottom >= kh || p.pads.left >= kw || p.pads.right >= kw {
        return Err(format!("a window {:?} of {x:?} may lie wholly in the padding {:?}", p.kernel, p.pads));
    }
    let context = |e| format!("{e} (input {x:?}, kernel {:?})", p.kernel);
    let oh = slide(x4[row], kh, p.strides[0], 1, [p.pads.top, p.pads.bottom]).map_err(context)?;
    let ow = slide(x4[column], kw, p.strides[1], 1, [p.pads.left, p.pads.right]).map_err(context)?;
    Ok(place(p.layout, x4[0], oh, ow, x4[channel]))
}

fn matmul(a: &[usize], b: &[usize], transpose_a: bool, transpose_b: bool) -> Result<Vec<usize>, String> {
    let split = |s: &[usize], t: bool| -> Option<(Vec<usize>, usize, usize)> {
        let (lead, last) = s.split_at_checked(s.len().checked_sub(2)?)?;
        let (rows, columns) = if t { (last[1], last[0]) } else { (last[0], last[1]) };
        Some((lead.to_vec(), rows, columns))
    };
    let (Some((lead_a, m, k)), Some((lead_b, k2, n))) = (split(a, transpose_a), split(b, transpose_b)) else {
        return Err(format!("operands must have at least 2 axes, got {a:?} and {b:?}"));
    };
    let error = || {
        format!("shapes {a:?} (transposed: {transpose_a}) and {b:?} (transposed: {transpose_b}) do not fit together")
    };
    if k != k2 {
        return Err(error());
    }
    let mut out = broadcast(&lead_a, &lead_b).ok_or_else(error)?;
    out.extend([m, n]);
    Ok(out)
}

fn dense(operands: &[&[usize]]) -> Result<Vec<usize>, String> {
    let (x, w, bias) = with_bias(operands)?;
    let ([n, k], Some((last, lead))) = (w, x.split_last()) else {
        return Err(format!("weights must have 2 axes and the input at least one, got {w:?} and {x:?}"));
    };
    if last != k {
        return Err(format!("the last axis of input {x:?} must be the last of weights {w:?}"));
    }
    if let Some(b) = bias
        && b != [*n]
    {
        return Err(format!("bias must have shape [{n}] to fit weights {w:?}, it has {b:?}"));
    }
    Ok(lead.iter().copied().chain([*n]).collect())
}

fn reduce(x: &[usize], axes: &[usize], keep_dims: bool) -> Result<Vec<usize>, String> {
    if !axes.is_sorted_by(|a, b| a < b) || axes.last().is_some_and(|&a| a >= x.len()) {
        return Err(format!("axes {axes:?} must be ascending axes of shape {x:?}"));
    }
    Ok(x.iter()
        .enumerate()
        .filter_map(|(i, &d)| match (axes.contains(&i), keep_dims) {
            (false, _) => Some(d),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect())
}

fn concat(operands: &[&[usize]], axis: usize) -> Result<Vec<usize>, String> {
    let [first, rest @ ..] = operands else {
        return Err("takes at least one operand, got none".into());
    };
    check_axis(axis, first)?;
    let mut out = first.to_vec();
    for s in rest {
        let fits = s.len() == first.len() && (0..s.len()).all(|i| i == axis || s[i] == first[i]);
        if !fits {
            return Err(format!("shapes {first:?} and {s:?} cannot be joined along axis {axis}"));
        }
        // What saturates is refused as too large by the caller.
        out[axis] = out[axis].saturating_add(s[axis]);
    }
    Ok(out)
}

fn transpose(x: &[usize], perm: &[usize]) -> Result<Vec<usize>, String> {
    let mut seen = vec![false; x.len()];
    for &p in perm {
        match seen.get_mut(p) {
            Some(s) if !*s => *s = true,
            _ => return Err(format!("{perm:?} is no permutation of the axes of {x:?}")),
        }
    }
    if perm.len() != x.len() {
        return Err(format!("{perm:?} is no permutation of the axes of {x:?}"));
    }
    Ok(perm.iter().map(|&p| x[p]).collect())
}

fn pad(x: &[usize], begin: &[usize], end: &[usize]) -> Result<Vec<usize>, String> {
    if begin.len() != x.len() || end.len() != x.len() {
        return Err(format!("padding {begin:?} and {end:?} must name every axis of {x:?}"));
    }
    Ok(x.iter().zip(begin.iter().zip(end)).map(|(d, (b, e))| d.saturating_add(*b).saturating_add(*e)).collect())
}

fn slice(x: &[usize], begin: &[usize], end: &[usize]) -> Result<Vec<usize>, String> {
    let fits = begin.len() == x.len() && end.len() == x.len();
    if !fits || begin.iter().zip(end).zip(x).any(|((b, e), d)| b >= e || e > d) {
        return Err(format!("elements {begin:?} to {end:?} are no part of shape {x:?}"));
    }
    Ok(begin.iter().zip(end).map(|(b, e)| e - b).collect())
}

fn space_to_depth(p: &SpaceToDepth, x: &[usize]) -> Result<Vec<usize>, String> {
    let x4 = four(x, "input")?;
    let [h, w, c] = axes_of(p.layout).map(|axis| x4[axis]);
    let depth = p.block.checked_mul(p.block).and_then(|n| n.checked_mul(c));
    match depth {
        Some(depth) if p.block > 0 && h.is_multiple_of(p.block) && w.is_multiple_of(p.block) => {
            Ok(place(p.layout, x4[0], h / p.block, w / p.block, depth))
        }
        _ => Err(format!("rows and columns of {x:?} ({:?}) are no multiples of a block of {}", p.layout, p.block)),
    }
}

fn upsample(x: &[usize], factors: &[usize]) -> Result<Vec<usize>, String> {
    if factors.len() != x.len() || factors.contains(&0) {
        return Err(format!("factors {factors:?} must be at least 1 for every axis of {x:?}"));
    }
    // What saturates is refused as too large by the caller.
    Ok(x.iter().zip(factors).map(|(d, f)| d.saturating_mul(*f)).collect())
}

fn fake_quantize(levels: u32, operands: &[&[usize]]) -> Result<Vec<usize>, String> {
    let [x, limits @ ..] = fixed::<5>(operands)?;
    if levels < 2 {
        return Err(format!("needs at least 2 levels, got {levels}"));
    }
    match limits.iter().find(|l| broadcast(x, l).as_deref() != Some(x)) {
        Some(limit) => Err(format!("a limit of shape {limit:?} does not broadcast to {x:?}")),
        None => Ok(x.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, BinaryOp, Pads, PoolKind, ReduceOp, UnaryOp, ValueId};
    use proptest::prelude::*;

    fn conv(strides: [usize; 2], groups: usize, layout: Layout) -> Op {
        let pads = Pads { top: 1, left: 1, bottom: 1, right: 1 };
        Op::Conv2d(Conv2d { strides, dilations: [1, 1], pads, groups, layout, activation: Activation::None })
    }

    #[test]
    fn shapes_of_spatial_ops() {
        let w: &[usize] = &[8, 3, 3, 3];
        assert_eq!(infer_op(&conv([2, 2], 1, Layout::Nchw), &[&[1, 3, 32, 31], w]).unwrap(), [1, 8, 16, 16]);
        assert_eq!(infer_op(&conv([1, 2], 1, Layout::Nhwc), &[&[1, 32, 31, 3], w]).unwrap(), [1, 32, 16, 8]);
        let pool = Pool2d {
            kind: PoolKind::Max,
            kernel: [2, 3],
            strides: [2, 2],
            pads: Pads::default(),
            layout: Layout::Nhwc,
        };
        assert_eq!(infer_op(&Op::Pool2d(pool), &[&[1, 7, 8, 5]]).unwrap(), [1, 3, 3, 5]);
    }

    #[test]
    fn errors_hold_both_shapes() {
        let e = infer_op(&conv([1, 1], 1, Layout::Nhwc), &[&[1, 32, 32, 4], &[8, 3, 3, 3]]).unwrap_err();
        assert!(e.contains("[1, 32, 32, 4]") && e.contains("[8, 3, 3, 3]"), "{e}");
        let add = Op::Binary { op: BinaryOp::Add, activation: Activation::None };
        let e = infer_op(&add, &[&[2, 3], &[2]]).unwrap_err();
        assert!(e.contains("[2, 3]") && e.contains("[2]"), "{e}");
    }

    #[test]
    fn malformed_ops_are_refused() {
        let x: &[usize] = &[1, 4, 4, 2];
        let refused = |op: Op, operands: &[&[usize]]| assert!(infer_op(&op, operands).is_err(), "{op:?} {operands:?}");
        refused(conv([0, 1], 1, Layout::Nhwc), &[x, &[1, 2, 3, 3]]);
        refused(conv([1, 1], 0, Layout::Nhwc), &[x, &[1, 2, 3, 3]]);
        refused(conv([1, 1], 1, Layout::Nhwc), &[x]);
        refused(conv([1, 1], 1, Layout::Nhwc), &[x, &[1, 2, 9, 9]]);
        refused(conv([1, 1], 1, Layout::Nhwc), &[x, &[1, 2, 3, 3], &[2]]);
        refused(conv([1, 1], usize::MAX, Layout::Nhwc), &[x, &[1, 2, 3, 3]]);
        refused(Op::Unary(UnaryOp::Relu), &[]);
        refused(Op::Unary(UnaryOp::Relu), &[&[0, 3]]);
        refused(Op::Unary(UnaryOp::Relu), &[&[usize::MAX, 3]]);
        refused(Op::Concat { axis: 0 }, &[]);
        refused(Op::Concat { axis: 4 }, &[x, x]);
        refused(Op::Concat { axis: 1 }, &[x, &[1, 4, 4, 3]]);
        refused(Op::Reshape { shape: vec![33] }, &[x]);
        refused(Op::Reshape { shape: vec![usize::MAX, usize::MAX] }, &[x]);
        refused(Op::Transpose { perm: vec![0, 1, 1, 2] }, &[x]);
        refused(Op::Transpose { perm: vec![0, 1, 2] }, &[x]);
        refused(Op::Transpose { perm: vec![0, 1, 2, 4] }, &[x]);
        refused(Op::Pad { begin: vec![0; 4], end: vec![0, usize::MAX, 0, 0], value: 0.0 }, &[x]);
        refused(Op::Slice { begin: vec![0; 4], end: vec![1, 4, 4, 3] }, &[x]);
        refused(Op::Slice { begin: vec![0, 2, 0, 0], end: vec![1, 2, 4, 2] }, &[x]);
        refused(Op::Slice { begin: vec![0; 3], end: vec![1; 3] }, &[x]);
        refused(Op::Upsample { factors: vec![1, 2, 0, 1] }, &[x]);
        refused(Op::Upsample { factors: vec![1, 2, 2] }, &[x]);
        refused(Op::Upsample { factors: vec![1, usize::MAX, 2, 1] }, &[x]);
        refused(Op::Reduce { op: ReduceOp::Sum, axes: vec![1, 1], keep_dims: false }, &[x]);
        refused(Op::Softmax { axis: 4 }, &[x]);
        refused(Op::MatMul { transpose_a: false, transpose_b: false }, &[&[3], &[3, 2]]);
        refused(Op::Dense { activation: Activation::None }, &[&[], &[3, 2]]);
    }

    #[test]
    fn an_unknown_value_is_an_error() {
        let node = Node {
            name: "n".into(),
            origin: "test".into(),
            op: Op::Unary(UnaryOp::Relu),
            inputs: vec![ValueId(7)],
            outputs: vec![],
        };
        assert!(matches!(infer(&Graph::default(), &node), Err(GraphError::Order { .. })));
    }

    fn extent() -> impl Strategy<Value = usize> {
        prop_oneof![0..6usize, Just(usize::MAX), Just(usize::MAX / 2), Just(1 << 27), Just(1 << 32)]
    }

    fn any_op() -> impl Strategy<Value = Op> {
        let list = || prop::collection::vec(extent(), 0..6);
        let layout = || prop_oneof![Just(Layout::Nchw), Just(Layout::Nhwc)];
        let pads =
            || prop::array::uniform4(extent()).prop_map(|[top, left, bottom, right]| Pads { top, left, bottom, right });
        let two = || prop::array::uniform2(extent());
        let activation = Activation::None;
        prop_oneof![
            (two(), two(), pads(), extent(), layout()).prop_map(move |(strides, dilations, pads, groups, layout)| {
                Op::Conv2d(Conv2d { strides, dilations, pads, groups, layout, activation })
            }),
            (two(), two(), pads(), layout()).prop_map(|(kernel, strides, pads, layout)| {
                Op::Pool2d(Pool2d { kind: PoolKind::Max, kernel, strides, pads, layout })
            }),
            any::<[bool; 2]>().prop_map(|[transpose_a, transpose_b]| Op::MatMul { transpose_a, transpose_b }),
            Just(Op::Dense { activation }),
            Just(Op::Binary { op: BinaryOp::Add, activation }),
            (list(), any::<bool>()).prop_map(|(axes, keep_dims)| Op::Reduce { op: ReduceOp::Sum, axes, keep_dims }),
            extent().prop_map(|axis| Op::Softmax { axis }),
            extent().prop_map(|axis| Op::Concat { axis }),
            list().prop_map(|shape| Op::Reshape { shape }),
            list().prop_map(|perm| Op::Transpose { perm }),
            (list(), list()).prop_map(|(begin, end)| Op::Pad { begin, end, value: 0.0 }),
            (list(), list()).prop_map(|(begin, end)| Op::Slice { begin, end }),
            (extent(), any::<bool>(), layout()).prop_map(|(block, depth_first, layout)| {
                Op::SpaceToDepth(SpaceToDepth { block, depth_first, layout })
            }),
            list().prop_map(|factors| Op::Upsample { factors }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn no_op_panics_on_any_operands(
            op in any_op(),
            operands in prop::collection::vec(prop::collection::vec(extent(), 0..6), 0..4),
        ) {
            let operands: Vec<&[usize]> = operands.iter().map(Vec::as_slice).collect();
            if let Ok(shape) = infer_op(&op, &operands) {
                prop_assert!(elements(&shape).is_some_and(|n| n > 0));
            }
        }
    }
}
