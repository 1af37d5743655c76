use core::hint::black_box;

use crate::blob::{NONE, NodeHeader, ScratchRecord, TensorRecord};
use crate::record::Record;
use crate::{Fault, Rows, RowsMut};

/// Index of a node in its blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NodeId(pub u16);

/// Number of an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OpCode(pub u16);

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DType {
    /// Signed 8 bits: the type of every tensor that a node makes.
    I8,
    /// Unsigned 8 bits, as cameras deliver them: the type of a graph input, if all that read it take it as their first
    /// operand and are convolutions, dense layers or tables.
    U8,
}

impl DType {
    /// Its bit in a record.
    pub fn code(self) -> u8 {
        match self {
            DType::I8 => 0,
            DType::U8 => 1,
        }
    }

    /// The inverse of [`DType::code`], of its bit alone.
    pub fn from_code(code: u8) -> Self {
        if code & 1 == 0 { DType::I8 } else { DType::U8 }
    }
}

/// A tensor as kernels and planner see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Rows.
    pub h: u16,
    /// Columns.
    pub w: u16,
    /// Channels.
    pub c: u16,
    /// Element type.
    pub dtype: DType,
    /// The byte of the element that stands for zero. [`TensorInfo::zero`] reads it as what it is.
    pub zero_point: i8,
    /// Buffer it lies in; [`NONE`] before it is placed.
    pub buffer: u16,
    /// Bytes from pixel to pixel.
    pub pixel_stride: u16,
    /// Byte of its first element in its buffer (in a ring: in its row).
    pub offset: u32,
    /// Rows that the first band is shorter than the others, and slots of a ring before that of row 0: bands that begin
    /// elsewhere than at multiples of their height may leave a window of the next layer fewer rows to wait for.
    pub lead: u8,
}

impl TensorInfo {
    /// Nothing, nowhere. (Zeros, which take the least code.)
    pub(crate) const NONE: Self =
        Self { h: 0, w: 0, c: 0, dtype: DType::I8, zero_point: 0, buffer: 0, pixel_stride: 0, offset: 0, lead: 0 };

    /// Of a record.
    pub fn of(r: TensorRecord) -> Self {
        Self {
            h: r.h,
            w: r.w,
            c: r.c,
            dtype: DType::from_code(r.kind),
            zero_point: r.zero_point,
            buffer: r.buffer,
            pixel_stride: r.pixel_stride,
            offset: u32::from(r.offset),
            lead: r.kind >> 1,
        }
    }

    /// A tensor that is not placed yet, contiguous.
    pub fn unplaced(h: u16, w: u16, c: u16, zero_point: i8) -> Self {
        Self { h, w, c, dtype: DType::I8, zero_point, buffer: NONE, pixel_stride: c, offset: 0, lead: 0 }
    }

    /// The element that stands for zero: −128..=127, or 0..=255 if the type is [`DType::U8`].
    #[inline]
    pub fn zero(&self) -> i16 {
        match self.dtype {
            DType::U8 => i16::from(self.zero_point as u8),
            _ => i16::from(self.zero_point),
        }
    }

    /// True if elements are [`DType::U8`].
    #[inline]
    pub fn unsigned(&self) -> bool {
        self.dtype == DType::U8
    }

    /// Bytes of its elements, without gaps. (Of a tensor that is larger than memory, on a core of 32 bits: the greatest
    /// number there is.)
    pub fn bytes(&self) -> usize {
        usize::from(self.h).saturating_mul(usize::from(self.w)).saturating_mul(usize::from(self.c))
    }

    /// Bytes from the first element of a row to behind its last.
    pub fn row_span(&self) -> usize {
        usize::from(self.w).saturating_sub(1) * usize::from(self.pixel_stride) + usize::from(self.c)
    }

    /// Bytes of a row with the gaps behind its pixels.
    pub fn row_stride(&self) -> usize {
        usize::from(self.w) * usize::from(self.pixel_stride)
    }

    /// True if it lies exactly where `other` does, element on element.
    #[inline]
    pub(crate) fn covers(&self, other: &Self) -> bool {
        (self.buffer, self.pixel_stride, self.offset, self.lead)
            == (other.buffer, other.pixel_stride, other.offset, other.lead)
            && self.same_shape(other)
    }

    /// True if row, column and channel extents are equal.
    pub fn same_shape(&self, other: &Self) -> bool {
        (self.h, self.w, self.c) == (other.h, other.w, other.c)
    }
}

/// A node with its operands looked up: all that a kernel's `check` reads. The planner builds it before anything is
/// placed, the device from the blob at every step.
#[derive(Clone, Copy, Debug)]
pub struct Node<'m> {
    /// Its index.
    pub id: NodeId,
    /// The front of its record.
    pub header: NodeHeader,
    /// The fields of its op, and what is behind them.
    pub record: &'m [u8],
    /// The section of constants.
    pub consts: &'m [u8],
    /// First operand.
    pub in0: TensorInfo,
    /// Second operand.
    pub in1: Option<TensorInfo>,
    /// Result.
    pub out: TensorInfo,
}

impl<'m> Node<'m> {
    /// Nothing: what a node is written over.
    #[inline]
    pub(crate) fn none() -> Self {
        // Of one constant, or of zeros, compilers would make a call.
        let none = black_box(&TensorInfo::NONE);
        let header = NodeHeader { op: 0, version: 0, flags: 0, band: 0, in0: 0, in1: 0 };
        Self { id: NodeId(0), header, record: &[], consts: &[], in0: *none, in1: None, out: *none }
    }

    /// The op's own record.
    #[inline]
    pub fn fields<R: Record>(&self) -> Result<R, Fault> {
        R::read(self.record).ok_or(Fault::Record)
    }

    /// Its scratch memory.
    #[inline]
    pub fn scratch(&self) -> Option<ScratchRecord> {
        let has = self.header.flags & NodeHeader::SCRATCH != 0;
        self.record.last_chunk::<{ ScratchRecord::SIZE }>().filter(|_| has).and_then(|r| ScratchRecord::read(r))
    }

    /// Operand `k`.
    #[inline(never)]
    pub(crate) fn operand(&self, k: u8) -> Option<&TensorInfo> {
        match k {
            0 => Some(&self.in0),
            1 => self.in1.as_ref(),
            _ => None,
        }
    }

    /// `length` bytes of constants at `offset`.
    #[inline(never)]
    pub fn consts(&self, offset: u32, length: usize) -> Result<&'m [u8], Fault> {
        let from = offset as usize;
        let to = from.checked_add(length).ok_or(Fault::Constants)?;
        self.consts.get(from..to).ok_or(Fault::Constants)
    }

    /// The weights at `offset`, `length` bytes of them, and the parameters of the result's channels, `channel` bytes
    /// each ([`crate::arithmetic::Arithmetic::CHANNEL`]), which follow at the next multiple of 4.
    #[inline(never)]
    pub fn layer(&self, offset: u32, length: usize, channel: usize) -> Result<(&'m [u8], &'m [u8]), Fault> {
        let weights = self.consts(offset, length)?;
        // Weights end inside the constants: only the last of rounding up can be too much.
        let end = (offset as usize).wrapping_add(length).checked_next_multiple_of(4).ok_or(Fault::Constants)?;
        let channels = u32::try_from(end).map_err(|_| Fault::Constants)?;
        Ok((weights, self.consts(channels, usize::from(self.out.c) * channel)?))
    }

    /// Refuses a second operand.
    pub fn unary(&self) -> Result<(), Fault> {
        if self.in1.is_some() { Err(Fault::Operand) } else { Ok(()) }
    }

    /// Refuses a second operand, and all types but int8; the operand may be [`DType::U8`].
    #[inline(never)]
    pub fn unary_bytes(&self) -> Result<(), Fault> {
        self.unary()?;
        if matches!(self.in0.dtype, DType::I8 | DType::U8) && self.out.dtype == DType::I8 {
            Ok(())
        } else {
            Err(Fault::DType)
        }
    }

    /// Refuses all but int8.
    #[inline(never)]
    pub fn all_i8(&self) -> Result<(), Fault> {
        let ok =
            self.in0.dtype == DType::I8 && self.out.dtype == DType::I8 && self.in1.is_none_or(|t| t.dtype == DType::I8);
        if ok { Ok(()) } else { Err(Fault::DType) }
    }
}

/// The rows of an operand that a range of output rows needs: rows
/// `y0·num/den − pad .. (y1−1)·num/den − pad + extent`, cut to the operand.
///
/// Convolution: `num` = stride, `extent` = dilated kernel. Enlarging by n: `den` = n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Input rows per `den` output rows.
    pub num: u16,
    /// See `num`; at least 1.
    pub den: u16,
    /// Rows of padding above.
    pub pad: u16,
    /// Rows that one output row reads.
    pub extent: u16,
}

impl Window {
    /// Row y needs row y.
    pub const SAME: Self = Self { num: 1, den: 1, pad: 0, extent: 1 };
    /// Any row needs all rows.
    pub const ALL: Self = Self { num: 0, den: 1, pad: 0, extent: u16::MAX };

    /// The rows of an operand of `h` rows that output rows `y0..y1` need. Empty if the window lies in the padding.
    #[inline(never)]
    pub fn rows(&self, y0: u16, y1: u16, h: u16) -> (u16, u16) {
        // Neither product nor sum exceeds 32 bits.
        let cut = |y: u16, extent: u16| {
            let scaled = (u32::from(y) * u32::from(self.num)).checked_div(u32::from(self.den)).unwrap_or(0);
            (scaled + u32::from(extent)).saturating_sub(u32::from(self.pad)).min(u32::from(h)) as u16
        };
        let hi = cut(y1.saturating_sub(1), self.extent);
        (cut(y0, 0).min(hi), hi)
    }
}

/// What a node needs: found out once, by one function, for the planner, the verifier and the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Rows of each operand per range of output rows.
    pub windows: [Window; 2],
    /// A reduction: takes the rows of its operand as they come, and makes its result at the end.
    pub consumes: bool,
    /// Does nothing at run time: its result *is* its operands, lying in one buffer.
    pub view: bool,
    /// Bit i: the result may overwrite operand i.
    pub in_place: u8,
    /// Scratch bytes with which a step is fastest; it works with any less, or none.
    pub scratch: u32,
    /// Bytes of accumulator that live from the first row consumed to the result.
    pub aux: u32,
    /// The result outlives the inference: it lies in [`crate::blob::region::STATE`], and nothing else does.
    pub state: bool,
    /// Multiplications of the whole node, for reports (0 if it multiplies nothing).
    pub macs: u32,
}

impl Need {
    /// An op that makes row y of its result of row y of its operands.
    pub const ELEMENTWISE: Self = Self {
        windows: [Window::SAME; 2],
        consumes: false,
        view: false,
        in_place: 0b11,
        scratch: 0,
        aux: 0,
        state: false,
        macs: 0,
    };
}

/// What one step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// Makes output rows `.0 .. .1`.
    Produce(u16, u16),
    /// Takes input rows `.0 .. .1` into the accumulator.
    Consume(u16, u16),
}

/// What a kernel works on in one step.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The node.
    pub node: &'a Node<'a>,
    /// Operands: the rows that the band needs. Empty where the op works in place.
    pub inputs: [Rows<'a>; 2],
    /// The band of the result (empty while consuming). In place, it holds the operand on entry.
    pub out: RowsMut<'a>,
    /// The operand that `out` holds, if the step is in place.
    pub in_place: Option<u8>,
    /// Scratch of this step: as much as the plan has for it.
    pub scratch: &'a mut [u8],
    /// Accumulator.
    pub aux: &'a mut [u8],
}

/// An op. Implemented by zero-sized types, one file each.
pub trait Kernel {
    /// Number of the op.
    const CODE: OpCode;
    /// Version of its record.
    const VERSION: u8 = 1;
    /// The arithmetic that it computes with, or `None` if its bits do not depend on one.
    const ARITHMETIC: Option<u8>;

    /// Checks record, shapes and constants. The planner calls it before anything is placed.
    fn check(node: &Node<'_>) -> Result<Need, Fault>;

    /// What a node needs that has passed [`Kernel::check`], asked at every step: to be overridden where that is known
    /// without proving the node again. Nobody asks for `in_place`, `macs` and `scratch` then.
    fn need(node: &Node<'_>) -> Result<Need, Fault> {
        Self::check(node)
    }

    /// Checks what depends on placement. Views prove here that operands and result lie in one buffer.
    fn placed(_node: &Node<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// One step. Only called for nodes that passed `check` and `placed`. `None` if the plan is wrong: rows that the band
    /// needs are not among those lent.
    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()>;
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn windows() {
        let conv3 = Window { num: 1, den: 1, pad: 1, extent: 3 };
        assert_eq!(conv3.rows(0, 1, 8), (0, 2));
        assert_eq!(conv3.rows(3, 5, 8), (2, 6));
        assert_eq!(conv3.rows(7, 8, 8), (6, 8));
        let stride2 = Window { num: 2, den: 1, pad: 0, extent: 3 };
        assert_eq!(stride2.rows(3, 4, 8), (6, 8));
        let up = Window { num: 1, den: 2, pad: 0, extent: 1 };
        assert_eq!(up.rows(0, 4, 8), (0, 2));
        assert_eq!(up.rows(5, 6, 8), (2, 3));
        assert_eq!(Window::ALL.rows(0, 1, 8), (0, 8));
        let far = Window { num: 200, den: 1, pad: 0, extent: 1 };
        assert_eq!(far.rows(1, 2, 8), (8, 8));
    }
}
