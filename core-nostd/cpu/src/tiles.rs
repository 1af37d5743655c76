//! Many tiles in one call: the windows of pixels that lie alike become columns, and columns become results.

use crate::put::{PIXELS, Put};
use crate::taps::Taps;

/// Windows of pixels that lie next to each other in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alike {
    /// Bytes of a line of a window.
    pub run: usize,
    /// Bytes from window to window.
    pub distance: usize,
    /// The operand has unsigned bytes.
    pub unsigned: bool,
    /// An element of padding.
    pub zero: i16,
    /// Tiles of [`PIXELS`] pixels.
    pub tiles: usize,
    /// One more pixel is behind them.
    pub odd: bool,
    /// Bytes from pixel to pixel of the result.
    pub out_step: usize,
    /// If the second pixel of each tile is not the next one but that below: bytes to its window, and to it in the result.
    pub below: Option<[usize; 2]>,
}

impl Alike {
    /// For rows of so many pixels.
    #[must_use]
    pub fn of(self, pixels: usize) -> Self {
        match self.below {
            Some(_) => Self { tiles: pixels, odd: false, ..self },
            None => Self { tiles: pixels / PIXELS, odd: !pixels.is_multiple_of(PIXELS), ..self },
        }
    }

    /// Pixels of a row that a tile has.
    pub(crate) fn across(&self) -> usize {
        if self.below.is_some() { 1 } else { PIXELS }
    }

    /// Pixels of a row that all tiles have.
    pub fn pixels(&self) -> usize {
        self.across() * self.tiles + usize::from(self.odd)
    }

    /// Bytes from the first window to those of a tile, and from the first result to its own. What it lacks is its first pixel.
    #[cfg(not(carafe_dsp))]
    pub(crate) fn tile(&self, index: usize) -> [[usize; PIXELS]; 2] {
        let first = index * self.across();
        let [below, out_below] = match self.below {
            None if index == self.tiles => [0; 2],
            below => below.unwrap_or([self.distance, self.out_step]),
        };
        let [window, out] = [first * self.distance, first * self.out_step];
        [[window, window + below], [out, out + out_below]]
    }
}

/// Memory that [`tiles`] works in.
#[derive(Debug)]
pub struct Work<'w> {
    /// Columns of a tile: for every two inputs of a window a word of each pixel.
    pub columns: &'w mut [u32],
    /// The bytes of [`PIXELS`] windows; nothing if every line is a whole number of words.
    pub windows: &'w mut [u8],
}

/// As [`crate::tile`], of all tiles of `alike`, one after the other. `lines` has the operand from each line of the first
/// window on (those of padding only where lines are whole numbers of words); lines one behind the other, filled up to a whole number of words, are the inputs. `put.at[0]` is where the
/// first pixel of the result begins. `None` if anything is too short.
#[inline(never)]
pub fn tiles(
    lines: &Taps<'_, '_>,
    alike: &Alike,
    work: &mut Work<'_>,
    (weights, channels): (&[u8], &[u8]),
    put: &Put,
    out: &mut [u8],
) -> Option<()> {
    let inputs = (alike.run * lines.count()).next_multiple_of(4);
    let last = alike.pixels().checked_sub(1)?;
    let pairs = channels.len() / 16;
    let [below, out_below] = alike.below.unwrap_or_default();
    let words =
        if work.windows.is_empty() { alike.run.is_multiple_of(4) } else { work.windows.len() >= PIXELS * inputs };
    if !words
        || inputs == 0
        || pairs == 0
        || work.columns.len() < inputs / 2 * PIXELS
        || last.checked_mul(alike.distance)?.checked_add(below)?.checked_add(alike.run)? > lines.room()
        || last.checked_mul(alike.out_step)?.checked_add(out_below)?.checked_add(put.at[0])?.checked_add(2 * pairs)?
            > out.len()
        || (lines.is_padded() && !work.windows.is_empty())
        || alike.out_step < 2 * pairs
        || weights.len() < (2 * inputs).checked_mul(pairs)?
    {
        return None;
    }
    let columns = work.columns.get_mut(..inputs / 2 * PIXELS)?;
    #[cfg(carafe_dsp)]
    return crate::arm::tiles(lines, alike, (columns, work.windows), (weights, channels), put, out);
    #[cfg(carafe_simd)]
    if crate::host::tiles(lines.slices(), alike, (weights, channels), put, out) {
        return Some(());
    }
    #[cfg(not(carafe_dsp))]
    tiles_portably(lines, alike, (columns, work.windows), (weights, channels), put, out)
}

/// [`tiles`], whose arguments are checked.
#[cfg(not(carafe_dsp))]
pub(crate) fn tiles_portably(
    lines: &Taps<'_, '_>,
    alike: &Alike,
    (columns, windows): (&mut [u32], &mut [u8]),
    (weights, channels): (&[u8], &[u8]),
    put: &Put,
    out: &mut [u8],
) -> Option<()> {
    for tile in 0..alike.tiles + usize::from(alike.odd) {
        let mut put = *put;
        let begin = put.at[0];
        let [windows_at, outs] = alike.tile(tile);
        for (slot, (from, out)) in windows_at.into_iter().zip(outs).enumerate() {
            *put.at.get_mut(slot)? = begin + out;
            let mut at = slot;
            let mut to = &mut *windows;
            for line in lines.slices() {
                if line.is_empty() {
                    crate::widen_one(columns.get_mut(at..)?, alike.run / 2, alike.zero);
                    at += alike.run / 2 * PIXELS;
                    continue;
                }
                let line = line.get(from..)?.get(..alike.run)?;
                if to.is_empty() {
                    crate::widen(columns.get_mut(at..)?, line, alike.unsigned);
                    at += alike.run / 2 * PIXELS;
                } else {
                    let (begin, rest) = to.split_at_mut_checked(alike.run)?;
                    begin.copy_from_slice(line);
                    to = rest;
                }
            }
            if !windows.is_empty() {
                crate::widen(columns.get_mut(slot..)?, windows, alike.unsigned);
            }
        }
        crate::tile(columns, weights, channels, &put, out)?;
    }
    Some(())
}
