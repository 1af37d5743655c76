//! Keeps track of the integers in constants: which op leaves a quantized constant quantized, and with what steps.

use carafe_graph::{Activation, BinaryOp, Graph, Node, Op, Tensor, UnaryOp, exec};

/// How far a number may be from a whole multiple of its step, in steps: many times what rounding one product of a scale
/// with an integer below 2⁸ costs in f32, and far below what could make it the neighbouring integer.
const TOLERANCE: f32 = 0.01;

/// The steps of `made`, which folding `node` gave, if it is quantized.
pub(super) fn after(graph: &Graph, node: &Node, made: &Tensor) -> Option<Tensor> {
    let constant = |i: usize| graph.constant(*node.inputs.get(i)?);
    let steps = |i: usize| node.inputs.get(i).and_then(|v| graph.steps(*v));
    let evaluate = |op: Op, operands: &[&Tensor]| {
        let node = Node { name: String::new(), origin: String::new(), op, inputs: vec![], outputs: vec![] };
        exec::evaluate(&node, operands).ok()
    };
    let binary = |op, a: &Tensor, b: &Tensor| evaluate(Op::Binary { op, activation: Activation::None }, &[a, b]);
    let wide = |t: &Tensor| binary(BinaryOp::Mul, t, &Tensor::f32(made.shape.clone(), vec![1.0; made.len()]));
    let positive = |t: &Tensor| evaluate(Op::Unary(UnaryOp::Abs), &[t]);
    let candidate = match &node.op {
        Op::Binary { op: BinaryOp::Mul, activation: Activation::None } => {
            // A factor without steps scales them.
            let factor = |i: usize| steps(i).cloned().or_else(|| positive(constant(i)?));
            steps(0).or(steps(1))?;
            wide(&binary(BinaryOp::Mul, &factor(0)?, &factor(1)?)?)?
        }
        Op::Binary { op: BinaryOp::Div, activation: Activation::None } => {
            wide(&binary(BinaryOp::Div, steps(0)?, &positive(constant(1)?)?)?)?
        }
        // A zero point, which is a whole number of steps.
        Op::Binary { op: BinaryOp::Sub | BinaryOp::Add, activation: Activation::None } => wide(steps(0).or(steps(1))?)?,
        Op::Unary(UnaryOp::Neg) => steps(0)?.clone(),
        op @ (Op::Reshape { .. } | Op::Transpose { .. }) => evaluate(op.clone(), &[steps(0)?])?,
        Op::FakeQuantize { levels } => {
            let width = positive(&binary(BinaryOp::Sub, constant(4)?, constant(3)?)?)?;
            let intervals = Tensor::f32([], vec![(levels - 1) as f32]);
            wide(&binary(BinaryOp::Div, &width, &intervals)?)?
        }
        _ => return None,
    };
    lies_on(made, &candidate).then_some(candidate)
}

/// True if every element is a whole multiple of its step.
fn lies_on(data: &Tensor, steps: &Tensor) -> bool {
    let (Some(data_of), Some(steps_of)) = (data.as_f32(), steps.as_f32()) else { return false };
    let on = |(&x, &s): (&f32, &f32)| {
        let q = if s == 0.0 && x == 0.0 { 0.0 } else { x / s };
        s.is_finite() && s >= 0.0 && (q - q.round()).abs() <= TOLERANCE
    };
    data.shape == steps.shape && data_of.iter().zip(steps_of).all(on)
}

#[cfg(test)]
mod tests {
    use carafe_graph::ValueId;

    use super::*;
    use crate::passes::{fold_affine, fold_constants, make_dense, testing::*};

    /// Whole numbers with steps of 1.
    fn integers(g: &mut Graph, shape: &[usize], q: &[f32]) -> ValueId {
        let ones = Tensor::f32(shape, vec![1.0; q.len()]);
        g.add_stepped("q", Tensor::f32(shape, q.to_vec()), Some(ones))
    }

    fn recovered(g: &Graph, v: ValueId) -> Vec<f32> {
        let (data, steps) = (g.constant(v).unwrap().as_f32().unwrap(), g.steps(v).unwrap().as_f32().unwrap());
        data.iter().zip(steps).map(|(x, s)| (x / s).round()).collect()
    }

    #[test]
    fn a_compressed_weight_keeps_its_integers() {
        let mut g = Graph::default();
        let q = integers(&mut g, &[2, 2], &[255.0, 0.0, 3.0, 128.0]);
        let zero_point = integers(&mut g, &[2, 1], &[128.0, 127.0]);
        let scale = g.add_constant("s", Tensor::f32([2, 1], vec![0.0123, 7.7e-5]));
        let d = g.add_node("d", "test", binary(BinaryOp::Sub), [q, zero_point]).unwrap();
        let w = g.add_node("w", "test", binary(BinaryOp::Mul), [scale, d]).unwrap();
        let r = g.add_node("r", "test", Op::Reshape { shape: vec![4] }, [w]).unwrap();
        g.outputs = vec![r];
        assert_eq!(fold_constants(&mut g).unwrap(), 3);
        assert_eq!(g.steps(r).unwrap().as_f32().unwrap(), [0.0123, 0.0123, 7.7e-5, 7.7e-5]);
        assert_eq!(recovered(&g, r), [127.0, -128.0, -124.0, 1.0]);
    }

    #[test]
    fn a_fake_quantized_weight_has_the_steps_of_its_output() {
        let mut g = Graph::default();
        let w = g.add_constant("w", Tensor::f32([1, 3], vec![-9.0, 0.26, 0.74]));
        let limit = |g: &mut Graph, x: f32| g.add_constant("limit", Tensor::f32([], vec![x]));
        let limits = [-1.27, 1.27, -12.7, 12.7].map(|x| limit(&mut g, x));
        let inputs: Vec<ValueId> = [w].into_iter().chain(limits).collect();
        let y = g.add_node("y", "test", Op::FakeQuantize { levels: 255 }, inputs).unwrap();
        g.outputs = vec![y];
        fold_constants(&mut g).unwrap();
        assert_eq!(recovered(&g, y), [-127.0, 26.0, 74.0]);
        assert!((g.steps(y).unwrap().as_f32().unwrap()[0] - 0.1).abs() < 1e-7);
    }

    #[test]
    fn what_is_off_the_grid_has_no_steps() {
        let mut g = Graph::default();
        let q = integers(&mut g, &[2], &[1.0, 2.0]);
        let half = g.add_constant("half", Tensor::f32([2], vec![0.5, 0.0]));
        let y = g.add_node("y", "test", ADD, [q, half]).unwrap();
        g.outputs = vec![y];
        fold_constants(&mut g).unwrap();
        assert_eq!(g.steps(y), None);
    }

    #[test]
    fn dense_and_batch_normalisation_keep_integers() {
        let mut g = Graph::default();
        let x = input(&mut g, [1, 2]);
        let q = integers(&mut g, &[2, 3], &[1.0, -128.0, 3.0, 4.0, 5.0, 127.0]);
        let op = Op::MatMul { transpose_a: false, transpose_b: false };
        let y = g.add_node("y", "test", op, [x, q]).unwrap();
        let c = g.add_constant("c", Tensor::f32([1, 3], vec![0.01, -0.02, 0.3]));
        let z = g.add_node("z", "test", binary(BinaryOp::Mul), [y, c]).unwrap();
        g.outputs = vec![z];
        assert_eq!(preserved(&mut g, make_dense), 1);
        assert_eq!(preserved(&mut g, fold_affine), 1);
        let w = g.nodes[0].inputs[1];
        assert_eq!(recovered(&g, w), [1.0, 4.0, 128.0, -5.0, 3.0, 127.0]);
        assert_eq!(g.steps(w).unwrap().as_f32().unwrap(), [0.01, 0.01, 0.02, 0.02, 0.3, 0.3]);
    }
}
