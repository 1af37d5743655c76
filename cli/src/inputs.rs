//! What a model is fed with: files as the user has them, to the bytes of its inputs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carafe::Model;
use carafe_converter::dataset::{Dataset, Preprocess};
use carafe_converter::evaluate;

use crate::data_args::DataArgs;
use crate::failure::Usage;
use crate::tensors::{self, Io};
use crate::ui::Ui;

/// Which samples, and how they are read.
#[derive(Debug, clap::Args)]
pub struct InputArgs {
    /// An image, .npy or .npz (array `x`) of real numbers; one for each input of the model, in order
    #[arg(long, short, value_name = "X", conflicts_with = "raw_int8")]
    input: Vec<PathBuf>,
    /// The int8 tensor as it is, channels last: an .npy, or raw bytes; one for each input of the model
    #[arg(long, value_name = "FILE")]
    raw_int8: Vec<PathBuf>,
    /// Which sample of a file with several
    #[arg(long, value_name = "N")]
    index: Option<usize>,
    #[command(flatten)]
    data: DataArgs,
}

impl InputArgs {
    /// True if no file is given.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.raw_int8.is_empty()
    }

    /// One sample: the bytes of each input.
    pub fn read(&self, file: &Path, model: &Model<'_>, ui: &Ui) -> anyhow::Result<Vec<Vec<u8>>> {
        Ok(self.read_many(file, model, 1, ui)?.pop().unwrap_or_default())
    }

    /// So many samples, one after the other: of each, the bytes of each input of the model in `file`.
    pub fn read_many(
        &self,
        file: &Path,
        model: &Model<'_>,
        count: usize,
        ui: &Ui,
    ) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
        let ios = tensors::inputs(model);
        let raw = !self.raw_int8.is_empty();
        let given = if raw { &self.raw_int8 } else { &self.input };
        if given.len() != ios.len() {
            let names: Vec<&str> = ios.iter().map(|io| io.name.as_str()).collect();
            let option = if raw { "--raw-int8" } else { "--input" };
            return Err(Usage(format!(
                "{}: the model takes {} inputs ({}), {} given; repeat `{option}` for each, in that order",
                file.display(),
                ios.len(),
                names.join(", "),
                given.len()
            ))
            .into());
        }
        let mut samples = vec![vec![]; count];
        for (i, (path, io)) in given.iter().zip(&ios).enumerate() {
            let tensors = if raw {
                self.raw(path, io, count, ui)?
            } else {
                // What the blob says of its data is said of its first input.
                let how = if i == 0 { self.data.preprocess_for(model) } else { self.data.preprocess() };
                let data = Dataset::open(path, &tensors::spec(io), &how)?;
                if i == 0 {
                    self.data.check_numbers(file, model, path, &data, ui)?;
                }
                let bytes =
                    |real: Vec<f32>| evaluate::input_bytes(model, i, &real).context("the blob has no such input");
                self.take(path, &data, count, ui)?.into_iter().map(bytes).collect::<Result<_, _>>()?
            };
            samples.iter_mut().zip(tensors).for_each(|(sample, tensor)| sample.push(tensor));
        }
        Ok(samples)
    }

    /// Samples of a file, preprocessed.
    fn take(&self, path: &Path, data: &Dataset, count: usize, ui: &Ui) -> anyhow::Result<Vec<Vec<f32>>> {
        if self.index.is_none() && data.len() > count {
            let which = if count == 1 { "sample 0".to_owned() } else { format!("samples 0 to {}", count - 1) };
            ui.note(&format!("{}: {which} of {}; `--index N` takes another", path.display(), data.len()));
        }
        let from = self.index.unwrap_or(0);
        (from..from.saturating_add(count))
            .map(|index| {
                let sample = data.get(index)?;
                let numbers = sample.as_f32().map(<[f32]>::to_vec);
                numbers.with_context(|| format!("{}: holds no real numbers", path.display()))
            })
            .collect()
    }

    /// The bytes of an int8 tensor, so many times.
    fn raw(&self, path: &Path, io: &Io, count: usize, ui: &Ui) -> anyhow::Result<Vec<Vec<u8>>> {
        let is_npy = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy") || e.eq_ignore_ascii_case("npz"));
        if !is_npy {
            let bytes = fs::read(path).with_context(|| format!("{}: can't be read; check the path", path.display()))?;
            let need: usize = io.shape.iter().map(|&d| usize::from(d)).product();
            if bytes.len() != need {
                bail!(
                    "{}: {} bytes, but input `{}` of shape {:?} takes {need}; give the int8 tensor without a header, or \
                     an .npy",
                    path.display(),
                    bytes.len(),
                    io.name,
                    io.shape
                );
            }
            if count > 1 {
                bail!("{}: raw bytes are one sample, {count} are wanted; give an .npy that has them", path.display());
            }
            return Ok(vec![bytes]);
        }
        let data = Dataset::open(path, &tensors::spec(io), &Preprocess::default())?;
        let range = if io.dtype == "int8" { -128.0..=127.0 } else { 0.0..=255.0 };
        let mut samples = vec![];
        for numbers in self.take(path, &data, count, ui)? {
            if let Some(other) = numbers.iter().find(|x| !range.contains(*x) || x.fract() != 0.0) {
                bail!(
                    "{}: {other} is no {dtype}; save the array as {dtype}, or give real numbers by `--input`",
                    path.display(),
                    dtype = io.dtype
                );
            }
            // Of a negative number the low byte is its two's complement.
            samples.push(numbers.iter().map(|&x| x as i16 as u8).collect());
        }
        Ok(samples)
    }
}
