//! The kernels in TFLite's arithmetic against TFLite itself, bit for bit, one operator at a time.

mod case;
mod rules;
#[path = "../support/mod.rs"]
mod support;

use carafe::OpCode;
use carafe::arithmetic::Tflite;
use carafe::ops::{AddRecord, ConvRecord, DenseRecord, LutRecord, MeanRecord, MulRecord, PoolRecord, SoftmaxRecord};
use case::{Case, Tensor};
use support::{Builder, bytes};

/// Operators without a kernel. One that gets a kernel has to leave this list, or the test fails.
const WITHOUT_KERNEL: [&str; 1] = ["pad"];

/// Bias with the zero point of the operand folded in, multiplier, shift.
fn channels(biases: &[i32], weights: &[i32], zero_point: i8, scales: &[f64]) -> Vec<u8> {
    let per_channel = weights.len() / biases.len();
    let of = |(o, &bias): (usize, &i32)| {
        let sum: i32 = weights[o * per_channel..][..per_channel].iter().sum();
        let (q, shift) = rules::quantize_multiplier(scales[o]);
        let bias = bias.wrapping_sub(i32::from(zero_point) * sum);
        [&bias.to_le_bytes()[..], &q.to_le_bytes(), &[shift as u8]].concat()
    };
    biases.iter().enumerate().flat_map(of).collect()
}

/// Scale of the accumulator over that of the result, per output channel.
fn ratios(x: &Tensor, w: &Tensor, y: &Tensor, n: usize) -> Vec<f64> {
    (0..n).map(|o| x.scale() * f64::from(*w.scales.get(o).unwrap_or(&w.scales[0])) / y.scale()).collect()
}

/// A model of one node.
fn single(x: &Tensor, y: &Tensor, make: impl FnOnce(&mut Builder) -> (OpCode, Vec<u8>)) -> Vec<u8> {
    let mut b = Builder::new::<Tflite>();
    let (op, fields) = make(&mut b);
    let place = b.alone(x.hwc(), x.zero_point, 0);
    let input = b.input(place);
    let place = b.alone(y.hwc(), y.zero_point, 0);
    let node = b.node(op, fields, &[input], place, 1);
    b.output(node);
    b.finish()
}

/// The answers of a model to the elements of a batch, joined.
fn answers(blob: &[u8], batch: &[Vec<i8>]) -> Vec<i8> {
    batch.iter().flat_map(|x| support::run(blob, std::slice::from_ref(x)).unwrap().remove(0)).collect()
}

fn convolution(case: &Case) -> Vec<i8> {
    let (x, y) = (&case.inputs[0], &case.output);
    let (w, bias) = (case.input("weights").unwrap(), case.input("bias").unwrap());
    let depthwise = case.op == "DEPTHWISE_CONV_2D";
    let [xh, xw, xc] = x.hwc();
    let [yh, yw, yc] = y.hwc();
    let (kh, kw) = (w.shape[1], w.shape[2]);
    let taps = kh * kw;
    let (plain, by_channel) = if depthwise {
        let transposed = (0..yc).flat_map(|o| (0..taps).map(move |t| (t, o))).map(|(t, o)| w.data[t * yc + o]);
        (w.data.clone(), transposed.collect())
    } else {
        // A group is a convolution over all channels with weights of 0 for those of other groups.
        let (ic, per_group) = (w.shape[3], yc / (xc / w.shape[3]));
        let mut whole = vec![0; yc * taps * xc];
        for (o, (to, from)) in whole.chunks_mut(taps * xc).zip(w.data.chunks(taps * ic)).enumerate() {
            for (to, from) in to.chunks_mut(xc).zip(from.chunks(ic)) {
                to[o / per_group * ic..][..ic].copy_from_slice(from);
            }
        }
        (whole.clone(), whole)
    };
    let (stride_h, stride_w) = (case.number("strideH"), case.number("strideW"));
    let (dilation_h, dilation_w) = (case.number("dilationHFactor"), case.number("dilationWFactor"));
    let padding = case.word("padding");
    let (lo, hi) = rules::bounds(case.word("fusedActivationFunction"), y);
    let blob = single(x, y, |b| {
        let channels = channels(&bias.data, &by_channel, x.zero_point, &ratios(x, w, y, yc));
        let weights = b.layer(&plain.iter().map(|&w| w as i8).collect::<Vec<i8>>(), &channels);
        let record = ConvRecord {
            kernel_h: kh as u8,
            kernel_w: kw as u8,
            stride_h: stride_h as u8,
            stride_w: stride_w as u8,
            dilation_h: dilation_h as u8,
            dilation_w: dilation_w as u8,
            pad_top: rules::pad(xh, yh, kh, stride_h, dilation_h, padding),
            pad_left: rules::pad(xw, yw, kw, stride_w, dilation_w, padding),
            lo,
            hi,
            shift: 0,
            packing: 0,
            weights,
        };
        (if depthwise { OpCode::DepthwiseConv2d } else { OpCode::Conv2d }, bytes(&record))
    });
    answers(&blob, &x.batch())
}

fn dense(case: &Case) -> Vec<i8> {
    let (x, y) = (&case.inputs[0], &case.output);
    let w = case.input("weights").unwrap();
    let n = w.shape[0];
    let bias = case.input("bias").map_or(vec![0; n], |b| b.data.clone());
    let mut scales = ratios(x, w, y, n);
    if w.scales.len() == 1 {
        // Per tensor, TFLite multiplies the two scales in single precision.
        scales = vec![f64::from(x.scales[0] * w.scales[0]) / y.scale(); n];
    }
    let (lo, hi) = rules::bounds(case.word("fusedActivationFunction"), y);
    let blob = single(x, y, |b| {
        let weights = b.layer(&w.i8(), &channels(&bias, &w.data, x.zero_point, &scales));
        (OpCode::Dense, bytes(&DenseRecord { lo, hi, shift: 0, packing: 0, weights }))
    });
    answers(&blob, &x.batch())
}

fn add(case: &Case) -> Vec<i8> {
    let (a, b, y) = (&case.inputs[0], &case.inputs[1], &case.output);
    // Operands of one shape: what TFLite broadcasts is repeated here.
    let repeated: Vec<i8> = b.i8().into_iter().cycle().take(a.data.len()).collect();
    let twice = 2.0 * a.scale().max(b.scale());
    let of = |real| rules::quantize_multiplier(real);
    let ((am, a_shift), (bm, b_shift)) = (of(a.scale() / twice), of(b.scale() / twice));
    let (out_multiplier, out_shift) = of(twice / (f64::from(1 << 20) * y.scale()));
    let (lo, hi) = rules::bounds(case.word("fusedActivationFunction"), y);
    let b_multiplier = if case.op == "SUB" { -bm } else { bm };
    let record = AddRecord { a_multiplier: am, b_multiplier, out_multiplier, a_shift, b_shift, out_shift, lo, hi };
    let mut m = Builder::new::<Tflite>();
    let inputs = [a.zero_point, b.zero_point].map(|zero_point| {
        let place = m.alone(a.hwc(), zero_point, 0);
        m.input(place)
    });
    let place = m.alone(y.hwc(), y.zero_point, 0);
    let node = m.node(OpCode::Add, bytes(&record), &inputs, place, 1);
    m.output(node);
    support::run(&m.finish(), &[a.i8(), repeated]).unwrap().remove(0)
}

fn mul(case: &Case) -> Vec<i8> {
    let (a, b, y) = (&case.inputs[0], &case.inputs[1], &case.output);
    let (multiplier, shift) = rules::quantize_multiplier(a.scale() * b.scale() / y.scale());
    let (lo, hi) = rules::bounds(case.word("fusedActivationFunction"), y);
    let mut m = Builder::new::<Tflite>();
    let inputs = [a, b].map(|x| {
        let place = m.alone(x.hwc(), x.zero_point, 0);
        m.input(place)
    });
    let place = m.alone(y.hwc(), y.zero_point, 0);
    let node = m.node(OpCode::Mul, bytes(&MulRecord { multiplier, shift, lo, hi }), &inputs, place, 1);
    m.output(node);
    support::run(&m.finish(), &[a.i8(), b.i8()]).unwrap().remove(0)
}

fn pool(case: &Case) -> Vec<i8> {
    let (x, y) = (&case.inputs[0], &case.output);
    let ([xh, xw, _], [yh, yw, _]) = (x.hwc(), y.hwc());
    let (kh, kw) = (case.number("filterHeight"), case.number("filterWidth"));
    let (sh, sw) = (case.number("strideH"), case.number("strideW"));
    let (lo, hi) = rules::bounds(case.word("fusedActivationFunction"), y);
    let padding = case.word("padding");
    let blob = single(x, y, |b| {
        let record = PoolRecord {
            kernel_h: kh as u8,
            kernel_w: kw as u8,
            stride_h: sh as u8,
            stride_w: sw as u8,
            pad_top: rules::pad(xh, yh, kh, sh, 1, padding),
            pad_left: rules::pad(xw, yw, kw, sw, 1, padding),
            lo,
            hi,
            shift: 0,
            exclude_pad: 1,
            multipliers: b.consts(&vec![0; 4 * kh * kw]),
        };
        let op = if case.op == "MAX_POOL_2D" { OpCode::MaxPool2d } else { OpCode::AvgPool2d };
        (op, bytes(&record))
    });
    answers(&blob, &x.batch())
}

fn mean(case: &Case) -> Vec<i8> {
    let (x, y) = (&case.inputs[0], &case.output);
    // Axes are neighbours: the tensor is outer × reduced × inner, and the reduced ones are the rows of a map.
    let axes: Vec<usize> = case.inputs[1].data.iter().map(|&a| a as usize).collect();
    assert!(axes.windows(2).all(|w| w[0] + 1 == w[1]), "{}", case.name);
    let product = |shape: &[usize]| shape.iter().product::<usize>();
    let (first, behind) = (axes[0], axes[axes.len() - 1] + 1);
    let (reduced, inner) = (product(&x.shape[first..behind]), product(&x.shape[behind..]));
    let (multiplier, shift) = rules::mean_multiplier(x.scale() / y.scale(), reduced as i64);
    let record = MeanRecord { bias: -(reduced as i32) * i32::from(x.zero_point), multiplier, shift, lo: -128, hi: 127 };
    let mut b = Builder::new::<Tflite>();
    let place = b.alone([reduced, 1, inner], x.zero_point, 0);
    let input = b.input(place);
    let place = b.alone([1, 1, inner], y.zero_point, 0);
    let node = b.node(OpCode::Mean, bytes(&record), &[input], place, 1);
    b.reduction(4 * inner);
    b.output(node);
    let batch: Vec<Vec<i8>> = x.i8().chunks(reduced * inner).map(<[i8]>::to_vec).collect();
    answers(&b.finish(), &batch)
}

fn softmax(case: &Case) -> Vec<i8> {
    let (x, y) = (&case.inputs[0], &case.output);
    let (multiplier, shift, diff_min) = rules::softmax(case.real("beta"), x.scales[0]);
    let record = SoftmaxRecord { table: 0, entries: 0, multiplier, shift, diff_min };
    answers(&single(x, y, |_| (OpCode::Softmax, bytes(&record))), &x.batch())
}

fn concat(case: &Case) -> Vec<i8> {
    let y = &case.output;
    let mut b = Builder::new::<Tflite>();
    let [h, w, c] = y.hwc();
    let whole = b.alone([h, w, c], y.zero_point, 0);
    let mut parts = Vec::new();
    let mut offset = 0;
    for x in &case.inputs {
        let place = b.alone(x.hwc(), x.zero_point, 0);
        let input = b.input(place);
        let [_, _, c] = x.hwc();
        // Copied into its slice of the joined tensor by the node before.
        let slice = support::Place { hwc: x.hwc(), offset, ..whole };
        parts.push((b.copy(input, slice, 1), c));
        offset += c as u16;
    }
    let (mut joined, mut wide) = parts[0];
    for &(part, c) in &parts[1..] {
        wide += c;
        let place = support::Place { hwc: [h, w, wide], ..whole };
        joined = b.node(OpCode::Concat, vec![], &[joined, part], place, 1);
    }
    b.output(joined);
    let inputs: Vec<Vec<i8>> = case.inputs.iter().map(Tensor::i8).collect();
    support::run(&b.finish(), &inputs).unwrap().remove(0)
}

fn lut(case: &Case) -> Option<Vec<i8>> {
    let table = rules::table(case)?;
    let (x, y) = (&case.inputs[0], &case.output);
    let blob = single(x, y, |b| (OpCode::Lut, bytes(&LutRecord { table: b.consts(&table) })));
    Some(answers(&blob, &x.batch()))
}

/// What the kernels answer; `None` if there is no kernel.
fn compute(case: &Case) -> Option<Vec<i8>> {
    Some(match case.op.as_str() {
        "CONV_2D" | "DEPTHWISE_CONV_2D" => convolution(case),
        "FULLY_CONNECTED" => dense(case),
        "ADD" | "SUB" => add(case),
        "MUL" => mul(case),
        "AVERAGE_POOL_2D" | "MAX_POOL_2D" => pool(case),
        "MEAN" => mean(case),
        "SOFTMAX" => softmax(case),
        "CONCATENATION" => concat(case),
        _ => return lut(case),
    })
}

#[test]
fn kernels_give_the_bits_of_tflite() {
    let cases = Case::all();
    assert!(cases.len() >= 110, "only {} golden cases", cases.len());
    let (mut wrong, mut skipped) = (Vec::new(), Vec::new());
    for case in &cases {
        match compute(case) {
            None => skipped.push(case.name.as_str()),
            Some(got) => {
                let want = case.output.i8();
                let off = got.iter().zip(&want).filter(|(a, b)| a != b).count();
                if got.len() != want.len() || off > 0 {
                    wrong.push(format!("{}: {off} of {} elements differ", case.name, want.len()));
                }
            }
        }
    }
    println!("{} cases, without kernel: {skipped:?}", cases.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(skipped, WITHOUT_KERNEL);
}
