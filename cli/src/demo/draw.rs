//! Grey pictures in a terminal.

/// A picture, light on dark.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Grey values, row by row.
    pub pixels: Vec<u8>,
}

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Two pixels a character, each in one of 24 greys.
    Grey,
    /// Two pixels a character, each on or off.
    Blocks,
    /// A character for two pixels above each other, by brightness.
    Ascii,
}

/// Rows and columns of pictures: `(top, bottom, left, right)`, ends excluded.
type Frame = (usize, usize, usize, usize);

/// From this on a pixel counts as drawn.
const INK: u8 = 64;

impl Picture {
    fn rows(&self) -> usize {
        self.pixels.len().checked_div(self.width).unwrap_or(0)
    }

    /// The pixel, dark outside.
    fn at(&self, y: usize, x: usize) -> u8 {
        if x < self.width { self.pixels.get(y * self.width + x).copied().unwrap_or(0) } else { 0 }
    }

    /// Where there is ink; an empty picture has an empty frame.
    fn frame(&self) -> Frame {
        let mut frame = (usize::MAX, 0, usize::MAX, 0);
        for y in 0..self.rows() {
            for x in (0..self.width).filter(|&x| self.at(y, x) >= INK) {
                frame = (frame.0.min(y), frame.1.max(y + 1), frame.2.min(x), frame.3.max(x + 1));
            }
        }
        frame
    }

    /// Draws the ink in `columns` columns and as many lines as it takes, centred; wider ink is cut.
    pub fn draw(&self, columns: usize, style: Style) -> Vec<String> {
        let (top, bottom, left, right) = self.frame();
        if top >= bottom {
            return vec![];
        }
        // May begin before column 0: those columns are dark.
        let first = (left + right) as isize / 2 - columns as isize / 2;
        let pixel = |y: usize, c: usize| {
            usize::try_from(first + c as isize).map_or(0, |x| if y < bottom { self.at(y, x) } else { 0 })
        };
        (top..bottom)
            .step_by(2)
            .map(|y| {
                let pairs = (0..columns).map(|c| (pixel(y, c), pixel(y + 1, c)));
                match style {
                    Style::Grey => grey(pairs),
                    Style::Blocks => pairs.map(block).collect(),
                    Style::Ascii => pairs.map(ascii).collect(),
                }
            })
            .collect()
    }

    /// Columns of the ink.
    pub fn columns(&self) -> usize {
        let (_, _, left, right) = self.frame();
        right.saturating_sub(left)
    }
}

/// The grey ramp of 256-colour terminals is 232..=255. Dark is painted too, so that ink shows on a light terminal.
fn grey(pairs: impl Iterator<Item = (u8, u8)>) -> String {
    let code = |v: u8| 232 + u16::from(v) * 23 / 255;
    let mut line: String = pairs.map(|(a, b)| format!("\x1b[38;5;{};48;5;{}m▀", code(a), code(b))).collect();
    line.push_str("\x1b[0m");
    line
}

fn block((above, below): (u8, u8)) -> char {
    const ON: u8 = 110;
    match (above >= ON, below >= ON) {
        (false, false) => ' ',
        (true, false) => '▀',
        (false, true) => '▄',
        (true, true) => '█',
    }
}

fn ascii((above, below): (u8, u8)) -> char {
    const RAMP: &[u8] = b" .:-=+*#%@";
    let mean = (usize::from(above) + usize::from(below)) / 2;
    char::from(RAMP.get(mean * RAMP.len() / 256).copied().unwrap_or(b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        // A vertical stroke in column 2, rows 1 to 3 of 5.
        let mut pixels = vec![0; 25];
        [7, 12, 17].iter().for_each(|&i| pixels[i] = 255);
        Picture { width: 5, pixels }
    }

    #[test]
    fn ink_is_framed_and_centred() {
        assert_eq!(picture().columns(), 1);
        assert_eq!(picture().draw(3, Style::Blocks), [" █ ", " ▀ "]);
        assert_eq!(picture().draw(3, Style::Ascii), [" @ ", " + "].map(|s| s.replace('+', "=")));
        assert_eq!(picture().draw(9, Style::Blocks)[0], "    █    ");
        let plain = anstream::adapter::strip_str(&picture().draw(1, Style::Grey).join("|")).to_string();
        assert_eq!(plain, "▀|▀");
    }

    #[test]
    fn an_empty_picture_has_no_lines() {
        assert!(Picture { width: 3, pixels: vec![0; 9] }.draw(5, Style::Grey).is_empty());
        assert!(Picture { width: 0, pixels: vec![] }.draw(5, Style::Grey).is_empty());
    }
}
