use crate::OpCode;

/// What is wrong with one node of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The record is shorter than its op needs.
    Record,
    /// Operand index out of range, not before its user, missing, or superfluous.
    Operand,
    /// Extents of operands and result do not fit the op.
    Shape,
    /// An operand has an element type that the op does not take.
    DType,
    /// A field has a value outside its range.
    Field,
    /// Weights, tables or parameters reach outside the constants section.
    Constants,
    /// Operand and result are placed in a way that the op cannot work with.
    Placement,
}

/// Why [`crate::Model::verify`] refused a blob. Indices are those of the blob; the host knows the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BlobError {
    /// Shorter than a header, or than the header says.
    Truncated,
    /// Does not begin with the magic number: not a Carafe blob.
    Magic,
    /// Written by another major version of the format.
    Version {
        /// Major version found.
        major: u8,
    },
    /// The checksum does not match: damaged in storage or transfer.
    Crc,
    /// A section is missing, twice there, or reaches outside the blob.
    Section {
        /// Identifier of the section.
        id: u16,
    },
    /// A required section of a newer format.
    UnknownSection {
        /// Identifier of the section.
        id: u16,
    },
    /// The weights are kept apart from the blob, and those given are too short: [`crate::Model::verify_split`].
    WeightsTooShort {
        /// Bytes that the blob says.
        need: u32,
        /// Bytes given.
        have: u32,
    },
    /// The weights given are damaged, or not those of this blob.
    WeightsCrc,
    /// The blob wants an arithmetic that this build does not know.
    Arithmetic {
        /// Identifier of the arithmetic.
        id: u8,
    },
    /// A header field contradicts the rest.
    Header,
    /// A buffer lies outside its region or is malformed.
    Buffer {
        /// Index of the buffer.
        index: u16,
    },
    /// A tensor does not fit its buffer.
    Tensor {
        /// Index of the tensor: nodes' outputs first, then the inputs of the graph.
        index: u16,
    },
    /// A segment is malformed.
    Segment {
        /// Index of the segment.
        index: u16,
    },
    /// An input or output record is malformed.
    Io {
        /// Index: inputs first, then outputs.
        index: u16,
    },
    /// The registry lacks an op. The remedy: name it in `registry!`.
    MissingOp {
        /// Index of the node that needs it.
        node: u16,
        /// The op.
        op: OpCode,
        /// Version of its record.
        version: u8,
    },
    /// A node is malformed.
    Node {
        /// Index of the node.
        node: u16,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// Why an inference stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RunError {
    /// The scratch memory given to `start` is too small.
    ArenaTooSmall {
        /// Bytes that the model needs.
        need: usize,
        /// Bytes given.
        have: usize,
    },
    /// Another region of memory is too small: see [`crate::Session::start_in`] and [`crate::Session::with_state`].
    RegionTooSmall {
        /// One of [`crate::blob::region`].
        region: u8,
        /// Bytes that the model needs.
        need: usize,
        /// Bytes given.
        have: usize,
    },
    /// The plan in the blob asks for rows that are no longer, or not yet, there, or for overlapping memory. The
    /// converter makes no such plan: the blob was forged or the converter has a bug.
    Plan {
        /// Index of the node.
        node: u16,
    },
    /// An input of the graph has rows missing: push them and go on.
    NeedsInput {
        /// Index of the input.
        input: u16,
    },
    /// Data of another length than the tensor, or an index that the model does not have.
    Input,
}

impl RunError {
    #[inline(never)]
    pub(crate) fn too_small(region: u8, need: usize, have: usize) -> Self {
        match region {
            crate::blob::region::MAIN => Self::ArenaTooSmall { need, have },
            _ => Self::RegionTooSmall { region, need, have },
        }
    }
}

impl core::fmt::Display for BlobError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            BlobError::Truncated => f.write_str("the blob is truncated"),
            BlobError::Magic => f.write_str("not a Carafe blob (wrong magic number)"),
            BlobError::Version { major } => write!(
                f,
                "blob format {major}, this build reads {}: convert the model again",
                crate::blob::FORMAT_MAJOR
            ),
            BlobError::Crc => f.write_str("checksum mismatch: the blob was damaged in storage or transfer"),
            BlobError::WeightsTooShort { need, have } => {
                write!(f, "the weights are kept apart from the blob: {need} bytes, and {have} are given")
            }
            BlobError::WeightsCrc => f.write_str("the weights kept apart are damaged, or those of another blob"),
            BlobError::Section { id } => write!(f, "section {id} is missing, doubled or out of bounds"),
            BlobError::UnknownSection { id } => write!(f, "section {id} is required and unknown to this build"),
            BlobError::Arithmetic { id } => write!(f, "arithmetic {id} is unknown to this build"),
            BlobError::Header => f.write_str("the header contradicts the rest of the blob"),
            BlobError::Buffer { index } => write!(f, "buffer {index} is malformed or outside its region"),
            BlobError::Tensor { index } => write!(f, "tensor {index} does not fit its buffer"),
            BlobError::Segment { index } => write!(f, "segment {index} is malformed"),
            BlobError::Io { index } => write!(f, "input/output record {index} is malformed"),
            BlobError::MissingOp { node, op, version } => write!(
                f,
                "node {node} needs op {} (version {version}), which the registry lacks: add it to `registry!`",
                op.name()
            ),
            BlobError::Node { node, fault } => write!(f, "node {node} is malformed: {fault:?}"),
        }
    }
}

impl core::fmt::Display for RunError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            RunError::ArenaTooSmall { need, have } => write!(f, "the arena has {have} bytes, the model needs {need}"),
            RunError::RegionTooSmall { region, need, have } => {
                let name = match region {
                    crate::blob::region::FAST => "fast memory",
                    crate::blob::region::STATE => "state",
                    _ => "a region of memory",
                };
                write!(f, "the {name} (region {region}) has {have} bytes, the model needs {need}")
            }
            RunError::Plan { node } => write!(f, "the plan in the blob is wrong at node {node}"),
            RunError::NeedsInput { input } => write!(f, "input {input} has rows missing"),
            RunError::Input => f.write_str("input data of the wrong length, or no such input"),
        }
    }
}

impl core::error::Error for BlobError {}
impl core::error::Error for RunError {}
