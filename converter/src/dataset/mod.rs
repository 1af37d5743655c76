//! Calibration and test data: what `convert --calibration`, `eval --data` and `run --input` read.
//!
//! [`Dataset::open`] takes
//!
//! * an `.npy` file: `[N, ...]` samples, or one sample without `N`; u8, i8, u16, i16, i32, i64, f16, f32 or f64;
//! * an `.npz` file: samples in array `x`, labels in array `y` if there is one;
//! * a folder of images (png, jpg, bmp), sorted by name, or of folders of images, one a class;
//! * a folder of `.npy` files, one sample each, or of folders of them;
//! * one image.
//!
//! Samples are read when they are asked for, so that a data set need not fit the memory (an `.npz` does, as it is
//! compressed), and come out as the model's input tensor: batch 1, [preprocessed](Preprocess).

use std::path::{Path, PathBuf};

use carafe_graph::{Layout, Tensor};

mod array;
mod error;
mod folder;
mod preprocess;

pub use error::DatasetError;
pub use preprocess::{Preprocess, relayout};

use array::Array;
use folder::Files;

/// The input that samples are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// Name of the input, for messages.
    pub name: String,
    /// Shape of the input. The first axis is the batch and must be 1.
    pub shape: Vec<usize>,
    /// Order of the axes if there are four; images are brought to it. Other ranks have their channels last.
    pub layout: Layout,
}

impl InputSpec {
    /// The number of channels, that is of means and scales that can be told apart.
    pub fn channels(&self) -> usize {
        let axis = match (self.shape.len(), self.layout) {
            (4, Layout::Nchw) => Some(1),
            (rank, _) => rank.checked_sub(1),
        };
        axis.and_then(|a| self.shape.get(a)).copied().unwrap_or(1)
    }

    /// The shape that stored samples have with the batch axis: that of the input, unless [`Preprocess::layout`] differs.
    fn stored(&self, preprocess: &Preprocess) -> Vec<usize> {
        match (self.shape.as_slice(), self.layout, preprocess.layout) {
            (&[n, c, h, w], Layout::Nchw, Some(Layout::Nhwc)) => vec![n, h, w, c],
            (&[n, h, w, c], Layout::Nhwc, Some(Layout::Nchw)) => vec![n, c, h, w],
            (shape, ..) => shape.to_vec(),
        }
    }
}

#[derive(Debug)]
enum Samples {
    Array(Array),
    Files(Files),
}

/// Samples for one input of a model, with or without labels.
#[derive(Debug)]
pub struct Dataset {
    path: PathBuf,
    spec: InputSpec,
    preprocess: Preprocess,
    samples: Samples,
    labels: Option<Vec<u32>>,
    classes: Vec<String>,
}

impl Dataset {
    /// Opens the data in `path` for the given input. Whatever can be told from the headers of files is checked here.
    ///
    /// # Errors
    /// [`DatasetError`], which names the file at fault.
    pub fn open(path: &Path, spec: &InputSpec, preprocess: &Preprocess) -> Result<Self, DatasetError> {
        preprocess.check(spec)?;
        let stored = spec.stored(preprocess);
        let mut labels = None;
        let mut classes = vec![];
        let metadata = std::fs::metadata(path).map_err(|e| DatasetError::read(path, e))?;
        let samples = if metadata.is_dir() {
            let found = Files::list(path, spec, &stored)?;
            labels = found.labels;
            classes = found.classes;
            Samples::Files(found.files)
        } else {
            match folder::extension(path).as_str() {
                "npy" => Samples::Array(Array::open(path)?.with_samples(&stored, &spec.name)?),
                "npz" => {
                    let (x, y) = Array::from_archive(path)?;
                    labels = y.map(|y| y.labels()).transpose()?;
                    Samples::Array(x.with_samples(&stored, &spec.name)?)
                }
                e if folder::is_image(e) => Samples::Files(Files::one(path, spec)?),
                _ => {
                    return Err(DatasetError::Unknown {
                        path: path.into(),
                        remedy: "give an .npy, an .npz (array `x`), an image, or a folder of images or .npy files"
                            .into(),
                    });
                }
            }
        };
        let set = Self {
            path: path.into(),
            spec: spec.clone(),
            preprocess: preprocess.clone(),
            samples,
            labels: None,
            classes,
        };
        match labels {
            Some(labels) => set.labelled(labels, path),
            None => Ok(set),
        }
    }

    /// Takes the labels from an `.npy` file of integers, one a sample, in place of any that were found.
    ///
    /// # Errors
    /// Where the file can't be read, does not hold integers from 0, or not as many as there are samples.
    pub fn with_labels(self, npy: &Path) -> Result<Self, DatasetError> {
        let labels = Array::open(npy)?.labels()?;
        self.labelled(labels, npy)
    }

    fn labelled(mut self, labels: Vec<u32>, file: &Path) -> Result<Self, DatasetError> {
        if labels.len() != self.len() {
            return Err(DatasetError::Labels {
                path: file.into(),
                what: format!("{} labels for {} samples", labels.len(), self.len()),
            });
        }
        self.labels = Some(labels);
        Ok(self)
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        match &self.samples {
            Samples::Array(a) => a.samples(),
            Samples::Files(f) => f.len(),
        }
    }

    /// True if there are no samples; [`Dataset::open`] refuses such a set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of each sample, where it is known.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// Names of the classes, by label, where they come from names of folders; else empty.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Sample `i`, preprocessed, in the shape and layout of the input. Can be called from several threads.
    ///
    /// # Errors
    /// Where the sample does not exist, its file can't be read or decoded, or an element of it is not finite.
    pub fn get(&self, i: usize) -> Result<Tensor, DatasetError> {
        if i >= self.len() {
            return Err(DatasetError::Index { path: self.path.clone(), index: i, len: self.len() });
        }
        let spec = &self.spec;
        let (raw, layout) = match &self.samples {
            Samples::Array(a) => (a.sample(i)?, self.preprocess.layout),
            Samples::Files(f) => f.sample(i, spec, &self.preprocess)?,
        };
        let tensor = match layout {
            Some(from) if from != spec.layout && spec.shape.len() == 4 => {
                let stored = Tensor::f32(spec.stored(&Preprocess { layout: Some(from), ..Preprocess::default() }), raw);
                relayout(&stored, from, spec.layout).unwrap_or(stored)
            }
            _ => Tensor::f32(spec.shape.clone(), raw),
        };
        self.preprocess.apply(tensor, spec).map_err(|element| DatasetError::NotFinite {
            path: self.file(i).to_path_buf(),
            sample: i,
            element,
        })
    }

    /// The file that sample `i` is in.
    pub fn file(&self, i: usize) -> &Path {
        match &self.samples {
            Samples::Array(_) => &self.path,
            Samples::Files(f) => f.path(i).unwrap_or(&self.path),
        }
    }
}
