//! Puts one file together.

use carafe::blob::{
    CONSTS_ALIGN, CRC_FROM, FORMAT_MAJOR, FORMAT_MINOR, GoldenRecord, Header, IoRecord, MAGIC, NONE, NodeHeader,
    RegionsRecord, SectionEntry, StringKind, TensorRecord, crc32, golden_byte, section,
};
use carafe::record::Record;
use carafe::{BlobError, Memory, Model, RunError, Session};

use crate::lower::{LowerIo, Lowered};
use crate::plan::{Plan, PlanError};

/// What goes into a blob besides the model.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Names of the classes of the first output.
    pub labels: Vec<String>,
    /// Keep node names and tensor scales, for tools that compare layers.
    pub debug: bool,
}

/// Why no blob came out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Something does not fit its field.
    #[error("the model is too large for the format: {0}")]
    TooLarge(String),
    /// The device's verifier refuses what was written: a bug.
    #[error("the blob is refused by its own verifier ({0}); this is a bug in the converter")]
    Verify(BlobError),
    /// The blob does not run: a bug.
    #[error("the blob does not run ({0}); this is a bug in the converter")]
    Run(RunError),
    /// See [`PlanError`].
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// The input of a golden check.
const GOLDEN_SEED: u32 = 0x0C4A_FAFE;

/// Writes a blob, verifies it, runs it once on the host, and writes the golden check of that run into it.
///
/// `preprocess` is the section of that name, or empty.
pub fn write(model: &Lowered, plan: &Plan, preprocess: &[u8], options: &WriteOptions) -> Result<Vec<u8>, WriteError> {
    let blob = sections(model, plan, preprocess, options, None)?;
    let crc = golden(&blob)?;
    let blob = sections(model, plan, preprocess, options, Some(GoldenRecord { seed: GOLDEN_SEED, crc }))?;
    Model::verify(&blob, carafe::ops::ALL).map_err(WriteError::Verify)?;
    Ok(blob)
}

/// The CRC of all outputs for the golden input. Inputs that are pushed get their rows as they are asked for.
fn golden(blob: &[u8]) -> Result<u32, WriteError> {
    let model = Model::verify(blob, carafe::ops::ALL).map_err(WriteError::Verify)?;
    let mut arena = vec![0; model.arena_bytes()];
    let mut at = 0u32;
    let inputs: Vec<Vec<u8>> = (0..model.inputs())
        .map(|i| {
            let n = model.input(i).map_or(0, |t| t.bytes);
            let bytes = (0..n as u32).map(|k| golden_byte(GOLDEN_SEED, at + k)).collect();
            at += n as u32;
            bytes
        })
        .collect();
    let (mut fast, mut state) = (vec![0; model.fast_bytes()], vec![0; model.state_bytes()]);
    let mut session = Session::with_state(model, &mut state).map_err(WriteError::Run)?;
    let memory = Memory { main: &mut arena, fast: &mut fast };
    let outputs = crate::twin::run_in(&mut session, memory, &inputs, ()).map_err(WriteError::Run)?;
    Ok(crc32(&outputs.concat()))
}

pub(crate) fn record<R: Record>(out: &mut Vec<u8>, r: &R) {
    let at = out.len();
    out.resize(at + R::SIZE, 0);
    r.write(&mut out[at..]).expect("the buffer is as long as the record");
}

fn sections(
    model: &Lowered,
    plan: &Plan,
    preprocess: &[u8],
    options: &WriteOptions,
    golden: Option<GoldenRecord>,
) -> Result<Vec<u8>, WriteError> {
    let mut list: Vec<Section> = vec![
        (section::NODES, section::REQUIRED, nodes(model, plan)?),
        (section::TENSORS, section::REQUIRED, tensors(model, plan)?),
        (section::BUFFERS, section::REQUIRED, Vec::new()),
        (section::SEGMENTS, section::REQUIRED, Vec::new()),
        (section::IO, section::REQUIRED, io(model)),
    ];
    plan.buffers.iter().for_each(|b| record(&mut list[2].2, b));
    plan.segments.iter().for_each(|s| record(&mut list[3].2, s));
    list.push((section::STRINGS, 0, strings(model, options)?));
    let mut g = Vec::new();
    record(&mut g, &golden.unwrap_or(GoldenRecord { seed: 0, crc: 0 }));
    list.push((section::GOLDEN, 0, g));
    if !preprocess.is_empty() {
        list.push((section::PREPROCESS, 0, preprocess.to_vec()));
    }
    if options.debug {
        let scales = model.nodes.iter().map(|n| n.scale).chain(model.inputs.iter().map(|i| i.scale));
        list.push((section::SCALES, 0, scales.flat_map(f32::to_le_bytes).collect()));
    }
    if plan.fast_bytes > 0 {
        let mut regions = Vec::new();
        record(&mut regions, &RegionsRecord { fast_bytes: plan.fast_bytes });
        list.push((section::REGIONS, section::REQUIRED, regions));
    }
    list.push((section::CONSTS, section::REQUIRED, model.consts.clone()));
    let count =
        |what: &str, n: usize| u16::try_from(n).map_err(|_| WriteError::TooLarge(format!("{n} {what}; at most 65535")));
    let header = Header {
        magic: MAGIC,
        major: FORMAT_MAJOR,
        minor: FORMAT_MINOR,
        sections: 0,
        length: 0,
        crc: 0,
        arithmetic: model.arithmetic,
        cpu: model.cpu.code(),
        flags: 0,
        arena_bytes: plan.arena_bytes,
        state_bytes: plan.state_bytes,
        max_steps: plan.steps,
        nodes: count("nodes", model.nodes.len())?,
        inputs: count("inputs", model.inputs.len())?,
        outputs: count("outputs", model.outputs.len())?,
        buffers: count("buffers", plan.buffers.len())?,
        segments: count("segments", plan.segments.len())?,
        reserved: 0,
    };
    lay_out(header, &list)
}

/// A section: identifier, flags, content.
pub(crate) type Section = (u16, u16, Vec<u8>);

/// A blob of a header and sections. Number of sections, length and checksum are set here.
pub(crate) fn lay_out(mut header: Header, list: &[Section]) -> Result<Vec<u8>, WriteError> {
    let mut at = Header::SIZE + list.len() * SectionEntry::SIZE;
    let mut table = Vec::new();
    let mut body = Vec::new();
    let begin = at;
    for (id, flags, data) in list {
        if *id == section::CONSTS {
            at = at.next_multiple_of(CONSTS_ALIGN);
        }
        body.resize(at - begin, 0);
        body.extend_from_slice(data);
        let fit = |x: usize| u32::try_from(x).map_err(|_| WriteError::TooLarge(format!("{x} bytes")));
        let e = SectionEntry { id: *id, flags: *flags, offset: fit(at)?, length: fit(data.len())? };
        record(&mut table, &e);
        at += data.len();
    }
    header.sections = u16::try_from(list.len()).map_err(|_| WriteError::TooLarge("more than 65535 sections".into()))?;
    header.length = u32::try_from(at).map_err(|_| WriteError::TooLarge(format!("{at} bytes")))?;
    header.crc = 0;
    let assemble = |header: &Header| {
        let mut blob = Vec::new();
        record(&mut blob, header);
        blob.extend_from_slice(&table);
        blob.extend_from_slice(&body);
        blob
    };
    header.crc = crc32(&assemble(&header)[CRC_FROM..]);
    Ok(assemble(&header))
}

fn nodes(model: &Lowered, plan: &Plan) -> Result<Vec<u8>, WriteError> {
    let tensor = |o: crate::lower::Operand| match o {
        crate::lower::Operand::Node(n) => n as u16,
        crate::lower::Operand::Input(i) => (model.nodes.len() + i) as u16,
    };
    let table = 2 * (model.nodes.len() + 1);
    let mut offsets = Vec::new();
    let mut records = Vec::new();
    let mut mark = |at: usize| {
        let at = u16::try_from(at).map_err(|_| WriteError::TooLarge("more than 64 KB of node records".into()))?;
        offsets.extend_from_slice(&at.to_le_bytes());
        Ok::<(), WriteError>(())
    };
    for (n, node) in model.nodes.iter().enumerate() {
        mark(table + records.len())?;
        let mut flags = 0;
        if plan.sinks[n] {
            flags |= NodeHeader::SINK;
        }
        if plan.needs[n].consumes {
            flags |= NodeHeader::REDUCTION;
        }
        if plan.scratch[n].is_some() {
            flags |= NodeHeader::SCRATCH;
        }
        let header = NodeHeader {
            op: node.op.0,
            version: 1,
            flags,
            band: plan.bands[n],
            in0: tensor(node.inputs[0]),
            in1: if plan.needs[n].consumes { plan.aux[n] } else { node.inputs.get(1).map_or(NONE, |&i| tensor(i)) },
        };
        record(&mut records, &header);
        records.extend_from_slice(&node.fields);
        plan.scratch[n].iter().for_each(|s| record(&mut records, s));
    }
    mark(table + records.len())?;
    offsets.extend_from_slice(&records);
    Ok(offsets)
}

fn tensors(model: &Lowered, plan: &Plan) -> Result<Vec<u8>, WriteError> {
    let infos = model.nodes.iter().map(|n| n.out).chain(model.inputs.iter().map(|i| i.info));
    let mut out = Vec::new();
    for (info, place) in infos.zip(&plan.tensors) {
        let r = TensorRecord {
            buffer: place.buffer,
            h: info.h,
            w: info.w,
            c: info.c,
            pixel_stride: place.pixel_stride,
            offset: u16::try_from(place.offset)
                .map_err(|_| WriteError::TooLarge("a joined tensor of more than 65535 channels".into()))?,
            zero_point: info.zero_point,
            kind: info.dtype.code() | place.lead << 1,
        };
        record(&mut out, &r);
    }
    Ok(out)
}

fn io(model: &Lowered) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |io: &LowerIo, tensor: u16| {
        let dim = |i: usize| io.shape.get(i).map_or(1, |&d| d as u16);
        let r = IoRecord {
            tensor,
            rank: io.shape.len() as u8,
            quantization: 1,
            dim0: dim(0),
            dim1: dim(1),
            dim2: dim(2),
            dim3: dim(3),
            scale: io.scale,
            zero_point: io.zero_point,
        };
        record(&mut out, &r);
    };
    for (i, input) in model.inputs.iter().enumerate() {
        put(input, (model.nodes.len() + i) as u16);
    }
    for (output, operand) in &model.outputs {
        let tensor = match operand {
            crate::lower::Operand::Node(n) => *n,
            crate::lower::Operand::Input(i) => model.nodes.len() + i,
        };
        put(output, tensor as u16);
    }
    out
}

fn strings(model: &Lowered, options: &WriteOptions) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::new();
    let mut put = |kind: StringKind, index: usize, text: &str| {
        let too_long = || WriteError::TooLarge(format!("a name of {} bytes", text.len()));
        let length = u16::try_from(text.len()).map_err(|_| too_long())?;
        let index = u16::try_from(index).map_err(|_| WriteError::TooLarge("more than 65535 labels".into()))?;
        out.push(kind.code());
        out.extend_from_slice(&index.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(text.as_bytes());
        Ok::<(), WriteError>(())
    };
    put(StringKind::Model, 0, &model.name)?;
    for (i, input) in model.inputs.iter().enumerate() {
        put(StringKind::Input, i, &input.name)?;
    }
    for (i, (output, _)) in model.outputs.iter().enumerate() {
        put(StringKind::Output, i, &output.name)?;
    }
    for (i, label) in options.labels.iter().enumerate() {
        put(StringKind::Label, i, label)?;
    }
    if options.debug {
        for (i, node) in model.nodes.iter().enumerate() {
            put(StringKind::Node, i, &node.name)?;
        }
    }
    Ok(out)
}
