//! The APBUART.

#[cfg(feature = "runner")]
use core::convert::Infallible;

#[cfg(feature = "runner")]
use embedded_io::{ErrorType, Read, Write};
use vcell::VolatileCell;

#[repr(C)]
struct Registers {
    data: VolatileCell<u32>,
    status: VolatileCell<u32>,
    control: VolatileCell<u32>,
}

const BASE: *const Registers = 0x8000_0100 as *const Registers;
#[cfg(feature = "runner")]
const STATUS_RECEIVED: u32 = 1;
const STATUS_TX_EMPTY: u32 = 1 << 2;
const RECEIVE: u32 = 1;
const TRANSMIT: u32 = 1 << 1;

/// The UART as a byte link.
pub struct Uart {
    registers: &'static Registers,
}

impl Uart {
    /// Switches the UART on.
    pub fn start() -> Self {
        // SAFETY: the registers are there on this machine.
        #[allow(unsafe_code)]
        let registers = unsafe { &*BASE };
        registers.control.set(RECEIVE | TRANSMIT);
        Self { registers }
    }

    fn send(&self, byte: u8) {
        while self.registers.status.get() & STATUS_TX_EMPTY == 0 {}
        self.registers.data.set(u32::from(byte));
    }

    #[cfg(feature = "runner")]
    fn received(&self) -> Option<u8> {
        let there = self.registers.status.get() & STATUS_RECEIVED != 0;
        there.then(|| self.registers.data.get().to_le_bytes()[0])
    }
}

/// Prints bytes.
pub fn print(bytes: &[u8]) {
    let uart = Uart::start();
    bytes.iter().for_each(|&byte| uart.send(byte));
}

#[cfg(feature = "runner")]
impl ErrorType for Uart {
    type Error = Infallible;
}

#[cfg(feature = "runner")]
impl Read for Uart {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let mut rest = buf.iter_mut();
        let Some(first) = rest.next() else { return Ok(0) };
        *first = loop {
            if let Some(byte) = self.received() {
                break byte;
            }
        };
        let more = rest.map_while(|slot| self.received().map(|byte| *slot = byte)).count();
        Ok(1 + more)
    }
}

#[cfg(feature = "runner")]
impl Write for Uart {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        buf.iter().for_each(|&byte| self.send(byte));
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
