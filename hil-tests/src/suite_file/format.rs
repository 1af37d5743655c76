//! What a suite file says, as TOML has it: nothing is looked up yet.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use toml::Table;

use super::faults::FaultKind;
use super::{Limits, SuiteError};

/// The top of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Head {
    pub name: Option<String>,
    #[serde(default)]
    pub boards: Vec<String>,
    /// Seconds.
    pub timeout: Option<f64>,
    #[serde(default)]
    pub limits: LimitsAndBoards,
    #[serde(default)]
    pub model: Vec<Table>,
}

/// `[[model]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ModelHead {
    #[expect(dead_code, reason = "read before the rest, for messages; here so that it is a known key")]
    pub name: Option<String>,
    pub file: Option<String>,
    pub convert: Option<Convert>,
    pub sample: Option<SampleShape>,
    pub labels: Option<String>,
    pub timeout: Option<f64>,
    #[serde(default)]
    pub may_not_fit: bool,
    #[serde(default)]
    pub skip: Vec<Skip>,
    #[serde(default)]
    pub limits: LimitsAndBoards,
    #[serde(default)]
    pub faults: Vec<FaultKind>,
    pub noise_frames: Option<usize>,
    #[serde(default)]
    pub case: Vec<Table>,
}

/// A model that is converted when the suite is read.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Convert {
    pub model: String,
    pub calibration: Option<String>,
    /// So many samples of noise, where there are no data: bits matter then, not accuracy.
    pub calibration_random: Option<u32>,
    pub calibration_range: Option<[f32; 2]>,
    pub resize: Option<String>,
    #[serde(default)]
    pub mean: Vec<f32>,
    #[serde(default)]
    pub scale: Vec<f32>,
    pub layout: Option<LayoutWord>,
    pub input_type: Option<InputWord>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LayoutWord {
    Nhwc,
    Nchw,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum InputWord {
    U8,
    I8,
}

/// [`crate::sample::Sample`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleShape {
    pub h: u16,
    pub w: u16,
    pub c: u16,
    #[serde(default)]
    pub add: u8,
    #[serde(default)]
    pub pushed: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Skip {
    pub board: String,
    pub reason: String,
}

/// `[[model.case]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CaseHead {
    #[expect(dead_code, reason = "read before the rest, for messages; here so that it is a known key")]
    pub name: Option<String>,
    pub input: Option<Paths>,
    pub raw_int8: Option<Paths>,
    pub random: Option<u32>,
    pub index: Option<usize>,
    pub count: Option<usize>,
    pub timeout: Option<f64>,
    #[serde(default)]
    pub expect: ExpectHead,
    #[serde(default)]
    pub limits: LimitsAndBoards,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ExpectHead {
    /// `host`, or an .npy of int8.
    pub bits: Option<String>,
    /// CRC-32 of all outputs of all samples, one after the other.
    pub crc: Option<String>,
    /// `host`, or an .npy of real numbers.
    pub values: Option<String>,
    /// In units of the output.
    pub tolerance: Option<f32>,
    /// In steps of the int8 output.
    pub tolerance_lsb: Option<u32>,
    pub label: Option<String>,
    pub class: Option<usize>,
}

/// Limits for all boards, and for some of them others.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LimitsAndBoards {
    pub instructions: Option<u64>,
    pub ticks: Option<u64>,
    pub milliseconds: Option<f64>,
    pub arena_bytes: Option<usize>,
    pub stack_bytes: Option<usize>,
    #[serde(default)]
    pub on: BTreeMap<String, Limits>,
}

impl LimitsAndBoards {
    /// Those for all boards.
    pub(super) fn general(&self) -> Limits {
        let Self { instructions, ticks, milliseconds, arena_bytes, stack_bytes, on: _ } = *self;
        Limits { instructions, ticks, milliseconds, arena_bytes, stack_bytes }
    }
}

/// A path, or one for each input.
#[derive(Debug, Clone)]
pub(super) struct Paths(pub Vec<String>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Paths;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a list of paths, one for each input of the model")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<Paths, E> {
                Ok(Paths(vec![path.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Paths, A::Error> {
                let mut paths = vec![];
                while let Some(path) = list.next_element()? {
                    paths.push(path);
                }
                Ok(Paths(paths))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

/// Reads a table that has been cut out of the file, so that an error can say of which model and case it is.
pub(super) fn take<T: DeserializeOwned>(place: &str, table: Table) -> Result<T, SuiteError> {
    table.try_into().map_err(|error: toml::de::Error| {
        let said = error.to_string();
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        SuiteError::new(place, format!("{}; see docs/test-suites.md", lines.join(" ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Result<CaseHead, SuiteError> {
        take("s.toml, model `m`, case `c`", text.parse().unwrap())
    }

    #[test]
    fn one_path_or_many() {
        assert_eq!(case("input = 'a.png'").unwrap().input.unwrap().0, ["a.png"]);
        assert_eq!(case("raw-int8 = ['a', 'b']").unwrap().raw_int8.unwrap().0, ["a", "b"]);
    }

    #[test]
    fn errors_name_place_and_key() {
        for (text, words) in [
            ("inptu = 'a'", &["unknown field `inptu`", "raw-int8"][..]),
            ("input = 3", &["input", "a path"]),
            ("limits = { arena-bytes = 'x' }", &["arena-bytes", "invalid type"]),
            ("limits = { on = { host = { stack = 1 } } }", &["unknown field `stack`", "stack-bytes"]),
            ("expect = { bit = 'host' }", &["unknown field `bit`", "tolerance-lsb"]),
        ] {
            let error = case(text).unwrap_err().to_string();
            for word in ["s.toml, model `m`, case `c`"].iter().chain(words) {
                assert!(error.contains(word), "`{word}` is not in: {error}");
            }
        }
    }

    #[test]
    fn models_and_faults() {
        let model: ModelHead =
            take("s", "faults = ['garbage', 'wrong-crc']\nsample = { h = 1, w = 2, c = 3 }".parse().unwrap()).unwrap();
        assert_eq!(model.faults, [FaultKind::Garbage, FaultKind::WrongCrc]);
        let error = take::<ModelHead>("s", "faults = ['garbge']".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("garbge") && error.contains("oversize-model"), "{error}");
    }
}
