use std::cell::RefCell;
use std::rc::Rc;

use carafe_slots::{RamFlash, Reason, Slot, Slots, State};

use super::*;

const CHIP: &str = "STM32H743ZITx";
const AREA: SlotArea = SlotArea { address: 0x0810_0000, slot_bytes: 8192 };
/// Sectors of the chip.
const SECTOR: usize = 4096;

/// A chip on the desk: its flash, and what its firmware does after a reset.
struct Desk {
    flash: Rc<RefCell<Vec<u8>>>,
    /// Bits that can't be written.
    worn: Option<usize>,
    /// The firmware's verdict on a new model.
    verdict: Option<Reason>,
}

struct Fakes {
    there: Vec<ProbeInfo>,
    flash: Rc<RefCell<Vec<u8>>>,
    worn: Option<usize>,
    verdict: Option<Reason>,
}

fn probe(vendor: u16, serial: Option<&str>) -> ProbeInfo {
    ProbeInfo { name: "fake".to_owned(), vendor, product: 0x374E, serial: serial.map(str::to_owned) }
}

fn fakes(there: &[ProbeInfo]) -> Fakes {
    let flash = Rc::new(RefCell::new(vec![0xFF; 2 * AREA.slot_bytes as usize]));
    Fakes { there: there.to_vec(), flash, worn: None, verdict: None }
}

impl Probes for Fakes {
    fn list(&self) -> Vec<ProbeInfo> {
        self.there.clone()
    }

    fn attach(&self, probe: &ProbeInfo, chip: &str) -> Result<Box<dyn Port>, ProbeError> {
        if chip != CHIP {
            return Err(ProbeError::WrongChip {
                probe: probe.to_string(),
                chip: chip.to_owned(),
                why: "the core is a Cortex-M7".to_owned(),
            });
        }
        Ok(Box::new(Desk { flash: self.flash.clone(), worn: self.worn, verdict: self.verdict }))
    }
}

impl Port for Desk {
    fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), ProbeError> {
        let from = (address - AREA.address) as usize;
        to.copy_from_slice(&self.flash.borrow()[from..from + to.len()]);
        Ok(())
    }

    fn program(&mut self, address: u64, data: &[u8], progress: &mut dyn FlashProgress) -> Result<(), ProbeError> {
        let from = (address - AREA.address) as usize;
        let mut flash = self.flash.borrow_mut();
        assert_eq!(from % SECTOR, 0);
        flash[from..(from + data.len()).next_multiple_of(SECTOR)].fill(0xFF);
        flash[from..from + data.len()].copy_from_slice(data);
        if let Some(at) = self.worn {
            flash[at] ^= 1;
        }
        progress.written(data.len(), data.len());
        Ok(())
    }

    fn program_elf(&mut self, _: &Path, _: &mut dyn FlashProgress) -> Result<(), ProbeError> {
        Ok(())
    }

    fn reset(&mut self) -> Result<(), ProbeError> {
        let mut flash = self.flash.borrow_mut();
        let mut slots = Slots::new(RamFlash::<8, 4096>::new(&mut flash), 0, AREA.slot_bytes).unwrap();
        let verdict = self.verdict;
        slots.boot(|slots, slot, content, trial| {
            slots.load(slot, content, &mut [0; 8192])?;
            verdict.filter(|_| trial).map_or(Ok(()), Err)
        });
        Ok(())
    }

    fn log(&mut self, _: Duration) -> Result<Vec<u8>, ProbeError> {
        Err(ProbeError::NoRtt)
    }
}

#[test]
fn every_error_names_its_remedy() {
    let a = probe(0x0483, Some("A1"));
    let b = probe(0x0483, Some("B2"));
    let select = |text: &str| text.parse::<Selector>();
    let error = choose(&fakes(&[]), None).unwrap_err().to_string();
    assert!(error.contains("plug one in"), "{error}");
    let both = fakes(&[a.clone(), b.clone()]);
    let error = choose(&both, None).unwrap_err().to_string();
    for word in ["0483:374e:A1", "0483:374e:B2", "--probe"] {
        assert!(error.contains(word), "{error}");
    }
    assert!(matches!(choose(&both, Some(&select("0483:374e").unwrap())), Err(ProbeError::Several { .. })));
    assert_eq!(choose(&both, Some(&select("0483:374e:B2").unwrap())).unwrap(), b);
    let error = choose(&both, Some(&select("0483:374e:C3").unwrap())).unwrap_err().to_string();
    assert!(error.contains("0483:374e:C3") && error.contains("0483:374e:A1"), "{error}");
    assert_eq!(choose(&fakes(std::slice::from_ref(&a)), None).unwrap(), a);
    let error = select("stlink").unwrap_err().to_string();
    assert!(error.contains("VID:PID"), "{error}");
    let error = fakes(std::slice::from_ref(&a)).attach(&a, "nRF52840_xxAA").map(|_| ()).unwrap_err().to_string();
    for word in ["nRF52840_xxAA", "--chip", "powered"] {
        assert!(error.contains(word), "{error}");
    }
}

fn flash(fakes: &Fakes, file: &[u8]) -> Result<(Flashed, State), ProbeError> {
    let mut port = fakes.attach(&fakes.there[0], CHIP)?;
    let mut written = 0;
    let flashed = flash_model(&mut *port, AREA, file, &mut |done, _| written = done)?;
    assert!(written >= file.len());
    let state = watch(&mut *port, AREA, flashed.slot, Duration::from_millis(1))?;
    Ok((flashed, state))
}

#[test]
fn models_go_into_the_slot_that_can_be_spared() {
    let mut fakes = fakes(&[probe(1, None)]);
    let (first, state) = flash(&fakes, &[1; 3000]).unwrap();
    assert_eq!((first, state), (Flashed { slot: Slot::A, sequence: 1 }, State::Trial(1)));
    // The application is content.
    let mut memory = fakes.flash.borrow().clone();
    Slots::new(RamFlash::<8, 4096>::new(&mut memory), 0, AREA.slot_bytes).unwrap().confirm(Slot::A).unwrap();
    *fakes.flash.borrow_mut() = memory;
    let (second, _) = flash(&fakes, &[2; 7001]).unwrap();
    assert_eq!(second, Flashed { slot: Slot::B, sequence: 2 });
    // That is on trial, so the next one takes its place.
    fakes.verdict = Some(Reason::Golden);
    let (third, state) = flash(&fakes, &[3; 100]).unwrap();
    assert_eq!((third.slot, state), (Slot::B, State::Rejected(Reason::Golden)));
    let mut memory = fakes.flash.borrow().clone();
    let mut slots = Slots::new(RamFlash::<8, 4096>::new(&mut memory), 0, AREA.slot_bytes).unwrap();
    assert_eq!(slots.state(Slot::A), State::Good);
}

#[test]
fn what_does_not_fit_or_does_not_hold_is_refused() {
    let mut fakes = fakes(&[probe(1, None)]);
    let error = flash(&fakes, &[1; 8000]).unwrap_err();
    assert!(error.to_string().contains("7936"), "{error}");
    fakes.worn = Some(1000);
    let error = flash(&fakes, &[1; 3000]).unwrap_err();
    assert!(matches!(error, ProbeError::Verify { address: 0x0810_03E8 }), "{error}");
}
