//! The UART, a 16550, the CPU sleeping while the line is silent.

use core::arch::asm;

use carafe_emulated::Line;
use vcell::VolatileCell;

#[repr(C)]
struct Registers {
    data: VolatileCell<u8>,
    interrupts: VolatileCell<u8>,
    fifo: VolatileCell<u8>,
    line_control: VolatileCell<u8>,
    modem_control: VolatileCell<u8>,
    status: VolatileCell<u8>,
}

const BASE: *const Registers = 0x1000_0000 as *const Registers;
const RECEIVE_INTERRUPT: u8 = 1;
const FIFO_ON: u8 = 1;
const EIGHT_BITS: u8 = 3;
const STATUS_RECEIVED: u8 = 1;
const STATUS_TX_EMPTY: u8 = 1 << 5;

/// The UART's interrupt at the interrupt controller: its priority, and whether this core gets it.
const NUMBER: u32 = 10;
const PRIORITY: *const VolatileCell<u32> = (0x0C00_0000 + 4 * NUMBER as usize) as *const VolatileCell<u32>;
const ENABLE: *const VolatileCell<u32> = 0x0C00_2000 as *const VolatileCell<u32>;
/// "External interrupt" in `mie`.
const EXTERNAL: u32 = 1 << 11;

/// The UART as a byte link.
pub struct Uart {
    registers: &'static Registers,
}

impl Uart {
    /// Switches the UART on.
    pub fn start() -> Self {
        // SAFETY: the registers are there on this machine.
        #[allow(unsafe_code)]
        let (registers, priority, enable) = unsafe { (&*BASE, &*PRIORITY, &*ENABLE) };
        registers.line_control.set(EIGHT_BITS);
        registers.fifo.set(FIFO_ON);
        registers.interrupts.set(RECEIVE_INTERRUPT);
        priority.set(1);
        enable.set(1 << NUMBER);
        // SAFETY: interrupts stay off as a whole (`mstatus`), so that this one does nothing but end a `wfi`.
        #[allow(unsafe_code)]
        unsafe {
            asm!("csrs mie, {}", in(reg) EXTERNAL, options(nomem, nostack));
        }
        Self { registers }
    }
}

impl Line for Uart {
    fn received(&self) -> Option<u8> {
        (self.registers.status.get() & STATUS_RECEIVED != 0).then(|| self.registers.data.get())
    }

    /// Sleeps until there is a byte: to poll instead would take the emulator's time from its own main loop, which
    /// has to bring the byte.
    fn wait(&self) -> u8 {
        loop {
            // The interrupt is there as long as a byte is, so that none can be missed.
            if let Some(byte) = self.received() {
                return byte;
            }
            // SAFETY: it waits.
            #[allow(unsafe_code)]
            unsafe {
                asm!("wfi", options(nomem, nostack));
            }
        }
    }
    fn send(&self, byte: u8) {
        while self.registers.status.get() & STATUS_TX_EMPTY == 0 {}
        self.registers.data.set(byte);
    }
}
