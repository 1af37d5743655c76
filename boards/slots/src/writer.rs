use embedded_storage::nor_flash::NorFlash;

use crate::Slots;
use crate::layout::{HEADER_BYTES, MANIFEST_BYTES, MAX_WORD, Slot, State, TRIALS, manifest, read_manifest};
use crate::slots::SlotsError;

/// A model on its way into a slot. Dropped, it leaves the slot empty.
#[derive(Debug)]
pub struct Writer {
    slot: Slot,
    sequence: u32,
    len: u32,
    /// Bytes taken so far; the last of them may wait in `tail`.
    taken: u32,
    /// Bytes of the slot that are erased.
    erased: u32,
    /// What does not fill a word yet.
    tail: [u8; MAX_WORD],
    waiting: usize,
}

impl Writer {
    /// The slot it goes to.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Bytes that were announced.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// True if none were announced, which no model is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> u32 {
        self.taken
    }
}

impl<F: NorFlash> Slots<F> {
    /// Begins to write a model of `len` bytes, with its signature if it has one: into the slot that can be spared. Its
    /// manifest is erased at once, its other sectors as they are reached.
    ///
    /// `running` is the slot that the present model came from. A confirmed model that runs is never overwritten.
    ///
    /// # Errors
    /// [`SlotsError::TooLarge`], [`SlotsError::Flash`].
    pub fn begin(&mut self, len: u32, running: Option<Slot>) -> Result<Writer, SlotsError> {
        if len == 0 || len > self.capacity() {
            return Err(SlotsError::TooLarge { have: self.capacity() });
        }
        let newest = Slot::BOTH.iter().filter_map(|slot| self.content(*slot)).map(|c| c.sequence).max();
        let slot = self.spare(running);
        let sequence = newest.unwrap_or(0).checked_add(1).ok_or(SlotsError::Flash)?;
        let mut writer = Writer { slot, sequence, len, taken: 0, erased: 0, tail: [0xFF; MAX_WORD], waiting: 0 };
        self.erase_to(&mut writer, HEADER_BYTES)?;
        Ok(writer)
    }

    /// The slot that a new model goes to.
    #[inline(never)]
    fn spare(&mut self, running: Option<Slot>) -> Slot {
        if let Some(running) = running.filter(|slot| self.state(*slot) == State::Good) {
            return running.other();
        }
        let [a, b] = Slot::BOTH.map(|slot| {
            let content = self.content(slot);
            let sequence = content.map_or(0, |c| c.sequence);
            let worth = match content.map(|c| c.state) {
                Some(State::Good) if self.is_sound(slot) => 2,
                Some(State::Trial(n)) if n < TRIALS || running == Some(slot) => 1,
                _ => 0,
            };
            (worth, sequence)
        });
        if a <= b { Slot::A } else { Slot::B }
    }

    #[inline(never)]
    fn erase_to(&mut self, writer: &mut Writer, end: u32) -> Result<(), SlotsError> {
        while writer.erased < end {
            let from = self.at(writer.slot, writer.erased);
            let sector = u32::try_from(F::ERASE_SIZE).map_err(|_| SlotsError::Layout)?;
            let to = from.checked_add(sector).ok_or(SlotsError::Layout)?;
            self.flash.erase(from, to).map_err(|_| SlotsError::Flash)?;
            writer.erased = writer.erased.saturating_add(sector);
        }
        Ok(())
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`SlotsError::Length`] if that is more than was announced, and nothing is taken; [`SlotsError::Flash`].
    pub fn write(&mut self, writer: &mut Writer, mut bytes: &[u8]) -> Result<(), SlotsError> {
        let missing = writer.len.saturating_sub(writer.taken);
        if bytes.len() > missing as usize {
            return Err(SlotsError::Length);
        }
        let word = F::WRITE_SIZE.max(1);
        while !bytes.is_empty() {
            let take = if writer.waiting == 0 && bytes.len() >= word {
                // Whole words, up to the end of what is erased, straight from the caller.
                let at = HEADER_BYTES.saturating_add(writer.taken);
                self.erase_to(writer, at.saturating_add(word as u32))?;
                let room = writer.erased.saturating_sub(at) as usize;
                let most = bytes.len().min(room);
                let take = most.saturating_sub(most.checked_rem(word).unwrap_or(0));
                let part = bytes.get(..take).ok_or(SlotsError::Layout)?;
                self.flash.write(self.at(writer.slot, at), part).map_err(|_| SlotsError::Flash)?;
                take
            } else {
                let room = writer.tail.get_mut(writer.waiting..word).ok_or(SlotsError::Layout)?;
                let take = room.len().min(bytes.len());
                room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                writer.waiting = writer.waiting.saturating_add(take);
                take
            };
            writer.taken = writer.taken.saturating_add(take as u32);
            bytes = bytes.get(take..).ok_or(SlotsError::Layout)?;
            if writer.waiting == word {
                self.flush(writer)?;
            }
        }
        if writer.taken == writer.len { self.flush(writer) } else { Ok(()) }
    }

    /// Writes what waits, filled up with blank bytes.
    #[inline(never)]
    fn flush(&mut self, writer: &mut Writer) -> Result<(), SlotsError> {
        if writer.waiting == 0 {
            return Ok(());
        }
        let at = HEADER_BYTES.saturating_add(writer.taken).saturating_sub(writer.waiting as u32);
        self.erase_to(writer, HEADER_BYTES.saturating_add(writer.taken))?;
        let tail = writer.tail;
        self.write_word(self.at(writer.slot, at), tail.get(..writer.waiting).ok_or(SlotsError::Layout)?)?;
        writer.waiting = 0;
        Ok(())
    }

    /// Enters the model into its slot, to be tried from the next start on. Before, its bytes can be read
    /// ([`Slots::read`]) and looked at; here they are held against `crc`, the CRC-32 of all that was sent.
    ///
    /// # Errors
    /// [`SlotsError::Length`] if bytes are missing, [`SlotsError::Crc`] if flash does not hold what was sent,
    /// [`SlotsError::Flash`]. The slot stays empty.
    pub fn commit(&mut self, writer: Writer, crc: u32) -> Result<Slot, SlotsError> {
        let Writer { slot, sequence, len, taken, waiting, .. } = writer;
        if taken != len || waiting != 0 {
            return Err(SlotsError::Length);
        }
        if self.crc(slot, len).ok_or(SlotsError::Flash)? != crc {
            return Err(SlotsError::Crc);
        }
        self.write_word(self.at(slot, 0), &manifest(sequence, len, crc))?;
        let mut room = [0; MAX_WORD];
        self.flash.read(self.at(slot, 0), &mut room).map_err(|_| SlotsError::Flash)?;
        let written = room.first_chunk::<MANIFEST_BYTES>().and_then(|bytes| read_manifest(bytes, self.capacity()));
        written.map(|_| slot).ok_or(SlotsError::Flash)
    }
}
