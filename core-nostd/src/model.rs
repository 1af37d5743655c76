use core::num::NonZeroU16;

use crate::arena::{CounterBytes, pieces};
use crate::blob::{
    BufferRecord, CRC_FROM, FORMAT_MAJOR, GoldenRecord, Header, IoRecord, MAGIC, NONE, NodeHeader, SectionEntry,
    SegmentRecord, StoredPreprocess, Strings, TensorRecord, crc32, section,
};
use crate::record::{Field, Record};
use crate::schedule::{Demand, MADE, Plan};
use crate::{BlobError, DType, Fault, Need, Node, NodeId, OpEntry, Registry, TensorInfo};

/// A blob that has been proven: every offset, reference, type and bound in it holds. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    pub(crate) header: Header,
    nodes: &'m [u8],
    tensors: &'m [u8],
    buffers: &'m [u8],
    segments: &'m [u8],
    io: &'m [u8],
    consts: &'m [u8],
    strings: &'m [u8],
    golden: &'m [u8],
    scales: &'m [u8],
    preprocess: &'m [u8],
    registry: Registry<'m>,
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
fn entry<R: Record>(table: &[u8], i: u16) -> Option<R> {
    R::read(table.get(usize::from(i).checked_mul(R::SIZE)?..)?)
}

impl<'m> Model<'m> {
    /// Proves a blob. The only constructor.
    ///
    /// Time is linear in the length of the blob. Malformed bytes give an error that says what is wrong; they never
    /// cause a panic or a read outside. A blob with an op that `registry` lacks is refused, the op named.
    pub fn verify(bytes: &'m [u8], registry: Registry<'m>) -> Result<Self, BlobError> {
        let header = Header::read(bytes).ok_or(BlobError::Truncated)?;
        if header.magic != MAGIC {
            return Err(BlobError::Magic);
        }
        if header.major != FORMAT_MAJOR {
            return Err(BlobError::Version { major: header.major });
        }
        let bytes = bytes.get(..header.length as usize).ok_or(BlobError::Truncated)?;
        if crc32(bytes.get(CRC_FROM..).ok_or(BlobError::Truncated)?) != header.crc {
            return Err(BlobError::Crc);
        }
        if !crate::arithmetic::known(header.arithmetic) {
            return Err(BlobError::Arithmetic { id: header.arithmetic });
        }
        let mut model = Self {
            header,
            nodes: &[],
            tensors: &[],
            buffers: &[],
            segments: &[],
            io: &[],
            consts: &[],
            strings: &[],
            golden: &[],
            scales: &[],
            preprocess: &[],
            registry,
        };
        model.sections(bytes)?;
        model.check_memory()?;
        model.check_nodes()?;
        model.check_segments()?;
        model.check_io()?;
        Ok(model)
    }

    fn sections(&mut self, bytes: &'m [u8]) -> Result<(), BlobError> {
        let mut seen = 0u32;
        for i in 0..self.header.sections {
            let table = bytes.get(Header::SIZE..).ok_or(BlobError::Truncated)?;
            let e: SectionEntry = entry(table, i).ok_or(BlobError::Truncated)?;
            let bad = BlobError::Section { id: e.id };
            let from = e.offset as usize;
            let data = bytes.get(from..from.checked_add(e.length as usize).ok_or(bad)?).ok_or(bad)?;
            let slot = match e.id {
                section::NODES => &mut self.nodes,
                section::TENSORS => &mut self.tensors,
                section::BUFFERS => &mut self.buffers,
                section::SEGMENTS => &mut self.segments,
                section::IO => &mut self.io,
                section::CONSTS => &mut self.consts,
                section::STRINGS => &mut self.strings,
                section::GOLDEN => &mut self.golden,
                section::SCALES => &mut self.scales,
                section::PREPROCESS => &mut self.preprocess,
                id if e.flags & section::REQUIRED != 0 => return Err(BlobError::UnknownSection { id }),
                _ => continue,
            };
            if seen & (1 << e.id) != 0 {
                return Err(bad);
            }
            seen |= 1 << e.id;
            *slot = data;
        }
        let h = &self.header;
        let tensors = usize::from(h.nodes) + usize::from(h.inputs);
        let sizes = [
            (section::TENSORS, self.tensors, tensors * TensorRecord::SIZE),
            (section::BUFFERS, self.buffers, usize::from(h.buffers) * BufferRecord::SIZE),
            (section::SEGMENTS, self.segments, usize::from(h.segments) * SegmentRecord::SIZE),
            (section::IO, self.io, (usize::from(h.inputs) + usize::from(h.outputs)) * IoRecord::SIZE),
        ];
        for (id, data, size) in sizes {
            if data.len() != size {
                return Err(BlobError::Section { id });
            }
        }
        if !self.preprocess.is_empty() && StoredPreprocess::read(self.preprocess).is_none() {
            return Err(BlobError::Section { id: section::PREPROCESS });
        }
        if h.nodes == 0 || h.inputs == 0 || h.outputs == 0 || tensors >= usize::from(NONE) {
            return Err(BlobError::Header);
        }
        let counters = CounterBytes::size(h.nodes, h.inputs, h.buffers);
        if counters > h.arena_bytes as usize || h.arena_bytes > i32::MAX as u32 {
            return Err(BlobError::Header);
        }
        Ok(())
    }

    /// Buffers lie in the arena, behind the counters; tensors fit their buffers.
    fn check_memory(&self) -> Result<(), BlobError> {
        let floor = self.counter_bytes();
        for index in 0..self.header.buffers {
            let bad = BlobError::Buffer { index };
            let b = self.buffer(index).ok_or(bad)?;
            let end = b.offset.checked_add(b.length).ok_or(bad)?;
            if b.region != 0 || end > self.header.arena_bytes || (b.offset as usize) < floor || b.length == 0 {
                return Err(bad);
            }
            if let Some(rows) = NonZeroU16::new(b.rows)
                && b.length % u32::from(rows.get()) != 0
            {
                return Err(bad);
            }
        }
        for index in 0..self.header.nodes + self.header.inputs {
            let bad = BlobError::Tensor { index };
            let t = self.tensor(index).ok_or(bad)?;
            let b = self.buffer(t.buffer).ok_or(bad)?;
            let known = t.dtype == DType::I8 || (t.dtype == DType::U8 && index >= self.header.nodes);
            if t.h == 0 || t.h == MADE || t.w == 0 || t.c == 0 || t.pixel_stride < t.c || !known {
                return Err(bad);
            }
            match NonZeroU16::new(b.rows) {
                // In a ring every row has its slot, and the tensor its place in the row.
                Some(rows) => {
                    let row = (b.length as usize).checked_div(usize::from(rows.get())).ok_or(bad)?;
                    let end = (t.offset as usize).checked_add(t.row_span()).ok_or(bad)?;
                    if t.row_stride() != row || end > row {
                        return Err(bad);
                    }
                }
                None => {
                    pieces(&t, &b, 0, t.h).ok_or(bad)?;
                }
            }
        }
        Ok(())
    }

    fn check_nodes(&self) -> Result<(), BlobError> {
        for n in 0..self.header.nodes {
            let fail = |fault| BlobError::Node { node: n, fault };
            let node = self.node(n).map_err(fail)?;
            let h = node.header;
            let op = crate::OpCode(h.op);
            let missing = BlobError::MissingOp { node: n, op, version: h.version };
            let e = self.registry.find(op, h.version, self.header.arithmetic).ok_or(missing)?;
            let need = (e.check)(&node).map_err(fail)?;
            (e.placed)(&node).map_err(fail)?;
            if h.band == 0 || (h.flags & NodeHeader::REDUCTION != 0) != need.consumes {
                return Err(fail(Fault::Field));
            }
            if let Some(aux) = h.accumulator() {
                let aux = self.buffer(aux).ok_or(fail(Fault::Operand))?;
                if aux.length < need.aux || aux.rows != 0 {
                    return Err(fail(Fault::Placement));
                }
            } else if need.aux != 0 {
                return Err(fail(Fault::Placement));
            }
            if need.windows.iter().any(|w| w.den == 0) {
                return Err(fail(Fault::Field));
            }
            if let Some(rows) = NonZeroU16::new(self.buffer(node.out.buffer).ok_or(fail(Fault::Operand))?.rows)
                && rows.get() % u16::from(h.band) != 0
            {
                return Err(fail(Fault::Placement));
            }
            // A result lies apart from its operands, or exactly on one that it may overwrite.
            if !need.view && in_place(&node).is_none() {
                let shares = |t: &TensorInfo| t.buffer == node.out.buffer;
                let slices = |t: &TensorInfo| t.pixel_stride != t.c || node.out.pixel_stride != node.out.c;
                if (shares(&node.in0) && !slices(&node.in0)) || node.in1.is_some_and(|t| shares(&t) && !slices(&t)) {
                    return Err(fail(Fault::Placement));
                }
            } else if let Some(k) = in_place(&node)
                && !need.view
                && (need.in_place >> k) & 1 == 0
            {
                return Err(fail(Fault::Placement));
            }
        }
        Ok(())
    }

    fn check_segments(&self) -> Result<(), BlobError> {
        let mut next = 0u16;
        let floor = self.counter_bytes();
        for index in 0..self.header.segments {
            let bad = BlobError::Segment { index };
            let s = self.segment_record(index).ok_or(bad)?;
            if s.first != next || s.count == 0 {
                return Err(bad);
            }
            next = next.checked_add(s.count).ok_or(bad)?;
            let end = s.scratch_offset.checked_add(s.scratch_length).ok_or(bad)?;
            if end > self.header.arena_bytes || (s.scratch_length > 0 && (s.scratch_offset as usize) < floor) {
                return Err(bad);
            }
        }
        if next == self.header.nodes { Ok(()) } else { Err(BlobError::Header) }
    }

    fn check_io(&self) -> Result<(), BlobError> {
        // Both counts may be large: their sum need not be a u16.
        for i in 0..self.header.inputs.checked_add(self.header.outputs).ok_or(BlobError::Header)? {
            let bad = BlobError::Io { index: i };
            let r: IoRecord = entry(self.io, i).ok_or(bad)?;
            let t = self.tensor(r.tensor).ok_or(bad)?;
            let is_input = i < self.header.inputs;
            if is_input && r.tensor != self.header.nodes.saturating_add(i) {
                return Err(bad);
            }
            let b = self.buffer(t.buffer).ok_or(bad)?;
            // An output is read as a whole, without gaps; an input is written so, or pushed into a ring.
            if (!is_input && b.rows != 0) || t.pixel_stride != t.c {
                return Err(bad);
            }
            // Nobody else would ask for it.
            if r.tensor < self.header.nodes && !self.is_sink(r.tensor) {
                return Err(bad);
            }
            let dims = [r.dim0, r.dim1, r.dim2, r.dim3];
            let dims = dims.get(..usize::from(r.rank)).ok_or(bad)?;
            let elements = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::from(d))).ok_or(bad)?;
            if elements != t.bytes() || r.quantization > 1 || !(r.scale.is_finite() && r.scale >= 0.0) {
                return Err(bad);
            }
        }
        Ok(())
    }

    /// Bytes of arena that a run takes: all of it, row counters and scratch included.
    pub fn arena_bytes(&self) -> usize {
        self.header.arena_bytes as usize
    }

    /// Bytes of state between runs.
    pub fn state_bytes(&self) -> usize {
        self.header.state_bytes as usize
    }

    /// Bytes of weights, channel parameters and tables.
    pub fn weights_bytes(&self) -> usize {
        self.consts.len()
    }

    /// Length of the blob.
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

    fn io_at(&self, i: u16) -> Option<TensorIo> {
        let r: IoRecord = entry(self.io, i)?;
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
        Strings::new(self.strings)
    }

    /// The check that a device runs on itself.
    pub fn golden(&self) -> Option<GoldenRecord> {
        GoldenRecord::read(self.golden)
    }

    /// How images and stored arrays become the first input, if the blob says.
    pub fn preprocess(&self) -> Option<StoredPreprocess<'m>> {
        StoredPreprocess::read(self.preprocess)
    }

    /// Scale of tensor `t` (nodes' results first), if the blob keeps them.
    pub fn scale(&self, t: u16) -> Option<f32> {
        f32::get(self.scales, usize::from(t).checked_mul(4)?)
    }

    /// Tensor `t`: the result of node `t`, or input `t − nodes`.
    #[inline]
    pub fn tensor(&self, t: u16) -> Option<TensorInfo> {
        entry(self.tensors, t).map(TensorInfo::of)
    }

    /// Buffer `b`.
    #[inline]
    pub fn buffer(&self, b: u16) -> Option<BufferRecord> {
        entry(self.buffers, b)
    }

    /// Segment `s`.
    #[inline]
    pub fn segment_record(&self, s: u16) -> Option<SegmentRecord> {
        entry(self.segments, s)
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

    fn node_header(&self, n: u16) -> Option<NodeHeader> {
        NodeHeader::read(self.node_bytes(n)?)
    }

    fn node_bytes(&self, n: u16) -> Option<&'m [u8]> {
        if n >= self.header.nodes {
            return None;
        }
        let at = usize::from(n) * 2;
        let (from, to) = (u16::get(self.nodes, at)?, u16::get(self.nodes, at + 2)?);
        self.nodes.get(usize::from(from)..usize::from(to))
    }

    /// Node `n` with its operands looked up.
    #[inline]
    pub fn node(&self, n: u16) -> Result<Node<'m>, Fault> {
        let bytes = self.node_bytes(n).ok_or(Fault::Record)?;
        let header = NodeHeader::read(bytes).ok_or(Fault::Record)?;
        let operand = |t: u16| {
            // Operands are inputs or come from below: that is what makes every walk end.
            let below = t < n || t >= self.header.nodes;
            if below { self.tensor(t).ok_or(Fault::Operand) } else { Err(Fault::Operand) }
        };
        Ok(Node {
            id: NodeId(n),
            header,
            record: bytes.get(NodeHeader::SIZE..).ok_or(Fault::Record)?,
            consts: self.consts,
            in0: operand(header.in0)?,
            in1: header.second().map(operand).transpose()?,
            out: self.tensor(n).ok_or(Fault::Operand)?,
        })
    }

    /// The registry's entry for a node, and what the node needs.
    pub(crate) fn resolve(&self, node: &Node<'m>) -> Option<(&'m OpEntry, Need)> {
        let h = &node.header;
        let e = self.registry.find(crate::OpCode(h.op), h.version, self.header.arithmetic)?;
        Some((e, (e.check)(node).ok()?))
    }

    /// What node `n` needs: for reports.
    pub fn need(&self, n: u16) -> Option<Need> {
        self.resolve(&self.node(n).ok()?).map(|r| r.1)
    }
}

/// The operand that a node overwrites, if it works in place: the one that lies exactly where the result does.
pub(crate) fn in_place(node: &Node<'_>) -> Option<u8> {
    let same = |t: &TensorInfo| {
        t.buffer == node.out.buffer
            && t.offset == node.out.offset
            && t.pixel_stride == node.out.pixel_stride
            && t.same_shape(&node.out)
    };
    if same(&node.in0) {
        Some(0)
    } else if node.in1.is_some_and(|t| same(&t)) {
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
        self.node_header(node).is_some_and(|h| h.flags & NodeHeader::SINK != 0)
    }

    fn is_reduction(&self, node: u16) -> bool {
        self.node_header(node).is_some_and(|h| h.flags & NodeHeader::REDUCTION != 0)
    }

    fn demand(&self, node: u16) -> Option<Demand> {
        let n = self.node(node).ok()?;
        let (_, need) = self.resolve(&n)?;
        Some(demand(&n, &need))
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
