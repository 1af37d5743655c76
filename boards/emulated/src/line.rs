//! A UART as a byte link.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

/// What a UART does with single bytes.
pub trait Line {
    /// The next byte, if one is there.
    fn received(&self) -> Option<u8>;

    /// The next byte, when it comes.
    fn wait(&self) -> u8;

    /// Sends a byte, as soon as there is room for it.
    fn send(&self, byte: u8);
}

/// The link over a line: a read waits for its first byte, and takes what else is there.
pub struct Bytes<L>(pub L);

impl<L> ErrorType for Bytes<L> {
    type Error = Infallible;
}

impl<L: Line> Read for Bytes<L> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let mut rest = buf.iter_mut();
        let Some(first) = rest.next() else { return Ok(0) };
        *first = self.0.wait();
        let more = rest.map_while(|slot| self.0.received().map(|byte| *slot = byte)).count();
        Ok(1 + more)
    }
}

impl<L: Line> Write for Bytes<L> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        buf.iter().for_each(|&byte| self.0.send(byte));
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
