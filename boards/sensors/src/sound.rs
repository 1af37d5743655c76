//! What a model hears: logarithms of the energy at some frequencies.
//!
//! In integers, so that training and device agree to the last bit: `examples/sensors/train.py` has the same steps.

/// Samples of a window, 32 ms at 8 kHz.
pub const SAMPLES: usize = 256;
/// Frequencies that are looked at, from 125 to 3,625 Hz.
pub const BANDS: usize = 16;

/// 2 cos(2πk/256), by 2^14, of the bins k.
const FACTORS: [i64; BANDS] = [
    32_610, 32_413, 32_138, 31_786, 31_114, 30_274, 28_899, 26_791, 23_732, 19_520, 14_010, 6_393, -3_212, -14_010,
    -24_279, -31_357,
];

/// Of a window of samples of 12 bits: Goertzel's recursion for each frequency.
pub fn energies(samples: &[i16; SAMPLES]) -> [f32; BANDS] {
    // A microphone's middle drifts.
    let sum: i64 = samples.iter().map(|sample| i64::from(*sample)).sum();
    let middle = sum >> 8;
    FACTORS.map(|factor| {
        let (mut before, mut last) = (0i64, 0i64);
        for sample in samples {
            let next = i64::from(*sample) - middle + ((factor * last) >> 14) - before;
            (before, last) = (last, next);
        }
        logarithm((last * last + before * before - ((factor * last) >> 14) * before).max(1).cast_unsigned())
    })
}

/// To the base of 2, its fraction as a straight line.
fn logarithm(power: u64) -> f32 {
    let whole = power.max(1).ilog2();
    // 47 bits at the most, so there is room for seven more.
    let fraction = ((power << 7) >> whole) & 127;
    whole as f32 + fraction as f32 / 128.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(bin: f64, size: f64) -> [i16; SAMPLES] {
        core::array::from_fn(|i| (size * (core::f64::consts::TAU * bin * i as f64 / 256.0).sin()).round() as i16)
    }

    fn loudest(energies: [f32; BANDS]) -> usize {
        (0..BANDS).max_by(|a, b| energies[*a].total_cmp(&energies[*b])).unwrap()
    }

    #[test]
    fn a_tone_is_loudest_at_its_frequency() {
        for (band, bin) in [4, 6, 8, 10, 13, 16, 20, 25, 31, 38, 46, 56, 68, 82, 98, 116].into_iter().enumerate() {
            assert_eq!(loudest(energies(&wave(f64::from(bin), 900.0))), band);
        }
    }

    #[test]
    fn the_extremes_fit() {
        let samples = core::array::from_fn(|i| if i % 2 == 0 { 2047 } else { -2048 });
        assert!(energies(&samples).into_iter().all(|e| e < 50.0));
        assert_eq!(energies(&[0; SAMPLES]), [0.0; BANDS]);
        // Silence with an offset is silence.
        assert_eq!(energies(&[700; SAMPLES]), [0.0; BANDS]);
        assert!(energies(&wave(4.0, 2047.0)).into_iter().all(|e| e < 50.0));
    }

    #[test]
    fn training_sees_the_same() {
        let samples = core::array::from_fn(|i| ((i * i * 7) % 2001) as i16 - 1000);
        // As `train.py` prints them.
        let wanted: [u16; BANDS] =
            [3339, 3249, 3343, 3364, 3339, 3166, 2990, 3058, 2990, 3178, 3157, 3515, 3335, 3341, 3187, 2836];
        assert_eq!(energies(&samples), wanted.map(|e| f32::from(e) / 128.0));
    }
}
