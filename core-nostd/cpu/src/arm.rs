//! The loops for cores with the DSP extension (Cortex-M4, M7, M33): two products of int16 per multiplication.
//!
//! Each is one routine of assembly, since compilers spill where all fourteen registers are in use. What a routine
//! relies on is checked by the function in front of it.
#![allow(unsafe_code)]

use crate::put::{PIXELS, Put, Run};

/// What `carafe_tile` reads. It moves `channels` and `out` on.
#[repr(C)]
struct TileArguments {
    /// First word of the inputs.
    x: *const u32,
    /// Behind their last.
    end: *const u32,
    channels: *const u8,
    out: *mut u8,
    /// Bytes from the first pixel of the result to the others.
    others: [usize; 2],
    zero_point: i32,
    shift: u32,
    /// Behind the last channel's parameters.
    channels_end: *const u8,
}

unsafe extern "C" {
    fn carafe_tile(arguments: *mut TileArguments, weights: *const u8);
    fn carafe_widen(to: *mut u32, x: *const u8, end: *const u8);
    fn carafe_fill(to: *mut u8, byte: u32, bytes: usize);
    fn carafe_copy(to: *mut u8, from: *const u8, bytes: usize);
    fn carafe_widen_u8(to: *mut u32, x: *const u8, end: *const u8);
    fn carafe_depthwise_prepare(to: *mut u32, weights: *const u8, stride: usize, taps: usize);
    fn carafe_depthwise(arguments: *mut DepthwiseArguments);
    fn carafe_dense(
        x: *const u8,
        end: *const u8,
        weights: *const u8,
        more: *const u8,
        arguments: *const DenseArguments,
    );
}

/// What `carafe_dense` reads.
#[repr(C)]
struct DenseArguments {
    /// Parameters of the channels of both pairs.
    channels: [*const u8; 2],
    /// Where their results go.
    out: [*mut u8; 2],
    zero_point: i32,
    shift: u32,
}

/// Words have to be read several at once.
fn aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(4)
}

/// [`crate::tile`], whose arguments are checked. False if it is not for this routine.
#[inline(never)]
pub fn tile(x: &[u32], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> bool {
    let inputs = x.len() / PIXELS * 2;
    let pairs = channels.len() / 16;
    let [first, second, third] = put.at;
    if !inputs.is_multiple_of(4) || pairs == 0 || !aligned(channels) || second < first || third < first {
        return false;
    }
    let x = x.as_ptr_range();
    let channels = channels.as_ptr();
    let mut arguments = TileArguments {
        x: x.start,
        end: x.start.wrapping_add(inputs / 2 * PIXELS),
        channels,
        out: out.as_mut_ptr().wrapping_add(first),
        others: [second - first, third - first],
        zero_point: i32::from(put.zero_point),
        shift: u32::from(put.shift),
        channels_end: channels.wrapping_add(16 * pairs),
    };
    // SAFETY: the routine reads `inputs / 2 · 3` words of x, which are there; for each of `pairs` pairs 16 bytes of
    // channels, which are there and aligned, and 2 · inputs bytes of weights, which the caller has checked; it writes
    // 2 · pairs bytes behind each pixel's first, which the caller has checked too.
    unsafe { carafe_tile(&mut arguments, weights.as_ptr()) };
    true
}

/// [`crate::widen`].
pub fn widen(to: &mut [u32], x: &[u8], unsigned: bool) {
    // Of each group of 4 bytes come two words, at distance PIXELS.
    let most = to.len().div_ceil(PIXELS) / 2;
    let groups = (x.len() / 4).min(most);
    if groups == 0 {
        return;
    }
    let end = x.as_ptr().wrapping_add(4 * groups);
    // SAFETY: 4 · groups bytes are read, and the last word is written at (2 · groups − 1) · PIXELS, which is inside. The
    // core reads words from any address.
    unsafe {
        if unsigned {
            carafe_widen_u8(to.as_mut_ptr(), x.as_ptr(), end);
        } else {
            carafe_widen(to.as_mut_ptr(), x.as_ptr(), end);
        }
    }
}

/// [`crate::copy`].
#[inline]
pub fn copy(to: &mut [u8], from: &[u8]) {
    // SAFETY: so many bytes are there on either side.
    unsafe { carafe_copy(to.as_mut_ptr(), from.as_ptr(), to.len().min(from.len())) };
}

/// [`crate::fill`].
#[inline]
pub fn fill(to: &mut [u8], byte: u8) {
    // SAFETY: so many bytes are there.
    unsafe { carafe_fill(to.as_mut_ptr(), u32::from(byte), to.len()) };
}

/// [`crate::dense`], whose arguments are checked. False if it is not for this routine.
#[inline(never)]
pub fn dense(x: &[u8], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> bool {
    if !x.len().is_multiple_of(4) || !aligned(weights) || !aligned(channels) {
        return false;
    }
    let (block, pairs) = (2 * x.len(), channels.len() / 16);
    let x = x.as_ptr_range();
    for pair in (0..pairs).step_by(2) {
        // Of an odd number, the last one is made twice.
        let which = [pair, (pair + 1).min(pairs - 1)];
        let [first, second] = which.map(|p| weights.as_ptr().wrapping_add(p * block));
        let arguments = DenseArguments {
            channels: which.map(|p| channels.as_ptr().wrapping_add(16 * p)),
            out: which.map(|p| out.as_mut_ptr().wrapping_add(2 * p)),
            zero_point: i32::from(put.zero_point),
            shift: u32::from(put.shift),
        };
        // SAFETY: both pairs are below `pairs`, for which the caller has checked weights, channels and results. Weights
        // and channels are aligned; x is read word by word, from any address.
        unsafe { carafe_dense(x.start, x.end, first, second, &arguments) };
    }
    true
}

/// What `carafe_depthwise` reads. It moves `out` on, and counts `pixels` and `counter` down.
#[repr(C)]
struct DepthwiseArguments {
    /// A pointer for each tap.
    taps: *const u32,
    stream: *const u32,
    /// Behind the last word of the stream.
    end: *const u32,
    zero_point: i32,
    shift: u32,
    out: *mut u8,
    /// Bytes behind the channels of a pixel of the result up to the next.
    out_gap: usize,
    pixels: usize,
    /// Taps, by two.
    pairs: usize,
    /// As `out_gap`, of the operand.
    gap: usize,
    counter: usize,
}

/// The words of four channels' weights, for every two taps. `to` has `taps.div_ceil(2) · 4` words, and `weights` four
/// bytes every `stride`, for each tap: the caller has checked that.
pub fn prepare(to: &mut [u32], weights: &[u8], stride: usize, taps: usize) {
    // SAFETY: see above; the core reads words from any address.
    unsafe { carafe_depthwise_prepare(to.as_mut_ptr(), weights.as_ptr(), stride, taps) };
}

/// [`crate::Stream::run`] of a stream's words and channels, whose arguments are checked. `list` has the addresses of the
/// taps, the last twice if they are odd.
pub fn depthwise((words, channels): (&[u32], usize), list: &[u32], run: &Run, out: &mut [u8]) {
    let words = words.as_ptr_range();
    let mut arguments = DepthwiseArguments {
        taps: list.as_ptr(),
        stream: words.start,
        end: words.end,
        zero_point: i32::from(run.zero_point),
        shift: u32::from(run.shift),
        out: out.as_mut_ptr(),
        out_gap: run.out_step - channels,
        pixels: run.pixels,
        pairs: list.len() / 2,
        gap: run.step - channels,
        counter: 0,
    };
    // SAFETY: from every tap's pointer, `channels` bytes are read at each multiple of `step` below `pixels · step`, which
    // are inside the slice of the tap; the result's bytes lie in `out` in the same way. The stream has, per four
    // channels, 8 words and 4 for every two taps.
    unsafe { carafe_depthwise(&mut arguments) };
}

#[cfg(not(feature = "cpu-m33"))]
core::arch::global_asm!(include_str!("arm.s"), options(raw));
// Of v8-M not every core has these instructions, and link-time optimisation assembles without `-C target-cpu`.
#[cfg(feature = "cpu-m33")]
core::arch::global_asm!(".cpu cortex-m33", include_str!("arm.s"), options(raw));
