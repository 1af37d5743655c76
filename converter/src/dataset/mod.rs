//! Calibration and test data: what `convert --calibration`, `eval --data` and `run --input` read.
//!
//! [`Dataset::open`] takes
//!
//! * an `.npy` file: `[N, ...]` samples, or one sample without `N`; u8, i8, u16, i16, i32, i64, f16, f32 or f64;
//! * an `.npz` file: samples in array `x`, labels in array `y` if there is one;
//! * a folder of images (png, jpg, bmp), sorted by name, or of folders of images, one a class;
//! * a folder of `.npy` files or of sounds (`.wav`, 16-bit PCM), one sample each, or of folders of them;
//! * one image or one sound.
//!
//! Labels come from the folders' names, from array `y`, from an `.npy` file ([`Dataset::with_labels`]) or from a CSV
//! file ([`Dataset::with_table`]).
//!
//! Samples are read when they are asked for, so that a data set need not fit the memory (an `.npz` does, as it is
//! compressed), and come out as the model's input tensor: batch 1, [preprocessed](Preprocess).

use std::path::{Path, PathBuf};

use carafe_graph::{Layout, Tensor};

mod array;
mod error;
mod folder;
mod picture;
mod preprocess;
mod resize;
mod sound;
mod stored;
mod table;

pub use error::DatasetError;
pub use preprocess::{Color, Preprocess, relayout};
pub use resize::{Filter, Resize, ResizeTo};
pub use table::Table;

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
            let found = Files::list(path, spec, &stored, preprocess)?;
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
                _ if folder::is_sample(path) => Samples::Files(Files::one(path, spec, preprocess)?),
                _ => {
                    return Err(DatasetError::Unknown {
                        path: path.into(),
                        remedy: "give an .npy, an .npz (array `x`), an image (.png, .jpg, .bmp), a sound (.wav), or a folder of \
                                 images, sounds or .npy files"
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

    /// Keeps the samples that a CSV file names, with its labels in place of any that were found. The order stays.
    ///
    /// # Errors
    /// Where the samples are no files, the table can't be read, its columns are not those that `table` asks for, or it
    /// names none of the samples.
    pub fn with_table(mut self, csv: &Path, table: &Table) -> Result<Self, DatasetError> {
        let labels = table::read(csv, table)?;
        if matches!(self.samples, Samples::Array(_)) {
            let remedy = "give labels for it as .npy";
            return Err(DatasetError::format(&self.path, "is one file, and a table names files", remedy));
        }
        self.keep(csv, |name| labels.contains_key(name))?;
        let found: Vec<u32> = (0..self.len()).filter_map(|i| labels.get(&table::name(self.file(i))).copied()).collect();
        self.classes.clear();
        self.labelled(found, csv)
    }

    /// Keeps the samples that a CSV file names in its column `file`: all of them, or those whose column `split` says
    /// `split`. Labels are not looked for, and what there were of them go. The order stays.
    ///
    /// # Errors
    /// Where the samples are no files, the table can't be read or lacks a column, or it names none of the samples.
    pub fn with_files_of(mut self, csv: &Path, split: Option<&str>) -> Result<Self, DatasetError> {
        let names = table::files(csv, split)?;
        self.keep(csv, |name| names.contains(name))?;
        self.labels = None;
        self.classes.clear();
        Ok(self)
    }

    /// Keeps the files that `wanted` says yes to, by name, of those that `csv` names.
    fn keep(&mut self, csv: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), DatasetError> {
        let Samples::Files(files) = &mut self.samples else {
            let remedy = "leave the table out, or give a folder of files";
            return Err(DatasetError::format(&self.path, "is one file, and a table names files", remedy));
        };
        let keep: Vec<bool> =
            (0..files.len()).map(|i| files.path(i).is_some_and(|p| wanted(&table::name(p)))).collect();
        if !keep.contains(&true) {
            let what = format!("names no file that is in {}", self.path.display());
            return Err(DatasetError::format(csv, what, "check that table and folder belong together"));
        }
        files.retain(&keep);
        Ok(())
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

    /// True if the samples are images.
    pub fn is_images(&self) -> bool {
        matches!(&self.samples, Samples::Files(f) if f.are_images())
    }

    /// True if all samples hold bytes: images, and arrays of u8.
    pub fn is_bytes(&self) -> bool {
        match &self.samples {
            Samples::Array(a) => a.is_bytes(),
            Samples::Files(f) => f.are_bytes(&self.spec),
        }
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
        self.preprocess.apply(self.raw(i)?, &self.spec).map_err(|element| DatasetError::NotFinite {
            path: self.file(i).to_path_buf(),
            sample: i,
            element,
        })
    }

    /// Sample `i` before mean and scale, in the shape and layout of the input: of an image or an array of bytes, what a
    /// camera would deliver.
    ///
    /// # Errors
    /// As [`Dataset::get`], whatever the elements are.
    pub fn raw(&self, i: usize) -> Result<Tensor, DatasetError> {
        if i >= self.len() {
            return Err(DatasetError::Index { path: self.path.clone(), index: i, len: self.len() });
        }
        let spec = &self.spec;
        let (raw, layout) = match &self.samples {
            Samples::Array(a) => (a.sample(i)?, self.preprocess.layout),
            Samples::Files(f) => f.sample(i, spec, &self.preprocess)?,
        };
        Ok(match layout {
            Some(from) if from != spec.layout && spec.shape.len() == 4 => {
                let stored = Tensor::f32(spec.stored(&Preprocess { layout: Some(from), ..Preprocess::default() }), raw);
                relayout(&stored, from, spec.layout).unwrap_or(stored)
            }
            _ => Tensor::f32(spec.shape.clone(), raw),
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
