use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, Window};

/// What came before, then what is new: the window of a sequence that is given in pieces. The result is longer than the
/// operand; it begins with the end of the result of the inference before (after a reset: zeros), and ends with the
/// operand. A convolution without padding behind it then makes one row for each new one.
///
/// Time runs along the rows, or along the columns of maps of one row. The result lies in the state, as a whole, and a
/// step moves it on by what is new: there is no copy of the past elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct History;

impl Kernel for History {
    const CODE: OpCode = OpCode::History;
    const ARITHMETIC: Option<u8> = None;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary()?;
        node.all_i8()?;
        let (x, y) = (&node.in0, &node.out);
        let rows = x.w == y.w && x.h < y.h;
        let columns = (x.h, y.h) == (1, 1) && x.w < y.w;
        if x.c != y.c || x.zero_point != y.zero_point || !(rows || columns) {
            return Err(Fault::Shape);
        }
        Ok(Need { windows: [Window::ALL, Window::SAME], in_place: 0, state: true, ..Need::ELEMENTWISE })
    }

    fn placed(node: &Node<'_>) -> Result<(), Fault> {
        let y = &node.out;
        // One step moves all of it.
        let whole = u16::from(node.header.band) >= y.h && y.pixel_stride == y.c && y.offset == 0;
        if whole { Ok(()) } else { Err(Fault::Placement) }
    }

    fn eval(cx: &mut Cx<'_>, _: Band) -> Option<()> {
        let (x, rows) = (&cx.node.in0, &cx.inputs[0]);
        let free = cx.out.advance(x.bytes())?;
        let pixel = usize::from(x.c).max(1);
        for (y, to) in (0..x.h).zip(free.chunks_exact_mut((usize::from(x.w) * pixel).max(1))) {
            for (to, from) in to.chunks_exact_mut(pixel).zip(rows.pixels(y)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
        Some(())
    }
}
