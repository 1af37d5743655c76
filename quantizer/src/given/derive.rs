//! Ranges that follow from those of operands, for values that nothing is known of otherwise.

use carafe_graph::{Activation, BinaryOp, Graph, Node, Op, PoolKind, ReduceOp, Tensor, UnaryOp, ValueId, exec};

use super::Given;
use crate::error::QuantError;
use crate::ranges::{Ties, activation_operands};

/// At most so many values are named in a message.
const MOST_NAMES: usize = 8;

/// How many standard deviations of independent operands a sum of products is taken to reach.
const DEVIATIONS: f64 = 5.0;

type Range = (f32, f32);

impl Given {
    /// Puts in the ranges of given parameters, and where there is none yet, one that follows from those of the
    /// operands. `ranges`: by value index, what was observed and the ranges of constants.
    ///
    /// # Errors
    /// [`QuantError::NoRanges`] with the values that have no range then.
    pub(crate) fn fill(&mut self, graph: &Graph, ranges: &mut [Option<Range>]) -> Result<(), QuantError> {
        if self.is_empty() {
            return Ok(());
        }
        let ties = Ties::of(graph);
        let mut tied: Vec<Option<Range>> = vec![None; graph.values.len()];
        for i in 0..graph.values.len() {
            if let Some(q) = self.quant(ValueId(i)) {
                let (low, high) = q.range();
                let range = &mut tied[ties.find(i)];
                *range = Some(range.map_or((low, high), |r| (r.0.min(low), r.1.max(high))));
            }
        }
        let live = live(graph);
        for i in 0..graph.values.len() {
            if let Some(range) = tied[ties.find(i)]
                && live[i]
            {
                ranges[i] = Some(range);
            }
        }
        self.derived = vec![false; graph.values.len()];
        let mut lacking: Vec<ValueId> = graph.inputs.iter().copied().filter(|v| ranges[v.0].is_none()).collect();
        for node in &graph.nodes {
            for &o in node.outputs.iter().filter(|o| ranges[o.0].is_none()).collect::<Vec<_>>() {
                let operands = activation_operands(node);
                // Bounds of sums of products are too wide to build more of them on.
                let too_wide = matches!(node.op, Op::Conv2d(_) | Op::Dense { .. })
                    && operands.iter().any(|v| self.derived.get(v.0) == Some(&true));
                let operands: Option<Vec<Range>> = operands.iter().map(|v| ranges[v.0]).collect();
                match operands.filter(|_| !too_wide).and_then(|operands| derive(graph, node, &operands)) {
                    Some(range) => {
                        ranges[o.0] = Some(range);
                        self.derived[o.0] = true;
                    }
                    None => lacking.push(o),
                }
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        let name = |v: &ValueId| format!("`{}`", graph.value(*v).name);
        let mut values: Vec<String> = lacking.iter().take(MOST_NAMES).map(name).collect();
        if lacking.len() > MOST_NAMES {
            values.push(format!("and {} more", lacking.len() - MOST_NAMES));
        }
        Err(QuantError::NoRanges { model: graph.name.clone(), count: lacking.len(), values: values.join(", ") })
    }
}

/// The values that are inputs, made by a node, or constants read like activations.
fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.values.len()];
    graph.inputs.iter().for_each(|v| live[v.0] = true);
    for node in &graph.nodes {
        node.outputs.iter().chain(activation_operands(node)).for_each(|v| live[v.0] = true);
    }
    live
}

/// The range of a node's result; operands are those that are read as activations. `None` if no useful one follows.
fn derive(graph: &Graph, node: &Node, operands: &[Range]) -> Option<Range> {
    let &x = operands.first()?;
    let (range, activation) = match &node.op {
        Op::Conv2d(p) => (products(graph, node, (x.0.min(0.0), x.1.max(0.0)))?, p.activation),
        Op::Dense { activation } => (products(graph, node, x)?, *activation),
        Op::Binary { op, activation } => (binary(*op, x, *operands.get(1)?)?, *activation),
        Op::Unary(op) => (unary(*op, x)?, Activation::None),
        Op::Pool2d(p) if p.kind == PoolKind::AverageIncludePad => ((x.0.min(0.0), x.1.max(0.0)), Activation::None),
        op if op.selects() => (operands.iter().fold(x, |a, b| (a.0.min(b.0), a.1.max(b.1))), Activation::None),
        Op::Pool2d(_) => (x, Activation::None),
        // Before the beginning are zeros.
        Op::History { .. } => ((x.0.min(0.0), x.1.max(0.0)), Activation::None),
        Op::Reduce { op: ReduceOp::Sum, axes, .. } => {
            let shape = &graph.value(*node.inputs.first()?).shape;
            let n = axes.iter().filter_map(|&a| shape.get(a)).product::<usize>() as f32;
            ((n * x.0, n * x.1), Activation::None)
        }
        Op::Reduce { .. } => (x, Activation::None),
        Op::Softmax { .. } => ((0.0, 1.0), Activation::None),
        Op::Pad { value, .. } => ((x.0.min(*value), x.1.max(*value)), Activation::None),
        _ => return None,
    };
    let (low, high) = (activation.apply(range.0), activation.apply(range.1));
    (low.is_finite() && high.is_finite() && low <= high).then_some((low, high))
}

fn binary(op: BinaryOp, a: Range, b: Range) -> Option<Range> {
    let of = |corners: &[f32]| {
        let low = corners.iter().copied().fold(f32::INFINITY, f32::min);
        (low, corners.iter().copied().fold(f32::NEG_INFINITY, f32::max))
    };
    Some(match op {
        BinaryOp::Add => (a.0 + b.0, a.1 + b.1),
        BinaryOp::Sub => (a.0 - b.1, a.1 - b.0),
        BinaryOp::Mul => of(&[a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1]),
        BinaryOp::Div if b.0 > 0.0 || b.1 < 0.0 => of(&[a.0 / b.0, a.0 / b.1, a.1 / b.0, a.1 / b.1]),
        BinaryOp::Max => (a.0.max(b.0), a.1.max(b.1)),
        BinaryOp::Min => (a.0.min(b.0), a.1.min(b.1)),
        BinaryOp::SquaredDifference => {
            let (low, high) = (a.0 - b.1, a.1 - b.0);
            let nearest = if low > 0.0 { low } else { high.min(0.0) };
            (nearest * nearest, (low * low).max(high * high))
        }
        BinaryOp::Div | BinaryOp::Pow => return None,
    })
}

/// The op itself, on as many points as int8 has.
fn unary(op: UnaryOp, (low, high): Range) -> Option<Range> {
    let points: Vec<f32> = (0..=255).map(|i| low + (high - low) * (i as f32 / 255.0)).collect();
    let (name, origin) = (String::new(), String::new());
    let node = Node { name, origin, op: Op::Unary(op), inputs: vec![], outputs: vec![] };
    let made = exec::evaluate(&node, &[&Tensor::f32([256], points)]).ok()?;
    let data = made.as_f32()?;
    let all_finite = data.iter().all(|x| x.is_finite());
    all_finite.then(|| data.iter().fold((data[0], data[0]), |(a, b), &x| (a.min(x), b.max(x))))
}

/// Sums of products of operands in `x` with the weights of `node`: what cannot be left, and within that, what operands
/// that vary independently of each other, about 0 or about the middle of their range, do not leave in practice.
fn products(graph: &Graph, node: &Node, x: Range) -> Option<Range> {
    let weights = graph.constant(*node.inputs.get(1)?)?;
    let (channels, data) = (*weights.shape.first()?, weights.as_f32()?);
    let bias = match node.inputs.get(2) {
        Some(b) => Some(graph.constant(*b)?.as_f32()?),
        None => None,
    };
    let (low, high) = (f64::from(x.0), f64::from(x.1));
    let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0);
    let mut all: Option<Range> = None;
    for (c, row) in data.chunks_exact((data.len() / channels.max(1)).max(1)).enumerate() {
        let bias = f64::from(bias.and_then(|b| b.get(c)).copied().unwrap_or(0.0));
        let sum = |f: &dyn Fn(f64) -> f64| row.iter().map(|&w| f(f64::from(w))).sum::<f64>();
        let centre = bias + sum(&|w| w) * middle;
        let reach = sum(&f64::abs) * half;
        let usual = DEVIATIONS * sum(&|w| w * w).sqrt() * half / 3f64.sqrt();
        let (least, most) = (centre - reach, centre + reach);
        let least = (centre.min(bias) - usual).max(least) as f32;
        let most = (centre.max(bias) + usual).min(most) as f32;
        all = Some(all.map_or((least, most), |r| (r.0.min(least), r.1.max(most))));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_simple_ops() {
        assert_eq!(binary(BinaryOp::Mul, (-1.0, 2.0), (-3.0, 1.0)), Some((-6.0, 3.0)));
        assert_eq!(binary(BinaryOp::Sub, (0.0, 2.0), (-3.0, 1.0)), Some((-1.0, 5.0)));
        assert_eq!(binary(BinaryOp::SquaredDifference, (0.0, 2.0), (-3.0, 1.0)), Some((0.0, 25.0)));
        assert_eq!(binary(BinaryOp::SquaredDifference, (4.0, 5.0), (0.0, 1.0)), Some((9.0, 25.0)));
        assert_eq!(binary(BinaryOp::Div, (1.0, 2.0), (-1.0, 1.0)), None);
        assert_eq!(unary(UnaryOp::Relu, (-1.0, 2.0)), Some((0.0, 2.0)));
        assert_eq!(unary(UnaryOp::Log, (-1.0, 2.0)), None);
        let (low, high) = unary(UnaryOp::HardSwish, (-4.0, 4.0)).unwrap();
        assert!((-0.376..-0.374).contains(&low) && high == 4.0);
    }
}
