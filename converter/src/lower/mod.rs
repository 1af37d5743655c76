//! From a quantized graph to ops of the device: op codes, record fields, packed weights, channel parameters, tables.
//!
//! One file per op (or family). Nothing is placed yet: the planner does that.

mod add;
mod concat;
mod conv2d;
mod dense;
mod history;
mod lut;
mod mean;
mod mul;
mod pack;
mod pool;
mod rescale;
mod reshape;
mod scale;
mod slice;
mod softmax;
mod space_to_depth;
mod upsample;

use std::collections::BTreeMap;

use carafe::blob::Cpu;
use carafe::record::Record;
use carafe::{DType, OpCode, TensorInfo};
use carafe_graph::{Activation, Graph, Node, NodeId, Op, UnaryOp, ValueId};
use carafe_quantizer::{Quant, QuantGraph};

use crate::passes::Camera;

/// Why a graph has no form on the device. The message names node, type, and remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// The op, or this case of it, has no kernel.
    #[error("{origin} `{node}`: {what}")]
    Unsupported {
        /// Node name.
        node: String,
        /// Node type in the source model.
        origin: String,
        /// What is not supported, and what to do.
        what: String,
    },
    /// The arithmetic cannot hold the numbers.
    #[error("{origin} `{node}`: {what}")]
    Arithmetic {
        /// Node name.
        node: String,
        /// Node type in the source model.
        origin: String,
        /// What overflows, and what to do.
        what: String,
    },
}

/// An operand: what a node made, or an input of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operand {
    /// The result of a node of [`Lowered::nodes`].
    Node(usize),
    /// An input of the graph.
    Input(usize),
}

/// A node of the device, not placed yet.
#[derive(Clone, Debug)]
pub struct LowerNode {
    /// Name in the source model.
    pub name: String,
    /// The op.
    pub op: OpCode,
    /// Its record without the header.
    pub fields: Vec<u8>,
    /// One or two operands.
    pub inputs: Vec<Operand>,
    /// Extents and zero point of the result.
    pub out: TensorInfo,
    /// Scale of the result; 0 if it has a scale per channel.
    pub scale: f32,
    /// The node of the quantized graph whose result this is, if it is one's.
    pub source: Option<NodeId>,
}

/// An input or output of the model as its user sees it.
#[derive(Clone, Debug)]
pub struct LowerIo {
    /// Name in the source model.
    pub name: String,
    /// Shape, batch included, NHWC.
    pub shape: Vec<usize>,
    /// Extents and zero point on the device.
    pub info: TensorInfo,
    /// Scale.
    pub scale: f32,
    /// Byte of the zero point that goes with the scale: that of the tensor, unless bytes of a camera are normalised by
    /// the model itself.
    pub zero_point: i8,
}

/// A model made of ops of the device.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Name of the model.
    pub name: String,
    /// Identifier of the arithmetic.
    pub arithmetic: u8,
    /// What weights are packed for.
    pub cpu: Cpu,
    /// In topological order.
    pub nodes: Vec<LowerNode>,
    /// Inputs.
    pub inputs: Vec<LowerIo>,
    /// Outputs, and where they come from.
    pub outputs: Vec<(LowerIo, Operand)>,
    /// Weights, channel parameters, tables.
    pub consts: Vec<u8>,
}

impl Lowered {
    /// Extents and zero point of an operand.
    pub fn info(&self, operand: Operand) -> TensorInfo {
        match operand {
            Operand::Node(n) => self.nodes[n].out,
            Operand::Input(i) => self.inputs[i].info,
        }
    }

    /// What a kernel's `check` reads of node `n`.
    pub fn node(&self, n: usize) -> carafe::Node<'_> {
        let node = &self.nodes[n];
        carafe::Node {
            id: carafe::NodeId(n as u16),
            header: carafe::blob::NodeHeader {
                op: node.op.0,
                version: 1,
                flags: 0,
                band: 1,
                in0: 0,
                in1: carafe::blob::NONE,
            },
            record: &node.fields,
            consts: &self.consts,
            in0: self.info(node.inputs[0]),
            in1: node.inputs.get(1).map(|&i| self.info(i)),
            out: node.out,
        }
    }
}

/// Lowers a quantized graph, in Carafe's native arithmetic, with weights packed for `cpu`. With a `camera`, the first
/// input takes bytes.
pub fn lower(quant: &QuantGraph, camera: Option<&Camera>, cpu: Cpu) -> Result<Lowered, LowerError> {
    let mut cx = Lowering {
        quant,
        out: Lowered {
            name: quant.graph.name.clone(),
            arithmetic: <carafe::arithmetic::Native as carafe::arithmetic::Arithmetic>::ID,
            cpu,
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            consts: Vec::new(),
        },
        operands: BTreeMap::new(),
        users: quant.graph.users(),
        bytes: camera.and(quant.graph.inputs.first().copied()),
    };
    let nowhere = Place { node: "<graph>", origin: "graph" };
    for (i, &v) in quant.graph.inputs.iter().enumerate() {
        let mut io = cx.io(nowhere, v)?;
        if let (0, Some(camera)) = (i, camera) {
            (io.scale, io.zero_point) = camera.nearest_line();
        }
        cx.out.inputs.push(io);
        cx.operands.insert(v, Operand::Input(i));
    }
    for (i, node) in quant.graph.nodes.iter().enumerate() {
        let mut step = Step { cx: &mut cx, node, id: NodeId(i) };
        match &node.op {
            Op::Conv2d(c) => conv2d::lower(&mut step, c)?,
            Op::Dense { activation } => dense::lower(&mut step, *activation)?,
            Op::Binary { op, activation } => add::lower(&mut step, *op, *activation)?,
            Op::Unary(UnaryOp::Clamp(lo, hi)) if step.has_channels()? => rescale::lower(&mut step, *lo, *hi)?,
            Op::Unary(_) => lut::lower(&mut step, 0)?,
            Op::Pool2d(p) => pool::lower(&mut step, p)?,
            Op::Reduce { op, axes, .. } => mean::lower(&mut step, *op, axes)?,
            Op::Softmax { axis } => softmax::lower(&mut step, *axis)?,
            Op::Concat { axis } => concat::lower(&mut step, *axis)?,
            Op::History { axis, .. } => history::lower(&mut step, *axis)?,
            Op::Reshape { .. } => reshape::lower(&mut step)?,
            Op::Slice { begin, .. } => slice::lower(&mut step, begin)?,
            Op::SpaceToDepth(p) => space_to_depth::lower(&mut step, p)?,
            Op::Upsample { factors } => upsample::lower(&mut step, factors)?,
            Op::MatMul { .. } => {
                return Err(step.unsupported("a matrix product of two activations has no kernel yet"));
            }
            Op::Transpose { perm } => {
                return Err(step.unsupported(format!(
                    "this transposition ({perm:?}) could not be cancelled, and the device has no kernel for it; \
                     export the model with channels last"
                )));
            }
            Op::FakeQuantize { .. } => {
                return Err(step.unsupported("the quantizer has left this FakeQuantize in the graph"));
            }
            Op::Pad { .. } => {
                return Err(step.unsupported("this padding could not be folded into the op behind it"));
            }
        }
    }
    for &v in &quant.graph.outputs {
        let io = cx.io(nowhere, v)?;
        let mut operand = cx.operand(nowhere, v)?;
        // An output has to be a tensor of its own: an input handed through is copied, and so is one given twice, or one
        // that lies in the state.
        let taken = cx.out.outputs.iter().any(|(_, o)| *o == operand);
        if matches!(operand, Operand::Input(_)) || taken || cx.is_state(operand) {
            let name = quant.graph.value(v).name.clone();
            operand = cx.copy(name, operand, io.scale);
        }
        cx.out.outputs.push((io, operand));
    }
    if cx.out.nodes.is_empty() {
        return Err(nowhere.unsupported("the graph has no node left to run"));
    }
    Ok(cx.out)
}

/// Of a list with an entry for each axis of a graph's tensor, those of row, column and channel on the device; axes that
/// the graph has not are `none`. `None` if the batch has another entry, or there are more than four.
fn axes_hwc(list: &[usize], none: usize) -> Option<(usize, usize, usize)> {
    match *list {
        [] => Some((none, none, none)),
        [c] => Some((none, none, c)),
        [n, c] if n == none => Some((none, none, c)),
        [n, t, c] if n == none => Some((t, none, c)),
        [n, h, w, c] if n == none => Some((h, w, c)),
        _ => None,
    }
}

/// Where an error is: node and type.
#[derive(Clone, Copy)]
struct Place<'a> {
    node: &'a str,
    origin: &'a str,
}

impl Place<'_> {
    fn unsupported(self, what: impl Into<String>) -> LowerError {
        LowerError::Unsupported { node: self.node.into(), origin: self.origin.into(), what: what.into() }
    }
}

/// The state of a lowering.
struct Lowering<'q> {
    quant: &'q QuantGraph,
    out: Lowered,
    operands: BTreeMap<ValueId, Operand>,
    users: Vec<Vec<NodeId>>,
    /// The input that takes bytes: the quantized graph counts them from −128, the device from 0.
    bytes: Option<ValueId>,
}

impl Lowering<'_> {
    /// Extents on the device of a graph's shape: batch 1, then row, column, channel.
    fn extents(place: Place<'_>, graph: &Graph, v: ValueId) -> Result<(u16, u16, u16), LowerError> {
        let value = graph.value(v);
        let Some(hwc) = axes_hwc(&value.shape, 1) else {
            let what = format!(
                "tensor `{}` has shape {:?}; the device runs batch 1 and at most four axes",
                value.name, value.shape
            );
            return Err(place.unsupported(what));
        };
        let fit = |x: usize| u16::try_from(x).ok().filter(|&x| x > 0 && x < u16::MAX);
        match (fit(hwc.0), fit(hwc.1), fit(hwc.2)) {
            (Some(h), Some(w), Some(c)) => Ok((h, w, c)),
            _ => {
                let what = format!("tensor `{}` has shape {:?}; extents are 1..=65534", value.name, value.shape);
                Err(place.unsupported(what))
            }
        }
    }

    /// The parameters of a value, with one scale or one per channel.
    fn any_quant(&self, place: Place<'_>, v: ValueId) -> Result<&Quant, LowerError> {
        let missing = || place.unsupported(format!("tensor `{}` has no quantization", self.quant.graph.value(v).name));
        self.quant.activation(v).ok_or_else(missing)
    }

    /// The parameters of a value, which must have one scale.
    fn quant(&self, place: Place<'_>, v: ValueId) -> Result<&Quant, LowerError> {
        let q = self.any_quant(place, v)?;
        if q.scales.len() == 1 {
            Ok(q)
        } else {
            let name = &self.quant.graph.value(v).name;
            Err(place.unsupported(format!("tensor `{name}` has a scale per channel, which this op cannot work with")))
        }
    }

    fn info(&self, place: Place<'_>, v: ValueId) -> Result<TensorInfo, LowerError> {
        let (h, w, c) = Self::extents(place, &self.quant.graph, v)?;
        let q = self.any_quant(place, v)?;
        let info = TensorInfo::unplaced(h, w, c, q.zero_point.clamp(-128, 127) as i8);
        Ok(if self.bytes == Some(v) { as_bytes(info) } else { info })
    }

    fn io(&self, place: Place<'_>, v: ValueId) -> Result<LowerIo, LowerError> {
        let value = self.quant.graph.value(v);
        if value.shape.len() > 4 {
            return Err(place.unsupported(format!("tensor `{}` has more than four axes", value.name)));
        }
        let info = self.info(place, v)?;
        let (scale, zero_point) = (self.quant(place, v)?.scale(), info.zero_point);
        Ok(LowerIo { name: value.name.clone(), shape: value.shape.clone(), info, scale, zero_point })
    }

    fn operand(&self, place: Place<'_>, v: ValueId) -> Result<Operand, LowerError> {
        self.operands.get(&v).copied().ok_or_else(|| {
            place.unsupported(format!(
                "operand `{}` is a constant; this op takes constants only where they fold into weights",
                self.quant.graph.value(v).name
            ))
        })
    }

    /// Appends constants at a multiple of `align`; gives their byte.
    fn consts(&mut self, bytes: &[u8], align: usize) -> u32 {
        let at = self.out.consts.len().next_multiple_of(align);
        self.out.consts.resize(at, 0);
        self.out.consts.extend_from_slice(bytes);
        at as u32
    }

    /// Appends weights with the channel parameters behind them; gives the byte of the weights.
    fn layer(&mut self, mut weights: Vec<u8>, channels: &[u8]) -> u32 {
        weights.resize(weights.len().next_multiple_of(4), 0);
        weights.extend_from_slice(channels);
        self.consts(&weights, 4)
    }

    /// Appends a node; gives its operand.
    fn push(&mut self, node: LowerNode) -> Operand {
        self.out.nodes.push(node);
        Operand::Node(self.out.nodes.len() - 1)
    }

    /// True if an operand outlives the inference, whatever its shape is called.
    fn is_state(&self, operand: Operand) -> bool {
        let Operand::Node(n) = operand else { return false };
        match self.out.nodes[n].op {
            OpCode::History => true,
            OpCode::Reshape => self.is_state(self.out.nodes[n].inputs[0]),
            _ => false,
        }
    }

    /// A node that copies an operand.
    fn copy(&mut self, name: String, from: Operand, scale: f32) -> Operand {
        let out = match self.out.info(from) {
            info if info.unsigned() => TensorInfo { dtype: DType::I8, ..flipped(info) },
            info => info,
        };
        let fields = fields(&carafe::ops::LutRecord { table: carafe::ops::LutRecord::COPY });
        self.push(LowerNode { name, op: OpCode::Lut, fields, inputs: vec![from], out, scale, source: None })
    }
}

/// The lowering of one node.
struct Step<'c, 'q> {
    cx: &'c mut Lowering<'q>,
    node: &'q Node,
    id: NodeId,
}

impl<'q> Step<'_, 'q> {
    fn place(&self) -> Place<'q> {
        Place { node: &self.node.name, origin: &self.node.origin }
    }

    fn unsupported(&self, what: impl Into<String>) -> LowerError {
        self.place().unsupported(what)
    }

    fn overflow(&self, what: impl Into<String>) -> LowerError {
        LowerError::Arithmetic { node: self.node.name.clone(), origin: self.node.origin.clone(), what: what.into() }
    }

    fn value(&self, i: usize) -> ValueId {
        self.node.inputs[i]
    }

    fn out(&self) -> ValueId {
        self.node.outputs[0]
    }

    fn operand(&self, i: usize) -> Result<Operand, LowerError> {
        self.cx.operand(self.place(), self.value(i))
    }

    fn quant(&self, v: ValueId) -> Result<Quant, LowerError> {
        self.cx.quant(self.place(), v).cloned()
    }

    /// As `quant`, of a value that may have a scale per channel.
    fn any_quant(&self, v: ValueId) -> Result<Quant, LowerError> {
        self.cx.any_quant(self.place(), v).cloned()
    }

    /// Has the operand or the result a scale per channel?
    fn has_channels(&self) -> Result<bool, LowerError> {
        Ok(self.any_quant(self.value(0))?.scales.len() > 1 || self.any_quant(self.out())?.scales.len() > 1)
    }

    fn info(&self, v: ValueId) -> Result<TensorInfo, LowerError> {
        self.cx.info(self.place(), v)
    }

    /// Least and greatest int8 that a fused clamp lets through.
    fn clamp(&self, activation: Activation) -> Result<(i8, i8), LowerError> {
        let q = self.any_quant(self.out())?;
        let (lo, hi) = activation.range();
        let ends = |c| {
            let channel = Quant::per_tensor(q.scale_of(c), q.zero_point);
            (channel.quantize(lo), channel.quantize(hi))
        };
        let first = ends(0);
        if (1..q.scales.len()).all(|c| ends(c) == first) {
            Ok(first)
        } else {
            Err(self.unsupported(format!("the clamp {lo}..{hi} is another integer in each channel of the result")))
        }
    }

    /// The multipliers of a layer with these weight scales: scale of the operand times that of the weights over that of
    /// the result, for each output channel.
    fn multipliers(&self, weights: &[f32]) -> Result<Vec<f64>, LowerError> {
        let (x, y) = (self.any_quant(self.value(0))?, self.any_quant(self.out())?);
        let one = |(c, &w): (usize, &f32)| {
            f64::from(x.scale_under(c, weights.len())) * f64::from(w) / f64::from(y.scale_of(c))
        };
        Ok(weights.iter().enumerate().map(one).collect())
    }

    /// A byte of a record.
    fn byte(&self, what: &str, x: usize) -> Result<u8, LowerError> {
        u8::try_from(x).map_err(|_| self.unsupported(format!("{what} is {x}; at most 255 is supported")))
    }

    /// Appends the node that makes the result.
    fn finish(&mut self, op: OpCode, fields: Vec<u8>, inputs: Vec<Operand>) -> Result<Operand, LowerError> {
        let v = self.out();
        let (out, quant) = (self.info(v)?, self.any_quant(v)?);
        let scale = if quant.scales.len() == 1 { quant.scale() } else { 0.0 };
        let name = self.node.name.clone();
        let node = LowerNode { name, op, fields, inputs, out, scale, source: Some(self.id) };
        let operand = self.cx.push(node);
        self.cx.operands.insert(v, operand);
        Ok(operand)
    }
}

/// A tensor of int8 as the same one of u8.
fn as_bytes(info: TensorInfo) -> TensorInfo {
    TensorInfo { dtype: DType::U8, ..flipped(info) }
}

/// Elements counted from 0 instead of −128, or the other way round.
fn flipped(info: TensorInfo) -> TensorInfo {
    TensorInfo { zero_point: (info.zero_point as u8 ^ 0x80) as i8, ..info }
}

/// The bytes of a record.
fn fields<R: Record>(record: &R) -> Vec<u8> {
    let mut bytes = vec![0; R::SIZE];
    record.write(&mut bytes).expect("the buffer is as long as the record");
    bytes
}
