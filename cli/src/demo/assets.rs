//! The bundled model and its data (`examples/digits`), inside the program.

use std::fs;
use std::path::Path;

use anyhow::Context;
use carafe_converter::dataset::{Dataset, InputSpec, Preprocess};
use carafe_converter::frontend::openvino;
use carafe_graph::{Graph, Tensor};

macro_rules! digits {
    ($file:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/digits/", $file))
    };
}

const XML: &[u8] = digits!("digits.xml");
const BIN: &[u8] = digits!("digits.bin");
const CALIBRATION: &[u8] = digits!("calib.npz");
const TEST: &[u8] = digits!("test.npz");
const LABELS: &[u8] = digits!("labels.txt");

/// File, truth, image.
const SAMPLES: &[(&str, u32, &[u8])] = &[
    ("0.png", 0, digits!("samples/0.png")),
    ("2.png", 2, digits!("samples/2.png")),
    ("3.png", 3, digits!("samples/3.png")),
    ("5.png", 5, digits!("samples/5.png")),
    ("7.png", 7, digits!("samples/7.png")),
    ("8.png", 8, digits!("samples/8.png")),
    ("hard-3.png", 3, digits!("samples/hard-3.png")),
    ("wrong-6.png", 6, digits!("samples/wrong-6.png")),
];

/// Bytes of the model's two files.
pub const MODEL_BYTES: usize = XML.len() + BIN.len();

/// One picture to show.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its file, or where in the test set it is.
    pub name: String,
    /// The digit that it is.
    pub truth: u32,
    /// The model's input: grey values 0..=255.
    pub image: Tensor,
}

/// Samples, with truths where they have them.
#[derive(Debug)]
pub struct Labelled {
    /// One tensor per input of the model.
    pub samples: Vec<Vec<Tensor>>,
    /// By sample; empty if there are none.
    pub truth: Vec<u32>,
}

/// The model.
pub fn model() -> anyhow::Result<Graph> {
    let xml = std::str::from_utf8(XML).context("the bundled model")?;
    Ok(openvino::parse(xml, BIN, "digits.xml")?)
}

/// Names of the digits.
pub fn labels() -> Vec<String> {
    String::from_utf8_lossy(LABELS).lines().map(str::to_owned).collect()
}

/// Images to calibrate with.
pub fn calibration(spec: &InputSpec) -> anyhow::Result<Labelled> {
    read(CALIBRATION, "calib.npz", spec)
}

/// Images to test with.
pub fn test(spec: &InputSpec) -> anyhow::Result<Labelled> {
    read(TEST, "test.npz", spec)
}

/// The bundled samples, then images of the test set, `n` in all.
pub fn samples(n: usize, spec: &InputSpec, test: &Labelled) -> anyhow::Result<Vec<Sample>> {
    let mut samples = vec![];
    for &(name, truth, bytes) in SAMPLES.iter().take(n) {
        let image = read(bytes, name, spec)?.samples.into_iter().flatten().next().context("the bundled samples")?;
        samples.push(Sample { name: name.into(), truth, image });
    }
    for (i, (tensors, &truth)) in test.samples.iter().zip(&test.truth).enumerate().take(n.saturating_sub(SAMPLES.len()))
    {
        let image = tensors.first().context("the bundled test images")?.clone();
        samples.push(Sample { name: format!("test {i}"), truth, image });
    }
    Ok(samples)
}

/// Reads data as the commands do, through a file that is gone afterwards.
fn read(bytes: &[u8], name: &str, spec: &InputSpec) -> anyhow::Result<Labelled> {
    let folder = tempfile::tempdir().context("a temporary folder is needed for the bundled data")?;
    let path = folder.path().join(Path::new(name));
    fs::write(&path, bytes).with_context(|| format!("{}: can't be written", path.display()))?;
    let data = Dataset::open(&path, spec, &Preprocess::default())?;
    let samples = (0..data.len()).map(|i| data.get(i).map(|t| vec![t])).collect::<Result<Vec<_>, _>>()?;
    Ok(Labelled { samples, truth: data.labels().unwrap_or_default().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_files_fit_each_other() {
        let graph = model().unwrap();
        let spec = crate::conversion::input_spec(&graph).unwrap();
        let test = test(&spec).unwrap();
        assert_eq!((test.samples.len(), test.truth.len()), (1000, 1000));
        assert_eq!(calibration(&spec).unwrap().samples.len(), 100);
        assert_eq!(labels().len(), 10);
        let all = samples(10, &spec, &test).unwrap();
        assert_eq!(all.len(), 10);
        assert_eq!((all[8].name.as_str(), all[8].truth), ("test 0", test.truth[0]));
        // The README says which images of the test set the samples are.
        assert_eq!(all[0].image, test.samples[784][0]);
        assert_eq!((all[7].truth, test.truth[517]), (6, 6));
        assert_eq!(all[7].image, test.samples[517][0]);
    }
}
