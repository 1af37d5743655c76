//! Convolutions for cores that multiply 16 int8 at once: weights and elements as they are, all pixels of a row by a few
//! channels at a time.
//!
//! 1×1 kernels read the operand where it lies. For others, columns of the rows that a window needs are put one behind the
//! other in the scratch memory: then a window is one piece, and the next one begins `stride_w` columns further on.

use carafe_cpu::{CHANNELS, Copied, HELIUM, Pixels, Rescale};

use super::convolution::ConvRecord;
use super::window::Weights;
use crate::{Cx, Node, Rows, TensorInfo};

/// Bytes of columns that are worth their memory, where fewer do.
const ENOUGH: usize = 2048;

/// How a node is made.
#[derive(Clone, Copy)]
struct Way {
    /// Bytes of a column; 0 if pixels are read where they lie.
    column: usize,
    /// Columns of one window, and of all windows of a row.
    columns: [usize; 2],
    /// Bytes of channel parameters of its own, if elements are unsigned.
    channels: usize,
}

impl Way {
    /// `None` if [`produce`] does not make this node.
    #[inline(never)]
    fn of(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord) -> Option<Self> {
        let (x, y) = (&node.in0, &node.out);
        let line = r.kernel_h == 1 || r.kernel_w == 1;
        if weights.pairs()
            || weights.quads()
            || !(weights.columns() || line)
            || r.dilation_w != 1
            || r.shift < 0
            || usize::from(y.c) < CHANNELS
        {
            return None;
        }
        if r.windows().taps() == 1 && r.pad_left == 0 && r.pad_top == 0 && !x.unsigned() {
            return Some(Self { column: 0, columns: [1; 2], channels: 0 });
        }
        let one = usize::from(r.kernel_w);
        Some(Self {
            column: usize::from(r.kernel_h) * usize::from(x.c),
            columns: [one, one + usize::from(y.w.checked_sub(1)?) * usize::from(r.stride_w)],
            channels: if x.unsigned() { 8 * usize::from(y.c) } else { 0 },
        })
    }

    /// Scratch that is worth its memory, and the least; what aligning may cost included.
    fn scratch(&self) -> [usize; 2] {
        let [least, most] = self.columns.map(|columns| columns * self.column);
        let enough = most.min(least.max(ENOUGH));
        [enough, least].map(|bytes| if bytes == 0 { 0 } else { bytes.next_multiple_of(4) + self.channels + 4 })
    }
}

/// Scratch that [`produce`] takes; it makes do with less.
pub(super) fn scratch(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord) -> u32 {
    Way::of(node, weights, r).map_or(0, |way| way.scratch()[0] as u32)
}

/// True if [`produce`] makes this step.
pub(super) fn serves(cx: &Cx<'_>, weights: &Weights<'_>, r: &ConvRecord) -> bool {
    HELIUM && fits(cx.node, weights, r, cx.scratch.len())
}

/// True if [`produce`] makes this node with so many bytes of scratch.
pub(super) fn fits(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord, bytes: usize) -> bool {
    Way::of(node, weights, r).is_some_and(|way| bytes >= way.scratch()[1])
}

/// Makes rows `y0..y1`.
#[inline(never)]
pub(super) fn produce(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &ConvRecord,
    weights: &Weights<'_>,
    channels: &[u8],
) -> Option<()> {
    let (x, y, rows) = (&cx.node.in0, &cx.node.out, &cx.inputs[0]);
    let way = Way::of(cx.node, weights, r)?;
    let rescale = Rescale { zero_point: y.zero_point, shift: r.shift as u8, lo: r.lo, hi: r.hi };
    let (stride, out_step) = (usize::from(r.stride_w), cx.out.pixel_stride());
    let (w, inputs) = (usize::from(y.w), weights.per_channel);
    if way.column == 0 {
        let step = stride * rows.pixel_stride();
        if (r.stride_h, r.stride_w) == (1, 1)
            && let Some(x) = rows.band(y0, y1)
        {
            // Rows lie behind each other, there as here: all are one.
            let pixels = Pixels { x, step, count: w * usize::from(y1 - y0), inputs };
            let at = cx.out.byte(y0)?;
            return carafe_cpu::product(
                &pixels,
                weights.bytes,
                channels,
                &rescale,
                (cx.out.bytes().get_mut(at..)?, out_step),
            );
        }
        for oy in y0..y1 {
            let x = rows.row(oy.checked_mul(u16::from(r.stride_h))?)?;
            let pixels = Pixels { x, step, count: w, inputs };
            let at = cx.out.byte(oy)?;
            carafe_cpu::product(&pixels, weights.bytes, channels, &rescale, (cx.out.bytes().get_mut(at..)?, out_step))?;
        }
        return Some(());
    }

    let words = carafe_cpu::words(cx.scratch);
    let (own, words) = words.split_at_mut_checked(way.channels / 4)?;
    let channels = if way.channels == 0 { channels } else { signed(own, weights, channels)? };
    let columns = carafe_cpu::bytes(words);
    // A row is made in pieces, if columns are few.
    let [one, all] = way.columns;
    let room = columns.len().checked_div(way.column)?.min(all);
    let mut at_once = 1 + room.checked_sub(one)?.checked_div(stride)?;
    if (4..w).contains(&at_once) {
        // Pixels are made by threes.
        at_once -= at_once % 3;
    }
    for oy in y0..y1 {
        let mut from = 0;
        while from < w {
            let count = at_once.min(w - from);
            let piece = columns.get_mut(..((count - 1) * stride + one) * way.column)?;
            fill(piece, (x, rows), r, (oy, (from * stride) as i32 - i32::from(r.pad_left)))?;
            let pixels = Pixels { x: piece, step: stride * way.column, count, inputs };
            let at = cx.out.byte(oy)? + from * out_step;
            carafe_cpu::product(&pixels, weights.bytes, channels, &rescale, (cx.out.bytes().get_mut(at..)?, out_step))?;
            from += count;
        }
    }
    Some(())
}

/// Puts the columns from `first` on of the rows that output row `oy` needs into `to`, as many as there is room for.
#[inline(never)]
fn fill(to: &mut [u8], (x, rows): (&TensorInfo, &Rows<'_>), r: &ConvRecord, (oy, first): (u16, i32)) -> Option<()> {
    let (windows, c, stride) = (r.windows(), usize::from(x.c), rows.pixel_stride());
    let column = usize::from(r.kernel_h) * c;
    let flip = x.unsigned();
    let zero = x.zero_point as u8 ^ if flip { 0x80 } else { 0 };
    let columns = to.len().checked_div(column)? as i32;
    // Those left and right of the operand are padding, and so are rows above and below.
    let left = (-first).max(0).min(columns);
    let inside = (i32::from(x.w) - first).max(left).min(columns) - left;
    let (begin, rest) = to.split_at_mut_checked(left as usize * column)?;
    let (middle, end) = rest.split_at_mut_checked(inside as usize * column)?;
    for edge in [begin, end] {
        if !edge.is_empty() {
            carafe_cpu::fill(edge, zero);
        }
    }
    let mut copied = Copied { count: inside as usize, channels: c, step: stride, to_step: column, flip };
    for ky in 0..r.kernel_h {
        let Some(to) = middle.get_mut(usize::from(ky) * c..).filter(|_| inside > 0) else { break };
        match windows.tap(0, oy, ky, x.h) {
            Some(y) => {
                copied.step = stride;
                let line = rows.row(y)?.get((first + left) as usize * stride..)?;
                carafe_cpu::copy_pixels(to, line, &copied)?;
            }
            None => {
                // Padding like any other, a pixel of it at a time.
                for pixel in to.chunks_mut(column.max(1)) {
                    carafe_cpu::fill(pixel.get_mut(..c)?, zero);
                }
            }
        }
    }
    Some(())
}

/// Parameters of the channels for elements less by 128: what that takes away from the sums is added to the biases.
fn signed<'a>(to: &'a mut [u32], weights: &Weights<'_>, channels: &[u8]) -> Option<&'a [u8]> {
    let to = carafe_cpu::bytes(to);
    let rows = weights.bytes.chunks_exact(weights.per_channel.max(1));
    for ((to, channel), row) in to.as_chunks_mut::<8>().0.iter_mut().zip(channels.as_chunks::<8>().0).zip(rows) {
        let &[b0, b1, b2, b3, m0, m1, m2, m3] = channel;
        let bias = i32::from_le_bytes([b0, b1, b2, b3]).wrapping_add(carafe_cpu::sum(row).wrapping_mul(128));
        let [b0, b1, b2, b3] = bias.to_le_bytes();
        *to = [b0, b1, b2, b3, m0, m1, m2, m3];
    }
    Some(to)
}
