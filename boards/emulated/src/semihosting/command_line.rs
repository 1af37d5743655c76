//! What the host has given the program by `-semihosting-config arg=…`.

use super::ask;

const GET_CMDLINE: usize = 0x15;

/// The arguments, one after the other with a space between, and what may be in them: `ROOM` bytes at most. QEMU gives
/// nothing at all if there are more.
pub struct CommandLine<const ROOM: usize> {
    line: [u8; ROOM],
    length: usize,
}

impl<const ROOM: usize> CommandLine<ROOM> {
    /// Asks for it.
    pub fn read() -> Self {
        let mut line = [0u8; ROOM];
        let mut block = [line.as_mut_ptr().expose_provenance(), line.len()];
        // SAFETY: the block has address and length of a buffer that the host may write; it writes the length back.
        #[allow(unsafe_code)]
        let refused = unsafe { ask(GET_CMDLINE, (&raw mut block).expose_provenance()) };
        let [_, length] = block;
        Self { line, length: if refused == 0 { length } else { 0 } }
    }

    /// What stands behind `name`, up to the end of the line: only the last argument may have a value.
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        let line = self.line.get(..self.length)?;
        let at = line.windows(name.len()).position(|part| part == name)?;
        line.get(at.checked_add(name.len())?..)
    }
}
