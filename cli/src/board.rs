//! Boards to run on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use carafe_boards::{Board, How};
use carafe_hil::{Host, Qemu, QemuOptions, Target};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::ui::Ui;

/// How long one inference may take; a large model on an emulated board takes a while.
pub const LIMIT: Duration = Duration::from_secs(600);

/// Which board, and what runs on it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Board")]
pub struct BoardArgs {
    /// Where to run; `carafe boards` lists them
    #[arg(long, value_name = "NAME", default_value = "host", value_parser = parser())]
    pub board: &'static Board,
    /// A firmware to run there, in place of one that is built from the checkout
    #[arg(long, value_name = "ELF")]
    pub firmware: Option<PathBuf>,
}

/// Takes names of boards, and nothing else.
pub fn parser() -> impl TypedValueParser<Value = &'static Board> {
    PossibleValuesParser::new(carafe_boards::all().iter().map(|b| b.name)).try_map(|name| carafe_boards::find(&name))
}

/// Starts a board, and builds its firmware where none is given.
pub fn open(board: &'static Board, firmware: Option<&Path>, ui: &Ui) -> Result<Box<dyn Target>, carafe_hil::Error> {
    open_as(board, firmware, ui, |_| ())
}

/// The same; with `count`, an emulated board counts instructions, at half its speed.
pub fn open_counting(
    board: &'static Board,
    firmware: Option<&Path>,
    count: bool,
    ui: &Ui,
) -> Result<Box<dyn Target>, carafe_hil::Error> {
    open_as(board, firmware, ui, |options| options.count_instructions = count)
}

/// The same, with a firmware that logs.
pub fn open_logging(
    board: &'static Board,
    firmware: Option<&Path>,
    ui: &Ui,
) -> Result<Box<dyn Target>, carafe_hil::Error> {
    open_as(board, firmware, ui, |options| options.log = true)
}

fn open_as(
    board: &'static Board,
    firmware: Option<&Path>,
    ui: &Ui,
    choose: impl FnOnce(&mut QemuOptions),
) -> Result<Box<dyn Target>, carafe_hil::Error> {
    match board.how {
        How::Host => Ok(Box::new(Host::new())),
        _ => {
            if let carafe_boards::Availability::Missing { why_not } = board.availability() {
                return Err(carafe_hil::Error::Unavailable { board: board.name.to_owned(), why_not });
            }
            if firmware.is_none() && board.firmware.is_some() {
                let from = carafe_hil::firmware::checkout();
                ui.note(&format!("building the firmware of {} in {}", board.name, from.display()));
            }
            let mut options = QemuOptions::default();
            options.firmware = firmware.map(Path::to_path_buf);
            choose(&mut options);
            Ok(Box::new(Qemu::start(board.name, options)?))
        }
    }
}
