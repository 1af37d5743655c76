//! Buses that tests have in place of real ones.

use std::collections::VecDeque;
use std::vec::Vec;

use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource, Operation};
use embedded_hal::spi::{self, SpiDevice};

/// An I2C device with registers, whose address counts up.
pub struct Registers {
    pub memory: [u8; 128],
    address: u8,
    pointer: usize,
}

impl Registers {
    pub fn at(address: u8) -> Self {
        Self { memory: [0; 128], address, pointer: 0 }
    }
}

impl i2c::ErrorType for Registers {
    type Error = i2c::ErrorKind;
}

impl I2c for Registers {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Self::Error> {
        if address != self.address {
            return Err(i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        for operation in operations {
            match operation {
                Operation::Write(bytes) => {
                    self.pointer = usize::from(bytes[0] & 0x7F);
                    for byte in &bytes[1..] {
                        self.memory[self.pointer] = *byte;
                        self.pointer += 1;
                    }
                }
                Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        *byte = self.memory[self.pointer];
                        self.pointer += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// An SPI device that only talks.
pub struct Stream(VecDeque<u8>);

impl Stream {
    pub fn of<const N: usize, const M: usize>(words: [[u8; N]; M]) -> Self {
        Self(words.as_flattened().iter().copied().collect())
    }
}

impl spi::ErrorType for Stream {
    type Error = spi::ErrorKind;
}

impl SpiDevice for Stream {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), Self::Error> {
        for operation in operations {
            let spi::Operation::Read(bytes) = operation else { return Err(spi::ErrorKind::Other) };
            for byte in bytes.iter_mut() {
                *byte = self.0.pop_front().ok_or(spi::ErrorKind::Overrun)?;
            }
        }
        Ok(())
    }
}

/// An SPI device that answers as a function says: given what was written in a transaction, the bytes to be read.
pub struct Answering<F>(pub F);

impl<F> spi::ErrorType for Answering<F> {
    type Error = spi::ErrorKind;
}

impl<F: FnMut(&[u8], usize) -> Vec<u8>> SpiDevice for Answering<F> {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), Self::Error> {
        let mut written = Vec::new();
        for operation in operations.iter() {
            if let spi::Operation::Write(bytes) = operation {
                written.extend_from_slice(bytes);
            }
        }
        let mut read: Vec<_> = operations
            .iter_mut()
            .filter_map(|operation| if let spi::Operation::Read(bytes) = operation { Some(bytes) } else { None })
            .collect();
        let count = read.iter().map(|bytes| bytes.len()).sum();
        let answer = (self.0)(&written, count);
        let mut answer = answer.into_iter();
        for byte in read.iter_mut().flat_map(|bytes| bytes.iter_mut()) {
            *byte = answer.next().ok_or(spi::ErrorKind::Overrun)?;
        }
        Ok(())
    }
}

/// Time that passes at once.
pub struct NoTime;

impl embedded_hal::delay::DelayNs for NoTime {
    fn delay_ns(&mut self, _: u32) {}
}
