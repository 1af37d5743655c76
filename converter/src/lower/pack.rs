//! The order of weights in the blob.

use carafe::TensorInfo;
use carafe::blob::Cpu;
use carafe::ops::{PAIRS, PLAIN, QUADS};

/// Packs the weights of channels (`per_channel` of each, in the order of the device's taps) that are multiplied with
/// elements of `x`, for a CPU: in pairs, where that has use for them and the sums allow it, else plain. Gives bytes and
/// packing. `biases` have the operand's zero point folded in, and become those of the packing.
pub(super) fn pack(weights: &[i8], per_channel: usize, x: &TensorInfo, biases: &mut [i32], cpu: Cpu) -> (Vec<u8>, u8) {
    if cpu == Cpu::Armv6m
        && let Some(bytes) = quads(weights, per_channel, x, biases)
    {
        return (bytes, QUADS);
    }
    let in_pairs = match cpu {
        Cpu::Helium => None,
        _ => pairs(weights, per_channel, x),
    };
    match in_pairs {
        Some(bytes) => (bytes, PAIRS),
        None => (weights.iter().map(|&w| w as u8).collect(), PLAIN),
    }
}

/// Depthwise weights (of channel and tap) of so many channels, kernel rows and columns as [`carafe::ops::WORDS`], if the CPU
/// has use for them.
pub(super) fn words(
    weight: impl Fn(usize, usize) -> u8,
    (channels, kh, kw): (usize, usize, usize),
    x: &TensorInfo,
    cpu: Cpu,
) -> Option<Vec<u8>> {
    const LANES: usize = 16;
    let groups = kh.div_ceil(4);
    if cpu != Cpu::Helium || x.unsigned() || channels % 4 != 0 || groups * kw > 4 {
        return None;
    }
    let mut bytes = Vec::with_capacity(channels.next_multiple_of(LANES) * groups * kw * 4);
    for block in (0..channels).step_by(LANES) {
        for (group, kx) in (0..groups).flat_map(|group| (0..kw).map(move |kx| (group, kx))) {
            for (o, ky) in (block..block + LANES).flat_map(|o| (4 * group..4 * group + 4).map(move |ky| (o, ky))) {
                bytes.push(if o < channels && ky < kh { weight(o, ky * kw + kx) } else { 0 });
            }
        }
    }
    Some(bytes)
}

/// `None` if the device could not tell the sums of a pair apart: that of the second channel has to fit 24 bits, in
/// whatever order products are added, and a pair 16.
fn pairs(weights: &[i8], per_channel: usize, x: &TensorInfo) -> Option<Vec<u8>> {
    let greatest = if x.unsigned() { 255 } else { 128 };
    let padded = per_channel.next_multiple_of(4);
    let mut bytes = Vec::with_capacity(weights.len());
    let mut channels = weights.chunks_exact(per_channel.max(1));
    while let Some(first) = channels.next() {
        let Some(second) = channels.next() else {
            bytes.extend(first.iter().map(|&w| w as u8));
            bytes.resize(bytes.len() + padded - per_channel, 0);
            break;
        };
        let magnitude: i64 = second.iter().map(|&w| i64::from(w).abs()).sum();
        if magnitude * greatest >= 1 << 23 {
            return None;
        }
        for i in 0..padded {
            let of = |channel: &[i8]| channel.get(carafe::ops::place(i)).copied().map_or(0i32, i32::from);
            bytes.extend_from_slice(&i16::try_from(256 * of(second) + of(first)).ok()?.to_le_bytes());
        }
    }
    Some(bytes)
}

/// `None` if a weight is −128, or a bias leaves 32 bits.
fn quads(weights: &[i8], per_channel: usize, x: &TensorInfo, biases: &mut [i32]) -> Option<Vec<u8>> {
    if per_channel == 0 || weights.contains(&i8::MIN) {
        return None;
    }
    let padded = per_channel.next_multiple_of(4);
    let even = (weights.len() / per_channel) & !1;
    let (paired, odd) = weights.split_at(even * per_channel);
    if x.unsigned() {
        // The device takes 128 of each element.
        let more = paired.chunks(per_channel).map(|w| 128 * w.iter().map(|&w| i64::from(w)).sum::<i64>());
        let more = biases.iter().zip(more).map(|(&b, more)| i32::try_from(i64::from(b) + more).ok());
        let changed = more.collect::<Option<Vec<i32>>>()?;
        biases.iter_mut().zip(changed).for_each(|(b, changed)| *b = changed);
    }
    let mut bytes = Vec::with_capacity(weights.len());
    for pair in paired.chunks(2 * per_channel) {
        let (a, b) = pair.split_at(per_channel);
        let of = |channel: &[i8], i: usize| channel.get(i).copied().unwrap_or(0) as u8 ^ 0x80;
        for i in (0..padded).step_by(2) {
            bytes.extend([of(a, i), of(a, i + 1), of(b, i), of(b, i + 1)]);
        }
    }
    bytes.extend(odd.iter().map(|&w| w as u8));
    if !odd.is_empty() {
        bytes.resize(bytes.len() + padded - per_channel, 0);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use carafe::DType;

    use super::*;

    #[test]
    fn two_channels_share_a_halfword() {
        let x = TensorInfo::unplaced(1, 1, 3, 0);
        let (bytes, packing) = pack(&[1, -2, 3, -4, 5, -6, 7, 8, -9], 3, &x, &mut [0; 3], Cpu::Portable);
        assert_eq!(packing, PAIRS);
        assert_eq!(bytes.len(), 3 * 4);
        let half = |i: usize| i16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]);
        assert_eq!([half(0), half(1), half(2), half(3)], [-4 * 256 + 1, -6 * 256 + 3, 5 * 256 - 2, 0]);
        // The last channel is alone.
        assert_eq!(bytes[8..], [7, 8, -9i8 as u8, 0]);
    }

    #[test]
    fn sums_that_cannot_be_told_apart_stay_plain() {
        let x = TensorInfo::unplaced(1, 1, 600, 0);
        assert_eq!(pack(&[127; 1200], 600, &x, &mut [0; 2], Cpu::Portable).1, PLAIN);
        assert_eq!(pack(&[100; 1200], 600, &x, &mut [0; 2], Cpu::Portable).1, PAIRS);
        // -128 with a negative neighbour has no room in 16 bits.
        assert_eq!(pack(&[-1, -128], 1, &x, &mut [0; 2], Cpu::Portable).1, PLAIN);
        assert_eq!(pack(&[1, -128], 1, &x, &mut [0; 2], Cpu::Portable).1, PAIRS);
    }

    #[test]
    fn two_channels_and_two_inputs_share_a_word() {
        let x = TensorInfo { dtype: DType::U8, ..TensorInfo::unplaced(1, 1, 3, 0) };
        let mut biases = [1, 2, 3];
        let weights = [1, -2, 3, -4, 5, -6, 7, 8, -9];
        let (bytes, packing) = pack(&weights, 3, &x, &mut biases, Cpu::Armv6m);
        assert_eq!(packing, QUADS);
        assert_eq!(bytes[..8], [129, 126, 124, 133, 131, 128, 122, 128]);
        assert_eq!(bytes[8..], [7, 8, -9i8 as u8, 0]);
        // The device takes 128 of every element, but for those of the last channel, which is alone.
        assert_eq!(biases, [1 + 128 * 2, 2 - 128 * 5, 3]);
        assert_eq!(pack(&[1, -128], 1, &x, &mut [0; 2], Cpu::Armv6m).1, PAIRS);
    }
}
