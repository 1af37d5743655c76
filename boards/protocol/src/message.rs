use serde::{Deserialize, Serialize};

use crate::Fault;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Version {
    /// Peers of different major versions refuse each other.
    pub major: u8,
    /// A minor version only appends.
    pub minor: u8,
}

/// What a host asks of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Request<'a> {
    /// Who are you? Answered by [`Response::Info`], or by [`Fault::Version`]. Also makes the board forget the sequence
    /// number before it, so a host begins with it.
    Hello {
        /// What the host speaks.
        version: Version,
    },
    /// Send it back as it is: [`Response::Echo`].
    Echo {
        /// At most [`MAX_DATA`](crate::MAX_DATA) bytes.
        #[serde(borrow, with = "serde_bytes")]
        data: &'a [u8],
    },
    /// A model of `len` bytes will follow in chunks: [`Response::Done`]. A transfer begun before is dropped. The model
    /// on the board stays usable until the new one verifies, if the board has room for both.
    LoadBegin {
        /// Bytes of the blob.
        len: u32,
        /// [`CRC`](crate::CRC) of the blob as transferred.
        crc: u32,
    },
    /// The next bytes of the model, without gaps: [`Response::Done`].
    LoadChunk {
        /// Where they begin.
        offset: u32,
        /// At most [`MAX_DATA`](crate::MAX_DATA) bytes.
        #[serde(borrow, with = "serde_bytes")]
        data: &'a [u8],
    },
    /// All chunks are sent: check and verify the model, and use it from now on. [`Response::Loaded`].
    LoadEnd,
    /// Bytes of an input tensor, int8 as it is: [`Response::Done`]. Several requests fill a large tensor. The first
    /// one after a run begins the next run: all inputs have to be set again.
    SetInput {
        /// The input, from 0.
        index: u16,
        /// Where the bytes go, in bytes from the tensor's beginning (NHWC).
        offset: u32,
        /// At most [`MAX_DATA`](crate::MAX_DATA) bytes.
        #[serde(borrow, with = "serde_bytes")]
        data: &'a [u8],
    },
    /// Run the model on the inputs that were set: [`Response::Ran`], after as many [`Response::Row`] as
    /// [`RunStats::rows`] says.
    Run {
        /// What to watch meanwhile. Watching costs time: ticks are only right without it.
        observe: Observe,
    },
    /// Bytes of an output tensor of the last run: [`Response::Output`].
    GetOutput {
        /// The output, from 0.
        index: u16,
        /// Where to begin, in bytes.
        offset: u32,
        /// At most [`MAX_DATA`](crate::MAX_DATA).
        len: u16,
    },
    /// One record of the profile of the last run: [`Response::Profile`].
    GetProfile {
        /// The record, from 0.
        index: u16,
    },
    /// Forget model, inputs and transfer: [`Response::Done`].
    Reset,
    /// Leave: [`Response::Done`], then an emulator ends with this code, and a board restarts.
    Exit {
        /// 0 for success.
        code: u8,
    },
    /// Since 1.1. A model of `len` bytes, with its signature if it has one, will follow for a slot in flash:
    /// [`Response::Done`]. The board chooses the slot; the model that runs stays as it is.
    FlashBegin {
        /// Bytes of blob and signature.
        len: u32,
        /// [`CRC`](crate::CRC) of all of them.
        crc: u32,
    },
    /// Since 1.1. The next bytes of the model for flash, without gaps: [`Response::Done`].
    FlashChunk {
        /// Where they begin.
        offset: u32,
        /// At most [`MAX_DATA`](crate::MAX_DATA) bytes.
        #[serde(borrow, with = "serde_bytes")]
        data: &'a [u8],
    },
    /// Since 1.1. All chunks are sent: read them back from flash, verify the model, run its golden check, and enter it
    /// into its slot, to be tried at the next start. [`Response::Slots`]. Inputs that were set for a run are lost.
    FlashEnd,
    /// Since 1.1. What is in the slots: [`Response::Slots`].
    GetSlots,
    /// Since 1.1. Take the model that runs for good: [`Response::Slots`].
    Confirm,
    /// Since 1.1. Start the model that runs no more, but the other one: [`Response::Slots`]. It holds from the next start
    /// on.
    Revert,
    /// Since 1.1. Start afresh, as after a loss of power: [`Response::Done`], then the link is there again once the board
    /// answers [`Request::Hello`].
    Restart,
}

/// What a run is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Observe {
    /// Nothing but the time of the whole.
    #[default]
    Nothing,
    /// The time of each node, for [`Request::GetProfile`].
    Profile,
    /// A [`Response::Row`] with the CRC of every row that any node makes: to find the first row that differs between
    /// two targets.
    Digests,
    /// A [`Response::Row`] with the CRC and the bytes of every row of one node: to find the byte.
    Node {
        /// The node, as the blob numbers them.
        node: u16,
    },
}

/// What a board answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Response<'a> {
    /// To [`Request::Hello`].
    #[serde(borrow)]
    Info(Info<'a>),
    /// To [`Request::Echo`].
    Echo {
        /// What was sent.
        #[serde(borrow, with = "serde_bytes")]
        data: &'a [u8],
    },
    /// The request was carried out, there is nothing more to say.
    Done,
    /// To [`Request::LoadEnd`]: the model verified.
    Loaded(Loaded),
    /// To [`Request::Run`].
    Ran {
        /// What it cost.
        stats: RunStats,
        /// All of output 0 if it fits a frame, to save a round trip; else nothing.
        #[serde(borrow, with = "serde_bytes")]
        output: &'a [u8],
    },
    /// To [`Request::GetOutput`].
    Output {
        /// The bytes asked for.
        #[serde(borrow, with = "serde_bytes")]
        data: &'a [u8],
    },
    /// To [`Request::GetProfile`].
    Profile {
        /// Records there are.
        count: u16,
        /// The one asked for.
        record: NodeTicks,
    },
    /// The request was not carried out.
    Fault(Fault),
    /// A broken frame has arrived; its sequence number is unknown, so this comes with number 0.
    Garbled,
    /// During a run with [`Observe::Digests`] or [`Observe::Node`], with the sequence number of the run.
    #[serde(borrow)]
    Row(Row<'a>),
    /// Since 1.1. To [`Request::FlashEnd`], [`Request::GetSlots`], [`Request::Confirm`] and [`Request::Revert`].
    Slots(Slots),
    /// The next bytes of the board's log (a defmt stream; the firmware's ELF file has its words), with sequence number 0,
    /// before the answer to whatever request. Nobody asks for it, so a host that does not know it drops it.
    Log {
        /// At most [`MAX_DATA`](crate::MAX_DATA) bytes.
        #[serde(borrow, with = "serde_bytes")]
        data: &'a [u8],
    },
}

/// What a board says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Info<'a> {
    /// The version of the protocol that it speaks.
    pub version: Version,
    /// The board's name, as in the host's table of boards.
    pub board: &'a str,
    /// Its CPU, as `cortex-m4`.
    pub cpu: &'a str,
    /// Bytes of the largest model it takes.
    pub model_bytes: u32,
    /// Bytes it has for a model's arena.
    pub arena_bytes: u32,
    /// The most bytes of data it takes or gives in one frame.
    pub max_data: u16,
    /// What its ticks are.
    pub counter: Counter,
    /// The arithmetics it was built with.
    pub arithmetics: Arithmetics,
    /// The op codes it was built with, two bytes each, little-endian.
    #[serde(borrow, with = "serde_bytes")]
    pub ops: &'a [u8],
}

/// A set of integer arithmetics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Arithmetics {
    /// Carafe's own.
    pub native: bool,
    /// That of TFLite's reference kernels.
    pub tflite: bool,
}

/// What a board's ticks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counter {
    /// What is counted.
    pub kind: CounterKind,
    /// Ticks per second; 0 where the counter has no fixed rate.
    pub hz: u32,
}

/// What a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CounterKind {
    /// Time, by a timer. On an emulator that counts instructions, its time is a multiple of them.
    Time,
    /// Cycles of the CPU.
    Cycles,
    /// Instructions retired.
    Instructions,
}

/// What the board found in a model that verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Loaded {
    /// Bytes of arena that it needs.
    pub arena_bytes: u32,
    /// Bytes of state that it keeps between runs.
    pub state_bytes: u32,
    /// Inputs it has.
    pub inputs: u16,
    /// Outputs it has.
    pub outputs: u16,
}

/// The slots for models in a board's flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slots {
    /// Bytes of the largest model that a slot takes, its signature included.
    pub model_bytes: u32,
    /// The key that models have to be signed with: its first bytes.
    pub key: Option<[u8; 8]>,
    /// The slot that the model which runs came from; none if it came over the wire, or there is none.
    pub running: Option<u8>,
    /// What is in each.
    pub slots: [SlotInfo; 2],
    /// At the last start, the slot that was passed over for the older one, and why.
    pub passed: Option<Passed>,
}

/// What is in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SlotInfo {
    /// How far its model has come.
    pub state: SlotState,
    /// Counts installations: the model with the larger number is newer.
    pub sequence: u32,
    /// Bytes of blob and signature.
    pub len: u32,
    /// [`CRC`](crate::CRC) of all of them.
    pub crc: u32,
}

/// A slot that was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Passed {
    /// 0 or 1.
    pub slot: u8,
    /// Why.
    pub why: SlotReason,
}

/// How far the model of a slot has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SlotState {
    /// There is none.
    Empty,
    /// It was started so often, and is not confirmed.
    Trial(u8),
    /// It is confirmed.
    Good,
    /// It is not started any more.
    Rejected(SlotReason),
}

/// Why a model in a slot is not started any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SlotReason {
    /// Power failed while the board noted it.
    Unknown,
    /// It was started three times and never confirmed.
    Trials,
    /// The host asked for the other one.
    Reverted,
    /// Its bytes have changed in flash.
    Crc,
    /// It does not verify.
    Blob,
    /// It needs more memory than the board has.
    Memory,
    /// It has no golden check.
    NoGolden,
    /// It does not give the bits that its golden check wants.
    Golden,
    /// Its signature is missing or wrong.
    Signature,
    /// The flash failed.
    Flash,
}

/// What a run cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RunStats {
    /// Ticks of the board's [`Counter`] from the first step to the last.
    pub ticks: u64,
    /// Steps taken.
    pub steps: u32,
    /// Bytes of arena that the plan has.
    pub arena_bytes: u32,
    /// Bytes of arena from its beginning to the last one used.
    pub arena_high_water: u32,
    /// Bytes of stack that the run took below its caller, if the board can tell.
    pub stack_bytes: Option<u32>,
    /// [`Response::Row`] sent during the run.
    pub rows: u32,
}

/// A row that a node made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Row<'a> {
    /// The number of this record in the run, from 0: a gap tells the host that one was lost.
    pub number: u32,
    /// The node, as the blob numbers them.
    pub node: u16,
    /// The row.
    pub row: u16,
    /// Bytes of the row: its pixels without gaps.
    pub len: u32,
    /// [`CRC`](crate::CRC) of the row.
    pub crc: u32,
    /// Where `data` begins in the row: a long row comes in several records.
    pub offset: u32,
    /// Bytes of the row; empty for [`Observe::Digests`].
    #[serde(borrow, with = "serde_bytes")]
    pub data: &'a [u8],
}

/// What a node took in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NodeTicks {
    /// The node, as the blob numbers them.
    pub node: u16,
    /// Its op code.
    pub op: u16,
    /// Steps in which it ran.
    pub calls: u32,
    /// Ticks in all of them.
    pub ticks: u64,
}
