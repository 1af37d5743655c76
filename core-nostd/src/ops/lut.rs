use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, RunError};

record! {
    /// Fields of [`Lut`].
    pub struct LutRecord {
        /// Byte of the table among the constants: 256 entries, the one for element q at `q + 128`.
        /// [`LutRecord::COPY`]: no table, elements are copied.
        table: u32,
    }
}

impl LutRecord {
    /// "No table".
    pub const COPY: u32 = u32::MAX;
}

/// Any function of one element, through a table: sigmoid, tanh, hard-swish, a change of scale. Works in place.
#[derive(Clone, Copy, Debug)]
pub struct Lut;

impl Kernel for Lut {
    const CODE: OpCode = OpCode::Lut;
    const ARITHMETIC: Option<u8> = None;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary()?;
        node.all_i8()?;
        let r: LutRecord = node.fields()?;
        if !node.in0.same_shape(&node.out) {
            return Err(Fault::Shape);
        }
        if r.table != LutRecord::COPY {
            node.consts(r.table, 256)?;
        }
        Ok(Need::ELEMENTWISE)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Result<(), RunError> {
        let wrong = RunError::Plan { node: cx.node.id.0 };
        let Band::Produce(y0, y1) = band else { return Err(wrong) };
        let r: LutRecord = cx.node.fields().map_err(|_| wrong)?;
        let rows = cx.inputs[0];
        for y in y0..y1 {
            if cx.in_place.is_none() {
                for (out, x) in cx.out.pixels(y).zip(rows.pixels(y)) {
                    super::copy(out, x);
                }
            }
            if r.table == LutRecord::COPY {
                continue;
            }
            let table = cx.node.consts(r.table, 256).map_err(|_| wrong)?;
            for pixel in cx.out.pixels(y) {
                for v in pixel {
                    *v = table.get(usize::from(*v ^ 0x80)).copied().unwrap_or(*v);
                }
            }
        }
        Ok(())
    }
}
