//! What came of it, for people and for scripts.

use carafe_hil::protocol::{SlotReason, SlotState, Slots};
use serde::Serialize;

use crate::ui::{DIM, ERROR, GOOD};
use crate::words;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It runs, and is taken for good.
    Confirmed,
    /// It runs, and nobody has confirmed it yet.
    Trial,
    /// It was there already.
    Already,
    /// It did not stand its trial; the old one runs.
    Returned,
    /// The board went back to the old one, as it was told.
    Reverted,
    /// Nothing was asked for but this.
    Status,
}

#[derive(Serialize)]
pub struct Report {
    pub board: String,
    pub outcome: Outcome,
    /// Why the old model runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The slot that the model went to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<&'static str>,
    /// The slot whose model runs.
    pub running: Option<&'static str>,
    /// Bytes of the model, with its signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// The key that the board wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    pub slots: Vec<Slot>,
    /// Where an emulated board keeps its flash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash_image: Option<String>,
    pub seconds: f64,
}

#[derive(Serialize)]
pub struct Slot {
    pub name: &'static str,
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub sequence: u32,
    pub bytes: u32,
    pub crc: String,
}

/// A slot's name.
pub fn name(slot: u8) -> &'static str {
    if slot == 0 { "A" } else { "B" }
}

/// Both, as the board told.
pub fn slots(slots: &Slots) -> Vec<Slot> {
    (0..)
        .zip(&slots.slots)
        .map(|(i, slot)| {
            let (state, trials, why) = match slot.state {
                SlotState::Trial(n) => ("trial", Some(n), None),
                SlotState::Good => ("good", None, None),
                SlotState::Rejected(why) => ("rejected", None, Some(reason(why).to_owned())),
                _ => ("empty", None, None),
            };
            Slot {
                name: name(i),
                state,
                trials,
                why,
                sequence: slot.sequence,
                bytes: slot.len,
                crc: format!("{:08x}", slot.crc),
            }
        })
        .collect()
}

/// Why a model is not started any more, in words.
pub fn reason(why: SlotReason) -> &'static str {
    match why {
        SlotReason::Trials => "it was started three times and never confirmed",
        SlotReason::Reverted => "the host went back to the other one",
        SlotReason::Crc => "its bytes have changed in flash",
        SlotReason::Blob => "it does not verify on the board: build the firmware again, or convert the model again",
        SlotReason::Memory => "it needs more memory than the board has",
        SlotReason::NoGolden => "it has no golden check: convert the model again",
        SlotReason::Golden => "it gives other bits there than its golden check wants",
        SlotReason::Signature => "its signature is missing or wrong",
        SlotReason::Flash => "the flash failed",
        _ => "it was rejected, and power failed before it was noted why",
    }
}

pub fn text(report: &Report) -> String {
    let slot = report.slot.or(report.running).unwrap_or("-");
    let (style, said) = match report.outcome {
        Outcome::Confirmed => (GOOD, format!("slot {slot}: tried and confirmed")),
        Outcome::Trial => {
            (GOOD, format!("slot {slot}: on trial; confirm it, or the old model returns after three starts"))
        }
        Outcome::Already => {
            (GOOD, format!("slot {slot}: is there already, nothing was written (--force writes it again)"))
        }
        Outcome::Returned => (ERROR, format!("slot {slot}: it did not stand its trial")),
        Outcome::Reverted => (GOOD, "went back to the other model".to_owned()),
        Outcome::Status => (GOOD, "slots".to_owned()),
    };
    let mut text = format!("{style}{}: {said}{style:#}\n", report.board);
    if let Some(why) = &report.why {
        text.push_str(&format!("  because {why}\n"));
    }
    for slot in &report.slots {
        let runs = if report.running == Some(slot.name) { ", runs" } else { "" };
        let trials = slot.trials.map_or(String::new(), |n| format!(" {n} of 3"));
        let why = slot.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        let bytes = if slot.bytes == 0 { String::new() } else { format!(", {} bytes", words::count(slot.bytes)) };
        text.push_str(&format!("  {}  {}{trials}{runs}{bytes}{why}\n", slot.name, slot.state));
    }
    if report.running.is_none() {
        text.push_str("  no model runs from flash\n");
    }
    if let Some(image) = &report.flash_image {
        text.push_str(&format!("  {DIM}flash of the emulated board: {image}{DIM:#}\n"));
    }
    text
}
