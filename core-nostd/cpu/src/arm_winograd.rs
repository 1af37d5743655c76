//! [`crate::winograd`] for cores with the DSP extension.
#![allow(unsafe_code)]

use crate::arm::aligned;
use crate::pairs::Pair;
use crate::put::Put;
use crate::taps::Taps;
use crate::winograd::{SUMS, Winograd};

/// What `carafe_winograd` reads. It moves `maps` and `out` on, and counts tiles down.
#[repr(C)]
struct WinogradArguments {
    maps: *const u32,
    kernels: *const u32,
    /// Where sums wait.
    sums: *mut u32,
    channels: *const u8,
    /// Tiles of three pixels, and behind them of two.
    threes: usize,
    twos: usize,
    out: *mut u8,
    out_step: usize,
    /// Bytes to the second row; 0 if there is none.
    out_row: usize,
    zero_point: i32,
    shift: u32,
    /// Bytes from two inputs to the next two, and above them the turns of a loop after its first, for either tile.
    steps: [u32; 2],
    /// The routine's own.
    own: [u32; 2],
}

/// What `carafe_winograd_maps` reads. It moves `to` on, and counts `columns` down.
#[repr(C)]
struct MapsArguments {
    lines: [u32; 4],
    to: *mut u32,
    /// Bytes from two inputs to the next two.
    stride: usize,
    inputs: usize,
    columns: usize,
    /// Columns of padding.
    before: usize,
    after: usize,
    /// Twice an element of padding, twice.
    zero: u32,
    /// Bytes from behind a pixel to the next, by line; below zero where it is the same again.
    gaps: [usize; 4],
}

unsafe extern "C" {
    fn carafe_winograd(arguments: WinogradArguments);
    fn carafe_winograd_maps(arguments: MapsArguments);
    fn carafe_winograd_kernels(to: *mut u32, weights: *const u8, inputs: usize, step: usize, more: u32);
}

/// [`crate::winograd`], whose lines are checked. `None` if something else is too short, or it is not for these routines.
#[inline(always)]
pub fn winograd(
    lines: &Taps<'_, '_>,
    w: &Winograd,
    rows: usize,
    words: &mut [u32],
    (weights, channels): (&[u8], &[u8]),
    put: &Put,
    out: &mut [u8],
) -> Option<()> {
    if !aligned(weights) || !aligned(channels) {
        return None;
    }
    let (sums, rest) = words.split_at_mut_checked(SUMS)?;
    let (kernels, maps) = rest.split_at_mut_checked(w.kernels())?;
    let (stride, size) = (16 * (w.width + 2), w.map());
    // A pixel of padding: there are no kernels yet.
    crate::fill(crate::bytes(kernels).get_mut(..w.inputs)?, w.zero as u8);
    let zero = 2 * i16::from(w.zero);
    let padding = kernels.as_ptr().expose_provenance() as u32;
    let (mut addresses, mut left) = (lines.addresses(), &mut *maps);
    while let Some(four) = addresses.first_chunk::<4>() {
        let (map, others) = left.split_at_mut_checked(size)?;
        (addresses, left) = (addresses.get(2..)?, others);
        let gap = |&line: &u32| if line == 0 { w.inputs.wrapping_neg() } else { w.pixel.wrapping_sub(w.inputs) };
        let arguments = MapsArguments {
            lines: four.map(|line| if line == 0 { padding } else { line }),
            to: map.as_mut_ptr(),
            stride,
            inputs: w.inputs,
            columns: w.columns,
            before: w.pad,
            after: w.after(),
            zero: crate::halves(zero, zero),
            gaps: four.each_ref().map(gap),
        };
        // SAFETY: `inputs` bytes are read of `columns` pixels of each line, which the caller has checked against the shortest;
        // addresses are those of slices that are borrowed as long as `lines` is, or of the pixel above, which is read again
        // and again. The map is filled as far as `before`, `columns` and `after` go, which is its width.
        unsafe { carafe_winograd_maps(arguments) };
    }
    // The width is two at least.
    let (threes, twos) = match (w.width / 3, w.width % 3) {
        (threes, 2) => (threes, 1),
        (threes, 1) => (threes.wrapping_sub(1), 2),
        (threes, _) => (threes, 0),
    };
    // A turn takes four steps, of two inputs each; of tiles of two pixels, two.
    let steps = [w.inputs / 8, w.inputs / 4].map(|turns| (stride | turns.wrapping_sub(1) << 16) as u32);
    let line = (w.width - 1) * w.out_step + 2;
    let mut at = put.at[0];
    let parameters = channels.as_chunks::<16>().0;
    for (pair, channels) in parameters.iter().enumerate() {
        let pair = Pair::of_fours(weights, 9 * w.inputs, parameters.len(), pair)?;
        // SAFETY: of aligned weights, nine words for every two inputs are read, `step` bytes apart, which are all that a pair
        // has. Kernels have twelve words for every input.
        unsafe {
            let more = crate::halves(pair.more.into(), pair.more.into());
            carafe_winograd_kernels(kernels.as_mut_ptr(), pair.bytes.as_ptr(), w.inputs, pair.step(), more);
        }
        let (mut row, mut out, mut left) = (0, out.get_mut(at..)?, &*maps);
        while row < rows {
            let (map, others) = left.split_at_checked(size)?;
            left = others;
            let two = row + 1 < rows;
            let out_row = if two { w.out_row } else { 0 };
            out.get(out_row..)?.get(..line)?;
            let arguments = WinogradArguments {
                maps: map.as_ptr(),
                kernels: kernels.as_ptr(),
                sums: sums.as_mut_ptr(),
                channels: channels.as_ptr(),
                threes,
                twos,
                out: out.as_mut_ptr(),
                out_step: w.out_step,
                out_row,
                zero_point: i32::from(put.zero_point),
                shift: u32::from(put.shift),
                steps,
                own: [0; 2],
            };
            // SAFETY: tiles are as many as have the width of a row, of which a map has two columns more; kernels have all
            // words of a map for three columns. 16 bytes of channels are read, aligned. Two bytes are written for each
            // pixel of one or two rows, the last of which ends inside `out`. Sums are twelve.
            unsafe { carafe_winograd(arguments) };
            row += 2;
            if row < rows {
                out = out.get_mut(2 * w.out_row..)?;
            }
        }
        at += 2;
    }
    Some(())
}
