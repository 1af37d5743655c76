//! Convolutions as matrix products: the windows of two pixels become columns of int16 in the scratch memory, and all
//! channels are made of them at once.

use carafe_cpu::{Alike, FAST, PIXELS, Put, TAPS, Taps, Work};

use super::convolution::{ConvRecord, FOURS, PAIRS};
use super::loops::{BOUNDED, NARROW};
use super::window::{Weights, Windows};
use crate::{Cx, Node, Rows, TensorInfo};

/// Scratch that [`produce`] takes: addresses of lines, columns, windows of bytes if lines do not come in words, and what
/// aligning may cost. 0 if it is not for this node.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord) -> u32 {
    if !takes(node, r) {
        return 0;
    }
    let lines = 4 * usize::from(r.kernel_h);
    let (windows, padded) = (windows(&node.in0, weights, r), padded_lines(node, r) * padded_line(node, r));
    // Wherever it begins, words are as many as there would be.
    ((lines + 2 * PIXELS * weights.per_channel + windows + padded).next_multiple_of(4) + 4) as u32
}

/// Bytes of padded lines that are worth copying, so that no window of a narrow row reaches into the padding.
const ENOUGH: usize = 256;

/// Bytes of a line with the padding of all windows of a row; 0 if lines are not copied.
fn padded_line(node: &Node<'_>, r: &ConvRecord) -> usize {
    let (x, y) = (&node.in0, &node.out);
    let across = (usize::from(y.w).wrapping_sub(1)).wrapping_mul(usize::from(r.stride_w));
    let line = across.wrapping_add(usize::from(r.kernel_w)).wrapping_mul(usize::from(x.c));
    let fits = line.saturating_mul(usize::from(r.kernel_h)) <= ENOUGH && r.pad_left < r.kernel_w;
    let padded = r.kernel_w > 1 && r.dilation_w == 1 && x.pixel_stride == x.c && y.w > 1;
    if padded && fits { line } else { 0 }
}

/// True if lines are copied.
pub(super) fn copies(node: &Node<'_>, r: &ConvRecord) -> bool {
    padded_line(node, r) > 0
}

/// True if tiles are two pixels one below the other, where lines are copied: of a row of an odd number, one would be alone.
fn is_stacked(node: &Node<'_>, r: &ConvRecord) -> bool {
    node.out.w % 2 == 1 && r.dilation_h == 1 && r.stride_h <= r.kernel_h
}

/// Padded lines that are there at once.
fn padded_lines(node: &Node<'_>, r: &ConvRecord) -> usize {
    usize::from(r.kernel_h) + if is_stacked(node, r) { usize::from(r.stride_h) } else { 0 }
}

/// Copies a line of the operand between its padding.
#[inline(never)]
fn pad_line(to: &mut [u8], line: Option<&[u8]>, before: usize, zero: u8) -> Option<()> {
    let Some(line) = line else {
        carafe_cpu::fill(to, zero);
        return Some(());
    };
    // The windows may leave out the end of the line.
    let (left, rest) = to.split_at_mut_checked(before)?;
    let (middle, right) = rest.split_at_mut_checked(line.len().min(rest.len()))?;
    carafe_cpu::fill(left, zero);
    carafe_cpu::copy(middle, line);
    carafe_cpu::fill(right, zero);
    Some(())
}

/// True if [`produce`] takes scratch.
fn takes(node: &Node<'_>, r: &ConvRecord) -> bool {
    r.packing == FOURS && node.out.c >= 2 && usize::from(r.kernel_h) <= TAPS && r.shift >= 0
}

/// Bytes of windows: none where every tap comes in words, one for the border where every line does.
fn windows(x: &TensorInfo, weights: &Weights<'_>, r: &ConvRecord) -> usize {
    let line = u32::from(r.kernel_w) * u32::from(x.c);
    weights.per_channel
        * match () {
            () if in_words(x) => 0,
            () if line.is_multiple_of(4) => 1,
            () => PIXELS,
        }
}

/// True if [`produce`] makes this step.
pub(super) fn serves(cx: &Cx<'_>, weights: &Weights<'_>, r: &ConvRecord) -> bool {
    FAST && fits(cx.node, weights, r, cx.scratch.len())
}

/// True if [`produce`] makes this node with so many bytes of scratch.
pub(super) fn fits(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord, bytes: usize) -> bool {
    let scratch = scratch(node, weights, r) as usize;
    scratch > 0 && bytes >= scratch
}

/// True of one pixel of words, with one tap: a dense layer, and packed as those are.
pub(super) fn is_alone(node: &Node<'_>, r: &ConvRecord) -> bool {
    let (x, y, windows) = (&node.in0, &node.out, r.windows());
    let one = (windows.taps(), windows.pad) == (1, [0; 2]) && (x.h, x.w, y.h, y.w) == (1, 1, 1, 1);
    one && in_words(x) && !x.unsigned() && r.packing == PAIRS && r.shift >= 0
}

/// Makes the pixel of a row that is alone, but for the last channel of an odd number.
#[inline]
pub(super) fn alone<const LOOPS: u16>(
    cx: &mut Cx<'_>,
    y0: u16,
    r: &ConvRecord,
    (weights, channels): (&[u8], &[u8]),
) -> Option<()> {
    let put = Put { zero_point: cx.node.out.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    let out = cx.out.row(y0)?.get_mut(..usize::from(cx.node.out.c) & !1)?;
    carafe_cpu::dense(cx.inputs[0].row(y0)?, weights, channels, &put, out)?;
    cut::<LOOPS>(r, out);
    Some(())
}

/// What a column is made of.
struct Columns<'a> {
    x: &'a TensorInfo,
    rows: &'a Rows<'a>,
    windows: Windows,
    /// Two inputs a word, those of the two pixels in turn.
    words: &'a mut [u32],
    /// The bytes of windows, if pixels do not come in words.
    window: &'a mut [u8],
}

impl Columns<'_> {
    /// Makes the column of output row `oy`, pixel `ox`.
    #[inline(never)]
    fn fill(&mut self, slot: usize, oy: u16, ox: u16) -> Option<()> {
        let (ic, unsigned) = (usize::from(self.x.c), self.x.unsigned());
        let mut column = self.words.get_mut(slot..)?;
        let mut window = &mut *self.window;
        let in_words = window.is_empty();
        self.windows.each((self.x, self.rows), (oy, ox), true, &mut |taps| {
            let n = taps.count * ic;
            if in_words {
                match taps.pixels {
                    Some(pixels) => carafe_cpu::widen(column, pixels.get(..n)?, unsigned),
                    None => carafe_cpu::widen_one(column, n / 2, self.x.zero()),
                }
                // Behind the last word of a column, those of the pixels beside it may be missing.
                column = core::mem::take(&mut column).get_mut(n / 2 * PIXELS..).unwrap_or_default();
            } else {
                let (to, rest) = core::mem::take(&mut window).split_at_mut_checked(n)?;
                match taps.pixels {
                    Some(pixels) => carafe_cpu::copy(to, pixels.get(..n)?),
                    None => carafe_cpu::fill(to, self.x.zero_point as u8),
                }
                window = rest;
            }
            Some(())
        })?;
        if !in_words {
            carafe_cpu::widen(self.words.get_mut(slot..)?, self.window, unsigned);
        }
        Some(())
    }
}

/// Of `width` output pixels of a row, the first whose window lies inside `columns` of the operand, and how many do.
#[inline(never)]
fn inside(r: &ConvRecord, columns: u32, width: u32) -> Option<(u32, u32)> {
    let (stride, pad) = (u32::from(r.stride_w), u32::from(r.pad_left));
    let from = pad.checked_add(stride)?.checked_sub(1)?.checked_div(stride)?;
    let left = (columns + pad).checked_sub(from * stride + u32::from(r.kernel_w))?;
    Some((from, left.checked_div(stride)?.saturating_add(1).min(width.checked_sub(from)?)))
}

/// Makes rows `y0..y1`, but for the last channel of an odd number.
#[inline]
pub(super) fn produce<const LOOPS: u16>(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &ConvRecord,
    (weights, channels): (&Weights<'_>, &[u8]),
) -> Option<()> {
    let (x, y, rows) = (&cx.node.in0, &cx.node.out, &cx.inputs[0]);
    let windows = r.windows();
    let made = usize::from(y.c) & !1;
    let put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    let (list, words) = carafe_cpu::words(cx.scratch).split_at_mut_checked(usize::from(r.kernel_h))?;
    let (column, rest) = words.split_at_mut_checked(weights.per_channel / 2 * PIXELS)?;
    let (window, padded) = carafe_cpu::bytes(rest).split_at_mut_checked(self::windows(x, weights, r))?;
    let (line, pixel) = (if LOOPS & NARROW != 0 { padded_line(cx.node, r) } else { 0 }, usize::from(x.c));
    let joined = rows.contiguous() && r.dilation_w == 1;
    let step = cx.out.pixel_stride();
    // Windows of one tap that lie next to each other do so beyond the ends of rows, if none of them is padding.
    let flat = joined && windows.is_pixel() && y.w == x.w && y.h <= x.h && cx.out.contiguous();
    let mut alike = Alike {
        run: usize::from(r.kernel_w) * usize::from(x.c),
        distance: usize::from(r.stride_w) * rows.pixel_stride(),
        unsigned: x.unsigned(),
        zero: x.zero(),
        tiles: 0,
        odd: false,
        out_step: step,
        below: None,
    };
    let stacked = line > 0 && is_stacked(cx.node, r);
    let words = alike.run.is_multiple_of(4);
    let mut columns = Columns { x, rows, windows, words: column, window };
    // Where the first line of a window lies among those that are copied.
    let mut top = 0;
    let mut product = Product::<LOOPS> { r, weights: weights.bytes, channels, made, put, waiting: 0 };
    // First the tiles of pixels whose windows lie inside, many in one go, then the others, which wait in the columns.
    let mut left = false;
    for alone in [false, true] {
        if alone && !left {
            break;
        }
        let mut oy = y0;
        while oy < y1 {
            let begin = cx.out.byte(oy)?;
            let two = stacked && oy + 1 < y1;
            let end = match () {
                () if flat => rows.rest(oy, y1)?.1,
                () => oy + if two { 2 } else { 1 },
            };
            let width = if two { u32::from(y.w) } else { u32::from(end - oy) * u32::from(y.w) };
            alike.below = match two {
                true => Some([usize::from(r.stride_h) * line, cx.out.byte(oy + 1)?.checked_sub(begin)?]),
                false => None,
            };
            let whole = |ky: u8| words || windows.tap(0, oy, ky, x.h).is_some();
            let (from, count) = match () {
                () if flat || line > 0 => (0, width),
                () if joined && whole(0) && whole(r.kernel_h.wrapping_sub(1)) => {
                    inside(r, u32::from(x.w), width).unwrap_or((0, 0))
                }
                () => (0, 0),
            };
            // What is left over of a row waits with the pixels of its border, if there are some.
            alike = match count == width {
                true => alike.of(width as usize),
                false => Alike { tiles: count as usize / PIXELS, odd: false, ..alike },
            };
            left |= alike.pixels() < width as usize;
            if alone {
                let mut pixel = 0;
                while pixel < width {
                    if pixel == from {
                        pixel += alike.pixels() as u32;
                        if pixel >= width {
                            break;
                        }
                    }
                    let (mut row, mut ox) = (oy, pixel);
                    while ox >= u32::from(y.w) {
                        (row, ox) = (row + 1, ox - u32::from(y.w));
                    }
                    columns.fill(product.waiting, row, ox as u16)?;
                    product.add(begin + pixel as usize * step, columns.words, cx.out.bytes())?;
                    pixel += 1;
                }
            } else if alike.pixels() > 0 {
                let mut taps = Taps::new(list);
                let first = (from * u32::from(r.stride_w)).wrapping_sub(u32::from(r.pad_left));
                if line > 0 {
                    // What the window above had is there already: its first lines give way to the new ones.
                    let (all, down) = (r.kernel_h, r.stride_h);
                    let slides = r.dilation_h == 1 && down < all && !stacked;
                    let first = if slides && oy > y0 { all - down } else { 0 };
                    // Neither exceeds what a window may have.
                    let last = if two { all + down } else { all };
                    let place = |ky: u8| {
                        let slot = usize::from(top) + usize::from(ky);
                        line * if stacked { slot } else { slot.checked_sub(usize::from(all)).unwrap_or(slot) }
                    };
                    for ky in first..last {
                        let row = match windows.tap(0, oy, ky, x.h) {
                            Some(row) => Some(rows.row(row)?),
                            None => None,
                        };
                        let to = padded.get_mut(place(ky)..)?.get_mut(..line)?;
                        pad_line(to, row, usize::from(r.pad_left) * pixel, x.zero_point as u8)?;
                    }
                    // With the line below, if there is one.
                    let room = place(last - all) - place(0) + line;
                    for ky in 0..all {
                        taps.push(padded.get(place(ky)..)?.get(..room)?)?;
                    }
                    if slides {
                        top = if top < all - down { top + down } else { top - (all - down) };
                    }
                }
                for ky in 0..if line > 0 { 0 } else { r.kernel_h } {
                    let Some(row) = windows.tap(0, oy, ky, x.h) else {
                        taps.pad()?;
                        continue;
                    };
                    let line = if flat { rows.rest(row, y1)?.0 } else { rows.row(row)? };
                    taps.push(line.get(first as usize * pixel..)?)?;
                }
                product.put.at[0] = begin + from as usize * step;
                let windows: &mut [u8] = if words { &mut [] } else { columns.window };
                let mut work = Work { columns: columns.words, windows };
                carafe_cpu::tiles(&taps, &alike, &mut work, (weights.bytes, channels), &product.put, cx.out.bytes())?;
                if LOOPS & BOUNDED != 0 && is_bounded(r) {
                    for pixel in 0..alike.pixels() {
                        let at = product.put.at[0] + pixel * step;
                        product.cut(at, cx.out.bytes())?;
                        if let Some([_, below]) = alike.below {
                            product.cut(at + below, cx.out.bytes())?;
                        }
                    }
                }
            }
            oy = end;
        }
    }
    product.make(columns.words, cx.out.bytes())
}

/// True if the layer has bounds.
fn is_bounded(r: &ConvRecord) -> bool {
    (r.lo, r.hi) != (i8::MIN, i8::MAX)
}

/// Cuts channels to the bounds of the layer.
#[inline]
fn cut<const LOOPS: u16>(r: &ConvRecord, out: &mut [u8]) {
    if LOOPS & BOUNDED != 0 && is_bounded(r) {
        carafe_cpu::clamp(out, r.lo, r.hi);
    }
}

/// What becomes of columns.
struct Product<'a, const LOOPS: u16> {
    r: &'a ConvRecord,
    weights: &'a [u8],
    channels: &'a [u8],
    /// Channels that are made.
    made: usize,
    put: Put,
    /// Pixels whose columns are there.
    waiting: usize,
}

impl<const LOOPS: u16> Product<'_, LOOPS> {
    /// Of a further column, whose pixel begins at byte `at`.
    fn add(&mut self, at: usize, columns: &[u32], out: &mut [u8]) -> Option<()> {
        *self.put.at.get_mut(self.waiting)? = at;
        self.waiting += 1;
        if self.waiting == PIXELS { self.make(columns, out) } else { Some(()) }
    }

    /// Makes the pixels that wait.
    #[inline(never)]
    fn make(&mut self, columns: &[u32], out: &mut [u8]) -> Option<()> {
        if self.waiting == 0 {
            return Some(());
        }
        // What a tile lacks goes where its first pixel goes, which is written last.
        let first = self.put.at[0];
        self.put.at.iter_mut().skip(self.waiting).for_each(|at| *at = first);
        self.waiting = 0;
        carafe_cpu::tile(columns, self.weights, self.channels, &self.put, out)?;
        if LOOPS & BOUNDED == 0 {
            return Some(());
        }
        self.put.at.iter().try_for_each(|&at| self.cut(at, out))
    }

    /// Cuts a pixel.
    #[inline]
    fn cut(&self, at: usize, out: &mut [u8]) -> Option<()> {
        cut::<LOOPS>(self.r, out.get_mut(at..)?.get_mut(..self.made)?);
        Some(())
    }
}

/// True if every tap begins at a multiple of 4 of a column.
fn in_words(x: &TensorInfo) -> bool {
    x.c.is_multiple_of(4)
}
