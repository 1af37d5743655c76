//! The order of weights in the blob.

use carafe::TensorInfo;
use carafe::blob::Cpu;
use carafe::ops::{FOURS, PAIRS, PLAIN, QUADS};

/// Packs the weights of channels (`per_channel` of each, in the order of the device's taps) that are multiplied with
/// elements of `x`, for a CPU: in fours (of a layer for one pixel alone, in pairs), where that has use for them and the sums
/// allow it, else plain. Gives bytes and packing. `biases` have the operand's zero point folded in, and become those of the
/// packing.
pub(super) fn pack(
    weights: &[i8],
    (per_channel, alone): (usize, bool),
    x: &TensorInfo,
    biases: &mut [i32],
    cpu: Cpu,
) -> (Vec<u8>, u8) {
    if cpu == Cpu::Armv6m
        && let Some(bytes) = quads(weights, per_channel, x, biases)
    {
        return (bytes, QUADS);
    }
    let group = if alone || cpu == Cpu::Armv6m { 2 } else { 4 };
    let shared = match cpu {
        Cpu::Helium => None,
        _ => share(weights, per_channel, group, x),
    };
    match shared {
        Some(bytes) => (bytes, if group == 4 { FOURS } else { PAIRS }),
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

/// Weights of which halfwords serve two channels: in groups of `group` channels, four or two, and of what is left two, and one.
/// `None` if the device could not tell the sums of a group apart: but for the first channel of a pair, each has to fit 24 bits,
/// in whatever order products are added, and what is made of the weights of two neighbours 16.
fn share(weights: &[i8], per_channel: usize, group: usize, x: &TensorInfo) -> Option<Vec<u8>> {
    let greatest = if x.unsigned() { 255 } else { 128 };
    let padded = per_channel.next_multiple_of(4);
    let mut bytes = Vec::with_capacity(weights.len());
    let mut channels: Vec<&[i8]> = weights.chunks_exact(per_channel.max(1)).collect();
    while !channels.is_empty() {
        let many = if channels.len() < group { channels.len().min(2) } else { group };
        let those: Vec<&[i8]> = channels.drain(..many).collect();
        if let [last] = those[..] {
            bytes.extend(last.iter().map(|&w| w as u8));
            bytes.resize(bytes.len() + padded - per_channel, 0);
            break;
        }
        let magnitude = |w: &[i8]| w.iter().map(|&w| i64::from(w).abs()).sum::<i64>();
        if those[if many == 2 { 1 } else { 0 }..].iter().any(|w| magnitude(w) * greatest >= 1 << 23) {
            return None;
        }
        let both = |channel: usize, i: usize| {
            let of = |channel: &[i8]| channel.get(i).copied().map_or(0i32, i32::from);
            i16::try_from(256 * of(those[channel + 1]) + of(those[channel])).ok()
        };
        if !(0..many - 1).all(|channel| (0..per_channel).all(|i| both(channel, i).is_some())) {
            return None;
        }
        // The second halfword of four is made of the others, for which the low byte of the first is never below zero.
        for word in (0..padded).step_by(2) {
            for channel in (0..many).step_by(2) {
                let more = if many == 4 && channel == 0 { 128 } else { 0 };
                for i in [word, word + 1] {
                    bytes.extend_from_slice(&(both(channel, carafe::ops::place(i))? + more).to_le_bytes());
                }
            }
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
        let (bytes, packing) = pack(&[1, -2, 3, -4, 5, -6, 7, 8, -9], (3, true), &x, &mut [0; 3], Cpu::Portable);
        assert_eq!(packing, PAIRS);
        assert_eq!(bytes.len(), 3 * 4);
        let half = |i: usize| i16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]);
        assert_eq!([half(0), half(1), half(2), half(3)], [-4 * 256 + 1, -6 * 256 + 3, 5 * 256 - 2, 0]);
        // The last channel is alone.
        assert_eq!(bytes[8..], [7, 8, -9i8 as u8, 0]);
    }

    #[test]
    fn four_channels_share_three_halfwords() {
        let x = TensorInfo::unplaced(1, 1, 3, 0);
        let weights = [1, -2, 3, -4, 5, -6, 7, 8, -9, -10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21];
        let (bytes, packing) = pack(&weights, (3, false), &x, &mut [0; 7], Cpu::Portable);
        assert_eq!((packing, bytes.len()), (FOURS, 7 * 4));
        let half = |i: usize| i16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]);
        // Inputs 0 and 2 of a and b, then of c and d; then inputs 1 and 3.
        assert_eq!([half(0), half(1)], [-4 * 256 + 1 + 128, -6 * 256 + 3 + 128]);
        assert_eq!([half(2), half(3)], [-10 * 256 + 7, 12 * 256 - 9]);
        assert_eq!([half(4), half(5)], [5 * 256 - 2 + 128, 128]);
        assert_eq!([half(6), half(7)], [11 * 256 + 8, 0]);
        // Two channels are a pair, the last one is alone.
        assert_eq!([half(8), half(9), half(10), half(11)], [16 * 256 + 13, 18 * 256 + 15, 17 * 256 + 14, 0]);
        assert_eq!(bytes[24..], [19, 20, 21, 0]);
    }

    #[test]
    fn sums_that_cannot_be_told_apart_stay_plain() {
        let x = TensorInfo::unplaced(1, 1, 600, 0);
        let of = |weights: &[i8], of, channels: usize| pack(weights, of, &x, &mut vec![0; channels], Cpu::Portable).1;
        assert_eq!(of(&[127; 1200], (600, true), 2), PLAIN);
        assert_eq!(of(&[100; 1200], (600, true), 2), PAIRS);
        assert_eq!(of(&[100; 2400], (600, false), 4), FOURS);
        // Of four, the first has to fit, too.
        let first: Vec<i8> = (0..2400).map(|i| if i < 600 { 127 } else { 1 }).collect();
        assert_eq!(of(&first, (600, false), 4), PLAIN);
        assert_eq!(of(&first[..1200], (600, false), 2), FOURS);
        // -128 with a negative neighbour has no room in 16 bits.
        assert_eq!(of(&[-1, -128], (1, true), 2), PLAIN);
        assert_eq!(of(&[1, -128], (1, true), 2), PAIRS);
        assert_eq!(of(&[1, -1, -128, 1], (1, false), 4), PLAIN);
        assert_eq!(of(&[-128, 1, -128, 1], (1, false), 4), FOURS);
    }

    #[test]
    fn two_channels_and_two_inputs_share_a_word() {
        let x = TensorInfo { dtype: DType::U8, ..TensorInfo::unplaced(1, 1, 3, 0) };
        let mut biases = [1, 2, 3];
        let weights = [1, -2, 3, -4, 5, -6, 7, 8, -9];
        let (bytes, packing) = pack(&weights, (3, false), &x, &mut biases, Cpu::Armv6m);
        assert_eq!(packing, QUADS);
        assert_eq!(bytes[..8], [129, 126, 124, 133, 131, 128, 122, 128]);
        assert_eq!(bytes[8..], [7, 8, -9i8 as u8, 0]);
        // The device takes 128 of every element, but for those of the last channel, which is alone.
        assert_eq!(biases, [1 + 128 * 2, 2 - 128 * 5, 3]);
        assert_eq!(pack(&[1, -128], (1, false), &x, &mut [0; 2], Cpu::Armv6m).1, PAIRS);
    }
}
