//! What `carafe_macros::include_model!` builds the interface of one model from. Of use without the macro too.

use core::hint::black_box;
use core::ops::{Deref, DerefMut};

use crate::{DType, Model, RunError, Session};

/// `N` bytes at an address that is a multiple of 16: a blob, or an arena.
#[repr(C, align(16))]
pub struct Aligned<const N: usize>([u8; N]);

impl<const N: usize> Aligned<N> {
    /// Of these bytes.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Zeros: as a `static` they take no flash.
    pub const fn zeroed() -> Self {
        Self([0; N])
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Deref for Aligned<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Aligned<N> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl<const N: usize> core::fmt::Debug for Aligned<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Aligned<{N}>")
    }
}

/// An element of an input.
pub trait Element: Copy + sealed::Sealed {
    /// Its byte in the arena.
    fn to_byte(self) -> u8;
}

impl Element for i8 {
    #[inline]
    fn to_byte(self) -> u8 {
        self as u8
    }
}

impl Element for u8 {
    #[inline]
    fn to_byte(self) -> u8 {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for u8 {}
}

/// What is known of an input or output before anything runs. `real = scale · (q − zero_point)`, where q is a byte read
/// as what `dtype` says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TensorSpec {
    /// Its name in the model.
    pub name: &'static str,
    /// Extents, outermost first.
    pub shape: &'static [usize],
    /// Type of its elements.
    pub dtype: DType,
    /// See above. Where bytes of a camera are normalised per channel, the nearest such line.
    pub scale: f32,
    /// See above: −128..=127, or 0..=255 for [`DType::U8`].
    pub zero_point: i16,
}

impl TensorSpec {
    /// The byte that stands for a real number, as the converter rounds: to nearest, halves away from zero, saturated.
    /// Cast it where the elements are `i8`: `INPUT.quantize(x) as i8`.
    pub fn quantize(&self, real: f32) -> u8 {
        let x = real / self.scale;
        // A cast cuts towards zero, saturates, and makes 0 of NaN; the rest is exact as long as it matters.
        let whole = x as i32;
        let rest = x - whole as f32;
        let nearest = whole.saturating_add(i32::from(rest >= 0.5)).saturating_sub(i32::from(rest <= -0.5));
        let q = nearest.saturating_add(i32::from(self.zero_point));
        match self.dtype {
            DType::U8 => q.clamp(0, 255) as u8,
            _ => q.clamp(-128, 127) as i8 as u8,
        }
    }

    /// The real number that a byte stands for.
    pub fn dequantize(&self, byte: u8) -> f32 {
        f32::from(self.number(byte) - self.zero_point) * self.scale
    }

    /// A byte read as what `dtype` says.
    fn number(&self, byte: u8) -> i16 {
        match self.dtype {
            DType::U8 => i16::from(byte),
            _ => i16::from(byte as i8),
        }
    }
}

/// One inference from start to end. `fill(i, to)` writes the next bytes of input `i` (quantized, row by row, channels
/// innermost): all of them at once, or, where an input is pushed, which `PUSHED` says of the model, one row at a time.
///
/// # Errors
/// As [`Session::start`] and [`crate::Run::run`].
pub fn infer<const PUSHED: bool>(
    session: &mut Session<'_>,
    arena: &mut [u8],
    mut fill: impl FnMut(usize, &mut [u8]),
) -> Result<(), RunError> {
    // Not by `?`: that would move the run, and take its place on the stack twice.
    let mut started = session.start(arena);
    let run = match &mut started {
        Ok(run) => run,
        Err(error) => return Err(*error),
    };
    let model = run.model();
    for i in 0..model.inputs() {
        match run.input(i) {
            Ok(to) => fill(i, to),
            Err(_) if PUSHED => {}
            Err(e) => return Err(e),
        }
    }
    if !PUSHED {
        return run.run();
    }
    loop {
        let i = match run.run() {
            Err(RunError::NeedsInput { input }) => usize::from(input),
            ended => return ended,
        };
        run.fill_rows(i, 1, |to| fill(i, to))?;
    }
}

/// Writes the next elements, as many as `to` takes: a body for the `fill` of [`infer`].
#[inline]
pub fn copy<E: Element>(from: &mut core::slice::Iter<'_, E>, to: &mut [u8]) {
    let all = from.as_slice();
    let n = to.len().min(all.len());
    let (now, later) = all.split_at_checked(n).unwrap_or_default();
    *from = later.iter();
    // Four at a time, through memory: compilers would call `memcpy`, which a program may not have otherwise.
    let ((words, rest), (elements, last)) =
        (to.get_mut(..n).unwrap_or_default().as_chunks_mut::<4>(), now.as_chunks::<4>());
    words.iter_mut().zip(elements).for_each(|(to, from)| *to = black_box(from.map(E::to_byte)));
    rest.iter_mut().zip(last).for_each(|(to, from)| *to = black_box(from.to_byte()));
}

/// A result, lying in the arena.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    bytes: &'a [u8],
    spec: &'static TensorSpec,
    labels: &'static [&'static str],
}

/// A class of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Class {
    /// Index of its element.
    pub index: usize,
    /// The element as a real number: a probability, if the model ends in a softmax.
    pub score: f32,
    /// Its label; empty if it has none.
    pub label: &'static str,
}

impl<'a> Output<'a> {
    /// Output `i` of a model that has run in `arena`.
    ///
    /// # Errors
    /// [`RunError::Input`] if there is no such output.
    pub fn read(
        model: &Model<'_>,
        arena: &'a [u8],
        i: usize,
        spec: &'static TensorSpec,
        labels: &'static [&'static str],
    ) -> Result<Self, RunError> {
        let lies = model.output_tensor(i).and_then(|t| model.whole(t));
        let bytes = lies.and_then(|range| arena.get(range)).ok_or(RunError::Input)?;
        Ok(Self { bytes, spec, labels })
    }

    /// The elements as they lie in the arena, row by row, channels innermost; `i8` in two's complement.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements as real numbers.
    pub fn values(&self) -> impl Iterator<Item = f32> + use<'a> {
        let spec = self.spec;
        self.bytes.iter().map(|&byte| spec.dequantize(byte))
    }

    /// Shape, scale and zero point.
    pub fn spec(&self) -> &'static TensorSpec {
        self.spec
    }

    /// Index of the greatest element, the first among equals.
    pub fn top1(&self) -> usize {
        self.after(None).map_or(0, |(index, _)| index)
    }

    /// Label of the greatest element; empty if it has none.
    pub fn label(&self) -> &'static str {
        self.label_of(self.top1())
    }

    fn label_of(&self, index: usize) -> &'static str {
        self.labels.get(index).copied().unwrap_or("")
    }

    /// The classes, greatest first: `output.ranked().take(5)`. Each costs one pass over the elements.
    pub fn ranked(&self) -> impl Iterator<Item = Class> + use<'a> {
        let output = *self;
        let next = move |last: &(usize, u8)| output.after(Some(*last));
        core::iter::successors(self.after(None), next).map(move |(index, byte)| Class {
            index,
            score: output.spec.dequantize(byte),
            label: output.label_of(index),
        })
    }

    /// The first element and its index, or those that follow others in descending order.
    fn after(&self, last: Option<(usize, u8)>) -> Option<(usize, u8)> {
        let number = |byte| self.spec.number(byte);
        let behind = |&(i, byte): &(usize, u8)| {
            last.is_none_or(|(at, top)| number(byte) < number(top) || (byte == top && i > at))
        };
        let all = self.bytes.iter().copied().enumerate();
        all.filter(behind).reduce(|best, x| if number(x.1) > number(best.1) { x } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    static SPEC: TensorSpec = TensorSpec { name: "x", shape: &[1, 5], dtype: DType::I8, scale: 0.5, zero_point: -3 };

    #[test]
    fn quantizes_as_the_converter_does() {
        let camera = TensorSpec { dtype: DType::U8, zero_point: 100, ..SPEC };
        let converter = |x: f32| (x / SPEC.scale).round() as i32;
        for k in -2000..2000 {
            let x = k as f32 * 0.0625;
            assert_eq!(SPEC.quantize(x) as i8, (converter(x) - 3).clamp(-128, 127) as i8, "{x}");
            assert_eq!(camera.quantize(x), (converter(x) + 100).clamp(0, 255) as u8, "{x}");
        }
        assert_eq!(SPEC.quantize(0.249_999_98) as i8, -3);
        assert_eq!((SPEC.quantize(f32::INFINITY) as i8, SPEC.quantize(f32::NEG_INFINITY) as i8), (127, -128));
        assert_eq!((SPEC.quantize(f32::NAN) as i8, camera.quantize(f32::NAN)), (-3, 100));
        assert_eq!((SPEC.dequantize(-3i8 as u8), SPEC.dequantize(1), camera.dequantize(255)), (0.0, 2.0, 77.5));
    }

    #[test]
    fn ranks_with_the_first_among_equals() {
        let bytes = [1, 5, 0xFF, 5, 3];
        let output = Output { bytes: &bytes, spec: &SPEC, labels: &["a", "b", "c", "d"] };
        assert_eq!((output.top1(), output.label()), (1, "b"));
        let ranked: Vec<_> = output.ranked().map(|c| (c.index, c.label)).collect();
        assert_eq!(ranked, [(1, "b"), (3, "d"), (4, ""), (0, "a"), (2, "c")]);
        assert_eq!(output.ranked().next(), Some(Class { index: 1, score: 4.0, label: "b" }));
        assert_eq!(output.values().collect::<Vec<_>>(), [2.0, 4.0, 1.0, 4.0, 3.0]);
        let none = Output { bytes: &[], ..output };
        assert_eq!((none.top1(), none.ranked().count()), (0, 0));
    }

    #[test]
    fn elements_and_alignment() {
        let mut to = [0; 2];
        let mut signed = [-128i8, 0, 127].iter();
        copy(&mut signed, &mut to);
        assert_eq!(to, [0x80, 0]);
        copy(&mut signed, &mut to);
        assert_eq!(to, [127, 0]);
        copy(&mut signed, &mut to);
        assert_eq!(to, [127, 0]);
        copy(&mut [1u8, 255, 1].iter(), &mut to);
        assert_eq!(to, [1, 255]);
        assert_eq!(core::mem::align_of::<Aligned<3>>(), 16);
        assert_eq!(*Aligned::<2>::zeroed(), [0, 0]);
    }
}
