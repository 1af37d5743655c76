//! Flash with ECC: a word whose writing was cut off does not read as some bytes, it raises a bus fault.

use carafe_runner::carafe_slots::embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use cortex_m::peripheral::{MPU, SCB};
use embassy_stm32::flash::{Blocking, Flash};
use embassy_stm32::pac;

/// In the configuration register: loads that fail are none of the handlers' business while FAULTMASK is set.
const IGNORE_BUS_FAULTS: u32 = 1 << 8;

/// Keeps what is in bank 2 out of the data cache, which does not see it written: 1 MB from 0x0810_0000, normal memory,
/// nothing to execute, and so while faults are masked.
pub fn uncached(mpu: &MPU) {
    // SAFETY: the region has only what `Ecc` reads and writes; all else stays as it is (PRIVDEFENA).
    #[allow(unsafe_code)]
    unsafe {
        mpu.rnr.write(0);
        mpu.rbar.write(0x0810_0000);
        mpu.rasr.write(1 << 28 | 0b011 << 24 | 0b001 << 19 | 19 << 1 | 1);
        mpu.ctrl.write(0b111);
    }
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// The chip's flash, that says of a torn word that it can't be read.
pub struct Ecc<'d> {
    flash: Flash<'d, Blocking>,
    scb: SCB,
}

impl<'d> Ecc<'d> {
    /// With the system control block, to hold off bus faults.
    pub fn new(flash: Flash<'d, Blocking>, scb: SCB) -> Self {
        Self { flash, scb }
    }

    /// What `read` does, with bus faults ignored; true if there was one.
    fn faulted(&mut self, read: impl FnOnce(&mut Flash<'d, Blocking>)) -> bool {
        // SAFETY: both are undone below, and in between a fault is looked for.
        #[allow(unsafe_code)]
        unsafe {
            self.scb.ccr.modify(|bits| bits | IGNORE_BUS_FAULTS);
            core::arch::asm!("cpsid f", "dsb", "isb", options(nostack, preserves_flags));
        }
        read(&mut self.flash);
        // SAFETY: as they were before.
        #[allow(unsafe_code)]
        unsafe {
            core::arch::asm!("dsb", "cpsie f", "isb", options(nostack, preserves_flags));
            self.scb.ccr.modify(|bits| bits & !IGNORE_BUS_FAULTS);
        }
        let bank = pac::FLASH.bank(1);
        let torn = bank.sr().read().dbeccerr();
        bank.ccr().write(|bits| bits.set_clr_dbeccerr(true));
        torn
    }
}

impl ErrorType for Ecc<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Ecc<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let mut result = Ok(());
        if self.faulted(|flash| result = flash.blocking_read(offset, bytes)) {
            return Err(NorFlashErrorKind::Other);
        }
        result.map_err(|_| NorFlashErrorKind::OutOfBounds)
    }

    fn capacity(&self) -> usize {
        ReadNorFlash::capacity(&self.flash)
    }
}

impl NorFlash for Ecc<'_> {
    const WRITE_SIZE: usize = <Flash<'static, Blocking> as NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <Flash<'static, Blocking> as NorFlash>::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.flash.blocking_erase(from, to).map_err(|_| NorFlashErrorKind::Other)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.flash.blocking_write(offset, bytes).map_err(|_| NorFlashErrorKind::Other)
    }
}
