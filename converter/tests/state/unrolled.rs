//! A streaming network against the same network over the whole sequence at once, bit for bit.

use carafe::{Model, Session};
use carafe_converter::lower::lower;
use carafe_converter::plan::{PlanOptions, plan};
use carafe_converter::write::{WriteOptions, write};
use carafe_converter::{Options, convert, twin};
use carafe_graph::{Activation, Conv2d, Graph, Layout, Op, Pads, Tensor, shape};

/// Bytes that depend on a seed alone.
pub fn bytes(seed: u64, n: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    (0..n).map(|_| next()).collect()
}

fn noise(seed: u64, shape: &[usize], scale: f32) -> Tensor {
    let data: Vec<f32> =
        bytes(seed, shape.iter().product()).iter().map(|&b| (f32::from(b) - 127.5) / 127.5 * scale).collect();
    Tensor::f32(shape, data)
}

/// `frames` new rows a step through three convolutions over time, each behind its history, and 32 steps of a sequence.
pub fn streaming(frames: usize, seed: u64) -> (Graph, Vec<Vec<Tensor>>) {
    let mut g = Graph { name: "streaming".into(), ..Graph::default() };
    let input = g.add_value("x", [1, frames, 3, 4]);
    g.inputs.push(input);
    let mut x = input;
    for (i, (kernel, dilation, channels, strip)) in [(3, 1, 8, 3), (3, 2, 6, 1), (5, 1, 5, 1)].into_iter().enumerate() {
        let keep = (kernel - 1) * dilation;
        x = g.add_node(format!("history{i}"), "test", Op::History { axis: 1, keep }, [x]).unwrap();
        let c = g.value(x).shape[3];
        let weights = noise(seed + 10 + i as u64, &[channels, c, kernel, strip], 0.3);
        let weights = g.add_constant(format!("w{i}"), weights);
        let bias = g.add_constant(format!("b{i}"), noise(seed + 20 + i as u64, &[channels], 0.2));
        let op = Conv2d {
            strides: [1, 1],
            dilations: [dilation, 1],
            pads: Pads::default(),
            groups: 1,
            layout: Layout::Nhwc,
            activation: Activation::Relu,
        };
        x = g.add_node(format!("conv{i}"), "test", Op::Conv2d(op), [x, weights, bias]).unwrap();
    }
    g.outputs.push(x);
    let samples = (0..32).map(|i| vec![noise(seed * 1000 + i, &[1, frames, 3, 4], 1.0)]).collect();
    (g, samples)
}

/// The same nodes over `frames` rows at once: what came before the first is padding.
fn unroll(graph: &mut Graph, frames: usize) {
    graph.values[graph.inputs[0].0].shape[1] = frames;
    let mut keep = 0;
    for mut node in std::mem::take(&mut graph.nodes) {
        match &mut node.op {
            Op::History { keep: k, .. } => {
                keep = *k;
                // What read the result reads the operand, and pads it itself.
                let (from, to) = (node.outputs[0], node.inputs[0]);
                graph.values[from.0].shape = graph.values[to.0].shape.clone();
                node.op = Op::Reshape { shape: graph.values[to.0].shape.clone() };
            }
            Op::Conv2d(c) => {
                c.pads.top = keep;
                graph.values[node.outputs[0].0].shape = shape::infer(graph, &node).unwrap().remove(0);
            }
            _ => {}
        }
        graph.nodes.push(node);
    }
}

#[test]
fn steps_make_the_rows_of_the_whole_sequence() {
    for (frames, seed) in [(1, 1), (2, 2), (4, 3), (7, 4)] {
        let (graph, samples) = streaming(frames, seed);
        let options = Options { plan: PlanOptions::default(), ..Options::default() };
        let converted = convert(graph, &samples, &options, &()).unwrap_or_else(|e| panic!("{e}"));
        let model = Model::verify(&converted.blob, carafe::ops::ALL).unwrap();
        let steps = 20;
        let sequence: Vec<Vec<u8>> = (0..steps).map(|i| bytes(seed + i, frames * 3 * 4)).collect();
        let (mut arena, mut state) = (vec![9; model.arena_bytes()], vec![9; model.state_bytes()]);
        let mut session = Session::with_state(model, &mut state).unwrap();
        let mut streamed = Vec::new();
        for x in &sequence {
            let answer = twin::run(&mut session, &mut arena, std::slice::from_ref(x), ()).unwrap();
            streamed.extend_from_slice(&answer[0]);
        }

        // The same numbers stand for the same things: scales and weights are those of the streaming model.
        let mut quantized = converted.quantized.clone();
        unroll(&mut quantized.graph, frames * steps as usize);
        quantized.graph.check().unwrap();
        let lowered = lower(&quantized, None, carafe::blob::Cpu::Portable).unwrap();
        let whole = plan(&lowered, &PlanOptions::default()).unwrap();
        let blob = write(&lowered, &whole, &[], &WriteOptions::default()).unwrap();
        let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
        assert_eq!(model.state_bytes(), 0);
        let mut arena = vec![0; model.arena_bytes()];
        let want = twin::run(&mut Session::new(model), &mut arena, &[sequence.concat()], ()).unwrap();
        assert_eq!(streamed.len(), want[0].len(), "{frames} frames");
        assert!(streamed.iter().any(|&b| b != streamed[0]), "{frames} frames: all the same");
        assert_eq!(streamed, want[0], "{frames} frames");
    }
}
