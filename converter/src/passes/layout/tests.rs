use super::*;
use crate::passes::{Optimized, testing::*};
use carafe_graph::{BinaryOp, Conv2d, Pads, Pool2d, PoolKind, ReduceOp, UnaryOp};

fn nchw_conv(g: &mut Graph, x: ValueId, o: usize) -> ValueId {
    let c = g.value(x).shape[1];
    let w = g.add_constant("w", noise(&[o, c, 3, 3], o as u64));
    g.add_node("conv", "test", conv(Layout::Nchw, 1), [x, w]).unwrap()
}

/// Runs the pass, proves that the meaning is the same, and returns the result and the number of Transposes left.
fn made_nhwc(graph: Graph) -> (Optimized, usize) {
    let mut o = Optimized::new(graph.clone()).unwrap();
    make_nhwc(&mut o).unwrap();
    o.graph.check().unwrap();
    let inputs = noise_for(&graph, 3);
    let expected = exec::run(&graph, &inputs).unwrap();
    let moved: Vec<_> = inputs.iter().zip(&o.inputs).map(|(t, i)| i.to_graph(t).unwrap()).collect();
    let made = exec::run(&o.graph, &moved).unwrap();
    for ((made, expected), side) in made.iter().zip(&expected).zip(&o.outputs) {
        assert!(distance(&side.to_model(made).unwrap(), expected) < 1e-4);
    }
    let census = Census::of(&o.graph);
    assert_eq!(census.nchw, 0);
    (o, census.transposes)
}

#[test]
fn an_nhwc_model_in_nchw_clothes_loses_its_transposes() {
    let mut g = Graph::default();
    let x = input(&mut g, [1, 5, 6, 2]);
    let y = g.add_node("to", "test", Op::Transpose { perm: vec![0, 3, 1, 2] }, [x]).unwrap();
    let y = nchw_conv(&mut g, y, 4);
    let c = g.add_constant("c", noise(&[1, 4, 1, 1], 1));
    let y = g.add_node("add", "test", ADD, [y, c]).unwrap();
    let y = g.add_node("relu", "test", RELU, [y]).unwrap();
    let y = g.add_node("back", "test", Op::Transpose { perm: vec![0, 2, 3, 1] }, [y]).unwrap();
    g.outputs = vec![y];
    let (o, transposes) = made_nhwc(g);
    assert_eq!(transposes, 0);
    assert!(o.inputs[0].is_unchanged() && o.outputs[0].is_unchanged());
    assert_eq!(o.graph.value(o.graph.outputs[0]).name, "back");
}

#[test]
fn an_nchw_model_changes_its_inputs_and_outputs() {
    let mut g = Graph::default();
    let x = input(&mut g, [1, 2, 5, 6]);
    let y = g.add_node("scaled", "test", Op::Unary(UnaryOp::Neg), [x]).unwrap();
    let y = nchw_conv(&mut g, y, 4);
    g.outputs = vec![y];
    let (o, transposes) = made_nhwc(g);
    assert_eq!(transposes, 0);
    assert_eq!(o.inputs[0].perm, NHWC);
    assert_eq!(o.inputs[0].model_shape, [1, 2, 5, 6]);
    assert_eq!(o.graph.value(o.graph.inputs[0]).shape, [1, 5, 6, 2]);
    assert_eq!(o.outputs[0].perm, NHWC);
    assert_eq!(o.graph.value(o.graph.outputs[0]).shape, [1, 5, 6, 4]);
}

#[test]
fn axes_of_all_kinds_are_renumbered() {
    let mut g = Graph::default();
    let x = input(&mut g, [1, 3, 5, 6]);
    let a = nchw_conv(&mut g, x, 4);
    let b = nchw_conv(&mut g, x, 2);
    let y = g.add_node("concat", "test", Op::Concat { axis: 1 }, [a, b, x]).unwrap();
    let pad = Op::Pad { begin: vec![0, 1, 2, 0], end: vec![0, 0, 1, 3], value: 0.5 };
    let y = g.add_node("pad", "test", pad, [y]).unwrap();
    let y = g.add_node("softmax", "test", Op::Softmax { axis: 1 }, [y]).unwrap();
    let kept = Op::Reduce { op: ReduceOp::Max, axes: vec![2, 3], keep_dims: true };
    let kept = g.add_node("kept", "test", kept, [y]).unwrap();
    let y = g.add_node("mul", "test", binary(BinaryOp::Mul), [kept, y]).unwrap();
    let c = g.add_constant("c", noise(&[10, 1, 1], 8));
    let y = g.add_node("sub", "test", binary(BinaryOp::Sub), [c, y]).unwrap();
    let mean = Op::Reduce { op: ReduceOp::Mean, axes: vec![3], keep_dims: false };
    let z = g.add_node("mean", "test", mean, [y]).unwrap();
    let z = g.add_node("turned", "test", Op::Transpose { perm: vec![0, 2, 1] }, [z]).unwrap();
    let p = Pads::default();
    let pool = Pool2d { kind: PoolKind::Max, kernel: [2, 2], strides: [2, 2], pads: p, layout: Layout::Nchw };
    let y = g.add_node("pool", "test", Op::Pool2d(pool), [y]).unwrap();
    g.outputs = vec![y, z];
    let (o, transposes) = made_nhwc(g);
    assert_eq!(transposes, 0);
    assert_eq!(o.outputs[0].perm, NHWC);
    assert!(o.outputs[1].is_unchanged());
}

#[test]
fn flattening_one_pixel_is_a_reshape() {
    let mut g = Graph::default();
    let x = input(&mut g, [1, 3, 4, 4]);
    let y = nchw_conv(&mut g, x, 8);
    let y =
        g.add_node("mean", "test", Op::Reduce { op: ReduceOp::Mean, axes: vec![2, 3], keep_dims: true }, [y]).unwrap();
    let y = g.add_node("to", "test", Op::Transpose { perm: vec![0, 2, 3, 1] }, [y]).unwrap();
    let y = g.add_node("flat", "test", Op::Reshape { shape: vec![1, 8] }, [y]).unwrap();
    g.outputs = vec![y];
    assert_eq!(made_nhwc(g).1, 0);
}

#[test]
fn flattening_a_map_permutes_the_weights_that_read_it() {
    let mut g = Graph::default();
    let x = input(&mut g, [1, 3, 4, 5]);
    let y = nchw_conv(&mut g, x, 2);
    let y = g.add_node("flat", "test", Op::Reshape { shape: vec![1, 40] }, [y]).unwrap();
    let w = g.add_constant("dense_w", noise(&[7, 40], 4));
    let b = g.add_constant("dense_b", noise(&[7], 5));
    let dense = Op::Dense { activation: carafe_graph::Activation::None };
    let y = g.add_node("dense", "test", dense, [y, w, b]).unwrap();
    g.outputs = vec![y];
    let (o, transposes) = made_nhwc(g.clone());
    assert_eq!(transposes, 0);
    let moved = o.graph.constant(o.graph.nodes[2].inputs[1]).unwrap();
    assert_ne!(moved, g.constant(w).unwrap());

    // A flat map that is an output keeps its order, and that takes a Transpose.
    let flat = g.nodes[1].outputs[0];
    g.outputs.push(flat);
    assert_eq!(made_nhwc(g).1, 1);
}

#[test]
fn heads_that_join_rows_and_columns_need_no_transpose() {
    let mut g = Graph::default();
    let x = input(&mut g, [1, 3, 4, 5]);
    let y = nchw_conv(&mut g, x, 6);
    let y = g.add_node("flat", "test", Op::Reshape { shape: vec![1, 6, 20] }, [y]).unwrap();
    let y = g.add_node("to", "test", Op::Transpose { perm: vec![0, 2, 1] }, [y]).unwrap();
    let y = g.add_node("soft", "test", Op::Softmax { axis: 2 }, [y]).unwrap();
    g.outputs = vec![y];
    let (o, transposes) = made_nhwc(g);
    assert_eq!(transposes, 0);
    assert!(o.outputs[0].is_unchanged());
}

#[test]
fn a_product_takes_a_transpose_of_its_last_axes_as_its_own() {
    let mut g = Graph::default();
    let a = input(&mut g, [2, 3, 4]);
    let b = input(&mut g, [2, 3, 5]);
    let t = g.add_node("t", "test", Op::Transpose { perm: vec![0, 2, 1] }, [a]).unwrap();
    let y = g.add_node("y", "test", Op::MatMul { transpose_a: false, transpose_b: false }, [t, b]).unwrap();
    g.outputs = vec![y];
    assert_eq!(made_nhwc(g).1, 0);
}

#[test]
fn a_transpose_that_moves_data_for_its_reader_stays() {
    let mut g = Graph::default();
    let x = input(&mut g, [2, 3, 4]);
    let t = g.add_node("t", "test", Op::Transpose { perm: vec![1, 0, 2] }, [x]).unwrap();
    let y = g.add_node("y", "test", Op::Reshape { shape: vec![24] }, [t]).unwrap();
    g.outputs = vec![y];
    let (o, transposes) = made_nhwc(g);
    assert_eq!(transposes, 1);
    let mut again = o.clone();
    assert_eq!(make_nhwc(&mut again).unwrap(), 0);
    assert_eq!(again, o);
}

#[test]
fn lower_ranks_broadcast_against_nhwc() {
    let mut g = Graph::default();
    let x = input(&mut g, [1, 6, 4, 6]);
    let row = input(&mut g, [6]);
    let y = nchw_conv(&mut g, x, 6);
    let y = g.add_node("add", "test", ADD, [row, y]).unwrap();
    let y = nchw_conv(&mut g, y, 2);
    g.outputs = vec![y];
    assert_eq!(made_nhwc(g).1, 0);
}

#[test]
fn nhwc_ops_stay_as_they_are() {
    let mut g = Graph::default();
    let x = input(&mut g, [1, 4, 4, 2]);
    let w = g.add_constant("w", noise(&[3, 2, 3, 3], 1));
    let Op::Conv2d(p) = conv(Layout::Nhwc, 1) else { panic!() };
    let y = g.add_node("conv", "test", Op::Conv2d(Conv2d { strides: [2, 1], ..p }), [x, w]).unwrap();
    g.outputs = vec![y];
    let mut o = Optimized::new(g.clone()).unwrap();
    assert_eq!(make_nhwc(&mut o).unwrap(), 0);
    assert_eq!(o.graph, g);
}
