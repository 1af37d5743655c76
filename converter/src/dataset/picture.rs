//! Images as a camera would deliver them: rows of pixels of the input's size, bytes, colours in the input's order.

use std::path::Path;

use carafe_graph::Layout;
use image::{ImageReader, Limits};

use super::resize::{crop, resize, resized};
use super::{Color, DatasetError, InputSpec, Preprocess};

/// The longest side of an image that is decoded. What is longer is no photograph.
const LONGEST: u32 = 1 << 15;

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

/// Sizes on the way of an image: as stored, resized, cut out.
struct Way {
    stored: (usize, usize),
    resized: (usize, usize),
    cut: (usize, usize),
}

/// Finds out from the header of an image whether it comes to the input's size.
pub(super) fn check(path: &Path, spec: &InputSpec, preprocess: &Preprocess) -> Result<(), DatasetError> {
    way(path, spec, preprocess).map(|_| ())
}

fn way(path: &Path, spec: &InputSpec, preprocess: &Preprocess) -> Result<Way, DatasetError> {
    let (h, w, c) = extents(path, spec)?;
    let (width, height) = open(path)?.into_dimensions().map_err(|e| broken(path, &e))?;
    let stored = (height as usize, width as usize);
    if height.max(width) > LONGEST || height.min(width) == 0 {
        let what = format!("is an image of {height} rows and {width} columns");
        return Err(DatasetError::format(path, what, format!("give images of 1 to {LONGEST} rows and columns")));
    }
    let resized = resized(preprocess.resize, stored, (h, w));
    let cut = preprocess.crop.map_or(resized, |(h, w)| (h.into(), w.into()));
    let fits = cut.0 <= resized.0 && cut.1 <= resized.1;
    if fits && cut == (h, w) {
        return Ok(Way { stored, resized, cut });
    }
    let remedy = match (preprocess.resize, preprocess.crop) {
        (None, None) => format!(
            "say how to bring images to this size, as was done for training: `--resize bilinear`, or `--resize \
             bilinear:{}` and `--crop {}`",
            h.min(w) * 8 / 7,
            side(h, w)
        ),
        (None, Some(_)) if !fits => {
            format!("the image is smaller than what is cut out of it: add `--resize bilinear:{}`", cut.0.max(cut.1))
        }
        (Some(r), Some(_)) if !fits => {
            format!("resizing ({r}) makes {}x{} of it, less than what is cut out: resize to more", resized.0, resized.1)
        }
        (_, Some(_)) => format!("what is cut out must have the input's size: `--crop {}`", side(h, w)),
        (Some(r), None) => format!(
            "resizing ({r}) makes {}x{} of it: resize to {h}x{w}, or cut the rest off with `--crop {}`",
            resized.0,
            resized.1,
            side(h, w)
        ),
    };
    Err(DatasetError::Shape {
        path: path.into(),
        input: spec.name.clone(),
        expected: format!("[{h}, {w}, {c}] (rows, columns, channels)"),
        got: vec![stored.0, stored.1],
        remedy,
    })
}

fn side(h: usize, w: usize) -> String {
    if h == w { h.to_string() } else { format!("{h}x{w}") }
}

/// Rows of pixels, channels last. Alpha is dropped, and 16 bits a channel become 8. A note in the file that the image
/// is to be turned (EXIF) is not heeded.
pub(super) fn read(path: &Path, spec: &InputSpec, preprocess: &Preprocess) -> Result<Vec<u8>, DatasetError> {
    // The file may have changed since the set was opened.
    let way = way(path, spec, preprocess)?;
    let channels = extents(path, spec)?.2;
    let mut reader = open(path)?;
    let mut limits = Limits::default();
    limits.max_image_width = u32::try_from(way.stored.1).ok();
    limits.max_image_height = u32::try_from(way.stored.0).ok();
    reader.limits(limits);
    let image = reader.decode().map_err(|e| broken(path, &e))?;
    let grey = channels == 1 || preprocess.color == Color::Grey;
    let mut pixels = if grey { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() };
    let planes = if grey { 1 } else { 3 };
    let changed = || DatasetError::format(path, "has another size than its header says", "repair or remove the image");
    if pixels.len() != way.stored.0 * way.stored.1 * planes {
        return Err(changed());
    }
    if let Some(r) = preprocess.resize
        && way.resized != way.stored
    {
        pixels = resize(&pixels, planes, r.filter, way.stored, way.resized).ok_or_else(changed)?;
    }
    if way.cut != way.resized {
        pixels = crop(&pixels, planes, way.resized, way.cut).ok_or_else(changed)?;
    }
    if grey && channels == 3 {
        pixels = pixels.iter().flat_map(|&x| [x; 3]).collect();
    }
    if preprocess.color == Color::Bgr && !grey {
        pixels.chunks_exact_mut(3).for_each(|p| p.swap(0, 2));
    }
    Ok(pixels)
}
