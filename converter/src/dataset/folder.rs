//! Folders of images or of `.npy` files.

use std::path::{Path, PathBuf};

use carafe_graph::Layout;
use image::{ImageReader, Limits};

use super::{DatasetError, InputSpec, Preprocess, array::Array};

/// The extension of a path in lower case, or nothing.
pub(super) fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase()
}

pub(super) fn is_image(extension: &str) -> bool {
    matches!(extension, "png" | "jpg" | "jpeg" | "bmp")
}

#[derive(Debug)]
enum Kind {
    Images,
    Arrays,
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
    pub fn list(folder: &Path, spec: &InputSpec, stored: &[usize]) -> Result<Found, DatasetError> {
        let wanted = |p: &PathBuf| p.is_file() && (is_image(&extension(p)) || extension(p) == "npy");
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
        let arrays = paths.iter().filter(|p| extension(p) == "npy").count();
        if paths.is_empty() {
            let remedy = "give a folder with .png, .jpg, .bmp or .npy files, or with folders of them, one a class";
            return Err(DatasetError::format(folder, "holds no samples", remedy));
        }
        if arrays != 0 && arrays != paths.len() {
            let remedy = "put them into folders of their own";
            return Err(DatasetError::format(folder, "holds both images and .npy files", remedy));
        }
        let kind = if arrays > 0 { Kind::Arrays } else { Kind::Images };
        let files = Self { paths, kind, stored: stored.to_vec() };
        match files.kind {
            Kind::Images => files.paths.iter().try_for_each(|p| check(p, spec))?,
            Kind::Arrays => files.paths.iter().try_for_each(|p| array(p, stored, spec).map(|_| ()))?,
        }
        Ok(Found { files, labels, classes })
    }

    /// A single image.
    pub fn one(path: &Path, spec: &InputSpec) -> Result<Self, DatasetError> {
        check(path, spec)?;
        Ok(Self { paths: vec![path.into()], kind: Kind::Images, stored: vec![] })
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
            Kind::Images => Ok((decode(path, spec)?, Some(Layout::Nhwc))),
        }
    }
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

/// Height, width and channels of the images that an input takes.
fn extents(path: &Path, spec: &InputSpec) -> Result<(usize, usize, usize), DatasetError> {
    let found = match (spec.shape.as_slice(), spec.layout) {
        (&[_, h, w, c], Layout::Nhwc) | (&[_, c, h, w], Layout::Nchw) => (h, w, c),
        // A grey image without a channel axis.
        (&[_, h, w], _) => (h, w, 1),
        _ => (0, 0, 0),
    };
    if matches!(found.2, 1 | 3) {
        return Ok(found);
    }
    Err(DatasetError::format(
        path,
        format!(
            "images can't be fed to input `{}` of shape {:?}, which is no grey or RGB image",
            spec.name, spec.shape
        ),
        "check the input's layout, or give the samples as .npy",
    ))
}

fn open(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>, DatasetError> {
    let opened = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    opened.map_err(|e| DatasetError::read(path, e))
}

fn broken(path: &Path, error: &image::ImageError) -> DatasetError {
    DatasetError::format(path, format!("can't be decoded: {error}"), "repair or remove the image")
}

/// Compares the size in an image's header with the input's.
fn check(path: &Path, spec: &InputSpec) -> Result<(), DatasetError> {
    let (h, w, c) = extents(path, spec)?;
    let (width, height) = open(path)?.into_dimensions().map_err(|e| broken(path, &e))?;
    if (height as usize, width as usize) == (h, w) {
        return Ok(());
    }
    Err(DatasetError::Shape {
        path: path.into(),
        input: spec.name.clone(),
        expected: format!("[{h}, {w}, {c}] (rows, columns, channels)"),
        got: vec![height as usize, width as usize],
        remedy: "resize the images to the input's size, as was done for training".into(),
    })
}

/// Rows of pixels, channels last. Alpha is dropped, and 16 bits a channel become 8.
fn decode(path: &Path, spec: &InputSpec) -> Result<Vec<f32>, DatasetError> {
    // The file may have changed since the set was opened.
    check(path, spec)?;
    let (h, w, c) = extents(path, spec)?;
    let mut reader = open(path)?;
    let mut limits = Limits::default();
    limits.max_image_width = u32::try_from(w).ok();
    limits.max_image_height = u32::try_from(h).ok();
    reader.limits(limits);
    let image = reader.decode().map_err(|e| broken(path, &e))?;
    let bytes = if c == 1 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() };
    if bytes.len() != h * w * c {
        return Err(DatasetError::format(path, "has another size than its header says", "repair or remove the image"));
    }
    Ok(bytes.into_iter().map(f32::from).collect())
}
