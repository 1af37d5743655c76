//! An emulated board: over the protocol, into a file that stands for its flash.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, anyhow};
use carafe_boards::{Availability, Board};
use carafe_hil::protocol::{CRC, Fault, SlotState, Slots};
use carafe_hil::{Client, Error, Process, Qemu, QemuOptions, firmware};

use super::report::{self, Outcome, Report};
use super::{Args, Model};
use crate::failure::Reported;
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
    let begun = Instant::now();
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
    let client = qemu.client()?;

    let before = client.slots().map_err(|error| match error {
        Error::Refused { fault: Fault::NoSlots, .. } if image.metadata().is_ok_and(|file| file.len() > 0) => anyhow!(
            "{}: is no image of the flash of {}, if that has any; it was left as it is: give another --flash-image",
            image.display(),
            board.name
        ),
        other => anyhow!(other),
    })?;
    let report = |outcome, slots: &Slots, slot: Option<u8>| Report {
        board: board.name.to_owned(),
        outcome,
        why: None,
        slot: slot.map(report::name),
        running: slots.running.map(report::name),
        bytes: model.as_ref().map(|model| model.bytes.len()),
        key_id: slots.key.map(|key| carafe_hil::key_id(&key)),
        slots: report::slots(slots),
        flash_image: Some(image.display().to_string()),
        seconds: begun.elapsed().as_secs_f64(),
    };
    let report = match &model {
        None if args.revert => {
            client.revert()?;
            client.restart()?;
            report(Outcome::Reverted, &client.slots()?, None)
        }
        None => report(Outcome::Status, &before, None),
        Some(model) => match there(&before, model).filter(|_| !args.force) {
            Some(slot) => report(Outcome::Already, &before, Some(slot)),
            None => {
                let (slots, slot) = write(client, model, ui)?;
                if slots.running != Some(slot) {
                    let mut report = report(Outcome::Returned, &slots, Some(slot));
                    report.why = slots.passed.map(|passed| report::reason(passed.why).to_owned());
                    report
                } else if args.no_confirm {
                    report(Outcome::Trial, &slots, Some(slot))
                } else {
                    report(Outcome::Confirmed, &client.confirm()?, Some(slot))
                }
            }
        },
    };
    // Else the emulator would be killed, which its flash would stand too.
    let _ = client.exit(0);
    ui.answer(&report, || report::text(&report))?;
    if report.outcome == Outcome::Returned { Err(Reported.into()) } else { Ok(()) }
}

/// The slot that has this very model, if it runs and is confirmed.
fn there(slots: &Slots, model: &Model<'_>) -> Option<u8> {
    let slot = slots.slots.get(usize::from(slots.running?))?;
    let same = slot.len as usize == model.bytes.len() && slot.crc == CRC.checksum(&model.bytes);
    slots.running.filter(|_| same && slot.state == SlotState::Good)
}

/// Writes the model, and starts the board afresh; what is in the slots then, and the slot it went to.
fn write(client: &mut Client<Process>, model: &Model<'_>, ui: &Ui) -> anyhow::Result<(Slots, u8)> {
    let meter = ui.meter(&format!("flash {}", model.path.display()), model.bytes.len() as u64);
    let flashed = client.flash(&model.bytes, &mut |done, _| meter.set(done));
    drop(meter);
    let slots = match flashed {
        Ok(slots) => slots,
        Err(error) => {
            // Whoever has just lost a model's way wants to know what runs now.
            if let Ok(slots) = client.slots() {
                match slots.running {
                    Some(slot) => ui.warn(&format!("the model in slot {} is as it was, and runs", report::name(slot))),
                    None => ui.warn("there is no model in flash"),
                }
            }
            return Err(anyhow!(error).context(format!("{}: was not taken", model.path.display())));
        }
    };
    let newest = (0..).zip(&slots.slots).max_by_key(|(_, slot)| slot.sequence).map_or(0, |(i, _)| i);
    client.restart()?;
    Ok((client.slots()?, newest))
}
