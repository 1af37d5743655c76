use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, Window};

record! {
    /// Fields of [`Slice`].
    pub struct SliceRecord {
        /// First row.
        y: u16,
        /// First column.
        x: u16,
        /// First channel.
        c: u16,
    }
}

/// A part of a map: some of its channels, rows and columns, each next to each other. Operand and result share scale and
/// zero point.
#[derive(Clone, Copy, Debug)]
pub struct Slice;

impl Kernel for Slice {
    const CODE: OpCode = OpCode::Slice;
    const ARITHMETIC: Option<u8> = None;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary()?;
        node.all_i8()?;
        let r: SliceRecord = node.fields()?;
        let (x, y) = (&node.in0, &node.out);
        let inside = |from: u16, n: u16, of: u16| u32::from(from) + u32::from(n) <= u32::from(of);
        if !inside(r.y, y.h, x.h) || !inside(r.x, y.w, x.w) || !inside(r.c, y.c, x.c) {
            return Err(Fault::Shape);
        }
        // A window cannot begin below the row that is made: it reaches from there to the row that is read.
        let rows = Window { extent: r.y.saturating_add(1), ..Window::SAME };
        Ok(Need { windows: [rows, Window::SAME], in_place: 0, ..Need::ELEMENTWISE })
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let r: SliceRecord = cx.node.fields().ok()?;
        let rows = cx.inputs[0];
        cx.out.each((y0, y1), false, &mut |y, x, to| {
            let c = usize::from(r.c);
            let pixel = rows.run(y.checked_add(r.y)?, x.checked_add(r.x)?, c + to.len())?;
            super::copy(to, pixel.get(c..)?);
            Some(())
        })
    }
}
