//! Folders of images, of sounds, or of `.npy` files.

use std::path::{Path, PathBuf};

use carafe_graph::Layout;

use super::{DatasetError, InputSpec, Preprocess, array::Array, picture, sound};

/// The extension of a path in lower case, or nothing.
pub(super) fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase()
}

/// True for an image or a sound, which is a sample by itself.
pub(super) fn is_sample(path: &Path) -> bool {
    matches!(Kind::of(path), Some(Kind::Images | Kind::Sounds))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Images,
    Sounds,
    Arrays,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        match extension(path).as_str() {
            "png" | "jpg" | "jpeg" | "bmp" => Some(Kind::Images),
            "wav" => Some(Kind::Sounds),
            "npy" => Some(Kind::Arrays),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Images => "images",
            Kind::Sounds => "sounds",
            Kind::Arrays => ".npy files",
        }
    }
}

/// One sample a file.
#[derive(Debug)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    kind: Kind,
    /// Shape of a stored array, with the batch axis.
    stored: Vec<usize>,
}

/// What a folder holds.
pub(super) struct Found {
    pub files: Files,
    pub labels: Option<Vec<u32>>,
    pub classes: Vec<String>,
}

/// Entries of a folder by name, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut paths = vec![];
    for entry in std::fs::read_dir(folder).map_err(|e| DatasetError::read(folder, e))? {
        let path = entry.map_err(|e| DatasetError::read(folder, e))?.path();
        if path.file_name().is_some_and(|n| !n.to_string_lossy().starts_with('.')) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

impl Files {
    /// The files in a folder, or in its folders, each of which is a class then. Files of other kinds are passed over.
    pub fn list(
        folder: &Path,
        spec: &InputSpec,
        stored: &[usize],
        preprocess: &Preprocess,
    ) -> Result<Found, DatasetError> {
        let wanted = |p: &PathBuf| p.is_file() && Kind::of(p).is_some();
        let all = entries(folder)?;
        let mut paths: Vec<PathBuf> = all.iter().filter(|p| wanted(p)).cloned().collect();
        let (mut labels, mut classes) = (None, vec![]);
        if paths.is_empty() {
            let folders: Vec<&PathBuf> = all.iter().filter(|p| p.is_dir()).collect();
            let names: Vec<String> =
                folders.iter().map(|f| f.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
            // Folders named 0, 1, ..., 10 are the labels themselves, in that order and not in that of their names.
            let numbers: Option<Vec<u32>> = names.iter().map(|n| n.parse().ok()).collect();
            let given = numbers.is_some();
            let numbers = numbers.unwrap_or_else(|| (0..).take(names.len()).collect());
            let mut found = vec![];
            for (f, &label) in folders.iter().zip(&numbers) {
                for path in entries(f)?.into_iter().filter(|p| wanted(p)) {
                    paths.push(path);
                    found.push(label);
                }
            }
            labels = Some(found);
            if !given {
                classes = names;
            }
        }
        let kinds: Vec<Kind> = paths.iter().filter_map(|p| Kind::of(p)).collect();
        let Some(&kind) = kinds.first() else {
            let remedy =
                "give a folder with .png, .jpg, .bmp, .wav or .npy files, or with folders of them, one a class";
            return Err(DatasetError::format(folder, "holds no samples", remedy));
        };
        if let Some(other) = kinds.iter().find(|k| **k != kind) {
            let what = format!("holds both {} and {}", kind.name(), other.name());
            return Err(DatasetError::format(folder, what, "put them into folders of their own"));
        }
        let files = Self { paths, kind, stored: stored.to_vec() };
        files.paths.iter().try_for_each(|p| files.check(p, spec, preprocess))?;
        if kind == Kind::Sounds {
            one_rate(&files.paths, spec)?;
        }
        Ok(Found { files, labels, classes })
    }

    /// A single image or sound.
    pub fn one(path: &Path, spec: &InputSpec, preprocess: &Preprocess) -> Result<Self, DatasetError> {
        let kind = Kind::of(path).unwrap_or(Kind::Images);
        let files = Self { paths: vec![path.into()], kind, stored: vec![] };
        files.check(path, spec, preprocess)?;
        Ok(files)
    }

    /// Whatever can be told from the header of a file.
    fn check(&self, path: &Path, spec: &InputSpec, preprocess: &Preprocess) -> Result<(), DatasetError> {
        match self.kind {
            Kind::Images => picture::check(path, spec, preprocess),
            Kind::Sounds => sound::check(path, spec),
            Kind::Arrays => array(path, &self.stored, spec).map(|_| ()),
        }
    }

    /// True if the files are images.
    pub fn are_images(&self) -> bool {
        self.kind == Kind::Images
    }

    /// True if elements are bytes: of images, and of arrays if all of them hold bytes.
    pub fn are_bytes(&self, spec: &InputSpec) -> bool {
        match self.kind {
            Kind::Images => true,
            Kind::Sounds => false,
            Kind::Arrays => self.paths.iter().all(|p| array(p, &self.stored, spec).is_ok_and(|a| a.is_bytes())),
        }
    }

    /// Keeps the samples that `keep` says yes to, by index.
    pub fn retain(&mut self, keep: &[bool]) {
        let mut keep = keep.iter();
        self.paths.retain(|_| keep.next().copied().unwrap_or(false));
    }

    pub fn len(&self) -> usize {
        self.paths.len()
    }

    pub fn path(&self, i: usize) -> Option<&Path> {
        self.paths.get(i).map(PathBuf::as_path)
    }

    /// The elements of a sample, and their layout.
    pub fn sample(
        &self,
        i: usize,
        spec: &InputSpec,
        preprocess: &Preprocess,
    ) -> Result<(Vec<f32>, Option<Layout>), DatasetError> {
        let Some(path) = self.paths.get(i) else {
            return Err(DatasetError::Index { path: PathBuf::new(), index: i, len: self.len() });
        };
        match self.kind {
            Kind::Arrays => Ok((array(path, &self.stored, spec)?.sample(0)?, preprocess.layout)),
            Kind::Images => {
                let pixels = picture::read(path, spec, preprocess)?;
                Ok((pixels.into_iter().map(f32::from).collect(), Some(Layout::Nhwc)))
            }
            Kind::Sounds => Ok((sound::read(path, spec)?, None)),
        }
    }
}

/// A model knows sounds of one rate only, though it does not say which.
fn one_rate(paths: &[PathBuf], spec: &InputSpec) -> Result<(), DatasetError> {
    let Some((first, rest)) = paths.split_first() else { return Ok(()) };
    let rate = sound::rate(first, spec)?;
    for path in rest {
        let other = sound::rate(path, spec)?;
        if other != rate {
            let what = format!("has {other} samples a second, but {} has {rate}", first.display());
            return Err(DatasetError::format(
                path,
                what,
                "resample all sounds to the rate that the model was trained at",
            ));
        }
    }
    Ok(())
}

/// An `.npy` file with one sample.
fn array(path: &Path, stored: &[usize], spec: &InputSpec) -> Result<Array, DatasetError> {
    let array = Array::open(path)?.with_samples(stored, &spec.name)?;
    match array.samples() {
        1 => Ok(array),
        n => Err(DatasetError::format(
            path,
            format!("holds {n} samples; in a folder each file is one"),
            "give the file itself, or one sample a file",
        )),
    }
}
