//! Depthwise convolution, four channels and two taps at a time.

use crate::put::Run;
use crate::taps::Taps;

/// Biases, weights and multipliers of some channels in the order in which they are used: for every four channels four
/// biases, then for every two taps a word of each channel (the first tap in the low half), then four multipliers.
#[derive(Debug)]
pub struct Stream<'s> {
    words: &'s [u32],
    channels: usize,
    taps: usize,
}

impl<'s> Stream<'s> {
    /// Words of four channels.
    pub const fn group(taps: usize) -> usize {
        8 + 4 * taps.div_ceil(2)
    }

    /// Of as many channels as `words` have room for and `channels` has parameters of (bias and multiplier, i32), by four.
    /// `weights` begins with the first tap of the first of them, and has a tap every `stride` bytes. `None` if it is too
    /// short.
    pub fn prepare(
        words: &'s mut [u32],
        weights: &[u8],
        (stride, taps): (usize, usize),
        channels: &[u8],
    ) -> Option<Self> {
        let mut groups = 0;
        let mut to = words.chunks_exact_mut(Self::group(taps).max(1));
        for channels in channels.as_chunks::<32>().0 {
            let Some(words) = to.next() else { break };
            let weights = weights.get(4 * groups..)?;
            if taps == 0 || weights.len() < (taps - 1).checked_mul(stride)?.checked_add(4)? {
                return None;
            }
            let (biases, rest) = words.split_at_mut_checked(4)?;
            let (pairs, multipliers) = rest.split_at_mut_checked(rest.len() - 4)?;
            let mut fields = channels.as_chunks::<4>().0.iter().map(|&b| u32::from_le_bytes(b));
            for (bias, multiplier) in biases.iter_mut().zip(multipliers) {
                *bias = fields.next()?;
                *multiplier = fields.next()?;
            }
            #[cfg(carafe_dsp)]
            crate::arm::prepare(pairs, weights, stride, taps);
            #[cfg(carafe_simd)]
            let done = crate::host::prepare(pairs, weights, stride, taps);
            #[cfg(not(any(carafe_dsp, carafe_simd)))]
            let done = false;
            #[cfg(not(carafe_dsp))]
            if !done {
                prepare_portably(pairs, weights, stride, taps)?;
            }
            groups += 1;
        }
        let words = &*words;
        Some(Self { words: words.get(..groups * Self::group(taps))?, channels: 4 * groups, taps })
    }

    /// Channels that it has.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Makes the channels of a run of pixels. `None` if anything is too short.
    pub fn run(&self, taps: &mut Taps<'_, '_>, run: &Run, out: &mut [u8]) -> Option<()> {
        let last = run.pixels.checked_sub(1)?;
        let end = |step: usize| last.checked_mul(step)?.checked_add(self.channels);
        if taps.count() != self.taps
            || self.channels == 0
            || run.step.min(run.out_step) < self.channels
            || end(run.step)? > taps.room()
            || end(run.out_step)? > out.len()
        {
            return None;
        }
        #[cfg(carafe_dsp)]
        crate::arm::depthwise((self.words, self.channels), taps.paired()?, run, out);
        #[cfg(carafe_simd)]
        if crate::host::depthwise((self.words, self.channels, Self::group(self.taps)), taps.slices(), run, out) {
            return Some(());
        }
        #[cfg(not(carafe_dsp))]
        self.run_portably(taps, run, out)?;
        Some(())
    }

    #[cfg(not(carafe_dsp))]
    pub(crate) fn run_portably(&self, taps: &Taps<'_, '_>, run: &Run, out: &mut [u8]) -> Option<()> {
        for pixel in 0..run.pixels {
            let groups = self.words.chunks_exact(Self::group(self.taps)).enumerate();
            for (group, words) in groups {
                let (biases, rest) = words.split_at_checked(4)?;
                let (pairs, multipliers) = rest.split_at_checked(rest.len() - 4)?;
                let mut acc = [0i32; 4];
                for (acc, bias) in acc.iter_mut().zip(biases) {
                    *acc = *bias as i32;
                }
                for (taps, words) in taps.slices().chunks(2).zip(pairs.as_chunks::<4>().0) {
                    let at = pixel * run.step + 4 * group;
                    for (k, tap) in taps.iter().enumerate() {
                        let x = tap.get(at..at + 4)?;
                        for ((acc, &x), &w) in acc.iter_mut().zip(x).zip(words) {
                            let w = (w >> (16 * k)) as i16;
                            *acc = acc.wrapping_add(i32::from(x as i8) * i32::from(w));
                        }
                    }
                }
                let at = pixel * run.out_step + 4 * group;
                for ((out, &acc), &multiplier) in out.get_mut(at..at + 4)?.iter_mut().zip(&acc).zip(multipliers) {
                    let acc = acc.wrapping_shl(u32::from(run.shift));
                    let v = (i64::from(acc) * i64::from(multiplier as i32) + (1 << 31)) >> 32;
                    *out = (v as i32 + i32::from(run.zero_point)).clamp(-128, 127) as i8 as u8;
                }
            }
        }
        Some(())
    }
}

/// See [`Stream`].
#[cfg(not(carafe_dsp))]
pub(crate) fn prepare_portably(to: &mut [u32], weights: &[u8], stride: usize, taps: usize) -> Option<()> {
    for (pair, to) in to.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        for (c, to) in to.iter_mut().enumerate() {
            let of = |tap: usize| {
                let w = weights.get(tap * stride + c).filter(|_| tap < taps);
                w.map_or(0, |&w| i16::from(w as i8))
            };
            *to = crate::halves(of(2 * pair), of(2 * pair + 1));
        }
    }
    Some(())
}
