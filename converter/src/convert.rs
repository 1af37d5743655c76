//! The whole way from a graph to a blob, for the command line and for `build.rs`.

use carafe_graph::{Graph, GraphError, Tensor};
use carafe_quantizer::{Progress, QuantGraph, Report, quantize};
use rayon::prelude::*;

use crate::lower::{self, Lowered};
use crate::passes::{self, Optimized, PassError};
use crate::plan::{self, Plan, PlanOptions};
use crate::write::{self, WriteOptions};

/// What a conversion may be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Observers and ranges.
    pub quantizer: carafe_quantizer::Options,
    /// Memory.
    pub plan: PlanOptions,
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
}

impl Watch for () {}

/// A blob, and all that was found out on the way to it.
#[derive(Debug)]
pub struct Converted {
    /// The file.
    pub blob: Vec<u8>,
    /// The float graph after the passes, and how its inputs and outputs relate to the model's.
    pub optimized: Optimized,
    /// The quantized graph.
    pub quantized: QuantGraph,
    /// What quantization did.
    pub report: Report,
    /// The ops of the device.
    pub lowered: Lowered,
    /// Where they run.
    pub plan: Plan,
}

/// Why a conversion failed. Every message names node, tensor or sample, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A pass failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Calibration samples do not fit the model.
    #[error("calibration sample {index}: {source}")]
    Sample {
        /// Index of the sample.
        index: usize,
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

/// Converts a graph as a frontend made it. `samples` are calibration data in the model's own layout, one tensor per
/// input.
pub fn convert(
    graph: Graph,
    samples: &[Vec<Tensor>],
    options: &Options,
    watch: &dyn Watch,
) -> Result<Converted, ConvertError> {
    let optimized = passes::optimize(graph, &mut |name, graph| watch.pass(name, graph))?;
    let samples: Result<Vec<Vec<Tensor>>, ConvertError> = samples
        .par_iter()
        .enumerate()
        .map(|(index, s)| optimized.samples(s).map_err(|source| ConvertError::Sample { index, source }))
        .collect();
    let (quantized, report) = quantize(&optimized.graph, &samples?, &options.quantizer, &|p| watch.quantizing(p))?;
    watch.planning();
    let lowered = lower::lower(&quantized)?;
    let plan = plan::plan(&lowered, &options.plan)?;
    let blob = write::write(&lowered, &plan, &options.write)?;
    Ok(Converted { blob, optimized, quantized, report, lowered, plan })
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
