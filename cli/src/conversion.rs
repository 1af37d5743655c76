//! What `convert` and `demo` share: calibration data, and watching a conversion.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::bail;
use carafe_converter::dataset::{Dataset, DatasetError, InputSpec};
use carafe_converter::{Watch, passes};
use carafe_graph::{Graph, Layout, Tensor};
use carafe_quantizer::{Phase, Progress};
use rayon::prelude::*;

use crate::ui::{Phases, Ui};

/// The one input of a model, as the data set wants it.
pub fn input_spec(graph: &Graph) -> anyhow::Result<InputSpec> {
    let [input] = graph.inputs[..] else {
        let names: Vec<String> = graph.inputs.iter().map(|&i| format!("`{}`", graph.value(i).name)).collect();
        bail!(
            "model `{}` has {} inputs ({}), and calibration data can be given for one only so far; export the model \
             with one input",
            graph.name,
            names.len(),
            names.join(", ")
        );
    };
    let input = graph.value(input);
    Ok(InputSpec { name: input.name.clone(), shape: input.shape.clone(), layout: input_layout(graph)? })
}

/// Where the model's first input has its channels. Models do not say; the pass that moves channels last finds out.
fn input_layout(graph: &Graph) -> anyhow::Result<Layout> {
    let Some(&input) = graph.inputs.first() else { return Ok(Layout::Nhwc) };
    let &[_, c, _, last] = graph.value(input).shape.as_slice() else { return Ok(Layout::Nhwc) };
    let optimized = passes::optimize(graph.clone(), &mut |_, _| {})?;
    let moved = optimized.inputs.first().is_some_and(|i| !i.is_unchanged());
    // A model without a spatial op tells nothing; then an image is told by its channels.
    let image = |channels| matches!(channels, 1 | 3);
    Ok(if moved || (image(c) && !image(last)) { Layout::Nchw } else { Layout::Nhwc })
}

/// Reads calibration samples, `most` of them, spread evenly over the data, on all cores.
pub fn calibration(data: &Dataset, most: usize, stateful: bool, ui: &Ui) -> Result<Vec<Vec<Tensor>>, DatasetError> {
    let count = most.min(data.len());
    let meter = ui.meter("read calibration data", count as u64);
    let read = AtomicUsize::new(0);
    (0..count)
        .into_par_iter()
        .map(|i| {
            // Steps of a sequence have to follow each other.
            let sample = data.get(if stateful { i } else { i * data.len() / count })?;
            meter.set(read.fetch_add(1, Ordering::Relaxed) + 1);
            Ok::<_, DatasetError>(vec![sample])
        })
        .collect()
}

/// Shows how far a conversion is, and keeps the graph after one of its passes.
#[derive(Debug)]
pub struct Watcher<'u> {
    phases: Phases<'u>,
    dump_after: Option<String>,
    dump: Mutex<String>,
}

impl<'u> Watcher<'u> {
    /// Keeps the graph after pass `dump_after`, if there is one.
    pub fn new(ui: &'u Ui, dump_after: Option<&str>) -> Self {
        Self { phases: Phases::new(ui), dump_after: dump_after.map(str::to_owned), dump: Mutex::default() }
    }

    /// The graph as text, once for each time that the pass changed it.
    pub fn into_dump(self) -> String {
        self.dump.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Watch for Watcher<'_> {
    fn pass(&self, name: &str, graph: &Graph) {
        if self.dump_after.as_deref() == Some(name) {
            let mut dump = self.dump.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            dump.push_str(&format!("after {name}: {}", passes::dump(graph)));
        }
    }

    fn quantizing(&self, progress: Progress) {
        let phase = match progress.phase {
            Phase::Observe => "observe ranges",
            Phase::Choose => "compare ranges",
            Phase::Correct => "correct biases",
            Phase::Quantize => "quantize weights",
            Phase::Check => "check against float",
            other => other.name(),
        };
        self.phases.at(phase, progress.done, progress.total);
    }

    fn planning(&self) {
        self.phases.at("plan memory", 0, 0);
    }

    fn recomputing(&self, done: usize, total: usize) {
        // Each round has a meter of its own.
        match done {
            0 => self.planning(),
            _ => self.phases.at("try to compute again", done, total),
        }
    }
}
