//! One pixel at a time: weights are read once, so it is they that are widened on the way.

#[cfg(not(carafe_dsp))]
use crate::pairs::dot_pairs;
use crate::put::Put;
#[cfg(not(carafe_dsp))]
use crate::tile::finish;

/// As [`crate::tile`], of one pixel of int8 at `x`, with an even number of inputs, and of weights all in pairs
/// ([`Pair::alone`](crate::Pair::alone)); `put.at` is not used.
pub fn dense(x: &[u8], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> Option<()> {
    let block = 2 * x.len();
    let pairs = channels.len() / 16;
    if block == 0 || out.len() < 2 * pairs || weights.len() < block.checked_mul(pairs)? {
        return None;
    }
    #[cfg(carafe_dsp)]
    return crate::arm::dense(x, weights, channels, put, out);
    #[cfg(carafe_simd)]
    if crate::host::dense(x, weights, channels, put, out) {
        return Some(());
    }
    #[cfg(not(carafe_dsp))]
    {
        dense_portably(x, weights, channels, put, out);
        Some(())
    }
}

/// [`dense`], whose arguments are checked.
#[cfg(not(carafe_dsp))]
pub(crate) fn dense_portably(x: &[u8], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) {
    let block = 2 * x.len();
    for ((weights, channels), out) in
        weights.chunks_exact(block).zip(channels.as_chunks::<16>().0).zip(out.as_chunks_mut::<2>().0)
    {
        let [a, b] = dot_pairs(x, weights, 0);
        let (first, second) = channels.split_at(8);
        *out = [finish(a, first, put), finish(b, second, put)];
    }
}
