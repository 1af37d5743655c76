use embedded_storage::nor_flash::NorFlash;

use crate::layout::{
    Content, HEADER_BYTES, MANIFEST_BYTES, MAX_WORD, Mark, Reason, Slot, State, TRIALS, Word, read_manifest,
};
use carafe::blob::Crc;

/// Why something could not be done to the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SlotsError {
    /// The slots do not lie on sectors, or the flash has words that are too large.
    Layout,
    /// The model is larger than a slot takes.
    TooLarge {
        /// Bytes that it takes.
        have: u32,
    },
    /// More bytes came than were announced, or not all of them.
    Length,
    /// What is in flash is not what was sent.
    Crc,
    /// There is no model in that slot, or it is not started any more.
    NoModel,
    /// There is no confirmed model to go back to.
    NoOther,
    /// The flash failed.
    Flash,
}

/// Two slots, one behind the other in flash.
#[derive(Debug)]
pub struct Slots<F> {
    pub(crate) flash: F,
    start: u32,
    slot_bytes: u32,
}

/// Read at a time, on the stack.
const CHUNK: usize = 64;

impl<F: NorFlash> Slots<F> {
    /// Slots of `slot_bytes` each from `start` on; both whole sectors.
    ///
    /// # Errors
    /// [`SlotsError::Layout`].
    pub fn new(flash: F, start: u32, slot_bytes: u32) -> Result<Self, SlotsError> {
        let sector = u32::try_from(F::ERASE_SIZE).map_err(|_| SlotsError::Layout)?;
        let on_sectors = |n: u32| n.checked_rem(sector) == Some(0);
        let words = F::WRITE_SIZE.is_power_of_two() && F::WRITE_SIZE <= MAX_WORD;
        let reads = F::READ_SIZE.is_power_of_two() && F::READ_SIZE <= MAX_WORD;
        let end = slot_bytes.checked_mul(2).and_then(|both| both.checked_add(start));
        let fits = end.is_some_and(|end| usize::try_from(end).is_ok_and(|end| end <= flash.capacity()));
        let holds = on_sectors(start) && on_sectors(slot_bytes) && slot_bytes > HEADER_BYTES && words && reads && fits;
        if holds { Ok(Self { flash, start, slot_bytes }) } else { Err(SlotsError::Layout) }
    }

    /// The flash, given back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// Bytes of the largest model.
    pub fn capacity(&self) -> u32 {
        self.slot_bytes.saturating_sub(HEADER_BYTES)
    }

    /// Where in the flash the model of a slot begins: where flash is mapped into memory, a model can run from there.
    pub fn model_offset(&self, slot: Slot) -> u32 {
        self.at(slot, HEADER_BYTES)
    }

    pub(crate) fn at(&self, slot: Slot, offset: u32) -> u32 {
        self.start.wrapping_add(self.slot_bytes.wrapping_mul(u32::from(slot.index()))).wrapping_add(offset)
    }

    /// What is in a slot; `None` if it is [`State::Empty`].
    #[inline(never)]
    pub fn content(&mut self, slot: Slot) -> Option<Content> {
        let mut room = [0; MAX_WORD];
        self.flash.read(self.at(slot, 0), &mut room).ok()?;
        let mut content = read_manifest(room.first_chunk::<MANIFEST_BYTES>()?, self.capacity())?;
        let seal = content.seal;
        let rejected = self.word(slot, Mark::Rejected(Reason::Unknown), seal);
        let good = (0..TRIALS).any(|n| matches!(self.word(slot, Mark::Good(n), seal), Word::Valid(_)));
        let trials = (0..TRIALS).filter(|n| self.word(slot, Mark::Trial(*n), seal) != Word::Blank).count();
        content.state = match rejected {
            Word::Valid(reason) => State::Rejected(Reason::of(reason)),
            Word::Torn => State::Rejected(Reason::Unknown),
            Word::Blank if good => State::Good,
            Word::Blank => State::Trial(trials as u8),
        };
        Some(content)
    }

    /// How far the model of a slot has come.
    pub fn state(&mut self, slot: Slot) -> State {
        self.content(slot).map_or(State::Empty, |content| content.state)
    }

    #[inline(never)]
    fn word(&mut self, slot: Slot, mark: Mark, seal: u32) -> Word {
        let mut room = [0; MAX_WORD];
        match self.flash.read(self.at(slot, mark.offset()), &mut room) {
            Ok(()) => mark.read(&room, seal),
            // A word with ECC that was cut off can't be read.
            Err(_) => Word::Torn,
        }
    }

    /// Writes a mark into its word, which is blank, and looks whether it is there.
    #[inline(never)]
    pub(crate) fn mark(&mut self, slot: Slot, mark: Mark, seal: u32) -> Result<(), SlotsError> {
        self.write_word(self.at(slot, mark.offset()), &mark.bytes(seal))?;
        match self.word(slot, mark, seal) {
            Word::Valid(_) => Ok(()),
            _ => Err(SlotsError::Flash),
        }
    }

    /// Writes up to [`MAX_WORD`] bytes; what is left of the flash's word stays blank.
    #[inline(never)]
    pub(crate) fn write_word(&mut self, at: u32, bytes: &[u8]) -> Result<(), SlotsError> {
        let mut room = [0xFF; MAX_WORD];
        room.get_mut(..bytes.len()).ok_or(SlotsError::Layout)?.copy_from_slice(bytes);
        let len = bytes.len().next_multiple_of(F::WRITE_SIZE.max(1));
        self.flash.write(at, room.get(..len).ok_or(SlotsError::Layout)?).map_err(|_| SlotsError::Flash)
    }

    /// Copies the front of a slot's model.
    ///
    /// # Errors
    /// [`SlotsError::Flash`] if it can't be read, [`SlotsError::TooLarge`] if there are more bytes wanted than a slot has.
    #[inline(never)]
    pub fn read(&mut self, slot: Slot, to: &mut [u8]) -> Result<(), SlotsError> {
        let have = self.capacity();
        if to.len() > have as usize {
            return Err(SlotsError::TooLarge { have });
        }
        let from = self.model_offset(slot);
        let rest = to.len().checked_rem(F::READ_SIZE).unwrap_or(0);
        let (whole, rest) = to.split_at_mut_checked(to.len().saturating_sub(rest)).ok_or(SlotsError::Layout)?;
        self.flash.read(from, whole).map_err(|_| SlotsError::Flash)?;
        if !rest.is_empty() {
            let mut room = [0; MAX_WORD];
            let room = room.get_mut(..F::READ_SIZE).ok_or(SlotsError::Layout)?;
            let at = from.wrapping_add(whole.len() as u32);
            self.flash.read(at, room).map_err(|_| SlotsError::Flash)?;
            rest.iter_mut().zip(room).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }

    /// CRC-32 of the first `len` bytes of a slot's model; `None` if they can't be read.
    #[inline(never)]
    pub(crate) fn crc(&mut self, slot: Slot, len: u32) -> Option<u32> {
        let mut crc = Crc::new();
        let (from, mut at) = (self.model_offset(slot), 0u32);
        while at < len {
            let mut room = [0; CHUNK];
            let n = usize::try_from(len.saturating_sub(at)).ok()?.min(CHUNK);
            // A slot ends on a sector, so rounding up does not leave it.
            let read = room.get_mut(..n.next_multiple_of(F::READ_SIZE.max(1)))?;
            self.flash.read(from.wrapping_add(at), read).ok()?;
            crc.add(room.get(..n)?);
            at = at.saturating_add(n as u32);
        }
        Some(crc.value())
    }

    /// True if a slot has a confirmed model whose bytes are those that were written.
    #[inline(never)]
    pub(crate) fn is_sound(&mut self, slot: Slot) -> bool {
        match self.content(slot) {
            Some(c) if c.state == State::Good => self.crc(slot, c.len) == Some(c.crc),
            _ => false,
        }
    }

    /// Takes the model of a slot for good: it is started from now on, however often.
    ///
    /// # Errors
    /// [`SlotsError::NoModel`] if there is none, or one that was never started or is rejected; [`SlotsError::Flash`].
    pub fn confirm(&mut self, slot: Slot) -> Result<(), SlotsError> {
        let content = self.content(slot).ok_or(SlotsError::NoModel)?;
        match content.state {
            State::Good => Ok(()),
            State::Trial(1..) => {
                let blank = (0..TRIALS).find(|n| self.word(slot, Mark::Good(*n), content.seal) == Word::Blank);
                self.mark(slot, Mark::Good(blank.ok_or(SlotsError::Flash)?), content.seal)
            }
            _ => Err(SlotsError::NoModel),
        }
    }

    /// Starts the model of a slot no more, for [`Reason::Reverted`].
    ///
    /// # Errors
    /// [`SlotsError::NoOther`] if the other slot has no confirmed model; [`SlotsError::NoModel`], [`SlotsError::Flash`].
    pub fn revert(&mut self, slot: Slot) -> Result<(), SlotsError> {
        if !self.is_sound(slot.other()) {
            return Err(SlotsError::NoOther);
        }
        self.reject(slot, Reason::Reverted)
    }

    /// Starts the model of a slot no more.
    ///
    /// # Errors
    /// [`SlotsError::NoModel`], [`SlotsError::Flash`].
    pub fn reject(&mut self, slot: Slot, reason: Reason) -> Result<(), SlotsError> {
        let content = self.content(slot).ok_or(SlotsError::NoModel)?;
        match content.state {
            State::Rejected(_) => Ok(()),
            _ => self.mark(slot, Mark::Rejected(reason), content.seal),
        }
    }
}
