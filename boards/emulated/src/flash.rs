//! Flash for models. Emulated boards have none that a program can write, so RAM behaves like it: bits only go from 1 to 0 until a
//! sector is erased. It outlives a reset of the board; where the host names a file (`arg=flash=FILE`), whatever changes
//! is written there too, and it outlives the emulator.

use carafe_runner::carafe_slots::embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use carafe_runner::carafe_slots::{RamFlash, Slots};

use crate::File;

/// As of many a chip: words of 8 bytes, sectors of 4 KB.
type Ram = RamFlash<'static, 8, 4096>;

/// RAM as flash, and its file.
pub struct Flash {
    ram: Ram,
    file: Option<File>,
}

/// Both slots, over all of `memory`.
pub(crate) fn slots(memory: &'static mut [u8], file: Option<File>) -> Option<Slots<Flash>> {
    let slot_bytes = u32::try_from(memory.len() / 2).ok()?;
    Slots::new(Flash { ram: RamFlash::new(memory), file }, 0, slot_bytes).ok()
}

impl Flash {
    /// Writes what has changed to the file.
    fn keep(&self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let Some(file) = &self.file else { return Ok(()) };
        let changed = self.ram.bytes().get(from as usize..to as usize).ok_or(NorFlashErrorKind::OutOfBounds)?;
        if file.write_at(from as usize, changed) { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = Ram::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        self.ram.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.ram.capacity()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = Ram::WRITE_SIZE;
    const ERASE_SIZE: usize = Ram::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.ram.erase(from, to)?;
        self.keep(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.ram.write(offset, bytes)?;
        let len = u32::try_from(bytes.len()).map_err(|_| NorFlashErrorKind::OutOfBounds)?;
        self.keep(offset, offset.saturating_add(len))
    }
}
