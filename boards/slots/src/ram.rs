use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Memory that behaves as flash does: bits only go from 1 to 0 until their sector is erased. For emulators, and for a
/// host that works out what is to be flashed.
#[derive(Debug)]
pub struct RamFlash<'a, const WORD: usize, const SECTOR: usize> {
    memory: &'a mut [u8],
}

impl<'a, const WORD: usize, const SECTOR: usize> RamFlash<'a, WORD, SECTOR> {
    /// Memory as flash, with what is in it.
    pub fn new(memory: &'a mut [u8]) -> Self {
        Self { memory }
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        self.memory
    }
}

impl<const WORD: usize, const SECTOR: usize> ErrorType for RamFlash<'_, WORD, SECTOR> {
    type Error = NorFlashErrorKind;
}

impl<const WORD: usize, const SECTOR: usize> ReadNorFlash for RamFlash<'_, WORD, SECTOR> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let from = self.memory.get(offset as usize..).unwrap_or_default();
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.len()
    }
}

impl<const WORD: usize, const SECTOR: usize> NorFlash for RamFlash<'_, WORD, SECTOR> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.memory.get_mut(from as usize..to as usize).unwrap_or_default().fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let to = self.memory.get_mut(offset as usize..).unwrap_or_default();
        to.iter_mut().zip(bytes).for_each(|(to, from)| *to &= *from);
        Ok(())
    }
}
