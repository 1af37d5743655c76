//! The proof of a blob, once, in time linear in its length.

use crate::arena;
use crate::blob::{
    BufferRecord, CRC_FROM, FORMAT_MAJOR, Header, IoRecord, MAGIC, NONE, NodeHeader, SectionEntry, SegmentRecord,
    TensorRecord, WeightsRecord, crc32, region, section,
};
use crate::model::{Unresolved, field};
use crate::record::Record;
use crate::schedule::{MADE, Plan};
use crate::{BlobError, Fault, Model, Need, Node, OpCode, Registry, TensorInfo};

/// Sections that this build knows, a bit each.
const KNOWN: u32 = ((1 << section::COUNT) - 1) & !(1 | 1 << section::DYNAMIC);

impl<'m> Model<'m> {
    /// Proves a blob. (`carafe_macros::include_model!` does it when a program is compiled; all others call this.)
    ///
    /// Time is linear in the length of the blob. Malformed bytes give an error that says what is wrong; they never
    /// cause a panic or a read outside. A blob with an op that `registry` lacks is refused, the op named. What no run reads
    /// is checked where it is asked for; `docs/blob.md` says what that is.
    pub fn verify(bytes: &'m [u8], registry: Registry<'m>) -> Result<Self, BlobError> {
        Self::verify_split(bytes, &[], registry)
    }

    /// As [`Model::verify`], of a blob whose weights are kept apart, in external flash for instance. Bytes behind the
    /// weights are not looked at. (Of a blob that has its weights in it, neither are those before.)
    ///
    /// # Errors
    /// Those of [`Model::verify`]; [`BlobError::WeightsTooShort`] and [`BlobError::WeightsCrc`] if `weights` are not those
    /// of the blob.
    #[inline]
    pub fn verify_split(bytes: &'m [u8], weights: &'m [u8], registry: Registry<'m>) -> Result<Self, BlobError> {
        let mut why = BlobError::Truncated;
        let mut model = Self {
            blob: bytes,
            registry,
            count: 0,
            nodes: &[],
            tensors: &[],
            buffers: &[],
            segments: &[],
            consts: &[],
        };
        match model.prove(weights, &mut why) {
            Some(()) => Ok(model),
            None => Err(why),
        }
    }

    /// `None` if the blob is refused. Before each check it is noted what would be wrong: that takes less flash than to
    /// make an error wherever one is found.
    #[inline(never)]
    fn prove(&mut self, weights: &'m [u8], why: &mut BlobError) -> Option<()> {
        let h = Header::read(self.blob)?;
        *why = BlobError::Magic;
        holds(h.magic == MAGIC)?;
        *why = BlobError::Version { major: h.major };
        holds(h.major == FORMAT_MAJOR)?;
        *why = BlobError::Truncated;
        self.blob = self.blob.get(..h.length as usize)?;
        let covered = self.blob.get(CRC_FROM..)?;
        *why = BlobError::Crc;
        holds(crc32(covered) == h.crc)?;
        *why = BlobError::Arithmetic { id: h.arithmetic };
        holds(crate::arithmetic::known(h.arithmetic))?;
        *why = BlobError::Header;
        // They are looked up by walking the table, some for every record: time stays linear.
        holds(h.sections <= section::MOST)?;
        self.check_sections(why)?;
        self.count = h.nodes;
        self.nodes = self.section(section::NODES);
        self.consts = self.section(section::CONSTS);
        self.find_weights(weights, why)?;
        let tensors = usize::from(h.nodes) + usize::from(h.inputs);
        let ports = usize::from(h.inputs) + usize::from(h.outputs);
        self.tensors = self.records(section::TENSORS, tensors * TensorRecord::SIZE, why)?.as_chunks().0;
        self.buffers = self.records(section::BUFFERS, usize::from(h.buffers) * BufferRecord::SIZE, why)?.as_chunks().0;
        self.segments =
            self.records(section::SEGMENTS, usize::from(h.segments) * SegmentRecord::SIZE, why)?.as_chunks().0;
        self.records(section::IO, ports * IoRecord::SIZE, why)?;
        *why = BlobError::Header;
        holds(h.nodes != 0 && h.inputs != 0 && h.outputs != 0)?;
        // All are numbered by a u16. Both counts of inputs and outputs may be large.
        holds(tensors < usize::from(NONE) && ports <= usize::from(NONE))?;
        holds(self.counter_bytes() <= h.arena_bytes as usize)?;
        self.check_records(why)
    }

    #[inline]
    fn check_sections(&self, why: &mut BlobError) -> Option<()> {
        let mut seen = 0u32;
        for i in 0..self.count(field::SECTIONS) {
            *why = BlobError::Truncated;
            let bytes = self.entry(i)?;
            let e = SectionEntry::read(bytes)?;
            *why = BlobError::Section { id: e.id };
            self.bytes_of(bytes)?;
            let bit = 1u32.checked_shl(u32::from(e.id)).unwrap_or(0) & KNOWN;
            holds(seen & bit == 0)?;
            seen |= bit;
            *why = BlobError::UnknownSection { id: e.id };
            holds(bit != 0 || e.flags & section::REQUIRED == 0)?;
        }
        Some(())
    }

    /// Weights that are kept apart take the place of those that the blob then has not.
    #[inline]
    fn find_weights(&mut self, weights: &'m [u8], why: &mut BlobError) -> Option<()> {
        if let Some(record) = WeightsRecord::read(self.section(section::WEIGHTS)) {
            *why = BlobError::Section { id: section::CONSTS };
            holds(self.consts.is_empty())?;
            let have = u32::try_from(weights.len()).unwrap_or(u32::MAX);
            *why = BlobError::WeightsTooShort { need: record.length, have };
            self.consts = weights.get(..record.length as usize)?;
            *why = BlobError::WeightsCrc;
            // (Where no weights are ever given, no more of this is linked.)
            holds(record.length == 0 || crc32(self.consts) == record.crc)?;
        }
        Some(())
    }

    /// A section of that length.
    #[inline(never)]
    fn records(&self, id: u16, length: usize, why: &mut BlobError) -> Option<&'m [u8]> {
        *why = BlobError::Section { id };
        Some(self.section(id)).filter(|s| s.len() == length)
    }

    #[inline]
    fn check_records(&self, why: &mut BlobError) -> Option<()> {
        let mut table = 0;
        while let Some(records) = self.records_of(table) {
            for index in 0..records {
                self.record_holds(table, index, why)?;
            }
            table += 1;
        }
        Some(())
    }

    /// How many records [`Model::record_holds`] checks in a table.
    #[inline(never)]
    fn records_of(&self, table: u8) -> Option<u16> {
        let records = match table {
            0 => region::COUNT,
            1 => self.buffers.len(),
            2 => self.tensors.len(),
            3 => usize::from(self.nodes()),
            // One more: the end.
            4 => self.segments.len() + 1,
            5 => self.inputs() + self.outputs(),
            _ => return None,
        };
        Some(records as u16)
    }

    #[inline(never)]
    fn record_holds(&self, table: u8, index: u16, why: &mut BlobError) -> Option<()> {
        match table {
            0 => {
                *why = BlobError::Header;
                // Addresses number the bytes of a region with few bits.
                holds(self.region_bytes(index as u8) as usize <= region::MASK)
            }
            1 => {
                *why = BlobError::Buffer { index };
                self.buffer_holds(index)
            }
            2 => {
                *why = BlobError::Tensor { index };
                self.tensor_holds(index)
            }
            3 => self.check_node(index).map_err(|fault| *why = self.node_error(index, fault)).ok(),
            4 => {
                *why = BlobError::Segment { index };
                self.segment_holds(index, why)
            }
            _ => {
                *why = BlobError::Io { index };
                self.io_holds(index)
            }
        }
    }

    /// A range lies in its region, of the arena behind the counters.
    #[inline(never)]
    fn region_holds(&self, region: u8, offset: u32, length: u32) -> bool {
        let floor = if region == region::MAIN { self.counter_bytes() as u32 } else { 0 };
        let size = self.region_bytes(region);
        offset >= floor && offset <= size && length <= size - offset
    }

    /// A buffer lies in its region; a ring has equal rows.
    #[inline]
    fn buffer_holds(&self, index: u16) -> Option<()> {
        let b = self.buffer(index)?;
        holds(b.length != 0 && b.length.checked_rem(u32::from(b.rows)).unwrap_or(0) == 0)?;
        holds(self.region_holds(b.region, b.offset, b.length))
    }

    /// A tensor fits its buffer.
    #[inline]
    fn tensor_holds(&self, index: u16) -> Option<()> {
        let t = self.tensor_record(index)?;
        let b = self.buffer(t.buffer)?;
        // i8; of inputs u8 as well, and no bands.
        holds(if index < self.nodes() { t.kind & 1 == 0 } else { t.kind <= 1 })?;
        holds(t.h != 0 && t.h != MADE && t.w != 0 && t.c != 0 && t.pixel_stride >= t.c)?;
        holds(arena::fits(&TensorInfo::of(t), &b))
    }

    #[inline]
    fn check_node(&self, n: u16) -> Result<(), Unresolved> {
        self.visit(n, &mut |node, op, need| {
            (op.placed)(node).map_err(Unresolved::Fault)?;
            self.check_placement(node, need).map_err(Unresolved::Fault)
        })
    }

    fn check_placement(&self, node: &Node<'_>, need: &Need) -> Result<(), Fault> {
        let h = &node.header;
        if h.band == 0 || (h.flags & NodeHeader::REDUCTION != 0) != need.consumes {
            return Err(Fault::Field);
        }
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
        let bands = out.rows.checked_rem(u16::from(h.band)) == Some(0) && node.out.lead < h.band;
        // Only what outlives the inference lies in the state, and what only has another name there.
        let state = need.state == (out.region == region::STATE) || (need.view && !need.state);
        // A result lies apart from its operands, or exactly on one that it may overwrite, or beside it in the same
        // pixels.
        let apart = need.view
            || match self.in_place(node) {
                Some(k) => (need.in_place >> k) & 1 != 0,
                None => {
                    let gaps = |t: &TensorInfo| t.pixel_stride != t.c;
                    let apart = |t: &TensorInfo| t.buffer != node.out.buffer || gaps(t) || gaps(&node.out);
                    apart(&node.in0) && node.in1.as_ref().is_none_or(apart)
                }
            };
        let scratch = match node.scratch() {
            Some(s) => {
                let holds = |address: u32| {
                    let (region, offset) = ((address >> region::BITS) as u8, address & region::MASK as u32);
                    region != region::STATE && self.region_holds(region, offset, s.length)
                };
                s.length != 0 && holds(s.offset) && holds(s.other)
            }
            None => h.flags & NodeHeader::SCRATCH == 0,
        };
        if aux && state && bands && apart && scratch { Ok(()) } else { Err(Fault::Placement) }
    }

    #[inline]
    fn node_error(&self, n: u16, why: Unresolved) -> BlobError {
        match why {
            Unresolved::Fault(fault) => BlobError::Node { node: n, fault },
            Unresolved::Missing => {
                let (op, version) = self.node_header(n).map_or((0, 0), |h| (h.op, h.version));
                BlobError::MissingOp { node: n, op: OpCode(op), version }
            }
        }
    }

    /// A segment begins where the one before ends, the first at the first node; behind the last there is no node.
    #[inline]
    fn segment_holds(&self, index: u16, why: &mut BlobError) -> Option<()> {
        let before = index.checked_sub(1).and_then(|i| self.segment_record(i));
        // That the one before ends among the numbers of nodes has been checked.
        let first = before.map_or(0, |s| s.first.wrapping_add(s.count));
        let Some(s) = self.segment_record(index) else {
            *why = BlobError::Header;
            return holds(first == self.nodes());
        };
        holds(s.first == first && s.count != 0 && s.first.checked_add(s.count).is_some())
    }

    #[inline]
    fn io_holds(&self, i: u16) -> Option<()> {
        let r = self.io_record(usize::from(i))?;
        let t = self.tensor(r.tensor)?;
        let nodes = self.nodes();
        // An output is read as a whole, without gaps; an input is written so, or pushed into a ring.
        if usize::from(i) < self.inputs() {
            holds(r.tensor == nodes.saturating_add(i))?;
        } else {
            holds(self.buffer(t.buffer)?.rows == 0)?;
        }
        // Nobody else would ask for it.
        holds(r.tensor >= nodes || self.is_sink(r.tensor))?;
        holds(t.pixel_stride == t.c)?;
        // No run needs the rest; a host that shows it to users refuses the blob.
        holds(cfg!(target_os = "none") || self.io_at(usize::from(i)).is_some())
    }
}

/// `None` unless what is claimed holds.
#[inline]
fn holds(claim: bool) -> Option<()> {
    claim.then_some(())
}
