/// Order of the axes of a 4-D activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// batch, channel, row, column: what IR and ONNX hold.
    Nchw,
    /// batch, row, column, channel: what the device runs.
    Nhwc,
}

/// Explicit padding of a spatial op, in elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pads {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

/// A clamp fused into the op before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// max(x, 0).
    Relu,
    /// min(max(x, lo), hi); ReLU6 is `Clamp(0.0, 6.0)`.
    Clamp(f32, f32),
}

impl Activation {
    /// Applies the clamp to one number.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Activation::None => x,
            Activation::Relu => x.max(0.0),
            Activation::Clamp(lo, hi) => x.max(lo).min(hi),
        }
    }

    /// The interval that results lie in.
    pub fn range(self) -> (f32, f32) {
        match self {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Clamp(lo, hi) => (lo, hi),
        }
    }
}

/// Two-dimensional convolution, grouped or not; depthwise is `groups == input channels`.
///
/// Inputs: activation (4-D, in `layout`), weights `[O, I/groups, KH, KW]` whatever the layout, and optionally bias `[O]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Rows, columns.
    pub strides: [usize; 2],
    /// Rows, columns.
    pub dilations: [usize; 2],
    /// Zero padding.
    pub pads: Pads,
    /// Number of groups.
    pub groups: usize,
    /// Layout of activations.
    pub layout: Layout,
    /// Fused clamp.
    pub activation: Activation,
}

/// What a pooling window computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The largest element; padding never wins.
    Max,
    /// The mean, over the window without padding.
    AverageExcludePad,
    /// The mean, padding counted as zeros.
    AverageIncludePad,
}

/// Two-dimensional pooling over one 4-D input. The output extent is given by shape inference with
/// `floor`; a frontend that reads `ceil` rounding widens the bottom and right pads instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool2d {
    /// Max or average.
    pub kind: PoolKind,
    /// Rows, columns.
    pub kernel: [usize; 2],
    /// Rows, columns.
    pub strides: [usize; 2],
    /// Padding.
    pub pads: Pads,
    /// Layout of the activation.
    pub layout: Layout,
}

/// Blocks of pixels become channels. Element (y, x, c) of the operand becomes element (y / block, x / block, c') of the
/// result; with k = y % block · block + x % block, c' = k · channels + c, or, depth first, c · block² + k.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceToDepth {
    /// Rows and columns of a block, at least 1. Extents are multiples of it.
    pub block: usize,
    /// The elements of a channel stay together.
    pub depth_first: bool,
    /// Layout of the activation.
    pub layout: Layout,
}

/// Element by element, two inputs, NumPy broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the operations")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Pow,
    /// (a - b)²
    SquaredDifference,
}

/// Element by element, one input.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are the operations")]
pub enum UnaryOp {
    Relu,
    Clamp(f32, f32),
    Sigmoid,
    Tanh,
    /// x · min(max(x + 3, 0), 6) / 6
    HardSwish,
    /// min(max(alpha·x + beta, 0), 1)
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    /// x for x ≥ 0, else slope·x
    LeakyRelu(f32),
    /// x for x ≥ 0, else alpha·(eˣ − 1)
    Elu(f32),
    /// x · sigmoid(beta·x)
    Swish(f32),
    /// With the error function, or with its tanh approximation.
    Gelu {
        tanh: bool,
    },
    /// x · tanh(ln(1 + eˣ))
    Mish,
    SoftPlus,
    Exp,
    Log,
    Sqrt,
    Abs,
    Neg,
    Floor,
    Ceil,
}

/// A reduction over axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the operations")]
pub enum ReduceOp {
    Mean,
    Sum,
    Max,
    Min,
}

/// What a node computes. The meaning is that of [`crate::exec`].
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Convolution.
    Conv2d(Conv2d),
    /// Matrix product over the last two axes, leading axes broadcast. Inputs: a, b.
    MatMul {
        /// Transpose the last two axes of a.
        transpose_a: bool,
        /// Transpose the last two axes of b.
        transpose_b: bool,
    },
    /// x `[.., K]` · wᵀ (+ bias): inputs x, constant weights `[N, K]`, optionally bias `[N]`.
    Dense {
        /// Fused clamp.
        activation: Activation,
    },
    /// Two operands with broadcasting, then a fused clamp.
    Binary {
        /// The operation.
        op: BinaryOp,
        /// Fused clamp.
        activation: Activation,
    },
    /// One operand.
    Unary(UnaryOp),
    /// Pooling.
    Pool2d(Pool2d),
    /// Reduction.
    Reduce {
        /// The operation.
        op: ReduceOp,
        /// Axes that are reduced, ascending, non-negative.
        axes: Vec<usize>,
        /// Keep reduced axes with extent 1.
        keep_dims: bool,
    },
    /// exp(x) / sum(exp(x)) along an axis.
    Softmax {
        /// The axis, non-negative.
        axis: usize,
    },
    /// Joins its inputs along an axis.
    Concat {
        /// The axis, non-negative.
        axis: usize,
    },
    /// The end of what the node made for the sample before (zeros at the beginning), then the operand: a window over a
    /// sequence that comes in pieces. The result is `keep` longer than the operand along the axis. Its memory of the
    /// sample before is a [`crate::exec::State`].
    History {
        /// The axis that time runs along, non-negative.
        axis: usize,
        /// Entries of before, at least 1.
        keep: usize,
    },
    /// Same elements, other extents (also Squeeze, Unsqueeze, Flatten).
    Reshape {
        /// The new extents, all known.
        shape: Vec<usize>,
    },
    /// Output axis i is input axis `perm[i]`.
    Transpose {
        /// The permutation.
        perm: Vec<usize>,
    },
    /// Constant padding, all axes.
    Pad {
        /// Elements before, per axis.
        begin: Vec<usize>,
        /// Elements after, per axis.
        end: Vec<usize>,
        /// The element that is filled in.
        value: f32,
    },
    /// The elements `begin .. end` of each axis.
    Slice {
        /// First element, per axis.
        begin: Vec<usize>,
        /// Behind the last element, per axis.
        end: Vec<usize>,
    },
    /// Every element as often as its axis says, next to each other: enlarging to the nearest neighbour.
    Upsample {
        /// How often, per axis; at least 1.
        factors: Vec<usize>,
    },
    /// Blocks of pixels to channels.
    SpaceToDepth(SpaceToDepth),
    /// Rounds to one of `levels` numbers: the elements below `input_low` become `output_low`, those above `input_high`
    /// become `output_high`, and what lies between becomes the nearest of `levels` evenly spaced steps (of two equally
    /// near ones the even step), mapped to the output's interval.
    ///
    /// Inputs: x, input_low, input_high, output_low, output_high, each of the last four broadcast to x.
    FakeQuantize {
        /// Number of steps, at least 2.
        levels: u32,
    },
}

impl Op {
    /// The layout of activations, if the op has rows, columns and channels.
    pub fn layout(&self) -> Option<Layout> {
        match self {
            Op::Conv2d(p) => Some(p.layout),
            Op::Pool2d(p) => Some(p.layout),
            Op::SpaceToDepth(p) => Some(p.layout),
            _ => None,
        }
    }

    /// The op on activations of another layout; itself if it has none.
    pub fn with_layout(mut self, layout: Layout) -> Op {
        match &mut self {
            Op::Conv2d(p) => p.layout = layout,
            Op::Pool2d(p) => p.layout = layout,
            Op::SpaceToDepth(p) => p.layout = layout,
            _ => {}
        }
        self
    }

    /// The same op on an operand whose axis i is axis `order[i]` of the one that it has now; its result stands in that
    /// order, too. `None` if the op has no such form, or has several operands. `order` is a permutation of the
    /// operand's axes.
    pub fn reordered(&self, order: &[usize]) -> Option<Op> {
        let axis = |axis: usize| order.iter().position(|&a| a == axis);
        let list = |items: &[usize]| order.iter().map(|&a| items.get(a).copied()).collect::<Option<Vec<_>>>();
        Some(match self {
            Op::Unary(op) => Op::Unary(*op),
            Op::Softmax { axis: a } => Op::Softmax { axis: axis(*a)? },
            Op::History { axis: a, keep } => Op::History { axis: axis(*a)?, keep: *keep },
            Op::Pad { begin, end, value } => Op::Pad { begin: list(begin)?, end: list(end)?, value: *value },
            Op::Slice { begin, end } => Op::Slice { begin: list(begin)?, end: list(end)? },
            Op::Upsample { factors } => Op::Upsample { factors: list(factors)? },
            _ => return None,
        })
    }

    /// Is every element of the result one of the operands'?
    pub fn selects(&self) -> bool {
        match self {
            Op::Pool2d(p) => p.kind == PoolKind::Max,
            Op::Reduce { op, .. } => matches!(op, ReduceOp::Max | ReduceOp::Min),
            Op::Concat { .. }
            | Op::Reshape { .. }
            | Op::Transpose { .. }
            | Op::Slice { .. }
            | Op::SpaceToDepth(_)
            | Op::Upsample { .. } => true,
            _ => false,
        }
    }

    /// Short name for messages and reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Op::Conv2d(_) => "Conv2d",
            Op::MatMul { .. } => "MatMul",
            Op::Dense { .. } => "Dense",
            Op::Binary { op, .. } => match op {
                BinaryOp::Add => "Add",
                BinaryOp::Sub => "Subtract",
                BinaryOp::Mul => "Multiply",
                BinaryOp::Div => "Divide",
                BinaryOp::Max => "Maximum",
                BinaryOp::Min => "Minimum",
                BinaryOp::Pow => "Power",
                BinaryOp::SquaredDifference => "SquaredDifference",
            },
            Op::Unary(u) => match u {
                UnaryOp::Relu => "Relu",
                UnaryOp::Clamp(..) => "Clamp",
                UnaryOp::Sigmoid => "Sigmoid",
                UnaryOp::Tanh => "Tanh",
                UnaryOp::HardSwish => "HardSwish",
                UnaryOp::HardSigmoid { .. } => "HardSigmoid",
                UnaryOp::LeakyRelu(_) => "LeakyRelu",
                UnaryOp::Elu(_) => "Elu",
                UnaryOp::Swish(_) => "Swish",
                UnaryOp::Gelu { .. } => "Gelu",
                UnaryOp::Mish => "Mish",
                UnaryOp::SoftPlus => "SoftPlus",
                UnaryOp::Exp => "Exp",
                UnaryOp::Log => "Log",
                UnaryOp::Sqrt => "Sqrt",
                UnaryOp::Abs => "Abs",
                UnaryOp::Neg => "Negative",
                UnaryOp::Floor => "Floor",
                UnaryOp::Ceil => "Ceiling",
            },
            Op::Pool2d(p) if p.kind == PoolKind::Max => "MaxPool",
            Op::Pool2d(_) => "AvgPool",
            Op::Reduce { op, .. } => match op {
                ReduceOp::Mean => "ReduceMean",
                ReduceOp::Sum => "ReduceSum",
                ReduceOp::Max => "ReduceMax",
                ReduceOp::Min => "ReduceMin",
            },
            Op::Softmax { .. } => "Softmax",
            Op::Concat { .. } => "Concat",
            Op::History { .. } => "History",
            Op::Reshape { .. } => "Reshape",
            Op::Transpose { .. } => "Transpose",
            Op::Pad { .. } => "Pad",
            Op::Slice { .. } => "Slice",
            Op::Upsample { .. } => "Upsample",
            Op::SpaceToDepth(_) => "SpaceToDepth",
            Op::FakeQuantize { .. } => "FakeQuantize",
        }
    }
}
