use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode};

record! {
    /// Fields of [`Lut`].
    pub struct LutRecord {
        /// Byte of the table among the constants: 256 entries in the order of the elements, from −128 (from 0 if the
        /// operand is u8). [`LutRecord::COPY`]: no table, element k of that order becomes element k.
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
        node.unary_bytes()?;
        let r: LutRecord = node.fields()?;
        if !node.in0.same_shape(&node.out) {
            return Err(Fault::Shape);
        }
        if r.table != LutRecord::COPY {
            node.consts(r.table, 256)?;
        }
        Ok(Need::ELEMENTWISE)
    }

    fn need(_: &Node<'_>) -> Result<Need, Fault> {
        Ok(Need::ELEMENTWISE)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let r: LutRecord = cx.node.fields().ok()?;
        // Elements of int8 stand in the order of their bytes once the sign is flipped; those of u8 do as they are.
        let flip = if cx.node.in0.unsigned() { 0 } else { 0x80 };
        let table = if r.table == LutRecord::COPY { None } else { Some(cx.node.consts(r.table, 256).ok()?) };
        super::bring(cx, y0, y1)?;
        cx.out.each((y0, y1), true, &mut |_, _, pixel| {
            for v in pixel {
                let k = *v ^ flip;
                *v = match table {
                    Some(table) => *table.get(usize::from(k))?,
                    None => k ^ 0x80,
                };
            }
            Some(())
        })
    }
}
