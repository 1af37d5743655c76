//! ST's LIS3DH, an accelerometer of three axes, on I2C.

use embedded_hal::i2c::I2c;

/// Where it answers: its pin SDO/SA0 low or high.
pub const ADDRESSES: [u8; 2] = [0x18, 0x19];

const WHO_AM_I: u8 = 0x0F;
const ITS_NAME: u8 = 0x33;
const CTRL1: u8 = 0x20;
/// 100 readings a second of all three axes.
const CTRL1_ON: u8 = 0x57;
const CTRL4: u8 = 0x23;
/// Both bytes of a reading belong together; 12 bits; 2 g.
const CTRL4_FINE: u8 = 0x88;
/// The first of six bytes; the top bit has the address count up.
const OUT: u8 = 0x28 | 0x80;
/// A g, in the left-justified 16 bits.
const ONE_G: f32 = 16_384.0;

/// Why there is no reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error<E> {
    /// The bus.
    Bus(E),
    /// Something else answers at that address.
    Other {
        /// What it calls itself.
        name: u8,
    },
}

/// The sensor.
pub struct Lis3dh<B> {
    bus: B,
    address: u8,
}

impl<B: I2c> Lis3dh<B> {
    /// Looks whether it is there, and switches it on.
    ///
    /// # Errors
    /// It is not there, or something else is.
    pub fn new(bus: B, address: u8) -> Result<Self, Error<B::Error>> {
        let mut sensor = Self { bus, address };
        let mut name = [0];
        sensor.bus.write_read(address, &[WHO_AM_I], &mut name).map_err(Error::Bus)?;
        let [name] = name;
        if name != ITS_NAME {
            return Err(Error::Other { name });
        }
        for setting in [[CTRL1, CTRL1_ON], [CTRL4, CTRL4_FINE]] {
            sensor.bus.write(address, &setting).map_err(Error::Bus)?;
        }
        Ok(sensor)
    }

    /// The present reading, in g.
    ///
    /// # Errors
    /// The bus.
    pub fn read(&mut self) -> Result<[f32; 3], Error<B::Error>> {
        let mut bytes = [0; 6];
        self.bus.write_read(self.address, &[OUT], &mut bytes).map_err(Error::Bus)?;
        let [x0, x1, y0, y1, z0, z1] = bytes;
        Ok([[x0, x1], [y0, y1], [z0, z1]].map(|axis| f32::from(i16::from_le_bytes(axis)) / ONE_G))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Registers;

    #[test]
    fn it_is_switched_on_and_read() {
        let mut bus = Registers::at(0x18);
        bus.memory[usize::from(WHO_AM_I)] = ITS_NAME;
        bus.memory[0x28..0x2E].copy_from_slice(&[0x00, 0x40, 0x00, 0xC0, 0x00, 0x20]);
        let mut sensor = Lis3dh::new(bus, 0x18).unwrap();
        assert_eq!(sensor.read().unwrap(), [1.0, -1.0, 0.5]);
        assert_eq!([sensor.bus.memory[0x20], sensor.bus.memory[0x23]], [CTRL1_ON, CTRL4_FINE]);
    }

    #[test]
    fn another_one_is_told_apart() {
        let mut bus = Registers::at(0x18);
        bus.memory[usize::from(WHO_AM_I)] = 0x68;
        assert!(matches!(Lis3dh::new(bus, 0x18), Err(Error::Other { name: 0x68 })));
        assert!(matches!(Lis3dh::new(Registers::at(0x18), 0x19), Err(Error::Bus(_))));
    }
}
