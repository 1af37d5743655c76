//! What is known of a model at compile time.

use std::collections::BTreeMap;
use std::fs;

use carafe::blob::StringKind;
use carafe::{BlobError, Model, OpCode, TensorIo, ops};
use syn::{Error, Result};

use crate::arguments::Arguments;

/// A blob that has been verified.
#[derive(Debug)]
pub struct Blob {
    /// Its length.
    pub bytes: usize,
    /// See `Model::arena_bytes`.
    pub arena_bytes: usize,
    /// See `Model::fast_bytes`.
    pub fast_bytes: usize,
    /// See `Model::state_bytes`.
    pub state_bytes: usize,
    /// Bytes of constants.
    pub weights_bytes: usize,
    /// The model's name.
    pub name: String,
    /// Identifier of the arithmetic.
    pub arithmetic: u8,
    /// The ops that it uses, and the loops that they take.
    pub ops: BTreeMap<u16, u16>,
    /// Inputs.
    pub inputs: Vec<Tensor>,
    /// Outputs.
    pub outputs: Vec<Tensor>,
    /// Offset and length of each label in the blob, by class.
    pub labels: Vec<(usize, usize)>,
    /// Some input is pushed row by row.
    pub pushed: bool,
}

/// An input or output.
#[derive(Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Shape, bytes, scale, zero point.
    pub io: TensorIo,
}

impl Blob {
    /// Reads and verifies the blob that the arguments name.
    pub fn read(arguments: &Arguments) -> Result<Self> {
        let file = arguments.path.display();
        let error = |what: String| Error::new(arguments.span, format!("{file}: {what}"));
        let bytes = fs::read(&arguments.path).map_err(|e| {
            error(format!(
                "can't be read: {e}; write it with `carafe convert MODEL -o {file}`, or in build.rs. Relative paths \
                 begin at the folder of Cargo.toml"
            ))
        })?;
        let blob = Self::of(&bytes).map_err(|e| error(format!("{e}; {}", remedy(e))))?;
        if blob.fast_bytes > 0 {
            return Err(error(
                "is planned for fast RAM besides its arena, for which `include_model!` has no place; convert it without \
                 `--fast-ram`, or embed it with `include_bytes!` and use `carafe::Session::start_in`"
                    .to_owned(),
            ));
        }
        Ok(blob)
    }

    fn of(bytes: &[u8]) -> std::result::Result<Self, BlobError> {
        let model = Model::verify(bytes, ops::ALL)?;
        let string = |kind, i| model.strings().find(kind, i).unwrap_or("").to_owned();
        let tensor =
            |kind, i: usize, io: Option<TensorIo>| Some(Tensor { name: string(kind, u16::try_from(i).ok()?), io: io? });
        let pushed = |i: usize| {
            let tensor = model.tensor(model.input(i)?.tensor)?;
            Some(model.buffer(tensor.buffer)?.rows != 0)
        };
        Ok(Self {
            bytes: bytes.len(),
            arena_bytes: model.arena_bytes(),
            fast_bytes: model.fast_bytes(),
            state_bytes: model.state_bytes(),
            weights_bytes: model.weights_bytes(),
            name: string(StringKind::Model, 0),
            arithmetic: model.arithmetic(),
            ops: used(&model),
            inputs: (0..model.inputs()).filter_map(|i| tensor(StringKind::Input, i, model.input(i))).collect(),
            outputs: (0..model.outputs()).filter_map(|i| tensor(StringKind::Output, i, model.output(i))).collect(),
            labels: labels(&model, bytes),
            pushed: (0..model.inputs()).filter_map(pushed).any(|pushed| pushed),
        })
    }
}

/// The ops of a model, and the loops that they take of those there are.
fn used(model: &Model<'_>) -> BTreeMap<u16, u16> {
    let mut used = BTreeMap::new();
    for node in (0..model.nodes()).filter_map(|n| model.node(n).ok()) {
        *used.entry(node.header.op).or_insert(0) |= ops::loops(&node, node.scratch().map_or(0, |s| s.length as usize));
    }
    used
}

fn labels(model: &Model<'_>, blob: &[u8]) -> Vec<(usize, usize)> {
    let mut found = vec![];
    for (kind, index, text) in model.strings() {
        if kind == StringKind::Label {
            let index = usize::from(index);
            if found.len() <= index {
                found.resize(index + 1, (0, 0));
            }
            // Strings lie in the blob: the difference of the addresses is the offset.
            found[index] = (text.as_ptr().addr().saturating_sub(blob.as_ptr().addr()), text.len());
        }
    }
    found
}

/// What to do about a blob that is refused.
fn remedy(error: BlobError) -> &'static str {
    match error {
        BlobError::Magic => "give a file that `carafe convert` wrote",
        BlobError::Version { .. } | BlobError::UnknownSection { .. } => {
            "carafe-macros and the converter must be of one version"
        }
        BlobError::WeightsTooShort { .. } => {
            "`include_model!` takes a blob with its weights in it: convert the model without `--split-weights`"
        }
        BlobError::MissingOp { .. } => {
            "this carafe-macros is older than the converter: convert the model again with its own version"
        }
        _ => "copy the file again, or convert the model again",
    }
}

impl Blob {
    /// The ops as codes, and the loops that they take.
    pub fn ops(&self) -> impl Iterator<Item = (OpCode, u16)> + '_ {
        self.ops.iter().map(|(&op, &loops)| (OpCode(op), loops))
    }
}
