use core::marker::PhantomData;

use super::conv2d::ConvRecord;
use crate::arithmetic::{Arithmetic, Native, finish};
use crate::record::{Field, record};
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, RunError, Window};

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
    fn need(&self, node: &Node<'_>) -> Result<Need, Fault> {
        node.unary()?;
        node.all_i8()?;
        if [self.kernel_h, self.kernel_w, self.stride_h, self.stride_w].contains(&0) {
            return Err(Fault::Field);
        }
        // A window that lies in the padding alone would have no element.
        if self.pad_top >= self.kernel_h || self.pad_left >= self.kernel_w {
            return Err(Fault::Field);
        }
        let (x, y) = (&node.in0, &node.out);
        let fits = touches(y.h, self.stride_h, self.pad_top, x.h) && touches(y.w, self.stride_w, self.pad_left, x.w);
        if !fits || x.c != y.c {
            return Err(Fault::Shape);
        }
        let (num, pad) = (u16::from(self.stride_h), u16::from(self.pad_top));
        let window = Window { num, den: 1, pad, extent: u16::from(self.kernel_h) };
        Ok(Need { windows: [window, Window::SAME], in_place: 0, ..Need::ELEMENTWISE })
    }

    /// Entries of the table of multipliers.
    fn multipliers(&self) -> usize {
        if self.exclude_pad != 0 { usize::from(self.kernel_h) * usize::from(self.kernel_w) } else { 1 }
    }

    /// Calls `f` with the channels from `from` on of every element of the window of output (`oy`, `ox`) that lies
    /// inside the operand; gives their number.
    fn window<'a>(&self, cx: &Cx<'a>, oy: u16, ox: u16, from: usize, mut f: impl FnMut(&'a [u8])) -> Option<u16> {
        let (x, rows) = (&cx.node.in0, &cx.inputs[0]);
        let mut n = 0u16;
        for ky in 0..self.kernel_h {
            let Some(iy) = ConvRecord::tap(oy, ky, self.stride_h, 1, self.pad_top, x.h) else { continue };
            let row = rows.row(iy)?;
            for kx in 0..self.kernel_w {
                let Some(ix) = ConvRecord::tap(ox, kx, self.stride_w, 1, self.pad_left, x.w) else { continue };
                let at = usize::from(ix) * rows.pixel_stride();
                f(row.get(at + from..at + usize::from(x.c))?);
                n = n.saturating_add(1);
            }
        }
        Some(n)
    }
}

/// The largest element of a window. Operand and result share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d;

impl Kernel for MaxPool2d {
    const CODE: OpCode = OpCode::MaxPool2d;
    const ARITHMETIC: Option<u8> = None;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.fields::<PoolRecord>()?.need(node)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Result<(), RunError> {
        let wrong = RunError::Plan { node: cx.node.id.0 };
        let Band::Produce(y0, y1) = band else { return Err(wrong) };
        let r: PoolRecord = cx.node.fields().map_err(|_| wrong)?;
        let mut out = core::mem::take(&mut cx.out);
        for oy in y0..y1 {
            for (ox, out) in (0u16..).zip(out.pixels(oy)) {
                out.fill(i8::MIN as u8);
                r.window(cx, oy, ox, 0, |pixel| carafe_cpu::max(out, pixel)).ok_or(wrong)?;
                for v in out {
                    *v = (*v as i8).max(r.lo).min(r.hi) as u8;
                }
            }
        }
        Ok(())
    }
}

/// Channels that are accumulated at once.
const BLOCK: usize = 16;

/// The mean of a window.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2d<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for AvgPool2d<A> {
    const CODE: OpCode = OpCode::AvgPool2d;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        let r: PoolRecord = node.fields()?;
        let need = r.need(node)?;
        node.consts(r.multipliers, 4 * r.multipliers())?;
        Ok(need)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Result<(), RunError> {
        let wrong = RunError::Plan { node: cx.node.id.0 };
        let Band::Produce(y0, y1) = band else { return Err(wrong) };
        let r: PoolRecord = cx.node.fields().map_err(|_| wrong)?;
        let table = cx.node.consts(r.multipliers, 4 * r.multipliers()).map_err(|_| wrong)?;
        let zero_points = [cx.node.in0.zero_point, cx.node.out.zero_point];
        let mut out = core::mem::take(&mut cx.out);
        for oy in y0..y1 {
            for (ox, out) in (0u16..).zip(out.pixels(oy)) {
                for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                    let mut acc = [0i32; BLOCK];
                    let add = |pixel| carafe_cpu::add(&mut acc, pixel);
                    let n = r.window(cx, oy, ox, block * BLOCK, add).ok_or(wrong)?;
                    let which = if r.exclude_pad != 0 { usize::from(n.saturating_sub(1)) } else { 0 };
                    let multiplier = i32::get(table, 4 * which).ok_or(wrong)?;
                    for (out, &sum) in out.iter_mut().zip(&acc) {
                        let v = A::average(sum, n, zero_points, multiplier, r.shift);
                        *out = finish(v, 0, r.lo, r.hi);
                    }
                }
            }
        }
        Ok(())
    }
}
