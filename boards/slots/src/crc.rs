//! CRC-32/ISO-HDLC of what comes in pieces, half a byte at a time.

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

/// A checksum under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crc(u32);

impl Crc {
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    #[inline(never)]
    pub fn add(&mut self, bytes: &[u8]) {
        let half = |crc: u32| (crc >> 4) ^ TABLE.get(crc as usize & 15).copied().unwrap_or(0);
        self.0 = bytes.iter().fold(self.0, |crc, &byte| half(half(crc ^ u32::from(byte))));
    }

    pub const fn value(self) -> u32 {
        !self.0
    }

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
    fn is_that_of_the_blob() {
        assert_eq!(Crc::of(b"123456789"), 0xCBF4_3926);
        let mut crc = Crc::new();
        crc.add(b"1234");
        crc.add(b"56789");
        assert_eq!(crc.value(), carafe::blob::crc32(b"123456789"));
    }
}
