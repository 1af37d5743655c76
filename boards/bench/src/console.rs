//! One line on the machine's console.

use crate::board::print;

/// A line under way.
pub struct Line(());

impl Line {
    /// Begins a line.
    pub fn begin(word: &str) -> Self {
        let mut line = Self(());
        line.text("carafe-bench ");
        line.text(word);
        line
    }

    /// Appends ` name=value`.
    pub fn field(&mut self, name: &str, value: u64) {
        self.text(" ");
        self.text(name);
        self.text("=");
        self.number(value);
    }

    /// Appends text.
    pub fn text(&mut self, text: &str) {
        print(text.as_bytes());
    }

    /// Appends 16 hexadecimal digits.
    #[inline(never)]
    pub fn number(&mut self, value: u64) {
        let mut digits = [0; 16];
        for (digit, shift) in digits.iter_mut().rev().zip((0..64).step_by(4)) {
            let nibble = (value >> shift) as u8 & 15;
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
        }
        print(&digits);
    }

    /// Ends the line.
    pub fn end(mut self) {
        self.text("\n");
    }
}
