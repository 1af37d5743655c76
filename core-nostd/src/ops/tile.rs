//! Convolutions as matrix products: the windows of three pixels become columns of int16 in the scratch memory, and all
//! channels are made of them at once.

use carafe_cpu::{FAST, PIXELS, Put};

use super::conv2d::ConvRecord;
use super::window::{Weights, Windows};
use crate::{Cx, Node, Rows, TensorInfo};

/// Rows of a kernel at most.
const LINES: usize = 12;

/// Scratch that [`produce`] takes: columns, a window of bytes if pixels do not come in words, and what aligning may
/// cost. 0 if it is not for this node.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord) -> u32 {
    if !weights.pairs || node.out.c % 2 != 0 || usize::from(r.kernel_h) > LINES || r.shift < 0 {
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
    rows: &'a Rows<'a>,
    r: &'a ConvRecord,
    windows: Windows,
    /// Two inputs a word, those of the three pixels in turn.
    words: &'a mut [u32],
    /// A window's bytes, if pixels do not come in words.
    window: &'a mut [u8],
}

impl Columns<'_> {
    /// Makes the column of output pixel `ox` in a row whose window has `lines` (`None`: padding).
    #[inline(never)]
    fn fill(&mut self, slot: usize, ox: u16, lines: &[Option<&[u8]>]) -> Option<()> {
        let (x, r, ic) = (self.x, self.r, usize::from(self.x.c));
        let run = usize::from(r.kernel_w) * ic;
        let column = self.words.get_mut(slot..)?;
        let mut input = 0;
        let mut place = |from: Option<&[u8]>, n: usize| {
            if self.window.is_empty() {
                let to = column.get_mut(input / 2 * PIXELS..)?;
                match from {
                    Some(from) => carafe_cpu::widen(to, from.get(..n)?, x.unsigned()),
                    None => {
                        let zero = carafe_cpu::halves(x.zero(), x.zero());
                        to.iter_mut().step_by(PIXELS).take(n / 2).for_each(|to| *to = zero);
                    }
                }
            } else {
                let to = self.window.get_mut(input..)?.get_mut(..n)?;
                match from {
                    Some(from) => carafe_cpu::copy(to, from.get(..n)?),
                    None => to.fill(x.zero_point as u8),
                }
            }
            input += n;
            Some(())
        };
        // Pixels that lie next to each other are one run of taps.
        let joined = self.rows.contiguous() && r.dilation_w == 1;
        let first = (u32::from(ox) * u32::from(r.stride_w)).checked_sub(u32::from(r.pad_left));
        let inside = first.filter(|&first| joined && first + u32::from(r.kernel_w) <= u32::from(x.w));
        for line in lines {
            match (line, inside) {
                (None, _) => place(None, run)?,
                (Some(line), Some(first)) => place(Some(line.get(first as usize * ic..)?), run)?,
                (Some(line), None) => {
                    for kx in 0..r.kernel_w {
                        let at = self.windows.tap(1, ox, kx, x.w).map(|ix| usize::from(ix) * self.rows.pixel_stride());
                        let tap = match at {
                            Some(at) => Some(line.get(at..)?),
                            None => None,
                        };
                        place(tap, ic)?;
                    }
                }
            }
        }
        if !self.window.is_empty() {
            carafe_cpu::widen(column, self.window, x.unsigned());
        }
        Some(())
    }
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
    let windows = r.windows();
    let (words, rest) = carafe_cpu::words(cx.scratch).split_at_mut_checked(weights.per_channel / 2 * PIXELS)?;
    let bytes = if in_words(x) { 0 } else { weights.per_channel };
    let window = carafe_cpu::bytes(rest).get_mut(..bytes)?;
    let mut columns = Columns { x, rows, r, windows, words, window };
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
                        let pixel = cx.out.bytes().get_mut(at..)?.get_mut(..usize::from(y.c))?;
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
    x.c % 4 == 0
}
