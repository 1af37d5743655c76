//! The networks that are measured, and how they are converted. Files are those of the shared assets.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::npy;

/// A network.
#[derive(Debug)]
pub struct Source {
    /// Its name, as `--model` takes it.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Where its samples are, in `data`, and how they become inputs, as `carafe convert` takes it. `{}` is the folder.
    calibration: &'static [&'static str],
}

/// Stands for the folder of assets in what is printed.
pub const ASSETS: &str = "$CARAFE_ASSETS";
/// Where the samples of `ad` are put, from the root of the checkout.
const WINDOWS: &str = "target/bench/ad.npy";

/// In the order of the tables.
pub const ALL: [Source; 6] = [
    Source { name: "resnet8", about: "image classification", calibration: &["{}/data/cifar10/calib_images.npy"] },
    Source {
        name: "dscnn_kws",
        about: "keyword spotting",
        calibration: &["{}/data/kws01/calib_int8.npy", "--mean", "83", "--scale", "1.7102703"],
    },
    Source {
        name: "vww",
        about: "person detection",
        calibration: &[
            "{}/data/imagenet/images",
            "--calibration-csv",
            "{}/data/imagenet/labels.csv",
            "--calibration-split",
            "calib",
            "--calibration-samples",
            "40",
            "--scale",
            "255",
            "--resize",
            "bilinear",
        ],
    },
    Source { name: "ad", about: "anomaly detection", calibration: &[WINDOWS] },
    Source { name: "str_ww", about: "wake word", calibration: &["{}/data/str_ww/samples.npy"] },
    Source {
        name: "mobilenet_v2",
        about: "1,001 classes, 224×224 pixels",
        calibration: &[
            "{}/data/imagenet/images",
            "--calibration-csv",
            "{}/data/imagenet/labels.csv",
            "--calibration-split",
            "calib",
            "--calibration-samples",
            "20",
            "--mean",
            "127",
            "--scale",
            "127.5",
        ],
    },
];

impl Source {
    /// The model of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        const { &ALL }.iter().find(|source| source.name == name)
    }

    /// The model and where its samples are, for `carafe convert`, with the folder of assets as it is called.
    pub fn arguments(&self, assets: &str) -> Vec<String> {
        let model = format!("{assets}/models/{0}/{0}.xml", self.name);
        let data = self.calibration.iter().map(|word| word.replace("{}", assets));
        [model, "--calibration".to_owned()].into_iter().chain(data).collect()
    }

    /// True if the folder has it.
    pub fn is_in(&self, assets: &Path) -> bool {
        assets.join("models").join(self.name).join(self.name).with_extension("xml").exists()
    }

    /// Makes what `carafe` does not read itself: the samples of `ad` are windows of five frames of a spectrogram.
    pub fn prepare(&self, root: &Path, assets: &Path) -> Result<()> {
        const FRAME: usize = 128;
        if !self.calibration.contains(&WINDOWS) {
            return Ok(());
        }
        let path = assets.join("data/ad/normal_id_01_00000000_hist_librosa.bin");
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let all: Vec<f32> =
            bytes.chunks_exact(4).filter_map(|b| Some(f32::from_le_bytes(b.try_into().ok()?))).collect();
        let windows: Vec<f32> = all.windows(5 * FRAME).step_by(4 * FRAME).flatten().copied().collect();
        let path = root.join(WINDOWS);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        npy::write(&path, &[windows.len() / (5 * FRAME), 5 * FRAME], &windows)
    }
}

/// The folder of shared assets: `CARAFE_ASSETS`, or beside the checkout.
pub fn assets(root: &Path) -> PathBuf {
    std::env::var_os("CARAFE_ASSETS").map_or_else(|| root.join("../shared"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_the_assets_as_they_are_called() {
        let arguments = Source::find("vww").unwrap().arguments(ASSETS).join(" ");
        assert!(
            arguments.starts_with("$CARAFE_ASSETS/models/vww/vww.xml --calibration $CARAFE_ASSETS/data/"),
            "{arguments}"
        );
        assert!(Source::find("nonesuch").is_none());
        assert!(!Source::find("ad").unwrap().is_in(Path::new("/nonesuch")));
    }
}
