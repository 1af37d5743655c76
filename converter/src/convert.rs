//! The whole way from a graph to a blob, for the command line and for `build.rs`.

use carafe::blob::Cpu;
use carafe_graph::{Graph, GraphError, Layout, Tensor};
use carafe_quantizer::{Progress, QuantGraph, Report, quantize};
use rayon::prelude::*;

use crate::dataset::{Dataset, Preprocess};
use crate::lower::{self, Lowered};
use crate::passes::{self, Camera, Optimized, PassError};
use crate::plan::{self, Plan, PlanOptions, Recomputed};
use crate::stateful;
use crate::write::{self, WriteOptions};

/// What the device's first input takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputKind {
    /// int8, quantized by what calibration finds.
    #[default]
    I8,
    /// Unsigned bytes as a camera delivers them; mean and scale of [`Options::preprocess`] become part of the model
    /// ([`passes::take_bytes`]).
    U8,
}

impl InputKind {
    /// What fits the data that calibrate a model: bytes if they are images, as a camera's are; else int8, arrays of u8
    /// included, since whoever keeps arrays has his own way from a sensor to numbers.
    pub fn of(data: &Dataset) -> Self {
        if data.is_images() { InputKind::U8 } else { InputKind::I8 }
    }
}

/// What a conversion may be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the first input takes. Data decide ([`InputKind::of`]), but [`convert`] does not see where samples come from.
    pub input: InputKind,
    /// How stored data become the first input. Samples for [`convert`] have gone through it already; it is kept in the
    /// blob, and says what the bytes of a camera mean.
    pub preprocess: Preprocess,
    /// Observers and ranges.
    pub quantizer: carafe_quantizer::Options,
    /// What weights are packed for.
    pub cpu: Cpu,
    /// Memory.
    pub plan: PlanOptions,
    /// Nodes may run a second time where that saves memory, for so many percent more time at most.
    pub recompute: Option<u32>,
    /// What goes into the blob besides the model.
    pub write: WriteOptions,
}

/// Sees a conversion at work. `()` sees nothing.
pub trait Watch: Sync {
    /// A pass has run and this is the graph now.
    fn pass(&self, name: &str, graph: &Graph) {
        let _ = (name, graph);
    }
    /// The quantizer has come so far.
    fn quantizing(&self, progress: Progress) {
        let _ = progress;
    }
    /// The planner begins.
    fn planning(&self) {}
    /// So many of the chains of nodes that might run a second time have been tried; 0 begins a round.
    fn recomputing(&self, done: usize, total: usize) {
        let _ = (done, total);
    }
}

impl Watch for () {}

/// A blob, and all that was found out on the way to it.
#[derive(Debug)]
pub struct Converted {
    /// The file.
    pub blob: Vec<u8>,
    /// The float graph after the passes, and how its inputs and outputs relate to the model's.
    pub optimized: Optimized,
    /// The input of bytes, if it was asked for. The quantized graph is then that of [`passes::take_bytes`].
    pub camera: Option<Camera>,
    /// The quantized graph.
    pub quantized: QuantGraph,
    /// What quantization did.
    pub report: Report,
    /// The ops of the device.
    pub lowered: Lowered,
    /// Where they run.
    pub plan: Plan,
    /// What runs a second time, if [`Options::recompute`] asks for it.
    pub recomputed: Vec<Recomputed>,
}

/// Why a conversion failed. Every message names node, tensor or sample, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A pass failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The input can't take bytes.
    #[error(transparent)]
    Camera(#[from] passes::CameraError),
    /// Calibration samples do not fit the model.
    #[error("calibration sample {index}: {source}")]
    Sample {
        /// Index of the sample.
        index: usize,
        /// What does not fit.
        source: GraphError,
    },
    /// A model with state does not run over the samples one after the other.
    #[error("calibration samples as one sequence: {source}")]
    Sequence {
        /// What does not fit.
        source: GraphError,
    },
    /// Quantization failed.
    #[error(transparent)]
    Quantize(#[from] carafe_quantizer::QuantError),
    /// The graph has no form on the device.
    #[error(transparent)]
    Lower(#[from] lower::LowerError),
    /// No plan.
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    /// No blob.
    #[error(transparent)]
    Write(#[from] write::WriteError),
}

/// Converts a graph as a frontend made it. `samples` are calibration data in the model's own layout and numbers (mean and
/// scale applied), one tensor per input; of a model with state, they are consecutive steps of one sequence.
pub fn convert(
    graph: Graph,
    samples: &[Vec<Tensor>],
    options: &Options,
    watch: &dyn Watch,
) -> Result<Converted, ConvertError> {
    let optimized = passes::optimize(graph, &mut |name, graph| watch.pass(name, graph))?;
    let bytes = match options.input {
        InputKind::I8 => None,
        InputKind::U8 => Some(passes::take_bytes(&optimized.graph, &options.preprocess)?),
    };
    let (graph, camera) = bytes.map_or((None, None), |(g, c)| (Some(g), Some(c)));
    let sample = |(index, s): (usize, &Vec<Tensor>)| {
        let mut sample = optimized.samples(s).map_err(|source| ConvertError::Sample { index, source })?;
        if let (Some(first), Some(camera)) = (sample.first_mut(), &camera) {
            *first = camera.sample(first);
        }
        Ok(sample)
    };
    let samples: Result<Vec<Vec<Tensor>>, ConvertError> = samples.par_iter().enumerate().map(sample).collect();
    let mut graph = graph.unwrap_or_else(|| optimized.graph.clone());
    passes::make_scale_layers(&mut graph)?;
    let (quantized, report) = if graph.is_stateful() {
        let fail = |source| ConvertError::Sequence { source };
        let (open, samples) = stateful::open(&graph, &samples?).map_err(fail)?;
        let (mut quantized, report) = quantize(&open, &samples, &options.quantizer, &|p| watch.quantizing(p))?;
        stateful::close(&mut quantized, graph.inputs.len());
        (quantized, report)
    } else {
        quantize(&graph, &samples?, &options.quantizer, &|p| watch.quantizing(p))?
    };
    watch.planning();
    let mut lowered = lower::lower(&quantized, camera.as_ref(), options.cpu)?;
    let (plan, recomputed) = match options.recompute {
        Some(percent) => {
            let progress = |done, total| watch.recomputing(done, total);
            let found = plan::plan_recomputing(&lowered, &options.plan, percent, &progress)?;
            lowered = found.model.unwrap_or(lowered);
            (found.plan, found.made)
        }
        None => (plan::plan(&lowered, &options.plan)?, vec![]),
    };
    let layout = match optimized.inputs.first() {
        Some(input) if !input.is_unchanged() => Layout::Nchw,
        _ => Layout::Nhwc,
    };
    let blob = write::write(&lowered, &plan, &options.preprocess.to_section(layout), &options.write)?;
    Ok(Converted { blob, optimized, camera, quantized, report, lowered, plan, recomputed })
}

impl Optimized {
    /// One sample in the model's layout as the graph wants it.
    pub fn samples(&self, sample: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
        if sample.len() != self.inputs.len() {
            return Err(GraphError::Input {
                name: format!("{} tensors per sample", self.inputs.len()),
                expected: vec![self.inputs.len()],
                got: vec![sample.len()],
            });
        }
        self.inputs.iter().zip(sample).map(|(i, t)| i.to_graph(t)).collect()
    }
}
