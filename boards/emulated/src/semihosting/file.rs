//! A file of the host.

use super::{OPEN, WRITE, ask, call};

const CLOSE: usize = 0x02;
const READ: usize = 0x06;
const SEEK: usize = 0x0A;
const FLEN: usize = 0x0C;
const MODE_CHANGE: usize = 3;
const MODE_MAKE: usize = 7;

/// A file that is open, to read and to write.
pub struct File(usize);

impl File {
    /// One that holds what `memory` holds, from the beginning: if it is there and as long, `memory` gets what is in it;
    /// if it is not, or empty, it is made, of bytes 0xFF. One of another length is another's, and stays as it is: `None`.
    pub fn mirror(name: &[u8], memory: &mut [u8]) -> Option<Self> {
        if let Some(file) = Self::open(name, MODE_CHANGE) {
            // SAFETY: the block is a number.
            #[allow(unsafe_code)]
            let length = unsafe { ask(FLEN, (&raw const file.0).expose_provenance()) };
            if length == memory.len() {
                let missing = call(READ, [file.0, memory.as_mut_ptr().expose_provenance(), memory.len()]);
                return (missing == 0).then_some(file);
            }
            // SAFETY: as above.
            #[allow(unsafe_code)]
            unsafe {
                ask(CLOSE, (&raw const file.0).expose_provenance());
            }
            if length != 0 {
                return None;
            }
        }
        let file = Self::open(name, MODE_MAKE)?;
        memory.fill(0xFF);
        file.write(memory).then_some(file)
    }

    fn open(name: &[u8], mode: usize) -> Option<Self> {
        let handle = call(OPEN, [name.as_ptr().expose_provenance(), mode, name.len()]);
        (handle != usize::MAX).then_some(Self(handle))
    }

    fn write(&self, bytes: &[u8]) -> bool {
        call(WRITE, [self.0, bytes.as_ptr().expose_provenance(), bytes.len()]) == 0
    }

    /// Writes bytes at a place. False if that fails.
    pub fn write_at(&self, place: usize, bytes: &[u8]) -> bool {
        let block = [self.0, place];
        // SAFETY: the block is two numbers.
        #[allow(unsafe_code)]
        let sought = unsafe { ask(SEEK, block.as_ptr().expose_provenance()) };
        sought == 0 && self.write(bytes)
    }
}
