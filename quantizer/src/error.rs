//! What can stop a quantization.

use carafe_graph::GraphError;

/// Why a graph could not be quantized. Every message names the tensor, node or sample and a remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantError {
    /// No calibration sample was given.
    #[error(
        "model `{model}`: no calibration samples: int8 ranges are measured on real inputs. Give a few hundred typical \
         ones, e.g. `--calibration DATA`, where DATA is a folder of images, an .npy or an .npz"
    )]
    NoSamples {
        /// Model name.
        model: String,
    },
    /// No calibration sample was given, and the ranges that the model brings along do not say all.
    #[error(
        "model `{model}` brings its own ranges, but none for {count} of its values ({values}), and none follow from the \
         others: give a few typical inputs, e.g. `--calibration DATA`, to measure these"
    )]
    NoRanges {
        /// Model name.
        model: String,
        /// Number of values.
        count: usize,
        /// Names of the first of them.
        values: String,
    },
    /// A FakeQuantize of the model cannot be kept.
    #[error("{origin} `{node}` {what}; quantize the model again with `nncf.quantize`, or give the float model")]
    FakeQuantize {
        /// Name of the node.
        node: String,
        /// What it was in the source model.
        origin: String,
        /// What is wrong with it.
        what: String,
    },
    /// A sample has too few or too many tensors.
    #[error(
        "calibration sample {sample} has {got} tensors, but model `{model}` has {expected} inputs ({inputs}): give one tensor per input, in that order"
    )]
    SampleInputs {
        /// Index of the sample.
        sample: usize,
        /// Model name.
        model: String,
        /// Number of graph inputs.
        expected: usize,
        /// Number of tensors.
        got: usize,
        /// Names of the inputs.
        inputs: String,
    },
    /// A tensor of a sample has another shape than the input.
    #[error(
        "calibration sample {sample}: input `{input}` needs shape {expected:?}, got {got:?}: resize or reorder the data (samples are single, batch 1, in the layout of the graph)"
    )]
    SampleShape {
        /// Index of the sample.
        sample: usize,
        /// Input name.
        input: String,
        /// Shape in the graph.
        expected: Vec<usize>,
        /// Shape given.
        got: Vec<usize>,
    },
    /// A tensor of a sample holds integers.
    #[error("calibration sample {sample}: input `{input}` needs 32-bit floats, got integers: convert the data")]
    SampleType {
        /// Index of the sample.
        sample: usize,
        /// Input name.
        input: String,
    },
    /// A sample holds NaN or an infinity.
    #[error(
        "calibration sample {sample}: input `{input}` is {value} at element {element}: remove the sample, or check its normalisation (division by zero?)"
    )]
    SampleNotFinite {
        /// Index of the sample.
        sample: usize,
        /// Input name.
        input: String,
        /// Index of the element, row-major.
        element: usize,
        /// What it is.
        value: f32,
    },
    /// A constant holds NaN or an infinity.
    #[error(
        "constant `{tensor}` of {kind} `{node}` is {value} at element {element}: the model file is damaged or its training diverged; export it again and check its weights"
    )]
    ConstantNotFinite {
        /// Name of the constant.
        tensor: String,
        /// Kind of the node that reads it.
        kind: &'static str,
        /// Name of that node.
        node: String,
        /// Index of the element, row-major.
        element: usize,
        /// What it is.
        value: f32,
    },
    /// A node made NaN or an infinity.
    #[error(
        "{kind} `{node}` ({origin}) made {value} (element {element}) on calibration sample {sample}: check that the sample is normalised as in training; if it is, the float model itself overflows here"
    )]
    ActivationNotFinite {
        /// Kind of the node.
        kind: &'static str,
        /// Name of the node.
        node: String,
        /// What it was in the source model.
        origin: String,
        /// Index of the sample.
        sample: usize,
        /// Index of the element, row-major.
        element: usize,
        /// What it is.
        value: f32,
    },
    /// Weights or biases are computed, or are integers.
    #[error(
        "{kind} `{node}`: operand `{tensor}` must be a constant of floats: only static weights can be quantized; freeze the model, or fold constants before"
    )]
    NotConstant {
        /// Kind of the node.
        kind: &'static str,
        /// Name of the node.
        node: String,
        /// Name of the operand.
        tensor: String,
    },
    /// The graph is inconsistent.
    #[error("the graph cannot be quantized")]
    Graph(#[from] GraphError),
    /// The float executor refused a sample.
    #[error("the float model does not run on calibration sample {sample}")]
    Run {
        /// Index of the sample.
        sample: usize,
        /// Why.
        source: GraphError,
    },
}
