//! Flash with ECC: a word whose writing was cut off does not read as some bytes, it raises the NMI.

use core::sync::atomic::{AtomicBool, Ordering};

use carafe_runner::carafe_slots::embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use embassy_stm32::flash::{Blocking, Flash};
use embassy_stm32::pac;

/// A word was read that has two wrong bits.
static TORN: AtomicBool = AtomicBool::new(false);

#[allow(unsafe_code, reason = "the attribute asks for it; the function itself has nothing unsafe")]
#[cortex_m_rt::exception]
unsafe fn NonMaskableInt() {
    let eccr = pac::FLASH.eccr();
    if eccr.read().eccd() {
        // Cleared by writing one.
        eccr.modify(|bits| bits.set_eccd(true));
        TORN.store(true, Ordering::Relaxed);
    }
}

/// The chip's flash, that says of a torn word that it can't be read.
pub struct Ecc<'d>(pub Flash<'d, Blocking>);

impl ErrorType for Ecc<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Ecc<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        TORN.store(false, Ordering::Relaxed);
        self.0.blocking_read(offset, bytes).map_err(|_| NorFlashErrorKind::OutOfBounds)?;
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
        if TORN.load(Ordering::Relaxed) { Err(NorFlashErrorKind::Other) } else { Ok(()) }
    }

    fn capacity(&self) -> usize {
        ReadNorFlash::capacity(&self.0)
    }
}

impl NorFlash for Ecc<'_> {
    const WRITE_SIZE: usize = <Flash<'static, Blocking> as NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <Flash<'static, Blocking> as NorFlash>::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.0.blocking_erase(from, to).map_err(|_| NorFlashErrorKind::Other)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.0.blocking_write(offset, bytes).map_err(|_| NorFlashErrorKind::Other)
    }
}
