//! Which loops of a kernel are linked: a program that embeds a model knows which its layers take.

use super::convolution::ConvRecord;
use super::dense::DenseRecord;
use super::window::Weights;
use super::{slide, sliding, tile};
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

/// The loops that a layer takes of those that cores have which have all, given so many bytes of scratch; those of its
/// kernel are linked by `Conv2d<Native, LOOPS>`, and so on. Weights begin at a multiple of 4. 0 of ops that have no choice.
#[doc(hidden)]
pub fn loops(node: &Node<'_>, scratch: usize) -> u8 {
    let conv = || -> Option<u8> {
        let r: ConvRecord = node.fields().ok()?;
        if !r.weights.is_multiple_of(4) {
            return None;
        }
        if node.header.op == OpCode::DepthwiseConv2d.0 {
            return match () {
                () if slide::fits(node, &r, scratch) => Some(SLIDE),
                () if sliding::fits(node, &r, scratch) => Some(STREAM),
                () => None,
            };
        }
        let place = (r.weights, r.packing);
        let (weights, _) = Weights::of(node, place, r.windows().taps(), node.in0.c, Native::CHANNEL).ok()?;
        let odd = if node.out.c.is_multiple_of(2) { 0 } else { PLAIN };
        let fast = if tile::is_alone(node, &r) { ALONE } else { TILES };
        tile::fits(node, &weights, &r, scratch).then_some(fast | odd)
    };
    let dense = || -> Option<u8> {
        let r: DenseRecord = node.fields().ok()?;
        let odd = if node.out.c.is_multiple_of(2) { 0 } else { PLAIN };
        (r.weights.is_multiple_of(4) && r.is_fast(node)).then_some(ALONE | odd)
    };
    match OpCode(node.header.op) {
        OpCode::Conv2d | OpCode::DepthwiseConv2d => conv().unwrap_or(PLAIN),
        OpCode::Dense => dense().unwrap_or(PLAIN),
        _ => 0,
    }
}
