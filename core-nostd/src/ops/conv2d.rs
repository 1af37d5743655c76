use core::marker::PhantomData;

use carafe_cpu::{FAST, FAST_QUADS, FAST_WINOGRAD, HELIUM};

use super::convolution::ConvRecord;
use super::loops::{ALL_LOOPS, ALONE, SIMPLE, TILES, WIDE, WINOGRAD, need_plain, takes_fast, takes_tiles};
use super::plain::Plain;
use super::window::Weights;
use super::{product, quads, tile, winograd};
use crate::arithmetic::{Arithmetic, Native};
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode};

/// Two-dimensional convolution (`groups` = 1) with fused bias and clamp.
///
/// A bias has the input's zero point folded in, so a tap in the padding counts as the zero point times its weights.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<A = Native, const LOOPS: u16 = ALL_LOOPS>(PhantomData<A>);

impl<A: Arithmetic, const LOOPS: u16> Kernel for Conv2d<A, LOOPS> {
    const CODE: OpCode = OpCode::Conv2d;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        ConvRecord::check(node, A::CHANNEL, false, |node, weights, r| {
            // Of one packing, only one of them takes any; of what is not linked, nothing is.
            let of = |loops: u16, scratch: fn(&Node<'_>, &Weights<'_>, &ConvRecord) -> u32| {
                if A::ID != Native::ID || LOOPS & loops == 0 { 0 } else { scratch(node, weights, r) }
            };
            let maps = of(WINOGRAD, |node, _, r| winograd::most(node, r));
            maps.max(of(TILES, tile::scratch)) + of(SIMPLE, quads::scratch) + of(WIDE, product::scratch)
        })
    }

    fn need(node: &Node<'_>) -> Result<Need, Fault> {
        node.fields().map(|r: ConvRecord| r.need())
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        // One after the other, lest they lie on the stack together.
        let mut made = 0;
        if A::ID == Native::ID && LOOPS & WINOGRAD != 0 && FAST_WINOGRAD {
            made = by_maps::<LOOPS>(cx, (y0, y1))?;
        }
        if A::ID == Native::ID && takes_fast(if FAST_WINOGRAD { LOOPS & !WINOGRAD } else { LOOPS }) && made == 0 {
            made = fast::<LOOPS>(cx, (y0, y1))?;
        }
        if made == usize::from(cx.node.out.c) {
            return Some(());
        }
        if need_plain(LOOPS) { plain::<A, LOOPS>(cx, (y0, y1), made) } else { None }
    }
}

/// Makes rows `y0..y1` by maps of two rows. Gives the channels that are made, the first ones.
#[inline(never)]
fn by_maps<const LOOPS: u16>(cx: &mut Cx<'_>, rows: (u16, u16)) -> Option<usize> {
    let r: ConvRecord = cx.node.fields().ok()?;
    let (weights, channels) = weights(cx.node, &r, Native::CHANNEL)?;
    winograd::produce::<LOOPS>(cx, rows, &r, weights.bytes, channels)
}

/// Makes rows `y0..y1` by the loops of this core. Gives the channels that are made, the first ones.
#[inline(never)]
fn fast<const LOOPS: u16>(cx: &mut Cx<'_>, (y0, y1): (u16, u16)) -> Option<usize> {
    if FAST_QUADS && LOOPS & SIMPLE != 0 && quads::convolution(cx, (y0, y1))? {
        return Some(usize::from(cx.node.out.c) & !1);
    }
    if !FAST && !HELIUM {
        return Some(0);
    }
    let node = cx.node;
    let r: ConvRecord = node.fields().ok()?;
    let (weights, channels) = weights(node, &r, Native::CHANNEL)?;
    let all = usize::from(node.out.c);
    if LOOPS & WIDE != 0 && product::serves(cx, &weights, &r) {
        product::produce(cx, (y0, y1), &r, &weights, channels)?;
        return Some(all);
    }
    if LOOPS & ALONE != 0 && FAST && takes(&weights, channels) && tile::is_alone(node, &r) {
        tile::alone::<LOOPS>(cx, y0, &r, (weights.bytes, channels))?;
        return Some(all & !1);
    }
    if takes_tiles(LOOPS) && takes(&weights, channels) && tile::serves(cx, &weights, &r) {
        tile::produce::<LOOPS>(cx, (y0, y1), &r, (&weights, channels))?;
        return Some(all & !1);
    }
    Some(0)
}

/// True if fast loops take them where they lie.
fn takes(weights: &Weights<'_>, channels: &[u8]) -> bool {
    carafe_cpu::takes(weights.bytes) && carafe_cpu::takes(channels)
}

/// Makes rows `y0..y1`, all channels but the first `made`.
#[inline(never)]
fn plain<A: Arithmetic, const LOOPS: u16>(cx: &mut Cx<'_>, (y0, y1): (u16, u16), made: usize) -> Option<()> {
    // Not by `?`, which would copy it.
    let Some(plain) = &read(cx.node, A::CHANNEL) else { return None };
    plain.make::<A, LOOPS>(cx, (y0, y1), made)
}

/// What the plain loop takes. Not where it is called: what reading takes is not on the stack while the loop runs.
#[inline(never)]
fn read<'m>(node: &Node<'m>, channel: usize) -> Option<Plain<'m>> {
    let r: ConvRecord = node.fields().ok()?;
    let (weights, channels) = weights(node, &r, channel)?;
    Some(Plain { windows: r.windows(), weights, channels, finish: r.finish(node), dense: false })
}

#[inline]
pub(super) fn weights<'m>(node: &Node<'m>, r: &ConvRecord, channel: usize) -> Option<(Weights<'m>, &'m [u8])> {
    Weights::of(node, (r.weights, r.packing), r.windows().taps(), node.in0.c, channel).ok()
}
