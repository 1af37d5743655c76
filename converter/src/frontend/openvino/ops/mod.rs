//! One function a type of layer. The table here is the list of what can be read.

use std::ops::RangeInclusive;

use super::{
    build::{Cx, Operand},
    fault::Fault,
    xml::Layer,
};

mod convolution;
mod elementwise;
mod interpolate;
mod pool;
mod product;
mod quantize;
mod reduce;
mod shape;
mod slice;
pub(super) mod state;
mod window;

/// The newest operation set that is known.
const NEWEST: u32 = 16;

type BuildFn = fn(&mut Cx<'_, '_>) -> Result<Operand, Fault>;

#[derive(Clone, Copy)]
pub(super) enum Build {
    /// A `Const`, which has its content from the `.bin` file.
    Constant,
    Layer(BuildFn),
}

pub(super) struct Supported {
    /// Type, compared without case: files have `ReLU` and `Relu`, `SoftMax` and `Softmax`.
    ty: &'static str,
    /// Operation sets in which the meaning changed, ascending.
    revisions: &'static [u32],
    /// Number of operands.
    pub operands: RangeInclusive<usize>,
    pub build: Build,
}

const fn op(ty: &'static str, revisions: &'static [u32], least: usize, most: usize, build: BuildFn) -> Supported {
    Supported { ty, revisions, operands: least..=most, build: Build::Layer(build) }
}

static SUPPORTED: &[Supported] = &[
    Supported { ty: "Const", revisions: &[1], operands: 0..=0, build: Build::Constant },
    Supported { ty: "Constant", revisions: &[1], operands: 0..=0, build: Build::Constant },
    op("Abs", &[1], 1, 1, elementwise::unary),
    op("Add", &[1], 2, 2, elementwise::binary),
    op("Assign", &[3, 6], 1, 1, state::assign),
    op("AvgPool", &[1, 14, 16], 1, 1, pool::average),
    op("BatchNormInference", &[1, 5], 5, 5, elementwise::batch_norm),
    op("Ceiling", &[1], 1, 1, elementwise::unary),
    op("Clamp", &[1], 1, 1, elementwise::unary),
    op("Concat", &[1], 1, usize::MAX, shape::concat),
    op("Convert", &[1], 1, 1, shape::convert),
    op("Convolution", &[1], 2, 2, convolution::plain),
    op("Divide", &[1], 2, 2, elementwise::binary),
    op("Elu", &[1], 1, 1, elementwise::unary),
    op("Exp", &[1], 1, 1, elementwise::unary),
    op("FakeQuantize", &[1], 5, 5, quantize::fake_quantize),
    op("Floor", &[1], 1, 1, elementwise::unary),
    op("Gather", &[1, 7, 8], 3, 3, shape::gather),
    op("Gelu", &[2, 7], 1, 1, elementwise::unary),
    op("GroupConvolution", &[1], 2, 2, convolution::grouped),
    op("HSigmoid", &[5], 1, 1, elementwise::unary),
    op("HSwish", &[4], 1, 1, elementwise::unary),
    op("HardSigmoid", &[1], 3, 3, elementwise::hard_sigmoid),
    op("Interpolate", &[1, 4, 11], 2, 4, interpolate::interpolate),
    op("Log", &[1], 1, 1, elementwise::unary),
    op("MatMul", &[1], 2, 2, product::matmul),
    op("MaxPool", &[1, 8, 14], 1, 1, pool::max),
    op("Maximum", &[1], 2, 2, elementwise::binary),
    op("Minimum", &[1], 2, 2, elementwise::binary),
    op("Mish", &[4], 1, 1, elementwise::unary),
    op("Multiply", &[1], 2, 2, elementwise::binary),
    op("Negative", &[1], 1, 1, elementwise::unary),
    op("PReLU", &[1], 2, 2, elementwise::prelu),
    op("Pad", &[1, 12], 3, 4, shape::pad),
    op("Power", &[1], 2, 2, elementwise::binary),
    op("ReLU", &[1], 1, 1, elementwise::unary),
    op("ReadValue", &[3, 6], 0, 1, state::read_value),
    op("ReduceMax", &[1], 2, 2, reduce::reduce),
    op("ReduceMean", &[1], 2, 2, reduce::reduce),
    op("ReduceMin", &[1], 2, 2, reduce::reduce),
    op("ReduceSum", &[1], 2, 2, reduce::reduce),
    op("Reshape", &[1], 2, 2, shape::reshape),
    op("ShapeOf", &[1, 3], 1, 1, shape::shape_of),
    op("Sigmoid", &[1], 1, 1, elementwise::unary),
    op("Slice", &[8], 4, 5, slice::slice),
    op("SoftMax", &[1, 8], 1, 1, reduce::softmax),
    op("SoftPlus", &[4], 1, 1, elementwise::unary),
    op("SpaceToDepth", &[1], 1, 1, shape::space_to_depth),
    op("Split", &[1], 2, 2, slice::split_along),
    op("Sqrt", &[1], 1, 1, elementwise::unary),
    op("SquaredDifference", &[1], 2, 2, elementwise::binary),
    op("Squeeze", &[1, 15], 1, 2, shape::squeeze),
    op("StridedSlice", &[1], 3, 4, slice::strided_slice),
    op("Subtract", &[1], 2, 2, elementwise::binary),
    op("Swish", &[4], 1, 2, elementwise::swish),
    op("Tanh", &[1], 1, 1, elementwise::unary),
    op("Transpose", &[1], 2, 2, shape::transpose),
    op("Unsqueeze", &[1], 2, 2, shape::unsqueeze),
    op("VariadicSplit", &[1], 3, 3, slice::split_along),
];

/// The entry for a layer, and the operation set in which its meaning was last changed.
pub(super) fn find(layer: &Layer<'_>) -> Result<(&'static Supported, u32), Fault> {
    let opset: Option<u32> = layer.opset.strip_prefix("opset").and_then(|n| n.parse().ok());
    let Some(opset) = opset.filter(|n| (1..=NEWEST).contains(n)) else {
        return Err(Fault::unsupported(format!(
            "operation set `{}` is not known, opset1 to opset{NEWEST} are",
            layer.opset
        )));
    };
    let Some(entry) = SUPPORTED.iter().find(|s| s.ty.eq_ignore_ascii_case(layer.ty)) else {
        return Err(Fault::unsupported(why_not(layer.ty)));
    };
    match entry.revisions.iter().rev().find(|&&r| r <= opset) {
        Some(&revision) => Ok((entry, revision)),
        None => Err(Fault::invalid(format!("opset{opset} has no operation of this name"))),
    }
}

fn why_not(ty: &str) -> String {
    match ty {
        "LSTMSequence" | "GRUSequence" | "RNNSequence" | "LSTMCell" | "GRUCell" | "RNNCell" => {
            "recurrent layers are not supported yet"
        }
        "TensorIterator" | "Loop" | "If" => "control flow is not supported: unroll it when exporting the model",
        _ => "this operation is not supported",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_ascend_and_types_are_unique() {
        for (i, a) in SUPPORTED.iter().enumerate() {
            assert!(
                a.revisions.windows(2).all(|w| w[0] < w[1]) && a.revisions.iter().all(|&r| r <= NEWEST),
                "{}",
                a.ty
            );
            assert!(SUPPORTED[i + 1..].iter().all(|b| !a.ty.eq_ignore_ascii_case(b.ty)), "{} stands twice", a.ty);
        }
    }

    #[test]
    fn the_table_in_the_documentation_names_every_type() {
        let documentation = include_str!("../mod.rs");
        for s in SUPPORTED {
            assert!(documentation.contains(&format!("`{}`", s.ty)), "{} is not in the table", s.ty);
        }
    }
}
