//! An emulated board: over the protocol, into a file that stands for its flash.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use carafe_boards::{Availability, Board, How};
use carafe_hil::{Error, Qemu, QemuOptions, firmware};

use super::{Args, Model, link};
use crate::failure::Usage;
use crate::ui::Ui;

/// What there is to say of an emulated board.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Emulated boards")]
pub struct EmulatedArgs {
    /// The file that stands for the board's flash; by default one for each board in the build folder
    #[arg(long, value_name = "FILE")]
    pub flash_image: Option<PathBuf>,
}

/// Flashes, goes back, or shows.
pub fn run(args: &Args, board: &'static Board, model: Option<Model<'_>>, ui: &Ui) -> anyhow::Result<()> {
    if let Availability::Missing { why_not } = board.availability() {
        return Err(Error::Unavailable { board: board.name.to_owned(), why_not }.into());
    }
    let image = image(args, board, ui)?;
    if let Some(folder) = image.as_deref().and_then(Path::parent) {
        fs::create_dir_all(folder).with_context(|| format!("{}: can't be made", folder.display()))?;
    }
    if args.elf.is_none() {
        ui.note(&format!("building the firmware of {} in {}", board.name, firmware::checkout().display()));
    }
    let mut options = QemuOptions::default();
    options.firmware.clone_from(&args.elf);
    options.flash_image.clone_from(&image);
    let mut qemu = Qemu::start(board.name, options)?;
    let flashed = link::run(args, board, qemu.client()?, model, image.as_deref(), ui);
    // Else the emulator would be killed, which its flash would stand too.
    let _ = qemu.client().and_then(|client| client.exit(0));
    flashed
}

/// The file that stands for its flash; none where the emulator gives a program no files.
fn image(args: &Args, board: &Board, ui: &Ui) -> anyhow::Result<Option<PathBuf>> {
    let given = &args.emulated.flash_image;
    if matches!(board.how, How::Qemu(machine) if !machine.semihosting) {
        let why = format!("{}: its emulator has no files, so what is in its flash is gone with it", board.name);
        if given.is_some() {
            return Err(Usage(format!("{why}; leave --flash-image out")).into());
        }
        ui.warn(&why);
        return Ok(None);
    }
    let usual = || firmware::target_dir().join("flash").join(format!("{}.img", board.name));
    Ok(Some(given.clone().unwrap_or_else(usual)))
}
