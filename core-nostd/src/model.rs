use core::ops::Range;

use crate::arena::{Pieces, pieces};
use crate::blob::{
    BufferRecord, GoldenRecord, Header, IoRecord, NodeHeader, RegionsRecord, SectionEntry, SegmentRecord,
    StoredPreprocess, Strings, TensorRecord, region, section,
};
use crate::record::{Field, Record};
use crate::schedule::{Ask, Demand, MADE, Plan};
use crate::{DType, Fault, Need, Node, NodeId, OpCode, OpEntry, Registry, RunError, TensorInfo};

/// A blob that has been proven: every offset, reference, type and bound in it holds. Cheap to copy: it and a
/// [`crate::Session`] of it are moved without `memcpy`, which a program may not have otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    /// All of it, from the header on. What is asked for once in an inference is looked up there.
    pub(crate) blob: &'m [u8],
    pub(crate) registry: Registry<'m>,
    /// What is asked for at every step: a field of the header, and these sections, in records.
    pub(crate) count: u16,
    pub(crate) nodes: &'m [u8],
    pub(crate) tensors: &'m [[u8; TensorRecord::SIZE]],
    pub(crate) buffers: &'m [[u8; BufferRecord::SIZE]],
    pub(crate) segments: &'m [[u8; SegmentRecord::SIZE]],
    pub(crate) consts: &'m [u8],
}

/// An input or output as the user sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorIo {
    shape: [u16; 4],
    rank: u8,
    /// Element type.
    pub dtype: DType,
    /// Length in bytes.
    pub bytes: usize,
    /// real = scale · (q − zero_point); `None` if it is not quantized.
    pub scale: Option<f32>,
    /// See `scale`: its byte. [`TensorIo::zero`] reads it as what it is.
    pub zero_point: i8,
    /// Index of the tensor in the blob.
    pub tensor: u16,
}

impl TensorIo {
    /// The zero point as a number: −128..=127, or 0..=255 if the type is [`DType::U8`].
    pub fn zero(&self) -> i16 {
        match self.dtype {
            DType::U8 => i16::from(self.zero_point as u8),
            _ => i16::from(self.zero_point),
        }
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &[u16] {
        self.shape.get(..usize::from(self.rank)).unwrap_or(&self.shape)
    }
}

/// Bytes of the header that are asked for at run time.
pub(crate) mod field {
    pub const MAGIC: usize = 0;
    pub const SECTIONS: usize = 6;
    pub const LENGTH: usize = 8;
    pub const ARITHMETIC: usize = 16;
    pub const CPU: usize = 17;
    pub const ARENA_BYTES: usize = 20;
    pub const STATE_BYTES: usize = 24;
    pub const MAX_STEPS: usize = 28;
    pub const NODES: usize = 32;
    pub const INPUTS: usize = 34;
    pub const OUTPUTS: usize = 36;
    pub const BUFFERS: usize = 38;
    pub const SEGMENTS: usize = 40;
}

impl<'m> Model<'m> {
    /// A field of the header.
    #[inline(always)]
    pub(crate) fn count(&self, field: usize) -> u16 {
        u16::get(self.blob, field).unwrap_or(0)
    }

    /// As [`Model::count`].
    #[inline(always)]
    pub(crate) fn size(&self, field: usize) -> u32 {
        u32::get(self.blob, field).unwrap_or(0)
    }

    /// Entry `i` of the section table; `None` behind the last, and where the blob ends.
    #[inline(always)]
    pub(crate) fn entry(&self, i: u16) -> Option<&'m [u8; SectionEntry::SIZE]> {
        if i >= self.count(field::SECTIONS) {
            return None;
        }
        self.blob.get(Header::SIZE + usize::from(i) * SectionEntry::SIZE..)?.first_chunk()
    }

    /// The bytes of a section; none if there is no such section.
    #[inline(never)]
    pub(crate) fn section(&self, id: u16) -> &'m [u8] {
        let mut i = 0;
        while let Some(e) = self.entry(i) {
            if SectionEntry::read(e).is_some_and(|e| e.id == id) {
                return self.bytes_of(e).unwrap_or_default();
            }
            i += 1;
        }
        &[]
    }

    /// What an entry of the section table stands for; `None` if that reaches outside.
    #[inline(never)]
    pub(crate) fn bytes_of(&self, e: &[u8; SectionEntry::SIZE]) -> Option<&'m [u8]> {
        let e = SectionEntry::read(e)?;
        self.blob.get(e.offset as usize..)?.get(..e.length as usize)
    }

    /// Bytes of arena that a run takes: all of it, row counters and scratch included.
    pub fn arena_bytes(&self) -> usize {
        self.size(field::ARENA_BYTES) as usize
    }

    /// Bytes of the second scratch memory that a run takes besides the arena ([`crate::Memory::fast`]).
    pub fn fast_bytes(&self) -> usize {
        self.region_bytes(region::FAST) as usize
    }

    /// Bytes of a region; 0 if there is no such region.
    #[inline(never)]
    pub fn region_bytes(&self, region: u8) -> u32 {
        match region {
            region::MAIN => self.size(field::ARENA_BYTES),
            region::FAST => RegionsRecord::read(self.section(section::REGIONS)).map_or(0, |r| r.fast_bytes),
            region::STATE => self.size(field::STATE_BYTES),
            _ => 0,
        }
    }

    /// As much of `memory` as the model needs of a region.
    #[inline(never)]
    pub(crate) fn cut<'a>(&self, region: u8, memory: &'a mut [u8]) -> Result<&'a mut [u8], RunError> {
        let (need, have) = (self.region_bytes(region) as usize, memory.len());
        memory.get_mut(..need).ok_or(RunError::too_small(region, need, have))
    }

    /// Bytes of state between runs.
    pub fn state_bytes(&self) -> usize {
        self.size(field::STATE_BYTES) as usize
    }

    /// Bytes of weights, channel parameters and tables.
    pub fn weights_bytes(&self) -> usize {
        self.consts.len()
    }

    /// Length of the blob, without weights that are kept apart.
    pub fn blob_bytes(&self) -> usize {
        self.size(field::LENGTH) as usize
    }

    /// Number of nodes.
    pub fn nodes(&self) -> u16 {
        self.count
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        usize::from(self.count(field::INPUTS))
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        usize::from(self.count(field::OUTPUTS))
    }

    /// Input `i`.
    pub fn input(&self, i: usize) -> Option<TensorIo> {
        self.io_at(Some(i).filter(|&i| i < self.inputs())?)
    }

    /// Output `i`.
    pub fn output(&self, i: usize) -> Option<TensorIo> {
        self.io_at(self.output_record(i)?)
    }

    /// The record of output `i`.
    fn output_record(&self, i: usize) -> Option<usize> {
        Some(i).filter(|&i| i < self.outputs()).map(|i| self.inputs() + i)
    }

    /// Record `i`: inputs first, then outputs.
    #[inline]
    pub(crate) fn io_record(&self, i: usize) -> Option<IoRecord> {
        IoRecord::read(self.section(section::IO).as_chunks::<{ IoRecord::SIZE }>().0.get(i)?)
    }

    /// The tensor of output `i`.
    pub(crate) fn output_tensor(&self, i: usize) -> Option<u16> {
        self.io_record(self.output_record(i)?).map(|r| r.tensor)
    }

    /// The tensor of input `i`.
    pub(crate) fn input_tensor(&self, i: usize) -> Option<u16> {
        // Behind those of nodes there are only inputs.
        u16::try_from(i).ok()?.checked_add(self.nodes()).filter(|&t| usize::from(t) < self.tensors.len())
    }

    /// What the user sees of input or output `i`; `None` if that contradicts its tensor. On a device it is checked here and
    /// not by [`Model::verify`]: most programs know their inputs and outputs from [`crate::TensorSpec`].
    #[inline(never)]
    pub(crate) fn io_at(&self, i: usize) -> Option<TensorIo> {
        let r = self.io_record(i)?;
        let t = self.tensor(r.tensor)?;
        let dims = [r.dim0, r.dim1, r.dim2, r.dim3];
        let dims = dims.get(..usize::from(r.rank))?;
        let elements = dims.iter().try_fold(1u32, |n, &d| n.checked_mul(u32::from(d)))?;
        // Finite and not negative: what a comparison of floats would bring in is more than the runtime's flash bears.
        let scale = r.scale.to_bits() < f32::INFINITY.to_bits();
        (elements as usize == t.bytes() && r.quantization <= 1 && scale).then_some(())?;
        Some(TensorIo {
            shape: [r.dim0, r.dim1, r.dim2, r.dim3],
            rank: r.rank,
            dtype: t.dtype,
            bytes: t.bytes(),
            scale: (r.quantization == 1).then_some(r.scale),
            zero_point: r.zero_point,
            tensor: r.tensor,
        })
    }

    /// Names and labels.
    pub fn strings(&self) -> Strings<'m> {
        Strings::new(self.section(section::STRINGS))
    }

    /// The check that a device runs on itself.
    pub fn golden(&self) -> Option<GoldenRecord> {
        GoldenRecord::read(self.section(section::GOLDEN))
    }

    /// How images and stored arrays become the first input, if the blob says.
    pub fn preprocess(&self) -> Option<StoredPreprocess<'m>> {
        StoredPreprocess::read(self.section(section::PREPROCESS))
    }

    /// Scale of tensor `t` (nodes' results first), if the blob keeps them.
    pub fn scale(&self, t: u16) -> Option<f32> {
        f32::get(self.section(section::SCALES), usize::from(t).checked_mul(4)?)
    }

    /// Tensor `t`: the result of node `t`, or input `t − nodes`.
    #[inline]
    pub fn tensor(&self, t: u16) -> Option<TensorInfo> {
        self.tensor_record(t).map(TensorInfo::of)
    }

    #[inline]
    pub(crate) fn tensor_record(&self, t: u16) -> Option<TensorRecord> {
        TensorRecord::read(self.tensors.get(usize::from(t))?)
    }

    /// Buffer `b`.
    #[inline]
    pub fn buffer(&self, b: u16) -> Option<BufferRecord> {
        BufferRecord::read(self.buffers.get(usize::from(b))?)
    }

    /// Tensor `t` and its buffer.
    #[inline]
    pub(crate) fn place(&self, t: u16) -> Option<(TensorInfo, BufferRecord)> {
        let tensor = self.tensor(t)?;
        Some((tensor, self.buffer(tensor.buffer)?))
    }

    /// Where rows `y0..y1` of a tensor lie: see [`pieces`].
    #[inline(never)]
    pub(crate) fn pieces(&self, t: &TensorInfo, y0: u16, y1: u16, head: u16) -> Option<Pieces> {
        pieces(t, &self.buffer(t.buffer)?, y0, y1, head)
    }

    /// The addresses of a tensor that is there as a whole and without gaps.
    #[inline(never)]
    pub(crate) fn whole(&self, t: u16) -> Option<Range<usize>> {
        let (t, b) = self.place(t).filter(|(_, b)| b.rows == 0)?;
        let from = (b.address() as usize).wrapping_add(t.offset as usize);
        // What fits does not wrap. Behind the last pixel there is no gap.
        let gap = usize::from(t.pixel_stride.wrapping_sub(t.c));
        Some(from..from.wrapping_add(usize::from(t.h).wrapping_mul(t.row_stride())).wrapping_sub(gap))
    }

    /// Segment `s`.
    #[inline]
    pub fn segment_record(&self, s: u16) -> Option<SegmentRecord> {
        SegmentRecord::read(self.segments.get(usize::from(s))?)
    }

    /// Number of segments.
    pub fn segments(&self) -> u16 {
        self.count(field::SEGMENTS)
    }

    /// Number of buffers.
    pub fn buffers(&self) -> u16 {
        self.count(field::BUFFERS)
    }

    /// Identifier of the arithmetic.
    pub fn arithmetic(&self) -> u8 {
        self.count(field::ARITHMETIC) as u8
    }

    /// What the weights are packed for: [`crate::blob::Cpu::code`].
    pub fn cpu(&self) -> u8 {
        u8::get(self.blob, field::CPU).unwrap_or(0)
    }

    /// An inference takes at most so many steps.
    pub fn max_steps(&self) -> u32 {
        self.size(field::MAX_STEPS)
    }

    /// Bytes of row counters at the front of the arena.
    pub fn counter_bytes(&self) -> usize {
        2 * (usize::from(self.nodes()) + self.tensors.len() + self.buffers.len())
    }

    /// The front of the record of node `n`.
    #[inline]
    pub(crate) fn node_header(&self, n: u16) -> Option<NodeHeader> {
        NodeHeader::read(self.node_bytes(n)?)
    }

    #[inline(never)]
    fn node_flags(&self, n: u16) -> u8 {
        // Asked often: no need to read the rest.
        self.node_bytes(n).and_then(|b| b.get(NodeHeader::FLAGS)).copied().unwrap_or(0)
    }

    #[inline(never)]
    fn node_bytes(&self, n: u16) -> Option<&'m [u8]> {
        if n >= self.nodes() {
            return None;
        }
        let at = usize::from(n) * 2;
        let (from, to) = (u16::get(self.nodes, at)?, u16::get(self.nodes, at + 2)?);
        self.nodes.get(usize::from(from)..usize::from(to))
    }

    /// Tensor `t` of a node, to where it is wanted: it is too large to be handed around. Operands are inputs or results
    /// below `end`: that is what makes every walk end.
    #[inline(never)]
    fn load(&self, t: u16, end: u16, to: &mut TensorInfo) -> Result<(), Fault> {
        if t >= end && t < self.nodes() {
            return Err(Fault::Operand);
        }
        let Some(tensor) = self.tensor(t) else { return Err(Fault::Operand) };
        *to = tensor;
        Ok(())
    }

    /// Node `n` with its operands looked up.
    pub fn node(&self, n: u16) -> Result<Node<'m>, Fault> {
        let mut node = Node::none();
        self.look_at(n, &mut node)?;
        Ok(node)
    }

    /// Node `n`, to where it is wanted: it is too large to be handed around.
    #[inline]
    fn look_at(&self, n: u16, to: &mut Node<'m>) -> Result<(), Fault> {
        let bytes = self.node_bytes(n).ok_or(Fault::Record)?;
        let (front, record) = bytes.split_first_chunk::<{ NodeHeader::SIZE }>().ok_or(Fault::Record)?;
        (to.id, to.header) = (NodeId(n), NodeHeader::read(front).ok_or(Fault::Record)?);
        (to.record, to.consts) = (record, self.consts);
        self.load(n, u16::MAX, &mut to.out)?;
        self.load(to.header.in0, n, &mut to.in0)?;
        to.in1 = None;
        if let Some(t) = to.header.second() {
            self.load(t, n, to.in1.insert(to.in0))?;
        }
        Ok(())
    }

    /// Node `n`, to where it is wanted, and its entry in the registry. All that asks for a node comes by here.
    #[inline(never)]
    pub(crate) fn resolve(&self, n: u16, to: &mut Node<'m>) -> Result<&'m OpEntry, Unresolved> {
        self.look_at(n, to)?;
        let h = &to.header;
        self.registry.find(OpCode(h.op), h.version, self.arithmetic()).ok_or(Unresolved::Missing)
    }

    /// Shows `f` node `n`, its entry in the registry, and what it needs.
    #[inline(never)]
    pub(crate) fn visit(
        &self,
        n: u16,
        f: &mut dyn FnMut(&Node<'m>, &OpEntry, &Need) -> Result<(), Unresolved>,
    ) -> Result<(), Unresolved> {
        let mut node = Node::none();
        let op = self.resolve(n, &mut node)?;
        match &(op.check)(&node) {
            Ok(need) => f(&node, op, need),
            Err(fault) => Err(Unresolved::Fault(*fault)),
        }
    }

    /// True if a step of node `n` is told the same as its check says: for tests.
    #[doc(hidden)]
    pub fn need_agrees(&self, n: u16) -> bool {
        let mut agrees = false;
        let _ = self.visit(n, &mut |node, op, need| {
            let told = (op.need)(node).map_err(Unresolved::Fault)?;
            let Need { scratch, macs, in_place, .. } = *need;
            agrees = Need { scratch, macs, in_place, ..told } == *need;
            Ok(())
        });
        agrees
    }

    /// What node `n` needs: for reports.
    pub fn need(&self, n: u16) -> Option<Need> {
        let mut found = None;
        let _ = self.visit(n, &mut |_, _, need| {
            found = Some(*need);
            Ok(())
        });
        found
    }
}

/// Why a node can't be run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unresolved {
    /// The registry lacks its op.
    Missing,
    /// The node is malformed.
    Fault(Fault),
}

impl From<Fault> for Unresolved {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Model<'_> {
    /// The operand that a node overwrites, if it works in place: the one that lies exactly where the result does.
    #[inline(never)]
    pub(crate) fn in_place(&self, node: &Node<'_>) -> Option<u8> {
        let mut k = 0;
        while let Some(t) = node.operand(k) {
            if t.covers(&node.out) {
                return Some(k);
            }
            k += 1;
        }
        None
    }
}

impl Plan for Model<'_> {
    #[inline]
    fn nodes(&self) -> u16 {
        self.count
    }

    fn segment(&self, index: u16) -> Option<(u16, u16)> {
        self.segment_record(index).map(|s| (s.first, s.count))
    }

    fn is_sink(&self, node: u16) -> bool {
        self.node_flags(node) & NodeHeader::SINK != 0
    }

    fn is_reduction(&self, node: u16) -> bool {
        self.node_flags(node) & NodeHeader::REDUCTION != 0
    }

    #[inline]
    fn demand(&self, n: u16) -> Option<Demand> {
        let mut node = Node::none();
        let op = self.resolve(n, &mut node).ok()?;
        (op.need)(&node).ok().map(|need| demand(&node, &need))
    }

    #[inline]
    fn due(&self, node: u16) -> u16 {
        let Some(h) = self.node_header(node) else { return MADE };
        let (t, more) = if h.flags & NodeHeader::REDUCTION != 0 { (h.in0, 1) } else { (node, 0) };
        match self.tensor_record(t) {
            _ if h.flags & NodeHeader::SINK == 0 => 0,
            Some(t) => t.h.saturating_add(more),
            None => MADE,
        }
    }
}

/// What a node asks of the schedule.
pub fn demand(node: &Node<'_>, need: &Need) -> Demand {
    let [w0, w1] = need.windows;
    Demand {
        inputs: [Some((node.header.in0, node.in0.h, w0)), node.in1.map(|t| (node.header.in1, t.h, w1))],
        h: node.out.h,
        band: node.header.band,
        lead: node.out.lead,
        consumes: need.consumes,
    }
}

/// As [`demand`], without making one.
impl Ask for (&Node<'_>, &Need) {
    #[inline(never)]
    fn wants(&self, k: u8, y0: u16, y1: u16) -> Option<(u16, u16)> {
        let (node, need) = self;
        let t = node.operand(k)?;
        let [w0, w1] = &need.windows;
        let (tensor, window) = if k == 0 { (node.header.in0, w0) } else { (node.header.in1, w1) };
        Some((tensor, window.rows(y0, y1, t.h).1))
    }
    #[inline]
    fn consumes(&self) -> Option<(u16, u16)> {
        let (node, need) = self;
        need.consumes.then_some((node.header.in0, node.in0.h))
    }
    #[inline]
    fn h(&self) -> u16 {
        self.0.out.h
    }
    #[inline]
    fn band(&self) -> u8 {
        self.0.header.band
    }
    #[inline]
    fn lead(&self) -> u8 {
        self.0.out.lead
    }
}
