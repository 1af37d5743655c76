use core::marker::PhantomData;

use super::conv2d::ConvRecord;
use crate::arithmetic::{Arithmetic, Native, finish};
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, RunError, Window};

/// Channels that are accumulated at once: accumulators stay on the stack, 64 bytes of it.
const BLOCK: usize = 16;

/// Depthwise convolution: every channel has its own kernel, or `multiplier` kernels (output channel
/// `i·multiplier + m` reads input channel `i`). Weights are `[KH, KW, O]`.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2d<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for DepthwiseConv2d<A> {
    const CODE: OpCode = OpCode::DepthwiseConv2d;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary_bytes()?;
        let r: ConvRecord = node.fields()?;
        let window = r.window()?;
        let (x, y) = (&node.in0, &node.out);
        if y.c.checked_rem(x.c) != Some(0) {
            return Err(Fault::Shape);
        }
        let weights = usize::from(r.kernel_h) * usize::from(r.kernel_w) * usize::from(y.c);
        node.layer::<A>(r.weights, weights)?;
        let macs = (weights as u64).saturating_mul(u64::from(y.h) * u64::from(y.w));
        Ok(Need {
            windows: [window, Window::SAME],
            in_place: 0,
            macs: u32::try_from(macs).unwrap_or(u32::MAX),
            ..Need::ELEMENTWISE
        })
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Result<(), RunError> {
        let wrong = RunError::Plan { node: cx.node.id.0 };
        let Band::Produce(y0, y1) = band else { return Err(wrong) };
        let r: ConvRecord = cx.node.fields().map_err(|_| wrong)?;
        let (x, y) = (&cx.node.in0, &cx.node.out);
        let oc = usize::from(y.c);
        let taps = usize::from(r.kernel_h) * usize::from(r.kernel_w);
        let multiplier = usize::from(y.c.checked_div(x.c).ok_or(wrong)?);
        let (weights, channels) = cx.node.layer::<A>(r.weights, taps * oc).map_err(|_| wrong)?;
        let rows = cx.inputs[0];
        let (stride, unsigned) = (rows.pixel_stride(), x.unsigned());
        for oy in y0..y1 {
            for (ox, out) in (0u16..).zip(cx.out.pixels(oy)) {
                for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                    let from = block * BLOCK;
                    let mut acc = [0i32; BLOCK];
                    for (ky, w) in (0u8..).zip(weights.chunks_exact((usize::from(r.kernel_w) * oc).max(1))) {
                        let row = ConvRecord::tap(oy, ky, r.stride_h, r.dilation_h, r.pad_top, x.h);
                        let row = row.and_then(|y| rows.row(y));
                        for (kx, w) in (0u8..).zip(w.chunks_exact(oc.max(1))) {
                            let w = w.get(from..(from + BLOCK).min(oc)).ok_or(wrong)?;
                            let ix = ConvRecord::tap(ox, kx, r.stride_w, r.dilation_w, r.pad_left, x.w);
                            let (Some(row), Some(ix)) = (row, ix) else {
                                carafe_cpu::multiply_add_scalar(&mut acc, x.zero(), w);
                                continue;
                            };
                            let pixel = row.get(usize::from(ix) * stride..).ok_or(wrong)?;
                            if multiplier == 1 && !unsigned {
                                carafe_cpu::multiply_add(&mut acc, pixel.get(from..).ok_or(wrong)?, w);
                            } else {
                                for (o, (acc, &w)) in (from..).zip(acc.iter_mut().zip(w)) {
                                    let i = o.checked_div(multiplier).ok_or(wrong)?;
                                    let v = carafe_cpu::element(*pixel.get(i).ok_or(wrong)?, unsigned);
                                    *acc = acc.wrapping_add(i32::from(v) * i32::from(w as i8));
                                }
                            }
                        }
                    }
                    let channels = channels.chunks_exact(A::CHANNEL).skip(from);
                    for ((out, acc), channel) in out.iter_mut().zip(acc).zip(channels) {
                        let c = A::channel(channel, r.shift);
                        let v = A::requantize(acc.wrapping_add(c.bias), c.multiplier, c.shift);
                        *out = finish(v, y.zero_point, r.lo, r.hi);
                    }
                }
            }
        }
        Ok(())
    }
}
