//! The converter in a `build.rs`: the blob is made where the firmware is built, and again whenever the model, the
//! calibration data or the labels change.
//!
//! ```no_run
//! // In the `main` of build.rs:
//! carafe_converter::build::Build::new("model/kws.xml").calibration("model/calib.npz").labels("model/labels.txt").run();
//! ```
//!
//! ```ignore
//! // src/main.rs
//! carafe_macros::include_model!(concat!(env!("OUT_DIR"), "/kws.carafe"));
//! ```
//!
//! Cargo compiles build scripts without optimisation, and the converter runs the float model on all calibration samples.
//! Have those crates optimised that compute, in the `Cargo.toml` of the firmware, and the same of the profile `dev`; all
//! others would take minutes more to build:
//!
//! ```toml
//! [profile.release.package]
//! carafe-converter.opt-level = 1
//! carafe-graph.opt-level = 3
//! carafe-quantizer.opt-level = 2
//! matrixmultiply.opt-level = 3
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

use carafe_graph::{Graph, Layout};
use rayon::prelude::*;

use crate::dataset::{Dataset, DatasetError, InputSpec, Preprocess};
use crate::frontend::{self, FrontendError};
use crate::passes::{self, PassError};
use crate::{ConvertError, Converted, InputKind, Options, convert};

/// A conversion by file names. Relative ones begin at the current folder: in a `build.rs` that of its `Cargo.toml`.
#[derive(Clone, Debug)]
pub struct Build {
    model: PathBuf,
    calibration: Option<PathBuf>,
    labels: Option<PathBuf>,
    input: Option<InputKind>,
    options: Options,
    name: Option<String>,
}

/// Why there is no blob. Every message names the file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The model can't be read.
    #[error(transparent)]
    Model(#[from] FrontendError),
    /// A pass failed over the model.
    #[error("{}: {source}", model.display())]
    Pass {
        /// The model.
        model: PathBuf,
        /// What failed.
        source: PassError,
    },
    /// The calibration data can't be used.
    #[error("calibration data: {0}")]
    Calibration(#[from] DatasetError),
    /// Calibration data for a model that takes more than one tensor.
    #[error(
        "{}: has {inputs} inputs, and calibration data can be given for one only so far; export the model with one input",
        model.display()
    )]
    Inputs {
        /// The model.
        model: PathBuf,
        /// How many inputs it has.
        inputs: usize,
    },
    /// The labels can't be used.
    #[error("{}: labels {what}; give one label a line, in the order of the output", file.display())]
    Labels {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The conversion failed.
    #[error("{}: can't be converted: {source}", model.display())]
    Convert {
        /// The model.
        model: PathBuf,
        /// Why.
        source: Box<ConvertError>,
    },
    /// The blob can't be written.
    #[error("{}: can't be written: {source}; check the folder and the free space", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no `OUT_DIR`.
    #[error("OUT_DIR is not set: cargo sets it for build scripts; outside of one, use `Build::write`")]
    OutDir,
}

impl Build {
    /// The conversion of a model.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            calibration: None,
            labels: None,
            input: None,
            options: Options::default(),
            name: None,
        }
    }

    /// Typical inputs to measure ranges on: whatever [`Dataset::open`] takes.
    pub fn calibration(mut self, data: impl Into<PathBuf>) -> Self {
        self.calibration = Some(data.into());
        self
    }

    /// A text file with the names of the classes, one a line.
    pub fn labels(mut self, file: impl Into<PathBuf>) -> Self {
        self.labels = Some(file.into());
        self
    }

    /// How stored data become input values: resize, crop, mean, scale. Kept in the blob; takes the place of what
    /// [`Build::options`] said.
    pub fn preprocess(mut self, preprocess: Preprocess) -> Self {
        self.options.preprocess = preprocess;
        self
    }

    /// What the model takes on the device. Else the calibration data decide: [`InputKind::of`].
    pub fn input(mut self, kind: InputKind) -> Self {
        self.input = Some(kind);
        self
    }

    /// Quantizer, memory plan, debug information. Labels and kind of input in here give way to [`Build::labels`] and
    /// [`Build::input`].
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Bytes of RAM that arena and state may take: the fastest plan within it, unless [`Build::options`] give a goal too.
    pub fn ram_limit(mut self, bytes: u32) -> Self {
        self.options.plan.ram_limit = Some(bytes);
        self
    }

    /// Layers may be computed a second time where that saves memory, for so many percent more time at most.
    pub fn recompute(mut self, percent: u32) -> Self {
        self.options.recompute = Some(percent);
        self
    }

    /// The blob's file name without `.carafe`; else it has that of the model.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// For the `main` of a `build.rs`: [`Build::write_to_out_dir`], or the full message as cargo's error and the end of
    /// the process.
    pub fn run(&self) -> PathBuf {
        self.write_to_out_dir().unwrap_or_else(|error| {
            // Cargo takes a line at a time.
            error.to_string().lines().for_each(|line| println!("cargo::error={line}"));
            process::exit(1)
        })
    }

    /// Converts to `OUT_DIR/NAME.carafe`, and tells cargo which files it depends on. Gives the blob's path.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn write_to_out_dir(&self) -> Result<PathBuf, BuildError> {
        let weights = self.model.with_extension("bin");
        for file in [Some(&self.model), Some(&weights), self.calibration.as_ref(), self.labels.as_ref()] {
            file.into_iter().for_each(|f| println!("cargo::rerun-if-changed={}", f.display()));
        }
        let mut name = match &self.name {
            Some(name) => OsString::from(name),
            None => self.model.file_stem().unwrap_or("model".as_ref()).to_owned(),
        };
        name.push(".carafe");
        let path = PathBuf::from(env::var_os("OUT_DIR").ok_or(BuildError::OutDir)?).join(name);
        self.write(&path)?;
        Ok(path)
    }

    /// Converts to a file. It is there as a whole, or as it was before.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn write(&self, path: &Path) -> Result<Converted, BuildError> {
        let converted = self.convert()?;
        let fail = |source| BuildError::Write { file: path.into(), source };
        let unfinished = path.with_extension("carafe-part");
        fs::write(&unfinished, &converted.blob).map_err(fail)?;
        fs::rename(&unfinished, path).map_err(fail)?;
        Ok(converted)
    }

    /// Converts.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn convert(&self) -> Result<Converted, BuildError> {
        let graph = frontend::load(&self.model)?;
        let mut options = self.options.clone();
        let mut samples = vec![];
        if let Some(path) = &self.calibration {
            let set = Dataset::open(path, &self.input_spec(&graph)?, &options.preprocess)?;
            options.input = InputKind::of(&set);
            let all: Result<_, DatasetError> = (0..set.len()).into_par_iter().map(|i| Ok(vec![set.get(i)?])).collect();
            samples = all?;
        }
        if let Some(kind) = self.input {
            options.input = kind;
        }
        if let Some(file) = &self.labels {
            options.write.labels = read_labels(file)?;
        }
        convert(graph, &samples, &options, &())
            .map_err(|source| BuildError::Convert { model: self.model.clone(), source: Box::new(source) })
    }

    fn input_spec(&self, graph: &Graph) -> Result<InputSpec, BuildError> {
        let &[input] = graph.inputs.as_slice() else {
            return Err(BuildError::Inputs { model: self.model.clone(), inputs: graph.inputs.len() });
        };
        let input = graph.value(input);
        let layout = input_layout(graph).map_err(|source| BuildError::Pass { model: self.model.clone(), source })?;
        Ok(InputSpec { name: input.name.clone(), shape: input.shape.clone(), layout })
    }
}

/// Where a model's first input has its channels. Models do not say; the pass that moves channels last finds out.
fn input_layout(graph: &Graph) -> Result<Layout, PassError> {
    let Some(&input) = graph.inputs.first() else { return Ok(Layout::Nhwc) };
    let &[_, c, _, last] = graph.value(input).shape.as_slice() else { return Ok(Layout::Nhwc) };
    let optimized = passes::optimize(graph.clone(), &mut |_, _| {})?;
    let moved = optimized.inputs.first().is_some_and(|i| !i.is_unchanged());
    // A model without a spatial op tells nothing; then an image is told by its channels.
    let image = |channels| matches!(channels, 1 | 3);
    Ok(if moved || (image(c) && !image(last)) { Layout::Nchw } else { Layout::Nhwc })
}

/// Labels, one a line. Blank lines at the end do not count.
fn read_labels(file: &Path) -> Result<Vec<String>, BuildError> {
    let fail = |what: String| BuildError::Labels { file: file.into(), what };
    let text = fs::read_to_string(file).map_err(|e| fail(format!("can't be read: {e}")))?;
    let labels: Vec<String> = text.trim_end().lines().map(|l| l.trim().to_owned()).collect();
    if labels.iter().all(String::is_empty) {
        return Err(fail("are not there: the file is empty".into()));
    }
    Ok(labels)
}
