//! The loops for x86-64 with AVX2: sixteen products of int16 at once.
//!
//! Sums wrap, so in which order they are summed up makes no difference to the bits.
#![allow(unsafe_code)]

use core::arch::x86_64::*;
use std::cell::RefCell;
use std::vec::Vec;

use crate::pairs::Pair;
use crate::put::{PIXELS, Put, Run};
use crate::slide::Slide;
use crate::tiles::Alike;

#[path = "x86_many.rs"]
mod many;

/// Sixteen int16, or eight words.
type Lanes = __m256i;

/// Pairs of channels that become bytes at once.
const PAIRS: usize = 4;

std::thread_local! {
    /// Columns of a tile, each vector of one beside those of the others.
    static TILE: RefCell<Vec<[Lanes; PIXELS]>> = const { RefCell::new(Vec::new()) };
    /// The bytes of a window.
    static WINDOW: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The columns of a line, three lines high.
    static LINE: RefCell<Vec<[Lanes; 2]>> = const { RefCell::new(Vec::new()) };
    /// The column of a dense layer.
    static COLUMN: RefCell<Vec<[Lanes; 1]>> = const { RefCell::new(Vec::new()) };
}

/// Calls a function that needs AVX2, if this machine has it; false if not.
macro_rules! with_avx2 {
    ($call:expr) => {
        std::is_x86_feature_detected!("avx2") && {
            // SAFETY: it has.
            unsafe { $call };
            true
        }
    };
}

/// [`crate::tile`], whose arguments are checked. False if it is not for this machine.
pub fn tile(x: &[u32], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> bool {
    with_avx2!(TILE.with_borrow_mut(|columns| {
        split(x, columns);
        let fours = fours(weights, x.len() / PIXELS * 2, channels);
        product(columns, fours, channels, put, put.at, out);
    }))
}

/// [`crate::tiles`], whose arguments are checked. False if it is not for this machine.
pub fn tiles(lines: &[&[u8]], alike: &Alike, (weights, channels): (&[u8], &[u8]), put: &Put, out: &mut [u8]) -> bool {
    let many = alike.below.is_none() && PIXELS * alike.tiles >= many::MANY;
    if many && !with_avx2!(many::tiles(lines, alike, (weights, channels), put, out)) {
        return false;
    }
    let rest = if many { alike.tiles } else { 0 }..alike.tiles + usize::from(alike.odd);
    if many && rest.is_empty() {
        return true;
    }
    let inputs = (alike.run * lines.len()).next_multiple_of(4);
    with_avx2!(TILE.with_borrow_mut(|columns| WINDOW.with_borrow_mut(|window| {
        for tile in rest {
            columns.resize(inputs.div_ceil(16), [_mm256_setzero_si256(); PIXELS]);
            let [windows, outs] = alike.tile(tile);
            for (slot, from) in windows.into_iter().enumerate() {
                fill(columns, slot, lines, (from, alike), window);
            }
            let at = outs.map(|out| put.at[0] + out);
            product(columns, fours(weights, inputs, channels), channels, put, at, out);
        }
    })))
}

/// [`crate::dense`], whose arguments are checked. False if it is not for this machine.
pub fn dense(x: &[u8], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> bool {
    x.len().is_multiple_of(4)
        && with_avx2!(COLUMN.with_borrow_mut(|column| {
            column.clear();
            column.extend(sixteens(x).map(|x| [widened(order(load_half(&x)), false)]));
            let mut weights = weights.chunks_exact(2 * x.len());
            product(column, |_| weights.next().map(Pair::alone), channels, put, [0], out);
        }))
}

/// [`crate::widen`]. False if it is not for this machine.
pub fn widen(to: &mut [u32], x: &[u8], unsigned: bool) -> bool {
    with_avx2!(scatter(to, x, unsigned))
}

/// The sums of [`crate::dot`].
pub fn dot(x: &[u8], w: [&[u8]; 2]) -> Option<[i32; 2]> {
    let mut sums = [0; 2];
    with_avx2!(sums = w.map(|w| dot_plain(x, w, false))).then_some(sums)
}

/// The sum of [`crate::dot_u8`].
pub fn dot_u8(x: &[u8], w: &[u8]) -> Option<i32> {
    let mut sum = 0;
    with_avx2!(sum = dot_plain(x, w, true)).then_some(sum)
}

/// The sums of [`crate::dot_pairs`] and [`crate::dot_pairs_u8`], of whole and low halves.
pub fn dot_pairs(x: &[u8], w: &[u8], unsigned: bool) -> Option<[i32; 2]> {
    let mut sums = [0; 2];
    with_avx2!(sums = dot_paired(x, w, unsigned)).then_some(sums)
}

/// [`crate::slide`], whose arguments are checked. False if it is not for this machine.
pub fn slide(lines: &[&[u8]], s: &Slide, (weights, channels): (&[u8], &[u8]), out: &mut [u8]) -> bool {
    with_avx2!(LINE.with_borrow_mut(|columns| plane(lines, s, (weights, channels), columns, out)))
}

/// The weights of four channels in the order of [`crate::Stream`]. False if it is not for this machine.
pub fn prepare(to: &mut [u32], weights: &[u8], stride: usize, taps: usize) -> bool {
    with_avx2!(interleave(to, weights, stride, taps))
}

/// [`crate::Stream::run`], whose arguments are checked: `words` of `channels` channels in groups of `group` words, as many
/// taps as those have weights for. False if it is not for this machine.
pub fn depthwise((words, channels, group): (&[u32], usize, usize), taps: &[&[u8]], run: &Run, out: &mut [u8]) -> bool {
    with_avx2!(stream((words, channels, group), taps, run, out))
}

/// Runs a plain loop with the vectors of AVX2, if this machine has them: compilers find the way from there.
#[inline(always)]
pub fn wide(f: impl FnOnce()) {
    #[target_feature(enable = "avx2")]
    fn avx2(f: impl FnOnce()) {
        f();
    }
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: this machine has it.
        unsafe { avx2(f) };
    } else {
        f();
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> Lanes {
    // SAFETY: 32 bytes are there.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes are there.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Up to 32 bytes, a multiple of 4, zeros behind them.
#[inline]
#[target_feature(enable = "avx2")]
fn load_some(bytes: &[u8]) -> Lanes {
    let words = bytes.len() as i32 / 4;
    let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(words), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    // SAFETY: words that the mask leaves out are not read.
    unsafe { _mm256_maskload_epi32(bytes.as_ptr().cast(), mask) }
}

/// Pairs of weights in fours, by their index.
fn fours<'w>(weights: &'w [u8], inputs: usize, channels: &[u8]) -> impl FnMut(usize) -> Option<Pair<'w>> + use<'w> {
    let pairs = channels.len() / 16;
    move |pair| Pair::of_fours(weights, inputs, pairs, pair)
}

/// 256·b + a of sixteen inputs, from 16·`index` on; anything behind the last.
#[inline]
#[target_feature(enable = "avx2")]
fn sixteen_of(pair: &Pair<'_>, index: usize) -> Lanes {
    let part = |at: usize| pair.bytes.get(at..).unwrap_or_default();
    let load = |bytes: &[u8]| match bytes.first_chunk() {
        Some(bytes) => load(bytes),
        None => load_some(bytes),
    };
    if pair.step() == 4 {
        return load(part(32 * index));
    }
    let [a, b] = [load(part(64 * index)), load(part(64 * index + 32))];
    // Words 0 2 of either 0 2, 4 6 of either 4 6.
    let even = _mm256_shuffle_ps::<0b10_00_10_00>(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
    let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_castps_si256(even));
    _mm256_sub_epi16(words, _mm256_set1_epi16(i16::from(pair.more)))
}

/// Words of two pixels in turn, pixel by pixel, with zeros behind the last.
#[target_feature(enable = "avx2")]
fn split(x: &[u32], columns: &mut Vec<[Lanes; PIXELS]>) {
    let (whole, rest) = x.as_chunks::<16>();
    columns.clear();
    for x in whole {
        columns.push(split_16(x));
    }
    if !rest.is_empty() {
        let mut last = [0; 16];
        last.iter_mut().zip(rest).for_each(|(to, x)| *to = *x);
        columns.push(split_16(&last));
    }
}

/// As [`split`], of eight words of each.
#[inline]
#[target_feature(enable = "avx2")]
fn split_16(x: &[u32; 16]) -> [Lanes; PIXELS] {
    let at = x.as_ptr();
    // SAFETY: 16 words are there.
    let (a, b) = unsafe { (_mm256_loadu_ps(at.cast()), _mm256_loadu_ps(at.add(8).cast())) };
    [_mm256_shuffle_ps::<0b10_00_10_00>(a, b), _mm256_shuffle_ps::<0b11_01_11_01>(a, b)]
        .map(|words| _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_castps_si256(words)))
}

/// The order of [`crate::place`] for sixteen bytes.
const ORDER: [u8; 16] = {
    let mut order = [0; 16];
    let mut i = 0;
    while i < 16 {
        order[i] = crate::place(i) as u8;
        i += 1;
    }
    order
};

/// Inputs in the order of their weights.
#[inline]
#[target_feature(enable = "avx2")]
fn order(x: __m128i) -> __m128i {
    _mm_shuffle_epi8(x, load_half(&ORDER))
}

/// Sixteen inputs at a time, with zeros behind the last.
#[inline]
fn sixteens(x: &[u8]) -> impl Iterator<Item = [u8; 16]> {
    let (whole, rest) = x.as_chunks::<16>();
    let mut last = [0; 16];
    last.iter_mut().zip(rest).for_each(|(to, x)| *to = *x);
    whole.iter().copied().chain((!rest.is_empty()).then_some(last))
}

/// Bytes as int16.
#[inline]
#[target_feature(enable = "avx2")]
fn widened(x: __m128i, unsigned: bool) -> Lanes {
    if unsigned { _mm256_cvtepu8_epi16(x) } else { _mm256_cvtepi8_epi16(x) }
}

/// Makes the column of a pixel: a line after the other, of which those in the padding are zeros.
#[target_feature(enable = "avx2")]
fn fill<const P: usize>(
    columns: &mut [[Lanes; P]],
    slot: usize,
    lines: &[&[u8]],
    (from, alike): (usize, &Alike),
    window: &mut Vec<u8>,
) {
    let run = alike.run;
    let part = |line| <[u8]>::get(line, from..).and_then(|line| line.get(..run));
    let window = match lines {
        [one] if !one.is_empty() => part(one).unwrap_or_default(),
        _ => {
            window.clear();
            for line in lines {
                match part(line).filter(|_| !line.is_empty()) {
                    Some(part) => window.extend_from_slice(part),
                    None => window.resize(window.len() + run, alike.zero as u8),
                }
            }
            &window[..]
        }
    };
    for (column, x) in columns.iter_mut().zip(sixteens(window)) {
        column[slot] = widened(order(load_half(&x)), alike.unsigned);
    }
}

/// Into every second word. Between them others are read and written again, but for the last.
#[target_feature(enable = "avx2")]
fn scatter(to: &mut [u32], x: &[u8], unsigned: bool) {
    let blocks = (to.len() / 16).min(x.len() / 16);
    let ((begin, to), (some, x)) = (to.split_at_mut(16 * blocks), x.split_at(16 * blocks));
    for (begin, some) in begin.as_chunks_mut::<16>().0.iter_mut().zip(some.as_chunks().0) {
        let words = widened(order(load_half(some)), unsigned);
        let at = begin.as_mut_ptr();
        // Word 0 goes to lane 0, word 1 to lane 2 ..
        let spread = [
            _mm256_permutevar8x32_epi32(words, _mm256_setr_epi32(0, 0, 1, 0, 2, 0, 3, 0)),
            _mm256_permutevar8x32_epi32(words, _mm256_setr_epi32(4, 0, 5, 0, 6, 0, 7, 0)),
        ];
        // SAFETY: 16 words are there.
        unsafe {
            let (a, b) = (at.cast::<Lanes>(), at.add(8).cast());
            _mm256_storeu_si256(a, _mm256_blend_epi32::<0b0101_0101>(_mm256_loadu_si256(a), spread[0]));
            _mm256_storeu_si256(b, _mm256_blend_epi32::<0b0101_0101>(_mm256_loadu_si256(b), spread[1]));
        }
    }
    crate::tile::widen_portably(to, x, unsigned);
}

/// x · 256·b + a and x · a of sixteen inputs.
#[inline]
#[target_feature(enable = "avx2")]
fn step([whole, low]: [Lanes; 2], x: Lanes, w: Lanes) -> [Lanes; 2] {
    let a = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w));
    [_mm256_add_epi32(whole, _mm256_madd_epi16(x, w)), _mm256_add_epi32(low, _mm256_madd_epi16(x, a))]
}

/// Results of all pairs for the pixels of `columns`; `weights` are asked for from the first pair on.
#[target_feature(enable = "avx2")]
fn product<'w, const P: usize>(
    columns: &[[Lanes; P]],
    mut weights: impl FnMut(usize) -> Option<Pair<'w>>,
    channels: &[u8],
    put: &Put,
    at: [usize; P],
    out: &mut [u8],
) {
    let zero = _mm256_setzero_si256();
    for (group, channels) in channels.chunks(16 * PAIRS).enumerate() {
        let pairs = channels.len() / 16;
        let mut sums = [[zero; PAIRS]; P];
        for pair in 0..pairs {
            let mut acc = [[zero; 2]; P];
            let Some(weights) = weights(PAIRS * group + pair) else { return };
            for (index, x) in columns.iter().enumerate() {
                let w = sixteen_of(&weights, index);
                for (acc, &x) in acc.iter_mut().zip(x) {
                    *acc = step(*acc, x, w);
                }
            }
            for (sums, [whole, low]) in sums.iter_mut().zip(acc) {
                sums[pair] = fold(whole, low);
            }
        }
        let channels = Channels::of(channels);
        // Where pixels lie in one place, the first one stays.
        for (sums, at) in sums.iter().zip(at).rev() {
            let acc = _mm256_add_epi32(gather(*sums), channels.bias);
            let bytes = channels.finish(acc, put.zero_point, put.shift);
            let at = at + 2 * PAIRS * group;
            if let Some(out) = out.get_mut(at..at + 2 * pairs) {
                store(out, bytes);
            }
        }
    }
}

/// [a₀ + a₁, b₀ + b₁, a₂ + a₃, ..].
#[inline]
#[target_feature(enable = "avx2")]
fn fold(a: Lanes, b: Lanes) -> Lanes {
    let odd = _mm256_shuffle_epi32::<0b10_11_00_01>(_mm256_blend_epi32::<0b1010_1010>(b, a));
    _mm256_add_epi32(_mm256_blend_epi32::<0b1010_1010>(a, b), odd)
}

/// The sums of eight channels, of four pairs' sums as [`fold`] leaves them.
#[inline]
#[target_feature(enable = "avx2")]
fn gather([a, b, c, d]: [Lanes; PAIRS]) -> Lanes {
    let both = |a, b| _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    let (ab, cd) = (both(a, b), both(c, d));
    let halves = (_mm256_permute2x128_si256::<0x20>(ab, cd), _mm256_permute2x128_si256::<0x31>(ab, cd));
    // S, A, S, A ..
    let sums = _mm256_add_epi32(halves.0, halves.1);
    let swapped = _mm256_shuffle_epi32::<0b10_11_00_01>(sums);
    let second = _mm256_srai_epi32::<8>(_mm256_sub_epi32(swapped, sums));
    _mm256_blend_epi32::<0b1010_1010>(swapped, second)
}

/// Parameters of eight channels.
struct Channels {
    bias: Lanes,
    multiplier: Lanes,
}

impl Channels {
    /// Bias and multiplier in turn. Of fewer channels: the rest are zeros.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn of(channels: &[u8]) -> Self {
        let [a, b] = match channels.as_chunks::<32>().0 {
            [a, b, ..] => [load(a), load(b)],
            [a] => [load(a), load_some(channels.get(32..).unwrap_or_default())],
            [] => [load_some(channels), _mm256_setzero_si256()],
        };
        let [a, b] = [_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)];
        // 0 1 4 5 2 3 6 7 of either.
        let [bias, multiplier] = [_mm256_shuffle_ps::<0b10_00_10_00>(a, b), _mm256_shuffle_ps::<0b11_01_11_01>(a, b)]
            .map(|mixed| _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_castps_si256(mixed)));
        Self { bias, multiplier }
    }

    /// Bytes of accumulators with their bias, as [`crate::tile::finish`].
    #[inline]
    #[target_feature(enable = "avx2")]
    fn finish(&self, acc: Lanes, zero_point: i8, shift: u8) -> u64 {
        let acc = _mm256_sll_epi32(acc, _mm_cvtsi32_si128(i32::from(shift & 31)));
        let half = _mm256_set1_epi64x(1 << 31);
        let even = _mm256_add_epi64(_mm256_mul_epi32(acc, self.multiplier), half);
        let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(acc), _mm256_srli_epi64::<32>(self.multiplier));
        let odd = _mm256_add_epi64(odd, half);
        let v = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
        let v = _mm256_add_epi32(v, _mm256_set1_epi32(i32::from(zero_point)));
        let v = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        _mm_cvtsi128_si64(_mm_packs_epi16(v, v)) as u64
    }
}

/// As many bytes as there is room for, at most eight.
#[inline]
fn store(out: &mut [u8], bytes: u64) {
    let bytes = bytes.to_le_bytes();
    match out.first_chunk_mut() {
        Some(out) => *out = bytes,
        None => out.iter_mut().zip(bytes).for_each(|(to, x)| *to = x),
    }
}

/// The sum of all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn total(acc: Lanes) -> i32 {
    let sum = _mm_add_epi32(_mm256_castsi256_si128(acc), _mm256_extracti128_si256::<1>(acc));
    let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b01_00_11_10>(sum));
    _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32::<0b10_11_00_01>(sum)))
}

#[target_feature(enable = "avx2")]
fn dot_plain(x: &[u8], w: &[u8], unsigned: bool) -> i32 {
    let mut acc = _mm256_setzero_si256();
    let length = x.len().min(w.len());
    let [x, w] = [x, w].map(|x| sixteens(x.get(..length).unwrap_or_default()));
    for (x, w) in x.zip(w) {
        let (x, w) = (widened(load_half(&x), unsigned), widened(load_half(&w), false));
        acc = _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
    }
    total(acc)
}

/// Of all inputs, in groups of four as their weights are; weights that lack are zeros.
#[target_feature(enable = "avx2")]
fn dot_paired(x: &[u8], w: &[u8], unsigned: bool) -> [i32; 2] {
    let mut acc = [_mm256_setzero_si256(); 2];
    let (whole, rest) = w.as_chunks::<32>();
    let mut last = [0; 32];
    last.iter_mut().zip(rest).for_each(|(to, w)| *to = *w);
    for (x, w) in sixteens(x).zip(whole.iter().chain([&last])) {
        acc = step(acc, widened(order(load_half(&x)), unsigned), load(w));
    }
    acc.map(|acc| total(acc))
}

/// Four bytes, zeros behind the last.
#[inline]
fn four(x: &[u8]) -> i32 {
    i32::from_le_bytes(x.first_chunk().copied().unwrap_or_default())
}

#[target_feature(enable = "avx2")]
fn interleave(to: &mut [u32], weights: &[u8], stride: usize, taps: usize) {
    let tap = |k: usize| _mm_cvtsi32_si128(if k < taps { weights.get(k * stride..).map_or(0, four) } else { 0 });
    for (pair, to) in to.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let words = _mm_cvtepi8_epi16(_mm_unpacklo_epi8(tap(2 * pair), tap(2 * pair + 1)));
        // SAFETY: four words are there.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), words) };
    }
}

/// Words `at..at + 4` of two groups of channels; of one alone, zeros for the other.
#[inline]
#[target_feature(enable = "avx2")]
fn of_groups(groups: &[u32], group: usize, at: usize) -> Lanes {
    let four = |from: usize| {
        let words: Option<&[u32; 4]> = groups.get(from..).and_then(<[u32]>::first_chunk);
        // SAFETY: four words are there.
        words.map_or(_mm_setzero_si128(), |words| unsafe { _mm_loadu_si128(words.as_ptr().cast()) })
    };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(four(at)), four(group + at))
}

#[target_feature(enable = "avx2")]
fn stream((words, channels, group): (&[u32], usize, usize), taps: &[&[u8]], run: &Run, out: &mut [u8]) {
    let zero = _mm256_setzero_si256();
    let room = taps.iter().map(|tap| tap.len()).min().unwrap_or(0);
    for (eight, words) in words.chunks(2 * group).enumerate() {
        let at = 8 * eight;
        let made = (channels - at).min(8);
        let bias = of_groups(words, group, 0);
        let parameters = Channels { bias, multiplier: of_groups(words, group, group - 4) };
        let mut weights = [zero; crate::TAPS.div_ceil(2)];
        for (pair, weights) in weights.iter_mut().enumerate().take(taps.len().div_ceil(2)) {
            *weights = of_groups(words, group, 4 + 4 * pair);
        }
        for pixel in 0..run.pixels {
            let from = pixel * run.step + at;
            let mut acc = bias;
            let whole = from + 8 <= room;
            for (taps, &weights) in taps.chunks(2).zip(&weights) {
                let tap = |tap: &[u8]| {
                    if whole {
                        // SAFETY: no tap is shorter than `room`.
                        unsafe { _mm_loadl_epi64(tap.as_ptr().add(from).cast()) }
                    } else {
                        _mm_cvtsi32_si128(four(tap.get(from..).unwrap_or_default()))
                    }
                };
                let first = taps.first().map_or(_mm_setzero_si128(), |x| tap(x));
                let second = taps.get(1).map_or(first, |x| tap(x));
                let x = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second));
                acc = _mm256_add_epi32(acc, _mm256_madd_epi16(x, weights));
            }
            let bytes = parameters.finish(acc, run.zero_point, run.shift);
            let to = pixel * run.out_step + at;
            if let Some(out) = out.get_mut(to..to + made) {
                store(out, bytes);
            }
        }
    }
}

/// Eight bytes from `from` on, or four if there are no more.
#[inline]
#[target_feature(enable = "avx2")]
fn eight(x: &[u8], from: usize) -> __m128i {
    match x.get(from..).and_then(<[u8]>::first_chunk) {
        Some(&x) => _mm_cvtsi64_si128(i64::from_le_bytes(x)),
        None => _mm_cvtsi32_si128(x.get(from..).map_or(0, four)),
    }
}

/// Two taps of eight channels as words.
#[inline]
#[target_feature(enable = "avx2")]
fn both(first: __m128i, second: __m128i) -> Lanes {
    _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second))
}

// Loops are written out below and above: closures that others call are not made for these vectors.

/// Eight channels at a time. What a column of the operand is made of three lines serves all windows that it is in.
#[target_feature(enable = "avx2")]
fn plane(
    lines: &[&[u8]],
    s: &Slide,
    (weights, channels): (&[u8], &[u8]),
    columns: &mut Vec<[Lanes; 2]>,
    out: &mut [u8],
) {
    let (none, padding) = (_mm_setzero_si128(), _mm_set1_epi8(s.zero));
    let step = if s.wide { 2 } else { 1 };
    let behind = (step * (s.width - 1) + 3).saturating_sub(s.pad + s.columns);
    for (group, channels) in channels.chunks(64).enumerate() {
        let (c, made) = (8 * group, channels.len() / 8);
        let parameters = Channels::of(channels);
        let kernel = [0, 1, 2].map(|x| {
            let tap = |y: usize| eight(weights, (3 * y + x) * s.tap + c);
            [both(tap(0), tap(1)), both(tap(2), none)]
        });
        for row in 0..s.rows {
            let Some(lines) = lines.get(row * s.down..).and_then(<[&[u8]]>::first_chunk::<3>) else { return };
            let whole = lines.iter().filter(|line| !line.is_empty()).map(|line| line.len()).min().unwrap_or(0);
            let pad = [both(padding, padding), both(padding, none)];
            columns.clear();
            columns.resize(s.pad, pad);
            for x in 0..s.columns {
                let from = x * s.pixel + c;
                let mut taps = [padding; 3];
                for (tap, line) in taps.iter_mut().zip(lines) {
                    if line.is_empty() {
                        continue;
                    }
                    *tap = if from + 8 <= whole {
                        // SAFETY: no line that is there is shorter than `whole`.
                        unsafe { _mm_loadl_epi64(line.as_ptr().add(from).cast()) }
                    } else {
                        eight(line, from)
                    };
                }
                columns.push([both(taps[0], taps[1]), both(taps[2], none)]);
            }
            columns.resize(columns.len() + behind, pad);
            for (x, window) in columns.windows(3).step_by(step).take(s.width).enumerate() {
                let mut acc = parameters.bias;
                for (x, w) in window.iter().zip(&kernel) {
                    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(x[0], w[0]));
                    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(x[1], w[1]));
                }
                let to = row * s.out_row + x * s.out_step + c;
                if let Some(out) = out.get_mut(to..to + made) {
                    store(out, parameters.finish(acc, s.zero_point, 0));
                }
            }
        }
    }
}
