//! The loops for AArch64 with NEON: four products of int16 at once.
//!
//! Sums wrap, so in which order they are summed up makes no difference to the bits.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use std::cell::RefCell;
use std::vec::Vec;

use crate::pairs::Pair;
use crate::put::{PIXELS, Put, Run};
use crate::slide::Slide;
use crate::tile::finish;
use crate::tiles::Alike;

std::thread_local! {
    /// Columns of a tile, eight inputs of one beside those of the others.
    static TILE: RefCell<Vec<[[i16; 8]; PIXELS]>> = const { RefCell::new(Vec::new()) };
    /// The column of a dense layer.
    static COLUMN: RefCell<Vec<[[i16; 8]; 1]>> = const { RefCell::new(Vec::new()) };
}

/// Calls a function that needs NEON, if this machine has it; false if not.
macro_rules! with_neon {
    ($call:expr) => {
        std::arch::is_aarch64_feature_detected!("neon") && {
            // SAFETY: it has.
            unsafe { $call };
            true
        }
    };
}

/// [`crate::tile`], whose arguments are checked. False if it is not for this machine.
pub fn tile(x: &[u32], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> bool {
    with_neon!(TILE.with_borrow_mut(|columns| {
        columns.clear();
        for words in x.chunks(4 * PIXELS) {
            let mut parts = [[0; 8]; PIXELS];
            for (at, words) in (0..8).step_by(2).zip(words.chunks_exact(PIXELS)) {
                for (part, &word) in parts.iter_mut().zip(words) {
                    [part[at], part[at + 1]] = [word as i16, (word >> 16) as i16];
                }
            }
            columns.push(parts);
        }
        let (inputs, pairs) = (x.len() / PIXELS * 2, channels.len() / 16);
        product(columns, |pair| Pair::of_fours(weights, inputs, pairs, pair), channels, put, put.at, out);
    }))
}

/// [`crate::tiles`]: the portable loop does by [`tile`].
pub fn tiles(_: &[&[u8]], _: &Alike, _: (&[u8], &[u8]), _: &Put, _: &mut [u8]) -> bool {
    false
}

/// [`crate::dense`], whose arguments are checked. False if it is not for this machine.
pub fn dense(x: &[u8], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> bool {
    x.len().is_multiple_of(4)
        && with_neon!(COLUMN.with_borrow_mut(|column| {
            column.clear();
            column.extend(x.chunks(8).map(|x| [ordered(eight(x, false))]));
            let mut weights = weights.chunks_exact(2 * x.len());
            product(column, |_| weights.next().map(Pair::alone), channels, put, [0], out);
        }))
}

/// [`crate::widen`]: compilers do well by themselves.
pub fn widen(_: &mut [u32], _: &[u8], _: bool) -> bool {
    false
}

/// The sums of [`crate::dot`].
pub fn dot(x: &[u8], w: [&[u8]; 2]) -> Option<[i32; 2]> {
    let mut sums = [0; 2];
    with_neon!(sums = w.map(|w| dot_plain(x, w, false))).then_some(sums)
}

/// The sum of [`crate::dot_u8`].
pub fn dot_u8(x: &[u8], w: &[u8]) -> Option<i32> {
    let mut sum = 0;
    with_neon!(sum = dot_plain(x, w, true)).then_some(sum)
}

/// The sums of [`crate::dot_pairs`] and [`crate::dot_pairs_u8`], of whole and low halves.
pub fn dot_pairs(x: &[u8], w: &[u8], unsigned: bool) -> Option<[i32; 2]> {
    let mut sums = [0; 2];
    with_neon!(sums = dot_paired(x, w, unsigned)).then_some(sums)
}

/// [`crate::slide`], whose arguments are checked. False if it is not for this machine.
pub fn slide(lines: &[&[u8]], s: &Slide, (weights, channels): (&[u8], &[u8]), out: &mut [u8]) -> bool {
    with_neon!(plane(lines, s, (weights, channels), out))
}

/// The weights of four channels in the order of [`crate::Stream`]: compilers do well by themselves.
pub fn prepare(_: &mut [u32], _: &[u8], _: usize, _: usize) -> bool {
    false
}

/// [`crate::Stream::run`], whose arguments are checked: `words` of `channels` channels in groups of `group` words, as many
/// taps as those have weights for. False if it is not for this machine.
pub fn depthwise((words, channels, group): (&[u32], usize, usize), taps: &[&[u8]], run: &Run, out: &mut [u8]) -> bool {
    with_neon!(stream((words, channels, group), taps, run, out))
}

/// Runs a plain loop. NEON is there for every build, so compilers use it.
#[inline(always)]
pub fn wide(f: impl FnOnce()) {
    f();
}

/// Eight elements at most, zeros behind the last.
#[inline]
fn eight(x: &[u8], unsigned: bool) -> [i16; 8] {
    let mut lanes = [0; 8];
    lanes.iter_mut().zip(x).for_each(|(to, &x)| *to = crate::element(x, unsigned));
    lanes
}

/// The order of [`crate::place`].
#[inline]
fn ordered(x: [i16; 8]) -> [i16; 8] {
    core::array::from_fn(|i| x[crate::place(i)])
}

#[inline]
#[target_feature(enable = "neon")]
fn load(lanes: &[i16; 8]) -> int16x8_t {
    // SAFETY: eight int16 are there.
    unsafe { vld1q_s16(lanes.as_ptr()) }
}

/// Eight halfwords at most, little-endian, zeros behind the last.
#[inline]
#[target_feature(enable = "neon")]
fn load_bytes(bytes: &[u8]) -> int16x8_t {
    let mut lanes = [0; 8];
    for (to, &from) in lanes.iter_mut().zip(bytes.as_chunks().0) {
        *to = i16::from_le_bytes(from);
    }
    load(&lanes)
}

/// 256·b + a of eight inputs, from 8·`index` on; zeros behind the last.
#[inline]
#[target_feature(enable = "neon")]
fn eight_of(pair: &Pair<'_>, index: usize) -> int16x8_t {
    let mut lanes = [0; 8];
    for (word, to) in (4 * index..).zip(lanes.as_chunks_mut::<2>().0) {
        *to = pair.word(word).map_or([0; 2], |word| word.map(|[whole, _]| whole as i16));
    }
    load(&lanes)
}

/// acc + x·w, four lanes of the sums of two.
#[inline]
#[target_feature(enable = "neon")]
fn multiply(acc: int32x4_t, x: int16x8_t, w: int16x8_t) -> int32x4_t {
    vmlal_high_s16(vmlal_s16(acc, vget_low_s16(x), vget_low_s16(w)), x, w)
}

/// x · 256·b + a and x · a of eight inputs.
#[inline]
#[target_feature(enable = "neon")]
fn step([whole, low]: [int32x4_t; 2], x: int16x8_t, w: int16x8_t) -> [int32x4_t; 2] {
    let a = vshrq_n_s16::<8>(vshlq_n_s16::<8>(w));
    [multiply(whole, x, w), multiply(low, x, a)]
}

/// Results of all pairs for the pixels of `columns`; `weights` are asked for from the first pair on.
#[target_feature(enable = "neon")]
fn product<'w, const P: usize>(
    columns: &[[[i16; 8]; P]],
    mut weights: impl FnMut(usize) -> Option<Pair<'w>>,
    channels: &[u8],
    put: &Put,
    at: [usize; P],
    out: &mut [u8],
) {
    for (pair, channels) in channels.as_chunks::<16>().0.iter().enumerate() {
        let Some(weights) = weights(pair) else { return };
        let mut acc = [[vdupq_n_s32(0); 2]; P];
        for (index, x) in columns.iter().enumerate() {
            let w = eight_of(&weights, index);
            for (acc, x) in acc.iter_mut().zip(x) {
                *acc = step(*acc, load(x), w);
            }
        }
        let (first, second) = channels.split_at(8);
        // Where pixels lie in one place, the first one stays.
        for (acc, at) in acc.iter().zip(at).rev() {
            let [a, b] = crate::pairs::split(vaddvq_s32(acc[0]), vaddvq_s32(acc[1]));
            if let Some(out) = out.get_mut(at + 2 * pair..).and_then(<[u8]>::first_chunk_mut) {
                *out = [finish(a, first, put), finish(b, second, put)];
            }
        }
    }
}

#[target_feature(enable = "neon")]
fn dot_plain(x: &[u8], w: &[u8], unsigned: bool) -> i32 {
    let mut acc = vdupq_n_s32(0);
    for (x, w) in x.chunks(8).zip(w.chunks(8)) {
        acc = multiply(acc, load(&eight(x, unsigned)), load(&eight(w, false)));
    }
    vaddvq_s32(acc)
}

#[target_feature(enable = "neon")]
fn dot_paired(x: &[u8], w: &[u8], unsigned: bool) -> [i32; 2] {
    let mut acc = [vdupq_n_s32(0); 2];
    for (x, w) in x.chunks(8).zip(w.chunks(16)) {
        acc = step(acc, load(&ordered(eight(x, unsigned))), load_bytes(w));
    }
    acc.map(|acc| vaddvq_s32(acc))
}

#[target_feature(enable = "neon")]
fn stream((words, _, group): (&[u32], usize, usize), taps: &[&[u8]], run: &Run, out: &mut [u8]) {
    let four = |words: &[u32], at: usize| {
        let words: Option<&[u32; 4]> = words.get(at..).and_then(<[u32]>::first_chunk);
        // SAFETY: four words are there.
        words.map_or(vdupq_n_s32(0), |words| unsafe { vreinterpretq_s32_u32(vld1q_u32(words.as_ptr())) })
    };
    for (index, words) in words.chunks_exact(group).enumerate() {
        let (bias, multiplier) = (four(words, 0), four(words, group - 4));
        for pixel in 0..run.pixels {
            let from = pixel * run.step + 4 * index;
            let mut acc = bias;
            for (pair, taps) in taps.chunks(2).enumerate() {
                let w = four(words, 4 + 4 * pair);
                for (tap, w) in taps.iter().zip([vmovn_s32(w), vshrn_n_s32::<16>(w)]) {
                    let x = eight(tap.get(from..from + 4).unwrap_or_default(), false);
                    acc = vmlal_s16(acc, vget_low_s16(load(&x)), w);
                }
            }
            let bytes = finish_four(acc, multiplier, run.zero_point, run.shift);
            let to = pixel * run.out_step + 4 * index;
            if let Some(out) = out.get_mut(to..).and_then(<[u8]>::first_chunk_mut) {
                *out = bytes;
            }
        }
    }
}

/// Bytes of four accumulators with their bias, as [`finish`].
#[inline]
#[target_feature(enable = "neon")]
fn finish_four(acc: int32x4_t, multiplier: int32x4_t, zero_point: i8, shift: u8) -> [u8; 4] {
    let acc = vshlq_s32(acc, vdupq_n_s32(i32::from(shift & 31)));
    let low = vrshrn_n_s64::<32>(vmull_s32(vget_low_s32(acc), vget_low_s32(multiplier)));
    let high = vrshrn_n_s64::<32>(vmull_high_s32(acc, multiplier));
    let v = vqmovn_s32(vaddq_s32(vcombine_s32(low, high), vdupq_n_s32(i32::from(zero_point))));
    vget_lane_u32::<0>(vreinterpret_u32_s8(vqmovn_s16(vcombine_s16(v, v)))).to_le_bytes()
}

/// Four elements from `from` on.
#[inline]
#[target_feature(enable = "neon")]
fn four(x: &[u8], from: usize) -> int16x4_t {
    vget_low_s16(load(&eight(x.get(from..).and_then(|x| x.get(..4)).unwrap_or_default(), false)))
}

/// Four channels at a time.
#[target_feature(enable = "neon")]
fn plane(lines: &[&[u8]], s: &Slide, (weights, channels): (&[u8], &[u8]), out: &mut [u8]) {
    let padding = vdup_n_s16(i16::from(s.zero));
    let step = if s.wide { 2 } else { 1 };
    for (group, channels) in channels.as_chunks::<32>().0.iter().enumerate() {
        let c = 4 * group;
        let mut fields = [[0; 4]; 2];
        for (i, field) in channels.as_chunks::<4>().0.iter().enumerate() {
            fields[i % 2][i / 2] = i32::from_le_bytes(*field);
        }
        // SAFETY: four words are there.
        let [bias, multiplier] = fields.map(|words| unsafe { vld1q_s32(words.as_ptr()) });
        for row in 0..s.rows {
            for x in 0..s.width {
                let mut acc = bias;
                for tap in 0..9 {
                    let line = lines.get(row * s.down + tap / 3).filter(|line| !line.is_empty());
                    let column = (step * x + tap % 3).checked_sub(s.pad).filter(|&x| x < s.columns);
                    let x = match (line, column) {
                        (Some(line), Some(x)) => four(line, x * s.pixel + c),
                        _ => padding,
                    };
                    acc = vmlal_s16(acc, x, four(weights, tap * s.tap + c));
                }
                let to = row * s.out_row + x * s.out_step + c;
                if let Some(out) = out.get_mut(to..).and_then(<[u8]>::first_chunk_mut) {
                    *out = finish_four(acc, multiplier, s.zero_point, 0);
                }
            }
        }
    }
}
