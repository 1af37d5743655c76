//! Sounds: `.wav` files of 16-bit PCM.

use std::path::Path;

use hound::{SampleFormat, WavReader};

use super::{DatasetError, InputSpec};

fn broken(path: &Path, error: &hound::Error) -> DatasetError {
    DatasetError::format(path, format!("can't be decoded: {error}"), "write it again as .wav of 16-bit PCM")
}

fn open(path: &Path, spec: &InputSpec) -> Result<WavReader<std::io::BufReader<std::fs::File>>, DatasetError> {
    let reader = WavReader::open(path).map_err(|e| match e {
        hound::Error::IoError(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => DatasetError::read(path, e),
        e => broken(path, &e),
    })?;
    let format = reader.spec();
    if format.bits_per_sample != 16 || format.sample_format != SampleFormat::Int {
        let what = format!("has samples of {} bits ({:?})", format.bits_per_sample, format.sample_format);
        return Err(DatasetError::format(path, what, "write it again as .wav of 16-bit PCM"));
    }
    let flat: Vec<usize> = spec.shape.iter().copied().filter(|&d| d != 1).collect();
    let length = flat.first().copied().unwrap_or(1);
    let samples = reader.duration() as usize;
    if flat.len() > 1 || samples != length {
        return Err(DatasetError::Shape {
            path: path.into(),
            input: spec.name.clone(),
            expected: format!("{:?}", spec.shape),
            got: vec![samples],
            remedy: if flat.len() > 1 {
                "the model takes features, not a waveform: compute them as for training, and give them as .npy".into()
            } else {
                format!(
                    "cut the sound to {length} samples, or resample it if the model was trained at another rate than its {} \
                     Hz",
                    format.sample_rate
                )
            },
        });
    }
    Ok(reader)
}

/// Finds out from the header of a sound whether it fits the input.
pub(super) fn check(path: &Path, spec: &InputSpec) -> Result<(), DatasetError> {
    open(path, spec).map(|_| ())
}

/// Samples a second.
pub(super) fn rate(path: &Path, spec: &InputSpec) -> Result<u32, DatasetError> {
    Ok(open(path, spec)?.spec().sample_rate)
}

/// The left (or only) channel, −1 to just below 1.
pub(super) fn read(path: &Path, spec: &InputSpec) -> Result<Vec<f32>, DatasetError> {
    let mut reader = open(path, spec)?;
    let channels = usize::from(reader.spec().channels.max(1));
    let left: Result<Vec<f32>, _> =
        reader.samples::<i16>().step_by(channels).map(|s| s.map(|s| f32::from(s) / 32768.0)).collect();
    let left = left.map_err(|e| broken(path, &e))?;
    if left.len() == spec.shape.iter().product::<usize>() {
        Ok(left)
    } else {
        Err(DatasetError::format(path, "is cut off: its header promises more samples", "copy or write the file again"))
    }
}
