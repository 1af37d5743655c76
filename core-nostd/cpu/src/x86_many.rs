//! Products for many pixels: it pays to turn the weights round first, so that each lane is a channel and no sums have to
//! be gathered at the end.

use super::*;

/// From so many pixels on it pays.
pub const MANY: usize = 12;

/// Channels of a vector.
const CHANNELS: usize = 2 * PAIRS;

/// Pixels at once: with two vectors of channels, their sums fill the registers.
const AT_ONCE: usize = 6;

std::thread_local! {
    /// Weights: for every eight channels, for every two inputs, a word of each channel.
    static TURNED: RefCell<Vec<Lanes>> = const { RefCell::new(Vec::new()) };
    /// Columns of [`AT_ONCE`] pixels, each vector of one beside those of the others.
    static COLUMNS: RefCell<Vec<[Lanes; AT_ONCE]>> = const { RefCell::new(Vec::new()) };
}

/// [`super::tiles`] for many pixels: of all tiles of two.
#[target_feature(enable = "avx2")]
pub fn tiles(lines: &[&[u8]], alike: &Alike, (weights, channels): (&[u8], &[u8]), put: &Put, out: &mut [u8]) {
    let inputs = (alike.run * lines.len()).next_multiple_of(4);
    let channels = channels.get(..channels.len() / 16 * 16).unwrap_or(channels);
    TURNED.with_borrow_mut(|turned| {
        turned.clear();
        let (pairs, mut of) = (channels.len() / 16, fours(weights, inputs, channels));
        for first in (0..pairs).step_by(PAIRS) {
            turn(core::array::from_fn(|pair| of(first + pair).filter(|_| first + pair < pairs)), inputs, turned);
        }
    });
    let (vectors, whole) = (inputs.div_ceil(16), alike.tiles * PIXELS / AT_ONCE);
    let pixel = |pixel: usize| Place { pixel, at: put.at[0] + pixel * alike.out_step, step: alike.out_step, put };
    TURNED.with_borrow(|turned| {
        COLUMNS.with_borrow_mut(|columns| {
            columns.resize(vectors, [_mm256_setzero_si256(); AT_ONCE]);
            for block in 0..whole {
                make(columns, (lines, alike), (turned, inputs / 2), channels, pixel(block * AT_ONCE), out);
            }
        });
        TILE.with_borrow_mut(|columns| {
            columns.resize(vectors, [_mm256_setzero_si256(); PIXELS]);
            for tile in whole * AT_ONCE / PIXELS..alike.tiles {
                make(columns, (lines, alike), (turned, inputs / 2), channels, pixel(tile * PIXELS), out);
            }
        });
    });
}

/// Where results go.
struct Place<'p> {
    /// The first pixel.
    pixel: usize,
    /// Byte of the first.
    at: usize,
    /// Bytes from pixel to pixel.
    step: usize,
    put: &'p Put,
}

/// Turns the weights of [`PAIRS`] pairs round, or of fewer: for every two inputs a word of each channel.
#[target_feature(enable = "avx2")]
fn turn(pairs: [Option<Pair<'_>>; PAIRS], inputs: usize, turned: &mut Vec<Lanes>) {
    for index in 0..inputs.div_ceil(16) {
        let mut rows = [_mm256_setzero_si256(); CHANNELS];
        for (rows, pair) in rows.as_chunks_mut::<2>().0.iter_mut().zip(&pairs) {
            let Some(pair) = pair else { continue };
            let w = sixteen_of(pair, index);
            let a = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w));
            // (256·b + a) >> 8 is b, or one less if a is negative.
            let b = _mm256_sub_epi16(_mm256_srai_epi16::<8>(w), _mm256_srai_epi16::<15>(a));
            *rows = [a, b];
        }
        turned.extend_from_slice(&transposed(rows));
    }
}

/// Eight by eight words, rows for columns.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(r: [Lanes; 8]) -> [Lanes; 8] {
    let twos = |a, b| [_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)];
    let fours = |a, b| [_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)];
    let ([a0, a1], [b0, b1]) = (twos(r[0], r[1]), twos(r[2], r[3]));
    let ([c0, c1], [d0, d1]) = (twos(r[4], r[5]), twos(r[6], r[7]));
    let ([a0, a1], [a2, a3]) = (fours(a0, b0), fours(a1, b1));
    let ([c0, c1], [c2, c3]) = (fours(c0, d0), fours(c1, d1));
    let low = |a, c| _mm256_permute2x128_si256::<0x20>(a, c);
    let high = |a, c| _mm256_permute2x128_si256::<0x31>(a, c);
    [low(a0, c0), low(a1, c1), low(a2, c2), low(a3, c3), high(a0, c0), high(a1, c1), high(a2, c2), high(a3, c3)]
}

/// All channels of `P` pixels, which have so many words.
#[target_feature(enable = "avx2")]
fn make<const P: usize>(
    columns: &mut [[Lanes; P]],
    (lines, alike): (&[&[u8]], &Alike),
    (turned, words): (&[Lanes], usize),
    channels: &[u8],
    place: Place<'_>,
    out: &mut [u8],
) {
    WINDOW.with_borrow_mut(|window| {
        for slot in 0..P {
            fill(columns, slot, lines, ((place.pixel + slot) * alike.distance, alike), window);
        }
    });
    let vnni = std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512vnni");
    let mut turned = turned.as_chunks().0.chunks_exact(columns.len());
    for (two, channels) in channels.chunks(2 * 16 * PAIRS).enumerate() {
        let first = 2 * two * CHANNELS;
        match (turned.next(), turned.next()) {
            (Some(a), Some(b)) if vnni => {
                // SAFETY: this machine has it.
                let acc = unsafe { product_of_512_bits(columns, [a, b], words) };
                finish(acc, channels, (&place, first), out);
            }
            (Some(a), Some(b)) => finish(product(columns, [a, b], words), channels, (&place, first), out),
            (Some(a), None) => finish(product(columns, [a], words), channels, (&place, first), out),
            _ => {}
        }
    }
}

/// Sums of `P` pixels and `G` times eight channels.
#[inline]
#[target_feature(enable = "avx2")]
fn product<const P: usize, const G: usize>(
    columns: &[[Lanes; P]],
    turned: [&[[Lanes; 8]]; G],
    words: usize,
) -> [[Lanes; G]; P] {
    let mut acc = [[_mm256_setzero_si256(); G]; P];
    let turned = turned.map(|turned| &turned[..columns.len()]);
    for (at, x) in columns.iter().enumerate() {
        // SAFETY: a vector is eight words.
        let x = unsafe { &*core::ptr::from_ref(x).cast::<[[i32; 8]; P]>() };
        for k in 0..(words - 8 * at).min(8) {
            let mut w = [_mm256_setzero_si256(); G];
            for (w, turned) in w.iter_mut().zip(turned) {
                *w = turned[at][k];
            }
            for (acc, x) in acc.iter_mut().zip(x) {
                let x = _mm256_set1_epi32(x[k]);
                for (acc, &w) in acc.iter_mut().zip(&w) {
                    *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(x, w));
                }
            }
        }
    }
    acc
}

/// As [`product`], of sixteen channels as one vector.
#[target_feature(enable = "avx512f,avx512vnni")]
fn product_of_512_bits<const P: usize>(
    columns: &[[Lanes; P]],
    turned: [&[[Lanes; 8]]; 2],
    words: usize,
) -> [[Lanes; 2]; P] {
    let mut acc = [_mm512_setzero_si512(); P];
    let turned = turned.map(|turned| &turned[..columns.len()]);
    for (at, x) in columns.iter().enumerate() {
        // SAFETY: a vector is eight words.
        let x = unsafe { &*core::ptr::from_ref(x).cast::<[[i32; 8]; P]>() };
        for k in 0..(words - 8 * at).min(8) {
            let [a, b] = [turned[0][at][k], turned[1][at][k]];
            let w = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b);
            for (acc, x) in acc.iter_mut().zip(x) {
                *acc = _mm512_dpwssd_epi32(*acc, _mm512_set1_epi32(x[k]), w);
            }
        }
    }
    let mut halves = [[_mm256_setzero_si256(); 2]; P];
    for (halves, acc) in halves.iter_mut().zip(acc) {
        *halves = [_mm512_castsi512_si256(acc), _mm512_extracti64x4_epi64::<1>(acc)];
    }
    halves
}

/// Puts results where they go.
#[inline]
#[target_feature(enable = "avx2")]
fn finish<const P: usize, const G: usize>(
    acc: [[Lanes; G]; P],
    channels: &[u8],
    (place, first): (&Place<'_>, usize),
    out: &mut [u8],
) {
    for (g, channels) in channels.chunks(16 * PAIRS).enumerate() {
        let (made, parameters) = (channels.len() / 16 * 2, Channels::of(channels));
        for (p, acc) in acc.iter().enumerate() {
            // Of the second channel of a pair, 24 bits are known where they are made of sums of both.
            let cut = _mm256_srai_epi32::<8>(_mm256_slli_epi32::<8>(acc[g]));
            let acc = _mm256_add_epi32(_mm256_blend_epi32::<0b1010_1010>(acc[g], cut), parameters.bias);
            let bytes = parameters.finish(acc, place.put.zero_point, place.put.shift);
            let to = place.at + p * place.step + first + g * CHANNELS;
            if let Some(out) = out.get_mut(to..to + made) {
                store(out, bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any vectors, the same ones of the same seed.
    fn lanes(seed: u64) -> impl FnMut() -> Lanes {
        let mut state = seed | 1;
        let mut word = move || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            (state >> 32) as u32
        };
        move || {
            let words: [u32; 8] = core::array::from_fn(|_| word());
            // SAFETY: a vector is eight words.
            unsafe { core::mem::transmute(words) }
        }
    }

    fn bits<const P: usize>(acc: [[Lanes; 2]; P]) -> Vec<[u32; 8]> {
        // SAFETY: a vector is eight words.
        acc.into_iter().flatten().map(|acc| unsafe { core::mem::transmute(acc) }).collect()
    }

    proptest! {
        #[test]
        fn both_widths_are_equal(seed: u64, words in 1usize..60) {
            let wide = std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512vnni");
            if !wide || !std::is_x86_feature_detected!("avx2") {
                std::println!("skipped: both widths: this machine lacks one");
                return Ok(());
            }
            let (mut lanes, vectors) = (lanes(seed), words.div_ceil(8));
            let columns: Vec<[Lanes; AT_ONCE]> = (0..vectors).map(|_| core::array::from_fn(|_| lanes())).collect();
            let [a, b]: [Vec<[Lanes; 8]>; 2] =
                core::array::from_fn(|_| (0..vectors).map(|_| core::array::from_fn(|_| lanes())).collect());
            // SAFETY: this machine has both.
            let [one, other] = unsafe {
                [product(&columns, [&a, &b], words), product_of_512_bits(&columns, [&a, &b], words)]
            };
            prop_assert_eq!(bits(one), bits(other));
        }
    }
}
