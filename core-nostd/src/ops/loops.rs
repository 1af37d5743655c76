//! Which loops of a kernel are linked: a program that embeds a model knows which its layers take.

use carafe_cpu::{FAST, FAST_QUADS, HELIUM};

use super::convolution::{ConvRecord, WORDS};
use super::dense::DenseRecord;
use super::window::Weights;
use super::{QUADS, gather, pixelwise, product, quads, slide, sliding, tile};
use crate::arithmetic::{Arithmetic, Native};
use crate::{Node, OpCode};

/// Every loop: what a registry links that is not made for one model.
pub const ALL_LOOPS: u8 = u8::MAX;

/// The one that needs nothing.
pub(super) const PLAIN: u8 = 1;
/// Convolutions as tiles.
pub(super) const TILES: u8 = 2;
/// One pixel at a time.
pub(super) const ALONE: u8 = 4;
/// Depthwise convolutions over planes.
pub(super) const SLIDE: u8 = 8;
/// Other depthwise convolutions.
pub(super) const STREAM: u8 = 16;
/// All of weights in quads: those of Armv6-M.
pub(super) const SIMPLE: u8 = 32;
/// All of weights that are plain, in columns or words: those of Helium.
pub(super) const WIDE: u8 = 64;
/// Depthwise convolutions over planes whose rows are few pixels.
pub(super) const NARROW: u8 = 128;

/// True if some of `loops` need the plain one on this core, which has not the others.
pub(super) const fn need_plain(loops: u8) -> bool {
    loops & PLAIN != 0
        || loops & (TILES | ALONE | SLIDE | NARROW | STREAM) != 0 && !FAST
        || loops & SIMPLE != 0 && !FAST_QUADS
        || loops & WIDE != 0 && !HELIUM
}

/// The loops that a layer takes of those that there are on the cores that its weights are packed for, given so many bytes of
/// scratch; those of its kernel are linked by `Conv2d<Native, LOOPS>`, and so on. Weights begin at a multiple of 4. 0 of ops
/// that have no choice.
#[doc(hidden)]
pub fn loops(node: &Node<'_>, scratch: usize) -> u8 {
    let odd = if node.out.c.is_multiple_of(2) { 0 } else { PLAIN };
    match OpCode(node.header.op) {
        OpCode::Conv2d => convolution(node, scratch, odd).unwrap_or(PLAIN),
        OpCode::DepthwiseConv2d => depthwise(node, scratch).unwrap_or(PLAIN),
        OpCode::Dense => dense(node, scratch, odd).unwrap_or(PLAIN),
        _ => 0,
    }
}

fn convolution(node: &Node<'_>, scratch: usize, odd: u8) -> Option<u8> {
    let r: ConvRecord = node.fields().ok().filter(|r: &ConvRecord| r.weights.is_multiple_of(4))?;
    let place = (r.weights, r.packing);
    let (weights, _) = Weights::of(node, place, r.windows().taps(), node.in0.c, Native::CHANNEL).ok()?;
    match () {
        () if tile::fits(node, &weights, &r, scratch) => {
            Some(odd | if tile::is_alone(node, &r) { ALONE } else { TILES })
        }
        () if quads::fits(node, &weights, &r, scratch) => Some(odd | SIMPLE),
        () if product::fits(node, &weights, &r, scratch) => Some(WIDE),
        () => None,
    }
}

fn depthwise(node: &Node<'_>, scratch: usize) -> Option<u8> {
    let r: ConvRecord = node.fields().ok().filter(|r: &ConvRecord| r.weights.is_multiple_of(4))?;
    match r.packing {
        QUADS => pixelwise::fits(node, &r, scratch).then_some(SIMPLE),
        WORDS => gather::fits(node, &r, scratch).then_some(WIDE),
        _ => slide::fits(node, &r, scratch).or_else(|| sliding::fits(node, &r, scratch).then_some(STREAM)),
    }
}

fn dense(node: &Node<'_>, scratch: usize, odd: u8) -> Option<u8> {
    let r: DenseRecord = node.fields().ok().filter(|r: &DenseRecord| r.weights.is_multiple_of(4))?;
    let (weights, _) = Weights::of(node, (r.weights, r.packing), 1, node.in0.c, Native::CHANNEL).ok()?;
    match () {
        () if r.is_fast(node) => Some(odd | ALONE),
        () if quads::fits_dense(node, &weights, &r, scratch) => Some(odd | SIMPLE),
        () => r.is_wide(node).then_some(WIDE),
    }
}
