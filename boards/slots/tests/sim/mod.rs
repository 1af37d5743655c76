//! A device with flash whose power fails when it is told to.

use carafe_slots::embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use carafe_slots::{Content, Reason, Slot, Slots};

/// The number of a model that fails its check.
pub const BROKEN: u8 = 99;

/// Bytes of a sector.
pub const SECTOR: usize = 128;

/// A model, to be told from others: its number, and bytes that follow from it.
pub fn model(number: u8) -> Vec<u8> {
    let len = 40 + 7 * usize::from(number % 7);
    let mut bytes = (0..len).map(|i| (i as u8).wrapping_mul(number.wrapping_mul(2) | 1)).collect::<Vec<_>>();
    bytes[0] = number;
    bytes
}

/// What is left of a word or a sector when power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tear {
    /// It was not begun.
    Before,
    /// It was finished, but nobody was told.
    After,
    /// Some bits have changed, and others not.
    Some,
    /// Of an erasure, anything; of a write, its first half.
    Wild,
}

impl Tear {
    pub const ALL: [Self; 4] = [Tear::Before, Tear::After, Tear::Some, Tear::Wild];
}

/// Flash with words of `W` bytes, written at most once between two erasures.
#[derive(Debug, Clone)]
pub struct Flash<const W: usize> {
    pub bytes: Vec<u8>,
    /// Words that have been written since they were erased.
    written: Vec<bool>,
    /// Words that can't be read: cut off, where there is ECC.
    unreadable: Vec<bool>,
    ecc: bool,
    pub erased: Vec<u32>,
    pub operations: usize,
    fails: Option<(usize, Tear)>,
    pub dead: bool,
    noise: u64,
}

impl<const W: usize> Flash<W> {
    pub fn new(bytes: usize, ecc: bool) -> Self {
        Self {
            // As it may come from the factory, or from another program.
            bytes: vec![0xFF; bytes],
            written: vec![false; bytes / W],
            unreadable: vec![false; bytes / W],
            ecc,
            erased: vec![0; bytes / SECTOR],
            operations: 0,
            fails: None,
            dead: false,
            noise: 0x9E37_79B9_7F4A_7C15,
        }
    }

    /// Power fails during operation number `at`, counted from the beginning.
    pub fn fail_after(&mut self, at: usize, tear: Tear) {
        self.fails = Some((at, tear));
        self.noise ^= (at as u64) << 7;
    }

    /// It does not fail any more.
    pub fn calm(&mut self) {
        self.fails = None;
    }

    fn random(&mut self) -> u8 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 24) as u8
    }

    /// How the next operation ends, one word or sector each.
    fn tear(&mut self) -> Option<Tear> {
        let number = self.operations;
        self.operations += 1;
        let tear = self.fails.filter(|(at, _)| *at == number).map(|(_, tear)| tear);
        self.dead |= tear.is_some();
        tear
    }
}

impl<const W: usize> ErrorType for Flash<W> {
    type Error = NorFlashErrorKind;
}

impl<const W: usize> ReadNorFlash for Flash<W> {
    const READ_SIZE: usize = if W > 8 { 8 } else { 1 };

    fn read(&mut self, offset: u32, to: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, to.len())?;
        let range = offset as usize..offset as usize + to.len();
        let bad = self.unreadable[range.start / W..range.end.div_ceil(W)].iter().any(|bad| *bad);
        if self.dead || bad {
            return Err(NorFlashErrorKind::Other);
        }
        to.copy_from_slice(&self.bytes[range]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const W: usize> NorFlash for Flash<W> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        assert_eq!((to - from) as usize, Self::ERASE_SIZE, "sector by sector");
        if self.dead {
            return Err(NorFlashErrorKind::Other);
        }
        let range = from as usize..to as usize;
        let words = range.start / W..range.end / W;
        let tear = self.tear();
        if tear == Some(Tear::Before) {
            return Err(NorFlashErrorKind::Other);
        }
        self.erased[range.start / SECTOR] += 1;
        self.unreadable[words.clone()].fill(false);
        for at in range {
            let old = self.bytes[at];
            self.bytes[at] = match tear {
                None | Some(Tear::After | Tear::Before) => 0xFF,
                Some(Tear::Some) => old | self.random(),
                Some(Tear::Wild) => self.random(),
            };
        }
        let torn = matches!(tear, Some(Tear::Some | Tear::Wild));
        self.written[words.clone()].fill(torn);
        if torn && self.ecc {
            for word in words {
                self.unreadable[word] = self.random() & 1 == 0;
            }
        }
        if tear.is_some() { Err(NorFlashErrorKind::Other) } else { Ok(()) }
    }

    fn write(&mut self, offset: u32, data: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, data.len())?;
        for (i, word) in data.chunks(W).enumerate() {
            if self.dead {
                return Err(NorFlashErrorKind::Other);
            }
            let at = offset as usize + i * W;
            assert!(!self.written[at / W], "the word at {at} is written twice");
            let tear = self.tear();
            if tear == Some(Tear::Before) {
                return Err(NorFlashErrorKind::Other);
            }
            self.written[at / W] = true;
            for (k, new) in word.iter().enumerate() {
                assert_eq!(self.bytes[at + k], 0xFF, "the byte at {} is not erased", at + k);
                self.bytes[at + k] = match tear {
                    None | Some(Tear::After | Tear::Before) => *new,
                    Some(Tear::Some) => *new | self.random(),
                    Some(Tear::Wild) if k < W / 2 => *new,
                    Some(Tear::Wild) => 0xFF,
                };
            }
            if matches!(tear, Some(Tear::Some | Tear::Wild)) {
                // Where no bit has changed, a word without ECC is as it was.
                self.written[at / W] = self.ecc || self.bytes[at..at + W].iter().any(|byte| *byte != 0xFF);
                self.unreadable[at / W] = self.ecc;
            }
            if tear.is_some() {
                return Err(NorFlashErrorKind::Other);
            }
        }
        Ok(())
    }
}

/// What is done to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A model is written and entered.
    Install(u8),
    /// A model is written, and it turns out that it was damaged on its way.
    Damaged(u8),
    /// It is switched off and on.
    Start,
    /// What runs is confirmed.
    Confirm,
    /// What runs gives way to the other.
    Revert,
}

/// Flash, and what runs.
#[derive(Debug, Clone)]
pub struct Device<const W: usize> {
    pub flash: Flash<W>,
    pub running: Option<(Slot, u8)>,
    pub passed: Option<(Slot, Reason)>,
    /// Models that were ever confirmed.
    pub confirmed: Vec<u8>,
    /// A model was confirmed: from now on there has to be one.
    pub must: bool,
}

/// Bytes of a slot: three sectors or four for a model, with the marks in two of them.
const SLOT: u32 = 512;

impl<const W: usize> Device<W> {
    pub fn new(ecc: bool) -> Self {
        let flash = Flash::new(2 * SLOT as usize, ecc);
        Self { flash, running: None, passed: None, confirmed: Vec::new(), must: false }
    }

    pub fn slots(&mut self) -> Slots<&mut Flash<W>> {
        Slots::new(&mut self.flash, 0, SLOT).unwrap()
    }

    pub fn step(&mut self, step: Step) {
        let running = self.running.map(|(slot, _)| slot);
        match step {
            Step::Install(number) | Step::Damaged(number) => {
                let bytes = model(number);
                let crc = carafe::blob::crc32(&bytes) ^ u32::from(matches!(step, Step::Damaged(_)));
                let mut slots = self.slots();
                let Ok(mut writer) = slots.begin(bytes.len() as u32, running) else { return };
                for part in bytes.chunks(53) {
                    if slots.write(&mut writer, part).is_err() {
                        return;
                    }
                }
                let entered = slots.commit(writer, crc);
                assert!(entered.is_err() || matches!(step, Step::Install(_)));
            }
            Step::Start => self.start(),
            Step::Confirm => {
                let Some((slot, number)) = self.running else { return };
                // Being told that it worked is a promise; not being told is none.
                if self.slots().confirm(slot).is_ok() {
                    self.must = true;
                }
                self.confirmed.push(number);
            }
            Step::Revert => {
                if let Some((slot, _)) = self.running {
                    let _ = self.slots().revert(slot);
                }
            }
        }
    }

    fn start(&mut self) {
        let mut runs = None;
        let booted = self.slots().boot(|slots, slot, content: &Content, trial| {
            let mut bank = [0; SLOT as usize];
            let bytes = slots.load(slot, content, &mut bank)?;
            assert_eq!(bytes, model(bytes[0]), "what the CRC lets through is a model");
            if trial && bytes[0] == BROKEN {
                return Err(Reason::Golden);
            }
            runs = Some((slot, bytes[0]));
            Ok(())
        });
        self.passed = booted.passed;
        self.running = booted.model.and(runs);
        assert_eq!(booted.model.map(|(slot, _)| slot), self.running.map(|(slot, _)| slot));
    }

    /// Takes a step; false if power failed in it.
    pub fn alive_after(&mut self, step: Step) -> bool {
        self.step(step);
        !self.flash.dead
    }

    /// The device with its power back, before it has started.
    pub fn restarted(mut self) -> Self {
        self.flash.dead = false;
        self.flash.calm();
        self.running = None;
        self
    }

    /// A start, an update and what belongs to it.
    const RECOVERY: [Step; 5] = [Step::Start, Step::Install(6), Step::Start, Step::Confirm, Step::Start];

    /// Starts, and is as good as ever.
    pub fn recover(&mut self, what: &str) {
        for step in Self::RECOVERY {
            self.step(step);
            self.has_a_model(what);
        }
        assert_eq!(self.running.map(|(_, number)| number), Some(6), "{what}");
    }

    pub fn recover_until_dead(&mut self) {
        Self::RECOVERY.iter().take_while(|step| self.alive_after(**step)).count();
    }

    /// There is a model, if there ever was a promise of one.
    pub fn has_a_model(&self, what: &str) {
        if self.must && !self.flash.dead {
            assert!(self.running.is_some(), "no model: {what}");
        }
        assert_ne!(self.running.map(|(_, number)| number), Some(BROKEN), "{what}");
    }
}
