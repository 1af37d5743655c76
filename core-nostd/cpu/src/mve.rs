//! The loops for cores with Helium (Cortex-M55): 16 products of int8 per instruction, summed up.
//!
//! They are written in assembly, which builds without the core's name given to the compiler. What a routine relies on is
//! checked by the function that calls it.
#![allow(unsafe_code)]

use crate::gather::{Group, WORDS, Windows};
use crate::product::{CHANNELS, Copied, Pixels, Rescale};
use crate::put::Run;

/// What `carafe_mve_three` reads. It moves pointers on, and counts `quads` down.
#[repr(C)]
struct ThreeArguments {
    x: *const u8,
    step: usize,
    /// Of channels 0, 2, 1 and 3 of four.
    weights: [*const u8; 4],
    out: *mut u8,
    out_step: usize,
    channels: *const u8,
    zero_point: i32,
    shift: u32,
    /// Behind the last pixel of the result.
    out_end: *const u8,
    first_x: *const u8,
    first_out: *mut u8,
    /// Inputs without the first 16; of `carafe_mve_three_few` all.
    count: usize,
    /// Bytes of the weights of four channels.
    next: usize,
    quads: usize,
    lo: [i32; 4],
    hi: [i32; 4],
}

/// What `carafe_mve_one` reads. It moves `channels` on.
#[repr(C)]
struct OneArguments {
    x: *const u8,
    weights: *const u8,
    out: *mut u8,
    /// As that of [`ThreeArguments`].
    count: usize,
    inputs: usize,
    channels: *const u8,
    shift: u32,
    zero_point: i32,
    out_end: *const u8,
    lo: [i32; 4],
    hi: [i32; 4],
}

/// What `carafe_mve_columns` reads.
#[repr(C)]
struct ColumnsArguments {
    columns: usize,
    step: usize,
    to_step: usize,
    channels: usize,
    /// Bytes from 16 channels to the next.
    block: usize,
    flip: u32,
}

/// What `carafe_mve_sum` reads.
#[repr(C)]
struct SumArguments {
    channels: usize,
    pixels: usize,
    step: usize,
}

/// What `carafe_mve_depthwise` reads. It moves pointers on, and counts `quads` down.
#[repr(C)]
struct DepthwiseArguments {
    /// Bytes from window to window.
    step: usize,
    zero_point: i32,
    counter: usize,
    shift: u32,
    weights: *const u8,
    x: *const u32,
    channels: *const u8,
    out: *mut u8,
    out_step: usize,
    pixels: usize,
    /// Bytes from `weights` and from `x` to the words of a window.
    weights_at: [u32; WORDS],
    x_at: [u32; WORDS],
    groups: *mut u8,
    groups_end: *mut u8,
    words: usize,
    /// Bytes of weights of 16 channels.
    block: usize,
    /// Channels by four.
    quads: usize,
}

unsafe extern "C" {
    fn carafe_mve_three(arguments: *mut ThreeArguments);
    fn carafe_mve_three_few(arguments: *mut ThreeArguments);
    fn carafe_mve_one(arguments: *mut OneArguments);
    fn carafe_mve_one_few(arguments: *mut OneArguments);
    fn carafe_mve_columns(to: *mut u8, from: *const u8, arguments: *const ColumnsArguments);
    fn carafe_mve_fill(to: *mut u8, byte: u32, bytes: usize);
    fn carafe_mve_copy(to: *mut u8, from: *const u8, bytes: usize);
    fn carafe_mve_sum(sums: *mut [u8; 4], x: *const u8, arguments: *const SumArguments);
    fn carafe_mve_depthwise(arguments: *mut DepthwiseArguments);
}

/// Words have to be aligned.
fn aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(4)
}

/// [`crate::product`], whose arguments are checked. False if it is not for these routines.
#[inline(never)]
pub fn product(
    pixels: &Pixels<'_>,
    weights: &[u8],
    channels: &[u8],
    rescale: &Rescale,
    (out, out_step): (&mut [u8], usize),
) -> bool {
    if !aligned(channels) {
        return false;
    }
    let many = channels.len() / 8;
    let out = out.as_mut_ptr();
    quads(pixels, (weights.as_ptr(), channels.as_ptr(), many / CHANNELS), rescale, (out, out_step));
    let odd = many % CHANNELS;
    if odd != 0 {
        // The last ones up to four are made with some before them.
        let from = many - CHANNELS;
        let weights = weights.as_ptr().wrapping_add(from * pixels.inputs);
        let channels = channels.as_ptr().wrapping_add(8 * from);
        quads(pixels, (weights, channels, 1), rescale, (out.wrapping_add(from), out_step));
    }
    true
}

/// So many times four channels. The caller has checked that there are weights, parameters and results of so many.
fn quads(
    pixels: &Pixels<'_>,
    (weights, channels, quads): (*const u8, *const u8, usize),
    rescale: &Rescale,
    (out, out_step): (*mut u8, usize),
) {
    let by_three = pixels.count / 3 * 3;
    if by_three != 0 {
        threes(pixels, (weights, channels, quads), rescale, (out, out_step), by_three);
    }
    for pixel in by_three..pixels.count {
        one(pixels, (weights, channels, quads), rescale, out.wrapping_add(pixel * out_step), pixel);
    }
}

/// Inputs as the routines count them: without the first 16, or all, if there are fewer.
fn count(inputs: usize) -> usize {
    if inputs < 16 { inputs } else { inputs - 16 }
}

/// The first `many` pixels, a multiple of 3.
#[inline(never)]
fn threes(
    &Pixels { x, step, inputs, .. }: &Pixels<'_>,
    (weights, channels, quads): (*const u8, *const u8, usize),
    rescale: &Rescale,
    (out, out_step): (*mut u8, usize),
    many: usize,
) {
    let mut arguments = ThreeArguments {
        x: x.as_ptr(),
        step,
        weights: [0, 2, 1, 3].map(|c| weights.wrapping_add(c * inputs)),
        out,
        out_step,
        channels,
        zero_point: i32::from(rescale.zero_point),
        shift: u32::from(rescale.shift),
        out_end: out.wrapping_add(many * out_step),
        first_x: x.as_ptr(),
        first_out: out,
        count: count(inputs),
        next: 4 * inputs,
        quads,
        lo: [i32::from(rescale.lo); 4],
        hi: [i32::from(rescale.hi); 4],
    };
    // SAFETY: of every pixel, and of the weights of each of `4 · quads` channels, `inputs` bytes are read; and of the channels
    // 8 bytes each, which are aligned. Four bytes are written per pixel and four channels. All that is there, as the caller
    // of `product` has checked.
    unsafe {
        if inputs < 16 {
            carafe_mve_three_few(&mut arguments);
        } else {
            carafe_mve_three(&mut arguments);
        }
    }
}

/// One pixel.
#[inline(never)]
fn one(
    &Pixels { x, step, inputs, .. }: &Pixels<'_>,
    (weights, channels, quads): (*const u8, *const u8, usize),
    rescale: &Rescale,
    out: *mut u8,
    pixel: usize,
) {
    let mut arguments = OneArguments {
        x: x.as_ptr().wrapping_add(pixel * step),
        weights,
        out,
        count: count(inputs),
        inputs,
        channels,
        shift: u32::from(rescale.shift),
        zero_point: i32::from(rescale.zero_point),
        out_end: out.wrapping_add(4 * quads),
        lo: [i32::from(rescale.lo); 4],
        hi: [i32::from(rescale.hi); 4],
    };
    // SAFETY: as in `threes`.
    unsafe {
        if inputs < 16 {
            carafe_mve_one_few(&mut arguments);
        } else {
            carafe_mve_one(&mut arguments);
        }
    }
}

/// [`crate::copy_pixels`], whose arguments are checked.
pub fn copy_pixels(to: &mut [u8], from: &[u8], copied: &Copied) {
    let arguments = ColumnsArguments {
        columns: copied.count,
        step: copied.step,
        to_step: copied.to_step,
        channels: copied.channels,
        block: 16,
        flip: if copied.flip { 0x80 } else { 0 },
    };
    // SAFETY: of every pixel, `channels` bytes are read and written, which the caller has checked; there is one at least.
    unsafe { carafe_mve_columns(to.as_mut_ptr(), from.as_ptr(), &arguments) };
}

/// [`crate::copy`].
#[inline]
pub fn copy(to: &mut [u8], from: &[u8]) {
    // SAFETY: so many bytes are there on either side.
    unsafe { carafe_mve_copy(to.as_mut_ptr(), from.as_ptr(), to.len().min(from.len())) };
}

/// [`crate::fill`].
#[inline]
pub fn fill(to: &mut [u8], byte: u8) {
    // SAFETY: so many bytes are there.
    unsafe { carafe_mve_fill(to.as_mut_ptr(), u32::from(byte), to.len()) };
}

/// [`crate::sum_pixels`]. False if the last pixel is not whole.
pub fn sum_pixels(acc: &mut [[u8; 4]], pixels: &[u8], step: usize) -> bool {
    let channels = acc.len();
    let Some(behind) = pixels.len().checked_sub(channels) else { return false };
    let Some(more) = behind.checked_div(step) else { return false };
    if channels == 0 || step < channels || more * step != behind {
        return false;
    }
    let arguments = SumArguments { channels, pixels: more + 1, step };
    // SAFETY: as many bytes are read at each multiple of `step` as there are sums, which are there: behind the last multiple,
    // too. There is one sum at least.
    unsafe { carafe_mve_sum(acc.as_mut_ptr(), pixels.as_ptr(), &arguments) };
    true
}

/// [`crate::gather::depthwise`], whose arguments are checked. `None` if they are not for this routine: the blob's constants
/// lie where they should not.
#[inline(never)]
pub fn depthwise(
    groups: &mut [Group<'_>],
    windows: &Windows,
    weights: &[u8],
    channels: &[u8],
    run: &Run,
    scratch: &mut [u32],
    out: &mut [u8],
) -> Option<()> {
    if !aligned(channels) || !aligned(weights) {
        return None;
    }
    let x = scratch.as_mut_ptr();
    for group in &mut *groups {
        group.to = x.wrapping_add(group.to).expose_provenance();
    }
    let groups = groups.as_mut_ptr_range();
    let mut arguments = DepthwiseArguments {
        step: 4 * run.step,
        zero_point: i32::from(run.zero_point),
        counter: 0,
        shift: u32::from(run.shift),
        weights: weights.as_ptr(),
        x,
        channels: channels.as_ptr(),
        out: out.as_mut_ptr(),
        out_step: run.out_step,
        pixels: run.pixels,
        weights_at: [0, 64, 128, 192],
        x_at: windows.at.map(|at| 4 * at),
        groups: groups.start.cast(),
        groups_end: groups.end.cast(),
        words: windows.words,
        block: 64 * windows.words,
        quads: channels.len() / 32,
    };
    // SAFETY: `Lines` has checked that every line has all channels of all its pixels, or 16 bytes of padding, and that
    // there is room for them in the scratch memory; the caller, that there are windows, weights, parameters and results of
    // all channels and pixels. There is one pixel at least, and four channels. Weights and parameters are aligned.
    unsafe { carafe_mve_depthwise(&mut arguments) };
    Some(())
}

core::arch::global_asm!(include_str!("mve.s"), options(raw));
