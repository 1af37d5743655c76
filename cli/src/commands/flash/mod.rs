//! `carafe flash`: a model into a board's flash, or the firmware that takes it.

mod emulated;
mod probe;
mod report;

use std::path::PathBuf;

use anyhow::bail;
use carafe_boards::{Board, How};
use serde::Serialize;

use crate::failure::Usage;
use crate::ui::{GOOD, Ui};
use crate::{board, files};

/// Write a model into a board's flash, and nothing else; or build and flash the firmware that takes it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The model goes into the slot that can be spared. The board verifies it, runs its golden check, and tries it; \
                  then it is confirmed. Whatever fails, the old model stays, and the exit code is 1.\n\nExamples:\n  carafe \
                  flash kws.carafe --board qemu-mps2-an386\n  carafe flash kws.carafe --chip STM32H743ZITx --slots \
                  0x08100000:0x40000\n  carafe flash --firmware --board qemu-mps2-an386"
)]
pub struct Args {
    /// The blob, with its signature if it has one
    #[arg(value_name = "FILE.carafe", required_unless_present_any = ["firmware", "status", "revert", "list_probes"])]
    file: Option<PathBuf>,
    /// The board; `carafe boards` lists them
    #[arg(long, value_name = "NAME", value_parser = board::parser())]
    board: Option<&'static Board>,
    /// Build and flash the firmware that takes models, and no model
    #[arg(long, conflicts_with_all = ["file", "status", "revert"])]
    firmware: bool,
    /// A firmware in place of one that is built from the checkout
    #[arg(long, value_name = "ELF")]
    elf: Option<PathBuf>,
    /// Only show what is in the slots
    #[arg(long, conflicts_with_all = ["file", "revert"])]
    status: bool,
    /// Go back to the other model
    #[arg(long, conflicts_with = "file")]
    revert: bool,
    /// Leave the model on trial: your application confirms it, or the old one returns after three starts
    #[arg(long)]
    no_confirm: bool,
    /// Flash it even if it is there already
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    emulated: emulated::EmulatedArgs,
    #[command(flatten)]
    probe: probe::ProbeArgs,
}

/// A file to be flashed.
struct Model<'a> {
    path: &'a std::path::Path,
    bytes: Vec<u8>,
}

/// Flashes.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    if args.probe.list_probes {
        return probe::list(ui);
    }
    let model = args.file.as_deref().map(read).transpose()?;
    match args.board {
        Some(board) if matches!(board.how, How::Qemu(_)) => {
            if args.probe.chip.is_some() || args.probe.probe.is_some() {
                return Err(Usage(format!("{}: is emulated; --chip and --probe are for real boards", board.name)).into());
            }
            if args.firmware { firmware(args, board, ui) } else { emulated::run(args, board, model, ui) }
        }
        Some(board) if board.how == How::Host => {
            bail!("host: this computer has no flash for models; `carafe run` takes them as they are")
        }
        board => match (board, &args.probe.chip) {
            (None, None) => Err(Usage(
                "which board? Give `--board NAME`, or `--chip CHIP` and `--slots ADDRESS:BYTES` of one behind a debug probe"
                    .to_owned(),
            )
            .into()),
            _ => probe::run(args, board, model, ui),
        },
    }
}

/// The file as it is, held to what every board will hold it to.
fn read(path: &std::path::Path) -> anyhow::Result<Model<'_>> {
    let bytes = files::read_blob(path)?;
    let model = files::verify(path, &bytes)?;
    if model.golden().is_none() {
        bail!("{}: has no golden check, and no board would take it; convert the model again", path.display());
    }
    Ok(Model { path, bytes })
}

#[derive(Serialize)]
struct Built {
    board: &'static str,
    firmware: String,
}

/// Of an emulated board: there is nothing to write it into, an emulator is started with it.
fn firmware(args: &Args, board: &'static Board, ui: &Ui) -> anyhow::Result<()> {
    let elf = match &args.elf {
        Some(elf) => elf.clone(),
        None => {
            ui.note(&format!("building the firmware of {}", board.name));
            carafe_hil::firmware::build(board)?
        }
    };
    let built = Built { board: board.name, firmware: elf.display().to_string() };
    ui.answer(&built, || {
        format!(
            "{GOOD}{}: firmware built{GOOD:#}\n  {}\n  QEMU starts with it; there is nothing to flash it into\n",
            built.board, built.firmware
        )
    })
}
