//! Memory for models and arenas.

/// Bytes as the runner wants them: aligned to 16.
#[repr(C, align(16))]
pub struct Room<const N: usize>(pub [u8; N]);

impl<const N: usize> Room<N> {
    /// All zero, so that it takes no flash.
    pub const fn new() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Default for Room<N> {
    fn default() -> Self {
        Self::new()
    }
}
