//! A serial line has errors and goes on.

use core::convert::Infallible;

use embedded_io::{ErrorType, Read, Write};

/// A byte link that is never lost. Of a byte with a wrong stop bit, or one that came too fast, the protocol finds out by
/// its CRC, and the host sends the frame again; to end the runner for it would lose the model.
pub struct Steady<U>(pub U);

impl<U> ErrorType for Steady<U> {
    type Error = Infallible;
}

impl<U: Read> Read for Steady<U> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            if let Ok(n @ 1..) = self.0.read(buf) {
                return Ok(n);
            }
        }
    }
}

impl<U: Write> Write for Steady<U> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        // What can't be sent is lost, and the host asks again.
        Ok(self.0.write(buf).unwrap_or(buf.len()))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        let _ = self.0.flush();
        Ok(())
    }
}
