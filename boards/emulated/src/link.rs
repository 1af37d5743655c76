//! The link that the host asked for.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

use crate::line::{Bytes, Line};
use crate::semihosting::{CommandLine, Console};

/// UART, or semihosting's console.
pub enum Link<U> {
    /// The board's own.
    Uart(Bytes<U>),
    /// Faster, on an emulator only.
    Console(Console),
}

impl<U> Link<U> {
    /// The console if the host asks for it, or the UART.
    pub fn asked(uart: impl FnOnce() -> U) -> Self {
        Console::if_asked().map_or_else(|| Link::Uart(Bytes(uart())), Link::Console)
    }

    /// The same, given what the host has said.
    pub fn said<const ROOM: usize>(arguments: &CommandLine<ROOM>, uart: impl FnOnce() -> U) -> Self {
        match arguments.value(Console::ARGUMENT) {
            Some(_) => Link::Console(Console::open()),
            None => Link::Uart(Bytes(uart())),
        }
    }
}

impl<U> ErrorType for Link<U> {
    type Error = Infallible;
}

impl<U: Line> Read for Link<U> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        match self {
            Link::Uart(uart) => uart.read(buf),
            Link::Console(console) => console.read(buf),
        }
    }
}

impl<U: Line> Write for Link<U> {
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
