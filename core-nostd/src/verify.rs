//! The proof of a blob, once, in time linear in its length.

use crate::arena;
use crate::blob::{
    BufferRecord, CRC_FROM, FORMAT_MAJOR, Header, IoRecord, MAGIC, NONE, NodeHeader, SectionEntry, SegmentRecord,
    StoredPreprocess, TensorRecord, WeightsRecord, crc32, region, section,
};
use crate::model::{Unresolved, entry, in_place};
use crate::record::Record;
use crate::schedule::{MADE, Plan};
use crate::{BlobError, DType, Fault, Model, Need, Node, OpCode, Registry, TensorInfo};

/// `Err` unless what is claimed holds: for checks whose error is made by the caller.
fn claim<E>(holds: bool, error: E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(error) }
}

impl<'m> Model<'m> {
    /// Proves a blob. The only constructor.
    ///
    /// Time is linear in the length of the blob. Malformed bytes give an error that says what is wrong; they never
    /// cause a panic or a read outside. A blob with an op that `registry` lacks is refused, the op named.
    pub fn verify(bytes: &'m [u8], registry: Registry<'m>) -> Result<Self, BlobError> {
        Self::verify_split(bytes, &[], registry)
    }

    /// As [`Model::verify`], of a blob whose weights are kept apart, in external flash for instance. Bytes behind the
    /// weights are not looked at. (Of a blob that has its weights in it, neither are those before.)
    ///
    /// # Errors
    /// Those of [`Model::verify`]; [`BlobError::WeightsTooShort`] and [`BlobError::WeightsCrc`] if `weights` are not those
    /// of the blob.
    #[inline(never)]
    pub fn verify_split(bytes: &'m [u8], weights: &'m [u8], registry: Registry<'m>) -> Result<Self, BlobError> {
        let header = Header::read(bytes).ok_or(BlobError::Truncated)?;
        if header.magic != MAGIC {
            return Err(BlobError::Magic);
        }
        if header.major != FORMAT_MAJOR {
            return Err(BlobError::Version { major: header.major });
        }
        let bytes = bytes.get(..header.length as usize).ok_or(BlobError::Truncated)?;
        claim(crc32(bytes.get(CRC_FROM..).ok_or(BlobError::Truncated)?) == header.crc, BlobError::Crc)?;
        if !crate::arithmetic::known(header.arithmetic) {
            return Err(BlobError::Arithmetic { id: header.arithmetic });
        }
        // Built where it is returned: a device has better things to do with its flash than to copy it.
        let mut proven = Ok(Self { header, sections: [&[]; section::COUNT], registry });
        if let Ok(model) = &mut proven
            && let Err(error) = model.prove(bytes, weights)
        {
            proven = Err(error);
        }
        proven
    }

    #[inline(never)]
    fn prove(&mut self, bytes: &'m [u8], weights: &'m [u8]) -> Result<(), BlobError> {
        self.find_sections(bytes)?;
        self.find_weights(weights)?;
        self.check_sections()?;
        let h = &self.header;
        for index in 0..h.buffers {
            claim(self.buffer_holds(index), BlobError::Buffer { index })?;
        }
        for index in 0..h.nodes + h.inputs {
            claim(self.tensor_holds(index).is_some(), BlobError::Tensor { index })?;
        }
        for node in 0..h.nodes {
            if let Err(why) = self.check_node(node) {
                return Err(self.node_error(node, why));
            }
        }
        let mut next = 0;
        for index in 0..h.segments {
            next = self.segment_end(index, next).ok_or(BlobError::Segment { index })?;
        }
        claim(next == h.nodes, BlobError::Header)?;
        // Both counts may be large: their sum need not be a u16.
        for index in 0..h.inputs.checked_add(h.outputs).ok_or(BlobError::Header)? {
            claim(self.io_holds(index).is_some(), BlobError::Io { index })?;
        }
        Ok(())
    }

    fn find_sections(&mut self, bytes: &'m [u8]) -> Result<(), BlobError> {
        let table = bytes.get(Header::SIZE..).unwrap_or_default();
        let mut seen = 0u32;
        for i in 0..self.header.sections {
            let e: SectionEntry = entry(table, i).ok_or(BlobError::Truncated)?;
            let bad = BlobError::Section { id: e.id };
            let data = bytes.get(e.offset as usize..).and_then(|b| b.get(..e.length as usize)).ok_or(bad)?;
            let known = e.id != 0 && e.id != section::DYNAMIC;
            let Some(slot) = self.sections.get_mut(usize::from(e.id)).filter(|_| known) else {
                claim(e.flags & section::REQUIRED == 0, BlobError::UnknownSection { id: e.id })?;
                continue;
            };
            let bit = 1u32.wrapping_shl(u32::from(e.id));
            claim(seen & bit == 0, bad)?;
            seen |= bit;
            *slot = data;
        }
        Ok(())
    }

    /// Weights that are kept apart take the place of those that the blob then has not.
    fn find_weights(&mut self, weights: &'m [u8]) -> Result<(), BlobError> {
        if let Some(record) = WeightsRecord::read(self.section(section::WEIGHTS))
            && let Some(slot) = self.sections.get_mut(usize::from(section::CONSTS))
        {
            claim(slot.is_empty(), BlobError::Section { id: section::CONSTS })?;
            let (need, have) = (record.length, u32::try_from(weights.len()).unwrap_or(u32::MAX));
            *slot = weights.get(..need as usize).ok_or(BlobError::WeightsTooShort { need, have })?;
            claim(crc32(slot) == record.crc, BlobError::WeightsCrc)?;
        }
        Ok(())
    }

    fn check_sections(&self) -> Result<(), BlobError> {
        let h = &self.header;
        let tensors = usize::from(h.nodes) + usize::from(h.inputs);
        self.section_holds(section::TENSORS, tensors, TensorRecord::SIZE)?;
        self.section_holds(section::BUFFERS, usize::from(h.buffers), BufferRecord::SIZE)?;
        self.section_holds(section::SEGMENTS, usize::from(h.segments), SegmentRecord::SIZE)?;
        self.section_holds(section::IO, usize::from(h.inputs) + usize::from(h.outputs), IoRecord::SIZE)?;
        let preprocess = self.section(section::PREPROCESS);
        if !preprocess.is_empty() && StoredPreprocess::read(preprocess).is_none() {
            return Err(BlobError::Section { id: section::PREPROCESS });
        }
        let counts = h.nodes != 0 && h.inputs != 0 && h.outputs != 0 && tensors < usize::from(NONE);
        // Addresses number the bytes of a region with few bits.
        let small = (0..region::COUNT as u8).all(|r| self.region_bytes(r) as usize <= region::MASK);
        claim(counts && small && self.counter_bytes() <= h.arena_bytes as usize, BlobError::Header)
    }

    #[inline(never)]
    fn section_holds(&self, id: u16, entries: usize, size: usize) -> Result<(), BlobError> {
        claim(self.section(id).len() == entries * size, BlobError::Section { id })
    }

    /// A range lies in its region, of the arena behind the counters.
    #[inline(never)]
    fn region_holds(&self, region: u8, offset: u32, length: u32) -> bool {
        let floor = if region == region::MAIN { self.counter_bytes() as u32 } else { 0 };
        offset >= floor && offset.checked_add(length).is_some_and(|end| end <= self.region_bytes(region))
    }

    /// A buffer lies in its region; a ring has equal rows.
    fn buffer_holds(&self, index: u16) -> bool {
        self.buffer(index).is_some_and(|b| {
            b.length != 0
                && self.region_holds(b.region, b.offset, b.length)
                && b.length.checked_rem(u32::from(b.rows)).unwrap_or(0) == 0
        })
    }

    /// A tensor fits its buffer.
    fn tensor_holds(&self, index: u16) -> Option<()> {
        let t = self.tensor(index)?;
        let b = self.buffer(t.buffer)?;
        let known = t.dtype == DType::I8 || (t.dtype == DType::U8 && index >= self.header.nodes);
        let extents = t.h != 0 && t.h != MADE && t.w != 0 && t.c != 0 && t.pixel_stride >= t.c;
        (known && extents && arena::fits(&t, &b)).then_some(())
    }

    #[inline(never)]
    fn check_node(&self, n: u16) -> Result<(), Unresolved> {
        self.visit(n, &mut |node, op, need| {
            (op.placed)(node).map_err(Unresolved::Fault)?;
            self.check_placement(node, need).map_err(Unresolved::Fault)
        })
    }

    fn check_placement(&self, node: &Node<'_>, need: &Need) -> Result<(), Fault> {
        let h = &node.header;
        let field = h.band != 0
            && (h.flags & NodeHeader::REDUCTION != 0) == need.consumes
            && need.windows.iter().all(|w| w.den != 0);
        claim(field, Fault::Field)?;
        let operand = Fault::Operand;
        let aux = match h.accumulator() {
            Some(aux) => {
                let aux = self.buffer(aux).ok_or(operand)?;
                aux.length >= need.aux && aux.rows == 0
            }
            None => need.aux == 0,
        };
        // A band of a ring never wraps.
        let out = self.buffer(node.out.buffer).ok_or(operand)?;
        // Only what outlives the inference lies in the state, and what only has another name there.
        let state = need.state == (out.region == region::STATE) || (need.view && !need.state);
        let bands = out.rows.checked_rem(u16::from(h.band)) == Some(0);
        // A result lies apart from its operands, or exactly on one that it may overwrite, or beside it in the same
        // pixels.
        let apart = need.view
            || match in_place(node) {
                Some(k) => (need.in_place >> k) & 1 != 0,
                None => {
                    let gaps = |t: &TensorInfo| t.pixel_stride != t.c;
                    let apart = |t: &TensorInfo| t.buffer != node.out.buffer || gaps(t) || gaps(&node.out);
                    apart(&node.in0) && node.in1.as_ref().is_none_or(apart)
                }
            };
        claim(aux && state && bands && apart, Fault::Placement)
    }

    #[cold]
    fn node_error(&self, n: u16, why: Unresolved) -> BlobError {
        match why {
            Unresolved::Fault(fault) => BlobError::Node { node: n, fault },
            Unresolved::Missing => {
                let (op, version) = self.node_header(n).map_or((0, 0), |h| (h.op, h.version));
                BlobError::MissingOp { node: n, op: OpCode(op), version }
            }
        }
    }

    /// The node behind a segment that begins at `first`.
    fn segment_end(&self, index: u16, first: u16) -> Option<u16> {
        let s = self.segment_record(index)?;
        let (region, offset) = ((s.scratch_offset >> region::BITS) as u8, s.scratch_offset & region::MASK as u32);
        let fits = s.scratch_length == 0 || self.region_holds(region, offset, s.scratch_length);
        (s.first == first && s.count != 0 && fits).then_some(())?;
        first.checked_add(s.count)
    }

    fn io_holds(&self, i: u16) -> Option<()> {
        let r = self.io_record(i)?;
        let t = self.tensor(r.tensor)?;
        let nodes = self.header.nodes;
        // An output is read as a whole, without gaps; an input is written so, or pushed into a ring.
        let placed =
            if i < self.header.inputs { r.tensor == nodes.saturating_add(i) } else { self.buffer(t.buffer)?.rows == 0 };
        // Nobody else would ask for it.
        let asked = r.tensor >= nodes || self.is_sink(r.tensor);
        let dims = [r.dim0, r.dim1, r.dim2, r.dim3];
        let dims = dims.get(..usize::from(r.rank))?;
        let elements = dims.iter().try_fold(1u32, |n, &d| n.checked_mul(u32::from(d)))?;
        // Finite and not negative: what a comparison of floats would bring in is more than the runtime's flash bears.
        let scale = r.scale.to_bits() < f32::INFINITY.to_bits();
        let holds = placed && asked && t.pixel_stride == t.c && elements as usize == t.bytes() && r.quantization <= 1;
        (holds && scale).then_some(())
    }
}
