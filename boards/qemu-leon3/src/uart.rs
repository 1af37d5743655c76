//! The APBUART.

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

    fn transmit(&self, byte: u8) {
        while self.registers.status.get() & STATUS_TX_EMPTY == 0 {}
        self.registers.data.set(u32::from(byte));
    }
}

/// Prints bytes.
pub fn print(bytes: &[u8]) {
    let uart = Uart::start();
    bytes.iter().for_each(|&byte| uart.transmit(byte));
}

#[cfg(feature = "runner")]
impl carafe_emulated::Line for Uart {
    fn received(&self) -> Option<u8> {
        let there = self.registers.status.get() & STATUS_RECEIVED != 0;
        there.then(|| self.registers.data.get().to_le_bytes()[0])
    }

    fn wait(&self) -> u8 {
        loop {
            if let Some(byte) = self.received() {
                return byte;
            }
        }
    }

    fn send(&self, byte: u8) {
        self.transmit(byte);
    }
}
