//! `convert --check`: can this model be converted at all?

use std::path::Path;

use carafe::blob::Cpu;
use carafe_converter::frontend::{self, FrontendError};
use carafe_converter::{lower, passes};
use carafe_graph::{Graph, Tensor};
use carafe_quantizer::{BiasCorrection, ObserverKind, Options, quantize};
use serde::Serialize;

use crate::failure::Reported;
use crate::ui::{ERROR, GOOD, Ui};
use crate::words;

#[derive(Serialize)]
struct Json {
    model: String,
    supported: bool,
    /// Layers of the model; none if it could not be read to the end.
    layers: Option<usize>,
    /// Ops that a device would run.
    ops: Option<usize>,
    unsupported: Vec<Layer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    ty: Option<String>,
    opset: Option<String>,
    why: String,
}

/// Reads the model, and goes through all of the conversion that needs no data. What is found is the result, not an
/// error, but the exit code is that of one.
pub fn run(path: &Path, ui: &Ui) -> anyhow::Result<()> {
    let mut json = Json {
        model: path.display().to_string(),
        supported: true,
        layers: None,
        ops: None,
        unsupported: vec![],
        error: None,
    };
    match frontend::load(path) {
        Ok(graph) => {
            json.layers = Some(graph.nodes.len());
            match device_ops(graph)? {
                Ok(ops) => json.ops = Some(ops),
                Err(why) => json.unsupported.push(why),
            }
        }
        Err(FrontendError::Unsupported { layers, .. }) => {
            let layer = |l: frontend::UnsupportedLayer| Layer {
                name: l.name,
                ty: Some(l.ty),
                opset: Some(l.opset),
                why: l.why,
            };
            json.unsupported = layers.0.into_iter().map(layer).collect();
        }
        Err(error) => return Err(error.into()),
    }
    json.supported = json.unsupported.is_empty();
    if !json.supported {
        let layers = words::several(json.unsupported.len(), "layer");
        json.error = Some(format!("{}: {layers} can't be converted", json.model));
    }
    ui.answer(&json, || text(&json))?;
    if json.supported { Ok(()) } else { Err(Reported.into()) }
}

fn text(json: &Json) -> String {
    let mut text = match (&json.error, json.layers, json.ops) {
        (Some(error), ..) => format!("{ERROR}{error}{ERROR:#}\n"),
        (None, layers, ops) => format!(
            "{GOOD}{}: every layer can be converted{GOOD:#} ({}, {} on the device)\n",
            json.model,
            words::several(layers.unwrap_or_default(), "layer"),
            words::several(ops.unwrap_or_default(), "op")
        ),
    };
    for l in &json.unsupported {
        let origin: Vec<&str> = [&l.opset, &l.ty].into_iter().flatten().map(String::as_str).collect();
        let origin = if origin.is_empty() { String::new() } else { format!(" ({})", origin.join(".")) };
        text.push_str(&format!("  `{}`{origin}: {}\n", l.name, l.why));
    }
    text
}

/// The number of ops on the device, or the first that has no form there. Kernels depend on shapes, not on data, so any
/// numbers will do to quantize with.
fn device_ops(graph: Graph) -> anyhow::Result<Result<usize, Layer>> {
    let mut graph = passes::optimize(graph, &mut |_, _| {})?.graph;
    passes::make_scale_layers(&mut graph)?;
    let ramp = |shape: &[usize]| {
        let n: usize = shape.iter().product();
        Tensor::f32(shape, (0..n).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect::<Vec<_>>())
    };
    let sample: Vec<Tensor> = graph.inputs.iter().map(|&i| ramp(&graph.value(i).shape)).collect();
    let mut options = Options::default();
    options.check_samples = 0;
    (options.observer, options.bias_correction) = (ObserverKind::MinMax, BiasCorrection::Off);
    let (quantized, _) = quantize(&graph, &[sample], &options, &|_| {})?;
    Ok(match lower::lower(&quantized, None, Cpu::Portable) {
        Ok(lowered) => Ok(lowered.nodes.len()),
        Err(lower::LowerError::Unsupported { node, origin, what }) => {
            let (opset, ty) = match origin.split_once('.') {
                Some((opset, ty)) => (Some(opset.to_owned()), Some(ty.to_owned())),
                None => (None, Some(origin)),
            };
            Err(Layer { name: node, ty, opset, why: what })
        }
        // Numbers that do not fit are those of the data made up here.
        Err(lower::LowerError::Arithmetic { .. }) => Ok(quantized.graph.nodes.len()),
        Err(other) => return Err(other.into()),
    })
}
