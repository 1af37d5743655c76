//! Two pixels of a result at a time: a product of a matrix of widened inputs with weights in fours.

#[cfg(not(carafe_dsp))]
use crate::pairs::{Pair, split};
use crate::put::{PIXELS, Put};

/// The words in a piece of memory.
#[allow(unsafe_code)]
pub fn words(bytes: &mut [u8]) -> &mut [u32] {
    // SAFETY: any bytes are a u32.
    unsafe { bytes.align_to_mut::<u32>().1 }
}

/// The bytes of words.
#[allow(unsafe_code)]
pub fn bytes(words: &mut [u32]) -> &mut [u8] {
    // SAFETY: any word is four bytes, which lie anywhere.
    unsafe { words.align_to_mut::<u8>().1 }
}

/// Copies what both have room for.
pub fn copy(to: &mut [u8], from: &[u8]) {
    // Few bytes at a time: compilers would call `memcpy`, which takes longer to begin than this.
    #[cfg(carafe_dsp)]
    crate::arm::copy(to, from);
    #[cfg(carafe_mve)]
    crate::mve::copy(to, from);
    #[cfg(all(feature = "portable", target_os = "none"))]
    {
        // Four at a time, through memory: there is to be no `memcpy`, which is larger than many a kernel.
        let n = to.len().min(from.len());
        let (to, from) = (to.get_mut(..n).unwrap_or_default(), from.get(..n).unwrap_or_default());
        let ((words, rest), (others, last)) = (to.as_chunks_mut::<4>(), from.as_chunks::<4>());
        words.iter_mut().zip(others).for_each(|(to, from)| *to = core::hint::black_box(*from));
        rest.iter_mut().zip(last).for_each(|(to, from)| *to = core::hint::black_box(*from));
    }
    #[cfg(not(any(carafe_dsp, carafe_mve, all(feature = "portable", target_os = "none"))))]
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Sets all bytes.
#[inline]
pub fn fill(to: &mut [u8], byte: u8) {
    // See `copy`.
    #[cfg(carafe_dsp)]
    crate::arm::fill(to, byte);
    #[cfg(carafe_mve)]
    crate::mve::fill(to, byte);
    #[cfg(all(feature = "portable", target_os = "none"))]
    to.iter_mut().for_each(|to| *to = core::hint::black_box(byte));
    #[cfg(not(any(carafe_dsp, carafe_mve, all(feature = "portable", target_os = "none"))))]
    to.fill(byte);
}

/// Two elements as a word, the first in the low half.
pub fn halves(first: i16, second: i16) -> u32 {
    u32::from(first as u16) | u32::from(second as u16) << 16
}

/// Widens elements, two to a word in the order of [`crate::place`], into every [`PIXELS`]th word of `to`; the last
/// `x.len() % 4` are left out, and so is what does not fit.
pub fn widen(to: &mut [u32], x: &[u8], unsigned: bool) {
    #[cfg(carafe_dsp)]
    crate::arm::widen(to, x, unsigned);
    #[cfg(carafe_simd)]
    if crate::host::widen(to, x, unsigned) {
        return;
    }
    #[cfg(not(carafe_dsp))]
    widen_portably(to, x, unsigned);
}

/// Rescaled results of `2 · pairs` channels of two pixels, as many pairs as there are channels.
///
/// `x` has, for every two inputs, a word of each pixel ([`widen`]). `weights` are in fours, of as many inputs; `channels` has
/// bias and multiplier (i32) of every channel. An odd channel at the end is left out. `None` if weights are too short, pixels
/// lie outside `out`, or the core does not take weights or channels where they lie ([`crate::takes`]).
pub fn tile(x: &[u32], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> Option<()> {
    let inputs = x.len() / PIXELS * 2;
    let pairs = channels.len() / 16;
    let last = put.at.iter().max()?.checked_add(2 * pairs)?;
    if inputs == 0 || last > out.len() || weights.len() < (2 * inputs).checked_mul(pairs)? {
        return None;
    }
    #[cfg(carafe_dsp)]
    return crate::arm::tile(x, weights, channels, put, out);
    #[cfg(carafe_simd)]
    if crate::host::tile(x, weights, channels, put, out) {
        return Some(());
    }
    #[cfg(not(carafe_dsp))]
    tile_portably(x, weights, channels, put, out)
}

/// Writes one element, twice to a word, into `words` of every [`PIXELS`]th word of `to`.
#[inline(never)]
pub fn widen_one(to: &mut [u32], words: usize, element: i16) {
    let mut to = to.iter_mut();
    for _ in 0..words {
        let Some(word) = to.next() else { return };
        *word = halves(element, element);
        to.nth(PIXELS - 2);
    }
}

#[cfg_attr(carafe_dsp, allow(dead_code))]
pub(crate) fn widen_portably(to: &mut [u32], x: &[u8], unsigned: bool) {
    let element = |x| crate::element(x, unsigned);
    let to = to.iter_mut().step_by(PIXELS);
    // The order of `pairs::place`.
    for (to, x) in to.zip(x.as_chunks::<4>().0.iter().flat_map(|x| [[x[0], x[2]], [x[1], x[3]]])) {
        *to = halves(element(x[0]), element(x[1]));
    }
}

/// [`tile`], whose arguments are checked.
#[cfg(not(carafe_dsp))]
#[inline(never)]
pub(crate) fn tile_portably(x: &[u32], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> Option<()> {
    let inputs = x.len() / PIXELS * 2;
    let pairs = channels.len() / 16;
    for (pixel, &at) in put.at.iter().enumerate().rev() {
        let mut out = out.get_mut(at..)?.as_chunks_mut::<2>().0.iter_mut();
        for (pair, channels) in channels.as_chunks::<16>().0.iter().enumerate() {
            let weights = Pair::of_fours(weights, inputs, pairs, pair)?;
            let [mut whole, mut low] = [0i32; 2];
            for (word, x) in x.iter().skip(pixel).step_by(PIXELS).enumerate() {
                let [w0, w1] = weights.word(word)?;
                for (x, [w, a]) in [(*x as i16, w0), ((*x >> 16) as i16, w1)] {
                    whole = whole.wrapping_add(i32::from(x).wrapping_mul(w));
                    low = low.wrapping_add(i32::from(x).wrapping_mul(a));
                }
            }
            let [a, b] = split(whole, low);
            let (first, second) = channels.split_at(8);
            *out.next()? = [finish(a, first, put), finish(b, second, put)];
        }
    }
    Some(())
}

/// clamp(zero point + (((acc + bias) << shift) · multiplier + 2³¹) >> 32), of a channel's bias and multiplier.
pub(crate) fn finish(acc: i32, channel: &[u8], put: &Put) -> u8 {
    let field = |at: usize| channel.get(at..at + 4).and_then(|b| b.as_chunks().0.first().copied());
    let field = |at| i32::from_le_bytes(field(at).unwrap_or_default());
    let acc = acc.wrapping_add(field(0)).wrapping_shl(u32::from(put.shift));
    let v = (i64::from(acc) * i64::from(field(4)) + (1 << 31)) >> 32;
    (v as i32 + i32::from(put.zero_point)).clamp(-128, 127) as i8 as u8
}
