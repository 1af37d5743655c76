//! Convolutions by kernels of three by three at stride one, two rows at a time: [`carafe_cpu::winograd`].

use carafe_cpu::{PIXELS, Put, TAPS, Taps, Winograd};

use super::convolution::{ConvRecord, FOURS};
use super::loops::BOUNDED;
use crate::{Cx, Node};

/// Channels of a result for which it pays to make maps of the operand.
const CHANNELS: u16 = 8;

/// What does not change from row to row. `None` if it is not for this node.
fn describe(node: &Node<'_>, r: &ConvRecord) -> Option<Winograd> {
    let (x, y) = (&node.in0, &node.out);
    let fits = [r.kernel_h, r.kernel_w, r.stride_h, r.stride_w, r.dilation_h, r.dilation_w] == [3, 3, 1, 1, 1, 1]
        && r.packing == FOURS
        && r.shift >= 0
        && !x.unsigned()
        && y.c >= CHANNELS;
    let (width, pad) = (usize::from(y.w), usize::from(r.pad_left));
    let w = Winograd {
        inputs: usize::from(x.c),
        pixel: usize::from(x.pixel_stride),
        columns: usize::from(x.w).min((width + 2).saturating_sub(pad)),
        pad,
        zero: x.zero_point,
        width,
        out_step: usize::from(y.pixel_stride),
        out_row: y.row_stride(),
    };
    (fits && w.fits()).then_some(w)
}

/// Bytes for so many maps at once.
fn bytes(w: &Winograd, maps: usize) -> usize {
    4 * (Winograd::lines(maps) + w.work(maps))
}

/// Scratch with which so many maps are made at once, and what aligning may cost. 0 if the node has no use for them.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, r: &ConvRecord, maps: usize) -> u32 {
    let most = usize::from(node.header.band.max(1)).div_ceil(2);
    match describe(node, r) {
        Some(w) if maps > 0 && maps <= most && Winograd::lines(maps) <= TAPS => (bytes(&w, maps) + 4) as u32,
        _ => 0,
    }
}

/// Scratch for as many maps as a band has.
pub(super) fn most(node: &Node<'_>, r: &ConvRecord) -> u32 {
    scratch(node, r, usize::from(node.header.band.max(1)).div_ceil(2).min(TAPS / 2 - 1))
}

/// True if [`produce`] makes this node with so many bytes of scratch, wherever they begin.
pub(super) fn fits(node: &Node<'_>, r: &ConvRecord, scratch: usize) -> bool {
    describe(node, r).is_some_and(|w| bytes(&w, 1) + 3 <= scratch)
}

/// Maps at once with so many bytes of scratch, wherever they begin.
pub(super) fn within(node: &Node<'_>, r: &ConvRecord, scratch: usize) -> usize {
    describe(node, r).map_or(0, |w| w.maps(scratch.saturating_sub(3) / 4))
}

/// Makes rows `y0..y1`, but for the last channel of an odd number; none if there is not enough scratch, or this is not for it.
/// Gives the channels that are made.
pub(super) fn produce<const LOOPS: u16>(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &ConvRecord,
    weights: &[u8],
    channels: &[u8],
) -> Option<usize> {
    let Some(w) = describe(cx.node, r).filter(|_| carafe_cpu::takes(weights) && carafe_cpu::takes(channels)) else {
        return Some(0);
    };
    let words = carafe_cpu::words(cx.scratch);
    let most = 2 * w.maps(words.len()).min(TAPS / 2 - 1);
    if most == 0 {
        return Some(0);
    }
    let (windows, operand, y) = (r.windows(), &cx.inputs[0], &cx.node.out);
    let mut put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    let mut oy = y0;
    while oy < y1 {
        let rows = usize::from(y1 - oy).min(most);
        let count = Winograd::lines(rows.checked_sub(1)?.wrapping_add(2) / 2);
        let (list, work) = words.split_at_mut_checked(count)?;
        let mut lines = Taps::new(list);
        for line in 0..count {
            // Lines one after the other are taps of a long window. Of an odd number of rows, nothing is made of the last line.
            match windows.tap(0, oy, line as u8, cx.node.in0.h).filter(|_| line < rows + 2) {
                Some(y) => lines.push(operand.row(y)?)?,
                None => lines.pad()?,
            }
        }
        put.at[0] = cx.out.byte(oy)?;
        carafe_cpu::winograd(&lines, &w, rows, work, (weights, channels), &put, cx.out.bytes())?;
        oy += rows as u16;
    }
    if LOOPS & BOUNDED != 0 && (r.lo, r.hi) != (i8::MIN, i8::MAX) {
        cx.out.each((y0, y1), true, &mut |_, _, pixels| {
            carafe_cpu::clamp(pixels, r.lo, r.hi);
            Some(())
        })?;
    }
    Some(usize::from(y.c & !1))
}
