//! The loops for Armv6-M (Cortex-M0, M0+): one multiplication of 32 by 32 bits, eight registers for most instructions.
//!
//! What a routine relies on is checked by the function in front of it. Words have to be aligned here, even in memory of
//! bytes.
#![allow(unsafe_code)]

use crate::put::Put;
use crate::quads::{Quads, quad_words};

/// What `carafe_quads` reads. It moves `weights`, `sums_in`, `sums_out`, `channels` and `out` on, and counts `pairs` down.
#[repr(C)]
struct QuadsArguments {
    /// First word of each pixel; of the second 0 if there is none.
    x: [*const u32; 2],
    /// Bytes of inputs of a line.
    run: usize,
    /// Bytes behind them up to the next line.
    gap: usize,
    lines: usize,
    weights: *const u8,
    /// Bytes of weights behind those of these inputs up to the next pair.
    skip: usize,
    /// Sums so far; 0: none.
    sums_in: *const u32,
    /// Where sums go; 0: they are the last.
    sums_out: *mut u32,
    start: u32,
    channels: *const u8,
    out: [*mut u8; 2],
    zero_point: i32,
    shift: u32,
    pairs: usize,
}

/// What `carafe_listed` reads.
#[repr(C)]
struct ListedArguments {
    list: *const u32,
    /// Behind its last word.
    end: *const u32,
    channels: *const u8,
    out: *mut u8,
    zero_point: i32,
    shift: u32,
    count: usize,
}

unsafe extern "C" {
    fn carafe_listed(arguments: *const ListedArguments);
    fn carafe_quads(arguments: *mut QuadsArguments);
    fn carafe_quads_widen(to: *mut u32, x: *const u8, bytes: usize);
    fn carafe_quads_widen_u8(to: *mut u32, x: *const u8, bytes: usize);
    fn carafe_quads_move(to: *mut u32, from: *const u32, end: *const u32);
}

/// Words have to be read several at once.
pub fn aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(4)
}

/// [`Quads::run`] of an instance that is checked. False if it is not for this routine.
#[inline(always)]
pub fn quads(q: &mut Quads<'_>, pairs: usize, put: &Put, out: &mut [u8]) -> bool {
    if !aligned(q.weights) || !aligned(q.channels) || !q.block.is_multiple_of(4) {
        return false;
    }
    let null = core::ptr::null_mut();
    let [first, second] = put.at;
    let x = q.x.as_ptr();
    let sums = q.sums.as_mut_ptr();
    let mut arguments = QuadsArguments {
        x: [x, q.second.map_or(null, |at| x.wrapping_add(at).cast_mut())],
        run: 4 * quad_words(q.run),
        gap: 4 * (q.line - quad_words(q.run)),
        lines: q.lines,
        weights: q.weights.as_ptr(),
        skip: q.block - 2 * q.run * q.lines,
        sums_in: if q.first.is_some() { null } else { sums },
        sums_out: if q.last { null } else { sums },
        start: q.start(),
        channels: q.channels.as_ptr(),
        out: [first, second].map(|at| out.as_mut_ptr().wrapping_add(at)),
        zero_point: i32::from(put.zero_point),
        shift: u32::from(put.shift),
        pairs,
    };
    // SAFETY: for each of `pairs` pairs the routine reads the words of `lines` lines of either pixel, 2 · run bytes of
    // weights per line, 4 words of sums and 16 bytes of channels, and writes 4 words of sums, or two bytes behind each
    // pixel's first: `Quads::run` has checked all of that, and alignment is checked above.
    unsafe { carafe_quads(&mut arguments) };
    true
}

/// [`crate::Listed::run`] of taps whose bytes are checked. False if it is not for this routine.
#[inline]
pub fn depthwise(list: &[u32], (channels, count): (&[u8], usize), put: &Put, out: &mut [u8]) -> bool {
    if !aligned(channels) {
        return false;
    }
    let list = list.as_ptr_range();
    let arguments = ListedArguments {
        list: list.start,
        end: list.end,
        channels: channels.as_ptr(),
        out: out.as_mut_ptr(),
        zero_point: i32::from(put.zero_point),
        shift: u32::from(put.shift),
        count,
    };
    // SAFETY: `count` bytes are read from each address of the list on, and 8 · count of the parameters, which are
    // aligned; `count` bytes are written. `Listed::run` has checked all of that.
    unsafe { carafe_listed(&arguments) };
    true
}

/// [`crate::widen_quads`].
pub fn widen(to: &mut [u32], x: &[u8], unsigned: bool) {
    // This core does not divide: only if it has to be.
    let groups = if 6 * (x.len() / 4) <= to.len() { x.len() / 4 } else { to.len() / 6 };
    if groups == 0 {
        return;
    }
    // SAFETY: 4 · groups bytes are read, one by one, and 6 · groups words written.
    unsafe {
        if unsigned {
            carafe_quads_widen_u8(to.as_mut_ptr(), x.as_ptr(), 4 * groups);
        } else {
            carafe_quads_widen(to.as_mut_ptr(), x.as_ptr(), 4 * groups);
        }
    }
}

/// [`crate::move_quads`].
pub fn bring(words: &mut [u32], groups: usize, from: usize) {
    let end = from.saturating_add(groups).saturating_mul(6);
    if groups > 0 && from > 0 && end <= words.len() {
        let to = words.as_mut_ptr();
        // SAFETY: words are read from 6 · from to `end`, by six, and written in front of those that are still to be read.
        unsafe { carafe_quads_move(to, to.wrapping_add(6 * from), to.wrapping_add(end)) };
    }
}

core::arch::global_asm!(include_str!("m0.s"), options(raw));
