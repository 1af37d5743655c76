//! What the guide promises of models from PyTorch, Keras and ONNX: `examples/guide/from_*.py` wrote the models, and
//! printed the scores below.

use std::path::Path;

use crate::common::{Folder, carafe, digits};

/// Options that say what the pixels become, and what the framework answers to image 285 of the test set, a seven.
const WAYS: [(&str, &[&str], [f32; 10]); 3] = [
    (
        "pytorch",
        &["--mean", "33.3", "--scale", "78.6"],
        [-3.9244, -9.9684, -4.9490, -7.3238, -10.7700, -13.0993, -20.8326, 10.5816, -6.8947, 2.6499],
    ),
    ("keras", &[], [0.0003, 0.0, 0.0, 0.0, 0.0, 0.0001, 0.0, 0.9938, 0.0, 0.0058]),
    ("onnx", &["--scale", "255"], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9998, 0.0, 0.0002]),
];

#[test]
fn models_of_all_three_frameworks_answer_as_there() {
    let folder = Folder::new();
    for (name, options, scores) in WAYS {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/guide");
        let model = guide.join(name).with_extension("xml").display().to_string();
        let output = folder.at("out.carafe");
        let (calibration, labels, test) = (digits("calib.npz"), digits("labels.txt"), digits("test.npz"));
        let convert = ["convert", &model, "-o", &output, "--calibration", &calibration, "--labels", &labels];
        carafe(convert.iter().chain(&["--layout", "nhwc"]).chain(options)).ok();

        let ran = carafe(["run", &output, "--input", &test, "--index", "285", "--json"]).ok().json();
        let values = ran["outputs"][0]["values"].as_array().unwrap();
        let most = scores.iter().fold(0.0f32, |m, s| m.max(s.abs()));
        for (class, (value, score)) in values.iter().zip(scores).enumerate() {
            let off = (value.as_f64().unwrap() as f32 - score).abs();
            assert!(off < 0.03 * most, "{name}, class {class}: {value}, not {score}");
        }
        assert_eq!(ran["top"][0]["label"], "7");

        let found = carafe(["eval", &output, "--data", &test, "--float", &model, "--json"]).ok().json();
        let number = |key: &str| found[key].as_f64().unwrap();
        assert!(number("agreement") > 0.97 && number("sqnr_db") > 25.0, "{name}: {found}");
        // Trained for seconds, on a hundred images.
        assert!(number("top1") > 0.75 && number("top1") > number("float_top1") - 0.02, "{name}: {found}");
    }
}
