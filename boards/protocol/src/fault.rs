use serde::{Deserialize, Serialize};

use crate::Version;

/// Why a board did not do what it was asked. Small on purpose: the host makes the words, and the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The frame was sound, but its message is none this board knows: the host is newer.
    UnknownRequest,
    /// The host speaks another major version.
    Version {
        /// What the board speaks.
        device: Version,
    },
    /// There is no model on the board.
    NoModel,
    /// A chunk or the end of a model came without its [`LoadBegin`](crate::Request::LoadBegin).
    NoTransfer,
    /// The model is larger than the largest one the board takes.
    ModelTooBig {
        /// Bytes the board has for a model.
        have: u32,
    },
    /// A chunk does not begin where the one before it ended.
    ChunkOrder {
        /// The offset that the board expected.
        expected: u32,
    },
    /// A chunk goes beyond the length announced in the beginning.
    ChunkTooLong {
        /// Bytes still missing.
        missing: u32,
    },
    /// The end was announced before all bytes were there.
    Incomplete {
        /// Bytes that have arrived.
        have: u32,
        /// Bytes that were announced.
        need: u32,
    },
    /// The bytes that arrived do not have the CRC that was announced.
    TransferCrc,
    /// The model does not verify, or needs an op that this firmware lacks; the host can verify the same bytes for a
    /// full report.
    Blob(BlobFault),
    /// The model has no input of that number.
    NoSuchInput {
        /// Inputs it has.
        count: u16,
    },
    /// The model has no output of that number.
    NoSuchOutput {
        /// Outputs it has.
        count: u16,
    },
    /// Offset and length go beyond the tensor.
    Range {
        /// Bytes of the tensor.
        len: u32,
    },
    /// A run was asked for before all inputs were there.
    InputMissing {
        /// Bytes of input that have arrived.
        have: u32,
        /// Bytes of all inputs together.
        need: u32,
    },
    /// The model's arena does not fit the board.
    ArenaTooSmall {
        /// Bytes the model needs.
        need: u32,
        /// Bytes the board has.
        have: u32,
    },
    /// The run ended in an error.
    Run {
        /// What the run stopped at.
        why: RunFault,
    },
    /// An output or a profile was asked for, but no run has been completed since the model or an input was set.
    NotRun,
    /// There is no profile record of that number.
    NoSuchRecord {
        /// Records there are.
        count: u16,
    },
    /// The answer does not fit a frame: ask for less.
    AnswerTooLong,
    /// Since 1.1. The board has no slots for models in flash.
    NoSlots,
    /// Since 1.1. The flash did not do what it was told.
    Flash,
    /// Since 1.1. There is no model from a slot that could be confirmed or reverted.
    NotFromSlot,
    /// Since 1.1. There is no confirmed model in the other slot to go back to.
    NothingToRevertTo,
    /// Since 1.1. The model has no golden check, so nobody can tell whether it runs here as it should.
    NoGolden,
    /// Since 1.1. The model runs, but gives other bits than its golden check wants.
    Golden,
    /// Since 1.1. The board takes signed models only, and this has no signature.
    Unsigned {
        /// The first bytes of the key that it wants.
        key: [u8; 8],
    },
    /// Since 1.1. Another key has signed the model.
    OtherKey {
        /// The first bytes of the key that it wants.
        key: [u8; 8],
        /// Those of the key that has signed it, as it says.
        signed: [u8; 8],
    },
    /// Since 1.1. The model has changed since it was signed.
    Signature,
}

/// What is wrong with a model: the core's `BlobError`, as it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BlobFault {
    /// Shorter than its header says.
    Truncated,
    /// Not a Carafe blob.
    Magic,
    /// Another major version of the format.
    Version {
        /// The version found.
        major: u8,
    },
    /// Its checksum does not match.
    Crc,
    /// It wants an arithmetic that the firmware does not have.
    Arithmetic {
        /// Its number.
        id: u8,
    },
    /// It needs an op that the firmware does not have.
    MissingOp {
        /// The node that needs it.
        node: u16,
        /// The op's code.
        op: u16,
        /// The version of the op's record.
        version: u8,
    },
    /// A node is malformed.
    Node {
        /// Its index.
        node: u16,
    },
    /// Some other part is malformed.
    Structure,
}

/// Why a run stopped: the core's `RunError`, as it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RunFault {
    /// The plan in the blob is wrong.
    Plan {
        /// The node at which it was seen.
        node: u16,
    },
    /// Rows of an input are missing.
    NeedsInput {
        /// The input.
        input: u16,
    },
    /// Any other reason.
    Other,
}
