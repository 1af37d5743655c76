//! Frontends: one folder a model format. Each reads a trained model into a [`carafe_graph::Graph`].

use std::path::Path;

use carafe_graph::Graph;

mod error;

pub mod openvino;

pub use error::{FrontendError, UnsupportedLayer, UnsupportedLayers};

/// Reads the model in `path`; the extension says what it is.
///
/// # Errors
/// As [`openvino::load`], and [`FrontendError::Format`] where the extension is not `.xml`.
pub fn load(path: &Path) -> Result<Graph, FrontendError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "xml" => openvino::load(path),
        "bin" => Err(FrontendError::Format {
            file: path.display().to_string(),
            what: "holds the weights of an OpenVINO model".into(),
            remedy: "give the .xml file beside it".into(),
        }),
        "onnx" | "tflite" => Err(FrontendError::Format {
            file: path.display().to_string(),
            what: format!(".{extension} models are not supported yet"),
            remedy: "convert it to OpenVINO IR with `ovc MODEL` and give the .xml file".into(),
        }),
        _ => Err(FrontendError::Format {
            file: path.display().to_string(),
            what: "the extension names no model format".into(),
            remedy: "give an OpenVINO IR, a .xml file with its .bin beside it".into(),
        }),
    }
}
