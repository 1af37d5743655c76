//! The ops: one file each, with record, check, kernel and tests side by side.
//!
//! To add an op: write its file here (record, [`crate::Kernel`]), name it in the list below, give it a float meaning
//! in `carafe-graph` and a lowering in `carafe-converter`. `docs/ARCHITECTURE.md` has the steps.

mod add;
mod concat;
mod conv2d;
mod convolution;
mod dense;
mod depthwise;
mod gather;
mod history;
mod loops;
mod lut;
mod mean;
mod mul;
mod pixelwise;
mod plain;
mod pool;
mod product;
mod quads;
mod reshape;
mod slice;
mod slide;
mod sliding;
mod softmax;
mod space_to_depth;
mod tile;
mod upsample;
mod window;
mod winograd;

pub use add::{Add, AddRecord};
pub use carafe_cpu::place;
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use convolution::{COLUMNS, ConvRecord, FOURS, PAIRS, PLAIN, QUADS, WORDS};
pub use dense::{Dense, DenseRecord};
pub use depthwise::DepthwiseConv2d;
pub use history::History;
pub use loops::ALL_LOOPS;
#[doc(hidden)]
pub use loops::{loops, maps, scratches};
pub use lut::{Lut, LutRecord};
pub use mean::{Mean, MeanRecord};
pub use mul::{Mul, MulRecord};
pub use pool::{AvgPool2d, MaxPool2d, PoolRecord};
pub use reshape::Reshape;
pub use slice::{Slice, SliceRecord};
pub use softmax::{Softmax, SoftmaxRecord};
pub use space_to_depth::{SpaceToDepth, SpaceToDepthRecord};
pub use upsample::{Upsample, UpsampleRecord};

use crate::arithmetic::{Native, Tflite};
use crate::{Cx, OpCode, Registry};

/// Every op of this build, in both arithmetics: for firmware that takes models over the wire, and for the host.
pub static ALL: Registry<'static> = crate::registry![
    Conv2d<Native>,
    DepthwiseConv2d<Native>,
    Dense<Native>,
    Add<Native>,
    AvgPool2d<Native>,
    Mean<Native>,
    Mul<Native>,
    Softmax<Native>,
    MaxPool2d,
    Lut,
    Concat,
    Reshape,
    History,
    Upsample,
    Slice,
    SpaceToDepth,
    Conv2d<Tflite>,
    DepthwiseConv2d<Tflite>,
    Dense<Tflite>,
    Add<Tflite>,
    AvgPool2d<Tflite>,
    Mean<Tflite>,
    Mul<Tflite>,
    Softmax<Tflite>,
];

macro_rules! codes {
    ($($name:ident = $code:literal),* $(,)?) => {
        impl OpCode {
            $(#[doc = concat!("[`crate::ops::", stringify!($name), "`].")] #[expect(non_upper_case_globals, reason = "named as the type")]
              pub const $name: OpCode = OpCode($code);)*

            /// The name of the op's type, as `registry!` takes it; `?` if this build does not know the number.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($code => stringify!($name),)*
                    _ => "?",
                }
            }
        }
    };
}

codes! {
    Conv2d = 1,
    DepthwiseConv2d = 2,
    Dense = 3,
    Add = 4,
    AvgPool2d = 5,
    MaxPool2d = 6,
    Mean = 7,
    Softmax = 8,
    Lut = 9,
    Concat = 10,
    Reshape = 11,
    History = 12,
    Upsample = 13,
    Slice = 14,
    SpaceToDepth = 15,
    Mul = 16,
}

/// Brings the first operand's band to where the result is made, for ops that go on in place there.
#[inline(never)]
fn bring(cx: &mut Cx<'_>, y0: u16, y1: u16) -> Option<()> {
    if cx.in_place.is_some() {
        return Some(());
    }
    let rows = cx.inputs[0];
    cx.out.each((y0, y1), rows.contiguous(), &mut |y, x, to| {
        copy(to, rows.run(y, x, to.len())?);
        Some(())
    })
}

/// Copies as much as there is of both.
#[inline(never)]
fn copy(to: &mut [u8], from: &[u8]) {
    // `copy_from_slice` would bring in a panic for slices of unequal length; and a loop `memcpy`, 0.7 KB.
    carafe_cpu::copy(to, from);
}
