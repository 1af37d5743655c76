//! Depthwise convolutions by kernels of three by three, a few rows at a time: [`carafe_cpu::slide`].

use carafe_cpu::{FAST, Slide, TAPS, Taps};

use super::convolution::{ConvRecord, PLAIN};
use super::loops::{BOUNDED, NARROW, SLIDE};
use crate::{Cx, Node};

/// Scratch that is worth asking for: with more, more rows are made at once, and fewer lines brought twice.
const ENOUGH: usize = 3072;

/// What does not change from row to row. `None` if it is not for this node.
fn describe(node: &Node<'_>, r: &ConvRecord) -> Option<Slide> {
    let (x, y) = (&node.in0, &node.out);
    let fits = [r.kernel_h, r.kernel_w, r.dilation_h, r.dilation_w] == [3, 3, 1, 1]
        && matches!(r.stride_w, 1 | 2)
        && r.shift == 0
        && r.packing == PLAIN
        && x.c == y.c
        && x.c.is_multiple_of(4)
        && !x.unsigned();
    fits.then_some(Slide {
        pixel: usize::from(x.pixel_stride),
        columns: usize::from(x.w),
        pad: usize::from(r.pad_left),
        wide: r.stride_w == 2,
        down: usize::from(r.stride_h),
        zero: x.zero_point,
        tap: usize::from(x.c),
        width: usize::from(y.w),
        rows: 1,
        out_step: usize::from(y.pixel_stride),
        out_row: y.row_stride(),
        zero_point: y.zero_point,
    })
}

/// Bytes for so many rows at once.
fn bytes(s: &Slide, rows: usize) -> usize {
    let lines = s.lines(rows);
    4 * (lines + s.work(lines))
}

/// Rows that `scratch` bytes are enough for, `most` at most.
fn rows(s: &Slide, scratch: usize, most: usize) -> usize {
    let mut rows = 0;
    while rows < most && bytes(s, rows + 1) <= scratch && s.lines(rows + 1) <= TAPS {
        rows += 1;
    }
    rows
}

/// Scratch that [`produce`] takes, and what aligning may cost; 0 if it is not for this node.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, r: &ConvRecord) -> u32 {
    let Some(s) = describe(node, r) else { return 0 };
    let band = rows(&s, ENOUGH, usize::from(node.header.band)).max(1);
    (bytes(&s, band) + 4) as u32
}

/// The loop that [`produce`] takes for this node, with so many bytes of scratch, wherever they begin.
pub(super) fn fits(node: &Node<'_>, r: &ConvRecord, scratch: usize) -> Option<u16> {
    let s = describe(node, r).filter(|s| bytes(s, 1) + 3 <= scratch)?;
    Some(if s.narrow() > 0 { NARROW } else { SLIDE })
}

/// Makes rows `y0..y1`; `None` if it can't, or this is not for it.
#[inline(never)]
pub(super) fn produce<const LOOPS: u16>(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &ConvRecord,
    weights: &[u8],
    channels: &[u8],
) -> Option<()> {
    let mut s = describe(cx.node, r).filter(|_| FAST && carafe_cpu::takes(channels))?;
    let words = carafe_cpu::words(cx.scratch);
    let most = rows(&s, 4 * words.len(), usize::from(y1.saturating_sub(y0)));
    let (windows, operand) = (r.windows(), &cx.inputs[0]);
    let mut oy = y0;
    while oy < y1 {
        s.rows = usize::from(y1 - oy).min(most);
        let count = s.lines(s.rows.checked_sub(1)? + 1);
        let (list, work) = words.split_at_mut_checked(count)?;
        let mut lines = Taps::new(list);
        for line in 0..count {
            // Lines one after the other are taps of a long window.
            match windows.tap(0, oy, line as u8, cx.node.in0.h) {
                Some(y) => lines.push(operand.row(y)?)?,
                None => lines.pad()?,
            }
        }
        let at = cx.out.byte(oy)?;
        let out = cx.out.bytes().get_mut(at..)?;
        let loops = (LOOPS & NARROW != 0, LOOPS & SLIDE != 0);
        carafe_cpu::slide(loops, &lines, &s, work, (weights, channels), out)?;
        if LOOPS & BOUNDED != 0 && (r.lo, r.hi) != (i8::MIN, i8::MAX) {
            for row in 0..s.rows {
                for x in 0..s.width {
                    let pixel = out.get_mut(row * s.out_row + x * s.out_step..)?.get_mut(..s.tap)?;
                    carafe_cpu::clamp(pixel, r.lo, r.hi);
                }
            }
        }
        oy += s.rows as u16;
    }
    Some(())
}
