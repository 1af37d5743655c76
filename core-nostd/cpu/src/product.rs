//! Products of int8 rows with int8 weights, both as they are: what cores with Helium multiply 16 at once.

use crate::dot;

/// What becomes of sums.
#[derive(Clone, Copy, Debug)]
pub struct Rescale {
    /// Added to the rescaled sum.
    pub zero_point: i8,
    /// Sums are shifted left by so many bits first, at most 31.
    pub shift: u8,
    /// Least element of the result.
    pub lo: i8,
    /// Greatest element of the result; it goes before `lo`.
    pub hi: i8,
}

/// Pixels that are multiplied with the same weights.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    /// From the first input of the first one on.
    pub x: &'a [u8],
    /// Bytes from pixel to pixel. They may overlap.
    pub step: usize,
    /// How many.
    pub count: usize,
    /// Inputs of each.
    pub inputs: usize,
}

/// Channels that a result of [`product`] has at least.
pub const CHANNELS: usize = 4;

/// Rescaled products of all pixels with all channels, of each of which `weights` has a row (`[O, inputs]`), and `channels`
/// bias and multiplier (i32). The pixels of `out` are `out_step` bytes apart. `None` if anything is too short, or the
/// result has less than [`CHANNELS`].
pub fn product(
    pixels: &Pixels<'_>,
    weights: &[u8],
    channels: &[u8],
    rescale: &Rescale,
    (out, out_step): (&mut [u8], usize),
) -> Option<()> {
    let many = channels.len() / 8;
    let last = pixels.count.checked_sub(1)?;
    let end = |step: usize, length: usize| last.checked_mul(step)?.checked_add(length);
    if pixels.inputs == 0
        || many < CHANNELS
        || out_step < many
        || end(pixels.step, pixels.inputs)? > pixels.x.len()
        || end(out_step, many)? > out.len()
        || many.checked_mul(pixels.inputs)? > weights.len()
    {
        return None;
    }
    #[cfg(carafe_mve)]
    if crate::mve::product(pixels, weights, channels, rescale, (&mut *out, out_step)) {
        return Some(());
    }
    product_portably(pixels, weights, channels, rescale, (out, out_step))
}

/// [`product`], whose arguments are checked.
#[inline(never)]
fn product_portably(
    pixels: &Pixels<'_>,
    weights: &[u8],
    channels: &[u8],
    rescale: &Rescale,
    (out, out_step): (&mut [u8], usize),
) -> Option<()> {
    for pixel in 0..pixels.count {
        let x = pixels.x.get(pixel * pixels.step..)?.get(..pixels.inputs)?;
        let mut out = out.get_mut(pixel * out_step..)?.iter_mut();
        let channels = channels.as_chunks::<8>().0;
        for (weights, channel) in weights.chunks_exact(pixels.inputs.max(1)).zip(channels) {
            let [acc, _] = dot(x, [weights, weights]);
            *out.next()? = rescaled(acc, channel, rescale);
        }
    }
    Some(())
}

/// clamp(zero point + (((acc + bias) << shift) · multiplier + 2³¹) >> 32), of a channel's bias and multiplier.
pub(crate) fn rescaled(acc: i32, &[b0, b1, b2, b3, m0, m1, m2, m3]: &[u8; 8], rescale: &Rescale) -> u8 {
    let acc = acc.wrapping_add(i32::from_le_bytes([b0, b1, b2, b3])).wrapping_shl(u32::from(rescale.shift));
    let v = (i64::from(acc) * i64::from(i32::from_le_bytes([m0, m1, m2, m3])) + (1 << 31)) >> 32;
    (v as i32).wrapping_add(i32::from(rescale.zero_point)).max(i32::from(rescale.lo)).min(i32::from(rescale.hi)) as u8
}

/// Pixels of which the channels are copied.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    /// How many.
    pub count: usize,
    /// Channels of each.
    pub channels: usize,
    /// Bytes from pixel to pixel where they come from.
    pub step: usize,
    /// Bytes from pixel to pixel where they go to.
    pub to_step: usize,
    /// The highest bit is turned over, which makes unsigned elements signed, less by 128.
    pub flip: bool,
}

/// Copies pixels. `None` if anything is too short.
pub fn copy_pixels(to: &mut [u8], from: &[u8], copied: &Copied) -> Option<()> {
    let Some(last) = copied.count.checked_sub(1) else { return Some(()) };
    let end = |step: usize| last.checked_mul(step)?.checked_add(copied.channels);
    if copied.channels == 0 || end(copied.step)? > from.len() || end(copied.to_step)? > to.len() {
        return None;
    }
    #[cfg(carafe_mve)]
    crate::mve::copy_pixels(to, from, copied);
    #[cfg(not(carafe_mve))]
    for pixel in 0..copied.count {
        let from = from.get(pixel * copied.step..)?.get(..copied.channels)?;
        let to = to.get_mut(pixel * copied.to_step..)?;
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from ^ if copied.flip { 0x80 } else { 0 });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn a_product_is_rescaled_sums(
            (inputs, many, count) in (1usize..70, 4usize..11, 1usize..8),
            (gap, out_gap) in (0usize..5, 0usize..5),
            rescale in (any::<i8>(), 0u8..4, any::<i8>(), any::<i8>()),
            seed in any::<u64>(),
        ) {
            let mut state = seed;
            let mut byte = || { state = state.wrapping_mul(6364136223846793005).wrapping_add(1); (state >> 56) as u8 };
            let (step, out_step) = (inputs + gap, many + out_gap);
            let x: Vec<u8> = (0..(count - 1) * step + inputs).map(|_| byte()).collect();
            let weights: Vec<u8> = (0..many * inputs).map(|_| byte()).collect();
            let channels: Vec<u8> = (0..many * 8).map(|i| if i % 8 == 7 { byte() & 0x7f } else { byte() }).collect();
            let rescale = Rescale { zero_point: rescale.0, shift: rescale.1, lo: rescale.2, hi: rescale.3 };
            let mut out = std::vec![7; (count - 1) * out_step + many];
            let pixels = Pixels { x: &x, step, count, inputs };
            product(&pixels, &weights, &channels, &rescale, (&mut out, out_step)).unwrap();
            for pixel in 0..count {
                for o in 0..many {
                    let sum: i32 = (0..inputs)
                        .map(|i| i32::from(x[pixel * step + i] as i8) * i32::from(weights[o * inputs + i] as i8))
                        .sum();
                    let field = |at: usize| i32::from_le_bytes(channels[8 * o + at..][..4].try_into().unwrap());
                    let acc = i64::from(sum.wrapping_add(field(0)).wrapping_shl(u32::from(rescale.shift)));
                    let v = ((acc * i64::from(field(4)) + (1 << 31)) >> 32) + i64::from(rescale.zero_point);
                    let want = v.max(i64::from(rescale.lo)).min(i64::from(rescale.hi)) as u8;
                    prop_assert_eq!(out[pixel * out_step + o], want);
                }
            }
            prop_assert!(product(&pixels, &weights[1..], &channels, &rescale, (&mut out, out_step)).is_none());
        }
    }
}
