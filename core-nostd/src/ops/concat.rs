use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode};

/// Joins two tensors along the channels, and copies nothing: both lie in the buffer of the result from the moment
/// they are made, as slices of its pixels. More than two are joined by a chain.
#[derive(Clone, Copy, Debug)]
pub struct Concat;

impl Kernel for Concat {
    const CODE: OpCode = OpCode::Concat;
    const ARITHMETIC: Option<u8> = None;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.all_i8()?;
        let (a, y) = (&node.in0, &node.out);
        let b = node.in1.ok_or(Fault::Operand)?;
        if (a.h, a.w, b.h, b.w) != (y.h, y.w, y.h, y.w) || a.c.checked_add(b.c) != Some(y.c) {
            return Err(Fault::Shape);
        }
        Ok(Need { view: true, in_place: 0, ..Need::ELEMENTWISE })
    }

    fn placed(node: &Node<'_>) -> Result<(), Fault> {
        let (a, y) = (&node.in0, &node.out);
        let b = node.in1.ok_or(Fault::Operand)?;
        let joined = (a.buffer, b.buffer) == (y.buffer, y.buffer)
            && (a.pixel_stride, b.pixel_stride) == (y.pixel_stride, y.pixel_stride)
            && a.offset == y.offset
            && y.offset.checked_add(u32::from(a.c)) == Some(b.offset);
        if joined { Ok(()) } else { Err(Fault::Placement) }
    }

    fn eval(_: &mut Cx<'_>, _: Band) -> Option<()> {
        Some(())
    }
}
