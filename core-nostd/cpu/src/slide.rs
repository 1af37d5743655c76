//! Depthwise convolution by kernels of three by three: a channel of some rows becomes a plane of int16, over which the
//! kernel slides, two results at a time.

use crate::taps::Taps;

/// Words for the kernels of four channels.
pub(crate) const KERNELS: usize = 24;

/// Some rows of a depthwise convolution.
#[derive(Clone, Copy, Debug)]
pub struct Slide {
    /// Bytes from pixel to pixel of the operand.
    pub pixel: usize,
    /// Pixels of a line.
    pub columns: usize,
    /// Columns of padding in front of them.
    pub pad: usize,
    /// Windows are two columns apart, and not one.
    pub wide: bool,
    /// Rows from window to window.
    pub down: usize,
    /// Zero point of the operand: the padding.
    pub zero: i8,
    /// Bytes from tap to tap of the weights.
    pub tap: usize,
    /// Pixels of a row of the result.
    pub width: usize,
    /// Rows of it.
    pub rows: usize,
    /// Bytes from pixel to pixel of it.
    pub out_step: usize,
    /// Bytes from row to row of it.
    pub out_row: usize,
    /// Zero point of the result.
    pub zero_point: i8,
}

impl Slide {
    /// Words of a row of a plane, which has two columns in each.
    pub const fn words(&self) -> usize {
        self.width.div_ceil(2) * if self.wide { 2 } else { 1 } + 1
    }

    /// Lines of the operand that some rows of the result take, one after the other.
    pub const fn lines(&self, rows: usize) -> usize {
        (rows - 1) * self.down + 3
    }

    /// The width, if rows are five or six pixels that keep their places, with a column of padding on either side: there is
    /// a faster loop for each of them. 0 for others.
    pub const fn narrow(&self) -> usize {
        let alike = self.columns == self.width && self.pad == 1 && self.down == 1 && !self.wide;
        if alike && matches!(self.width, 5 | 6) { self.width } else { 0 }
    }

    /// Words that [`slide`] works in, for so many lines.
    pub const fn work(&self, lines: usize) -> usize {
        KERNELS + 4 * lines * self.words()
    }
}

/// Makes rows. `lines` are those of the operand, from its first pixel and channel on, `weights` the nine taps, `channels`
/// bias and multiplier (i32) of as many channels, a multiple of four; `out` begins with the first row. `None` if anything
/// is too short. `loops`, which the caller knows when it is compiled: whether that for narrow rows ([`Slide::narrow`]) is to
/// be linked, and that for any; `None` if neither of them takes it.
#[inline]
pub fn slide(
    loops: (bool, bool),
    lines: &Taps<'_, '_>,
    s: &Slide,
    words: &mut [u32],
    (weights, channels): (&[u8], &[u8]),
    out: &mut [u8],
) -> Option<()> {
    #[cfg(not(carafe_dsp))]
    let _ = loops;
    let count = channels.len() / 8;
    let end = |last: usize, step: usize| last.checked_mul(step)?.checked_add(count);
    let row = end(s.width.checked_sub(1)?, s.out_step)?;
    if count == 0
        || !channels.len().is_multiple_of(32)
        || s.rows == 0
        || s.pad > 2 * s.words()
        || lines.count() != s.lines(s.rows)
        || end(s.columns.checked_sub(1)?, s.pixel)? > lines.room()
        || (s.rows - 1).checked_mul(s.out_row)?.checked_add(row)? > out.len()
        || end(8, s.tap)? > weights.len()
        || words.len() < s.work(lines.count())
    {
        return None;
    }
    #[cfg(carafe_dsp)]
    return crate::arm::slide(loops, lines, s, words, (weights, channels), out);
    #[cfg(carafe_simd)]
    if crate::host::slide(lines.slices(), s, (weights, channels), out) {
        return Some(());
    }
    #[cfg(not(carafe_dsp))]
    slide_portably(lines, s, (weights, channels), out)
}

/// [`slide`], whose arguments are checked.
#[cfg(not(carafe_dsp))]
pub(crate) fn slide_portably(
    lines: &Taps<'_, '_>,
    s: &Slide,
    (weights, channels): (&[u8], &[u8]),
    out: &mut [u8],
) -> Option<()> {
    let put = crate::Put { zero_point: s.zero_point, shift: 0, at: [0; crate::PIXELS] };
    let step = if s.wide { 2 } else { 1 };
    for row in 0..s.rows {
        let lines = lines.slices().get(row * s.down..)?.get(..3)?;
        for x in 0..s.width {
            let out = out.get_mut(row * s.out_row + x * s.out_step..)?;
            for (c, (out, channel)) in out.iter_mut().zip(channels.as_chunks::<8>().0).enumerate() {
                let mut acc = 0i32;
                for tap in 0..9 {
                    let column = (step * x + tap % 3).checked_sub(s.pad).filter(|&at| at < s.columns);
                    let line = lines.get(tap / 3).filter(|line| !line.is_empty());
                    let x = match (line, column) {
                        (Some(line), Some(at)) => *line.get(at * s.pixel + c)? as i8,
                        _ => s.zero,
                    };
                    let w = *weights.get(tap * s.tap + c)? as i8;
                    acc = acc.wrapping_add(i32::from(x) * i32::from(w));
                }
                *out = crate::tile::finish(acc, channel, &put);
            }
        }
    }
    Some(())
}
