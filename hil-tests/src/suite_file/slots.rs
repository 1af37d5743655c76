//! What goes wrong with a new model in flash, done on purpose; after each the board starts with the old one.

use std::time::Duration;

use super::faults::{FaultKind, Trouble, Wire, expect, wire};
use crate::protocol::{CRC, Fault, Request, SlotState, Slots};
use crate::sample::Sample;
use crate::target::Target;

/// For what takes longest: a model read back, verified, and run once.
const LONG: Duration = Duration::from_secs(120);
/// Starts that a model gets before it is given up.
const TRIALS: usize = 3;
/// Bytes of a piece.
const PIECE: usize = 512;

/// Puts the old model into flash, where it is confirmed, does the fault to a new one, and demands that the board starts
/// with the old one, or for [`FaultKind::SlotUpdate`] with the new one.
pub(super) fn run(kind: FaultKind, old: &[u8], target: &mut dyn Target) -> Result<(), Trouble> {
    let wire = wire(target)?;
    let before = match ask(wire, &Request::GetSlots)? {
        // Firmware of before there were slots does not know what is asked.
        Err(Fault::NoSlots | Fault::UnknownRequest) => return Err(Trouble::NoSlots),
        other => given("the slots", other)?,
    };
    // Large enough to come in several pieces, and it computes something that the old one does not.
    let new = Sample::new(9, 40, 3, 77).golden_blob(true);
    install(wire, old)?;
    let installed = given("the slots", ask(wire, &Request::GetSlots)?)?;
    match kind {
        FaultKind::SlotUpdate => {
            install(wire, &new)?;
            // And back, which is the same once more.
            install(wire, old)?;
        }
        FaultKind::SlotTruncated => {
            let sent = new.len() / 2;
            upload(wire, &new, CRC.checksum(&new), sent)?;
            let fault = Fault::Incomplete { have: sent as u32, need: new.len() as u32 };
            refused("the end of half a model", ask(wire, &Request::FlashEnd)?, |found| found == fault)?;
        }
        FaultKind::SlotWrongCrc => {
            upload(wire, &new, CRC.checksum(&new) ^ 1, new.len())?;
            refused("a model of another CRC", ask(wire, &Request::FlashEnd)?, |fault| fault == Fault::TransferCrc)?;
        }
        FaultKind::SlotDamaged => {
            let mut damaged = new.clone();
            damaged.iter_mut().skip(new.len() / 2).take(8).for_each(|byte| *byte ^= 0x55);
            upload(wire, &damaged, CRC.checksum(&damaged), damaged.len())?;
            refused("a damaged model", ask(wire, &Request::FlashEnd)?, |fault| matches!(fault, Fault::Blob(_)))?;
        }
        FaultKind::SlotGolden => {
            let wrong = Sample::new(9, 40, 3, 77).golden_blob(false);
            upload(wire, &wrong, CRC.checksum(&wrong), wrong.len())?;
            refused("a model that computes something else", ask(wire, &Request::FlashEnd)?, |f| f == Fault::Golden)?;
        }
        FaultKind::SlotOversize => {
            for len in [before.model_bytes.saturating_add(1), u32::MAX] {
                let begun = ask(wire, &Request::FlashBegin { len, crc: 0 })?;
                refused("a model that is too large", begun, |fault| matches!(fault, Fault::ModelTooBig { .. }))?;
            }
        }
        FaultKind::SlotRestart => upload(wire, &new, CRC.checksum(&new), new.len() / 2)?,
        FaultKind::SlotUnconfirmed => {
            enter(wire, &new)?;
            for start in 1..=TRIALS {
                wire.start_afresh()?;
                let slots = given("the slots", ask(wire, &Request::GetSlots)?)?;
                // A request to start that had to be sent again starts it twice, so a trial may be missed, but the first.
                match running(&slots).map(|slot| slot.state) {
                    Some(SlotState::Trial(trial)) if usize::from(trial) >= start => {}
                    Some(SlotState::Good) if start > 1 => break,
                    state => {
                        return Err(Trouble::Unexpected(format!("start {start} of a new model found it {state:?}")));
                    }
                }
            }
        }
        _ => {}
    }
    wire.start_afresh()?;
    let slots = given("the slots", ask(wire, &Request::GetSlots)?)?;
    let state = running(&slots).map(|slot| (slot.state, slot.crc));
    if state != Some((SlotState::Good, CRC.checksum(old))) {
        return Err(Trouble::Unexpected(format!("it does not start with the old model, but with {state:?}")));
    }
    if kind != FaultKind::SlotUpdate && slots.running != installed.running {
        return Err(Trouble::Unexpected("the old model has moved to the other slot".to_owned()));
    }
    Ok(())
}

fn running(slots: &Slots) -> Option<&crate::protocol::SlotInfo> {
    slots.slots.get(usize::from(slots.running?))
}

fn ask(wire: &mut dyn Wire, request: &Request<'_>) -> Result<Result<Slots, Fault>, Trouble> {
    Ok(wire.slots_after(request, LONG)?)
}

fn given(what: &str, answer: Result<Slots, Fault>) -> Result<Slots, Trouble> {
    answer.map_err(|fault| Trouble::Unexpected(format!("{what}: refused ({fault:?})")))
}

fn refused(what: &str, answer: Result<Slots, Fault>, right: impl Fn(Fault) -> bool) -> Result<(), Trouble> {
    match answer {
        Err(fault) if right(fault) => Ok(()),
        Err(fault) => Err(Trouble::Unexpected(format!("{what} was refused for another reason ({fault:?})"))),
        Ok(_) => Err(Trouble::Unexpected(format!("{what} was accepted"))),
    }
}

/// Sends so many bytes of a model, and no end.
fn upload(wire: &mut dyn Wire, file: &[u8], crc: u32, bytes: usize) -> Result<(), Trouble> {
    let len = u32::try_from(file.len()).unwrap_or(u32::MAX);
    expect("a model for flash", wire.ask(&Request::FlashBegin { len, crc })?, None)?;
    let mut offset = 0;
    for data in file.get(..bytes).unwrap_or(file).chunks(PIECE) {
        expect("a piece of it", wire.ask(&Request::FlashChunk { offset, data })?, None)?;
        offset = offset.saturating_add(data.len() as u32);
    }
    Ok(())
}

/// Puts a model into a slot, to be tried at the next start.
fn enter(wire: &mut dyn Wire, file: &[u8]) -> Result<(), Trouble> {
    upload(wire, file, CRC.checksum(file), file.len())?;
    given("the end of a model for flash", ask(wire, &Request::FlashEnd)?).map(|_| ())
}

/// The same, tried and confirmed; nothing, if that is what runs.
fn install(wire: &mut dyn Wire, file: &[u8]) -> Result<(), Trouble> {
    let slots = given("the slots", ask(wire, &Request::GetSlots)?)?;
    let here = running(&slots).is_some_and(|slot| slot.state == SlotState::Good && slot.crc == CRC.checksum(file));
    if here {
        return Ok(());
    }
    enter(wire, file)?;
    wire.start_afresh()?;
    given("a confirmation", ask(wire, &Request::Confirm)?).map(|_| ())
}
