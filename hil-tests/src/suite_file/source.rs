//! Where the model of a suite comes from: a blob, a model that is converted here and now, or one written by hand.

use std::fs;
use std::path::Path;

use carafe::Model;
use carafe::blob::StringKind;
use carafe_converter::build::Build;
use carafe_converter::dataset::Preprocess;
use carafe_converter::{InputKind, Options, convert, frontend, split};
use carafe_graph::{Layout, Tensor};
use carafe_quantizer::{BiasCorrection, ObserverKind};

use super::SuiteError;
use super::format::{Convert, InputWord, LayoutWord, ModelHead};
use crate::sample::Sample;

/// The model's name, if the file gives none: that of its own file.
pub(super) fn name(head: &ModelHead, index: usize) -> String {
    let path = head.file.as_ref().or(head.convert.as_ref().map(|convert| &convert.model));
    let stem = path.and_then(|path| Path::new(path).file_stem());
    stem.map_or_else(|| (index + 1).to_string(), |stem| stem.to_string_lossy().into_owned())
}

/// The blob.
pub(super) fn blob(folder: &Path, place: &str, head: &ModelHead) -> Result<Vec<u8>, SuiteError> {
    match (&head.file, &head.convert, &head.sample) {
        (Some(file), None, None) => read(&folder.join(file), place),
        (None, Some(from), None) => converted(folder, place, from),
        (None, None, Some(shape)) => {
            if [shape.h, shape.w, shape.c].contains(&0) {
                return Err(SuiteError::new(place, "`sample`: h, w and c are 1 or more"));
            }
            let sample = Sample::new(shape.h, shape.w, shape.c, shape.add);
            Ok(if shape.pushed { sample.pushed() } else { sample }.golden_blob(true))
        }
        (None, None, None) => {
            Err(SuiteError::new(place, "it has no model; give `file = \"M.carafe\"` or `convert = { .. }`"))
        }
        _ => Err(SuiteError::new(place, "give one of `file`, `convert` and `sample`, not two")),
    }
}

fn read(path: &Path, place: &str) -> Result<Vec<u8>, SuiteError> {
    let unread = |path: &Path, e: std::io::Error| {
        SuiteError::new(place, format!("`file`: {} can't be read: {e}; check the path", path.display()))
    };
    let blob = fs::read(path).map_err(|e| unread(path, e))?;
    if !split::is_split(&blob) {
        return Ok(blob);
    }
    let beside = path.with_extension("weights");
    let weights = fs::read(&beside).map_err(|e| unread(&beside, e))?;
    split::join(&blob, &weights).map_err(|e| SuiteError::new(place, format!("`file`: {}: {e}", path.display())))
}

fn converted(folder: &Path, place: &str, from: &Convert) -> Result<Vec<u8>, SuiteError> {
    let wrong = |what: String| SuiteError::new(place, format!("`convert`: {what}"));
    let path = folder.join(&from.model);
    let preprocess = Preprocess {
        resize: from.resize.as_deref().map(str::parse).transpose().map_err(|e| wrong(format!("`resize`: {e}")))?,
        mean: from.mean.clone(),
        scale: from.scale.clone(),
        layout: from.layout.map(|word| match word {
            LayoutWord::Nhwc => Layout::Nhwc,
            LayoutWord::Nchw => Layout::Nchw,
        }),
        ..Preprocess::default()
    };
    let input = from.input_type.map(|word| match word {
        InputWord::U8 => InputKind::U8,
        InputWord::I8 => InputKind::I8,
    });
    let Some(samples) = from.calibration_random else {
        let mut build = Build::new(path).preprocess(preprocess);
        if let Some(data) = &from.calibration {
            build = build.calibration(folder.join(data));
        }
        if let Some(kind) = input {
            build = build.input(kind);
        }
        return build.convert().map(|converted| converted.blob).map_err(|e| wrong(e.to_string()));
    };
    if from.calibration.is_some() {
        return Err(wrong("give `calibration` or `calibration-random`, not both".to_owned()));
    }
    let graph = frontend::load(&path).map_err(|e| wrong(e.to_string()))?;
    let [low, high] = from.calibration_range.unwrap_or([-1.0, 1.0]);
    let mut random = Random(0x9E37_79B9);
    let samples: Vec<Vec<Tensor>> = (0..samples.max(1))
        .map(|_| {
            let tensor = |&input| {
                let shape = graph.value(input).shape.clone();
                let numbers = (0..shape.iter().product::<usize>())
                    .map(|_| low + (high - low) * random.unit())
                    .collect::<Vec<f32>>();
                Tensor::f32(shape, numbers)
            };
            graph.inputs.iter().map(tensor).collect()
        })
        .collect();
    let mut options = Options { preprocess, input: input.unwrap_or_default(), ..Options::default() };
    // Of noise there is nothing to find out; bits matter here.
    options.quantizer.observer = ObserverKind::MinMax;
    options.quantizer.bias_correction = BiasCorrection::Off;
    options.quantizer.check_samples = 1;
    convert(graph, &samples, &options, &()).map(|converted| converted.blob).map_err(|e| wrong(e.to_string()))
}

/// Names of the classes: those of the file, else of the blob, else none.
pub(super) fn labels(
    folder: &Path,
    place: &str,
    head: &ModelHead,
    model: &Model<'_>,
) -> Result<Vec<String>, SuiteError> {
    let Some(file) = &head.labels else {
        return Ok(model.strings().filter(|s| s.0 == StringKind::Label).map(|s| s.2.to_owned()).collect());
    };
    let path = folder.join(file);
    let text = fs::read_to_string(&path)
        .map_err(|e| SuiteError::new(place, format!("`labels`: {} can't be read: {e}", path.display())))?;
    Ok(text.trim_end().lines().map(|line| line.trim().to_owned()).collect())
}

/// xorshift: the same numbers in every run.
struct Random(u32);

impl Random {
    /// From 0 to 1.
    fn unit(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) as f32 / (1 << 24) as f32
    }
}
