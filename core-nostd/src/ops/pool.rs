use core::marker::PhantomData;

use super::convolution::BLOCK;
use super::window::Windows;
use crate::arithmetic::{Arithmetic, Native, finish};
use crate::record::{Field, record};
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, Window};

record! {
    /// Fields of [`MaxPool2d`] and [`AvgPool2d`].
    pub struct PoolRecord {
        /// Rows of the window.
        kernel_h: u8,
        /// Columns of the window.
        kernel_w: u8,
        /// Rows from window to window.
        stride_h: u8,
        /// Columns from window to window.
        stride_w: u8,
        /// Rows of padding above.
        pad_top: u8,
        /// Columns of padding to the left.
        pad_left: u8,
        /// Least element of the result.
        lo: i8,
        /// Greatest element of the result.
        hi: i8,
        /// Average: shift of the requantization.
        shift: i8,
        /// Average: 1 if the mean is over the elements inside the operand, 0 if padding counts as zeros.
        exclude_pad: u8,
        /// Average: byte of the multipliers (i32) among the constants; the one for n elements is entry n − 1, or
        /// the only one if padding counts.
        multipliers: u32,
    }
}

/// Every window has an element, given that the padding before the first one is narrower than the window.
fn touches(out: u16, stride: u8, pad: u8, extent: u16) -> bool {
    u32::from(out.saturating_sub(1)) * u32::from(stride) < u32::from(extent) + u32::from(pad)
}

impl PoolRecord {
    fn windows(&self) -> Windows {
        Windows {
            kernel: [self.kernel_h, self.kernel_w],
            stride: [self.stride_h, self.stride_w],
            dilation: [1, 1],
            pad: [self.pad_top, self.pad_left],
        }
    }

    #[inline(never)]
    fn check(node: &Node<'_>, average: bool) -> Result<Need, Fault> {
        node.unary()?;
        node.all_i8()?;
        let r: PoolRecord = node.fields()?;
        let window = r.windows().rows()?;
        // A window that lies in the padding alone would have no element.
        if r.pad_top >= r.kernel_h || r.pad_left >= r.kernel_w {
            return Err(Fault::Field);
        }
        let (x, y) = (&node.in0, &node.out);
        let fits = touches(y.h, r.stride_h, r.pad_top, x.h) && touches(y.w, r.stride_w, r.pad_left, x.w);
        if !fits || x.c != y.c {
            return Err(Fault::Shape);
        }
        if average {
            node.consts(r.multipliers, 4 * r.multipliers())?;
        }
        Ok(Need { windows: [window, Window::SAME], in_place: 0, ..Need::ELEMENTWISE })
    }

    #[inline(never)]
    fn need(node: &Node<'_>) -> Result<Need, Fault> {
        let r: PoolRecord = node.fields()?;
        Ok(Need { windows: [r.windows().window(), Window::SAME], in_place: 0, ..Need::ELEMENTWISE })
    }

    /// Entries of the table of multipliers.
    fn multipliers(&self) -> usize {
        if self.exclude_pad != 0 { self.windows().taps() } else { 1 }
    }
}

/// The largest element of a window. Operand and result share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d;

impl Kernel for MaxPool2d {
    const CODE: OpCode = OpCode::MaxPool2d;
    const ARITHMETIC: Option<u8> = None;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        PoolRecord::check(node, false)
    }

    fn need(node: &Node<'_>) -> Result<Need, Fault> {
        PoolRecord::need(node)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let (node, [rows, _]) = (cx.node, &cx.inputs);
        let r: PoolRecord = node.fields().ok()?;
        let windows = r.windows();
        cx.out.each((y0, y1), false, &mut |oy, ox, out| {
            carafe_cpu::fill(out, i8::MIN as u8);
            windows.each((&node.in0, rows), (oy, ox), false, &mut |taps| {
                carafe_cpu::max(out, taps.pixels.unwrap_or_default());
                Some(())
            })?;
            carafe_cpu::clamp(out, r.lo, r.hi);
            Some(())
        })
    }
}

/// The mean of a window.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2d<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for AvgPool2d<A> {
    const CODE: OpCode = OpCode::AvgPool2d;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        PoolRecord::check(node, true)
    }

    fn need(node: &Node<'_>) -> Result<Need, Fault> {
        PoolRecord::need(node)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let (node, [rows, _]) = (cx.node, &cx.inputs);
        let r: PoolRecord = node.fields().ok()?;
        let windows = r.windows();
        let table = node.consts(r.multipliers, 4 * r.multipliers()).ok()?;
        let zero_points = [node.in0.zero_point, node.out.zero_point];
        cx.out.each((y0, y1), false, &mut |oy, ox, out| {
            let mut from = 0;
            for out in out.chunks_mut(BLOCK) {
                let mut acc = [0i32; BLOCK];
                let mut n = 0u16;
                windows.each((&node.in0, rows), (oy, ox), false, &mut |taps| {
                    let Some(pixel) = taps.pixels else { return Some(()) };
                    carafe_cpu::add(acc.get_mut(..out.len())?, pixel.get(from..)?);
                    n = n.saturating_add(1);
                    Some(())
                })?;
                let which = if r.exclude_pad != 0 { usize::from(n.saturating_sub(1)) } else { 0 };
                let multiplier = i32::get(table, 4 * which)?;
                for (out, &sum) in out.iter_mut().zip(&acc) {
                    *out = finish(A::average(sum, n, zero_points, multiplier, r.shift), 0, r.lo, r.hi);
                }
                from += BLOCK;
            }
            Some(())
        })
    }
}
