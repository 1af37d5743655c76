//! What each type of layer becomes.

use carafe_graph::{BinaryOp, Graph, Layout, Op, Pads, PoolKind, ReduceOp, UnaryOp};

use crate::writer::{Id, Writer};

fn only(graph: &Graph) -> &Op {
    assert_eq!(graph.nodes.len(), 1, "{:?}", graph.nodes);
    &graph.nodes[0].op
}

fn output(graph: &Graph) -> &[usize] {
    &graph.value(graph.outputs[0]).shape
}

/// A layer with an input of shape `[1, 4, 6, 8]` and constants behind it.
fn one(ty: &str, opset: &str, data: &str, constants: impl FnOnce(&mut Writer) -> Vec<Id>) -> Graph {
    let mut w = Writer::default();
    let mut inputs = vec![w.input("1,4,6,8")];
    inputs.extend(constants(&mut w));
    let y = w.layer(ty, opset, data, &inputs);
    w.graph(y)
}

fn refused(ty: &str, opset: &str, data: &str, constants: impl FnOnce(&mut Writer) -> Vec<Id>) -> String {
    let mut w = Writer::default();
    let mut inputs = vec![w.input("1,4,6,8")];
    inputs.extend(constants(&mut w));
    let y = w.layer(ty, opset, data, &inputs);
    let message = w.refused(y);
    assert!(message.contains("small.xml") && message.contains(ty), "{message}");
    message
}

fn none(_: &mut Writer) -> Vec<Id> {
    vec![]
}

#[test]
fn unary() {
    let cases = [
        ("Abs", "opset1", "", UnaryOp::Abs),
        ("Ceiling", "opset1", "", UnaryOp::Ceil),
        ("Clamp", "opset1", r#"min="-1" max="6""#, UnaryOp::Clamp(-1.0, 6.0)),
        ("Clamp", "opset1", r#"min="0" max="inf""#, UnaryOp::Relu),
        ("Clamp", "opset1", r#"min="-inf" max="2.5""#, UnaryOp::Clamp(f32::MIN, 2.5)),
        ("Elu", "opset1", r#"alpha="0.5""#, UnaryOp::Elu(0.5)),
        ("Exp", "opset1", "", UnaryOp::Exp),
        ("Floor", "opset1", "", UnaryOp::Floor),
        ("Gelu", "opset2", "", UnaryOp::Gelu { tanh: false }),
        ("Gelu", "opset7", r#"approximation_mode="TANH""#, UnaryOp::Gelu { tanh: true }),
        ("HSigmoid", "opset5", "", UnaryOp::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }),
        ("HSwish", "opset4", "", UnaryOp::HardSwish),
        ("Log", "opset1", "", UnaryOp::Log),
        ("Mish", "opset4", "", UnaryOp::Mish),
        ("Negative", "opset1", "", UnaryOp::Neg),
        ("ReLU", "opset1", "", UnaryOp::Relu),
        ("Relu", "opset16", "", UnaryOp::Relu),
        ("Sigmoid", "opset1", "", UnaryOp::Sigmoid),
        ("SoftPlus", "opset4", "", UnaryOp::SoftPlus),
        ("Sqrt", "opset1", "", UnaryOp::Sqrt),
        ("Swish", "opset4", "", UnaryOp::Swish(1.0)),
        ("Tanh", "opset1", "", UnaryOp::Tanh),
    ];
    for (ty, opset, data, op) in cases {
        let graph = one(ty, opset, data, none);
        assert_eq!(*only(&graph), Op::Unary(op), "{ty}");
        assert_eq!(graph.nodes[0].origin, format!("{opset}.{ty}"));
        assert_eq!(output(&graph), [1, 4, 6, 8]);
    }
    assert!(refused("Clamp", "opset1", r#"min="2" max="1""#, none).contains("above"));
    assert!(refused("Gelu", "opset1", "", none).contains("no operation of this name"));
    assert!(refused("Elu", "opset1", "", none).contains("alpha"));
}

#[test]
fn activations_with_constants() {
    let scalar = |x: f32| move |w: &mut Writer| vec![w.floats(&[], &[x])];
    assert_eq!(*only(&one("Swish", "opset4", "", scalar(1.5))), Op::Unary(UnaryOp::Swish(1.5)));
    assert_eq!(*only(&one("PReLU", "opset1", "", scalar(0.25))), Op::Unary(UnaryOp::LeakyRelu(0.25)));
    let equal = |w: &mut Writer| vec![w.floats(&[4], &[0.1; 4])];
    assert_eq!(*only(&one("PReLU", "opset1", "", equal)), Op::Unary(UnaryOp::LeakyRelu(0.1)));
    let each = |w: &mut Writer| vec![w.floats(&[4], &[0.1, 0.2, 0.3, 0.4])];
    assert!(refused("PReLU", "opset1", "", each).contains("slope per channel"));
    let both = |w: &mut Writer| vec![w.floats(&[], &[0.2]), w.floats(&[1], &[0.5])];
    let hard = UnaryOp::HardSigmoid { alpha: 0.2, beta: 0.5 };
    assert_eq!(*only(&one("HardSigmoid", "opset1", "", both)), Op::Unary(hard));
}

#[test]
fn binary() {
    let cases = [
        ("Add", BinaryOp::Add),
        ("Subtract", BinaryOp::Sub),
        ("Multiply", BinaryOp::Mul),
        ("Divide", BinaryOp::Div),
        ("Maximum", BinaryOp::Max),
        ("Minimum", BinaryOp::Min),
        ("Power", BinaryOp::Pow),
        ("SquaredDifference", BinaryOp::SquaredDifference),
    ];
    for (ty, expected) in cases {
        let graph = one(ty, "opset1", r#"auto_broadcast="numpy""#, |w| vec![w.floats(&[4, 1, 1], &[1.0; 4])]);
        assert!(matches!(only(&graph), Op::Binary { op, .. } if *op == expected), "{ty}");
        assert_eq!(output(&graph), [1, 4, 6, 8]);
    }
    assert!(refused("Add", "opset1", r#"auto_broadcast="none""#, |w| vec![w.zeros(&[8])]).contains("switched off"));
    assert!(refused("Add", "opset1", r#"auto_broadcast="pdpd""#, |w| vec![w.zeros(&[8])]).contains("pdpd"));
    assert!(refused("Add", "opset1", "", |w| vec![w.zeros(&[5])]).contains("[5]"));
    assert!(refused("Add", "opset1", "", |w| vec![w.integers(&[1; 8])]).contains("integers"));
}

fn conv_data(auto_pad: &str, strides: &str) -> String {
    format!(r#"strides="{strides}" dilations="1, 1" pads_begin="1, 0" pads_end="2, 3" auto_pad="{auto_pad}""#)
}

#[test]
fn convolutions() {
    let pads = |auto_pad: &str| {
        let graph = one("Convolution", "opset1", &conv_data(auto_pad, "2, 2"), |w| vec![w.zeros(&[5, 4, 3, 3])]);
        let Op::Conv2d(c) = only(&graph) else { panic!() };
        assert_eq!((c.groups, c.layout, c.strides), (1, Layout::Nchw, [2, 2]));
        (c.pads, output(&graph).to_vec())
    };
    assert_eq!(pads("explicit"), (Pads { top: 1, left: 0, bottom: 2, right: 3 }, vec![1, 5, 4, 5]));
    assert_eq!(pads("valid"), (Pads::default(), vec![1, 5, 2, 3]));
    assert_eq!(pads("same_upper"), (Pads { top: 0, left: 0, bottom: 1, right: 1 }, vec![1, 5, 3, 4]));
    assert_eq!(pads("same_lower"), (Pads { top: 1, left: 1, bottom: 0, right: 0 }, vec![1, 5, 3, 4]));

    let kernel = |shape: &'static [usize]| move |w: &mut Writer| vec![w.zeros(shape)];
    assert!(refused("Convolution", "opset1", &conv_data("valid", "1,1"), kernel(&[5, 3, 3, 3])).contains("4 channels"));
    assert!(refused("Convolution", "opset1", &conv_data("valid", "1,1"), kernel(&[5, 4, 7, 3])).contains("larger"));
    assert!(refused("Convolution", "opset1", &conv_data("valid", "0,1"), kernel(&[5, 4, 3, 3])).contains("strides"));
    assert!(refused("Convolution", "opset1", &conv_data("odd", "1,1"), kernel(&[5, 4, 3, 3])).contains("auto_pad"));
    assert!(refused("Convolution", "opset1", "", kernel(&[5, 4, 3, 3])).contains("strides"));
}

#[test]
fn grouped_convolutions_have_their_weights_reshaped() {
    let data = conv_data("same_upper", "1, 1");
    let graph = one("GroupConvolution", "opset1", &data, |w| {
        vec![w.floats(&[2, 3, 2, 1, 3], &(0..36).map(|x| x as f32).collect::<Vec<_>>())]
    });
    let Op::Conv2d(c) = only(&graph) else { panic!() };
    assert_eq!(c.groups, 2);
    let weights = graph.constant(graph.nodes[0].inputs[1]).unwrap();
    assert_eq!(weights.shape, [6, 2, 1, 3]);
    assert_eq!(weights.as_f32().unwrap()[35], 35.0);
    assert_eq!(output(&graph), [1, 6, 6, 8]);
}

#[test]
fn a_one_dimensional_convolution_is_one_row() {
    let mut w = Writer::default();
    let x = w.input("1,4,20");
    let k = w.zeros(&[5, 4, 3]);
    let data = r#"strides="2" dilations="1" pads_begin="1" pads_end="1" auto_pad="explicit""#;
    let y = w.layer("Convolution", "opset1", data, &[x, k]);
    let graph = w.graph(y);
    assert_eq!(output(&graph), [1, 5, 10]);
    let conv = graph.nodes.iter().find_map(|n| if let Op::Conv2d(c) = &n.op { Some(c) } else { None }).unwrap();
    assert_eq!((conv.strides, conv.pads), ([1, 2], Pads { left: 1, right: 1, ..Pads::default() }));
}

fn pool_data(begin: &str, end: &str, kernel: &str, strides: &str, more: &str) -> String {
    format!(r#"pads_begin="{begin}" pads_end="{end}" kernel="{kernel}" strides="{strides}" {more}"#)
}

#[test]
fn pools() {
    let read = |ty: &str, opset: &str, data: &str| {
        let graph = one(ty, opset, data, none);
        let Op::Pool2d(p) = only(&graph) else { panic!() };
        (p.kind, p.pads, output(&graph)[2..].to_vec())
    };
    let flat = Pads::default();
    let data = pool_data("0,0", "0,0", "3,3", "2,2", r#"rounding_type="floor""#);
    assert_eq!(read("MaxPool", "opset1", &data), (PoolKind::Max, flat, vec![2, 3]));
    // 6 rows, window 3, stride 2: rounding up gives a third window, which needs one row more.
    let data = pool_data("0,0", "0,0", "3,3", "2,2", r#"rounding_type="ceil""#);
    let wider = Pads { bottom: 1, right: 1, ..flat };
    assert_eq!(read("MaxPool", "opset8", &data), (PoolKind::Max, wider, vec![3, 4]));
    let data = pool_data("0,0", "0,0", "3,3", "2,2", r#"dilations="" exclude-pad="true""#);
    assert_eq!(read("AvgPool", "opset16", &data), (PoolKind::AverageExcludePad, flat, vec![2, 3]));
    // Without padding of its own, what hangs over is not counted, whatever the layer says.
    let data = pool_data("0,0", "0,0", "3,3", "2,2", r#"rounding_type="ceil" exclude-pad="false""#);
    assert_eq!(read("AvgPool", "opset1", &data), (PoolKind::AverageExcludePad, wider, vec![3, 4]));
    let data = pool_data("1,1", "1,1", "3,3", "1,1", r#"rounding_type="floor" exclude-pad="false""#);
    let all = Pads { top: 1, left: 1, bottom: 1, right: 1 };
    assert_eq!(read("AvgPool", "opset1", &data), (PoolKind::AverageIncludePad, all, vec![6, 8]));
    let data = pool_data("1,1", "1,1", "3,3", "1,1", r#"exclude-pad="true""#);
    assert_eq!(read("AvgPool", "opset14", &data), (PoolKind::AverageExcludePad, all, vec![6, 8]));
    // Rounded up as PyTorch does, no window starts in the padding: 8 + 2 columns, window 1, stride 3.
    let data = pool_data("0,1", "0,1", "2,2", "2,8", r#"rounding_type="ceil_torch""#);
    assert_eq!(read("MaxPool", "opset14", &data).2, [3, 2]);
    // Padding that no window reaches is dropped.
    let data = pool_data("0,0", "0,2", "1,2", "1,8", r#"rounding_type="ceil_torch""#);
    assert_eq!(read("MaxPool", "opset14", &data), (PoolKind::Max, flat, vec![6, 1]));

    let dilated = pool_data("0,0", "0,0", "2,2", "1,1", r#"dilations="2,2""#);
    assert!(refused("MaxPool", "opset8", &dilated, none).contains("dilations"));
    let counted = pool_data("1,1", "1,1", "3,3", "2,2", r#"rounding_type="ceil" exclude-pad="false""#);
    assert!(refused("AvgPool", "opset1", &counted, none).contains("counts padding"));
    let outside = pool_data("3,0", "0,0", "3,3", "1,1", "");
    assert!(refused("MaxPool", "opset1", &outside, none).contains("padding alone"));
}

#[test]
fn the_indices_of_a_max_pool_are_refused_where_they_are_read() {
    let mut w = Writer::default();
    let x = w.input("1,1,4,4");
    let data = pool_data("0,0", "0,0", "2,2", "2,2", r#"index_element_type="i64""#);
    let y = w.stored("MaxPool", "opset8", &data, &[x], &[&[1, 1, 2, 2], &[1, 1, 2, 2]]);
    w.stored("Result", "opset1", "", &[y], &[]);
    let xml = w.xml().replace(r#"from-layer="1" from-port="100""#, r#"from-layer="1" from-port="101""#);
    let error = carafe_converter::frontend::openvino::parse(&xml, &w.bin, "small.xml").unwrap_err().to_string();
    assert!(error.contains("output 1 of `l1`"), "{error}");
}

#[test]
fn products() {
    let mut w = Writer::default();
    let x = w.input("1,8");
    let k = w.zeros(&[3, 8]);
    let y = w.layer("MatMul", "opset1", r#"transpose_a="false" transpose_b="true""#, &[x, k]);
    let graph = w.graph(y);
    assert_eq!(*only(&graph), Op::MatMul { transpose_a: false, transpose_b: true });
    assert_eq!(output(&graph), [1, 3]);
    for (a, b, c) in [("8", [8, 3].as_slice(), [3].as_slice()), ("2,5,8", &[8], &[2, 5]), ("8", &[2, 8, 3], &[2, 3])] {
        let mut w = Writer::default();
        let x = w.input(a);
        let k = w.zeros(b);
        let y = w.layer("MatMul", "opset1", "", &[x, k]);
        assert_eq!(output(&w.graph(y)), c, "{a} x {b:?}");
    }
}

#[test]
fn reductions() {
    for (ty, op) in [
        ("ReduceMean", ReduceOp::Mean),
        ("ReduceSum", ReduceOp::Sum),
        ("ReduceMax", ReduceOp::Max),
        ("ReduceMin", ReduceOp::Min),
    ] {
        let graph = one(ty, "opset1", r#"keep_dims="true""#, |w| vec![w.integers(&[-1, 2])]);
        assert_eq!(*only(&graph), Op::Reduce { op, axes: vec![2, 3], keep_dims: true });
        assert_eq!(output(&graph), [1, 4, 1, 1]);
    }
    let graph = one("ReduceMean", "opset1", "", |w| vec![w.integers(&[1])]);
    assert_eq!(output(&graph), [1, 6, 8]);
    assert!(refused("ReduceMean", "opset1", "", |w| vec![w.integers(&[4])]).contains("axis 4"));
    assert!(refused("ReduceMean", "opset1", "", |w| vec![w.integers(&[1, -3])]).contains("twice"));
    assert!(refused("ReduceMean", "opset1", "", |w| vec![w.integers(&[i64::MIN])]).contains("axis"));
    assert_eq!(*only(&one("SoftMax", "opset8", r#"axis="-1""#, none)), Op::Softmax { axis: 3 });
    assert_eq!(*only(&one("Softmax", "opset1", "", none)), Op::Softmax { axis: 1 });
    assert!(refused("SoftMax", "opset1", r#"axis="-1""#, none).contains("negative"));
}

#[test]
fn shapes() {
    let reshape = |target: &'static [i64], special: &str| {
        let data = format!(r#"special_zero="{special}""#);
        output(&one("Reshape", "opset1", &data, |w| vec![w.integers(target)])).to_vec()
    };
    assert_eq!(reshape(&[0, 2, -1], "true"), [1, 2, 96]);
    assert_eq!(reshape(&[-1], "false"), [192]);
    assert_eq!(reshape(&[4, 48], "false"), [4, 48]);
    for wrong in [[5, -1].as_slice(), &[-1, -1], &[0, -1], &[-2, 96], &[i64::MAX, i64::MAX, 4]] {
        let message = refused("Reshape", "opset1", r#"special_zero="false""#, |w| vec![w.integers(wrong)]);
        assert!(message.contains("[1, 4, 6, 8]"), "{message}");
    }

    assert_eq!(output(&one("Squeeze", "opset1", "", |w| vec![w.integers(&[0])])), [4, 6, 8]);
    assert_eq!(output(&one("Squeeze", "opset1", "", none)), [4, 6, 8]);
    assert!(refused("Squeeze", "opset1", "", |w| vec![w.integers(&[1])]).contains("is not 1"));
    let skip = r#"allow_axis_skip="true""#;
    assert_eq!(output(&one("Squeeze", "opset15", skip, |w| vec![w.integers(&[0, 1])])), [4, 6, 8]);
    assert_eq!(output(&one("Unsqueeze", "opset1", "", |w| vec![w.integers(&[-1, 0])])), [1, 1, 4, 6, 8, 1]);

    let graph = one("Transpose", "opset1", "", |w| vec![w.integers(&[0, 2, 3, 1])]);
    assert_eq!(*only(&graph), Op::Transpose { perm: vec![0, 2, 3, 1] });
    assert_eq!(output(&graph), [1, 6, 8, 4]);
    assert_eq!(output(&one("Transpose", "opset1", "", |w| vec![w.integers(&[])])), [8, 6, 4, 1]);
    assert!(refused("Transpose", "opset1", "", |w| vec![w.integers(&[0, 1, 2, 2])]).contains("not an order"));
}

#[test]
fn a_shape_that_depends_on_the_input_is_refused() {
    let mut w = Writer::default();
    let x = w.input("1,8");
    let y = w.layer("Reshape", "opset1", "", &[x, x]);
    let message = w.refused(y);
    assert!(message.contains("the target shape") && message.contains("must be constant"), "{message}");
}

#[test]
fn pads() {
    let pad = |mode: &str, begin: &'static [i64], end: &'static [i64]| {
        (format!(r#"pad_mode="{mode}""#), move |w: &mut Writer| {
            vec![w.integers(begin), w.integers(end), w.floats(&[], &[-1.5])]
        })
    };
    let (data, constants) = pad("constant", &[0, 0, 1, 2], &[0, 0, 3, 4]);
    let graph = one("Pad", "opset12", &data, constants);
    assert_eq!(*only(&graph), Op::Pad { begin: vec![0, 0, 1, 2], end: vec![0, 0, 3, 4], value: -1.5 });
    assert_eq!(output(&graph), [1, 4, 10, 14]);
    let graph =
        one("Pad", "opset1", r#"pad_mode="constant""#, |w| vec![w.integers(&[0, 0, 0, 1]), w.integers(&[0; 4])]);
    assert!(matches!(only(&graph), Op::Pad { value: 0.0, .. }));
    let (data, constants) = pad("constant", &[0; 4], &[0; 4]);
    let graph = one("Pad", "opset12", &data, constants);
    assert!(graph.nodes.is_empty() && graph.outputs == graph.inputs);
    let (data, constants) = pad("reflect", &[0, 0, 1, 1], &[0; 4]);
    assert!(refused("Pad", "opset12", &data, constants).contains("reflect"));
    let (data, constants) = pad("constant", &[0, 0, -1, 0], &[0; 4]);
    assert!(refused("Pad", "opset12", &data, constants).contains("negative"));
    let (data, constants) = pad("constant", &[0, 0, i64::MAX, 0], &[0; 4]);
    assert!(refused("Pad", "opset12", &data, constants).contains("too large"));
}

#[test]
fn slices() {
    let slice = |begin: &'static [i64], end: &'static [i64], steps: &'static [i64], axes: &'static [i64]| {
        move |w: &mut Writer| [begin, end, steps, axes].map(|l| w.integers(l)).to_vec()
    };
    let graph = one("Slice", "opset8", "", slice(&[-3, 1], &[i64::MAX, 5], &[1, 1], &[1, 3]));
    assert_eq!(*only(&graph), Op::Slice { begin: vec![0, 1, 0, 1], end: vec![1, 4, 6, 5] });
    let refused_slice = |begin, end, steps, axes| refused("Slice", "opset8", "", slice(begin, end, steps, axes));
    assert!(refused_slice(&[0], &[6], &[2], &[2]).contains("SpaceToDepth"));
    assert!(refused_slice(&[3], &[0], &[-1], &[2]).contains("steps of -1"));
    assert!(refused_slice(&[4], &[4], &[1], &[2]).contains("nothing is left"));
    assert!(refused_slice(&[4], &[4], &[1], &[7]).contains("axis 7"));
    assert!(refused_slice(&[4, 4], &[4], &[1], &[2]).contains("differ in number"));
    let strided = |data: &str, begin: &'static [i64], end: &'static [i64]| {
        one("StridedSlice", "opset1", data, move |w| vec![w.integers(begin), w.integers(end)])
    };
    let masks = r#"begin_mask="1, 0" end_mask="1, 0""#;
    let graph = strided(masks, &[7, 1], &[7, -1]);
    assert_eq!(*only(&graph), Op::Slice { begin: vec![0, 1, 0, 0], end: vec![1, 3, 6, 8] });
    let graph = strided(r#"begin_mask="1" end_mask="1" shrink_axis_mask="0, 1""#, &[0, -1], &[0, 0]);
    assert_eq!(graph.nodes[0].op, Op::Slice { begin: vec![0, 3, 0, 0], end: vec![1, 4, 6, 8] });
    assert_eq!(graph.nodes[1].op, Op::Reshape { shape: vec![1, 6, 8] });
    let newaxis =
        refused("StridedSlice", "opset1", r#"new_axis_mask="1""#, |w| vec![w.integers(&[0]), w.integers(&[1])]);
    assert!(newaxis.contains("new_axis_mask"), "{newaxis}");
}

#[test]
fn splits_have_all_their_outputs() {
    let split = |ty: &str, data: &str, constants: &[&[i64]], outputs: &[&[i64]]| {
        let mut w = Writer::default();
        let mut inputs = vec![w.input("1,4,6,8")];
        inputs.extend(constants.iter().map(|c| w.integers(c)));
        let y = w.stored(ty, "opset1", data, &inputs, outputs);
        w.read(y).map_err(|e| e.to_string())
    };
    let part = |from, to| Op::Slice { begin: vec![0, from, 0, 0], end: vec![1, to, 6, 8] };
    let graph = split("VariadicSplit", "", &[&[-3], &[1, -1]], &[&[1, 1, 6, 8], &[]]).unwrap();
    let parts: Vec<_> = graph.nodes.iter().map(|n| n.op.clone()).collect();
    assert_eq!(parts, [part(0, 1), part(1, 4)]);
    let two = r#"num_splits="2""#;
    let graph = split("Split", two, &[&[1]], &[&[], &[1, 2, 6, 8]]).unwrap();
    let parts: Vec<_> = graph.nodes.iter().map(|n| n.op.clone()).collect();
    assert_eq!(parts, [part(0, 2), part(2, 4)]);
    let refused = |ty, data, constants: &[&[i64]], outputs: &[&[i64]]| split(ty, data, constants, outputs).unwrap_err();
    assert!(refused("Split", r#"num_splits="3""#, &[&[1]], &[&[], &[], &[]]).contains("can't be split"));
    assert!(refused("VariadicSplit", "", &[&[1], &[1, 2]], &[&[], &[]]).contains("can't be split"));
    assert!(refused("Split", two, &[&[1]], &[&[], &[1, 3, 6, 8]]).contains("[1, 3, 6, 8]"));
    assert!(refused("Split", two, &[&[1]], &[&[]]).contains("no output port"));
}

#[test]
fn enlarging() {
    let data = |mode: &str, by: &str, coordinates: &str, nearest: &str| {
        format!(
            r#"mode="{mode}" shape_calculation_mode="{by}" coordinate_transformation_mode="{coordinates}" nearest_mode="{nearest}" antialias="false" pads_begin="0" pads_end="0" cube_coeff="-0.75""#
        )
    };
    let sizes = |h: i64, w: i64| move |x: &mut Writer| vec![x.integers(&[h, w]), x.integers(&[2, 3])];
    let plain = data("nearest", "sizes", "asymmetric", "floor");
    let graph = one("Interpolate", "opset11", &plain, sizes(18, 16));
    assert_eq!(*only(&graph), Op::Upsample { factors: vec![1, 1, 3, 2] });
    let same = one("Interpolate", "opset11", &plain, sizes(6, 8));
    assert!(same.nodes.is_empty() && same.outputs == same.inputs);
    let by_scales = data("nearest", "scales", "half_pixel", "round_prefer_floor");
    let graph = one("Interpolate", "opset4", &by_scales, |w| {
        vec![w.integers(&[0, 0]), w.floats(&[2], &[2.0, 2.0]), w.integers(&[2, 3])]
    });
    assert_eq!(*only(&graph), Op::Upsample { factors: vec![1, 1, 2, 2] });
    let refused = |data: &str, h, w| refused("Interpolate", "opset11", data, sizes(h, w));
    let linear = refused(&data("linear_onnx", "sizes", "half_pixel", "floor"), 12, 16);
    assert!(linear.contains("`linear_onnx` is not supported, nearest is"), "{linear}");
    assert!(refused(&plain, 9, 16).contains("not enlarged by a whole number"));
    assert!(refused(&plain, 6 << 20, 8).contains("more than 65535"));
    assert!(refused(&plain, 3, 8).contains("not enlarged by a whole number"));
    assert!(refused(&data("nearest", "sizes", "asymmetric", "ceil"), 12, 16).contains("rounded down"));
    assert!(refused(&data("nearest", "guess", "asymmetric", "ceil"), 12, 16).contains("shape_calculation_mode"));
    assert!(refused(&plain.replace(r#"pads_end="0""#, r#"pads_end="0, 1""#), 12, 16).contains("pads_end"));
}

#[test]
fn concat() {
    let graph = one("Concat", "opset1", r#"axis="-3""#, |w| vec![w.zeros(&[1, 2, 6, 8])]);
    assert_eq!(*only(&graph), Op::Concat { axis: 1 });
    assert_eq!(output(&graph), [1, 6, 6, 8]);
    assert!(refused("Concat", "opset1", r#"axis="9""#, none).contains("axis 9"));
}

#[test]
fn batch_normalization_becomes_scale_and_shift() {
    let vectors = |w: &mut Writer| [[2.0; 4], [1.0; 4], [3.0; 4], [0.25; 4]].map(|v| w.floats(&[4], &v)).to_vec();
    let data = r#"epsilon="0""#;
    let new = one("BatchNormInference", "opset5", data, vectors);
    let mut w = Writer::default();
    let x = w.input("1,4,6,8");
    let v = vectors(&mut w);
    let y = w.layer("BatchNormInference", "opset1", data, &[v[0], v[1], x, v[2], v[3]]);
    for graph in [new, w.graph(y)] {
        let constant = |i: usize| graph.constant(graph.nodes[i].inputs[1]).unwrap();
        assert_eq!(constant(0).as_f32().unwrap(), [4.0; 4]);
        assert_eq!(constant(1).as_f32().unwrap(), [-11.0; 4]);
        assert_eq!(constant(0).shape, [1, 4, 1, 1]);
        assert_eq!(output(&graph), [1, 4, 6, 8]);
    }
    let negative = |w: &mut Writer| (0..4).map(|_| w.floats(&[4], &[-1.0; 4])).collect();
    assert!(refused("BatchNormInference", "opset5", data, negative).contains("not positive"));
    let short = |w: &mut Writer| (0..4).map(|_| w.floats(&[3], &[1.0; 3])).collect();
    assert!(refused("BatchNormInference", "opset5", data, short).contains("4 channels"));
}

#[test]
fn a_shape_computed_from_a_dynamic_batch_is_a_constant() {
    // What exporters write for "flatten": reshape to [shape(x)[0], -1].
    let mut w = Writer::default();
    let x = w.input("?,4,6,8");
    let shape = w.layer("ShapeOf", "opset3", r#"output_type="i64""#, &[x]);
    let (index, axis) = (w.integers(&[0]), w.integers(&[0]));
    let batch = w.layer("Gather", "opset8", r#"batch_dims="0""#, &[shape, index, axis]);
    let rest = w.integers(&[-1]);
    let target = w.layer("Concat", "opset1", r#"axis="0""#, &[batch, rest]);
    let y = w.layer("Reshape", "opset1", r#"special_zero="false""#, &[x, target]);
    let graph = w.graph(y);
    assert_eq!(*only(&graph), Op::Reshape { shape: vec![1, 192] });
    assert_eq!(graph.value(graph.inputs[0]).shape, [1, 4, 6, 8]);
}

#[test]
fn integer_arithmetic_on_shapes() {
    let mut w = Writer::default();
    let x = w.input("1,4,6,8");
    let (a, b) = (w.integers(&[2, 96]), w.integers(&[2]));
    let half = w.layer("Divide", "opset1", "", &[a, b]);
    let target = w.layer("Multiply", "opset1", "", &[half, b]);
    let y = w.layer("Reshape", "opset1", "", &[x, target]);
    assert_eq!(output(&w.graph(y)), [2, 96]);
    let mut w = Writer::default();
    let x = w.input("1,4");
    let (a, b) = (w.integers(&[1]), w.integers(&[0]));
    let target = w.layer("Divide", "opset1", "", &[a, b]);
    let y = w.layer("Reshape", "opset1", "", &[x, target]);
    assert!(w.refused(y).contains("division by zero"));
}

#[test]
fn constants_of_every_type_are_widened() {
    let add = |element: &str, bytes: &[u8]| {
        let mut w = Writer::default();
        let x = w.input("1,2");
        let c = w.raw(element, &[2], bytes);
        let c = w.layer("Convert", "opset1", r#"destination_type="f32""#, &[c]);
        let y = w.layer("Add", "opset1", "", &[x, c]);
        let graph = w.graph(y);
        let tensor = graph.constant(graph.nodes[0].inputs[1]).unwrap().clone();
        tensor.as_f32().unwrap().to_vec()
    };
    assert_eq!(add("f32", &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]), [1.0, -2.0]);
    assert_eq!(add("f16", &[0, 0x3c, 0, 0xc0]), [1.0, -2.0]);
    assert_eq!(add("bf16", &[0x80, 0x3f, 0, 0xc0]), [1.0, -2.0]);
    assert_eq!(add("f64", &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0]), [1.0, -2.0]);
    assert_eq!(add("i8", &[1, 0xfe]), [1.0, -2.0]);
    assert_eq!(add("u8", &[1, 0xfe]), [1.0, 254.0]);
    assert_eq!(add("i16", &[1, 0, 0xfe, 0xff]), [1.0, -2.0]);
    assert_eq!(add("u16", &[1, 0, 0xfe, 0xff]), [1.0, 65534.0]);
    assert_eq!(add("i32", &[1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]), [1.0, -2.0]);
    assert_eq!(add("u32", &[1, 0, 0, 0, 2, 0, 0, 0]), [1.0, 2.0]);
    assert_eq!(add("i64", &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]), [1.0, 2.0]);
    assert_eq!(add("u64", &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]), [1.0, 2.0]);
    assert_eq!(add("boolean", &[1, 0]), [1.0, 0.0]);
}

#[test]
fn an_integer_input_is_float_once_it_is_converted() {
    let mut w = Writer::default();
    let x = w.layer("Parameter", "opset1", r#"shape="1,4" element_type="u8""#, &[]);
    let f = w.layer("Convert", "opset1", r#"destination_type="f32""#, &[x]);
    let y = w.layer("ReLU", "opset1", "", &[f]);
    assert_eq!(*only(&w.graph(y)), Op::Unary(UnaryOp::Relu));
    let mut w = Writer::default();
    let x = w.layer("Parameter", "opset1", r#"shape="1,4" element_type="u8""#, &[]);
    let y = w.layer("ReLU", "opset1", "", &[x]);
    assert!(w.refused(y).contains("convert the input to f32"));
    assert!(refused("Convert", "opset1", r#"destination_type="i8""#, none).contains("I8"));
}
