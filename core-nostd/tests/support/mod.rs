//! Blobs put together by hand, for tests of single kernels: tensors and buffers are placed as told, in any order, with
//! rings and slices that the planner would not choose.

use carafe::arithmetic::{Arithmetic, Native};
use carafe::blob::{
    BufferRecord, CRC_FROM, FORMAT_MAJOR, FORMAT_MINOR, Header, IoRecord, MAGIC, NONE, NodeHeader, RegionsRecord,
    ScratchRecord, SectionEntry, SegmentRecord, TensorRecord, crc32, region, section,
};
use carafe::record::Record;
use carafe::{Model, OpCode, RunError, Session, Step};

/// The bytes of a record.
pub fn bytes<R: Record>(r: &R) -> Vec<u8> {
    let mut out = vec![0; R::SIZE];
    r.write(&mut out).unwrap();
    out
}

/// int8 as the bytes of the arena.
pub fn raw(data: &[i8]) -> Vec<u8> {
    data.iter().map(|&x| x as u8).collect()
}

/// The inverse of [`raw`].
pub fn signed(data: &[u8]) -> Vec<i8> {
    data.iter().map(|&x| x as i8).collect()
}

/// What a node reads.
#[derive(Clone, Copy, Debug)]
pub enum From {
    Node(usize),
    Input(usize),
}

/// A tensor: extents, zero point, and where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub hwc: [usize; 3],
    pub zero_point: i8,
    pub buffer: u16,
    pub pixel_stride: usize,
    pub offset: u16,
    pub lead: u8,
}

#[derive(Clone, Debug)]
struct NodeSpec {
    op: OpCode,
    fields: Vec<u8>,
    inputs: Vec<From>,
    out: Place,
    band: u8,
    aux: u16,
    reduction: bool,
}

/// A blob under construction.
#[derive(Clone, Debug)]
pub struct Builder {
    arithmetic: u8,
    nodes: Vec<NodeSpec>,
    inputs: Vec<Place>,
    buffers: Vec<(u32, u16)>,
    /// By buffer, where it is not the arena.
    regions: std::collections::BTreeMap<u16, u8>,
    /// Buffers whose elements are unsigned.
    unsigned: std::collections::BTreeSet<u16>,
    outputs: Vec<usize>,
    consts: Vec<u8>,
    scratch: u32,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new::<Native>()
    }
}

impl Builder {
    pub fn new<A: Arithmetic>() -> Self {
        let (nodes, inputs, buffers) = (vec![], vec![], vec![]);
        let (regions, unsigned) = Default::default();
        Self {
            arithmetic: A::ID,
            nodes,
            inputs,
            buffers,
            regions,
            unsigned,
            outputs: vec![],
            consts: vec![],
            scratch: 0,
        }
    }

    /// Weights and channel parameters; gives the byte of the weights.
    pub fn layer(&mut self, weights: &[i8], channels: &[u8]) -> u32 {
        self.consts.resize(self.consts.len().next_multiple_of(4), 0);
        let at = self.consts(&raw(weights));
        self.consts.resize(self.consts.len().next_multiple_of(4), 0);
        self.consts(channels);
        at
    }

    /// As [`Builder::layer`], of `inputs` weights for each channel, in pairs where they fit. Gives the packing, too.
    #[allow(dead_code, reason = "only some of the tests that share this have layers in pairs")]
    pub fn pairs(&mut self, weights: &[i8], inputs: usize, channels: &[u8]) -> (u32, u8) {
        let mut packed = Vec::new();
        let rows: Vec<&[i8]> = weights.chunks(inputs).collect();
        for rows in rows.chunks(2) {
            if let [last] = rows {
                packed.extend(last.iter().copied().chain(std::iter::repeat(0)).take(inputs.next_multiple_of(4)));
                continue;
            }
            for i in 0..inputs.next_multiple_of(4) {
                let of =
                    |row: usize| rows.get(row).and_then(|r| r.get(carafe::ops::place(i))).copied().map_or(0, i32::from);
                let Ok(pair) = i16::try_from(256 * of(1) + of(0)) else {
                    return (self.layer(weights, channels), carafe::ops::PLAIN);
                };
                packed.extend(pair.to_le_bytes().map(|b| b as i8));
            }
        }
        (self.layer(&packed, channels), carafe::ops::PAIRS)
    }

    /// As [`Builder::pairs`], in fours.
    #[allow(dead_code, reason = "only some of the tests that share this have layers in fours")]
    pub fn fours(&mut self, weights: &[i8], inputs: usize, channels: &[u8]) -> (u32, u8) {
        let mut packed = Vec::new();
        let mut rows: Vec<&[i8]> = weights.chunks(inputs).collect();
        let padded = inputs.next_multiple_of(4);
        while let [first, ..] = rows[..] {
            let many = [1, 2, 2, 4][rows.len().min(4) - 1];
            let those: Vec<&[i8]> = rows.drain(..many).collect();
            if many == 1 {
                packed.extend(first.iter().copied().chain(std::iter::repeat(0)).take(padded));
                break;
            }
            // Each with the next one; of four, one of three halfwords is left to the device, but has to fit.
            let both = |row: usize, i: usize| {
                let of = |row: usize| those[row].get(carafe::ops::place(i)).copied().map_or(0, i32::from);
                i16::try_from(256 * of(row + 1) + of(row))
            };
            if !(0..many - 1).all(|row| (0..padded).all(|i| both(row, i).is_ok())) {
                return (self.layer(weights, channels), carafe::ops::PLAIN);
            }
            for (i, row) in (0..padded / 2).flat_map(|i| (0..many).step_by(2).map(move |row| (i, row))) {
                let more = if many == 4 && row == 0 { 128 } else { 0 };
                for i in [2 * i, 2 * i + 1] {
                    packed.extend((both(row, i).unwrap() + more).to_le_bytes().map(|b| b as i8));
                }
            }
        }
        (self.layer(&packed, channels), carafe::ops::FOURS)
    }

    /// As [`Builder::pairs`], two inputs of two channels in a word, where no weight is −128.
    #[allow(dead_code, reason = "only some of the tests that share this have layers in words")]
    pub fn quads(&mut self, weights: &[i8], inputs: usize, channels: &[u8]) -> (u32, u8) {
        if weights.contains(&i8::MIN) {
            return (self.layer(weights, channels), carafe::ops::PLAIN);
        }
        let mut packed = Vec::new();
        let rows: Vec<&[i8]> = weights.chunks(inputs).collect();
        for rows in rows.chunks(2) {
            if let [last] = rows {
                packed.extend(last.iter().copied().chain(std::iter::repeat(0)).take(inputs.next_multiple_of(4)));
                continue;
            }
            for i in (0..inputs.next_multiple_of(4)).step_by(2) {
                let of = |row: usize, i: usize| rows[row].get(i).map_or(0, |&w| w) ^ i8::MIN;
                packed.extend([of(0, i), of(0, i + 1), of(1, i), of(1, i + 1)]);
            }
        }
        (self.layer(&packed, channels), carafe::ops::QUADS)
    }

    /// Gives the kernels so many bytes of scratch.
    #[allow(dead_code, reason = "only some of the tests that share this give any")]
    pub fn scratch(&mut self, bytes: u32) {
        self.scratch = bytes;
    }

    /// Constants; gives their byte.
    pub fn consts(&mut self, data: &[u8]) -> u32 {
        let at = self.consts.len() as u32;
        self.consts.extend_from_slice(data);
        at
    }

    /// A tensor in a buffer of its own. `rows` of a ring, or 0.
    pub fn alone(&mut self, hwc: [usize; 3], zero_point: i8, rows: usize) -> Place {
        self.slice(hwc, zero_point, rows, hwc[2], 0)
    }

    /// A tensor that is channels `offset..` of pixels of `wide` bytes, in a buffer of its own.
    pub fn slice(&mut self, hwc: [usize; 3], zero_point: i8, rows: usize, wide: usize, offset: usize) -> Place {
        let held = if rows == 0 { hwc[0] } else { rows };
        self.buffers.push(((held * hwc[1] * wide) as u32, rows as u16));
        let buffer = self.buffers.len() as u16 - 1;
        Place { hwc, zero_point, buffer, pixel_stride: wide, offset: offset as u16, lead: 0 }
    }

    /// Moves the buffer of a tensor to another region.
    #[allow(dead_code, reason = "only some of the tests that share this have regions")]
    pub fn region(&mut self, place: &Place, region: u8) {
        self.regions.insert(place.buffer, region);
    }

    /// Makes the elements of a tensor unsigned.
    #[allow(dead_code, reason = "only some of the tests that share this have such tensors")]
    pub fn unsigned(&mut self, place: &Place) {
        self.unsigned.insert(place.buffer);
    }

    pub fn input(&mut self, place: Place) -> From {
        self.inputs.push(place);
        From::Input(self.inputs.len() - 1)
    }

    pub fn node(&mut self, op: OpCode, fields: Vec<u8>, inputs: &[From], out: Place, band: usize) -> From {
        let (inputs, band) = (inputs.to_vec(), band as u8);
        self.nodes.push(NodeSpec { op, fields, inputs, out, band, aux: NONE, reduction: false });
        From::Node(self.nodes.len() - 1)
    }

    /// A node that copies.
    pub fn copy(&mut self, from: From, out: Place, band: usize) -> From {
        let fields = bytes(&carafe::ops::LutRecord { table: carafe::ops::LutRecord::COPY });
        self.node(OpCode::Lut, fields, &[from], out, band)
    }

    /// Makes the last node a reduction with an accumulator of so many bytes.
    pub fn reduction(&mut self, aux: usize) {
        self.buffers.push((aux as u32, 0));
        let aux = self.buffers.len() as u16 - 1;
        let last = self.nodes.last_mut().unwrap();
        (last.reduction, last.aux) = (true, aux);
    }

    pub fn output(&mut self, from: From) {
        let From::Node(n) = from else { panic!("outputs are made by nodes") };
        self.outputs.push(n);
    }

    /// The blob: one segment, buffers one behind the other.
    pub fn finish(&self) -> Vec<u8> {
        let (nodes, inputs) = (self.nodes.len(), self.inputs.len());
        let mut ends = [(2 * (2 * nodes + inputs + self.buffers.len())) as u32, 0, 0];
        let mut buffers = Vec::new();
        for (i, &(length, rows)) in (0..).zip(&self.buffers) {
            let region = self.regions.get(&i).copied().unwrap_or(region::MAIN);
            let at = &mut ends[usize::from(region)];
            let offset = at.next_multiple_of(4);
            buffers.extend(bytes(&BufferRecord { offset, length, rows, region }));
            *at = offset + length;
        }
        let [arena_bytes, fast_bytes, state_bytes] = ends;
        let scratch_offset = arena_bytes.next_multiple_of(4);
        let arena_bytes = if self.scratch > 0 { scratch_offset + self.scratch } else { arena_bytes };
        let tensor = |f: From| match f {
            From::Node(n) => n as u16,
            From::Input(i) => (nodes + i) as u16,
        };
        let mut offsets = Vec::new();
        let mut records: Vec<u8> = Vec::new();
        let mark = |records: &[u8]| ((2 * (nodes + 1) + records.len()) as u16).to_le_bytes();
        let scratch = if self.scratch > 0 { NodeHeader::SCRATCH } else { 0 };
        for (i, n) in self.nodes.iter().enumerate() {
            offsets.extend(mark(&records));
            let sink = if self.outputs.contains(&i) { NodeHeader::SINK } else { 0 };
            let header = NodeHeader {
                op: n.op.0,
                version: 1,
                flags: sink | scratch | if n.reduction { NodeHeader::REDUCTION } else { 0 },
                band: n.band,
                in0: tensor(n.inputs[0]),
                in1: if n.reduction { n.aux } else { n.inputs.get(1).map_or(NONE, |&f| tensor(f)) },
            };
            records.extend(bytes(&header));
            records.extend_from_slice(&n.fields);
            if self.scratch > 0 {
                records.extend(bytes(&ScratchRecord {
                    offset: scratch_offset,
                    other: scratch_offset,
                    length: self.scratch,
                    mask: 1,
                }));
            }
        }
        offsets.extend(mark(&records));
        offsets.extend(records);
        let places: Vec<Place> = self.nodes.iter().map(|n| n.out).chain(self.inputs.iter().copied()).collect();
        let record = |p: &Place| TensorRecord {
            buffer: p.buffer,
            h: p.hwc[0] as u16,
            w: p.hwc[1] as u16,
            c: p.hwc[2] as u16,
            pixel_stride: p.pixel_stride as u16,
            offset: p.offset,
            zero_point: p.zero_point,
            kind: p.lead << 1 | u8::from(self.unsigned.contains(&p.buffer)),
        };
        let io = |t: usize| {
            let [h, w, c] = places[t].hwc.map(|x| x as u16);
            let zero_point = places[t].zero_point;
            let (tensor, scale) = (t as u16, 1.0);
            bytes(&IoRecord { tensor, rank: 4, quantization: 1, dim0: 1, dim1: h, dim2: w, dim3: c, scale, zero_point })
        };
        let segment = SegmentRecord { first: 0, count: nodes as u16 };
        let sections = [
            (section::NODES, offsets),
            (section::TENSORS, places.iter().flat_map(|p| bytes(&record(p))).collect()),
            (section::BUFFERS, buffers),
            (section::SEGMENTS, bytes(&segment)),
            (section::IO, (0..inputs).map(|i| nodes + i).chain(self.outputs.iter().copied()).flat_map(io).collect()),
            (section::REGIONS, bytes(&RegionsRecord { fast_bytes })),
            (section::CONSTS, self.consts.clone()),
        ];
        let mut table = Vec::new();
        let mut body = Vec::new();
        let begin = Header::SIZE + sections.len() * SectionEntry::SIZE;
        for (id, data) in &sections {
            // As converters write them: fast loops take constants at multiples of 4.
            body.resize((begin + body.len()).next_multiple_of(16) - begin, 0);
            let (offset, length) = ((begin + body.len()) as u32, data.len() as u32);
            table.extend(bytes(&SectionEntry { id: *id, flags: section::REQUIRED, offset, length }));
            body.extend_from_slice(data);
        }
        let header = Header {
            magic: MAGIC,
            major: FORMAT_MAJOR,
            minor: FORMAT_MINOR,
            sections: sections.len() as u16,
            length: (begin + body.len()) as u32,
            crc: 0,
            arithmetic: self.arithmetic,
            cpu: 0,
            flags: 0,
            arena_bytes,
            state_bytes,
            max_steps: self.nodes.iter().map(|n| n.out.hwc[0] as u32 + 1000).sum(),
            nodes: nodes as u16,
            inputs: inputs as u16,
            outputs: self.outputs.len() as u16,
            buffers: self.buffers.len() as u16,
            segments: 1,
            reserved: 0,
        };
        let mut blob = [bytes(&header), table, body].concat();
        let crc = crc32(&blob[CRC_FROM..]);
        blob[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_le_bytes());
        blob
    }
}

/// Runs a blob in a painted arena with guards on both sides; pushes inputs that are not there as a whole. Proves that
/// no byte outside of the arena changes, and that the outcome does not depend on what was in the arena.
pub fn run(blob: &[u8], inputs: &[Vec<i8>]) -> Result<Vec<Vec<i8>>, RunError> {
    let model = Model::verify(blob, carafe::ops::ALL).unwrap_or_else(|e| panic!("{e}"));
    assert!((0..model.nodes()).all(|n| model.need_agrees(n)));
    let once = |paint: u8| {
        let mut memory = vec![paint; 64 + model.arena_bytes() + 64];
        let end = 64 + model.arena_bytes();
        let mut session = Session::new(model);
        let outputs = answer(&mut session, &mut memory[64..end], inputs);
        assert!(memory[..64].iter().chain(&memory[end..]).all(|&b| b == paint), "a byte outside the arena was written");
        outputs
    };
    let outputs = once(0xA5);
    assert_eq!(outputs, once(0x5A), "the outcome depends on what was in the arena");
    outputs
}

fn answer(session: &mut Session<'_>, arena: &mut [u8], inputs: &[Vec<i8>]) -> Result<Vec<Vec<i8>>, RunError> {
    let model = *session.model();
    let mut run = session.start(arena)?;
    let mut at = vec![0; inputs.len()];
    for (i, data) in inputs.iter().enumerate() {
        match run.input(i) {
            Ok(_) => run.set_input(i, &raw(data))?,
            Err(_) => at[i] = 0,
        }
    }
    loop {
        match run.step() {
            Ok(Step::Done) => break,
            Ok(_) => {}
            Err(RunError::NeedsInput { input }) => {
                let i = usize::from(input);
                let t = model.tensor(model.input(i).unwrap().tensor).unwrap();
                let row = t.row_stride();
                run.push_rows(i, &raw(&inputs[i][at[i]..at[i] + row]))?;
                at[i] += row;
            }
            Err(e) => return Err(e),
        }
    }
    assert!(run.steps() <= model.max_steps());
    assert!(run.high_water() <= model.arena_bytes());
    Ok((0..model.outputs()).map(|i| signed(run.output(i).unwrap())).collect())
}
