//! The loops for cores with the DSP extension (Cortex-M4, M7, M33): two products of int16 per multiplication.
//!
//! Each is one routine of assembly, since compilers spill where all fourteen registers are in use. What a routine
//! relies on is checked by the function in front of it.
#![allow(unsafe_code)]

use crate::elementwise::Scaled;
use crate::put::{PIXELS, Put, Run};
use crate::slide::{KERNELS, Slide};
use crate::taps::Taps;
use crate::tiles::Alike;

/// A tile's product.
#[repr(C)]
struct TileArguments {
    /// First word of the inputs.
    x: *const u32,
    /// Their last word.
    last: *const u32,
    channels: *const u8,
    out: *mut u8,
    /// Bytes from the first pixel of the result to the second, which is written first.
    other: usize,
    zero_point: i32,
    shift: u32,
    /// Behind the parameters of the last four channels.
    fours_end: *const u8,
    /// Behind the last channel's parameters.
    channels_end: *const u8,
    weights: *const u8,
    /// The routine's own.
    own: [u32; 4],
    /// Pixels; an odd last one is a tile by itself.
    pixels: usize,
}

/// What `carafe_tiles` has besides.
#[repr(C)]
struct TilesArguments {
    tile: TileArguments,
    lines: *const u32,
    lines_end: *const u32,
    /// Bytes of a line.
    run: usize,
    /// Bytes from the window of a tile's first pixel to that of its second.
    distance: usize,
    /// Bytes from the first window to that of the tile.
    offset: usize,
    first_channel: *const u8,
    /// Bytes from behind the channels of a tile's first pixel to the next tile.
    out_gap: usize,
    /// Null if lines are whole numbers of words.
    windows: *mut u8,
    /// Bytes of a window there, a multiple of four, and one more if they are unsigned.
    inputs: usize,
    /// An element of padding, twice.
    zero: u32,
    /// Bytes from the first window of a tile to that of the next.
    advance: usize,
}

unsafe extern "C" {
    fn carafe_tile(arguments: TileArguments);
    fn carafe_tiles(arguments: TilesArguments);
    fn carafe_widen(to: *mut u32, x: *const u8, end: *const u8);
    fn carafe_fill(to: *mut u8, byte: u32, bytes: usize);
    fn carafe_copy(to: *mut u8, from: *const u8, bytes: usize);
    fn carafe_widen_u8(to: *mut u32, x: *const u8, end: *const u8);
    fn carafe_depthwise_prepare(to: *mut u32, weights: *const u8, stride: usize, taps: usize);
    fn carafe_depthwise(arguments: *mut DepthwiseArguments);
    fn carafe_add(a: *mut u8, b: *const u8, bytes: usize, arguments: *const AddArguments);
    fn carafe_sum(acc: *mut [u8; 4], pixels: *const u8, step: usize, count: usize);
    fn carafe_slide(arguments: SlideArguments);
    fn carafe_slide_five(arguments: SlideArguments);
    fn carafe_slide_six(arguments: SlideArguments);
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
pub fn aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(4)
}

/// What both routines take; `None` if it is not for them.
#[inline(always)]
fn product(x: &[u32], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> Option<TileArguments> {
    let inputs = x.len() / PIXELS * 2;
    let pairs = channels.len() / 16;
    let [first, second] = put.at;
    if inputs == 0 || !inputs.is_multiple_of(4) || pairs == 0 || !aligned(channels) || !aligned(weights) {
        return None;
    }
    let (x, channels) = (x.as_ptr(), channels.as_ptr());
    Some(TileArguments {
        x,
        last: x.wrapping_add(inputs / 2 * PIXELS - 1),
        channels,
        out: out.as_mut_ptr().wrapping_add(first),
        other: second.wrapping_sub(first),
        zero_point: i32::from(put.zero_point),
        shift: u32::from(put.shift),
        fours_end: channels.wrapping_add(16 * (pairs & !1)),
        channels_end: channels.wrapping_add(16 * pairs),
        weights: weights.as_ptr(),
        own: [0; 4],
        pixels: PIXELS,
    })
}

/// [`crate::tile`], whose arguments are checked. `None` if it is not for this routine.
#[inline(never)]
pub fn tile(x: &[u32], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> Option<()> {
    let arguments = product(x, weights, channels, put, out)?;
    // SAFETY: the routine reads `inputs / 2 · 2` words of x, which are there; for each of `pairs` pairs 16 bytes of
    // channels, which are there and aligned, and 2 · inputs bytes of weights, aligned too, which the caller has checked; it writes
    // 2 · pairs bytes behind each pixel's first, at any address, which the caller has checked too.
    unsafe { carafe_tile(arguments) };
    Some(())
}

/// [`crate::tiles`], whose arguments are checked. `None` if it is not for this routine.
#[inline(always)]
pub fn tiles(
    lines: &Taps<'_, '_>,
    alike: &Alike,
    (columns, windows): (&mut [u32], &mut [u8]),
    (weights, channels): (&[u8], &[u8]),
    put: &Put,
    out: &mut [u8],
) -> Option<()> {
    let step = alike.out_step;
    // Of one pixel alone, the second is the first.
    let [distance, second] = match alike.below {
        None if alike.tiles == 0 => [0; 2],
        below => below.unwrap_or([alike.distance, step]),
    };
    let put = Put { at: [put.at[0], put.at[0] + second], ..*put };
    let product = product(columns, weights, channels, &put, out)?;
    let tile = TileArguments { pixels: PIXELS * alike.tiles + usize::from(alike.odd), ..product };
    let addresses = lines.addresses().as_ptr_range();
    let arguments = TilesArguments {
        first_channel: tile.channels,
        out_gap: alike.across() * step - channels.len() / 16 * 2,
        tile,
        lines: addresses.start,
        lines_end: addresses.end,
        run: alike.run,
        distance,
        offset: 0,
        windows: if windows.is_empty() { core::ptr::null_mut() } else { windows.as_mut_ptr() },
        inputs: columns.len() / PIXELS * 2 + usize::from(alike.unsigned),
        zero: crate::halves(alike.zero, alike.zero),
        advance: alike.across() * alike.distance,
    };
    // SAFETY: as for `tile`, tile by tile: the caller has checked that all pixels of the result are in `out`. Of every
    // line, `run` bytes are read for each pixel, which the caller has checked against the shortest line; its address is
    // that of a slice which is borrowed as long as `lines` is, or 0, which is not read (the caller has checked that
    // windows of bytes have none). `columns` has all words of a tile, and `windows`, if it is
    // there, two windows.
    unsafe { carafe_tiles(arguments) };
    Some(())
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

/// [`crate::dense`], whose arguments are checked. `None` if it is not for this routine.
#[inline(never)]
pub fn dense(x: &[u8], weights: &[u8], channels: &[u8], put: &Put, out: &mut [u8]) -> Option<()> {
    if !x.len().is_multiple_of(4) || !aligned(weights) || !aligned(channels) {
        return None;
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
    Some(())
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

/// What `carafe_slide` reads.
#[repr(C)]
struct SlideArguments {
    lines: *const u32,
    lines_end: *const u32,
    /// Bytes from the first channel to those at work.
    from: usize,
    /// Bytes from pixel to pixel of the operand.
    pixel: usize,
    /// Pixels of a line that are used.
    columns: usize,
    /// Columns of padding in front of them.
    pad: usize,
    planes: *mut u32,
    /// Bytes of a plane.
    plane: usize,
    /// Bytes of a row of it.
    row: usize,
    /// The zero point of the operand, four times.
    zero: u32,
    /// Words for the kernels of four channels.
    kernel: *mut u32,
    weights: *const u8,
    /// Bytes from tap to tap.
    tap: usize,
    channels: *const u8,
    channels_end: *const u8,
    multiplier: u32,
    zero_point: i32,
    /// The routine's own.
    out: *mut u8,
    /// Bytes from pixel to pixel of the result.
    out_step: usize,
    rows: usize,
    /// Bytes of a plane from window to window downwards.
    down: usize,
    /// Bytes from row to row of the result.
    out_row: usize,
    /// Bytes of a plane for all pairs of results of a row.
    across: usize,
    /// One if a result is left over.
    odd: usize,
    first_out: *mut u8,
    /// One if windows are two columns apart.
    wide: u32,
}

/// [`crate::slide`], whose arguments are checked.
#[inline(never)]
pub fn slide(
    (narrow, any): (bool, bool),
    lines: &Taps<'_, '_>,
    s: &Slide,
    words: &mut [u32],
    (weights, channels): (&[u8], &[u8]),
    out: &mut [u8],
) -> Option<()> {
    if !aligned(channels) {
        return None;
    }
    let routine: unsafe extern "C" fn(SlideArguments) = match s.narrow() {
        5 if narrow => carafe_slide_five,
        6 if narrow => carafe_slide_six,
        _ if any => carafe_slide,
        _ => return None,
    };
    let (kernel, planes) = words.split_at_mut_checked(KERNELS)?;
    let (addresses, channels) = (lines.addresses().as_ptr_range(), channels.as_ptr_range());
    let row = 4 * s.words();
    let arguments = SlideArguments {
        lines: addresses.start,
        lines_end: addresses.end,
        from: 0,
        pixel: s.pixel,
        columns: s.columns.min(2 * s.words() - s.pad),
        pad: s.pad,
        planes: planes.as_mut_ptr(),
        plane: row * lines.count(),
        row,
        zero: u32::from(s.zero as u8) * 0x0101_0101,
        kernel: kernel.as_mut_ptr(),
        weights: weights.as_ptr(),
        tap: s.tap,
        channels: channels.start,
        channels_end: channels.end,
        multiplier: 0,
        zero_point: i32::from(s.zero_point),
        out: core::ptr::null_mut(),
        out_step: s.out_step,
        rows: s.rows,
        down: s.down * row,
        out_row: s.out_row,
        across: s.width / 2 * if s.wide { 8 } else { 4 },
        odd: s.width % 2,
        first_out: out.as_mut_ptr(),
        wide: u32::from(s.wide),
    };
    // SAFETY: the caller has checked that, for all channels (32 bytes of parameters each four, aligned): lines have
    // `columns` pixels, weights nine taps, and the result its rows. Addresses of lines are those of slices which are
    // borrowed as long as `lines` is, or 0, which is not read. `kernel` has 24 words, and `planes` four planes of a row
    // for each line, which `columns` and `pad` do not exceed. Of what is narrow, such a row is 16 bytes, and windows move
    // down by one.
    unsafe { routine(arguments) };
    Some(())
}

/// What `carafe_add` reads.
#[repr(C)]
struct AddArguments {
    multipliers: [i32; 2],
    constant: i32,
    shift: u32,
}

/// [`crate::add_scaled`].
#[inline(never)]
pub fn add_scaled(a: &mut [u8], b: &[u8], s: &Scaled) {
    let arguments = AddArguments { multipliers: s.multipliers, constant: s.constant, shift: u32::from(s.shift & 31) };
    // SAFETY: so many bytes are there on either side. The core reads and writes words at any address.
    unsafe { carafe_add(a.as_mut_ptr(), b.as_ptr(), a.len().min(b.len()), &arguments) };
}

/// [`crate::sum_pixels`]. False if it is not for this routine.
#[inline(never)]
pub fn sum_pixels(acc: &mut [[u8; 4]], pixels: &[u8], step: usize) -> bool {
    let channels = acc.len();
    let words = acc.as_ptr().addr().is_multiple_of(4) && channels.is_multiple_of(4);
    // A division, for which there is an instruction; of a row, the last pixel ends with its channels.
    let Some(more) = pixels.len().checked_sub(channels).and_then(|n| n.checked_div(step)) else { return false };
    if !words || step < channels || more >= 256 {
        return false;
    }
    for (at, acc) in (0..channels).step_by(4).zip(acc.chunks_mut(4)) {
        // SAFETY: the accumulators are four and aligned; pixels are `more + 1`, the last of which begins `more · step` bytes
        // behind the first and has all channels. The core reads words from any address.
        unsafe { carafe_sum(acc.as_mut_ptr(), pixels.as_ptr().wrapping_add(at), step, more + 1) };
    }
    true
}

/// Assembles a file.
macro_rules! assemble {
    ($($file:literal)*) => {$(
        #[cfg(not(feature = "cpu-m33"))]
        core::arch::global_asm!(include_str!($file), options(raw));
        // Of v8-M not every core has these instructions, and link-time optimisation assembles without `-C target-cpu`.
        #[cfg(feature = "cpu-m33")]
        core::arch::global_asm!(".cpu cortex-m33", include_str!($file), options(raw));
    )*};
}

assemble!("tile.s" "winograd.s" "slide.s" "add.s" "depthwise.s" "dense.s" "memory.s");
