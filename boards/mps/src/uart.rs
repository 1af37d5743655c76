//! CMSDK APB UART 0, the CPU sleeping while the line is silent.

use carafe_emulated::Line;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
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

/// Where it is, and the number of its interrupt "receive".
const PLACE: (usize, u16) = if cfg!(feature = "mps2-an505") {
    (0x5020_0000, 32)
} else if cfg!(feature = "mps3-an547") {
    (0x5930_3000, 33)
} else {
    (0x4000_4000, 0)
};
const BASE: *const Registers = PLACE.0 as *const Registers;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const CTRL_TX: u32 = 1 << 0;
const CTRL_RX: u32 = 1 << 1;
const CTRL_RX_INTERRUPT: u32 = 1 << 3;
const INT_RX: u32 = 1 << 1;
/// The least the hardware takes: the board's clock / 16. QEMU sends at once, whatever the rate.
const BAUD_DIV: u32 = 16;

#[derive(Clone, Copy)]
struct ReceiveInterrupt;

// SAFETY: the boards have an interrupt of this number, and `number` always gives the same.
#[allow(unsafe_code)]
unsafe impl InterruptNumber for ReceiveInterrupt {
    fn number(self) -> u16 {
        PLACE.1
    }
}

/// The UART as a byte link.
pub struct Uart {
    registers: &'static Registers,
}

impl Uart {
    /// Switches the UART on.
    pub fn start() -> Self {
        // SAFETY: the registers are there on these boards.
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
}

impl Line for Uart {
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
    fn send(&self, byte: u8) {
        while self.registers.state.get() & STATE_TX_FULL != 0 {}
        self.registers.data.set(u32::from(byte));
    }
}
