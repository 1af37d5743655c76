//! Convolutions and dense layers whose weights are packed for cores with but one multiplication: the windows of two
//! pixels of a row become words in the scratch memory ([`carafe_cpu::Quads`]), and all channels are made of them at once.
//!
//! Pixels that both windows have are there once, and where all lines of a window are there at the same time, those that
//! the next two windows have, too, stay.

use core::hint::black_box;

use carafe_cpu::{PIXELS, Put, Quads, fill_quads, move_quads, quad_words, widen_quads};

use super::convolution::{ConvRecord, QUADS, bound};
use super::dense::DenseRecord;
use super::window::{Weights, Windows};
use super::{conv2d, dense};
use crate::arithmetic::{Arithmetic, Native};
use crate::{Cx, Node, Rows, TensorInfo};

/// Inputs of a pixel alone that are widened at once.
const AT_ONCE: usize = 128;

/// Inputs of all lines of two windows that are widened at once, at most.
const WINDOWS: usize = 256;

/// Inputs of a window that is gathered byte by byte, at most.
const GATHERED: usize = 256;

/// Inputs of a window at most.
const LONGEST: usize = 4096;

/// How windows lie in the scratch memory.
struct Plan {
    /// Inputs of a line of a window.
    run: usize,
    /// Inputs from the first window to the second.
    second: usize,
    /// Inputs of a line of both.
    span: usize,
    /// Lines at once.
    lines: usize,
    /// How often it takes that for a window.
    parts: usize,
    /// Windows are gathered as bytes first.
    gathered: bool,
    /// A line is a part of one pixel's channels.
    cut: bool,
    /// Pixels of a line that the next two windows have, too.
    shared: usize,
}

impl Plan {
    /// `None` for a window that is too large.
    #[inline(never)]
    fn of(x: &TensorInfo, per_channel: usize, r: &ConvRecord) -> Option<Self> {
        if per_channel > LONGEST {
            return None;
        }
        let c = usize::from(x.c);
        let [h, w, step] = [r.kernel_h, r.kernel_w, r.stride_w].map(usize::from);
        if c % 4 != 0 || r.dilation_w != 1 {
            let run = per_channel;
            let plan =
                Self { run, second: run, span: 2 * run, lines: 1, parts: 1, gathered: true, cut: false, shared: 0 };
            return (run <= GATHERED).then_some(plan);
        }
        if (h, w) == (1, 1) {
            let run = c.min(AT_ONCE);
            let parts = c.div_ceil(AT_ONCE);
            let (second, span) = (run, 2 * run);
            return Some(Self { run, second, span, lines: 1, parts, gathered: false, cut: true, shared: 0 });
        }
        let second = step.min(w) * c;
        let span = second + w * c;
        let (lines, parts) = if h * span <= WINDOWS { (h, 1) } else { (1, h) };
        let shared = if parts == 1 { w.saturating_sub(step) } else { 0 };
        Some(Self { run: w * c, second, span, lines, parts, gathered: false, cut: false, shared })
    }

    /// Words of inputs.
    fn words(&self) -> usize {
        self.lines * quad_words(self.span)
    }

    /// Words of sums of as many channels.
    fn sums(&self, channels: u16) -> usize {
        if self.parts > 1 { 4 * usize::from(channels / 2) } else { 0 }
    }

    fn scratch(&self, channels: u16) -> u32 {
        let bytes = if self.gathered { self.run } else { 0 };
        (4 * (self.words() + self.sums(channels)) + bytes + 4) as u32
    }
}

/// Scratch that [`convolution`] takes, with what aligning may cost. 0 if it is not for this node.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord) -> u32 {
    if !weights.quads() || node.out.c < 2 || r.shift < 0 {
        return 0;
    }
    Plan::of(&node.in0, weights.per_channel, r).map_or(0, |plan| plan.scratch(node.out.c))
}

/// True if [`convolution`] makes this node with so many bytes of scratch.
pub(super) fn fits(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord, bytes: usize) -> bool {
    let scratch = scratch(node, weights, r) as usize;
    scratch > 0 && bytes >= scratch
}

/// Where inputs come from.
struct Source<'a> {
    x: &'a TensorInfo,
    rows: &'a Rows<'a>,
    r: &'a ConvRecord,
    windows: Windows,
    plan: &'a Plan,
}

/// The windows of a pixel, or of two.
struct Pair {
    /// Row of the result.
    oy: u16,
    pixels: u16,
    /// Column that the first window begins at.
    first: i32,
    /// Those of the two pixels before are there.
    again: bool,
}

impl<'a> Source<'a> {
    /// The row that line `ky` of the windows of row `oy` reads; inner `None`: padding.
    fn line(&self, oy: u16, ky: u8) -> Option<Option<&'a [u8]>> {
        match self.windows.tap(0, oy, ky, self.x.h) {
            Some(y) => Some(Some(self.rows.row(y)?)),
            None => Some(None),
        }
    }

    /// Widens channels `from..from + n` of `pixels` pixels of a line, from column `first` on.
    #[inline(never)]
    fn widen(
        &self,
        to: &mut [u32],
        line: Option<&[u8]>,
        (first, pixels): (i32, usize),
        (from, n): (usize, usize),
    ) -> Option<()> {
        let (x, words) = (self.x, quad_words(n));
        let to = to.get_mut(..pixels * words)?;
        let stride = self.rows.pixel_stride();
        if let Some(line) = line
            && n == stride
            && first >= 0
            && let Some(run) = line.get(first as usize * stride..).and_then(|l| l.get(..pixels * n))
        {
            widen_quads(to, run, x.unsigned());
            return Some(());
        }
        let mut rest = to;
        for ix in first..first + pixels as i32 {
            // Not by `chunks_mut`, which divides.
            let (to, more) = rest.split_at_mut_checked(words)?;
            rest = more;
            match line {
                Some(line) if (0..i32::from(x.w)).contains(&ix) => {
                    widen_quads(to, line.get(ix as usize * stride + from..)?.get(..n)?, x.unsigned());
                }
                _ => fill_quads(to, x.zero_point as u8, x.unsigned()),
            }
        }
        Some(())
    }

    /// Gathers the windows, and widens them.
    fn gather(&self, words: &mut [u32], window: &mut [u8], pair: &Pair) -> Option<()> {
        let (mut rest, mut first) = (words, pair.first);
        for _ in 0..pair.pixels {
            self.gather_bytes(window, (pair.oy, first))?;
            widen_quads(rest, window, self.x.unsigned());
            rest = rest.get_mut(quad_words(self.plan.run)..)?;
            first += i32::from(self.r.stride_w);
        }
        Some(())
    }

    /// Gathers the window of a pixel.
    #[inline(never)]
    fn gather_bytes(&self, window: &mut [u8], (oy, first): (u16, i32)) -> Option<()> {
        let (x, r) = (self.x, self.r);
        let (c, stride) = (usize::from(x.c), self.rows.pixel_stride());
        let run = usize::from(r.kernel_w) * c;
        let mut to = window;
        for ky in 0..r.kernel_h {
            let line = self.line(oy, ky)?;
            let (at, rest) = to.split_at_mut_checked(run)?;
            to = rest;
            let inside = first >= 0 && r.dilation_w == 1 && c == stride;
            if let Some(line) = line
                && inside
                && let Some(from) = line.get(first as usize * c..).and_then(|l| l.get(..run))
            {
                carafe_cpu::copy(at, from);
                continue;
            }
            let mut ix = first;
            for at in at.chunks_mut(c.max(1)) {
                match line {
                    Some(line) if (0..i32::from(x.w)).contains(&ix) => {
                        carafe_cpu::copy(at, line.get(ix as usize * stride..)?.get(..c)?);
                    }
                    _ => carafe_cpu::fill(at, x.zero_point as u8),
                }
                ix += i32::from(r.dilation_w);
            }
        }
        Some(())
    }

    /// Makes part `part` of the windows.
    #[inline(never)]
    fn fill(&self, mut words: &mut [u32], pair: &Pair, part: usize) -> Option<()> {
        let (plan, c, step) = (self.plan, usize::from(self.x.c), usize::from(self.r.stride_w));
        let w = usize::from(self.r.kernel_w);
        let (first, next, pixels) = (pair.first, pair.first + step as i32, usize::from(pair.pixels));
        let shared = if pair.again { plan.shared } else { 0 };
        let one_by_one = step >= w;
        let from = if plan.cut { part * plan.run } else { 0 };
        let n = if plan.cut { plan.run.min(c - from) } else { c };
        let ky = if plan.cut { 0 } else { part * plan.lines };
        for ky in ky..ky + plan.lines {
            let (to, rest) = words.split_at_mut_checked(quad_words(plan.span))?;
            words = rest;
            let line = self.line(pair.oy, ky as u8)?;
            if one_by_one {
                self.widen(to, line, (first, w), (from, n))?;
                if pixels == 2 {
                    self.widen(to.get_mut(quad_words(plan.second)..)?, line, (next, w), (from, n))?;
                }
                continue;
            }
            let all = w + (pixels - 1) * step;
            if shared > 0 {
                // Those before began 2 · step pixels further left, and had w + step.
                move_quads(to, shared * c, 2 * step * c);
            }
            let to = to.get_mut(quad_words(shared * c)..)?;
            self.widen(to, line, (first + shared as i32, all - shared), (0, c))?;
        }
        Some(())
    }
}

/// Record, weights and parameters of a layer.
type Layer<'m, R> = (R, Weights<'m>, &'m [u8]);

/// Makes rows `y0..y1` of a convolution, but for the last channel of an odd number; false if it is not for this loop.
#[inline]
pub(super) fn convolution(cx: &mut Cx<'_>, rows: (u16, u16)) -> Option<bool> {
    /// Not where it is called: what reading takes is not on the stack while the loop runs.
    #[inline(never)]
    fn read<'m>(node: &Node<'m>) -> Option<Layer<'m, ConvRecord>> {
        let r: ConvRecord = node.fields().ok()?;
        let (weights, channels) = conv2d::weights(node, &r, Native::CHANNEL)?;
        Some((r, weights, channels))
    }
    // Not by `?`, which would copy it.
    let Some((r, weights, channels)) = &read(cx.node) else { return None };
    if !fits(cx.node, weights, r, cx.scratch.len()) {
        return Some(false);
    }
    produce(cx, rows, r, weights, channels)?;
    Some(true)
}

/// Makes rows `y0..y1`.
#[inline(never)]
fn produce(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &ConvRecord,
    weights: &Weights<'_>,
    channels: &[u8],
) -> Option<()> {
    let (x, y) = (&cx.node.in0, &cx.node.out);
    let Some(plan) = &Plan::of(x, weights.per_channel, r) else { return None };
    let (words, rest) = carafe_cpu::words(cx.scratch).split_at_mut_checked(plan.words())?;
    let (sums, rest) = rest.split_at_mut_checked(plan.sums(y.c))?;
    let window = if plan.gathered { carafe_cpu::bytes(rest).get_mut(..plan.run)? } else { &mut [] };
    // There once for all pixels, and behind `black_box`: compilers would keep what is in it on the stack once more.
    let mut q = Quads {
        x: words,
        sums,
        second: None,
        run: plan.run,
        lines: plan.lines,
        line: quad_words(plan.span),
        weights: &[],
        block: 2 * weights.per_channel,
        channels,
        first: None,
        last: false,
    };
    let source = Source { x, rows: &cx.inputs[0], r, windows: r.windows(), plan };
    let (q, source) = (black_box(&mut q), black_box(&source));
    let (plan, r) = (source.plan, source.r);
    let mut put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    for oy in y0..y1 {
        let [at, next] = &mut put.at;
        *at = cx.out.byte(oy)?;
        *next = *at + cx.out.pixel_stride();
        let mut pair = Pair { oy, pixels: 2, first: -i32::from(r.pad_left), again: false };
        let mut left = y.w;
        while left > 0 {
            pair.pixels = left.min(2);
            left -= pair.pixels;
            q.second = (pair.pixels == 2).then_some(quad_words(plan.second));
            q.weights = weights.bytes;
            q.first = Some(weights.per_channel);
            let mut inputs = weights.per_channel;
            for part in 0..plan.parts {
                if plan.gathered {
                    source.gather(q.x, window, &pair)?;
                } else {
                    source.fill(q.x, &pair, part)?;
                }
                q.run = plan.run.min(inputs);
                q.last = part + 1 == plan.parts;
                q.run(&put, cx.out.bytes())?;
                q.first = None;
                inputs -= q.run * q.lines;
                q.weights = q.weights.get(2 * q.run * q.lines..)?;
            }
            for &at in put.at.iter().take(usize::from(pair.pixels)) {
                bound(cx.out.bytes().get_mut(at..)?.get_mut(..usize::from(y.c) & !1)?, r.lo, r.hi);
            }
            put.at = put.at.map(|at| at + 2 * cx.out.pixel_stride());
            pair.first += 2 * i32::from(r.stride_w);
            pair.again = true;
        }
    }
    Some(())
}

/// Inputs of a dense layer that are widened at once, and pairs of channels that are made of them. Of many, their parts are
/// widened again for other channels: sums of all would be as large as the operand.
fn dense_part(inputs: usize, channels: u16) -> (usize, usize) {
    if inputs > AT_ONCE || usize::from(channels) > AT_ONCE { (inputs.min(48), 8) } else { (inputs, AT_ONCE / 2) }
}

/// Scratch that [`dense`] takes, with what aligning may cost. 0 if it is not for this layer.
pub(super) fn dense_scratch(packing: u8, inputs: u16, channels: u16) -> u32 {
    let inputs = usize::from(inputs);
    if packing != QUADS || inputs % 4 != 0 || inputs > LONGEST || channels < 2 {
        return 0;
    }
    let (at_once, pairs) = dense_part(inputs, channels);
    let sums = if inputs > at_once { 4 * pairs.min(usize::from(channels / 2)) } else { 0 };
    (4 * (quad_words(at_once) + sums) + 4) as u32
}

/// True if [`dense`] makes this node with so many bytes of scratch.
pub(super) fn fits_dense(node: &Node<'_>, r: &DenseRecord, bytes: usize) -> bool {
    let scratch = dense_scratch(r.packing, node.in0.c, node.out.c) as usize;
    r.shift >= 0 && scratch > 0 && bytes >= scratch
}

/// Makes rows `y0..y1` of a dense layer, but for the last channel of an odd number; false if it is not for this loop.
#[inline]
pub(super) fn dense(cx: &mut Cx<'_>, rows: (u16, u16)) -> Option<bool> {
    /// As in [`convolution`].
    #[inline(never)]
    fn read<'m>(node: &Node<'m>) -> Option<Layer<'m, DenseRecord>> {
        let r: DenseRecord = node.fields().ok()?;
        let (weights, channels) = dense::weights(node, &r, Native::CHANNEL)?;
        Some((r, weights, channels))
    }
    let Some((r, weights, channels)) = &read(cx.node) else { return None };
    if !fits_dense(cx.node, r, cx.scratch.len()) {
        return Some(false);
    }
    produce_dense(cx, rows, r, weights, channels)?;
    Some(true)
}

/// Makes rows `y0..y1` of a dense layer.
#[inline(never)]
fn produce_dense(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &DenseRecord,
    weights: &Weights<'_>,
    channels: &[u8],
) -> Option<()> {
    let (x, y, rows) = (&cx.node.in0, &cx.node.out, &cx.inputs[0]);
    let (inputs, made) = (usize::from(x.c), usize::from(y.c) & !1);
    let (at_once, pairs) = dense_part(inputs, y.c);
    let (words, sums) = carafe_cpu::words(cx.scratch).split_at_mut_checked(quad_words(at_once))?;
    let block = 2 * inputs;
    // Some, which compilers do not know: they would make the loops once more for none.
    let channels = channels.get(..8 * made).filter(|some| !some.is_empty())?;
    let mut q = Quads {
        x: words,
        sums,
        second: None,
        run: 0,
        lines: 1,
        line: quad_words(at_once),
        weights: &[],
        block,
        channels: &[],
        first: None,
        last: false,
    };
    let mut put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    for row in y0..y1 {
        let mut at = cx.out.byte(row)?;
        for column in 0..y.w {
            let pixel = rows.run(row, column, inputs)?;
            put.at = [at; PIXELS];
            let mut weights = weights.bytes;
            for channels in channels.chunks(16 * pairs) {
                (q.weights, q.channels, q.first) = (weights, channels, Some(inputs));
                let mut rest = pixel;
                while !rest.is_empty() {
                    let part;
                    (part, rest) = rest.split_at(rest.len().min(at_once));
                    widen_quads(q.x, part, x.unsigned());
                    (q.run, q.last) = (part.len(), rest.is_empty());
                    q.run(&put, cx.out.bytes())?;
                    q.first = None;
                    q.weights = q.weights.get(2 * part.len()..)?;
                }
                put.at = put.at.map(|at| at + channels.len() / 8);
                weights = weights.get(channels.len() / 16 * block..)?;
            }
            bound(cx.out.bytes().get_mut(at..)?.get_mut(..made)?, r.lo, r.hi);
            at += cx.out.pixel_stride();
        }
    }
    Some(())
}
