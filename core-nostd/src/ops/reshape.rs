use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, Window};

/// Other extents for the same elements, and copies nothing: the result lies where its operand does.
#[derive(Clone, Copy, Debug)]
pub struct Reshape;

impl Kernel for Reshape {
    const CODE: OpCode = OpCode::Reshape;
    const ARITHMETIC: Option<u8> = None;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary()?;
        if node.in0.bytes() != node.out.bytes() || node.in0.dtype != node.out.dtype {
            return Err(Fault::Shape);
        }
        // With equal rows, row y is row y, and a ring may hold them; else all of it has to be there.
        let same_rows = node.in0.h == node.out.h;
        let window = if same_rows { Window::SAME } else { Window::ALL };
        Ok(Need { windows: [window, Window::SAME], view: true, in_place: 0, ..Need::ELEMENTWISE })
    }

    fn placed(node: &Node<'_>) -> Result<(), Fault> {
        let (x, y) = (&node.in0, &node.out);
        let gapless = x.pixel_stride == x.c && y.pixel_stride == y.c;
        if x.buffer == y.buffer && x.offset == y.offset && gapless { Ok(()) } else { Err(Fault::Placement) }
    }

    fn eval(_: &mut Cx<'_>, _: Band) -> Option<()> {
        Some(())
    }
}
