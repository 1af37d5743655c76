//! Boards behind a debug probe: which probe, which chip, and a model into their flash without any help of their firmware.
//!
//! [`Probes`] and [`Port`] are all that is asked of a probe. `ProbeRs` is the real one (feature `probe`); tests have one of
//! their own, so what is not tested without hardware is what probe-rs does itself.

mod model;
#[cfg(feature = "probe")]
mod rs;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use carafe_slots::SlotsError;

pub use model::{Flashed, SlotArea, flash_model, watch};
#[cfg(feature = "probe")]
pub use rs::ProbeRs;

use crate::FlashProgress;

/// Why a board behind a probe could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// None is plugged in.
    #[error(
        "no debug probe is connected: plug one in; on Linux it also needs a udev rule (https://probe.rs/docs/getting-started/probe-setup/)"
    )]
    NoProbe,
    /// Not the one asked for.
    #[error("there is no debug probe {wanted}; connected: {there}")]
    NotThere {
        /// As it was asked for.
        wanted: String,
        /// Those there are.
        there: String,
    },
    /// More than one.
    #[error("several debug probes fit: {there}; choose one by --probe VID:PID:SERIAL")]
    Several {
        /// Those there are.
        there: String,
    },
    /// What was given is no selector.
    #[error(
        "`{0}` names no probe: give VID:PID or VID:PID:SERIAL, in hexadecimal, as `carafe flash --list-probes` shows them"
    )]
    Selector(String),
    /// Nobody knows that chip.
    #[error("chip `{chip}` is not known{near}; `--chip` takes the names of https://probe.rs/targets")]
    UnknownChip {
        /// As it was given.
        chip: String,
        /// Names that are like it, in words.
        near: String,
    },
    /// The probe found another chip, or none.
    #[error(
        "probe {probe} does not find a {chip}: {why}; is it that chip (--chip), is the board powered, and is the cable in the right socket?"
    )]
    WrongChip {
        /// The probe.
        probe: String,
        /// The chip that was looked for.
        chip: String,
        /// What it said.
        why: String,
    },
    /// There is no flash at that address.
    #[error(
        "{chip} has no flash at {address:#x} to {end:#x}: give the slots of your firmware by --slots ADDRESS:BYTES"
    )]
    NoFlashThere {
        /// The chip.
        chip: String,
        /// Where it should begin.
        address: u64,
        /// And end.
        end: u64,
    },
    /// A transfer failed.
    #[error("{what} failed at {address:#x}: {why}; check the cable, and try again")]
    Transfer {
        /// What was being done.
        what: &'static str,
        /// Where.
        address: u64,
        /// What the probe said.
        why: String,
    },
    /// Flash has not taken what was written.
    #[error("flash at {address:#x} is not what was written: it is worn out or write-protected")]
    Verify {
        /// The first byte that differs.
        address: u64,
    },
    /// The slots would not take the model.
    #[error("{}", slots_words(.0))]
    Slots(SlotsError),
    /// No log channel.
    #[error("the firmware has no RTT channel: build it with `defmt-rtt`, or leave --log out")]
    NoRtt,
}

fn slots_words(error: &SlotsError) -> String {
    match error {
        SlotsError::TooLarge { have } => {
            format!("the model is too large for a slot, it takes up to {have} bytes: make the slots larger (--slots)")
        }
        SlotsError::Layout => "the slots have to begin and end on sectors of the flash: see --slots".to_owned(),
        other => format!("the slots can't be written: {other:?}"),
    }
}

/// A probe that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeInfo {
    /// What it calls itself.
    pub name: String,
    /// USB vendor.
    pub vendor: u16,
    /// USB product.
    pub product: u16,
    /// Its serial number, if it has one.
    pub serial: Option<String>,
}

impl fmt::Display for ProbeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)?;
        if let Some(serial) = &self.serial {
            write!(f, ":{serial}")?;
        }
        write!(f, " ({})", self.name)
    }
}

/// Which probe to take: `VID:PID` or `VID:PID:SERIAL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    vendor: u16,
    product: u16,
    serial: Option<String>,
}

impl FromStr for Selector {
    type Err = ProbeError;

    fn from_str(text: &str) -> Result<Self, ProbeError> {
        let wrong = || ProbeError::Selector(text.to_owned());
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next().and_then(|part| u16::from_str_radix(part, 16).ok()).ok_or_else(wrong);
        let (vendor, product) = (number()?, number()?);
        Ok(Self { vendor, product, serial: parts.next().map(str::to_owned) })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)?;
        self.serial.as_ref().map_or(Ok(()), |serial| write!(f, ":{serial}"))
    }
}

impl Selector {
    fn fits(&self, probe: &ProbeInfo) -> bool {
        let serial = self.serial.as_ref().is_none_or(|serial| probe.serial.as_ref() == Some(serial));
        (self.vendor, self.product) == (probe.vendor, probe.product) && serial
    }
}

/// What knows the probes that are plugged in.
pub trait Probes {
    /// All of them.
    fn list(&self) -> Vec<ProbeInfo>;

    /// Attaches to the chip behind one of them.
    ///
    /// # Errors
    /// [`ProbeError::UnknownChip`], [`ProbeError::WrongChip`].
    fn attach(&self, probe: &ProbeInfo, chip: &str) -> Result<Box<dyn Port>, ProbeError>;
}

/// A chip that a probe is attached to.
pub trait Port {
    /// Reads memory.
    ///
    /// # Errors
    /// [`ProbeError::Transfer`].
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), ProbeError>;

    /// Erases the sectors that `data` touches, and writes it. What else is in them is lost.
    ///
    /// # Errors
    /// [`ProbeError::NoFlashThere`], [`ProbeError::Transfer`].
    fn program(&mut self, address: u64, data: &[u8], progress: &mut dyn FlashProgress) -> Result<(), ProbeError>;

    /// Writes a whole firmware.
    ///
    /// # Errors
    /// As [`Port::program`].
    fn program_elf(&mut self, elf: &Path, progress: &mut dyn FlashProgress) -> Result<(), ProbeError>;

    /// Resets the chip and lets it run.
    ///
    /// # Errors
    /// [`ProbeError::Transfer`].
    fn reset(&mut self) -> Result<(), ProbeError>;

    /// What the firmware has said on its RTT channel 0 within `limit`.
    ///
    /// # Errors
    /// [`ProbeError::NoRtt`].
    fn log(&mut self, limit: Duration) -> Result<Vec<u8>, ProbeError>;
}

/// The probe that is meant: the only one there is, or the one that was asked for.
///
/// # Errors
/// [`ProbeError::NoProbe`], [`ProbeError::NotThere`], [`ProbeError::Several`].
pub fn choose(probes: &dyn Probes, wanted: Option<&Selector>) -> Result<ProbeInfo, ProbeError> {
    let all = probes.list();
    let names = |list: &[ProbeInfo]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        return Err(ProbeError::NoProbe);
    }
    let fit = all.iter().filter(|probe| wanted.is_none_or(|wanted| wanted.fits(probe))).cloned().collect::<Vec<_>>();
    match (fit.as_slice(), wanted) {
        ([one], _) => Ok(one.clone()),
        ([], Some(wanted)) => Err(ProbeError::NotThere { wanted: wanted.to_string(), there: names(&all) }),
        _ => Err(ProbeError::Several { there: names(&fit) }),
    }
}

#[cfg(test)]
mod tests;
