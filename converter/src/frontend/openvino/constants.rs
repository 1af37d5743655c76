//! Constants: bytes of the `.bin` file, checked and widened to what a [`Tensor`] holds.

use std::collections::HashMap;

use carafe_graph::{Data, Tensor, shape::elements};
use half::{bf16, f16};

use super::{
    fault::{DAMAGED, Fault},
    xml::Layer,
};

/// What elements are, as far as the graph tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Integer,
}

/// An element type as written in an IR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Boolean,
}

impl Element {
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "f16" => Self::F16,
            "bf16" => Self::Bf16,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "i8" => Self::I8,
            "i16" => Self::I16,
            "i32" => Self::I32,
            "i64" => Self::I64,
            "u8" => Self::U8,
            "u16" => Self::U16,
            "u32" => Self::U32,
            "u64" => Self::U64,
            "boolean" => Self::Boolean,
            "" => return Err(Fault::invalid("the element type is empty")),
            other => return Err(Fault::unsupported(format!("element type {other} is not supported"))),
        })
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::F16 | Self::Bf16 | Self::F32 | Self::F64 => Kind::Float,
            _ => Kind::Integer,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Boolean => 1,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}

/// Reads constants of one `.bin` file.
pub(super) struct Reader<'b> {
    bin: &'b [u8],
    /// Identical constants are stored once and named by many layers; they share memory here too.
    seen: HashMap<(usize, usize, Element), Data>,
    /// Bytes that may still be widened. Constants may overlap, but not so often that a small file fills the memory.
    budget: usize,
}

impl<'b> Reader<'b> {
    pub fn new(bin: &'b [u8]) -> Self {
        Self { bin, seen: HashMap::new(), budget: bin.len().saturating_mul(4).saturating_add(1 << 20) }
    }

    /// The tensor of a `Const` layer.
    pub fn read(&mut self, layer: &Layer<'_>) -> Result<Tensor, Fault> {
        let attribute =
            |name: &str| layer.attribute(name).ok_or_else(|| Fault::invalid(format!("attribute `{name}` is missing")));
        let number = |name: &str| -> Result<usize, Fault> {
            let text = attribute(name)?;
            text.trim().parse().map_err(|_| Fault::invalid(format!("`{name}=\"{text}\"` is not a number of bytes")))
        };
        let element = Element::parse(attribute("element_type")?)?;
        let shape = shape(layer.attribute("shape").unwrap_or(""))?;
        let n = elements(&shape).ok_or_else(|| Fault::invalid(format!("shape {shape:?} is too large")))?;
        // OpenVINO gives a constant without elements a byte of its own.
        let (offset, size) = (number("offset")?, if n == 0 { 0 } else { number("size")? });
        if n.checked_mul(element.size()) != Some(size) {
            return Err(Fault::invalid(format!(
                "shape {shape:?} of {element:?} takes {} bytes, but `size` is {size}",
                n.saturating_mul(element.size())
            )));
        }
        let bytes =
            offset.checked_add(size).and_then(|end| self.bin.get(offset..end)).ok_or_else(|| Fault::Invalid {
                what: format!(
                    "bytes {offset} to {offset} + {size} are outside the .bin file of {} bytes",
                    self.bin.len()
                ),
                remedy: "the .bin file is cut off or belongs to another model: copy both files of the model again",
            })?;

        let key = (offset, size, element);
        let data = match self.seen.get(&key) {
            Some(data) => data.clone(),
            None => {
                self.budget = self.budget.checked_sub(size).ok_or_else(|| Fault::Invalid {
                    what: "constants overlap so much that they would take many times the size of the .bin file".into(),
                    remedy: DAMAGED,
                })?;
                let data = widen(element, bytes)?;
                self.seen.insert(key, data.clone());
                data
            }
        };
        Ok(Tensor { shape, data })
    }
}

/// `"16, 3, 3, 3"`; the empty text is a scalar.
fn shape(text: &str) -> Result<Vec<usize>, Fault> {
    if text.trim().is_empty() {
        return Ok(vec![]);
    }
    text.split(',')
        .map(|d| d.trim().parse().map_err(|_| Fault::invalid(format!("shape `{text}` is not a list of extents"))))
        .collect()
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

fn widen(element: Element, bytes: &[u8]) -> Result<Data, Fault> {
    let integers = |data: Vec<i64>| Ok(Data::I64(data.into()));
    match element {
        Element::F16 => floats(words(bytes).map(|b| f16::from_le_bytes(b).to_f32()).collect()),
        Element::Bf16 => floats(words(bytes).map(|b| bf16::from_le_bytes(b).to_f32()).collect()),
        Element::F32 => floats(words(bytes).map(f32::from_le_bytes).collect()),
        Element::F64 => floats(words(bytes).map(|b| f64::from_le_bytes(b) as f32).collect()),
        Element::I8 => integers(words(bytes).map(|b| i8::from_le_bytes(b).into()).collect()),
        Element::I16 => integers(words(bytes).map(|b| i16::from_le_bytes(b).into()).collect()),
        Element::I32 => integers(words(bytes).map(|b| i32::from_le_bytes(b).into()).collect()),
        Element::I64 => integers(words(bytes).map(i64::from_le_bytes).collect()),
        Element::U8 => integers(bytes.iter().map(|&b| b.into()).collect()),
        Element::U16 => integers(words(bytes).map(|b| u16::from_le_bytes(b).into()).collect()),
        Element::U32 => integers(words(bytes).map(|b| u32::from_le_bytes(b).into()).collect()),
        Element::U64 => integers(
            words(bytes)
                .map(|b| i64::try_from(u64::from_le_bytes(b)))
                .collect::<Result<_, _>>()
                .map_err(|_| Fault::unsupported("an element is above 2^63 - 1"))?,
        ),
        Element::Boolean => integers(bytes.iter().map(|&b| (b != 0).into()).collect()),
    }
}

/// Refuses NaN and infinity: they would poison every range that the quantizer measures.
fn floats(data: Vec<f32>) -> Result<Data, Fault> {
    match data.iter().position(|x| !x.is_finite()) {
        None => Ok(Data::F32(data.into())),
        Some(i) => Err(Fault::Invalid {
            what: format!("element {i} is {} as f32, so no range can be chosen for it", data[i]),
            remedy: "repair the weights in the model that was trained, and convert it again",
        }),
    }
}
