//! ArduCAM's Mega, a camera on SPI that keeps a picture in memory of its own. Pictures are 96×96, RGB565, high byte first.

use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{Operation, SpiDevice};

/// Pixels of a side.
pub const SIDE: usize = 96;
/// Bytes of a picture's row.
pub const ROW_BYTES: usize = 2 * SIDE;

const WRITE: u8 = 0x80;
const FIFO: u8 = 0x04;
const FIFO_CLEAR: u8 = 0x01;
const FIFO_START: u8 = 0x02;
const RESET: u8 = 0x07;
const RESET_ALL: u8 = 1 << 6;
const FORMAT: u8 = 0x20;
const FORMAT_RGB565: u8 = 0x02;
const RESOLUTION: u8 = 0x21;
const RESOLUTION_96: u8 = 0x0A;
const STATE: u8 = 0x44;
const STATE_IDLE: u8 = 1 << 1;
const STATE_TAKEN: u8 = 1 << 2;
const BURST: u8 = 0x3C;

/// Looks at a state before the camera counts as gone, a millisecond between: a picture takes up to a fifth of a second.
const LOOKS: u32 = 1000;

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error<E> {
    /// The bus.
    Bus(E),
    /// It does not come to an end with what it was told: is it there at all?
    Silent,
}

/// The camera.
pub struct Camera<S, D> {
    device: S,
    delay: D,
    /// The first burst of a picture has a byte before it.
    first: bool,
}

impl<S: SpiDevice, D: DelayNs> Camera<S, D> {
    /// Resets the camera, on a bus of mode 0 at up to 8 MHz.
    ///
    /// # Errors
    /// The bus, or no camera.
    pub fn new(device: S, delay: D) -> Result<Self, Error<S::Error>> {
        let mut camera = Self { device, delay, first: false };
        for (register, value) in [(RESET, RESET_ALL), (FORMAT, FORMAT_RGB565), (RESOLUTION, RESOLUTION_96)] {
            camera.write(register, value)?;
            camera.wait(STATE_IDLE)?;
        }
        Ok(camera)
    }

    /// Takes a picture.
    ///
    /// # Errors
    /// The bus, or no camera.
    pub fn take(&mut self) -> Result<(), Error<S::Error>> {
        self.write(FIFO, FIFO_CLEAR)?;
        self.write(FIFO, FIFO_START)?;
        self.wait(STATE_TAKEN)?;
        self.first = true;
        Ok(())
    }

    /// The next row of the picture.
    ///
    /// # Errors
    /// The bus.
    pub fn row(&mut self, to: &mut [u8; ROW_BYTES]) -> Result<(), Error<S::Error>> {
        let begin: &[u8] = if core::mem::take(&mut self.first) { &[BURST, 0] } else { &[BURST] };
        self.device.transaction(&mut [Operation::Write(begin), Operation::Read(to)]).map_err(Error::Bus)
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), Error<S::Error>> {
        self.device.write(&[register | WRITE, value]).map_err(Error::Bus)?;
        self.delay.delay_ms(1);
        Ok(())
    }

    /// Waits until one of the bits of the state is set.
    fn wait(&mut self, bit: u8) -> Result<(), Error<S::Error>> {
        for _ in 0..LOOKS {
            let mut state = [0];
            let mut look = [Operation::Write(&[STATE, 0]), Operation::Read(&mut state)];
            self.device.transaction(&mut look).map_err(Error::Bus)?;
            let [state] = state;
            // A line that no one drives reads as ones.
            if state & bit != 0 && state != 0xFF {
                return Ok(());
            }
            self.delay.delay_ms(1);
        }
        Err(Error::Silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Answering, NoTime};
    use std::vec::Vec;

    #[test]
    fn a_picture_comes_row_by_row() {
        let mut told = Vec::new();
        let mut next = 0u8;
        let device = Answering(|written: &[u8], count: usize| {
            told.push(written.to_vec());
            match written {
                [STATE, 0] => std::vec![STATE_IDLE | STATE_TAKEN],
                [BURST, ..] => {
                    next += 1;
                    std::vec![next; count]
                }
                _ => Vec::new(),
            }
        });
        let mut camera = Camera::new(device, NoTime).unwrap();
        camera.take().unwrap();
        let mut row = [0; ROW_BYTES];
        camera.row(&mut row).unwrap();
        assert_eq!(row, [1; ROW_BYTES]);
        camera.row(&mut row).unwrap();
        assert_eq!(row, [2; ROW_BYTES]);
        let told: Vec<_> = told.iter().map(Vec::as_slice).filter(|told| *told != [STATE, 0]).collect();
        let wanted: [&[u8]; 7] =
            [&[0x87, 0x40], &[0xA0, 2], &[0xA1, 10], &[0x84, 1], &[0x84, 2], &[BURST, 0], &[BURST]];
        assert_eq!(told, wanted);
    }

    #[test]
    fn no_camera_is_an_error() {
        for line in [0x00, 0xFF] {
            let device = Answering(|_: &[u8], count: usize| std::vec![line; count]);
            assert!(matches!(Camera::new(device, NoTime), Err(Error::Silent)), "{line:#x}");
        }
    }
}
