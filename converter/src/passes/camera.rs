//! An input that takes the bytes of a camera: what `mean` and `scale` would do to them moves into the first layers.

use carafe_graph::{Activation, BinaryOp, Conv2d, Graph, Layout, Node, Op, Pads, Tensor, ValueId};

use super::affine::affine;
use super::rewrite::{self, Uses};
use crate::dataset::Preprocess;

/// An input of bytes.
///
/// A byte x of channel c stands for the number (x − mean) / scale that the model was trained with. The graph that
/// [`take_bytes`] makes is fed `unit · (x − zero)` instead, with one unit and one zero for all channels: x itself, counted
/// from the byte that pads. Its range is known ([`Op::FakeQuantize`]). What is left of mean and scale is in the weights and biases of the layers that read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Camera {
    /// By channel of the input.
    normalization: Vec<(f32, f32)>,
    unit: f32,
    zero: u8,
    /// Names of the layers that took mean and scale in; empty if a layer of its own does the arithmetic.
    pub folded: Vec<String>,
}

/// Why an input can't take bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// The model has no such input.
    #[error("input `{name}` of shape {shape:?} can't take bytes: {what}; let it take int8 instead")]
    Input {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Why.
        what: String,
    },
}

impl Camera {
    /// The byte nearest to a number of channel `c` of the model's input.
    pub fn byte(&self, real: f32, c: usize) -> u8 {
        byte(real, self.normalization.get(c).copied().unwrap_or((0.0, 1.0)))
    }

    /// A sample in the model's numbers, channels last, as the graph takes it.
    pub fn sample(&self, tensor: &Tensor) -> Tensor {
        let channels = self.normalization.len().max(1);
        let zero = f32::from(self.zero);
        let data = tensor.as_f32().unwrap_or(&[]).iter().enumerate();
        let data: Vec<f32> = data.map(|(i, &x)| self.unit * (f32::from(self.byte(x, i % channels)) - zero)).collect();
        Tensor::f32(tensor.shape.clone(), data)
    }

    /// The least and the greatest number that the graph's input takes.
    fn range(&self) -> (f32, f32) {
        (self.unit * -f32::from(self.zero), self.unit * (255.0 - f32::from(self.zero)))
    }

    /// Scale and zero point (a byte of u8) of the line nearest to mean and scale. Exact if they are the same for all
    /// channels and the mean is a byte.
    pub(crate) fn nearest_line(&self) -> (f32, i8) {
        let n = self.normalization.len().max(1) as f32;
        let scale = self.normalization.iter().map(|(_, s)| s.recip().abs()).sum::<f32>() / n;
        let mean = self.normalization.iter().map(|(m, _)| m).sum::<f32>() / n;
        (scale, mean.round().clamp(0.0, 255.0) as u8 as i8)
    }
}

/// The byte nearest to `real`.
pub(crate) fn byte(real: f32, (mean, scale): (f32, f32)) -> u8 {
    // A cast saturates.
    (f64::from(real) * f64::from(scale) + f64::from(mean)).round() as u8
}

/// `gain · x + offset` of a byte x, by channel.
struct Line {
    gain: Vec<f64>,
    offset: Vec<f64>,
}

impl Line {
    fn of(normalization: &[(f32, f32)]) -> Self {
        let gain: Vec<f64> = normalization.iter().map(|(_, s)| 1.0 / f64::from(*s)).collect();
        let offset = gain.iter().zip(normalization).map(|(g, (m, _))| -g * f64::from(*m)).collect();
        Self { gain, offset }
    }

    /// The bytes that stand for 0.
    fn zeros(&self) -> impl Iterator<Item = f64> {
        self.gain.iter().zip(&self.offset).map(|(g, o)| -o / g)
    }

    fn is_uniform(&self) -> bool {
        let same = |v: &[f64]| v.iter().all(|x| *x == v[0]);
        same(&self.gain) && same(&self.offset)
    }
}

/// Makes the first input of an optimised graph take bytes, normalised by `preprocess`; ids of values stay.
///
/// * Where all layers that read the input are convolutions or dense layers, weights are scaled and biases shifted. In the
///   padding of a convolution stands one byte for all channels, so this is done only if that byte is within half a unit
///   of every channel's mean (or nothing is padded): inside the image the result is exact, in the padding it is that of
///   the nearest byte.
/// * Else a layer of its own is put in front.
///
/// Arithmetic that the model does on its input by itself (subtracting a mean, scaling: `ovc --mean_values`, Keras'
/// `Rescaling`) is taken in likewise, and a FakeQuantize of the input is dropped: bytes need no rounding.
///
/// # Errors
/// If channels and means or scales do not fit together.
pub fn take_bytes(graph: &Graph, preprocess: &Preprocess) -> Result<(Graph, Camera), CameraError> {
    let mut graph = graph.clone();
    let Some(&input) = graph.inputs.first() else {
        return Err(CameraError::Input { name: graph.name, shape: vec![], what: "there is no input".into() });
    };
    let shape = graph.value(input).shape.clone();
    let refuse = |graph: &Graph, what: String| CameraError::Input {
        name: graph.value(input).name.clone(),
        shape: graph.value(input).shape.clone(),
        what,
    };
    let channels = shape.last().copied().unwrap_or(1);
    for (list, what) in [(&preprocess.mean, "means"), (&preprocess.scale, "scales")] {
        if list.len() > 1 && list.len() != channels {
            return Err(refuse(&graph, format!("there are {} {what} for {channels} channels", list.len())));
        }
    }
    let normalization: Vec<(f32, f32)> = (0..channels).map(|c| preprocess.normalization(c)).collect();
    let mut line = Line::of(&normalization);
    if line.gain.iter().chain(&line.offset).any(|x| !x.is_finite()) || line.gain.contains(&0.0) {
        return Err(refuse(&graph, "mean and scale are not finite".into()));
    }
    let value = absorb(&mut graph, input, &mut line);

    let unit = line.gain.iter().map(|g| g.abs()).sum::<f64>() / channels as f64;
    // Equal gains must leave the weights as they are, to the bit.
    let unit = if line.is_uniform() { line.gain[0].abs() } else { unit } as f32;
    let (least, greatest) = line.zeros().fold((f64::MAX, f64::MIN), |(l, g), z| (l.min(z), g.max(z)));
    let zero = if line.is_uniform() { least.round() } else { ((least + greatest) / 2.0).round() };
    let mut camera = Camera { normalization, unit, zero: zero as u8, folded: vec![] };
    let rest = Rest::of(&line, &camera);
    match fold(&mut graph, value, &line, &rest, &camera) {
        Some(folded) => {
            camera.folded = folded;
            rewrite::replace(&mut graph, value, input);
        }
        None => in_front(&mut graph, input, value, &line, &rest)
            .ok_or_else(|| refuse(&graph, "means or scales that differ need four axes".into()))?,
    }
    know_range(&mut graph, input, camera.range());
    Ok((graph, camera))
}

/// Puts a FakeQuantize behind the input: the quantizer keeps such a range, and does not measure one.
fn know_range(graph: &mut Graph, input: ValueId, (low, high): (f32, f32)) {
    let name = format!("{}/bytes", graph.value(input).name);
    let shape = graph.value(input).shape.clone();
    let made = graph.add_value(&name, shape);
    rewrite::replace(graph, input, made);
    let mut limit = |x: f32| graph.add_constant(format!("{name}/limit"), Tensor::f32([], vec![x]));
    let (low, high) = (limit(low), limit(high));
    let (op, inputs) = (Op::FakeQuantize { levels: 256 }, vec![input, low, high, low, high]);
    graph.nodes.insert(0, Node { name, origin: "preprocessing".into(), op, inputs, outputs: vec![made] });
}

/// What is left to do with the numbers of the graph's input: `ratio · v + shift`, by channel.
struct Rest {
    ratio: Vec<f64>,
    shift: Vec<f64>,
}

impl Rest {
    fn of(line: &Line, camera: &Camera) -> Self {
        // The unit as it was rounded, so that equal gains have a ratio of exactly 1.
        let ratio = |g: &f64| if (*g as f32).abs() == camera.unit { g.signum() } else { g / f64::from(camera.unit) };
        let shift = |(g, o): (&f64, &f64)| g * f64::from(camera.zero) + o;
        Self {
            ratio: line.gain.iter().map(ratio).collect(),
            shift: line.gain.iter().zip(&line.offset).map(shift).collect(),
        }
    }
}

/// Takes the arithmetic at the front of the graph into the line, and gives the value behind it.
fn absorb(graph: &mut Graph, input: ValueId, line: &mut Line) -> ValueId {
    let mut value = input;
    loop {
        let uses = Uses::of(graph);
        let mut readers = (0..graph.nodes.len()).filter(|&n| graph.nodes[n].inputs.contains(&value));
        let (Some(n), None) = (readers.next(), readers.next()) else { return value };
        if uses.is_output(value) || step(graph, n, value, line).is_none() {
            return value;
        }
        value = graph.nodes.remove(n).outputs[0];
    }
}

/// Takes node `n` into the line.
fn step(graph: &Graph, n: usize, value: ValueId, line: &mut Line) -> Option<()> {
    let node = &graph.nodes[n];
    if let (Op::FakeQuantize { .. }, &[x, in_low, in_high, out_low, out_high]) = (&node.op, node.inputs.as_slice()) {
        let same = |a, b| graph.constant(a).is_some() && graph.constant(a) == graph.constant(b);
        return (x == value && same(in_low, out_low) && same(in_high, out_high)).then_some(());
    }
    let Op::Binary { op, activation: Activation::None } = node.op else { return None };
    let (position, x, constant) = rewrite::with_constant(graph, &node.inputs)?;
    let shape = &graph.value(x).shape;
    if x != value || graph.value(node.outputs[0]).shape != *shape {
        return None;
    }
    let c = rewrite::per_channel(constant, shape, shape.len().checked_sub(1)?)?;
    let a = affine(op, position, c)?;
    let (mut gain, mut offset) = (line.gain.clone(), line.offset.clone());
    for (scale, x) in a.scale.iter().flatten().zip(gain.iter_mut().zip(&mut offset)) {
        *x.0 *= f64::from(*scale);
        *x.1 *= f64::from(*scale);
    }
    offset.iter_mut().zip(a.shift.iter().flatten()).for_each(|(o, s)| *o += f64::from(*s));
    let sane = gain.iter().all(|g| (1e-30..1e30).contains(&g.abs())) && offset.iter().all(|o| o.abs() < 1e30);
    sane.then(|| *line = Line { gain, offset })
}

/// Folds the rest into all layers that read `value`; their names, or `None` if one of them can't take it.
fn fold(graph: &mut Graph, value: ValueId, line: &Line, rest: &Rest, camera: &Camera) -> Option<Vec<String>> {
    if graph.outputs.contains(&value) {
        return None;
    }
    let near = line.zeros().all(|z| (z - f64::from(camera.zero)).abs() <= 0.5 + 1e-6);
    let readers: Vec<usize> = (0..graph.nodes.len()).filter(|&n| graph.nodes[n].inputs.contains(&value)).collect();
    let takes = |&n: &usize| {
        let node = &graph.nodes[n];
        let float = |v: &ValueId| graph.constant(*v).is_some_and(|t| t.as_f32().is_some());
        let layer = match &node.op {
            Op::Conv2d(c) => c.layout == Layout::Nhwc && (near || c.pads == Pads::default()),
            Op::Dense { .. } => true,
            _ => false,
        };
        layer && node.inputs[0] == value && node.inputs[1..].iter().all(float)
    };
    if readers.is_empty() || !readers.iter().all(takes) {
        return None;
    }
    readers.iter().map(|&n| fold_layer(graph, n, rest).map(|()| graph.nodes[n].name.clone())).collect()
}

fn fold_layer(graph: &mut Graph, n: usize, rest: &Rest) -> Option<()> {
    let node = graph.nodes[n].clone();
    let &[x, w, ..] = node.inputs.as_slice() else { return None };
    let weights = graph.constant(w)?.clone();
    let (&outputs, &inputs) = (weights.shape.first()?, weights.shape.get(1)?);
    let groups = if let Op::Conv2d(c) = &node.op { c.groups } else { 1 };
    let taps: usize = weights.shape[2..].iter().product();
    // Of output o, weights i·taps.. belong to input channel i of o's group.
    let channel = |o: usize, i: usize| o / (outputs / groups.max(1)).max(1) * inputs + i;
    let data = weights.as_f32()?;
    let mut scaled = Vec::with_capacity(data.len());
    let mut shifts = vec![0.0f64; outputs];
    for (k, tap) in data.chunks_exact(taps.max(1)).enumerate() {
        let c = channel(k / inputs, k % inputs);
        let (ratio, shift) = (*rest.ratio.get(c)?, *rest.shift.get(c)?);
        scaled.extend(tap.iter().map(|&w| (f64::from(w) * ratio) as f32));
        shifts[k / inputs] += shift * tap.iter().map(|&w| f64::from(w)).sum::<f64>();
    }
    let mut operands = vec![x, w];
    if rest.ratio.iter().any(|r| *r != 1.0) {
        operands[1] = graph.add_constant(graph.value(w).name.clone(), Tensor::f32(weights.shape.clone(), scaled));
    }
    let old = node.inputs.get(2).copied();
    if rest.shift.iter().any(|s| *s != 0.0) {
        let name = old.map_or_else(|| format!("{}/bias", node.name), |b| graph.value(b).name.clone());
        let bias = old.and_then(|b| graph.constant(b)?.as_f32().map(<[f32]>::to_vec));
        let bias = bias.unwrap_or_else(|| vec![0.0; outputs]);
        let bias: Vec<f32> = bias.iter().zip(&shifts).map(|(&b, s)| (f64::from(b) + s) as f32).collect();
        operands.push(graph.add_constant(name, Tensor::f32([outputs], bias)));
    } else {
        operands.extend(old);
    }
    graph.nodes[n].inputs = operands;
    Some(())
}

/// Puts a layer in front that makes `value` of the input: a table where all channels are alike, else a 1×1 convolution
/// of every channel by itself, which on the device is as exact and smaller than a table for each.
fn in_front(graph: &mut Graph, input: ValueId, value: ValueId, line: &Line, rest: &Rest) -> Option<()> {
    let shape = graph.value(input).shape.clone();
    let channels = line.gain.len();
    let name = format!("{}/normalize", graph.value(input).name);
    let made = if value == input { graph.add_value(&name, shape.clone()) } else { value };
    if value == input {
        rewrite::replace(graph, input, made);
    }
    let (op, operands) = if line.is_uniform() && rest.ratio.iter().all(|r| *r == 1.0) {
        let shift = graph.add_constant(format!("{name}/shift"), Tensor::f32([1], vec![rest.shift[0] as f32]));
        (Op::Binary { op: BinaryOp::Add, activation: Activation::None }, vec![input, shift])
    } else if shape.len() == 4 {
        let single = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<_>>();
        let w = graph.add_constant(format!("{name}/scale"), Tensor::f32([channels, 1, 1, 1], single(&rest.ratio)));
        let b = graph.add_constant(format!("{name}/shift"), Tensor::f32([channels], single(&rest.shift)));
        let conv = Conv2d {
            strides: [1, 1],
            dilations: [1, 1],
            pads: Pads::default(),
            groups: channels,
            layout: Layout::Nhwc,
            activation: Activation::None,
        };
        (Op::Conv2d(conv), vec![input, w, b])
    } else {
        return None;
    };
    graph.nodes.insert(0, Node { name, origin: "preprocessing".into(), op, inputs: operands, outputs: vec![made] });
    Some(())
}
