use core::marker::PhantomData;

use crate::arithmetic::{Arithmetic, Native};
use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode};

record! {
    /// Fields of [`Softmax`].
    pub struct SoftmaxRecord {
        /// Native: byte of the table among the constants; entry d is round(65535·e^(−d·scale)), u16.
        table: u32,
        /// Native: entries of the table; beyond it e^x counts as 0.
        entries: u16,
        /// TFLite: multiplier of the difference to the maximum.
        multiplier: i32,
        /// TFLite: its left shift.
        shift: i8,
        /// TFLite: differences below count as 0.
        diff_min: i32,
    }
}

/// Softmax over the channels of every pixel. The result has scale 1/256 and zero point −128; it may overwrite the
/// operand.
#[derive(Clone, Copy, Debug)]
pub struct Softmax<A = Native>(PhantomData<A>);

impl<A: Arithmetic> Kernel for Softmax<A> {
    const CODE: OpCode = OpCode::Softmax;
    const ARITHMETIC: Option<u8> = Some(A::ID);

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary()?;
        node.all_i8()?;
        let r: SoftmaxRecord = node.fields()?;
        if !node.in0.same_shape(&node.out) {
            return Err(Fault::Shape);
        }
        node.consts(r.table, A::softmax_table(&r)?)?;
        Ok(Need::ELEMENTWISE)
    }

    fn need(_: &Node<'_>) -> Result<Need, Fault> {
        Ok(Need::ELEMENTWISE)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let r: SoftmaxRecord = cx.node.fields().ok()?;
        let table = A::softmax_table(&r).and_then(|n| cx.node.consts(r.table, n)).ok()?;
        super::bring(cx, y0, y1)?;
        cx.out.each((y0, y1), false, &mut |_, _, pixel| {
            A::softmax(&r, table, pixel);
            Some(())
        })
    }
}
