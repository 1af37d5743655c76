//! Outputs against what was expected of them.

use crate::protocol::CRC;
use crate::suite::Difference;

use super::FailureKind;

/// What the outputs of a case have to be.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Expect {
    /// These bytes: by sample, by output.
    Bits(Vec<Vec<Vec<u8>>>),
    /// This CRC-32 of all outputs of all samples, one after the other.
    Crc(u32),
    /// The first output within a tolerance of these real numbers, by sample.
    Values {
        /// The numbers.
        values: Vec<Vec<f32>>,
        /// How far off they may be.
        tolerance: Tolerance,
    },
    /// The greatest element of the first output is this one.
    Class {
        /// Its index.
        index: usize,
        /// Names of all classes, for messages; may be empty.
        labels: Vec<String>,
    },
}

/// How far off a number may be, and how int8 becomes a number.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Tolerance {
    /// In units of the output.
    pub within: f32,
    /// Of the output.
    pub scale: f32,
    /// Of the output.
    pub zero_point: i16,
}

impl Tolerance {
    /// So many units, for an output of this scale and zero point.
    pub fn new(within: f32, scale: f32, zero_point: i16) -> Self {
        Self { within, scale, zero_point }
    }

    fn value(&self, byte: u8) -> f32 {
        self.scale * (i32::from(byte as i8) - i32::from(self.zero_point)) as f32
    }
}

/// What is wrong with the outputs of a case, which are there for every sample; `None` if nothing is.
pub(super) fn wrong(expect: &Expect, outputs: &[Vec<Vec<u8>>]) -> Option<(FailureKind, String)> {
    match expect {
        Expect::Bits(all) => all.iter().zip(outputs).enumerate().find_map(|(sample, (want, got))| {
            let Difference { output, byte, want, got, .. } = Difference::first(sample, want, got)?;
            let shown = |value: Option<i8>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
            let what =
                format!("sample {sample}, output {output}, byte {byte}: {} instead of {}", shown(got), shown(want));
            Some((FailureKind::Differs, what))
        }),
        Expect::Crc(want) => {
            let mut digest = CRC.digest();
            outputs.iter().flatten().for_each(|output| digest.update(output));
            let got = digest.finalize();
            (got != *want)
                .then(|| (FailureKind::Differs, format!("the outputs have CRC-32 {got:08x} instead of {want:08x}")))
        }
        Expect::Values { values, tolerance } => {
            values.iter().zip(outputs).enumerate().find_map(|(sample, (want, got))| {
                let got = got.first().map_or(&[][..], Vec::as_slice);
                if got.len() != want.len() {
                    let what = format!("sample {sample}: {} numbers instead of {}", got.len(), want.len());
                    return Some((FailureKind::Differs, what));
                }
                // That of the worst element: it says how far from good all is.
                let off = |(i, (&want, &got)): (usize, (&f32, &u8))| {
                    let value = tolerance.value(got);
                    (i, want, value, (value - want).abs())
                };
                let worst = want.iter().zip(got).enumerate().map(off).max_by(|a, b| a.3.total_cmp(&b.3))?;
                let (at, want, value, off) = worst;
                // A number that is none is off by more than anything.
                let within = off <= tolerance.within;
                (!within).then(|| {
                    let what = format!(
                        "sample {sample}, element {at}: {value} instead of {want}, off by {off}; {} is allowed",
                        tolerance.within
                    );
                    (FailureKind::Tolerance, what)
                })
            })
        }
        Expect::Class { index, labels } => outputs.iter().enumerate().find_map(|(sample, got)| {
            let name = |i: usize| labels.get(i).map_or_else(|| format!("class {i}"), |label| format!("`{label}`"));
            let scores: Vec<i8> = got.first()?.iter().map(|&byte| byte as i8).collect();
            // The first of equals, as everywhere.
            let greatest = scores.iter().max().and_then(|most| scores.iter().position(|score| score == most))?;
            (greatest != *index).then(|| {
                let what = format!("sample {sample}: {} instead of {}", name(greatest), name(*index));
                (FailureKind::Label, what)
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_named_by_sample_and_byte() {
        let want = Expect::Bits(vec![vec![vec![1, 2]], vec![vec![3, 4]]]);
        assert_eq!(wrong(&want, &[vec![vec![1, 2]], vec![vec![3, 4]]]), None);
        let (kind, what) = wrong(&want, &[vec![vec![1, 2]], vec![vec![3, 255]]]).unwrap();
        assert_eq!((kind, what.as_str()), (FailureKind::Differs, "sample 1, output 0, byte 1: -1 instead of 4"));
    }

    #[test]
    fn a_crc_is_that_of_all_outputs() {
        let outputs = [vec![b"1234".to_vec(), b"5".to_vec()], vec![b"6789".to_vec()]];
        assert_eq!(wrong(&Expect::Crc(0xCBF4_3926), &outputs), None);
        assert!(wrong(&Expect::Crc(1), &outputs).unwrap().1.contains("cbf43926 instead of 00000001"));
    }

    #[test]
    fn the_worst_of_the_numbers_is_named() {
        let tolerance = Tolerance::new(0.5, 0.5, -2);
        let want = |x| Expect::Values { values: vec![vec![1.0, x]], tolerance };
        assert_eq!(wrong(&want(2.0), &[vec![vec![0, 3]]]), None);
        let (kind, what) = wrong(&want(1.5), &[vec![vec![0, 3]]]).unwrap();
        assert_eq!(kind, FailureKind::Tolerance);
        assert!(what.contains("element 1: 2.5 instead of 1.5, off by 1; 0.5 is allowed"), "{what}");
        assert!(wrong(&want(f32::NAN), &[vec![vec![0, 3]]]).is_some());
        assert!(wrong(&want(2.0), &[vec![vec![0]]]).is_some());
    }

    #[test]
    fn classes_have_names() {
        let expect = Expect::Class { index: 1, labels: vec!["cat".into(), "dog".into()] };
        assert_eq!(wrong(&expect, &[vec![vec![0xFF, 0]]]), None);
        let (kind, what) = wrong(&expect, &[vec![vec![7, 7]]]).unwrap();
        assert_eq!((kind, what.as_str()), (FailureKind::Label, "sample 0: `cat` instead of `dog`"));
    }
}
