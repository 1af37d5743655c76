//! What a node costs, roughly, on a Cortex-M4 (of weights packed for Armv6-M, on a Cortex-M0+): to find out which bands are
//! worth memory, and in which order. The numbers are those of the inner loops of `carafe-cpu`.

use std::iter::Sum;
use std::ops::Add;

use carafe::OpCode;
use carafe::blob::Cpu;
use carafe::ops::{ConvRecord, FOURS, PAIRS, PLAIN, QUADS, WORDS};
use carafe::record::Record;

use super::net::Net;

/// A step: the choice of it, looking up its node, lending it its rows.
const STEP: u64 = 1_500;

/// What an inference, or a part of it, costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub instructions: u64,
    /// Half cycles, estimated: what plans are compared by. Most loops take three cycles for two instructions.
    pub time: u64,
}

impl Cost {
    /// Of loops that are as most are.
    fn usual(instructions: u64) -> Self {
        Self { instructions, time: 3 * instructions }
    }

    /// Of loops with many products for each load: 19 cycles for 16 instructions.
    fn dense(instructions: u64) -> Self {
        Self { instructions, time: instructions * 19 / 8 }
    }

    /// Cycles, estimated.
    pub fn cycles(&self) -> u64 {
        self.time / 2
    }

    fn times(self, times: u64) -> Self {
        Self { instructions: self.instructions * times, time: self.time * times }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { instructions: self.instructions + other.instructions, time: self.time + other.time }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// What node `n` costs, if a step makes `band` rows.
pub(super) fn cost(net: &Net<'_>, n: usize, band: u8) -> Cost {
    let node = net.model.node(n);
    let height = if net.needs[n].consumes { node.in0.h } else { node.out.h };
    let (height, band) = (u64::from(height), u64::from(band.max(1)));
    // The first band may be shorter, and the last.
    let first = band.saturating_sub(net.demands[n].lead.into()).clamp(1, height.max(1));
    let (full, rest) = ((height - first) / band, (height - first) % band);
    let steps = [(1, first), (full, band), (u64::from(rest > 0), rest)];
    let of = |rows: u64| Cost::usual(STEP) + by_maps(net, n, rows).unwrap_or_else(|| step(net, n, rows));
    steps.into_iter().filter(|s| s.0 > 0).map(|(times, rows)| of(rows).times(times)).sum()
}

/// A step of node `n` that makes `band` rows by maps, without what is around its kernel. `None` of other nodes.
fn by_maps(net: &Net<'_>, n: usize, band: u64) -> Option<Cost> {
    let node = net.model.node(n);
    let maps = carafe::ops::maps(&node, net.needs[n].scratch) as u64;
    if maps == 0 {
        return None;
    }
    let (inputs, w, c) = (u64::from(node.in0.c), u64::from(node.out.w), u64::from(node.out.c));
    // A map takes 33 instructions for four inputs of a column; the kernels of two channels 36 for each tap of a column and two
    // inputs. Of those, two channels and three pixels take 30 instructions, of two pixels 23, for each of four sums, or of three
    // where there is one row.
    let [threes, twos] = threes_and_twos(w);
    let sum = threes * (inputs / 2 * 31 + 24) + twos * (inputs / 2 * 24 + 24);
    let [pairs, odd] = [band / 2, band % 2];
    let kernels = 200 + 3 * inputs / 2 * 36;
    let all = (pairs + odd) * ((w + 2) * (inputs / 4 * 33 + 20) + 200);
    let sums = sum * (4 * pairs + 3 * odd) + (threes + twos) * (160 * pairs + 75 * odd) + 60 * (pairs + odd);
    Some(Cost::usual(1_500) + Cost::dense(all + c / 2 * (sums + (pairs + odd).div_ceil(maps) * kernels)))
}

/// A step of node `n` that makes `band` rows, without what is around its kernel.
fn step(net: &Net<'_>, n: usize, band: u64) -> Cost {
    let node = net.model.node(n);
    let (y, need) = (&node.out, &net.needs[n]);
    let w = if need.consumes { node.in0.w } else { y.w };
    let (w, c) = (u64::from(w), u64::from(y.c));
    let pixels = band * w;
    let helium = net.model.cpu == Cpu::Helium;
    let instructions = match (node.header.op, ConvRecord::read(node.record)) {
        _ if need.view => 0,
        (code, Some(r)) if code == OpCode::Conv2d.0 && r.packing == FOURS && need.scratch > 0 => {
            let inputs = u64::from(r.kernel_h) * u64::from(r.kernel_w) * u64::from(node.in0.c);
            // Tiles of two pixels, four channels: 12 instructions for two inputs, and 12 to widen four of both.
            // Where a window has one tap, tiles go on from row to row. Where it has more, they keep to rows, and the first
            // and last pixel is brought tap by tap, but for narrow rows, whose lines are copied with their padding.
            let taps = u64::from(r.kernel_h) * u64::from(r.kernel_w);
            let line = (w * u64::from(r.stride_w) + u64::from(r.kernel_w)) * u64::from(node.in0.c);
            let copied = taps > 1 && line * u64::from(r.kernel_h) <= 256;
            let (rows, alone) = match taps {
                1 => (1, 0),
                _ if copied => (band, 0),
                _ => (band, 2.min(w)),
            };
            let inside = pixels / rows - alone;
            // Those that are copied lie one below the other, if a row of them were odd.
            let stacked = if copied && inside % 2 == 1 { band / 2 } else { 0 };
            let of = match alone {
                0 => stacked * inside + (rows - 2 * stacked) * inside.div_ceil(2),
                _ => rows * (inside / 2) + (rows * (inside % 2 + alone)).div_ceil(2),
            };
            // Of a window below another, those lines that are new.
            let (all, down) = (u64::from(r.kernel_h), u64::from(r.stride_h));
            let lines = match stacked {
                0 => (band - 1) * down.min(all) + all,
                _ => stacked * (all + down) + band % 2 * all,
            };
            let lines = if copied { lines * 90 + band * u64::from(r.kernel_h) * 20 } else { 0 };
            let around = 2_000 + rows * alone * (4 * inputs + 60 * taps + 300) + lines;
            // A step takes 13 cycles, and a quarter of one is its share of the turn.
            let cycles = of * (c * (inputs * 106 / 64 + 22) + 6 * inputs + 60);
            let instructions = of * (c * (inputs * 97 / 64 + 17) + 3 * inputs + 45);
            return Cost::usual(around) + Cost { instructions, time: 2 * cycles };
        }
        // One pixel alone, which is a dense layer.
        (code, Some(r)) if code == OpCode::Conv2d.0 && r.packing == PAIRS && pixels == 1 => {
            u64::from(need.macs) * 3 / 2
        }
        (code, Some(r)) if code == OpCode::Conv2d.0 && r.packing == QUADS && need.scratch > 0 => {
            let inputs = u64::from(r.kernel_h) * u64::from(r.kernel_w) * u64::from(node.in0.c);
            // Two pixels, two channels: 18 instructions for two inputs. To widen an input takes nine.
            pixels * (c * (inputs * 9 / 4 + 45) + 9 * inputs + 500)
        }
        (code, Some(r)) if code == OpCode::DepthwiseConv2d.0 && r.packing == QUADS && need.scratch > 0 => {
            let taps = u64::from(r.kernel_h) * u64::from(r.kernel_w);
            pixels * (c * (5 * taps + 45) + 20 * taps + 200)
        }
        // Helium: 16 products an instruction, lines of windows put one behind the other first; four results rescaled at once.
        (code, Some(r)) if helium && code == OpCode::Conv2d.0 && (need.scratch > 0 || r.kernel_h + r.kernel_w == 2) => {
            let inputs = u64::from(r.kernel_h) * u64::from(r.kernel_w) * u64::from(node.in0.c);
            band * 300 + pixels * (c * (inputs.div_ceil(16) * 5 / 3 + 6) + inputs / 4)
        }
        (code, Some(r)) if helium && code == OpCode::DepthwiseConv2d.0 && r.packing == WORDS && need.scratch > 0 => {
            let words = u64::from(r.kernel_h).div_ceil(4) * u64::from(r.kernel_w);
            band * 300 + pixels * c * (words + 3) / 2
        }
        (code, Some(r)) if code == OpCode::DepthwiseConv2d.0 && r.packing == PLAIN && need.scratch > 0 => {
            let taps = u64::from(r.kernel_h) * u64::from(r.kernel_w);
            if [r.kernel_h, r.kernel_w] == [3, 3] && r.stride_w <= 2 {
                // Planes of four channels: 23 instructions for 16 elements; 28 for two results.
                let lines = (band - 1) * u64::from(r.stride_h) + 3;
                let columns = w * u64::from(r.stride_w) + 2;
                let (line, channel) = match w {
                    // All results of a row at once.
                    5 | 6 if [r.stride_h, r.stride_w, r.pad_left] == [1; 3] && node.in0.w == y.w => {
                        (w * 10, 13 + band * (7 + 11 * w))
                    }
                    _ => (30 + columns * 23 / 4, 25 + band * (12 + w / 2 * 28 + w % 2 * 24)),
                };
                1_800 + 60 * lines + c / 4 * (80 + lines * line + 4 * channel)
            } else {
                // Weights are widened, taps are looked for where windows touch the border, pixels are made by fours.
                taps * c * 3 / 2 + band * 3 * (300 + 20 * taps) + pixels * c * (2 * taps + 6)
            }
        }
        // Without scratch, or with shapes that the fast loops do not take: a result at a time, lines of a window apart.
        (code, Some(r)) if code == OpCode::Conv2d.0 => {
            let inputs = u64::from(r.kernel_h) * u64::from(r.kernel_w) * u64::from(node.in0.c);
            pixels * c * (inputs * 10 / 3 + 60 + 40 * u64::from(r.kernel_h))
        }
        (code, Some(r)) if code == OpCode::DepthwiseConv2d.0 => {
            let taps = u64::from(r.kernel_h) * u64::from(r.kernel_w);
            pixels * (c * (13 * taps + 16) + 1_400)
        }
        (code, _) if code == OpCode::Dense.0 && net.model.cpu == Cpu::Armv6m && need.scratch == 0 => {
            u64::from(need.macs) * 20
        }
        (code, _) if code == OpCode::Dense.0 => u64::from(need.macs) * 3 / 2,
        _ => pixels * c * 10,
    };
    Cost::usual(instructions)
}

/// Parts of three pixels and of two that make so many: those of a row by maps.
fn threes_and_twos(pixels: u64) -> [u64; 2] {
    match (pixels / 3, pixels % 3) {
        (threes, 2) => [threes, 1],
        (threes @ 1.., 1) => [threes - 1, 2],
        (threes, rest) => [threes, rest],
    }
}
