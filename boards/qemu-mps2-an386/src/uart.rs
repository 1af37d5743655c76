//! CMSDK APB UART 0, the CPU sleeping while the line is silent.

use core::convert::Infallible;

use cortex_m::peripheral::NVIC;
use embedded_io::{ErrorType, Read, Write};
use vcell::VolatileCell;

#[repr(C)]
struct Registers {
    data: VolatileCell<u32>,
    state: VolatileCell<u32>,
    ctrl: VolatileCell<u32>,
    /// Read: status; write: clear.
    int_status: VolatileCell<u32>,
    baud_div: VolatileCell<u32>,
}

const BASE: *const Registers = 0x4000_4000 as *const Registers;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const CTRL_TX: u32 = 1 << 0;
const CTRL_RX: u32 = 1 << 1;
const CTRL_RX_INTERRUPT: u32 = 1 << 3;
const INT_RX: u32 = 1 << 1;
/// The least the hardware takes: 25 MHz / 16. QEMU sends at once, whatever the rate.
const BAUD_DIV: u32 = 16;

/// Number 0 of the interrupt controller: "UART 0 receive".
#[derive(Clone, Copy)]
struct ReceiveInterrupt;

// SAFETY: AN386 has an interrupt of this number, and `number` always gives the same.
#[allow(unsafe_code)]
unsafe impl cortex_m::interrupt::InterruptNumber for ReceiveInterrupt {
    fn number(self) -> u16 {
        0
    }
}

/// The UART as a byte link.
pub struct Uart {
    registers: &'static Registers,
}

impl Uart {
    /// Switches the UART on. The NVIC is proof that this happens once.
    pub fn new(_nvic: NVIC) -> Self {
        // SAFETY: the registers are there on AN386, and `Uart` alone has them, for `NVIC` exists once.
        #[allow(unsafe_code)]
        let registers = unsafe { &*BASE };
        registers.baud_div.set(BAUD_DIV);
        registers.ctrl.set(CTRL_TX | CTRL_RX | CTRL_RX_INTERRUPT);
        // The interrupt's only work is to end a `wfi`: with PRIMASK set it wakes the CPU, and no handler runs.
        cortex_m::interrupt::disable();
        // SAFETY: no critical section depends on this interrupt being masked.
        #[allow(unsafe_code)]
        unsafe {
            NVIC::unmask(ReceiveInterrupt);
        }
        // QEMU looks for input after each read of the register, and else once a second.
        let _ = registers.data.get();
        Self { registers }
    }

    fn received(&self) -> Option<u8> {
        let full = self.registers.state.get() & STATE_RX_FULL != 0;
        full.then(|| self.registers.data.get().to_le_bytes()[0])
    }

    /// Sleeps until there is a byte: to poll instead would take the emulator's time from its own main loop, which
    /// has to bring the byte.
    fn wait(&self) -> u8 {
        loop {
            self.registers.int_status.set(INT_RX);
            NVIC::unpend(ReceiveInterrupt);
            // A byte that came before the lines above raises no interrupt any more.
            if let Some(byte) = self.received() {
                return byte;
            }
            cortex_m::asm::wfi();
        }
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let mut rest = buf.iter_mut();
        let Some(first) = rest.next() else { return Ok(0) };
        *first = self.wait();
        let more = rest.map_while(|slot| self.received().map(|byte| *slot = byte)).count();
        Ok(1 + more)
    }
}

impl Write for Uart {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        for &byte in buf {
            while self.registers.state.get() & STATE_TX_FULL != 0 {}
            self.registers.data.set(u32::from(byte));
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
