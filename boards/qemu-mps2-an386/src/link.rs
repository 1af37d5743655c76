//! The link that the host asked for.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

use crate::console::Console;
use crate::uart::Uart;

/// UART, or semihosting's console.
pub enum Link {
    /// The board's own.
    Uart(Uart),
    /// Faster, on an emulator only.
    Console(Console),
}

impl ErrorType for Link {
    type Error = Infallible;
}

impl Read for Link {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        match self {
            Link::Uart(uart) => uart.read(buf),
            Link::Console(console) => console.read(buf),
        }
    }
}

impl Write for Link {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        match self {
            Link::Uart(uart) => uart.write(buf),
            Link::Console(console) => console.write(buf),
        }
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
