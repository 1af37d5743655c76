//! The real thing, by probe-rs.

use std::path::Path;
use std::time::{Duration, Instant};

use probe_rs::config::Registry;
use probe_rs::flashing::{
    DownloadOptions, ElfLoader, ElfOptions, FlashError, FlashLoader, FlashProgress as Events, ProgressEvent,
    ProgressOperation, build_loader,
};
use probe_rs::probe::list::Lister;
use probe_rs::rtt::{ScanRegion, try_attach_to_rtt};
use probe_rs::{MemoryInterface, Permissions, Session};

use super::{Port, ProbeError, ProbeInfo, Probes};
use crate::FlashProgress;

/// Probes as probe-rs finds them.
pub struct ProbeRs(Lister);

impl Default for ProbeRs {
    fn default() -> Self {
        Self(Lister::new())
    }
}

impl ProbeRs {
    /// With a lister of one's own, as tests have it.
    pub fn with_lister(lister: Lister) -> Self {
        Self(lister)
    }
}

fn info(probe: &probe_rs::probe::DebugProbeInfo) -> ProbeInfo {
    ProbeInfo {
        name: probe.identifier.clone(),
        vendor: probe.vendor_id,
        product: probe.product_id,
        serial: probe.serial_number.clone(),
    }
}

/// Names that begin as this one does, for as long as possible, for who has mistyped it.
fn near(registry: &Registry, chip: &str) -> String {
    let fronts = (4..=chip.len()).rev().filter_map(|n| chip.get(..n));
    let mut names =
        fronts.map(|front| registry.search_chips(front)).find(|names| !names.is_empty()).unwrap_or_default();
    names.sort();
    names.dedup();
    names.truncate(5);
    if names.is_empty() { String::new() } else { format!("; like it are {}", names.join(", ")) }
}

impl Probes for ProbeRs {
    fn list(&self) -> Vec<ProbeInfo> {
        self.0.list_all().iter().map(info).collect()
    }

    fn attach(&self, probe: &ProbeInfo, chip: &str) -> Result<Box<dyn Port>, ProbeError> {
        let registry = Registry::from_builtin_families();
        if registry.get_target_by_name(chip).is_err() {
            return Err(ProbeError::UnknownChip { chip: chip.to_owned(), near: near(&registry, chip) });
        }
        let wrong = |why: String| ProbeError::WrongChip { probe: probe.to_string(), chip: chip.to_owned(), why };
        let all = self.0.list_all();
        let found = all.iter().find(|other| info(other) == *probe).ok_or(ProbeError::NoProbe)?;
        let opened = self.0.open(found).map_err(|error| wrong(chain(&error)))?;
        let session = opened.attach(chip, Permissions::default()).map_err(|error| wrong(chain(&error)))?;
        Ok(Box::new(Attached { session, chip: chip.to_owned() }))
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

struct Attached {
    session: Session,
    chip: String,
}

impl Attached {
    fn commit(
        &mut self,
        loader: FlashLoader,
        address: u64,
        all: usize,
        progress: &mut dyn FlashProgress,
    ) -> Result<(), ProbeError> {
        let mut done = 0usize;
        let mut options = DownloadOptions::new();
        options.verify = true;
        options.progress = Events::new(|event| {
            if let ProgressEvent::Progress { operation: ProgressOperation::Program, size, .. } = event {
                done = done.saturating_add(size as usize).min(all);
                progress.written(done, all);
            }
        });
        loader.commit(&mut self.session, options).map_err(|error| ProbeError::Transfer {
            what: "flashing",
            address,
            why: chain(&error),
        })
    }
}

fn transfer(what: &'static str, address: u64) -> impl Fn(probe_rs::Error) -> ProbeError {
    move |error| ProbeError::Transfer { what, address, why: chain(&error) }
}

impl Port for Attached {
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), ProbeError> {
        let wrong = transfer("reading", address);
        self.session.core(0).and_then(|mut core| core.read_8(address, to)).map_err(wrong)
    }

    fn program(&mut self, address: u64, data: &[u8], progress: &mut dyn FlashProgress) -> Result<(), ProbeError> {
        let mut loader = self.session.target().flash_loader();
        loader.add_data(address, data).map_err(|error| match error {
            FlashError::NoSuitableNvm { .. } => {
                ProbeError::NoFlashThere { chip: self.chip.clone(), address, end: address + data.len() as u64 }
            }
            other => ProbeError::Transfer { what: "flashing", address, why: chain(&other) },
        })?;
        self.commit(loader, address, data.len(), progress)
    }

    fn program_elf(&mut self, elf: &Path, progress: &mut dyn FlashProgress) -> Result<(), ProbeError> {
        let wrong = |why: String| ProbeError::Transfer { what: "flashing the firmware", address: 0, why };
        let loader = build_loader(&mut self.session, elf, ElfLoader(ElfOptions::default()), None)
            .map_err(|error| wrong(chain(&error)))?;
        let all = loader.data().map(|(_, data)| data.len()).sum();
        self.commit(loader, 0, all, progress)
    }

    fn reset(&mut self) -> Result<(), ProbeError> {
        let wrong = transfer("the reset", 0);
        self.session.core(0).and_then(|mut core| core.reset()).map_err(wrong)
    }

    fn log(&mut self, limit: Duration) -> Result<Vec<u8>, ProbeError> {
        let begun = Instant::now();
        let mut core = self.session.core(0).map_err(transfer("RTT", 0))?;
        let mut rtt = try_attach_to_rtt(&mut core, limit, &ScanRegion::Ram).map_err(|_| ProbeError::NoRtt)?;
        let channel = rtt.up_channel(0).ok_or(ProbeError::NoRtt)?;
        let mut said = Vec::new();
        let mut room = [0; 1024];
        while begun.elapsed() < limit {
            let n = channel.read(&mut core, &mut room).map_err(|_| ProbeError::NoRtt)?;
            said.extend(&room[..n]);
            if n == 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_that_is_mistyped_comes_with_names_like_it() {
        let registry = Registry::from_builtin_families();
        assert!(registry.get_target_by_name("STM32H743ZITx").is_ok());
        assert!(near(&registry, "STM32H743XX").contains("STM32H7"), "{}", near(&registry, "STM32H743XX"));
    }

    #[test]
    fn no_probe_is_an_error_with_a_remedy() {
        // A machine that runs tests has none; one that has is told apart.
        let probes = ProbeRs::default();
        match super::super::choose(&probes, None) {
            Err(error) => assert!(error.to_string().contains("probe"), "{error}"),
            Ok(probe) => {
                let error = probes.attach(&probe, "no-such-chip").map(|_| ()).unwrap_err();
                assert!(matches!(error, ProbeError::UnknownChip { .. }), "{error}");
            }
        }
    }

    #[test]
    fn boards_have_chips_that_are_known_and_slots_in_their_flash() {
        let registry = Registry::from_builtin_families();
        let mut looked_at = 0;
        for board in carafe_boards::all() {
            // probe-rs has no chips of Espressif in its own table; of such a board nothing goes through a probe.
            let carafe_boards::How::Probe { chip, slots: Some(slots) } = board.how else { continue };
            let target = registry.get_target_by_name(chip).unwrap_or_else(|error| panic!("{}: {error}", board.name));
            looked_at += 1;
            for slot in 0..2 {
                let from = slots.start + slot * u64::from(slots.bytes);
                let data = vec![0; slots.bytes as usize];
                let fits = target.flash_loader().add_data(from, &data);
                assert!(fits.is_ok(), "{}: no flash at {from:#x}: {fits:?}", board.name);
            }
        }
        assert!(looked_at >= 4, "only {looked_at} boards are behind a probe");
    }
}
