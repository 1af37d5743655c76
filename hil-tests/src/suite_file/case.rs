//! The samples of a case, and what is expected of them.

use std::fs;
use std::path::Path;

use carafe::blob::{StringKind, golden_byte};
use carafe::{DType, Model, TensorIo};
use carafe_converter::dataset::{Dataset, InputSpec, Preprocess};
use carafe_converter::evaluate;
use carafe_graph::Layout;

use super::SuiteError;
use super::check::{Expect, Tolerance};
use super::format::{CaseHead, ExpectHead, Paths};
use crate::host::Host;
use crate::target::{Case, Target};

/// The host has no need of a limit.
const LONG: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// The outputs that this computer gives, by sample, by output.
pub(super) fn twin(place: &str, blob: &[u8], samples: &[Vec<Vec<u8>>]) -> Result<Vec<Vec<Vec<u8>>>, SuiteError> {
    let wrong = |e: crate::Error| SuiteError::new(place, e);
    let mut host = Host::new();
    host.load(blob).map_err(wrong)?;
    let exec = |sample: &Vec<Vec<u8>>| {
        let inputs: Vec<&[u8]> = sample.iter().map(Vec::as_slice).collect();
        host.exec(&Case::of(&inputs), LONG).map(|outcome| outcome.outputs).map_err(wrong)
    };
    samples.iter().map(exec).collect()
}

/// Bytes of every value for each input.
pub(super) fn noise(model: &Model<'_>, seed: u32) -> Vec<Vec<u8>> {
    // Not the seeds beside each other: they would give the same bytes, moved by one.
    let mut bytes = (0..).map(|i| golden_byte(seed.wrapping_mul(0x9E37_79B9), i));
    let sizes = (0..model.inputs()).filter_map(|i| model.input(i)).map(|io| io.bytes);
    sizes.map(|n| bytes.by_ref().take(n).collect()).collect()
}

/// Reads a case of a model.
pub(super) struct CaseReader<'c> {
    pub folder: &'c Path,
    pub place: &'c str,
    pub model: &'c Model<'c>,
    pub blob: &'c [u8],
    pub labels: &'c [String],
}

impl CaseReader<'_> {
    fn wrong(&self, what: impl ToString) -> SuiteError {
        SuiteError::new(self.place, what)
    }

    /// By sample, by input.
    pub fn samples(&self, head: &CaseHead) -> Result<Vec<Vec<Vec<u8>>>, SuiteError> {
        let count = head.count.unwrap_or(1);
        if count == 0 {
            return Err(self.wrong("`count` is 1 or more"));
        }
        match (&head.input, &head.raw_int8, head.random) {
            (None, None, Some(_)) if head.index.is_some() => {
                Err(self.wrong("`index` counts samples of a file; `random` has a seed in place of it"))
            }
            (None, None, Some(seed)) => {
                Ok((0..count).map(|i| noise(self.model, seed.wrapping_add(i as u32))).collect())
            }
            (Some(paths), None, None) => self.files("input", paths, head, count),
            (None, Some(paths), None) => self.files("raw-int8", paths, head, count),
            (None, None, None) => {
                Err(self.wrong("it has no input; give `input = \"X\"`, `raw-int8 = \"X\"` or `random = SEED`"))
            }
            _ => Err(self.wrong("give one of `input`, `raw-int8` and `random`, not two")),
        }
    }

    fn files(
        &self,
        key: &str,
        Paths(paths): &Paths,
        head: &CaseHead,
        count: usize,
    ) -> Result<Vec<Vec<Vec<u8>>>, SuiteError> {
        let inputs = self.model.inputs();
        if paths.len() != inputs {
            let what =
                format!("`{key}`: {} given, the model has {inputs} inputs; give a list with one for each", paths.len());
            return Err(self.wrong(what));
        }
        let from = head.index.unwrap_or(0);
        let mut samples = vec![vec![]; count];
        for (i, path) in paths.iter().enumerate() {
            let io = self.model.input(i).ok_or_else(|| self.wrong("the blob has no such input"))?;
            let path = self.folder.join(path);
            let tensors = if key == "input" {
                self.real(i, &io, &path, from, count)?
            } else {
                self.raw(key, &io, &path, from, count)?
            };
            samples.iter_mut().zip(tensors).for_each(|(sample, tensor)| sample.push(tensor));
        }
        Ok(samples)
    }

    /// Real numbers or images, as the model's input has them.
    fn real(
        &self,
        i: usize,
        io: &TensorIo,
        path: &Path,
        from: usize,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, SuiteError> {
        // What the blob says of its data is said of its first input.
        let mut how = if i == 0 { Preprocess::of_model(self.model) } else { Preprocess::default() };
        how.layout = how.layout.or(Some(Layout::Nhwc));
        let wrong = |e: &dyn std::fmt::Display| self.wrong(format!("`input`: {e}"));
        let data = Dataset::open(path, &spec(self.model, StringKind::Input, i, io), &how).map_err(|e| wrong(&e))?;
        self.there("input", path, data.len(), from, count)?;
        (from..from.saturating_add(count))
            .map(|at| {
                let tensor = data.get(at).map_err(|e| wrong(&e))?;
                let numbers = tensor.as_f32().ok_or_else(|| wrong(&"it holds no real numbers"))?;
                evaluate::input_bytes(self.model, i, numbers).ok_or_else(|| wrong(&"the blob has no such input"))
            })
            .collect()
    }

    fn there(&self, key: &str, path: &Path, have: usize, from: usize, count: usize) -> Result<(), SuiteError> {
        if from.saturating_add(count) <= have {
            return Ok(());
        }
        let what = format!(
            "`{key}`: {} has {have} samples, wanted are {count} from {from} on; lower `count` or `index`",
            path.display()
        );
        Err(self.wrong(what))
    }

    /// Bytes as they are: an .npy, or a file without a header.
    fn raw(
        &self,
        key: &str,
        io: &TensorIo,
        path: &Path,
        from: usize,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, SuiteError> {
        let is_array = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy") || e.eq_ignore_ascii_case("npz"));
        if !is_array {
            let bytes = fs::read(path)
                .map_err(|e| self.wrong(format!("`{key}`: {} can't be read: {e}; check the path", path.display())))?;
            if io.bytes == 0 || bytes.len() % io.bytes != 0 {
                let what = format!(
                    "`{key}`: {} has {} bytes, a sample takes {}; give int8 tensors without a header, or an .npy",
                    path.display(),
                    bytes.len(),
                    io.bytes
                );
                return Err(self.wrong(what));
            }
            self.there(key, path, bytes.len() / io.bytes, from, count)?;
            return Ok(bytes.chunks(io.bytes).skip(from).take(count).map(<[u8]>::to_vec).collect());
        }
        let range = if io.dtype == DType::U8 { 0.0..=255.0 } else { -128.0..=127.0 };
        let all = self.numbers(key, io, path, from, count)?;
        if let Some(other) = all.iter().flatten().find(|x| !range.contains(*x) || x.fract() != 0.0) {
            return Err(self.wrong(format!("`{key}`: {}: {other} is no int8; save the array as int8", path.display())));
        }
        // Of a negative number the low byte is its two's complement.
        Ok(all.iter().map(|tensor| tensor.iter().map(|&x| x as i16 as u8).collect()).collect())
    }

    /// Samples of an array, in the shape of a tensor of the model.
    fn numbers(
        &self,
        key: &str,
        io: &TensorIo,
        path: &Path,
        from: usize,
        count: usize,
    ) -> Result<Vec<Vec<f32>>, SuiteError> {
        let shape = io.shape().iter().map(|&d| usize::from(d)).collect();
        let spec = InputSpec { name: key.to_owned(), shape, layout: Layout::Nhwc };
        let wrong = |e: &dyn std::fmt::Display| self.wrong(format!("`{key}`: {e}"));
        let data = Dataset::open(path, &spec, &Preprocess::default()).map_err(|e| wrong(&e))?;
        self.there(key, path, data.len(), from, count)?;
        (from..from.saturating_add(count))
            .map(|at| {
                let tensor = data.get(at).map_err(|e| wrong(&e))?;
                tensor.as_f32().map(<[f32]>::to_vec).ok_or_else(|| wrong(&"it holds no numbers"))
            })
            .collect()
    }

    /// What has to come out.
    pub fn expect(&self, head: &ExpectHead, samples: &[Vec<Vec<u8>>]) -> Result<Expect, SuiteError> {
        let tolerance = head.tolerance.is_some() || head.tolerance_lsb.is_some();
        if tolerance && head.values.is_none() {
            return Err(self.wrong("`expect`: a tolerance belongs to `values`"));
        }
        match (&head.bits, &head.crc, &head.values, &head.label, head.class) {
            (None, None, None, None, None) => Ok(Expect::Bits(twin(self.place, self.blob, samples)?)),
            (Some(bits), None, None, None, None) if bits == "host" => {
                Ok(Expect::Bits(twin(self.place, self.blob, samples)?))
            }
            (Some(file), None, None, None, None) => {
                let tensors = self.raw("expect.bits", &self.output()?, &self.folder.join(file), 0, samples.len())?;
                if self.model.outputs() > 1 {
                    return Err(self.wrong("`expect.bits`: the model has several outputs; give their `crc`, or `host`"));
                }
                Ok(Expect::Bits(tensors.into_iter().map(|tensor| vec![tensor]).collect()))
            }
            (None, Some(crc), None, None, None) => u32::from_str_radix(crc.trim_start_matches("0x"), 16)
                .map(Expect::Crc)
                .map_err(|_| self.wrong(format!("`expect.crc`: `{crc}` is no CRC-32; give eight hexadecimal digits"))),
            (None, None, Some(values), None, None) => self.values(values, head, samples),
            (None, None, None, Some(label), None) => {
                let index = self.labels.iter().position(|l| l == label).ok_or_else(|| {
                    let known = if self.labels.is_empty() {
                        "the model has no labels: give `labels = \"FILE\"`, or `class = N` in place of it".to_owned()
                    } else {
                        format!("labels are: {}", self.labels.join(", "))
                    };
                    self.wrong(format!("`expect.label`: there is no `{label}`; {known}"))
                })?;
                Ok(Expect::Class { index, labels: self.labels.to_vec() })
            }
            (None, None, None, None, Some(index)) => {
                let classes = self.output()?.bytes;
                if index >= classes {
                    return Err(self.wrong(format!(
                        "`expect.class`: {index}, but classes are 0 to {}",
                        classes.saturating_sub(1)
                    )));
                }
                Ok(Expect::Class { index, labels: self.labels.to_vec() })
            }
            _ => Err(self.wrong("`expect`: give one of `bits`, `crc`, `values`, `label` and `class`, not two")),
        }
    }

    fn output(&self) -> Result<TensorIo, SuiteError> {
        self.model.output(0).ok_or_else(|| self.wrong("the model has no output"))
    }

    fn values(&self, from: &str, head: &ExpectHead, samples: &[Vec<Vec<u8>>]) -> Result<Expect, SuiteError> {
        let io = self.output()?;
        let (scale, zero_point) = (io.scale.unwrap_or(1.0), io.zero());
        let within = match (head.tolerance, head.tolerance_lsb) {
            (Some(units), None) => units,
            (None, Some(steps)) => steps as f32 * scale,
            _ => {
                return Err(self.wrong("`expect.values` takes `tolerance` (in units of the output) or `tolerance-lsb`"));
            }
        };
        if within.is_nan() || within < 0.0 {
            return Err(self.wrong(format!("`expect.tolerance`: {within} is no distance")));
        }
        // Where two numbers are so many steps apart, floats may say a hair more.
        let tolerance = Tolerance::new(within + scale * 1e-3, scale, zero_point);
        let values = if from == "host" {
            let outputs = twin(self.place, self.blob, samples)?;
            let real = |bytes: &Vec<u8>| {
                bytes.iter().map(|&q| scale * (i32::from(q as i8) - i32::from(zero_point)) as f32).collect()
            };
            outputs.iter().map(|outputs| outputs.first().map(real).unwrap_or_default()).collect()
        } else {
            self.numbers("expect.values", &io, &self.folder.join(from), 0, samples.len())?
        };
        Ok(Expect::Values { values, tolerance })
    }
}

fn spec(model: &Model<'_>, kind: StringKind, index: usize, io: &TensorIo) -> InputSpec {
    let name = u16::try_from(index).ok().and_then(|i| model.strings().find(kind, i)).unwrap_or("input");
    let shape = io.shape().iter().map(|&d| usize::from(d)).collect();
    InputSpec { name: name.to_owned(), shape, layout: Layout::Nhwc }
}
