//! Boards to run on.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use carafe_boards::{Board, How};
use carafe_hil::{Host, PortName, Qemu, QemuOptions, SerialBoard, Target};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::failure::Usage;
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
    /// The board's serial port, with its firmware on it already; 115,200 baud, unless another speed is given
    #[arg(long, value_name = "PATH[@BAUD]", conflicts_with = "firmware")]
    pub port: Option<PortName>,
}

impl BoardArgs {
    /// How the board is reached.
    pub fn way(&self) -> Way<'_> {
        Way { firmware: self.firmware.as_deref(), port: self.port.as_ref() }
    }
}

/// How a board is reached; by default, if it is emulated, with a firmware that is built for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way<'w> {
    /// The firmware that an emulator runs.
    pub firmware: Option<&'w Path>,
    /// The serial port that the board is behind.
    pub port: Option<&'w PortName>,
}

/// A serial port for one of several boards: `BOARD=PATH[@BAUD]`.
#[derive(Debug, Clone)]
pub struct PortOf {
    board: &'static Board,
    port: PortName,
}

impl FromStr for PortOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (board, port) =
            text.split_once('=').ok_or_else(|| format!("`{text}` is not BOARD=PATH[@BAUD]: which board is it?"))?;
        Ok(Self { board: carafe_boards::find(board).map_err(|error| error.to_string())?, port: port.parse()? })
    }
}

/// What several boards are reached by: a port each for those that have one, and firmwares in the order of the others.
#[derive(Debug)]
pub struct Ways<'w> {
    ports: Vec<&'w PortOf>,
    firmwares: std::slice::Iter<'w, PathBuf>,
}

impl<'w> Ways<'w> {
    /// Gives ports and firmwares to boards.
    ///
    /// # Errors
    /// [`Usage`]: there are some that no board takes.
    pub fn new(boards: &[&'static Board], ports: &'w [PortOf], firmwares: &'w [PathBuf]) -> Result<Self, Usage> {
        let ways = Self { ports: ports.iter().collect(), firmwares: firmwares.iter() };
        let mut left = ways.ports.clone();
        let mut takers = 0;
        for &board in boards {
            match left.iter().position(|port| port.board == board) {
                Some(at) => drop(left.remove(at)),
                None => takers += usize::from(board.how != How::Host),
            }
        }
        if let Some(PortOf { board, port }) = left.first() {
            return Err(Usage(format!(
                "`--port {}={port}` given, but {0} is none of the boards, or has a port already",
                board.name
            )));
        }
        if firmwares.len() > takers {
            let given = crate::words::several(firmwares.len(), "firmware");
            return Err(Usage(format!("{given} given, but the boards take {takers}: leave the others out")));
        }
        Ok(ways)
    }

    /// How the next board is reached.
    pub fn next(&mut self, board: &'static Board) -> Way<'w> {
        if let Some(at) = self.ports.iter().position(|port| port.board == board) {
            return Way { port: Some(&self.ports.remove(at).port), firmware: None };
        }
        let firmware = if board.how == How::Host { None } else { self.firmwares.next() };
        Way { firmware: firmware.map(PathBuf::as_path), port: None }
    }
}

/// Takes names of boards, and nothing else.
pub fn parser() -> impl TypedValueParser<Value = &'static Board> {
    PossibleValuesParser::new(carafe_boards::all().iter().map(|b| b.name)).try_map(|name| carafe_boards::find(&name))
}

/// Starts a board, and builds its firmware where none is given; or opens its port.
pub fn open(board: &'static Board, way: Way<'_>, ui: &Ui) -> Result<Box<dyn Target>, carafe_hil::Error> {
    open_as(board, way, ui, |_| ())
}

/// The same; with `count`, an emulated board counts instructions, at half its speed.
pub fn open_counting(
    board: &'static Board,
    way: Way<'_>,
    count: bool,
    ui: &Ui,
) -> Result<Box<dyn Target>, carafe_hil::Error> {
    open_as(board, way, ui, |options| options.count_instructions = count)
}

/// The same, with a firmware that logs.
pub fn open_logging(board: &'static Board, way: Way<'_>, ui: &Ui) -> Result<Box<dyn Target>, carafe_hil::Error> {
    open_as(board, way, ui, |options| options.log = true)
}

fn open_as(
    board: &'static Board,
    way: Way<'_>,
    ui: &Ui,
    choose: impl FnOnce(&mut QemuOptions),
) -> Result<Box<dyn Target>, carafe_hil::Error> {
    if let Some(port) = way.port {
        return Ok(Box::new(SerialBoard::open(board.name, port.clone())?));
    }
    match board.how {
        How::Host => Ok(Box::new(Host::new())),
        _ => {
            if let carafe_boards::Availability::Missing { why_not } = board.availability() {
                return Err(carafe_hil::Error::Unavailable { board: board.name.to_owned(), why_not });
            }
            if way.firmware.is_none() && board.firmware.is_some() {
                let from = carafe_hil::firmware::checkout();
                ui.note(&format!("building the firmware of {} in {}", board.name, from.display()));
            }
            let mut options = QemuOptions::default();
            options.firmware = way.firmware.map(Path::to_path_buf);
            choose(&mut options);
            Ok(Box::new(Qemu::start(board.name, options)?))
        }
    }
}
