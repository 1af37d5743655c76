//! Depthwise convolutions made pixel by pixel of a list of taps, for cores with but one multiplication.

use carafe_cpu::{FAST_QUADS, LISTED, Listed, PIXELS, Put};

use super::convolution::{ConvRecord, WORDS};
use crate::{Cx, Node};

/// Scratch that [`produce`] takes: the list, a pixel of padding, and what aligning may cost. 0 if it is not for this node.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, r: &ConvRecord) -> u32 {
    let (x, taps) = (&node.in0, r.windows().taps());
    if x.c != node.out.c || x.unsigned() || taps > LISTED || r.shift < 0 {
        return 0;
    }
    (8 * taps + usize::from(x.c) + 4) as u32
}

/// True if [`produce`] makes this step.
pub(super) fn serves(cx: &Cx<'_>, r: &ConvRecord, channels: &[u8]) -> bool {
    FAST_QUADS && carafe_cpu::takes(channels) && fits(cx.node, r, cx.scratch.len())
}

/// True if [`produce`] makes this node with so many bytes of scratch.
pub(super) fn fits(node: &Node<'_>, r: &ConvRecord, bytes: usize) -> bool {
    let scratch = scratch(node, r) as usize;
    r.packing != WORDS && scratch > 0 && bytes >= scratch
}

/// Makes rows `y0..y1`.
#[inline(never)]
pub(super) fn produce(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &ConvRecord,
    weights: &[u8],
    channels: &[u8],
) -> Option<()> {
    let (x, y, rows) = (&cx.node.in0, &cx.node.out, &cx.inputs[0]);
    let (windows, c) = (r.windows(), usize::from(x.c));
    let (list, padding) = carafe_cpu::words(cx.scratch).split_at_mut_checked(2 * windows.taps())?;
    let padding = carafe_cpu::bytes(padding).get_mut(..c)?;
    carafe_cpu::fill(padding, x.zero_point as u8);
    let padding = &*padding;
    let (stride, out_stride) = (rows.pixel_stride(), cx.out.pixel_stride());
    let extent = (i32::from(r.kernel_w) - 1) * i32::from(r.dilation_w) + 1;
    let put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    let mut taps = Listed::new(list);
    for oy in y0..y1 {
        let mut at = cx.out.byte(oy)?;
        let mut padded = true;
        let mut first = -i32::from(r.pad_left);
        for _ in 0..y.w {
            // Windows inside the operand lie alike, unless a line of padding is among them, which does not move.
            let inside = first >= 0 && first + extent <= i32::from(x.w);
            if inside && !padded {
                taps.advance(usize::from(r.stride_w) * stride)?;
            } else {
                padded = !inside;
                taps.clear();
                let mut weights = weights;
                for ky in 0..r.kernel_h {
                    let line = match windows.tap(0, oy, ky, x.h) {
                        Some(y) => Some(rows.row(y)?),
                        None => None,
                    };
                    padded |= line.is_none();
                    let mut ix = first;
                    for _ in 0..r.kernel_w {
                        let inside = line.filter(|_| (0..i32::from(x.w)).contains(&ix));
                        let tap = match inside {
                            Some(line) => line.get(ix as usize * stride..)?,
                            None => padding,
                        };
                        taps.push(tap, weights)?;
                        weights = weights.get(c..)?;
                        ix += i32::from(r.dilation_w);
                    }
                }
            }
            let out = cx.out.bytes().get_mut(at..)?.get_mut(..c)?;
            taps.run(channels, &put, out)?;
            if (r.lo, r.hi) != (i8::MIN, i8::MAX) {
                carafe_cpu::clamp(out, r.lo, r.hi);
            }
            at += out_stride;
            first += i32::from(r.stride_w);
        }
    }
    Some(())
}
