//! What the model looks at.

use embedded_hal::i2c::I2c;

/// Gives the numbers that the model takes, as they were in training.
pub trait Sensor {
    /// Why there are none.
    type Error;

    /// Fills `to` with the next reading.
    fn read(&mut self, to: &mut [f32]) -> Result<(), Self::Error>;
}

/// A sensor on an I2C bus, whose readings wait in a register. Put the driver of yours in its place.
pub struct OnI2c<B> {
    bus: B,
    address: u8,
}

/// Where the readings are.
const DATA: u8 = 0x00;
/// Bytes of one transfer.
const BURST: usize = 32;

impl<B: I2c> OnI2c<B> {
    /// The sensor at this address.
    pub fn new(bus: B, address: u8) -> Self {
        Self { bus, address }
    }
}

impl<B: I2c> Sensor for OnI2c<B> {
    type Error = B::Error;

    fn read(&mut self, to: &mut [f32]) -> Result<(), B::Error> {
        let mut bytes = [0; BURST];
        for part in to.chunks_mut(BURST) {
            self.bus.write_read(self.address, &[DATA], &mut bytes)?;
            for (to, byte) in part.iter_mut().zip(bytes) {
                *to = f32::from(byte) / 255.0;
            }
        }
        Ok(())
    }
}
