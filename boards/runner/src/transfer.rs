use carafe_protocol::{CRC, Fault};

/// A model on its way in. Chunks come in order, so that progress is one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The bank it goes to.
    pub bank: usize,
    len: usize,
    crc: u32,
    have: usize,
}

impl Transfer {
    pub fn begin(bank: usize, len: usize, crc: u32) -> Self {
        Self { bank, len, crc, have: 0 }
    }

    /// Stores the next chunk in the bank.
    pub fn chunk(&mut self, bank: &mut [u8], offset: u32, data: &[u8]) -> Result<(), Fault> {
        if usize::try_from(offset) != Ok(self.have) {
            return Err(Fault::ChunkOrder { expected: wire(self.have) });
        }
        let too_long = Fault::ChunkTooLong { missing: wire(self.len.saturating_sub(self.have)) };
        let end = self.have.checked_add(data.len()).filter(|end| *end <= self.len).ok_or(too_long)?;
        let room = bank.get_mut(self.have..end).ok_or(too_long)?;
        room.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        self.have = end;
        Ok(())
    }

    /// Checks that all is there, and returns the length.
    pub fn end(&self, bank: &[u8]) -> Result<usize, Fault> {
        let incomplete = Fault::Incomplete { have: wire(self.have), need: wire(self.len) };
        let bytes = bank.get(..self.len).filter(|_| self.have == self.len).ok_or(incomplete)?;
        if CRC.checksum(bytes) == self.crc { Ok(self.len) } else { Err(Fault::TransferCrc) }
    }
}

/// A size as the wire has it; what a board can hold always fits.
pub(crate) fn wire(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_to_come_in_order_and_in_full() {
        let mut bank = [0u8; 8];
        let mut transfer = Transfer::begin(0, 6, CRC.checksum(b"abcdef"));
        assert_eq!(transfer.chunk(&mut bank, 3, b"def"), Err(Fault::ChunkOrder { expected: 0 }));
        assert_eq!(transfer.chunk(&mut bank, 0, b"abc"), Ok(()));
        assert_eq!(transfer.end(&bank), Err(Fault::Incomplete { have: 3, need: 6 }));
        assert_eq!(transfer.chunk(&mut bank, 3, b"defg"), Err(Fault::ChunkTooLong { missing: 3 }));
        assert_eq!(transfer.chunk(&mut bank, 3, b"def"), Ok(()));
        assert_eq!(transfer.end(&bank), Ok(6));
        bank[2] ^= 1;
        assert_eq!(transfer.end(&bank), Err(Fault::TransferCrc));
    }
}
