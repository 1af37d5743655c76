//! Convolutions and dense layers whose weights are packed for cores with but one multiplication: the windows of two
//! pixels of a row become words in the scratch memory ([`carafe_cpu::Quads`]), and all channels are made of them at once.
//!
//! Pixels that both windows have are there once, and where all lines of a window are there at the same time, those that
//! the next two windows have, too, stay.

use carafe_cpu::{FAST_QUADS, PIXELS, Put, Quads, fill_quads, move_quads, quad_words, widen_quads};

use super::convolution::{ConvRecord, QUADS};
use super::dense::DenseRecord;
use super::window::{Weights, Windows};
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
#[derive(Clone, Copy)]
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
}

impl Plan {
    /// `None` for a window that is too large.
    fn of(x: &TensorInfo, per_channel: usize, r: &ConvRecord) -> Option<Self> {
        if per_channel > LONGEST {
            return None;
        }
        let c = usize::from(x.c);
        let [h, w, step] = [r.kernel_h, r.kernel_w, r.stride_w].map(usize::from);
        if c % 4 != 0 || r.dilation_w != 1 {
            let run = per_channel;
            let plan = Self { run, second: run, span: 2 * run, lines: 1, parts: 1, gathered: true, cut: false };
            return (run <= GATHERED).then_some(plan);
        }
        if (h, w) == (1, 1) {
            let run = c.min(AT_ONCE);
            let parts = c.div_ceil(AT_ONCE);
            return Some(Self { run, second: run, span: 2 * run, lines: 1, parts, gathered: false, cut: true });
        }
        let second = step.min(w) * c;
        let span = second + w * c;
        let (lines, parts) = if h * span <= WINDOWS { (h, 1) } else { (1, h) };
        Some(Self { run: w * c, second, span, lines, parts, gathered: false, cut: false })
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

/// Scratch that [`produce`] takes, with what aligning may cost. 0 if it is not for this node.
#[inline(never)]
pub(super) fn scratch(node: &Node<'_>, weights: &Weights<'_>, r: &ConvRecord) -> u32 {
    if !weights.quads() || node.out.c < 2 || r.shift < 0 {
        return 0;
    }
    Plan::of(&node.in0, weights.per_channel, r).map_or(0, |plan| plan.scratch(node.out.c))
}

/// True if [`produce`] makes this step.
pub(super) fn serves(cx: &Cx<'_>, weights: &Weights<'_>, r: &ConvRecord) -> bool {
    FAST_QUADS && fits(cx.node, weights, r, cx.scratch.len())
}

/// True if [`produce`] makes this node with so many bytes of scratch.
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

    /// Gathers the window of a pixel, and widens it.
    #[inline(never)]
    fn gather(&self, words: &mut [u32], window: &mut [u8], (oy, first): (u16, i32)) -> Option<()> {
        let (x, r) = (self.x, self.r);
        let (c, stride) = (usize::from(x.c), self.rows.pixel_stride());
        let run = usize::from(r.kernel_w) * c;
        let mut to = &mut *window;
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
        widen_quads(words, window, x.unsigned());
        Some(())
    }
}

impl Source<'_> {
    /// Makes part `part` of the windows of `pixels` pixels, the first of which begins at column `first`. `shared`: pixels of a
    /// line that are there from the windows before.
    #[inline(never)]
    fn fill(
        &self,
        (words, window): (&mut [u32], &mut [u8]),
        (oy, first, pixels): (u16, i32, usize),
        part: usize,
        shared: usize,
    ) -> Option<()> {
        let (plan, c, step) = (self.plan, usize::from(self.x.c), usize::from(self.r.stride_w));
        let w = usize::from(self.r.kernel_w);
        let next = first + step as i32;
        if plan.gathered {
            let (one, other) = words.split_at_mut_checked(quad_words(plan.run))?;
            self.gather(one, window, (oy, first))?;
            return if pixels == 2 { self.gather(other, window, (oy, next)) } else { Some(()) };
        }
        let mut words = words;
        let one_by_one = step >= w;
        let from = if plan.cut { part * plan.run } else { 0 };
        let n = if plan.cut { plan.run.min(c - from) } else { c };
        let ky = if plan.cut { 0 } else { part * plan.lines };
        for ky in ky..ky + plan.lines {
            let (to, rest) = words.split_at_mut_checked(quad_words(plan.span))?;
            words = rest;
            let line = self.line(oy, ky as u8)?;
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

/// Makes rows `y0..y1`, but for the last channel of an odd number.
#[inline(never)]
pub(super) fn produce(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &ConvRecord,
    weights: &Weights<'_>,
    channels: &[u8],
) -> Option<()> {
    let (x, y) = (&cx.node.in0, &cx.node.out);
    let plan = &Plan::of(x, weights.per_channel, r)?;
    let (words, rest) = carafe_cpu::words(cx.scratch).split_at_mut_checked(plan.words())?;
    let (sums, rest) = rest.split_at_mut_checked(plan.sums(y.c))?;
    let window = if plan.gathered { carafe_cpu::bytes(rest).get_mut(..plan.run)? } else { &mut [] };
    let source = Source { x, rows: &cx.inputs[0], r, windows: r.windows(), plan };
    let (made, stride) = (usize::from(y.c) & !1, cx.out.pixel_stride());
    // Pixels of a line that the next two windows have, too.
    let shared = if plan.parts == 1 { usize::from(r.kernel_w.saturating_sub(r.stride_w)) } else { 0 };
    let mut put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    for oy in y0..y1 {
        let mut at = cx.out.byte(oy)?;
        let mut first = -i32::from(r.pad_left);
        for ox in (0..y.w).step_by(2) {
            let pixels = usize::from(y.w - ox).min(2);
            put.at = [at, at + stride, 0];
            let mut before = 0;
            for part in 0..plan.parts {
                source.fill((words, window), (oy, first, pixels), part, if ox == 0 { 0 } else { shared })?;
                let run = plan.run.min(weights.per_channel - before);
                let q = Quads {
                    x: words,
                    second: (pixels == 2).then_some(quad_words(plan.second)),
                    run,
                    lines: plan.lines,
                    line: quad_words(plan.span),
                    weights: weights.bytes.get(2 * before..)?,
                    block: 2 * weights.per_channel,
                    channels,
                    first: (part == 0).then_some(weights.per_channel),
                    last: part + 1 == plan.parts,
                };
                before += run * plan.lines;
                q.run(sums, &put, cx.out.bytes())?;
            }
            if (r.lo, r.hi) != (i8::MIN, i8::MAX) {
                for &at in put.at.iter().take(pixels) {
                    carafe_cpu::clamp(cx.out.bytes().get_mut(at..)?.get_mut(..made)?, r.lo, r.hi);
                }
            }
            at += 2 * stride;
            first += 2 * i32::from(r.stride_w);
        }
    }
    Some(())
}

/// Scratch that [`dense`] takes, with what aligning may cost. 0 if it is not for this layer.
pub(super) fn dense_scratch(packing: u8, inputs: u16, channels: u16) -> u32 {
    let inputs = usize::from(inputs);
    if packing != QUADS || inputs % 4 != 0 || inputs > LONGEST || channels < 2 {
        return 0;
    }
    let sums = if inputs > AT_ONCE { 4 * usize::from(channels / 2) } else { 0 };
    (4 * (quad_words(inputs.min(AT_ONCE)) + sums) + 4) as u32
}

/// True if [`dense`] makes this step.
pub(super) fn serves_dense(cx: &Cx<'_>, r: &DenseRecord) -> bool {
    FAST_QUADS && fits_dense(cx.node, r, cx.scratch.len())
}

/// True if [`dense`] makes this node with so many bytes of scratch.
pub(super) fn fits_dense(node: &Node<'_>, r: &DenseRecord, bytes: usize) -> bool {
    let scratch = dense_scratch(r.packing, node.in0.c, node.out.c) as usize;
    r.shift >= 0 && scratch > 0 && bytes >= scratch
}

/// Makes rows `y0..y1` of a dense layer, but for the last channel of an odd number.
#[inline(never)]
pub(super) fn dense(
    cx: &mut Cx<'_>,
    (y0, y1): (u16, u16),
    r: &DenseRecord,
    weights: &Weights<'_>,
    channels: &[u8],
) -> Option<()> {
    let (x, y, rows) = (&cx.node.in0, &cx.node.out, &cx.inputs[0]);
    let (inputs, made) = (usize::from(x.c), usize::from(y.c) & !1);
    let at_once = inputs.min(AT_ONCE);
    let (words, sums) = carafe_cpu::words(cx.scratch).split_at_mut_checked(quad_words(at_once))?;
    let mut put = Put { zero_point: y.zero_point, shift: r.shift as u8, at: [0; PIXELS] };
    for row in y0..y1 {
        let mut at = cx.out.byte(row)?;
        for column in 0..y.w {
            put.at = [at; PIXELS];
            let mut before = 0;
            for x_part in rows.run(row, column, inputs)?.chunks(AT_ONCE) {
                widen_quads(words, x_part, x.unsigned());
                let q = Quads {
                    x: words,
                    second: None,
                    run: x_part.len(),
                    lines: 1,
                    line: quad_words(at_once),
                    weights: weights.bytes.get(2 * before..)?,
                    block: 2 * inputs,
                    channels,
                    first: (before == 0).then_some(inputs),
                    last: before + x_part.len() == inputs,
                };
                before += x_part.len();
                q.run(sums, &put, cx.out.bytes())?;
            }
            if (r.lo, r.hi) != (i8::MIN, i8::MAX) {
                carafe_cpu::clamp(cx.out.bytes().get_mut(at..)?.get_mut(..made)?, r.lo, r.hi);
            }
            at += cx.out.pixel_stride();
        }
    }
    Some(())
}
