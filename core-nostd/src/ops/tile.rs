//! Convolutions as matrix products: the windows of three pixels become columns of int16 in the scratch memory, and all
//! channels are made of them at once.

use carafe_cpu::{FAST, PIXELS, Put};

use super::convolution::ConvRecord;
use super::window::Weights;
use crate::{Cx, Node, TensorInfo};

/// Rows of a kernel at most: each takes stack.
const LINES: usize = 12;

/// Scratch that [`produce`] takes: columns, a window of bytes if pixels do not come in words, and what aligning may
/// cost. 0 if it is not for this node.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord) -> u32 {
    if !weights.pairs || node.out.c < 2 || usize::from(r.kernel_h) > LINES || r.shift < 0 {
        return 0;
    }
    let bytes = if in_words(&node.in0) { 0 } else { weights.per_channel };
    (2 * PIXELS * weights.per_channel + bytes + 4) as u32
}

/// True if [`produce`] makes this step.
pub(super) fn serves(cx: &Cx<'_>, weights: &Weights<'_>, r: &ConvRecord) -> bool {
    let scratch = scratch(cx.node, weights, r);
    FAST && scratch > 0 && cx.scratch.len() >= scratch as usize
}

/// What a column is made of.
struct Columns<'a> {
    x: &'a TensorInfo,
    r: &'a ConvRecord,
    /// Bytes from pixel to pixel of the operand.
    stride: usize,
    /// Pixels that lie next to each other are one run of taps.
    joined: bool,
    /// Two inputs a word, those of the three pixels in turn.
    words: &'a mut [u32],
    /// A window's bytes, if pixels do not come in words.
    window: &'a mut [u8],
}

impl Columns<'_> {
    /// Makes the column of output pixel `ox` in a row whose window has `lines` (`None`: padding).
    #[inline(never)]
    fn fill(&mut self, slot: usize, ox: u16, lines: &[Option<&[u8]>]) -> Option<()> {
        let (x, ic) = (self.x, usize::from(self.x.c));
        let run = usize::from(self.r.kernel_w) * ic;
        let first = i32::from(ox) * i32::from(self.r.stride_w) - i32::from(self.r.pad_left);
        let inside = self.joined && first >= 0 && first + i32::from(self.r.kernel_w) <= i32::from(x.w);
        if inside {
            let place = (first as usize * ic, run);
            let done = if self.window.is_empty() {
                carafe_cpu::widen_lines(self.words.get_mut(slot..)?, lines, place, x.unsigned())
            } else {
                carafe_cpu::copy_lines(self.window, lines, place)
            };
            if done.is_some() {
                return self.widen(slot);
            }
        }
        let mut to = Fill {
            column: self.words.get_mut(slot..)?,
            window: &mut *self.window,
            unsigned: x.unsigned(),
            zero_point: x.zero_point,
        };
        for line in lines {
            let Some(line) = line else {
                to.pad(run)?;
                continue;
            };
            if inside {
                to.take(line.get(first as usize * ic..)?.get(..run)?)?;
                continue;
            }
            let mut ix = first;
            for _ in 0..self.r.kernel_w {
                if (0..i32::from(x.w)).contains(&ix) {
                    to.take(line.get(ix as usize * self.stride..)?.get(..ic)?)?;
                } else {
                    to.pad(ic)?;
                }
                ix += i32::from(self.r.dilation_w);
            }
        }
        self.widen(slot)
    }

    /// Widens a window.
    #[inline]
    fn widen(&mut self, slot: usize) -> Option<()> {
        if !self.window.is_empty() {
            carafe_cpu::widen(self.words.get_mut(slot..)?, self.window, self.x.unsigned());
        }
        Some(())
    }
}

/// The rest of a column, or of a window.
struct Fill<'a> {
    column: &'a mut [u32],
    window: &'a mut [u8],
    unsigned: bool,
    zero_point: i8,
}

impl Fill<'_> {
    /// The next inputs.
    #[inline(always)]
    fn take(&mut self, from: &[u8]) -> Option<()> {
        if self.window.is_empty() {
            carafe_cpu::widen(self.column, from, self.unsigned);
        } else {
            carafe_cpu::copy(self.window, from);
        }
        self.skip(from.len())
    }

    /// Inputs that lie in the padding.
    #[inline(never)]
    fn pad(&mut self, n: usize) -> Option<()> {
        if self.window.is_empty() {
            let zero = carafe_cpu::element(self.zero_point as u8, self.unsigned);
            let words = self.column.iter_mut().step_by(PIXELS).take(n / 2);
            words.for_each(|to| *to = carafe_cpu::halves(zero, zero));
        } else {
            carafe_cpu::fill(self.window.get_mut(..n)?, self.zero_point as u8);
        }
        self.skip(n)
    }

    #[inline(always)]
    fn skip(&mut self, n: usize) -> Option<()> {
        if self.window.is_empty() {
            self.column = core::mem::take(&mut self.column).get_mut(n / 2 * PIXELS..).unwrap_or_default();
        } else {
            self.window = core::mem::take(&mut self.window).get_mut(n..)?;
        }
        Some(())
    }
}

/// Makes rows `y0..y1`, but for the last channel of an odd number.
#[inline(never)]
pub(super) fn produce(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &ConvRecord,
    weights: &Weights<'_>,
    channels: &[u8],
) -> Option<()> {
    let (x, y, rows) = (&cx.node.in0, &cx.node.out, &cx.inputs[0]);
    let windows = r.windows();
    let made = usize::from(y.c) & !1;
    if windows.taps() == 1 && (y.h, y.w) == (x.h, x.w) && (y.h, y.w) == (1, 1) && in_words(x) && !x.unsigned() {
        // One pixel alone: a dense layer.
        let put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
        let out = cx.out.row(y0)?.get_mut(..made)?;
        carafe_cpu::dense(rows.row(y0)?, weights.bytes, channels, &put, out)?;
        if (r.lo, r.hi) != (i8::MIN, i8::MAX) {
            carafe_cpu::clamp(out, r.lo, r.hi);
        }
        return Some(());
    }
    let (words, rest) = carafe_cpu::words(cx.scratch).split_at_mut_checked(weights.per_channel / 2 * PIXELS)?;
    let bytes = if in_words(x) { 0 } else { weights.per_channel };
    let window = carafe_cpu::bytes(rest).get_mut(..bytes)?;
    let joined = rows.contiguous() && r.dilation_w == 1;
    let mut columns = Columns { x, r, stride: rows.pixel_stride(), joined, words, window };
    let stride = cx.out.pixel_stride();
    let mut put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    let mut slot = 0;
    for oy in y0..y1 {
        let mut lines = [None; LINES];
        for (ky, line) in (0..r.kernel_h).zip(&mut lines) {
            if let Some(y) = windows.tap(0, oy, ky, x.h) {
                *line = Some(rows.row(y)?);
            }
        }
        let lines = lines.get(..usize::from(r.kernel_h))?;
        let mut at = cx.out.byte(oy)?;
        for ox in 0..y.w {
            columns.fill(slot, ox, lines)?;
            *put.at.get_mut(slot)? = at;
            slot += 1;
            if oy + 1 == y1 && ox + 1 == y.w {
                // The last pixel makes up for what a tile lacks.
                while slot < PIXELS {
                    columns.fill(slot, ox, lines)?;
                    *put.at.get_mut(slot)? = at;
                    slot += 1;
                }
            }
            if slot == PIXELS {
                slot = 0;
                carafe_cpu::tile(columns.words, weights.bytes, channels, &put, cx.out.bytes())?;
                if (r.lo, r.hi) != (i8::MIN, i8::MAX) {
                    for &at in &put.at {
                        let pixel = cx.out.bytes().get_mut(at..)?.get_mut(..made)?;
                        carafe_cpu::clamp(pixel, r.lo, r.hi);
                    }
                }
            }
            at += stride;
        }
    }
    Some(())
}

/// True if every tap begins at a multiple of 4 of a column.
fn in_words(x: &TensorInfo) -> bool {
    x.c.is_multiple_of(4)
}
