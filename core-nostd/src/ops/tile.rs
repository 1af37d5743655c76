//! Convolutions as matrix products: the windows of three pixels become columns of int16 in the scratch memory, and all
//! channels are made of them at once.

use carafe_cpu::{Alike, FAST, PIXELS, Put, Taps, Work};

use super::convolution::ConvRecord;
use super::window::Weights;
use crate::{Cx, Node, TensorInfo};

/// Rows of a kernel at most: each takes stack.
const LINES: usize = 12;

/// Scratch that [`produce`] takes: addresses of lines, columns, windows of bytes if lines do not come in words, and what
/// aligning may cost. 0 if it is not for this node.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord) -> u32 {
    if !weights.pairs || node.out.c < 2 || usize::from(r.kernel_h) > LINES || r.shift < 0 {
        return 0;
    }
    let lines = 4 * usize::from(r.kernel_h);
    (lines + 2 * PIXELS * weights.per_channel + windows(&node.in0, weights, r) + 4) as u32
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
    let scratch = scratch(cx.node, weights, r);
    FAST && carafe_cpu::takes(weights.bytes) && scratch > 0 && cx.scratch.len() >= scratch as usize
}

/// What a column is made of.
struct Columns<'a> {
    x: &'a TensorInfo,
    r: &'a ConvRecord,
    /// Pixels of a line.
    width: u32,
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
    fn fill(&mut self, slot: usize, ox: u32, lines: &[Option<&[u8]>]) -> Option<()> {
        let (x, ic) = (self.x, usize::from(self.x.c));
        let run = usize::from(self.r.kernel_w) * ic;
        let first = ox as i32 * i32::from(self.r.stride_w) - i32::from(self.r.pad_left);
        let inside = self.joined && first >= 0 && first + i32::from(self.r.kernel_w) <= self.width as i32;
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
                if (0..self.width as i32).contains(&ix) {
                    to.take(line.get(ix as usize * self.stride..)?.get(..ic)?)?;
                } else {
                    to.pad(ic)?;
                }
                ix += i32::from(self.r.dilation_w);
            }
        }
        self.widen(slot)
    }

    /// The first of `width` output pixels whose window lies inside lines, and how many do.
    #[inline(never)]
    fn inside(&self, width: u32) -> (u32, u32) {
        let (stride, pad) = (u32::from(self.r.stride_w), u32::from(self.r.pad_left));
        let inside = || {
            let from = pad.checked_add(stride)?.checked_sub(1)?.checked_div(stride)?;
            let left = (self.width + pad).checked_sub(from * stride + u32::from(self.r.kernel_w))?;
            Some((from, left.checked_div(stride)?.saturating_add(1).min(width.checked_sub(from)?)))
        };
        inside().unwrap_or((0, 0))
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
    let kernel = usize::from(r.kernel_h);
    let (list, words) = carafe_cpu::words(cx.scratch).split_at_mut_checked(kernel)?;
    let (words, rest) = words.split_at_mut_checked(weights.per_channel / 2 * PIXELS)?;
    let bytes = self::windows(x, weights, r);
    let window = carafe_cpu::bytes(rest).get_mut(..bytes)?;
    let joined = rows.contiguous() && r.dilation_w == 1;
    let step = cx.out.pixel_stride();
    // Windows of one tap that lie next to each other do so beyond the ends of rows.
    let flat = joined && windows.taps() == 1 && windows.stride == [1; 2] && y.w == x.w && cx.out.contiguous();
    let mut alike = Alike {
        run: usize::from(r.kernel_w) * usize::from(x.c),
        distance: usize::from(r.stride_w) * rows.pixel_stride(),
        unsigned: x.unsigned(),
        tiles: 0,
        out_step: step,
    };
    let mut columns = Columns { x, r, width: u32::from(x.w), stride: rows.pixel_stride(), joined, words, window };
    let put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    let mut product = Product { r, weights: weights.bytes, channels, made, put, waiting: 0 };
    // First the tiles of pixels whose windows lie inside, many in one go, then the others, which wait in the columns.
    for alone in [false, true] {
        let mut oy = y0;
        while oy < y1 {
            let mut lines = [None; LINES];
            let (mut next, mut width, mut inside) = (oy + 1, u32::from(y.w), joined);
            if flat {
                let (all, end) = rows.rest(oy, y1)?;
                lines[0] = Some(all);
                (next, width) = (end, width * u32::from(end - oy));
                columns.width = width;
            } else {
                for (ky, line) in (0..r.kernel_h).zip(&mut lines) {
                    match windows.tap(0, oy, ky, x.h) {
                        Some(y) => *line = Some(rows.row(y)?),
                        None => inside = false,
                    }
                }
            }
            let lines = lines.get(..kernel)?;
            let begin = cx.out.byte(oy)?;
            oy = next;

            let (from, count) = if inside { columns.inside(width) } else { (0, 0) };
            alike.tiles = count as usize / PIXELS;
            if alone {
                let made = from..from + (alike.tiles * PIXELS) as u32;
                for ox in (0..width).filter(|ox| !made.contains(ox)) {
                    columns.fill(product.waiting, ox, lines)?;
                    product.add(begin + ox as usize * step, columns.words, cx.out.bytes())?;
                }
            } else if alike.tiles > 0 {
                let mut taps = Taps::new(list);
                let first = (from * u32::from(r.stride_w)).wrapping_sub(u32::from(r.pad_left));
                for line in lines {
                    taps.push((*line)?.get(first as usize * usize::from(x.c)..)?)?;
                }
                product.put.at[0] = begin + from as usize * step;
                let windows: &mut [u8] = if alike.run.is_multiple_of(4) { &mut [] } else { columns.window };
                let mut work = Work { columns: columns.words, windows };
                carafe_cpu::tiles(&taps, &alike, &mut work, (weights.bytes, channels), &product.put, cx.out.bytes())?;
                for pixel in 0..alike.tiles * PIXELS {
                    product.cut(product.put.at[0] + pixel * step, cx.out.bytes())?;
                }
            }
        }
    }
    product.make(columns.words, cx.out.bytes())
}

/// What becomes of columns.
struct Product<'a> {
    r: &'a ConvRecord,
    weights: &'a [u8],
    channels: &'a [u8],
    /// Channels that are made.
    made: usize,
    put: Put,
    /// Pixels whose columns are there.
    waiting: usize,
}

impl Product<'_> {
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
        self.put.at.iter().try_for_each(|&at| self.cut(at, out))
    }

    /// Cuts a pixel to the bounds of the layer.
    #[inline]
    fn cut(&self, at: usize, out: &mut [u8]) -> Option<()> {
        if (self.r.lo, self.r.hi) != (i8::MIN, i8::MAX) {
            carafe_cpu::clamp(out.get_mut(at..)?.get_mut(..self.made)?, self.r.lo, self.r.hi);
        }
        Some(())
    }
}

/// True if every tap begins at a multiple of 4 of a column.
fn in_words(x: &TensorInfo) -> bool {
    x.c.is_multiple_of(4)
}
