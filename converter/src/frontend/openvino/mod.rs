//! OpenVINO IR, versions 10 and 11: an `.xml` file with the layers and a `.bin` file with the constants.
//!
//! | family | types (operation sets up to opset16) | notes |
//! |---|---|---|
//! | ends | `Parameter`, `Result`, `Const`, `Constant` | f16, bf16, f32, f64, 8 to 64 bit integers, boolean; NaN and infinity are refused |
//! | convolution | `Convolution`, `GroupConvolution` | one and two spatial axes; `auto_pad` becomes explicit padding |
//! | pools | `MaxPool`, `AvgPool` | one and two spatial axes, all rounding types; no dilations, no output of indices |
//! | products | `MatMul` | |
//! | two operands | `Add`, `Subtract`, `Multiply`, `Divide`, `Maximum`, `Minimum`, `Power`, `SquaredDifference` | numpy broadcasting |
//! | one operand | `Abs`, `Ceiling`, `Exp`, `Floor`, `Log`, `Negative`, `Sqrt` | |
//! | activations | `ReLU`, `Clamp`, `Sigmoid`, `Tanh`, `HSwish`, `HSigmoid`, `HardSigmoid`, `Elu`, `Swish`, `Gelu`, `Mish`, `SoftPlus`, `PReLU` | `PReLU` with one slope; constants in place of other operands |
//! | normalization | `BatchNormInference` | becomes a multiplication and an addition |
//! | reductions | `ReduceMean`, `ReduceSum`, `ReduceMax`, `ReduceMin`, `SoftMax` | constant axes |
//! | shapes | `Reshape`, `Squeeze`, `Unsqueeze`, `Transpose`, `Concat`, `Pad` | constant shapes, axes and pads; `Pad` of mode constant, not negative |
//! | quantization | `FakeQuantize` | constant limits, numpy broadcasting; integer constants behind `Convert` stay known as integers |
//! | parts | `Split`, `VariadicSplit`, `Slice`, `StridedSlice` | elements next to each other, along any axis |
//! | enlarging | `Interpolate` (opset4, opset11) | by whole factors, to the nearest neighbour, where that repeats elements |
//! | blocks | `SpaceToDepth` | of `[N, C, H, W]`, both modes |
//! | variables | `ReadValue`, `Assign` | where they make a window over a sequence: what was kept joined with new frames, the end of which is kept |
//! | types | `Convert` | of constants, between floats, and from an integer input to float |
//! | constants alone | `ShapeOf`, `Gather` | computed at once, as are `Concat`, `Reshape` and arithmetic on integers |
//!
//! The graph has the layout and the names of the model. A dynamic batch (`?` as the first extent of an input) becomes
//! 1; all shapes are inferred anew, and must agree with those that are stored.

use std::path::Path;

use carafe_graph::Graph;

use super::FrontendError;

mod attributes;
mod build;
mod constants;
mod fault;
mod ops;
mod xml;

/// Reads a model from its `.xml` file and the `.bin` file of the same name beside it.
///
/// # Errors
/// [`FrontendError::Read`] where one of them can't be read, and as [`parse`].
pub fn load(xml: &Path) -> Result<Graph, FrontendError> {
    load_with(xml, &xml.with_extension("bin"))
}

/// As [`load`], with the `.bin` file named.
///
/// # Errors
/// As [`load`].
pub fn load_with(xml: &Path, bin: &Path) -> Result<Graph, FrontendError> {
    let read = |path: &Path, what, remedy| {
        let error = |source| FrontendError::Read { file: path.display().to_string(), what, source, remedy };
        std::fs::read(path).map_err(error)
    };
    let file = xml.display().to_string();
    let text = read(xml, "the model", "check the path")?;
    let text = String::from_utf8(text).map_err(|_| FrontendError::Model {
        file: file.clone(),
        what: "the file is not UTF-8 text".into(),
        remedy: "give the .xml file of an OpenVINO IR".into(),
    })?;
    let bin = read(bin, "the model's constants", "an IR is two files, .xml and .bin: keep them side by side")?;
    parse(&text, &bin, &file)
}

/// Reads a model from memory. `name` stands for the file in messages, and its stem is the model's name where the model
/// has none of its own.
///
/// # Errors
/// [`FrontendError::Xml`] and [`FrontendError::Model`] where the file as a whole is wrong, [`FrontendError::Layer`] at the
/// first layer that is, and [`FrontendError::Unsupported`] with all layers that are legal but can't be run.
pub fn parse(xml: &str, bin: &[u8], name: &str) -> Result<Graph, FrontendError> {
    let document = roxmltree::Document::parse_with_options(xml, xml::options())
        .map_err(|source| FrontendError::Xml { file: name.into(), source })?;
    let ir = xml::Ir::read(&document).map_err(|what| FrontendError::Model {
        file: name.into(),
        what,
        remedy: "write the file again with `ovc`".into(),
    })?;
    let model = model_name(ir.name, name);
    build::graph(&ir, bin, name, model)
}

/// The name in the file, unless it is one that a tool gives to every model.
fn model_name(name: &str, file: &str) -> String {
    let numbered = name.strip_prefix("Model").is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()));
    let generic = numbered
        || name.ends_with("_Frontend_IR")
        || matches!(name, "" | "main_graph" | "torch_jit" | "torch-jit-export");
    let stem = Path::new(file).file_stem().and_then(|s| s.to_str()).filter(|s| !s.is_empty());
    if generic { stem.unwrap_or("model").into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::model_name;

    #[test]
    fn generic_names_give_way_to_the_file() {
        for generic in
            ["", "TensorFlow_Frontend_IR", "onnx_Frontend_IR", "TensorFlow_Lite_Frontend_IR", "Model0", "Model"]
        {
            assert_eq!(model_name(generic, "some/where/kws.xml"), "kws");
        }
        assert_eq!(model_name("keyword", "kws.xml"), "keyword");
        assert_eq!(model_name("ModelZoo", "kws.xml"), "ModelZoo");
        assert_eq!(model_name("", ""), "model");
    }
}
