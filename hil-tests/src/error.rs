use std::path::PathBuf;
use std::time::Duration;

use carafe_protocol::{Fault, VERSION, Version};

/// Why a target did not do what it was asked: which board, what, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no board of that name.
    #[error(transparent)]
    UnknownBoard(#[from] carafe_boards::UnknownBoard),
    /// The board can't be used here; a suite lists it as skipped.
    #[error("{board} can't be used: {why_not}")]
    Unavailable {
        /// The board.
        board: String,
        /// What is missing, and how to get it.
        why_not: String,
    },
    /// The board is not of the kind that was asked for.
    #[error("{board} is no emulated board")]
    NotEmulated {
        /// The board.
        board: String,
    },
    /// The firmware could not be built.
    #[error("{board}: its firmware could not be built: {reason}")]
    Firmware {
        /// The board.
        board: String,
        /// What went wrong, and the remedy.
        reason: String,
    },
    /// The firmware is not where it should be.
    #[error("{board}: there is no firmware at {}; leave the path out to have it built", path.display())]
    NoFirmware {
        /// The board.
        board: String,
        /// The path given.
        path: PathBuf,
    },
    /// The emulator could not be started.
    #[error("{board}: `{program}` could not be started: {source}; is it installed and on PATH?")]
    Spawn {
        /// The board.
        board: String,
        /// The emulator.
        program: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The link has ended.
    #[error("{board}: the link ended during {during}{}", quoted(.said))]
    LinkLost {
        /// The board.
        board: String,
        /// What was being done.
        during: &'static str,
        /// What the emulator said last.
        said: String,
    },
    /// The serial port could not be opened.
    #[error("{board}: serial port {port}: {why}")]
    Port {
        /// The board.
        board: String,
        /// The port.
        port: String,
        /// What is wrong, and the remedy.
        why: String,
    },
    /// The serial port has gone, as it does when a board is unplugged.
    #[error(
        "{board}: serial port {port} went away during {during} ({why}): see that the board is plugged in and has power, and run \
         again"
    )]
    PortLost {
        /// The board.
        board: String,
        /// The port.
        port: String,
        /// What was being done.
        during: &'static str,
        /// What the system says.
        why: String,
    },
    /// Nothing that speaks the protocol answers on the serial port.
    #[error(
        "{board}: nothing answers on {port} at {baud} baud within {limit:?}: is it the right port, and is our firmware on the \
         board? {remedy}"
    )]
    Silent {
        /// The board.
        board: String,
        /// The port.
        port: String,
        /// Its speed.
        baud: u32,
        /// How long it was waited for.
        limit: Duration,
        /// How the firmware gets there.
        remedy: String,
    },
    /// Another board's firmware answers.
    #[error(
        "{board}: on {port} the firmware of {answered} answers: give `--board {answered}`, another `--port`, or flash that of \
         {board}"
    )]
    OtherBoard {
        /// The board that was asked for.
        board: String,
        /// The port.
        port: String,
        /// The board that is there.
        answered: String,
    },
    /// The board has no serial line.
    #[error("{board}: is this computer, which is reached without a serial port: leave `--port` out")]
    NoLine {
        /// The board.
        board: String,
    },
    /// No answer came.
    #[error(
        "{board}: no answer to {during} within {limit:?}; if the model is large, give it more time, else the board hangs: reset it"
    )]
    Timeout {
        /// The board.
        board: String,
        /// What was being done.
        during: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The board refused.
    #[error("{board}: {during}: {}", words(.fault))]
    Refused {
        /// The board.
        board: String,
        /// What was being done.
        during: &'static str,
        /// Its reason.
        fault: Fault,
    },
    /// The board answered something else than it was asked.
    #[error(
        "{board}: it gave an answer that does not belong to {during}; firmware and host are of different versions: build the firmware again"
    )]
    Confused {
        /// The board.
        board: String,
        /// What was being done.
        during: &'static str,
    },
    /// A board was started afresh in the middle of a sequence.
    #[error("{board}: it had to be started afresh, and the model's state is lost: run again")]
    StateLost {
        /// The board.
        board: String,
    },
    /// Rows of a run that was watched did not arrive: they are not sent again.
    #[error("{board}: {arrived} of {sent} rows arrived, the others were lost on their way: run again")]
    RowsLost {
        /// The board.
        board: String,
        /// Rows, or pieces of rows, that came in order.
        arrived: u32,
        /// Those that were sent.
        sent: u32,
    },
    /// The model does not verify on this computer, so no board was asked.
    #[error("{board}: the model does not verify: {source}")]
    Blob {
        /// The target.
        board: String,
        /// What is wrong with it.
        source: carafe::BlobError,
    },
    /// The run failed on this computer.
    #[error("{board}: the run failed: {source}")]
    Run {
        /// The target.
        board: String,
        /// Why.
        source: carafe::RunError,
    },
    /// The board's log can't be read.
    #[error("{board}: {what}")]
    Log {
        /// The board.
        board: String,
        /// What is wrong, and the remedy.
        what: String,
    },
    /// A run was asked for before a model was loaded.
    #[error("{board}: no model is loaded; load one first")]
    NoModel {
        /// The target.
        board: String,
    },
    /// The case does not fit the model.
    #[error("{board}: the model takes {want} inputs, the case has {have}")]
    InputCount {
        /// The target.
        board: String,
        /// Inputs of the case.
        have: usize,
        /// Inputs of the model.
        want: usize,
    },
    /// An input has the wrong length.
    #[error(
        "{board}: input {index} takes {want} bytes, the case has {have}; is it quantized to int8, NHWC, without batch?"
    )]
    InputBytes {
        /// The target.
        board: String,
        /// The input.
        index: usize,
        /// Bytes of the case.
        have: usize,
        /// Bytes of the tensor.
        want: usize,
    },
}

impl Error {
    /// True if the board was not there at all, so that nothing can be said of it: skipped, not failed.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }

    /// True if a fresh start of the board might help.
    pub(crate) fn is_link(&self) -> bool {
        matches!(self, Error::LinkLost { .. } | Error::PortLost { .. } | Error::Timeout { .. } | Error::Silent { .. })
    }

    /// True if the board is not there, or says nothing, when it is started.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Error::Port { .. } | Error::Silent { .. })
    }
}

fn quoted(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!("; it said: {}", text.trim()) }
}

/// A key's id, as people see it.
pub fn key_id(key: &[u8; 8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A board's fault in words, with the remedy.
fn words(fault: &Fault) -> String {
    match *fault {
        Fault::UnknownRequest => {
            "its firmware does not know this request: build and flash the firmware again".to_owned()
        }
        Fault::Version { device: Version { major, minor } } => format!(
            "its firmware speaks protocol {major}.{minor}, this program {}.{}: build both from one checkout",
            VERSION.major, VERSION.minor
        ),
        Fault::NoModel => "there is no model on it: load one first".to_owned(),
        Fault::NoTransfer => "it knows of no transfer under way: load the model from its beginning".to_owned(),
        Fault::ModelTooBig { have } => {
            format!("the model is too large, it takes up to {have} bytes: choose a smaller model or another board")
        }
        Fault::ChunkOrder { expected } => {
            format!("a piece of the model was lost, it has {expected} bytes: load it again")
        }
        Fault::ChunkTooLong { missing } => {
            format!("more of the model came than was announced, {missing} bytes were missing: load it again")
        }
        Fault::Incomplete { have, need } => format!("only {have} of {need} bytes of the model arrived: load it again"),
        Fault::TransferCrc => "the model was damaged on its way: load it again".to_owned(),
        Fault::Blob(blob) => format!(
            "the model does not verify there: {blob:?}; if it verifies here, the firmware is older or lacks an op: build it again"
        ),
        Fault::NoSuchInput { count } => format!("the model has {count} inputs"),
        Fault::NoSuchOutput { count } => format!("the model has {count} outputs"),
        Fault::Range { len } => format!("that is beyond the tensor's {len} bytes"),
        Fault::InputMissing { have, need } => format!("only {have} of the inputs' {need} bytes were set"),
        Fault::ArenaTooSmall { need, have } => {
            format!("the model needs an arena of {need} bytes, it has {have}: choose a smaller model or another board")
        }
        Fault::Run { why } => format!("the run stopped: {why:?}; convert the model again"),
        Fault::NotRun => "nothing has been run yet".to_owned(),
        Fault::NoSuchRecord { count } => format!("the profile has {count} records"),
        Fault::AnswerTooLong => "the answer does not fit a frame: ask for less".to_owned(),
        Fault::NoSlots => {
            "it has no flash for models; load the model with `carafe run`, or build it into a firmware with \
             `include_model!`"
                .to_owned()
        }
        Fault::Flash => {
            "its flash did not do what it was told: try again, and if that fails, it is worn out".to_owned()
        }
        Fault::NotFromSlot => {
            "the model that runs did not come from flash, or is not to be started any more: restart the board"
                .to_owned()
        }
        Fault::NothingToRevertTo => "there is no other confirmed model to go back to; flash one".to_owned(),
        Fault::NoGolden => "the model has no golden check: convert it again".to_owned(),
        Fault::Golden => {
            "the model runs there, but gives other bits than on the host, so it was not taken; find the layer with \
             `carafe layer-diff`"
                .to_owned()
        }
        Fault::Unsigned { key } => {
            format!("it takes signed models only: sign it with `carafe sign` and the key {}", key_id(&key))
        }
        Fault::OtherKey { key, signed } => {
            format!("the model is signed with key {}, it takes those of key {} only", key_id(&signed), key_id(&key))
        }
        Fault::Signature => {
            "the model has changed since it was signed: sign it again, if it is as it should be".to_owned()
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_board_and_the_remedy() {
        let fault = Fault::ArenaTooSmall { need: 50_000, have: 16_384 };
        let text = Error::Refused { board: "my-board".to_owned(), during: "the run", fault }.to_string();
        for part in ["my-board", "the run", "50000", "16384", "another board"] {
            assert!(text.contains(part), "{text}");
        }
        let lost = Error::LinkLost { board: "b".to_owned(), during: "loading", said: " boom\n".to_owned() };
        assert_eq!(lost.to_string(), "b: the link ended during loading; it said: boom");
    }
}
