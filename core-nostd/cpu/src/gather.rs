//! Depthwise convolution with the taps of a channel beside each other, four of a column in a word: then a window is up to
//! four words, which cores with Helium gather and multiply at once.

#[cfg(carafe_mve)]
use core::marker::PhantomData;

use crate::put::Run;

/// Channels that are made one behind the other, and lie beside each other as words.
pub const LANES: usize = 16;

/// Words of a window at most.
pub const WORDS: usize = 4;

/// Groups of [`Lines`] at most.
pub const GROUPS: usize = 4;

/// Bytes of packed weights: for every [`LANES`] channels, for each of so many words of a window, four taps of each.
pub const fn packed(channels: usize, words: usize) -> usize {
    channels.div_ceil(LANES) * words * (4 * LANES)
}

/// Lines of elements that are put side by side, four in a group: each is one byte of the words of its group.
#[derive(Debug)]
pub struct Lines<'a> {
    groups: [Group<'a>; GROUPS],
    count: usize,
    channels: usize,
}

/// As `carafe_mve_depthwise` reads it; it moves lines on.
#[cfg(carafe_mve)]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group<'a> {
    /// A word of the scratch memory; then its address.
    pub(crate) to: usize,
    /// The fourth is null if it is to be zero.
    pub(crate) lines: [*const u8; 4],
    /// 0 for padding: 16 bytes that serve for all.
    pub(crate) steps: [u16; 4],
    pub(crate) pixels: usize,
    lent: PhantomData<&'a [u8]>,
}

#[cfg(not(carafe_mve))]
#[derive(Clone, Copy, Debug)]
struct Group<'a> {
    to: usize,
    lines: [&'a [u8]; 4],
    steps: [u16; 4],
    pixels: usize,
}

impl<'a> Lines<'a> {
    /// Of no groups.
    pub fn new(channels: usize) -> Self {
        #[cfg(carafe_mve)]
        let none = Group { to: 0, lines: [core::ptr::null(); 4], steps: [0; 4], pixels: 0, lent: PhantomData };
        #[cfg(not(carafe_mve))]
        let none = Group { to: 0, lines: [&[]; 4], steps: [0; 4], pixels: 0 };
        Self { groups: [none; GROUPS], count: 0, channels }
    }

    /// Forgets all groups.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// A further group: of `pixels` pixels, from word `to` of the scratch memory on; all its lines are `padding`, of
    /// [`LANES`] bytes at least. `None` if there are too many, or no pixels.
    pub fn group(&mut self, to: usize, pixels: usize, padding: &'a [u8]) -> Option<()> {
        let group = self.groups.get_mut(self.count)?;
        if pixels == 0 || padding.len() < LANES {
            return None;
        }
        #[cfg(carafe_mve)]
        let padding = padding.as_ptr();
        (group.to, group.lines, group.steps, group.pixels) = (to, [padding; 4], [0; 4], pixels);
        self.count += 1;
        Some(())
    }

    /// True if scratch memory of so many words has room for all groups.
    fn fit(&self, words: usize) -> Option<bool> {
        for group in self.groups.get(..self.count)? {
            if group.to.checked_add(group.pixels.checked_mul(LANES)?)? > words {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Line `k` of the last group is `line`, which has a pixel every `step`. `None` if it is too short, or the step too long.
    pub fn line(&mut self, k: usize, line: &'a [u8], step: usize) -> Option<()> {
        let group = self.groups.get_mut(self.count.checked_sub(1)?)?;
        let end = (group.pixels - 1).checked_mul(step)?.checked_add(self.channels)?;
        if step == 0 || end > line.len() {
            return None;
        }
        #[cfg(carafe_mve)]
        let line = line.as_ptr();
        *group.lines.get_mut(k)? = line;
        *group.steps.get_mut(k)? = u16::try_from(step).ok()?;
        Some(())
    }

    /// The fourth line of the last group does not matter: it makes less work.
    pub fn of_three(&mut self) {
        #[cfg(carafe_mve)]
        if let Some(group) = self.count.checked_sub(1).and_then(|last| self.groups.get_mut(last)) {
            (group.lines[3], group.steps[3]) = (core::ptr::null(), 0);
        }
    }
}

/// Windows in scratch memory.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Words of a window.
    pub words: usize,
    /// Where those of the first window begin.
    pub at: [u32; WORDS],
}

/// Makes a run of pixels, `run.step` in words, of as many channels as there are parameters of (bias and multiplier, i32), a
/// multiple of 4. `weights` are [`packed`]; `scratch` is where `lines` go, and may have words beside them. `lines` are used
/// up. `None` if anything is too short.
pub fn depthwise(
    lines: &mut Lines<'_>,
    windows: &Windows,
    weights: &[u8],
    channels: &[u8],
    run: &Run,
    scratch: &mut [u32],
    out: &mut [u8],
) -> Option<()> {
    let many = channels.len() / 8;
    let last = run.pixels.checked_sub(1)?;
    let most = *windows.at.iter().max()? as usize;
    if many == 0
        || !many.is_multiple_of(4)
        || many != lines.channels
        || !lines.fit(scratch.len())?
        || !(1..=WORDS).contains(&windows.words)
        || weights.len() < packed(many, windows.words)
        || last.checked_mul(run.step)?.checked_add(most)?.checked_add(LANES)? > scratch.len()
        || last.checked_mul(run.out_step)?.checked_add(many)? > out.len()
    {
        return None;
    }
    #[cfg(carafe_mve)]
    {
        // The routine moves them on.
        let count = core::mem::take(&mut lines.count);
        crate::mve::depthwise(lines.groups.get_mut(..count)?, windows, weights, channels, run, scratch, out)
    }
    #[cfg(not(carafe_mve))]
    portable::depthwise(lines, windows, weights, channels, run, scratch, out)
}

#[cfg(not(carafe_mve))]
mod portable {
    use super::*;
    use crate::product::{Rescale, rescaled};

    pub fn depthwise(
        lines: &Lines<'_>,
        windows: &Windows,
        weights: &[u8],
        channels: &[u8],
        run: &Run,
        scratch: &mut [u32],
        out: &mut [u8],
    ) -> Option<()> {
        let rescale = Rescale { zero_point: run.zero_point, shift: run.shift, lo: i8::MIN, hi: i8::MAX };
        let blocks = channels.chunks(8 * LANES).zip(weights.chunks(packed(1, windows.words)));
        for (block, (channels, weights)) in blocks.enumerate() {
            let from = block * LANES;
            let lanes = channels.len() / 8;
            for group in lines.groups.get(..lines.count)? {
                spread(scratch.get_mut(group.to..)?, group, from, lanes)?;
            }
            for pixel in 0..run.pixels {
                let out = out.get_mut(pixel * run.out_step + from..)?;
                for ((c, out), channel) in out.iter_mut().enumerate().zip(channels.as_chunks::<8>().0) {
                    let mut acc = 0i32;
                    for (&at, weights) in windows.at.iter().zip(weights.chunks(4 * LANES)) {
                        let x = scratch.get(at as usize + pixel * run.step + c)?.to_le_bytes();
                        for (x, &w) in x.iter().zip(weights.get(4 * c..4 * c + 4)?) {
                            acc = acc.wrapping_add(i32::from(*x as i8) * i32::from(w as i8));
                        }
                    }
                    *out = rescaled(acc, channel, &rescale);
                }
            }
        }
        Some(())
    }

    fn spread(to: &mut [u32], group: &Group<'_>, from: usize, lanes: usize) -> Option<()> {
        for (pixel, to) in to.as_chunks_mut::<LANES>().0.iter_mut().enumerate().take(group.pixels) {
            for (c, to) in to.iter_mut().enumerate().take(lanes) {
                let mut word = [0; 4];
                for ((byte, line), &step) in word.iter_mut().zip(group.lines).zip(&group.steps) {
                    // Padding is the same for all channels.
                    let at = if step == 0 { c } else { pixel * usize::from(step) + from + c };
                    *byte = *line.get(at)?;
                }
                *to = u32::from_le_bytes(word);
            }
        }
        Some(())
    }
}
