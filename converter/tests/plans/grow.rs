//! Random graphs. To add an op, write a [`Make`] and put it into [`MAKERS`].

use carafe_graph::{Activation, BinaryOp, Conv2d, Layout, Op, Pads, PoolKind, SpaceToDepth, UnaryOp, ValueId};

use crate::model::{Model, Random, plain};

/// A graph under construction.
pub struct Growing {
    pub m: Model,
    /// Values of rank 4, oldest first.
    pub maps: Vec<ValueId>,
    /// Values of rank 2.
    pub vectors: Vec<ValueId>,
}

/// Adds something that reads `x`, a map; numbers choose the details. None if it does not fit what is there.
type Make = fn(&mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId>;

/// What can be added, and how often.
const MAKERS: &[(usize, Make)] = &[
    (2, conv),
    (2, depthwise),
    (1, pool),
    (2, add),
    (2, concat),
    (1, skip),
    (1, bottleneck),
    (2, upsample),
    (2, slice),
    (1, unet),
    (1, mul),
    (1, gate),
    (1, space_to_depth),
    (1, split),
    (2, unary),
    (1, mean),
    (1, dense),
    (1, reshape),
    (1, softmax),
    (1, from_vector),
    (2, output),
];

/// One step of making a graph: what to add, and numbers that choose the details.
pub type Growth = (usize, u64);

/// Kinds of [`Growth`]: its first number is below this.
pub fn kinds() -> usize {
    MAKERS.iter().map(|m| m.0).sum()
}

/// A graph that grows step by step; steps that do not fit what is there are left out.
pub fn grow(seed: u64, [h, w, c]: [usize; 3], second: bool, steps: &[Growth]) -> Model {
    let mut m = Model::new(seed);
    let mut maps = vec![m.input(&[1, h, w, c])];
    if second {
        maps.push(m.input(&[1, h, w, 2]));
    }
    let mut g = Growing { m, maps, vectors: Vec::new() };
    for &(kind, numbers) in steps {
        let mut n = Random(numbers);
        // Later values more often, so that graphs are deep.
        let back = n.below(g.maps.len()).min(n.below(g.maps.len()));
        let x = g.maps[g.maps.len() - 1 - back];
        let mut left = kind;
        let make = MAKERS.iter().find(|(weight, _)| {
            let here = left < *weight;
            left = left.saturating_sub(*weight);
            here
        });
        let Some(made) = make.and_then(|(_, make)| make(&mut g, x, &mut n)) else { continue };
        if g.m.shape(made).len() == 4 { g.maps.push(made) } else { g.vectors.push(made) }
    }
    let Growing { mut m, maps, .. } = g;
    // What was made last is always an output: there is something to run.
    let last = match m.graph.nodes.last().map(|n| n.outputs[0]) {
        Some(last) => last,
        None => m.conv3(maps[0], 2),
    };
    if !m.graph.outputs.contains(&last) {
        m.output(last);
    }
    m
}

fn activation(n: &mut Random) -> Activation {
    [Activation::None, Activation::Relu, Activation::Clamp(-0.5, 1.5)][n.below(3)]
}

/// A convolution whose kernel fits, or none.
fn convolution(g: &mut Growing, x: ValueId, n: &mut Random, depthwise: bool) -> Option<ValueId> {
    let shape = g.m.shape(x);
    let kernel = [1 + n.below(3), 1 + n.below(3)];
    let dilations = if n.below(4) == 0 { [2, 2] } else { [1, 1] };
    let pads = Pads { top: n.below(3), left: n.below(3), bottom: n.below(3), right: n.below(3) };
    let fits = |size: usize, k: usize, d: usize, p: usize| size + p > (k - 1) * d;
    if !fits(shape[1], kernel[0], dilations[0], pads.top + pads.bottom)
        || !fits(shape[2], kernel[1], dilations[1], pads.left + pads.right)
    {
        return None;
    }
    let op = Conv2d {
        strides: [1 + n.below(2), 1 + n.below(2)],
        dilations,
        pads,
        groups: usize::from(!depthwise),
        activation: activation(n),
        ..plain(1, 0)
    };
    let channels = if depthwise { 1 + n.below(2) } else { 1 + n.below(5) };
    (shape[3] * channels <= 64).then(|| g.m.conv(x, channels, op, kernel))
}

fn conv(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    convolution(g, x, n, false)
}

fn depthwise(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    convolution(g, x, n, true)
}

fn pool(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let shape = g.m.shape(x);
    let kind = [PoolKind::Max, PoolKind::AverageExcludePad, PoolKind::AverageIncludePad][n.below(3)];
    let (kernel, stride) = (1 + n.below(3), 1 + n.below(2));
    let pad = n.below(2).min(kernel - 1);
    (shape[1] + 2 * pad >= kernel && shape[2] + 2 * pad >= kernel).then(|| g.m.pool(x, kind, kernel, stride, pad))
}

fn add(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let shape = g.m.shape(x);
    let same: Vec<ValueId> = g.maps.iter().copied().filter(|&v| g.m.shape(v) == shape).collect();
    let other = same[n.below(same.len())];
    let op = if n.below(3) == 0 { BinaryOp::Sub } else { BinaryOp::Add };
    Some(g.m.node(Op::Binary { op, activation: activation(n) }, &[x, other]))
}

fn concat(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let shape = g.m.shape(x);
    let fits = |v: &ValueId| g.m.shape(*v)[1..3] == shape[1..3] && g.m.shape(*v)[3] < 12;
    let like: Vec<ValueId> = g.maps.iter().copied().filter(fits).collect();
    if like.is_empty() {
        return None;
    }
    let parts: Vec<ValueId> = (0..2 + n.below(2)).map(|_| like[n.below(like.len())]).collect();
    Some(g.m.concat(&parts))
}

/// A long branch joined with what it started from: the skip waits.
fn skip(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    if g.m.shape(x)[3] >= 12 {
        return None;
    }
    let mut y = x;
    for _ in 0..1 + n.below(3) {
        y = g.m.conv3(y, 1 + n.below(4));
        g.maps.push(y);
    }
    Some(g.m.concat(&[x, y]))
}

/// A small U-net: down, through, and up again by giving the elements of the small map other extents (which needs all
/// of it at once), joined with what it started from.
fn bottleneck(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let [_, h, w, c] = g.m.shape(x)[..] else { return None };
    if h % 2 != 0 || w % 2 != 0 || c > 6 {
        return None;
    }
    let mut y = g.m.conv(x, 4 * c, Conv2d { activation: activation(n), ..plain(2, 1) }, [3, 3]);
    if n.below(2) == 0 {
        y = g.m.conv3(y, 4 * c);
    }
    let y = g.m.reshape(y, &[1, h, w, c]);
    let y = g.m.conv3(y, 1 + n.below(4));
    Some(g.m.concat(&[x, y]))
}

/// Enlarges a map that is small enough.
fn upsample(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let [_, h, w, _] = g.m.shape(x)[..] else { return None };
    let factors = [1 + n.below(3), 1 + n.below(3)];
    (h * factors[0] <= 24 && w * factors[1] <= 24).then(|| g.m.upsample(x, factors))
}

/// Any part of a map, most often all rows and columns of some channels.
fn slice(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let [_, h, w, c] = g.m.shape(x)[..] else { return None };
    let crop = n.below(3) == 0;
    let mut part = |extent: usize, some: bool| {
        let from = if some { n.below(extent) } else { 0 };
        (from, if some { from + 1 + n.below(extent - from) } else { extent })
    };
    let ranges = [part(h, crop), part(w, crop), part(c, true)];
    Some(g.m.slice(x, ranges))
}

/// Blocks of pixels to channels.
fn space_to_depth(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let [_, h, w, c] = g.m.shape(x)[..] else { return None };
    let block = 1 + n.below(3);
    let fits = h % block == 0 && w % block == 0 && c * block * block <= 48;
    let op = SpaceToDepth { block, depth_first: n.below(2) == 0, layout: Layout::Nhwc };
    fits.then(|| g.m.node(Op::SpaceToDepth(op), &[x]))
}

/// Product of two maps of one shape, or of one with itself.
fn mul(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let shape = g.m.shape(x);
    let same: Vec<ValueId> = g.maps.iter().copied().filter(|&v| g.m.shape(v) == shape).collect();
    let other = same[n.below(same.len())];
    Some(g.m.node(Op::Binary { op: BinaryOp::Mul, activation: activation(n) }, &[x, other]))
}

/// Squeeze and excite: one number per channel of all pixels, through a layer, times every pixel.
fn gate(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let c = g.m.shape(x)[3];
    let squeezed = g.m.mean(x, true);
    let gate = g.m.conv(squeezed, c, plain(1, 0), [1, 1]);
    let gate = g.m.unary(gate, [UnaryOp::Sigmoid, UnaryOp::HardSigmoid { alpha: 0.2, beta: 0.5 }][n.below(2)]);
    let operands = if n.below(2) == 0 { [x, gate] } else { [gate, x] };
    Some(g.m.node(Op::Binary { op: BinaryOp::Mul, activation: activation(n) }, &operands))
}

/// A U-net: down, through, enlarged again, cut to the size of what it started from, and joined with that.
fn unet(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let [_, h, w, c] = g.m.shape(x)[..] else { return None };
    if c > 6 || h > 16 || w > 16 {
        return None;
    }
    let mut y = match n.below(3) {
        0 => g.m.pool(x, PoolKind::Max, 2, 2, 1),
        _ => g.m.conv(x, 1 + n.below(6), Conv2d { activation: activation(n), ..plain(2, 1) }, [3, 3]),
    };
    match n.below(3) {
        0 => {}
        1 => y = g.m.conv3(y, 1 + n.below(4)),
        // One level deeper.
        _ => y = unet(g, y, n).unwrap_or(y),
    }
    let mut y = g.m.upsample(y, [2, 2]);
    g.maps.push(y);
    let [_, up_h, up_w, up_c] = g.m.shape(y)[..] else { return None };
    if [up_h, up_w] != [h, w] {
        let (top, left) = (n.below(up_h - h + 1), n.below(up_w - w + 1));
        y = g.m.slice(y, [(top, top + h), (left, left + w), (0, up_c)]);
    }
    let joined = g.m.concat(&[x, y]);
    Some(if n.below(2) == 0 { g.m.conv3(joined, 1 + n.below(4)) } else { joined })
}

/// Channels split in two, one part or both through layers, and joined again, as it is or exchanged.
fn split(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let [_, h, w, c] = g.m.shape(x)[..] else { return None };
    if c < 2 {
        return None;
    }
    let at = 1 + n.below(c - 1);
    let mut parts = [(0, at), (at, c)].map(|channels| g.m.slice(x, [(0, h), (0, w), channels]));
    for part in &mut parts {
        for _ in 0..n.below(3) {
            let channels = g.m.shape(*part)[3];
            *part = match n.below(3) {
                0 => g.m.conv3(*part, channels),
                1 => g.m.conv(*part, 1, Conv2d { groups: 0, activation: activation(n), ..plain(1, 1) }, [3, 3]),
                _ => g.m.unary(*part, UnaryOp::HardSwish),
            };
            g.maps.push(*part);
        }
    }
    if n.below(2) == 0 {
        parts.reverse();
    }
    Some(g.m.concat(&parts))
}

fn unary(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let ops = [UnaryOp::Relu, UnaryOp::Sigmoid, UnaryOp::HardSwish, UnaryOp::LeakyRelu(0.1), UnaryOp::Tanh];
    Some(g.m.unary(x, ops[n.below(ops.len())]))
}

fn mean(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    Some(g.m.mean(x, n.below(2) == 0))
}

fn dense(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let from = match g.vectors.last() {
        Some(&v) if n.below(3) > 0 => v,
        _ => x,
    };
    Some(g.m.dense(from, 1 + n.below(5), activation(n)))
}

fn reshape(g: &mut Growing, x: ValueId, n: &mut Random) -> Option<ValueId> {
    let [_, h, w, c] = g.m.shape(x)[..] else { return None };
    let elements = h * w * c;
    let to: &[usize] = match n.below(4) {
        0 => &[1, elements],
        1 => &[1, h, w * c, 1],
        2 => &[1, 1, 1, elements],
        _ => &[1, w, h, c],
    };
    Some(g.m.reshape(x, to))
}

fn softmax(g: &mut Growing, x: ValueId, _: &mut Random) -> Option<ValueId> {
    let axis = g.m.shape(x).len() - 1;
    Some(g.m.node(Op::Softmax { axis }, &[x]))
}

/// A vector as a map of one pixel.
fn from_vector(g: &mut Growing, _: ValueId, _: &mut Random) -> Option<ValueId> {
    let v = *g.vectors.last()?;
    let c = g.m.shape(v)[1];
    Some(g.m.reshape(v, &[1, 1, 1, c]))
}

/// Makes a map an output of the graph.
fn output(g: &mut Growing, x: ValueId, _: &mut Random) -> Option<ValueId> {
    if !g.m.graph.inputs.contains(&x) && !g.m.graph.outputs.contains(&x) {
        g.m.output(x);
    }
    None
}
