//! Depthwise convolutions whose windows move along a row: what their taps are is found out once for all pixels that lie
//! alike, and the weights are widened once per band.

use carafe_cpu::{FAST, Run, Stream, TAPS, Taps};

use super::convolution::{ConvRecord, PLAIN};
use super::loops::BOUNDED;
use crate::{Cx, Node};

/// Channels whose weights are widened at once: more take more scratch, fewer look for taps more often.
const CHANNELS: usize = 64;

/// Scratch that [`produce`] takes: widened weights, addresses of taps, a pixel of padding, and what aligning may cost. 0
/// if it is not for this node.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, r: &ConvRecord) -> u32 {
    let (x, taps) = (&node.in0, r.windows().taps());
    if r.packing != PLAIN || x.c != node.out.c || x.c % 4 != 0 || x.unsigned() || taps > TAPS || r.shift < 0 {
        return 0;
    }
    let channels = usize::from(x.c).min(CHANNELS);
    (channels * Stream::group(taps) + 4 * taps.next_multiple_of(2) + channels + 4) as u32
}

/// True if [`produce`] makes this step.
pub(super) fn serves(cx: &Cx<'_>, r: &ConvRecord) -> bool {
    FAST && fits(cx.node, r, cx.scratch.len())
}

/// True if [`produce`] makes this node with so many bytes of scratch.
pub(super) fn fits(node: &Node<'_>, r: &ConvRecord, bytes: usize) -> bool {
    let scratch = scratch(node, r) as usize;
    scratch > 0 && bytes >= scratch
}

/// Makes rows `y0..y1`.
#[inline(never)]
pub(super) fn produce<const LOOPS: u16>(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &ConvRecord,
    weights: &[u8],
    channels: &[u8],
) -> Option<()> {
    let (x, y, rows) = (&cx.node.in0, &cx.node.out, &cx.inputs[0]);
    let (windows, c) = (r.windows(), usize::from(x.c));
    let taps = windows.taps();
    let at_once = c.min(CHANNELS);
    let column = column(cx, (y0, y1), r);
    let words = carafe_cpu::words(cx.scratch);
    let (list, words) = words.split_at_mut_checked(taps.next_multiple_of(2))?;
    let (stream, padding) = words.split_at_mut_checked(at_once / 4 * Stream::group(taps))?;
    let padding = carafe_cpu::bytes(padding).get_mut(..at_once)?;
    carafe_cpu::fill(padding, x.zero_point as u8);

    let (step, out_step) = (usize::from(r.stride_w) * rows.pixel_stride(), cx.out.pixel_stride());
    let extent = (i32::from(r.kernel_w) - 1) * i32::from(r.dilation_w) + 1;
    let mut taps_at = Taps::new(list);
    let mut from = 0;
    while from < c {
        let channels = channels.get(8 * from..)?;
        let channels = channels.get(..8 * at_once).unwrap_or(channels);
        let stream = Stream::prepare(stream, weights.get(from..)?, (c, taps), channels)?;
        let mut run = Run { pixels: 0, step, out_step, zero_point: y.zero_point, shift: r.shift as u8 };
        if let Some(column) = column {
            taps_at.clear();
            for ky in 0..usize::from(r.kernel_h) {
                let at = ky * usize::from(r.dilation_h) * rows.pixel_stride();
                taps_at.push(column.get(at..)?.get(from..)?)?;
            }
            (run.pixels, run.step) = (usize::from(y1 - y0), usize::from(r.stride_h) * rows.pixel_stride());
            let at = cx.out.byte(y0)?;
            let out = cx.out.bytes().get_mut(at..)?.get_mut(from..)?;
            make::<LOOPS>(&stream, &mut taps_at, &run, r, out)?;
            from += at_once;
            continue;
        }
        for oy in y0..y1 {
            let mut ox = 0;
            while ox < y.w {
                // Windows inside the operand lie alike; the others are made one by one.
                run.pixels = 1;
                let first = i32::from(ox) * i32::from(r.stride_w) - i32::from(r.pad_left);
                let left = i32::from(x.w) - extent - first;
                if first >= 0 && left >= 0 {
                    let more = (left as u32).checked_div(u32::from(r.stride_w)).unwrap_or(0);
                    run.pixels += more.min(u32::from(y.w - 1 - ox)) as usize;
                }
                taps_at.clear();
                for ky in 0..r.kernel_h {
                    let line = match windows.tap(0, oy, ky, x.h) {
                        Some(y) => Some(rows.row(y)?),
                        None => None,
                    };
                    let mut ix = first;
                    for _ in 0..r.kernel_w {
                        let inside = line.filter(|_| (0..i32::from(x.w)).contains(&ix));
                        taps_at.push(match inside {
                            Some(line) => line.get(ix as usize * rows.pixel_stride() + from..)?,
                            None => padding,
                        })?;
                        ix += i32::from(r.dilation_w);
                    }
                }
                let rows_of_padding = taps_at.room() < (run.pixels - 1) * step + stream.channels();
                if rows_of_padding {
                    run.pixels = 1;
                }
                let at = cx.out.byte(oy)? + usize::from(ox) * out_step + from;
                let out = cx.out.bytes().get_mut(at..)?;
                make::<LOOPS>(&stream, &mut taps_at, &run, r, out)?;
                ox += run.pixels as u16;
            }
        }
        from += at_once;
    }
    Some(())
}

/// Makes a run of pixels, within the bounds of the layer.
#[inline(never)]
fn make<const LOOPS: u16>(
    stream: &Stream<'_>,
    taps: &mut Taps<'_, '_>,
    run: &Run,
    r: &ConvRecord,
    out: &mut [u8],
) -> Option<()> {
    stream.run(taps, run, out)?;
    if LOOPS & BOUNDED != 0 && (r.lo, r.hi) != (i8::MIN, i8::MAX) {
        for pixel in out.chunks_mut(run.out_step.max(1)).take(run.pixels) {
            carafe_cpu::clamp(pixel.get_mut(..stream.channels())?, r.lo, r.hi);
        }
    }
    Some(())
}

/// The rows that a band reads, where rows are single pixels that lie next to each other and windows do not touch the
/// padding: along a sequence, what is down for others is across.
fn column<'a>(cx: &Cx<'a>, (y0, y1): (u16, u16), r: &ConvRecord) -> Option<&'a [u8]> {
    let (x, windows) = (&cx.node.in0, r.windows());
    let alone = (x.w, cx.node.out.w, r.kernel_w, r.pad_left) == (1, 1, 1, 0);
    let first = windows.tap(0, y0, 0, x.h).filter(|_| alone)?;
    let last = windows.tap(0, y1.checked_sub(1)?, r.kernel_h.checked_sub(1)?, x.h)?;
    cx.inputs[0].band(first, last + 1)
}
