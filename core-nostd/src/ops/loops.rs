//! Which loops of a kernel are linked: a program that embeds a model knows which its layers take.

use carafe_cpu::{FAST, FAST_QUADS, FAST_WINOGRAD, HELIUM};

use super::add::AddRecord;
use super::convolution::{ConvRecord, WORDS};
use super::dense::DenseRecord;
use super::window::Weights;
use super::{COLUMNS, FOURS, PAIRS, QUADS, gather, pixelwise, product, quads, slide, sliding, tile, winograd};
use crate::arithmetic::{Arithmetic, Native};
use crate::{Node, OpCode};

/// Every loop: what a registry links that is not made for one model.
pub const ALL_LOOPS: u16 = u16::MAX;

/// The one that needs nothing.
pub(super) const PLAIN: u16 = 1;
/// Convolutions as tiles.
pub(super) const TILES: u16 = 2;
/// One pixel at a time.
pub(super) const ALONE: u16 = 4;
/// Depthwise convolutions over planes.
pub(super) const SLIDE: u16 = 8;
/// Other depthwise convolutions.
pub(super) const STREAM: u16 = 16;
/// All of weights in quads: those of Armv6-M.
pub(super) const SIMPLE: u16 = 32;
/// All of weights that are plain, in columns or words: those of Helium.
pub(super) const WIDE: u16 = 64;
/// Depthwise convolutions over planes whose rows are few pixels; others as tiles whose lines are copied.
pub(super) const NARROW: u16 = 128;

/// The last channel of an odd number, whose weights are plain.
pub(super) const ODD: u16 = 1 << 8;
/// Weights that are plain, or in columns.
pub(super) const ROWS: u16 = 1 << 9;
/// Weights in pairs, or in fours.
pub(super) const PAIRED: u16 = 1 << 10;
/// Weights in quads.
pub(super) const QUADRUPLED: u16 = 1 << 11;
/// Weights in columns; depthwise, in words.
pub(super) const GROUPED: u16 = 1 << 12;
/// An operand of u8; depthwise, or channels that are multiplied.
pub(super) const BYTES: u16 = 1 << 13;

/// Results that are cut to bounds narrower than those of int8.
pub(super) const BOUNDED: u16 = 1 << 15;

/// Convolutions by maps of two rows; where there is no loop for these, by tiles.
pub(super) const WINOGRAD: u16 = 1 << 14;

/// True if some of `loops` are tiles.
pub(super) const fn takes_tiles(loops: u16) -> bool {
    loops & TILES != 0 || loops & WINOGRAD != 0 && !FAST_WINOGRAD
}

/// True if some of `loops` are faster on this core than the plain one.
pub(super) const fn takes_fast(loops: u16) -> bool {
    loops & (TILES | WINOGRAD | ALONE | SLIDE | NARROW | STREAM) != 0 && FAST
        || loops & SIMPLE != 0 && FAST_QUADS
        || loops & WIDE != 0 && HELIUM
}

/// True if the plain loop meets [`ROWS`].
pub(super) const fn reads_rows(loops: u16) -> bool {
    loops & ODD != 0 || loops & ROWS != 0 && (loops & PLAIN != 0 || !HELIUM)
}

/// True if the plain loop meets [`PAIRED`].
pub(super) const fn reads_pairs(loops: u16) -> bool {
    loops & PAIRED != 0 && (loops & PLAIN != 0 || !FAST)
}

/// True if the plain loop meets [`QUADRUPLED`].
pub(super) const fn reads_quads(loops: u16) -> bool {
    loops & QUADRUPLED != 0 && (loops & PLAIN != 0 || !FAST_QUADS)
}

/// True if the plain loop meets [`GROUPED`].
pub(super) const fn reads_columns(loops: u16) -> bool {
    loops & GROUPED != 0 && (loops & PLAIN != 0 || !HELIUM)
}

/// True if some of `loops` need the plain one on this core, which has not the others.
pub(super) const fn need_plain(loops: u16) -> bool {
    loops & (PLAIN | ODD) != 0
        || loops & (TILES | WINOGRAD | ALONE | SLIDE | NARROW | STREAM) != 0 && !FAST
        || loops & SIMPLE != 0 && !FAST_QUADS
        || loops & WIDE != 0 && !HELIUM
}

/// The loops that a layer takes of those that there are on the cores that its weights are packed for, given so many bytes of
/// scratch; those of its kernel are linked by `Conv2d<Native, LOOPS>`, and so on. Weights begin at a multiple of 4. 0 of ops
/// that have no choice.
#[doc(hidden)]
pub fn loops(node: &Node<'_>, scratch: usize) -> u16 {
    let unsigned = if node.in0.unsigned() { BYTES } else { 0 };
    match OpCode(node.header.op) {
        OpCode::Conv2d => unsigned | convolution(node, scratch).unwrap_or(ALL_LOOPS),
        OpCode::DepthwiseConv2d => unsigned | depthwise(node, scratch).unwrap_or(ALL_LOOPS),
        OpCode::Dense => unsigned | dense(node, scratch).unwrap_or(ALL_LOOPS),
        OpCode::Add => node.fields().map_or(ALL_LOOPS, |r: AddRecord| PLAIN | bounded(r.lo, r.hi)),
        _ => 0,
    }
}

/// Amounts of scratch with which a node is faster than with less, from the least on; none of a node that takes none.
#[doc(hidden)]
pub fn scratches(node: &Node<'_>, most: u32) -> impl Iterator<Item = u32> {
    let r: Option<ConvRecord> = node.fields().ok().filter(|_| OpCode(node.header.op) == OpCode::Conv2d);
    let tiles = r.as_ref().and_then(|r| {
        let place = (r.weights, r.packing);
        let (weights, _) = Weights::of(node, place, r.windows().taps(), node.in0.c, Native::CHANNEL).ok()?;
        Some(tile::scratch(node, &weights, r))
    });
    let of = |r: &ConvRecord| [1, 2, 3, 4].map(|maps| winograd::scratch(node, r, maps));
    let maps = r.as_ref().map_or([0; 4], of);
    [tiles.unwrap_or(0)].into_iter().chain(maps).chain([most]).filter(move |&bytes| bytes > 0 && bytes <= most)
}

/// Maps that a convolution makes at once with so many bytes of scratch; 0 if it is made by other loops.
#[doc(hidden)]
pub fn maps(node: &Node<'_>, scratch: u32) -> usize {
    let r: Option<ConvRecord> = node.fields().ok().filter(|_| OpCode(node.header.op) == OpCode::Conv2d);
    r.map_or(0, |r| winograd::within(node, &r, scratch as usize))
}

/// What the plain loop reads of weights so packed.
fn read(packing: u8) -> u16 {
    match packing {
        PAIRS | FOURS => PAIRED,
        QUADS => QUADRUPLED,
        COLUMNS => GROUPED | ROWS,
        _ => ROWS,
    }
}

/// [`BOUNDED`] of such bounds.
fn bounded(lo: i8, hi: i8) -> u16 {
    if (lo, hi) == (i8::MIN, i8::MAX) { 0 } else { BOUNDED }
}

/// [`ODD`] of an odd number of channels.
fn odd(channels: u16) -> u16 {
    if channels.is_multiple_of(2) { 0 } else { ODD }
}

fn convolution(node: &Node<'_>, scratch: usize) -> Option<u16> {
    let r: ConvRecord = node.fields().ok()?;
    let (odd, aligned) = (odd(node.out.c), r.weights.is_multiple_of(4));
    let place = (r.weights, r.packing);
    let (weights, _) = Weights::of(node, place, r.windows().taps(), node.in0.c, Native::CHANNEL).ok()?;
    let takes = match () {
        () if aligned && winograd::fits(node, &r, scratch) => odd | WINOGRAD,
        () if aligned && tile::is_alone(node, &r) => odd | ALONE,
        () if aligned && tile::fits(node, &weights, &r, scratch) => {
            odd | TILES | if tile::copies(node, &r) { NARROW } else { 0 }
        }
        () if aligned && quads::fits(node, &weights, &r, scratch) => odd | SIMPLE,
        () if aligned && product::fits(node, &weights, &r, scratch) => WIDE,
        () => odd | PLAIN,
    };
    Some(takes | read(r.packing) | bounded(r.lo, r.hi))
}

fn depthwise(node: &Node<'_>, scratch: usize) -> Option<u16> {
    let r: ConvRecord = node.fields().ok()?;
    let aligned = r.weights.is_multiple_of(4);
    let takes = match r.packing {
        _ if !aligned => None,
        QUADS => pixelwise::fits(node, &r, scratch).then_some(SIMPLE),
        WORDS => gather::fits(node, &r, scratch).then_some(WIDE),
        _ => slide::fits(node, &r, scratch).or_else(|| sliding::fits(node, &r, scratch).then_some(STREAM)),
    };
    let words = if r.packing == WORDS { GROUPED } else { 0 };
    let multiplied = if node.in0.c == node.out.c { 0 } else { BYTES };
    Some(takes.unwrap_or(PLAIN) | words | multiplied | bounded(r.lo, r.hi))
}

fn dense(node: &Node<'_>, scratch: usize) -> Option<u16> {
    let r: DenseRecord = node.fields().ok()?;
    let (odd, aligned) = (odd(node.out.c), r.weights.is_multiple_of(4));
    let takes = match () {
        () if aligned && r.is_fast(node) => odd | ALONE,
        () if aligned && quads::fits_dense(node, &r, scratch) => odd | SIMPLE,
        () if aligned && r.is_wide(node) => WIDE,
        () => odd | PLAIN,
    };
    Some(takes | read(r.packing) | bounded(r.lo, r.hi))
}
