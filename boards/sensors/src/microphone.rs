//! A microphone behind a converter of 12 bits on SPI, as on Digilent's Pmod MIC3 (ADCS7476): two bytes a sample, the
//! converter samples when it is selected.

use embedded_hal::spi::SpiDevice;

/// What silence reads.
const MIDDLE: i16 = 2048;

/// The microphone.
pub struct Microphone<S>(S);

impl<S: SpiDevice> Microphone<S> {
    /// On a bus of mode 0, at 4 to 20 MHz.
    pub fn new(device: S) -> Self {
        Self(device)
    }

    /// The present sample, -2048 to 2047.
    ///
    /// # Errors
    /// The bus.
    pub fn sample(&mut self) -> Result<i16, S::Error> {
        let mut bytes = [0; 2];
        self.0.read(&mut bytes)?;
        // Four zeros come first; of a line that no one drives, ones.
        let value = (u16::from_be_bytes(bytes) & 0x0FFF).cast_signed();
        Ok(value.wrapping_sub(MIDDLE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Stream;

    #[test]
    fn samples_have_a_sign() {
        let mut microphone = Microphone::new(Stream::of([[0x08, 0x00], [0x00, 0x00], [0x0F, 0xFF], [0xF8, 0x01]]));
        let samples: std::vec::Vec<_> = (0..4).map(|_| microphone.sample().unwrap()).collect();
        assert_eq!(samples, [0, -2048, 2047, 1]);
    }
}
