//! The UART of the nRF51, the CPU sleeping while the line is silent.

use carafe_emulated::Line;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use vcell::VolatileCell;

/// A task or an event.
type Register = &'static VolatileCell<u32>;

const START_RX: usize = 0x4000_2000;
const START_TX: usize = 0x4000_2008;
const RX_READY: usize = 0x4000_2108;
const TX_READY: usize = 0x4000_211C;
const INTERRUPT_SET: usize = 0x4000_2304;
const ENABLE: usize = 0x4000_2500;
const RX: usize = 0x4000_2518;
const TX: usize = 0x4000_251C;

const INTERRUPT_RX_READY: u32 = 1 << 2;
const ENABLED: u32 = 4;

/// Number 2 of the interrupt controller.
#[derive(Clone, Copy)]
struct UartInterrupt;

// SAFETY: the nRF51 has an interrupt of this number, and `number` always gives the same.
#[allow(unsafe_code)]
unsafe impl InterruptNumber for UartInterrupt {
    fn number(self) -> u16 {
        2
    }
}

/// The UART as a byte link.
pub struct Uart {
    rx_ready: Register,
    rx: Register,
    tx_ready: Register,
    tx: Register,
}

fn register(address: usize) -> Register {
    // SAFETY: the callers name registers of the nRF51.
    #[allow(unsafe_code)]
    unsafe {
        &*(address as *const VolatileCell<u32>)
    }
}

impl Uart {
    /// Switches the UART on.
    pub fn start() -> Self {
        register(ENABLE).set(ENABLED);
        register(START_RX).set(1);
        register(START_TX).set(1);
        register(INTERRUPT_SET).set(INTERRUPT_RX_READY);
        // The interrupt's only work is to end a `wfi`: with PRIMASK set it wakes the CPU, and no handler runs.
        cortex_m::interrupt::disable();
        // SAFETY: no critical section depends on this interrupt being masked.
        #[allow(unsafe_code)]
        unsafe {
            NVIC::unmask(UartInterrupt);
        }
        let [rx_ready, rx, tx_ready, tx] = [RX_READY, RX, TX_READY, TX].map(register);
        Self { rx_ready, rx, tx_ready, tx }
    }
}

impl Line for Uart {
    /// The next byte of the receiver's queue. Reading one raises the event again if there is another.
    fn received(&self) -> Option<u8> {
        if self.rx_ready.get() == 0 {
            return None;
        }
        self.rx_ready.set(0);
        Some(self.rx.get().to_le_bytes()[0])
    }

    /// Sleeps until there is a byte: to poll instead would take the emulator's time from its own main loop, which
    /// has to bring the byte.
    fn wait(&self) -> u8 {
        loop {
            NVIC::unpend(UartInterrupt);
            if let Some(byte) = self.received() {
                return byte;
            }
            cortex_m::asm::wfi();
        }
    }
    fn send(&self, byte: u8) {
        self.tx_ready.set(0);
        self.tx.set(u32::from(byte));
        while self.tx_ready.get() == 0 {}
    }
}
