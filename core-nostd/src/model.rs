use core::ops::Range;

use crate::arena::{CounterBytes, pieces};
use crate::blob::{
    BufferRecord, GoldenRecord, Header, IoRecord, NodeHeader, RegionsRecord, SegmentRecord, StoredPreprocess, Strings,
    region, section,
};
use crate::record::{Field, Record};
use crate::schedule::{Demand, Plan};
use crate::{DType, Fault, Need, Node, NodeId, OpCode, OpEntry, Registry, RunError, TensorInfo};

/// A blob that has been proven: every offset, reference, type and bound in it holds. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    pub(crate) header: Header,
    /// By identifier; empty where the blob has none.
    pub(crate) sections: [&'m [u8]; section::COUNT],
    pub(crate) registry: Registry<'m>,
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

/// Entry `i` of a table of records.
pub(crate) fn entry<R: Record>(table: &[u8], i: u16) -> Option<R> {
    R::read(table.get(usize::from(i) * R::SIZE..)?)
}

impl<'m> Model<'m> {
    #[inline]
    pub(crate) fn section(&self, id: u16) -> &'m [u8] {
        self.sections.get(usize::from(id)).copied().unwrap_or_default()
    }

    /// Bytes of arena that a run takes: all of it, row counters and scratch included.
    pub fn arena_bytes(&self) -> usize {
        self.header.arena_bytes as usize
    }

    /// Bytes of the second scratch memory that a run takes besides the arena ([`crate::Memory::fast`]).
    pub fn fast_bytes(&self) -> usize {
        self.region_bytes(region::FAST) as usize
    }

    /// Bytes of a region; 0 if there is no such region.
    #[inline(never)]
    pub fn region_bytes(&self, region: u8) -> u32 {
        match region {
            region::MAIN => self.header.arena_bytes,
            region::FAST => RegionsRecord::read(self.section(section::REGIONS)).map_or(0, |r| r.fast_bytes),
            region::STATE => self.header.state_bytes,
            _ => 0,
        }
    }

    /// As much of `memory` as the model needs of a region.
    #[inline(never)]
    pub(crate) fn cut<'a>(&self, region: u8, memory: &'a mut [u8]) -> Result<&'a mut [u8], RunError> {
        let (need, have) = (self.region_bytes(region) as usize, memory.len());
        let too_small = match region {
            region::MAIN => RunError::ArenaTooSmall { need, have },
            _ => RunError::RegionTooSmall { region, need, have },
        };
        memory.get_mut(..need).ok_or(too_small)
    }

    /// Bytes of state between runs.
    pub fn state_bytes(&self) -> usize {
        self.header.state_bytes as usize
    }

    /// Bytes of weights, channel parameters and tables.
    pub fn weights_bytes(&self) -> usize {
        self.section(section::CONSTS).len()
    }

    /// Length of the blob, without weights that are kept apart.
    pub fn blob_bytes(&self) -> usize {
        self.header.length as usize
    }

    /// Number of nodes.
    pub fn nodes(&self) -> u16 {
        self.header.nodes
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        usize::from(self.header.inputs)
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        usize::from(self.header.outputs)
    }

    /// Input `i`.
    pub fn input(&self, i: usize) -> Option<TensorIo> {
        let i = u16::try_from(i).ok().filter(|&i| i < self.header.inputs)?;
        self.io_at(i)
    }

    /// Output `i`.
    pub fn output(&self, i: usize) -> Option<TensorIo> {
        let i = u16::try_from(i).ok().filter(|&i| i < self.header.outputs)?;
        self.io_at(self.header.inputs.checked_add(i)?)
    }

    /// Record `i`: inputs first, then outputs.
    #[inline(never)]
    pub(crate) fn io_record(&self, i: u16) -> Option<IoRecord> {
        entry(self.section(section::IO), i)
    }

    /// The tensor of output `i`.
    pub(crate) fn output_tensor(&self, i: usize) -> Option<u16> {
        let i = u16::try_from(i).ok().filter(|&i| i < self.header.outputs)?;
        self.io_record(self.header.inputs.checked_add(i)?).map(|r| r.tensor)
    }

    /// The tensor of input `i`.
    pub(crate) fn input_tensor(&self, i: usize) -> Option<u16> {
        let i = u16::try_from(i).ok().filter(|&i| i < self.header.inputs)?;
        self.header.nodes.checked_add(i)
    }

    fn io_at(&self, i: u16) -> Option<TensorIo> {
        let r = self.io_record(i)?;
        let t = self.tensor(r.tensor)?;
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
        let mut tensor = TensorInfo::NONE;
        self.load(t, &mut tensor)?;
        Some(tensor)
    }

    /// Tensor `t`, to where it is wanted: it is too large to be handed around.
    #[inline(never)]
    fn load(&self, t: u16, to: &mut TensorInfo) -> Option<()> {
        *to = TensorInfo::of(entry(self.section(section::TENSORS), t)?);
        Some(())
    }

    /// Buffer `b`.
    #[inline(never)]
    pub fn buffer(&self, b: u16) -> Option<BufferRecord> {
        entry(self.section(section::BUFFERS), b)
    }

    /// Tensor `t` and its buffer.
    #[inline]
    pub(crate) fn place(&self, t: u16) -> Option<(TensorInfo, BufferRecord)> {
        let tensor = self.tensor(t)?;
        Some((tensor, self.buffer(tensor.buffer)?))
    }

    /// The addresses of a tensor that is there as a whole and without gaps.
    #[inline(never)]
    pub(crate) fn whole(&self, t: u16) -> Option<Range<usize>> {
        let (t, b) = self.place(t)?;
        pieces(&t, &b, 0, t.h).filter(|_| b.rows == 0).map(|p| p.first)
    }

    /// Segment `s`.
    #[inline(never)]
    pub fn segment_record(&self, s: u16) -> Option<SegmentRecord> {
        entry(self.section(section::SEGMENTS), s)
    }

    /// Number of segments.
    pub fn segments(&self) -> u16 {
        self.header.segments
    }

    /// Number of buffers.
    pub fn buffers(&self) -> u16 {
        self.header.buffers
    }

    /// Identifier of the arithmetic.
    pub fn arithmetic(&self) -> u8 {
        self.header.arithmetic
    }

    /// Identifier of the CPU that the weights are packed for.
    pub fn cpu(&self) -> u8 {
        self.header.cpu
    }

    /// An inference takes at most so many steps.
    pub fn max_steps(&self) -> u32 {
        self.header.max_steps
    }

    /// Bytes of row counters at the front of the arena.
    pub fn counter_bytes(&self) -> usize {
        CounterBytes::size(self.header.nodes, self.header.inputs, self.header.buffers)
    }

    /// The front of the record of node `n`.
    #[inline(never)]
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
        if n >= self.header.nodes {
            return None;
        }
        let at = usize::from(n) * 2;
        let (from, to) = (u16::get(self.section(section::NODES), at)?, u16::get(self.section(section::NODES), at + 2)?);
        self.section(section::NODES).get(usize::from(from)..usize::from(to))
    }

    /// Node `n` with its operands looked up.
    #[inline]
    pub fn node(&self, n: u16) -> Result<Node<'m>, Fault> {
        let bytes = self.node_bytes(n).ok_or(Fault::Record)?;
        let header = NodeHeader::read(bytes).ok_or(Fault::Record)?;
        // Operands are inputs or come from below: that is what makes every walk end.
        let below = |t: u16| if t < n || t >= self.header.nodes { Ok(t) } else { Err(Fault::Operand) };
        let mut node = Node {
            id: NodeId(n),
            header,
            record: bytes.get(NodeHeader::SIZE..).ok_or(Fault::Record)?,
            consts: self.section(section::CONSTS),
            in0: TensorInfo::NONE,
            in1: None,
            out: TensorInfo::NONE,
        };
        self.load(below(header.in0)?, &mut node.in0).ok_or(Fault::Operand)?;
        if let Some(t) = header.second() {
            let mut second = TensorInfo::NONE;
            self.load(below(t)?, &mut second).ok_or(Fault::Operand)?;
            node.in1 = Some(second);
        }
        self.load(n, &mut node.out).ok_or(Fault::Operand)?;
        Ok(node)
    }

    /// Shows `f` node `n`, its entry in the registry, and what it needs. All that asks for a node comes by here, and
    /// nothing is copied.
    #[inline(never)]
    pub(crate) fn visit(
        &self,
        n: u16,
        f: &mut dyn FnMut(&Node<'m>, &OpEntry, &Need) -> Result<(), Unresolved>,
    ) -> Result<(), Unresolved> {
        let node = self.node(n).map_err(Unresolved::Fault)?;
        let h = &node.header;
        let op = self.registry.find(OpCode(h.op), h.version, self.header.arithmetic);
        let op = op.ok_or(Unresolved::Missing)?;
        match &(op.check)(&node) {
            Ok(need) => f(&node, op, need),
            Err(fault) => Err(Unresolved::Fault(*fault)),
        }
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

/// The operand that a node overwrites, if it works in place: the one that lies exactly where the result does.
#[inline(never)]
pub(crate) fn in_place(node: &Node<'_>) -> Option<u8> {
    if node.in0.covers(&node.out) {
        Some(0)
    } else if node.in1.is_some_and(|t| t.covers(&node.out)) {
        Some(1)
    } else {
        None
    }
}

impl Plan for Model<'_> {
    fn nodes(&self) -> u16 {
        self.header.nodes
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
    fn demand(&self, node: u16) -> Option<Demand> {
        let mut found = None;
        // Where the node can't be run, nothing is found.
        let _ = self.visit(node, &mut |node, _, need| {
            found = Some(demand(node, need));
            Ok(())
        });
        found
    }
}

/// What a node asks of the schedule.
pub fn demand(node: &Node<'_>, need: &Need) -> Demand {
    let [w0, w1] = need.windows;
    Demand {
        inputs: [Some((node.header.in0, node.in0.h, w0)), node.in1.map(|t| (node.header.in1, t.h, w1))],
        h: node.out.h,
        band: node.header.band,
        consumes: need.consumes,
    }
}
