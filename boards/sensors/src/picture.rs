//! From a camera's picture of ink on paper to what a model of handwritten digits takes: 28×28 grey values, ink bright.

use crate::camera::{ROW_BYTES, SIDE};

/// Pixels of a side, as the model has them.
pub const DIGIT_SIDE: usize = 28;
/// Grey values that the model takes.
pub const INPUT: usize = DIGIT_SIDE * DIGIT_SIDE;
/// Pixels of the camera's that become one, in each direction.
const STEP: usize = 3;
/// What is left out at every edge.
const EDGE: usize = (SIDE - STEP * DIGIT_SIDE) / 2;
/// Less between the darkest and the brightest is a picture of nothing.
const CONTRAST: u16 = 60 * (STEP * STEP) as u16;

/// Collects a picture as its rows come.
pub struct Digit {
    /// Of the pixels that become one.
    sums: [[u16; DIGIT_SIDE]; DIGIT_SIDE],
}

impl Default for Digit {
    fn default() -> Self {
        Self { sums: [[0; DIGIT_SIDE]; DIGIT_SIDE] }
    }
}

/// Brightness of a pixel of RGB565, 0 to 255.
fn brightness([high, low]: [u8; 2]) -> u16 {
    let pixel = u16::from_be_bytes([high, low]);
    let (red, green, blue) = (pixel >> 11, pixel >> 5 & 63, pixel & 31);
    // Five bits to eight, six to eight; green counts twice.
    ((red << 3 | red >> 2) + 2 * (green << 2 | green >> 4) + (blue << 3 | blue >> 2)) / 4
}

impl Digit {
    /// Takes row `y` of the picture.
    pub fn row(&mut self, y: usize, row: &[u8; ROW_BYTES]) {
        let Some(sums) = y.checked_sub(EDGE).and_then(|y| self.sums.get_mut(y / STEP)) else { return };
        let (pixels, _) = row.as_chunks::<2>();
        let inside = pixels.get(EDGE..).unwrap_or_default();
        for (sum, pixels) in sums.iter_mut().zip(inside.chunks(STEP)) {
            *sum += pixels.iter().map(|pixel| brightness(*pixel)).sum::<u16>();
        }
    }

    /// The picture, from paper (0) to ink (255); `None` if there is nothing on it.
    pub fn finish(&self) -> Option<[u8; INPUT]> {
        let sums = self.sums.as_flattened();
        let (dark, bright) = sums.iter().fold((u16::MAX, 0), |(dark, bright), sum| (dark.min(*sum), bright.max(*sum)));
        let range = bright.checked_sub(dark).filter(|range| *range >= CONTRAST)?;
        let mut input = [0; INPUT];
        for (to, sum) in input.iter_mut().zip(sums) {
            let ink = u32::from(bright.saturating_sub(*sum)) * 255;
            *to = ink.checked_div(u32::from(range))?.min(255) as u8;
        }
        Some(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_is_bright() {
        let mut digit = Digit::default();
        for y in 0..SIDE {
            let mut row = [0xFF; ROW_BYTES];
            // A bar of ink, 3 of the model's pixels wide, from the second on.
            row[2 * (EDGE + STEP)..2 * (EDGE + 4 * STEP)].fill(0);
            digit.row(y, &row);
        }
        let input = digit.finish().unwrap();
        for line in input.chunks(DIGIT_SIDE) {
            assert_eq!(&line[..5], &[0, 255, 255, 255, 0]);
        }
    }

    #[test]
    fn blank_paper_is_nothing() {
        let mut digit = Digit::default();
        for y in 0..SIDE {
            digit.row(y, &[0xC6; ROW_BYTES]);
        }
        assert_eq!(digit.finish(), None);
    }

    #[test]
    fn brightness_takes_the_whole_range() {
        assert_eq!([[0, 0], [0xFF, 0xFF]].map(brightness), [0, 255]);
    }
}
