//! Over the protocol, whatever carries it.

use std::path::Path;
use std::time::Instant;

use anyhow::anyhow;
use carafe_boards::Board;
use carafe_hil::protocol::{CRC, Fault, SlotState, Slots};
use carafe_hil::{Client, Error, Transport};

use super::report::{self, Outcome, Report};
use super::{Args, Model};
use crate::failure::Reported;
use crate::ui::Ui;

/// Flashes, goes back, or shows. An emulated board's flash is a file.
pub fn run<T: Transport>(
    args: &Args,
    board: &Board,
    client: &mut Client<T>,
    model: Option<Model<'_>>,
    image: Option<&Path>,
    ui: &Ui,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let before = client.slots().map_err(|error| match (error, image) {
        (Error::Refused { fault: Fault::NoSlots, .. }, Some(image))
            if image.metadata().is_ok_and(|file| file.len() > 0) =>
        {
            anyhow!(
                "{}: is no image of the flash of {}, if that has any; it was left as it is: give another --flash-image",
                image.display(),
                board.name
            )
        }
        (other, _) => anyhow!(other),
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
        flash_image: image.map(|image| image.display().to_string()),
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
fn write<T: Transport>(client: &mut Client<T>, model: &Model<'_>, ui: &Ui) -> anyhow::Result<(Slots, u8)> {
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
