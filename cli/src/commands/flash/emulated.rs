//! An emulated board: over the protocol, into a file that stands for its flash.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use carafe_boards::{Availability, Board};
use carafe_hil::{Error, Qemu, QemuOptions, firmware};

use super::{Args, Model, link};
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
    let image = match &args.emulated.flash_image {
        Some(image) => image.clone(),
        None => firmware::target_dir().join("flash").join(format!("{}.img", board.name)),
    };
    if let Some(folder) = image.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{}: can't be made", folder.display()))?;
    }
    if args.elf.is_none() {
        ui.note(&format!("building the firmware of {} in {}", board.name, firmware::checkout().display()));
    }
    let mut options = QemuOptions::default();
    options.firmware.clone_from(&args.elf);
    options.flash_image = Some(image.clone());
    let mut qemu = Qemu::start(board.name, options)?;
    let flashed = link::run(args, board, qemu.client()?, model, Some(&image), ui);
    // Else the emulator would be killed, which its flash would stand too.
    let _ = qemu.client().and_then(|client| client.exit(0));
    flashed
}
