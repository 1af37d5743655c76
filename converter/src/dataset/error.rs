use std::path::{Path, PathBuf};

/// What can be wrong with data. Every message names the file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A file or folder can't be read.
    #[error("{}: can't be read: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is none of the kinds that can be read.
    #[error("{}: not a kind of data that is known; {remedy}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// A file is damaged, or uses something that can't be read.
    #[error("{}: {what}; {remedy}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The samples have another shape than the model's input.
    #[error("{}: shape {got:?} does not fit input `{input}`, which takes {expected}; {remedy}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The input's name.
        input: String,
        /// Shapes that would do.
        expected: String,
        /// The shape found.
        got: Vec<usize>,
        /// What to do.
        remedy: String,
    },
    /// An element is NaN or infinite.
    #[error(
        "{}: element {element} of sample {sample} is not a finite number after preprocessing, so no range can be \
         measured; repair or leave out the sample",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Index of the sample.
        sample: usize,
        /// Index of the element in the sample.
        element: usize,
    },
    /// Labels do not go with the samples.
    #[error("{}: {what}; give one integer from 0 for each sample", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Preprocessing does not fit the input.
    #[error("preprocessing for input `{input}` of shape {shape:?}: {what}")]
    Preprocess {
        /// The input's name.
        input: String,
        /// The input's shape.
        shape: Vec<usize>,
        /// What is wrong, and what would do.
        what: String,
    },
    /// There is no such sample.
    #[error("{}: there is no sample {index}, the last of {len} is {}", path.display(), len.saturating_sub(1))]
    Index {
        /// The data.
        path: PathBuf,
        /// Index asked for.
        index: usize,
        /// Number of samples.
        len: usize,
    },
}

impl DatasetError {
    pub(super) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.into(), source }
    }

    pub(super) fn format(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Format { path: path.into(), what: what.into(), remedy: remedy.into() }
    }
}
