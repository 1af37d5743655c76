//! Flash for models. The board has none that a program can write, so PSRAM behaves like it: bits only go from 1 to 0 until a
//! sector is erased. It outlives a reset of the board; where the host names a file (`arg=flash=FILE`), whatever changes
//! is written there too, and it outlives the emulator.

use carafe_runner::carafe_slots::embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use carafe_runner::carafe_slots::{RamFlash, Slots};
use cortex_m_semihosting::nr;

/// As of many a chip: words of 8 bytes, sectors of 4 KB.
type Ram = RamFlash<'static, 8, 4096>;

/// PSRAM as flash, and its file.
pub struct Flash {
    ram: Ram,
    file: Option<usize>,
}

/// Both slots, over all of `memory`; none if the file is another's, which stays as it is.
pub fn slots(memory: &'static mut [u8], file: Option<&[u8]>) -> Option<Slots<Flash>> {
    let file = match file {
        Some(name) => Some(open(name, memory)?),
        None => None,
    };
    let slot_bytes = u32::try_from(memory.len() / 2).ok()?;
    Slots::new(Flash { ram: RamFlash::new(memory), file }, 0, slot_bytes).ok()
}

/// Opens the file, and takes over what is in it; makes it if it is not there, or empty.
fn open(name: &[u8], memory: &mut [u8]) -> Option<usize> {
    let block = |mode| [name.as_ptr().expose_provenance(), mode, name.len()];
    if let Some(file) = handle(call(nr::OPEN, &block(nr::open::RW_BINARY))) {
        let length = call(nr::FLEN, &[file]);
        if length == memory.len() {
            let missing = call(nr::READ, &[file, memory.as_mut_ptr().expose_provenance(), memory.len()]);
            return (missing == 0).then_some(file);
        }
        call(nr::CLOSE, &[file]);
        if length != 0 {
            return None;
        }
    }
    let file = handle(call(nr::OPEN, &block(nr::open::RW_TRUNC_BINARY)))?;
    memory.fill(0xFF);
    let missing = call(nr::WRITE, &[file, memory.as_ptr().expose_provenance(), memory.len()]);
    (missing == 0).then_some(file)
}

fn handle(answer: usize) -> Option<usize> {
    Some(answer).filter(|handle| *handle != usize::MAX)
}

/// A call with a block of numbers and addresses of buffers.
fn call<const N: usize>(operation: usize, block: &[usize; N]) -> usize {
    // SAFETY: the callers give the block that the operation asks for; the buffers in it are theirs meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        cortex_m_semihosting::syscall(operation, block)
    }
}

impl Flash {
    /// Writes what has changed to the file.
    fn keep(&self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let Some(file) = self.file else { return Ok(()) };
        let changed = self.ram.bytes().get(from as usize..to as usize).ok_or(NorFlashErrorKind::OutOfBounds)?;
        let sought = call(nr::SEEK, &[file, from as usize]);
        let missing = call(nr::WRITE, &[file, changed.as_ptr().expose_provenance(), changed.len()]);
        if sought == 0 && missing == 0 { Ok(()) } else { Err(NorFlashErrorKind::Other) }
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
