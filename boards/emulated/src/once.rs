//! A static that is lent once, for good.

use core::cell::{Cell, UnsafeCell};

/// Something that whoever asks first may change from then on.
pub struct Once<T> {
    taken: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: programs for these boards have one thread on one core, and no handler of theirs runs.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for Once<T> {}

impl<T> Once<T> {
    /// One that has not been lent.
    pub const fn new(value: T) -> Self {
        Self { taken: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// The value, the first time.
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.replace(true) {
            return None;
        }
        // SAFETY: nobody else has got it, for `taken` was false until now, and nobody else will.
        #[allow(unsafe_code)]
        Some(unsafe { &mut *self.value.get() })
    }
}

/// Memory that the linker does not know of, the first time that `once` is asked; then nothing.
///
/// # Safety
/// There is RAM at these addresses, nothing else refers to it, and `once` is asked for nothing else.
#[allow(unsafe_code)]
pub unsafe fn lend(once: &'static Once<()>, start: usize, bytes: usize) -> &'static mut [u8] {
    match once.take() {
        // SAFETY: as above. Bytes of RAM have a value from the start, though not a known one.
        Some(()) => unsafe { core::slice::from_raw_parts_mut(start as *mut u8, bytes) },
        None => &mut [],
    }
}
