//! Depthwise convolutions for cores that multiply 16 int8 at once: the rows that a window needs are interleaved in the
//! scratch memory, so that four taps of a channel are a word, and a window a few words.

use carafe_cpu::gather::{LANES, Lines, WORDS as MOST, Windows};
use carafe_cpu::{HELIUM, Run};

use super::convolution::{ConvRecord, WORDS};
use crate::{Cx, Node, Rows, TensorInfo};

/// Columns that are worth their memory, where fewer do.
const ENOUGH: usize = 24;

/// How a node is made.
#[derive(Clone, Copy)]
struct Way {
    /// Kernel rows by four, or, of vertical windows, 1.
    groups: usize,
    /// Words of a window.
    words: usize,
    /// Columns of one window, and of all windows of a row.
    columns: [usize; 2],
    /// Columns of pixels that are one wide: rows are taken for columns, since there are more of them.
    vertical: bool,
}

impl Way {
    /// `None` if [`produce`] does not make this node.
    #[inline(never)]
    fn of(node: &Node<'_>, r: &ConvRecord) -> Option<Self> {
        let (x, y) = (&node.in0, &node.out);
        if r.packing != WORDS || x.c % 4 != 0 || x.unsigned() || r.shift < 0 {
            return None;
        }
        let (groups, words) = (usize::from(r.kernel_h).div_ceil(4), r.words());
        let unpadded =
            r.pad_top == 0 && r.windows().tap(0, y.h.checked_sub(1)?, r.kernel_h.checked_sub(1)?, x.h).is_some();
        if x.w == 1 && r.kernel_w == 1 && r.pad_left == 0 && r.dilation_h == 1 && unpadded {
            let one = 4 * (words - 1) + 1;
            let all = one + usize::from(y.h.checked_sub(1)?) * usize::from(r.stride_h);
            return Some(Self { groups: 1, words, columns: [one, all], vertical: true });
        }
        let one = usize::from(r.kernel_w.checked_sub(1)?) * usize::from(r.dilation_w) + 1;
        let all = one + usize::from(y.w.checked_sub(1)?) * usize::from(r.stride_w);
        Some(Self { groups, words, columns: [one, all], vertical: false })
    }

    /// Of vertical windows: row by row, which takes less scratch.
    fn by_row(self) -> Self {
        Self { groups: self.words, columns: [1; 2], vertical: false, ..self }
    }

    /// Scratch that is worth its memory, and the least; what aligning may cost included.
    fn scratch(&self) -> [usize; 2] {
        let [least, most] = self.columns;
        [most.min(least.max(ENOUGH)), least].map(|columns| 4 * columns * self.groups * LANES + 4)
    }
}

/// Scratch that [`produce`] takes; it makes do with less.
pub(super) fn scratch(node: &Node<'_>, r: &ConvRecord) -> u32 {
    Way::of(node, r).map_or(0, |way| way.scratch()[0] as u32)
}

/// True if [`produce`] makes this step. The parameters of channels are aligned as the weights are.
pub(super) fn serves(cx: &Cx<'_>, r: &ConvRecord, weights: &[u8]) -> bool {
    HELIUM && weights.as_ptr().addr().is_multiple_of(4) && fits(cx.node, r, cx.scratch.len())
}

/// True if [`produce`] makes this node with so many bytes of scratch.
pub(super) fn fits(node: &Node<'_>, r: &ConvRecord, bytes: usize) -> bool {
    Way::of(node, r).is_some_and(|way| bytes >= way.scratch()[1])
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
    let mut way = Way::of(cx.node, r)?;
    let (top, bottom) = (y0 * u16::from(r.stride_h), (y1 - 1) * u16::from(r.stride_h) + u16::from(r.kernel_h));
    if way.vertical && rows.band(top, bottom).is_none() {
        way = way.by_row();
    }
    let words = carafe_cpu::words(cx.scratch);
    // A row is made in pieces, if columns are few.
    let [one, all] = way.columns;
    let room = words.len().checked_div(way.groups * LANES)?.min(all);
    let stride = usize::from(if way.vertical { r.stride_h } else { r.stride_w });
    let at_once = 1 + room.checked_sub(one)?.checked_div(stride)?;
    let mut windows = Windows { words: way.words, at: [0; MOST] };
    for (word, at) in windows.at.iter_mut().enumerate().take(way.words) {
        let kernel_w = usize::from(r.kernel_w);
        let (group, column) = (word.checked_div(kernel_w)?, word.checked_rem(kernel_w)?);
        let column = if way.vertical { 4 * word } else { group * room + column * usize::from(r.dilation_w) };
        *at = (column * LANES) as u32;
    }
    let out_step = cx.out.pixel_stride().max(1);
    let mut run = Run { pixels: 0, step: stride * LANES, out_step, zero_point: y.zero_point, shift: r.shift as u8 };
    let padding = [x.zero_point as u8; LANES];
    let (many, end) = if way.vertical { (usize::from(y1 - y0), y0 + 1) } else { (usize::from(y.w), y1) };
    let mut lines = Lines::new(usize::from(x.c));
    for oy in y0..end {
        let mut made = 0;
        while made < many {
            run.pixels = at_once.min(many - made);
            let columns = (run.pixels - 1) * stride + one;
            lines.clear();
            if way.vertical {
                let first = usize::from(top) + made * stride;
                vertical(&mut lines, rows, r, (first, columns), &padding)?;
            } else {
                let first = (made * stride) as i32 - i32::from(r.pad_left);
                horizontal(&mut lines, words, (x, rows), r, (oy, first, columns, room), &padding)?;
            }
            let at = cx.out.byte(oy)? + made * out_step;
            let out = cx.out.bytes().get_mut(at..)?;
            carafe_cpu::gather::depthwise(&mut lines, &windows, weights, channels, &run, words, out)?;
            if (r.lo, r.hi) != (i8::MIN, i8::MAX) {
                for pixel in out.chunks_mut(out_step.max(1)).take(run.pixels) {
                    carafe_cpu::clamp(pixel.get_mut(..usize::from(x.c))?, r.lo, r.hi);
                }
            }
            made += run.pixels;
        }
    }
    Some(())
}

/// The lines of output row `oy`: its kernel rows, of `columns` columns from `first` on. Columns left and right of the operand
/// are padding, and so are rows above and below.
#[inline(never)]
fn horizontal<'a>(
    lines: &mut Lines<'a>,
    words: &mut [u32],
    (x, rows): (&TensorInfo, &Rows<'a>),
    r: &ConvRecord,
    (oy, first, columns, room): (u16, i32, usize, usize),
    padding: &'a [u8],
) -> Option<()> {
    let left = (-first).max(0).min(columns as i32);
    let inside = ((i32::from(x.w) - first).max(left).min(columns as i32) - left) as usize;
    let (from, left, stride) = ((first + left) as usize, left as usize, rows.pixel_stride());
    for ky in 0..r.kernel_h {
        let (group, k) = (usize::from(ky / 4), usize::from(ky % 4));
        if k == 0 {
            let to = words.get_mut(group * room * LANES..)?.get_mut(..columns * LANES)?;
            let (begin, rest) = to.split_at_mut_checked(left * LANES)?;
            let end = rest.get_mut(inside * LANES..)?;
            for edge in [begin, end] {
                if !edge.is_empty() {
                    carafe_cpu::fill(carafe_cpu::bytes(edge), x.zero_point as u8);
                }
            }
            if inside == 0 {
                continue;
            }
            lines.group((group * room + left) * LANES, inside, padding)?;
            if r.kernel_h - ky == 3 {
                lines.of_three();
            }
        }
        if inside > 0
            && let Some(y) = r.windows().tap(0, oy, ky, x.h)
        {
            lines.line(k, rows.row(y)?.get(from * stride..)?, stride)?;
        }
    }
    Some(())
}

/// The lines of `columns` rows from `first` on: each with the three after it. What is behind the last window's last row meets
/// weights of zero.
#[inline(never)]
fn vertical<'a>(
    lines: &mut Lines<'a>,
    rows: &Rows<'a>,
    r: &ConvRecord,
    (first, columns): (usize, usize),
    padding: &'a [u8],
) -> Option<()> {
    let taps = usize::from(r.kernel_h);
    // Rows up to the end of the last window.
    let there = columns - (4 * (taps.div_ceil(4) - 1) + 1) + taps;
    let (from, stride) = (first as u16, rows.row_stride());
    let band = rows.band(from, from + there as u16)?;
    // Columns whose four rows are all there; then those that lack some, one by one.
    let whole = (there + 1).checked_sub(4).filter(|&whole| whole > 0);
    let mut column = 0;
    while column < columns {
        let count = match whole {
            Some(whole) if column == 0 => whole.min(columns),
            _ => 1,
        };
        lines.group(column * LANES, count, padding)?;
        for k in 0..4.min(there.saturating_sub(column)) {
            lines.line(k, band.get((column + k) * stride..)?, stride)?;
        }
        column += count;
    }
    Some(())
}
