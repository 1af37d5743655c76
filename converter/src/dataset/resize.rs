//! Sizes of images: resizing, and cutting out of the middle.

use std::fmt;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// A filter that images are resized with.
///
/// All are Pillow's: pixel centres lie at halves (output pixel *i* has its centre at `(i + 0.5) · in / out`), and where
/// an image gets smaller the filter gets wider by as much, so that no detail aliases. This is what `torchvision` does to
/// PIL images, and `tf.image.resize` with `antialias=True`; OpenCV and `tf.image.resize` by itself read fewer pixels
/// (OpenCV's `INTER_AREA` apart, which is [`Filter::Area`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Linear between neighbours.
    Bilinear,
    /// Catmull-Rom: cubic with a = −0.5.
    Bicubic,
    /// The mean of the area that a pixel covers.
    Area,
}

impl Filter {
    /// `bilinear`, `bicubic`, `area`.
    pub fn name(self) -> &'static str {
        match self {
            Filter::Bilinear => "bilinear",
            Filter::Bicubic => "bicubic",
            Filter::Area => "area",
        }
    }
}

/// What an image is resized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeTo {
    /// The input's size, whatever that does to the proportions.
    Input,
    /// The shorter side gets this length and the longer one what keeps the proportions, rounded down; the rest is for
    /// [`Preprocess::crop`](super::Preprocess::crop) to cut off. `torchvision.transforms.Resize(N)`.
    ShortSide(u16),
    /// So many rows and columns, whatever that does to the proportions.
    Exact(u16, u16),
}

/// How images are resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// With what.
    pub filter: Filter,
    /// To what.
    pub to: ResizeTo,
}

impl fmt::Display for Resize {
    /// As `--resize` takes it: `bilinear`, `bicubic:256`, `area:240x320`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.filter.name())?;
        match self.to {
            ResizeTo::Input => Ok(()),
            ResizeTo::ShortSide(n) => write!(f, ":{n}"),
            ResizeTo::Exact(h, w) => write!(f, ":{h}x{w}"),
        }
    }
}

impl std::str::FromStr for Resize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (filter, size) = text.split_once(':').map_or((text, None), |(f, s)| (f, Some(s)));
        let filter = [Filter::Bilinear, Filter::Bicubic, Filter::Area].into_iter().find(|f| f.name() == filter);
        let filter = filter.ok_or("the filter is `bilinear`, `bicubic` or `area`")?;
        let to = match size.map(extents) {
            None => ResizeTo::Input,
            Some(Some((n, None))) => ResizeTo::ShortSide(n),
            Some(Some((h, Some(w)))) => ResizeTo::Exact(h, w),
            Some(None) => return Err("a size is N for the shorter side, or ROWSxCOLUMNS".into()),
        };
        Ok(Self { filter, to })
    }
}

/// `N` or `HxW`, neither 0.
pub(super) fn extents(text: &str) -> Option<(u16, Option<u16>)> {
    let number = |t: &str| t.parse::<u16>().ok().filter(|&n| n > 0);
    match text.split_once(['x', 'X', '×']) {
        None => Some((number(text)?, None)),
        Some((h, w)) => Some((number(h)?, Some(number(w)?))),
    }
}

/// Rows and columns that an image of `from` has after resizing, for an input of `input`.
pub(super) fn resized(resize: Option<Resize>, from: (usize, usize), input: (usize, usize)) -> (usize, usize) {
    match resize.map(|r| r.to) {
        None => from,
        Some(ResizeTo::Input) => input,
        Some(ResizeTo::Exact(h, w)) => (h.into(), w.into()),
        Some(ResizeTo::ShortSide(n)) => {
            let n = usize::from(n);
            let long = |long: usize, short: usize| (n * long).checked_div(short).unwrap_or(n);
            if from.0 <= from.1 { (n, long(from.1, from.0)) } else { (long(from.0, from.1), n) }
        }
    }
}

/// Resizes rows of pixels of `channels` bytes (1 or 3). `None` if an extent is beyond what the library takes.
pub(super) fn resize(
    pixels: &[u8],
    channels: usize,
    filter: Filter,
    from: (usize, usize),
    to: (usize, usize),
) -> Option<Vec<u8>> {
    let extent = |x: usize| u32::try_from(x).ok();
    // The library's build for four channels compiles in a fraction of the time; channels do not mix.
    let mut wide = vec![0; from.0 * from.1 * 4];
    for (to, from) in wide.chunks_exact_mut(4).zip(pixels.chunks_exact(channels.clamp(1, 4))) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
    let source = ImageRef::new(extent(from.1)?, extent(from.0)?, &wide, PixelType::U8x4).ok()?;
    let mut target = Image::new(extent(to.1)?, extent(to.0)?, PixelType::U8x4);
    let filter = match filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Area => FilterType::Box,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    Resizer::new().resize(&source, &mut target, &options).ok()?;
    Some(target.into_vec().chunks_exact(4).flat_map(|p| p.iter().take(channels).copied()).collect())
}

/// The middle of an image, as `torchvision.transforms.CenterCrop` finds it. `None` if it is smaller than that.
pub(super) fn crop(pixels: &[u8], channels: usize, from: (usize, usize), to: (usize, usize)) -> Option<Vec<u8>> {
    // Halves to even, as Python rounds.
    let begin = |from: usize, to: usize| Some((from.checked_sub(to)? as f64 / 2.0).round_ties_even() as usize);
    let (top, left) = (begin(from.0, to.0)?, begin(from.1, to.1)?);
    let mut out = Vec::with_capacity(to.0 * to.1 * channels);
    for y in top..top + to.0 {
        let at = (y * from.1 + left) * channels;
        out.extend_from_slice(pixels.get(at..at + to.1 * channels)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_they_are_written() {
        for text in ["bilinear", "bicubic:256", "area:240x320"] {
            assert_eq!(text.parse::<Resize>().unwrap().to_string(), text);
        }
        for text in ["", "nearest", "area:", "area:0", "area:3x", "area:70000", "area:2x3x4"] {
            assert!(text.parse::<Resize>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_short_side_rules_and_the_long_one_is_rounded_down() {
        let short = Some(Resize { filter: Filter::Area, to: ResizeTo::ShortSide(256) });
        assert_eq!(resized(short, (375, 500), (224, 224)), (256, 341));
        assert_eq!(resized(short, (500, 375), (224, 224)), (341, 256));
        assert_eq!(resized(short, (100, 100), (224, 224)), (256, 256));
    }

    #[test]
    fn the_middle_is_cut_as_torchvision_does() {
        let pixels: Vec<u8> = (0..25).collect();
        assert_eq!(crop(&pixels, 1, (5, 5), (3, 1)).unwrap(), [7, 12, 17]);
        // Half a pixel: 1.5 becomes 2, 0.5 becomes 0.
        assert_eq!(crop(&pixels, 1, (5, 5), (2, 4)).unwrap(), [10, 11, 12, 13, 15, 16, 17, 18]);
        assert_eq!(crop(&pixels, 1, (5, 5), (6, 1)), None);
        assert_eq!(crop(&pixels[..12], 3, (2, 2), (1, 1)).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn filters_do_what_their_names_say() {
        // By hand, with Pillow's conventions: a ramp of four pixels to two.
        let ramp = [0, 60, 120, 180];
        let to_two = |filter| resize(&ramp, 1, filter, (1, 4), (1, 2)).unwrap();
        assert_eq!(to_two(Filter::Area), [30, 150]);
        // Triangle of half width 2 around 1 (pixels' centres at 0.5, 1.5, 2.5): weights 3/4, 3/4, 1/4 of 7/4.
        assert_eq!(to_two(Filter::Bilinear), [43, 137]);
        // Two pixels to four: weights 3/4 and 1/4 inside, the edge repeated outside.
        assert_eq!(resize(&[0, 80], 1, Filter::Bilinear, (1, 2), (1, 4)).unwrap(), [0, 20, 60, 80]);
        let flat = vec![77; 3 * 7 * 5];
        for filter in [Filter::Area, Filter::Bilinear, Filter::Bicubic] {
            assert!(resize(&flat, 3, filter, (7, 5), (3, 11)).unwrap().iter().all(|&x| x == 77));
        }
    }
}
