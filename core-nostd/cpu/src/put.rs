//! What becomes of sums, and where results go.

/// Pixels of a tile.
pub const PIXELS: usize = 2;

/// What becomes of accumulators, and where it is put.
#[derive(Clone, Copy, Debug)]
pub struct Put {
    /// Added to the rescaled accumulator.
    pub zero_point: i8,
    /// Accumulators are shifted left by so many bits first, at most 31.
    pub shift: u8,
    /// Byte of the first channel of each pixel. The first pixel is written last: what is missing at the end of a band goes
    /// where it goes.
    pub at: [usize; PIXELS],
}

/// Pixels of a row that lie alike.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// How many.
    pub pixels: usize,
    /// Bytes from window to window.
    pub step: usize,
    /// Bytes from pixel to pixel of the result.
    pub out_step: usize,
    /// Added to the rescaled accumulator.
    pub zero_point: i8,
    /// Accumulators are shifted left by so many bits first, at most 31.
    pub shift: u8,
}
