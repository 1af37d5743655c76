//! A window over an accelerometer's readings.

/// Readings in a window: 0.64 s at 50 Hz.
pub const READINGS: usize = 32;
/// Numbers that a model takes: three axes, one reading after the other.
pub const INPUT: usize = 3 * READINGS;
/// New readings between two windows.
const HOP: usize = READINGS / 4;

/// The last readings.
pub struct Window {
    readings: [[f32; 3]; READINGS],
    missing: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { readings: [[0.0; 3]; READINGS], missing: READINGS }
    }
}

impl Window {
    /// Takes a reading; gives the window, oldest first, when it is time to look at it again.
    pub fn push(&mut self, reading: [f32; 3]) -> Option<[f32; INPUT]> {
        self.readings.rotate_left(1);
        if let Some(last) = self.readings.last_mut() {
            *last = reading;
        }
        self.missing = self.missing.saturating_sub(1);
        if self.missing > 0 {
            return None;
        }
        self.missing = HOP;
        let mut input = [0.0; INPUT];
        input.iter_mut().zip(self.readings.as_flattened()).for_each(|(to, from)| *to = *from);
        Some(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_overlap() {
        let mut window = Window::default();
        let full: std::vec::Vec<_> =
            (0..100).filter_map(|i| window.push([i as f32, 0.0, -1.0]).map(|input| (i, input))).collect();
        assert_eq!(full.iter().map(|(i, _)| *i).take(3).collect::<std::vec::Vec<_>>(), [31, 39, 47]);
        let (_, second) = full[1];
        assert_eq!((&second[..3], second[INPUT - 3]), (&[8.0, 0.0, -1.0][..], 39.0));
    }
}
