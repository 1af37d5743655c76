use crate::record::record;
use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode, Window};

record! {
    /// Fields of [`SpaceToDepth`].
    pub struct SpaceToDepthRecord {
        /// Rows and columns of a block.
        block: u8,
        /// 1 if the elements of a channel stay together, 0 if those of a pixel do.
        depth_first: u8,
    }
}

/// Makes one pixel of each square block of pixels, with all their channels. Operand and result share scale and zero
/// point.
#[derive(Clone, Copy, Debug)]
pub struct SpaceToDepth;

impl Kernel for SpaceToDepth {
    const CODE: OpCode = OpCode::SpaceToDepth;
    const ARITHMETIC: Option<u8> = None;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        node.unary()?;
        node.all_i8()?;
        let r: SpaceToDepthRecord = node.fields()?;
        let (x, y) = (&node.in0, &node.out);
        let block = u32::from(r.block);
        if block == 0 {
            return Err(Fault::Field);
        }
        // No product exceeds 32 bits.
        let times = |few: u16, n: u32, many: u16| u32::from(few) * n == u32::from(many);
        if !times(y.h, block, x.h) || !times(y.w, block, x.w) || !times(x.c, block * block, y.c) {
            return Err(Fault::Shape);
        }
        let rows = Window { num: u16::from(r.block), den: 1, pad: 0, extent: u16::from(r.block) };
        Ok(Need { windows: [rows, Window::SAME], in_place: 0, ..Need::ELEMENTWISE })
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        let Band::Produce(y0, y1) = band else { return None };
        let r: SpaceToDepthRecord = cx.node.fields().ok()?;
        let rows = cx.inputs[0];
        let (block, channels) = (u16::from(r.block), rows.channels());
        // Elements from pixel to pixel, and from channel to channel.
        let taps = usize::from(block) * usize::from(block);
        let (pixel, channel) = if r.depth_first != 0 { (1, taps) } else { (channels, 1) };
        cx.out.each((y0, y1), false, &mut |y, x, to| {
            let mut at = 0;
            for ky in 0..block {
                for kx in 0..block {
                    let (y, x) = (y.checked_mul(block)?.checked_add(ky)?, x.checked_mul(block)?.checked_add(kx)?);
                    let mut from = rows.run(y, x, channels)?.iter();
                    for to in to.get_mut(at..)?.chunks_mut(channel.max(1)) {
                        let (Some(to), Some(from)) = (to.first_mut(), from.next()) else { break };
                        *to = *from;
                    }
                    at += pixel;
                }
            }
            Some(())
        })
    }
}
