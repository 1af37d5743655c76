//! Options of all commands that read data.

use std::path::Path;

use anyhow::bail;
use carafe::{DType, Model};
use carafe_converter::InputKind;
use carafe_converter::dataset::{Color, Dataset, Preprocess, Resize};
use carafe_graph::Layout;

use crate::ui::Ui;

/// How stored data become the model's input values.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// Resize images by `bilinear`, `bicubic` or `area`: to the input's size, or with `:N` the shorter side to N, or with
    /// `:HxW` to so many rows and columns
    #[arg(long, value_name = "FILTER[:SIZE]")]
    resize: Option<Resize>,
    /// Then cut the middle out of them: N rows and columns, or H rows and W columns
    #[arg(long, value_name = "N|HxW", value_parser = crop)]
    crop: Option<(u16, u16)>,
    /// Colours of images, in the order that the model takes them
    #[arg(long, value_name = "ORDER")]
    color: Option<ColorArg>,
    /// Subtracted from stored numbers: one, or one a channel (in the order of the colours, for images)
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', allow_hyphen_values = true)]
    mean: Vec<f32>,
    /// Then divides them, as `ovc --scale_values` does: one, or one a channel
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', allow_hyphen_values = true)]
    scale: Vec<f32>,
    /// Order of the axes of stored arrays, where it is not that of the input; images need none
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<LayoutArg>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ColorArg {
    /// Red, green, blue
    Rgb,
    /// Blue, green, red
    Bgr,
    /// Grey, in every channel
    Grey,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LayoutArg {
    /// Channels last
    Nhwc,
    /// Channels first
    Nchw,
}

/// What the device's input takes.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub enum InputType {
    /// u8 if the calibration data are images, else i8, also for arrays of u8
    #[default]
    Auto,
    /// Unsigned bytes, as a camera delivers them: --mean and --scale become part of the model
    U8,
    /// int8, quantized by what calibration finds
    I8,
}

impl InputType {
    /// For a model that is calibrated with these data.
    pub fn kind(self, data: &Dataset) -> InputKind {
        match self {
            InputType::Auto => InputKind::of(data),
            InputType::U8 => InputKind::U8,
            InputType::I8 => InputKind::I8,
        }
    }
}

fn crop(text: &str) -> Result<(u16, u16), String> {
    let (h, w) = text.split_once('x').unwrap_or((text, text));
    let number = |t: &str| t.parse::<u16>().ok().filter(|&n| n > 0);
    number(h).zip(number(w)).ok_or_else(|| "a size is N, or HxW for H rows and W columns".into())
}

impl DataArgs {
    /// As the data set wants it.
    pub fn preprocess(&self) -> Preprocess {
        let layout = self.layout.map(|l| match l {
            LayoutArg::Nhwc => Layout::Nhwc,
            LayoutArg::Nchw => Layout::Nchw,
        });
        let color = match self.color {
            None | Some(ColorArg::Rgb) => Color::Rgb,
            Some(ColorArg::Bgr) => Color::Bgr,
            Some(ColorArg::Grey) => Color::Grey,
        };
        let (mean, scale) = (self.mean.clone(), self.scale.clone());
        Preprocess { resize: self.resize, crop: self.crop, color, mean, scale, layout }
    }

    /// What the blob says of the data for its first input, but where the command line says something else.
    pub fn preprocess_for(&self, model: &Model<'_>) -> Preprocess {
        let (given, stored) = (self.preprocess(), Preprocess::of_model(model));
        let numbers = !given.mean.is_empty() || !given.scale.is_empty();
        let (mean, scale) = if numbers { (given.mean, given.scale) } else { (stored.mean, stored.scale) };
        Preprocess {
            resize: given.resize.or(stored.resize),
            crop: given.crop.or(stored.crop),
            color: if self.color.is_some() { given.color } else { stored.color },
            mean,
            scale,
            // Blobs have their channels last where they say nothing, whatever the float model has.
            layout: given.layout.or(stored.layout).or(Some(Layout::Nhwc)),
        }
    }

    /// Looks at `--mean` and `--scale` for a model that takes bytes: what bytes mean has become part of its weights, and
    /// can't be said anew. `data` in `path` are what it shall be fed with.
    pub fn check_numbers(
        &self,
        file: &Path,
        model: &Model<'_>,
        path: &Path,
        data: &Dataset,
        ui: &Ui,
    ) -> anyhow::Result<()> {
        let Some(io) = model.input(0).filter(|io| io.dtype == DType::U8) else { return Ok(()) };
        let (given, stored) = (self.preprocess_for(model), Preprocess::of_model(model));
        let channels = io.shape().last().map_or(1, |&c| usize::from(c));
        if (0..channels).all(|c| given.normalization(c) == stored.normalization(c)) {
            return Ok(());
        }
        let say = |p: &Preprocess| {
            let list = |l: &[f32], default: f32| match l {
                [] => default.to_string(),
                l => l.iter().map(f32::to_string).collect::<Vec<_>>().join(","),
            };
            format!("--mean {} --scale {}", list(&p.mean, 0.0), list(&p.scale, 1.0))
        };
        let what = format!("{}: takes bytes, and has been converted for {}", file.display(), say(&stored));
        if data.is_bytes() {
            bail!(
                "{what}, not for {}; leave both out, or convert the model again with these, or with `--input-type i8`",
                say(&given)
            );
        }
        // Numbers that are no bytes may well be scaled otherwise than a camera's.
        ui.warn(&format!("{what}; {} is taken for what the numbers in {} mean", say(&given), path.display()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::crop;

    #[test]
    fn sizes_are_read() {
        assert_eq!((crop("224"), crop("96x128")), (Ok((224, 224)), Ok((96, 128))));
        assert!(["", "0", "x", "3x", "3x0", "3x4x5", "-1", "70000"].into_iter().all(|t| crop(t).is_err()));
    }
}
