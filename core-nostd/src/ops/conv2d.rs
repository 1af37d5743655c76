use core::marker::PhantomData;

use crate::arithmetic::{Arithmetic, Native, finish};
use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, RunError, Window};

record! {
    /// Fields of [`Conv2d`] and [`super::DepthwiseConv2d`].
    pub struct ConvRecord {
        /// Rows of the kernel.
        kernel_h: u8,
        /// Columns of the kernel.
        kernel_w: u8,
        /// Rows from window to window.
        stride_h: u8,
        /// Columns from window to window.
        stride_w: u8,
        /// Rows from tap to tap.
        dilation_h: u8,
        /// Columns from tap to tap.
        dilation_w: u8,
        /// Rows of padding above.
        pad_top: u8,
        /// Columns of padding to the left.
        pad_left: u8,
        /// Least element of the result.
        lo: i8,
        /// Greatest element of the result.
        hi: i8,
        /// Shift of the requantization, if the arithmetic has one per node.
        shift: i8,
        /// How weights are packed. 0: plain, `[O, KH, KW, I]` (depthwise: `[KH, KW, O]`).
        packing: u8,
        /// Byte of the weights among the constants; channel parameters follow ([`Node::layer`]).
        weights: u32,
    }
}

impl ConvRecord {
    pub(super) fn window(&self) -> Result<Window, Fault> {
        let nonzero = [self.kernel_h, self.kernel_w, self.stride_h, self.stride_w, self.dilation_h, self.dilation_w];
        if nonzero.contains(&0) || self.packing != 0 {
            return Err(Fault::Field);
        }
        Ok(Window {
            num: u16::from(self.stride_h),
            den: 1,
            pad: u16::from(self.pad_top),
            extent: (u16::from(self.kernel_h) - 1) * u16::from(self.dilation_h) + 1,
        })
    }

    /// Row (or column) of the operand that tap `k` of output `o` reads; `None` if it lies in the padding.
    #[inline]
    pub(super) fn tap(o: u16, k: u8, stride: u8, dilation: u8, pad: u8, extent: u16) -> Option<u16> {
        let at = u32::from(o) * u32::from(stride) + u32::from(k) * u32::from(dilation);
        let at = at.checked_sub(u32::from(pad))?;
        (at < u32::from(extent)).then_some(at as u16)
    }
}

/// Two-dimensional convolution (`groups` = 1) with fused bias and clamp.
///
/// Accumulators begin with a bias that has the input's zero point folded in, so a tap in the padding counts as the
/// zero point times its weights.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for Conv2d<A> {
    const CODE: OpCode = OpCode::Conv2d;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary_bytes()?;
        let r: ConvRecord = node.fields()?;
        let window = r.window()?;
        let (x, y) = (&node.in0, &node.out);
        let per_channel = usize::from(r.kernel_h) * usize::from(r.kernel_w) * usize::from(x.c);
        let weights = per_channel.checked_mul(usize::from(y.c)).ok_or(Fault::Shape)?;
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
        let ic = usize::from(x.c);
        let row_weights = usize::from(r.kernel_w) * ic;
        let per_channel = usize::from(r.kernel_h) * row_weights;
        let (weights, channels) = cx.node.layer::<A>(r.weights, per_channel * usize::from(y.c)).map_err(|_| wrong)?;
        let rows = cx.inputs[0];
        let (pad, unsigned) = (i32::from(x.zero()), x.unsigned());
        let stride = rows.pixel_stride();
        // Taps of one row of the window lie next to each other if pixels and taps do.
        let joined = rows.contiguous() && r.dilation_w == 1;
        for oy in y0..y1 {
            for (ox, out) in (0u16..).zip(cx.out.pixels(oy)) {
                let weights = weights.chunks_exact(per_channel.max(1));
                let channels = channels.chunks_exact(A::CHANNEL);
                for ((out, weights), channel) in out.iter_mut().zip(weights).zip(channels) {
                    let channel = A::channel(channel, r.shift);
                    let mut acc = channel.bias;
                    for (ky, w) in (0u8..).zip(weights.chunks_exact(row_weights.max(1))) {
                        let row = ConvRecord::tap(oy, ky, r.stride_h, r.dilation_h, r.pad_top, x.h);
                        let Some(row) = row.and_then(|y| rows.row(y)) else {
                            acc = acc.wrapping_add(carafe_cpu::sum(w).wrapping_mul(pad));
                            continue;
                        };
                        let begin = u32::from(ox) * u32::from(r.stride_w);
                        let left = u32::from(r.pad_left);
                        if joined && begin >= left && begin - left + u32::from(r.kernel_w) <= u32::from(x.w) {
                            let at = (begin - left) as usize * ic;
                            let taps = row.get(at..at + row_weights).ok_or(wrong)?;
                            acc = acc.wrapping_add(carafe_cpu::dot_either(taps, w, unsigned));
                            continue;
                        }
                        for (kx, w) in (0u8..).zip(w.chunks_exact(ic.max(1))) {
                            match ConvRecord::tap(ox, kx, r.stride_w, r.dilation_w, r.pad_left, x.w) {
                                Some(ix) => {
                                    let at = usize::from(ix) * stride;
                                    let tap = row.get(at..at + ic).ok_or(wrong)?;
                                    acc = acc.wrapping_add(carafe_cpu::dot_either(tap, w, unsigned));
                                }
                                None => acc = acc.wrapping_add(carafe_cpu::sum(w).wrapping_mul(pad)),
                            }
                        }
                    }
                    let v = A::requantize(acc, channel.multiplier, channel.shift);
                    *out = finish(v, y.zero_point, r.lo, r.hi);
                }
            }
        }
        Ok(())
    }
}
