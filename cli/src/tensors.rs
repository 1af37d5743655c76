//! Inputs and outputs of a blob: between real numbers and int8, and what the numbers say.

use carafe::blob::StringKind;
use carafe::{DType, Model, TensorIo};
use carafe_converter::dataset::InputSpec;
use carafe_converter::evaluate;
use carafe_graph::Layout;
use serde::Serialize;

/// An input or output, as JSON has it.
#[derive(Debug, Clone, Serialize)]
pub struct Io {
    /// Name in the source model.
    pub name: String,
    /// Extents, batch included, channels last.
    pub shape: Vec<u16>,
    /// `int8` or `uint8`.
    pub dtype: &'static str,
    /// real = scale · (q − zero_point); none if it is not quantized.
    pub scale: Option<f32>,
    /// See `scale`.
    pub zero_point: i16,
}

impl Io {
    fn of(model: &Model<'_>, io: &TensorIo, kind: StringKind, index: usize) -> Self {
        let name = u16::try_from(index).ok().and_then(|i| model.strings().find(kind, i));
        let dtype = if io.dtype == DType::U8 { "uint8" } else { "int8" };
        let fallback = || format!("{}{index}", if kind == StringKind::Input { "input" } else { "output" });
        Self {
            name: name.filter(|n| !n.is_empty()).map_or_else(fallback, str::to_owned),
            shape: io.shape().to_vec(),
            dtype,
            scale: io.scale,
            zero_point: io.zero(),
        }
    }

    /// `1×28×28×1 int8, real = 0.00392 · (q + 128)`
    pub fn describe(&self, unicode: bool) -> String {
        let sign = if self.zero_point < 0 { '+' } else { '-' };
        let times = if unicode { '·' } else { '*' };
        let quant = match self.scale {
            Some(s) => format!(", real = {s} {times} (q {sign} {})", self.zero_point.abs()),
            None => String::new(),
        };
        format!("{} {}{quant}", crate::words::shape(&self.shape, unicode), self.dtype)
    }
}

/// All inputs of a model.
pub fn inputs(model: &Model<'_>) -> Vec<Io> {
    let one = |i| Some(Io::of(model, &model.input(i)?, StringKind::Input, i));
    (0..model.inputs()).filter_map(one).collect()
}

/// All outputs of a model.
pub fn outputs(model: &Model<'_>) -> Vec<Io> {
    let one = |i| Some(Io::of(model, &model.output(i)?, StringKind::Output, i));
    (0..model.outputs()).filter_map(one).collect()
}

/// The input as the data set wants it: blobs have their channels last.
pub fn spec(io: &Io) -> InputSpec {
    let shape = io.shape.iter().map(|&d| usize::from(d)).collect();
    InputSpec { name: io.name.clone(), shape, layout: Layout::Nhwc }
}

/// Bytes of an output to the real numbers that they stand for. Outputs are int8.
pub fn dequantize(io: &Io, raw: &[u8]) -> Vec<f32> {
    let (scale, zero_point) = (io.scale.unwrap_or(1.0), io.zero_point.clamp(-128, 127) as i8);
    raw.iter().map(|&q| evaluate::dequantize(q, scale, zero_point)).collect()
}

/// Bytes of a tensor as numbers.
pub fn integers(io: &Io, raw: &[u8]) -> Vec<i16> {
    let signed = io.dtype == "int8";
    raw.iter().map(|&b| if signed { i16::from(b as i8) } else { b.into() }).collect()
}

/// True if the tensor has one number a class: no axis but the last has an extent.
pub fn is_vector(io: &Io) -> bool {
    io.shape.split_last().is_some_and(|(_, rest)| rest.iter().all(|&d| d == 1))
}

/// The `n` greatest values with their indices, greatest first; the lower index first among equals.
pub fn top(values: &[f32], n: usize) -> Vec<(usize, f32)> {
    let mut all: Vec<(usize, f32)> = values.iter().copied().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(n);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greatest_first_and_the_first_of_equals() {
        assert_eq!(top(&[0.1, 0.5, 0.5, 0.2], 3), [(1, 0.5), (2, 0.5), (3, 0.2)]);
    }

    #[test]
    fn bytes_are_what_the_type_says() {
        let io = Io { name: "x".into(), shape: vec![1, 5], dtype: "int8", scale: Some(0.5), zero_point: 3 };
        assert_eq!(dequantize(&io, &[3, 4, 0xFF]), [0.0, 0.5, -2.0]);
        let bytes = Io { dtype: "uint8", ..io.clone() };
        assert_eq!((integers(&io, &[200]), integers(&bytes, &[200])), (vec![-56], vec![200]));
        assert!(is_vector(&io));
        assert!(!is_vector(&Io { shape: vec![1, 2, 5], ..io.clone() }));
        assert_eq!(io.describe(false), "1x5 int8, real = 0.5 * (q - 3)");
    }
}
