//! What integer arithmetic means: one rule per blob, the same bits on every CPU.
//!
//! Kernels that rescale take the rule as a type parameter. [`Native`] is Carafe's own, one multiply-high per result;
//! [`Tflite`] is that of TensorFlow Lite's reference kernels, for imported int8 models. `docs/arithmetic.md` gives
//! the formula of every op.

use crate::Fault;
use crate::ops::{AddRecord, SoftmaxRecord};

mod native;
mod tflite;

pub use native::Native;
pub use tflite::Tflite;

/// Parameters of one output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Added to the accumulator; the zero point of the input is folded in.
    pub bias: i32,
    /// See the rule.
    pub multiplier: i32,
    /// See the rule.
    pub shift: i8,
}

/// An arithmetic rule.
pub trait Arithmetic: 'static {
    /// Its byte in the header.
    const ID: u8;
    /// Bytes of a [`Channel`] in the constants section.
    const CHANNEL: usize;

    /// Reads a channel from its [`Arithmetic::CHANNEL`] bytes. `shift` is that of the node.
    fn channel(bytes: &[u8], shift: i8) -> Channel;

    /// An accumulator to the scale of the result, without its zero point.
    fn requantize(acc: i32, multiplier: i32, shift: i8) -> i32;

    /// As [`Arithmetic::requantize`], for dense layers: TFLite rounds them in another way than convolutions.
    #[inline]
    fn requantize_dense(acc: i32, multiplier: i32, shift: i8) -> i32 {
        Self::requantize(acc, multiplier, shift)
    }

    /// a + b in the scale of the result, zero point included, not clamped. Zero points are those of a, b, result.
    fn add(r: &AddRecord, zero_points: [i8; 3], a: i8, b: i8) -> i32;

    /// The mean of `count` elements that sum up to `sum`, zero point included, not clamped.
    fn average(sum: i32, count: u16, zero_points: [i8; 2], multiplier: i32, shift: i8) -> i32;

    /// Checks a softmax record; gives the length of its table in the constants section.
    fn softmax_table(r: &SoftmaxRecord) -> Result<usize, Fault>;

    /// Softmax over the channels of one pixel, in place; scale 1/256 and zero point −128. `table` is as long as
    /// [`Arithmetic::softmax_table`] said.
    fn softmax(r: &SoftmaxRecord, table: &[u8], pixel: &mut [u8]);
}

/// How accumulators of a layer become elements of its result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish {
    /// Zero point of the result.
    pub zero_point: i8,
    /// Least element.
    pub lo: i8,
    /// Greatest element.
    pub hi: i8,
    /// Shift of the requantization, if the arithmetic has one per node.
    pub shift: i8,
}

impl Finish {
    /// Adds biases, rescales by `requantize` and clamps. `channels` begins with the parameters of the first.
    #[inline(never)]
    pub fn block<A: Arithmetic>(
        &self,
        requantize: impl Fn(i32, i32, i8) -> i32,
        acc: &[i32],
        channels: &[u8],
        out: &mut [u8],
    ) {
        let (mut acc, mut channels) = (acc.iter(), channels.chunks_exact(A::CHANNEL));
        // Not zipped, as are other loops that are not the innermost: of what has a known number of turns, compilers
        // make four copies.
        for out in out {
            let (Some(acc), Some(channel)) = (acc.next(), channels.next()) else { return };
            let c = A::channel(channel, self.shift);
            let v = requantize(acc.wrapping_add(c.bias), c.multiplier, c.shift);
            *out = finish(v, self.zero_point, self.lo, self.hi);
        }
    }
}

/// The greatest int8; 0 of none.
#[inline(never)]
fn greatest(pixel: &[u8]) -> i8 {
    pixel.iter().map(|&x| x as i8).max().unwrap_or(0)
}

/// True if this build has the arithmetic with this identifier.
pub fn known(id: u8) -> bool {
    id == Native::ID || id == Tflite::ID
}

/// Adds a zero point and cuts to `lo..=hi`.
#[inline]
pub fn finish(value: i32, zero_point: i8, lo: i8, hi: i8) -> u8 {
    // Malformed blobs may have lo > hi: min after max never panics.
    value.saturating_add(i32::from(zero_point)).max(i32::from(lo)).min(i32::from(hi)) as i8 as u8
}

/// Under Miri, which is slow and shows tests no files, fewer cases, and none are written down.
#[cfg(test)]
fn cases() -> proptest::prelude::ProptestConfig {
    if cfg!(miri) {
        proptest::prelude::ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() }
    } else {
        Default::default()
    }
}
