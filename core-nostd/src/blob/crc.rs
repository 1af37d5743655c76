//! The checksum of what comes in pieces, and on devices.

/// [`crc32`](super::crc32) under way, half a byte at a time. Of the crate `crc`, the one with a table takes 1 KB of flash;
/// the one without takes more than this, and four times as long.
#[derive(Debug, Clone, Copy)]
pub struct Crc(u32);

const fn remainder(mut nibble: u32) -> u32 {
    let mut bit = 0;
    while bit < 4 {
        nibble = (nibble >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(nibble & 1));
        bit += 1;
    }
    nibble
}

static TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        table[i] = remainder(i as u32);
        i += 1;
    }
    table
};

/// Not inlined, lest compilers write the loop out.
#[inline(never)]
fn step(crc: u32, byte: u8) -> u32 {
    let half = |crc: u32| (crc >> 4) ^ TABLE.get(crc as usize & 15).copied().unwrap_or(0);
    half(half(crc ^ u32::from(byte)))
}

impl Default for Crc {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc {
    /// Of nothing yet.
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Takes the next bytes in.
    #[inline(never)]
    pub fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |crc, &byte| step(crc, byte));
    }

    /// The checksum of all so far.
    pub const fn value(self) -> u32 {
        !self.0
    }

    /// The checksum of one piece.
    pub fn of(bytes: &[u8]) -> u32 {
        let mut crc = Self::new();
        crc.add(bytes);
        crc.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_the_checksum_of_the_whole() {
        assert_eq!(Crc::of(b"123456789"), 0xCBF4_3926);
        let mut crc = Crc::new();
        crc.add(b"1234");
        crc.add(b"56789");
        assert_eq!(crc.value(), crate::blob::crc32(b"123456789"));
    }
}
