use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, Window};

record! {
    /// Fields of [`Upsample`].
    pub struct UpsampleRecord {
        /// Rows of the result for one of the operand.
        factor_h: u8,
        /// Columns of the result for one of the operand.
        factor_w: u8,
    }
}

/// Enlarges a map by whole factors: every pixel as often as they say (nearest neighbour). Operand and result share scale
/// and zero point.
#[derive(Clone, Copy, Debug)]
pub struct Upsample;

impl Kernel for Upsample {
    const CODE: OpCode = OpCode::Upsample;
    const ARITHMETIC: Option<u8> = None;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary()?;
        node.all_i8()?;
        let r: UpsampleRecord = node.fields()?;
        let (x, y) = (&node.in0, &node.out);
        if r.factor_h == 0 || r.factor_w == 0 {
            return Err(Fault::Field);
        }
        let enlarged = |from: u16, factor: u8, to: u16| u32::from(from) * u32::from(factor) == u32::from(to);
        if !enlarged(x.h, r.factor_h, y.h) || !enlarged(x.w, r.factor_w, y.w) || x.c != y.c {
            return Err(Fault::Shape);
        }
        let rows = Window { num: 1, den: u16::from(r.factor_h), pad: 0, extent: 1 };
        Ok(Need { windows: [rows, Window::SAME], in_place: 0, ..Need::ELEMENTWISE })
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let r: UpsampleRecord = cx.node.fields().ok()?;
        let rows = cx.inputs[0];
        cx.out.each((y0, y1), false, &mut |y, x, to| {
            let (y, x) = (y.checked_div(u16::from(r.factor_h))?, x.checked_div(u16::from(r.factor_w))?);
            super::copy(to, rows.run(y, x, to.len())?);
            Some(())
        })
    }
}
