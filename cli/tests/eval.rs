//! `carafe eval` on the bundled model: figures, keys, and messages.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn digits(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits").join(file)
}

fn carafe(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carafe")).args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = carafe(args);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {out}{err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

fn error(args: &[&str]) -> String {
    let output = carafe(args);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// A blob of the bundled model, with names of layers.
fn convert(folder: &Path) -> String {
    let blob = folder.join("digits.carafe").display().to_string();
    let (model, data) = (digits("digits.xml"), digits("calib.npz"));
    let (model, data) = (model.to_str().unwrap(), data.to_str().unwrap());
    json(&["convert", model, "-o", &blob, "--calibration", data, "--debug-info", "--json"]);
    blob
}

#[test]
fn digits_stay_close_to_float() {
    let folder = tempfile::tempdir().unwrap();
    let blob = convert(folder.path());
    let (data, float) = (digits("test.npz"), digits("digits.xml"));
    let (data, float) = (data.to_str().unwrap(), float.to_str().unwrap());
    let with = json(&["eval", &blob, "--data", data, "--float", float, "--json"]);
    let number = |key: &str| with[key].as_f64().unwrap_or_else(|| panic!("`{key}` in {with}"));
    assert!(number("samples") >= 100.0);
    assert!(number("top1") >= 0.97 && number("float_top1") >= 0.97, "{with}");
    assert!((0.97..=1.0).contains(&number("agreement")));
    assert!(number("sqnr_db") > 15.0 && number("logit_sqnr_db") > 15.0);
    let layers = with["layers"].as_array().unwrap();
    assert!(!layers.is_empty());
    for layer in layers {
        assert!(!layer["name"].as_str().unwrap().is_empty());
        assert!(layer["sqnr_db"].as_f64().unwrap() > 10.0, "{layer}");
        assert!((0.0..=1.0).contains(&layer["saturated"].as_f64().unwrap()), "{layer}");
    }

    // Every sample is in the matrix once, the right ones on its diagonal.
    let rows = with["confusion"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    let at = |r: usize, c: usize| rows[r][c].as_u64().unwrap();
    let all: u64 = (0..10).flat_map(|r| (0..10).map(move |c| (r, c))).map(|(r, c)| at(r, c)).sum();
    let right: u64 = (0..10).map(|i| at(i, i)).sum();
    assert_eq!(all as f64, number("samples"));
    assert!((right as f64 / all as f64 - number("top1")).abs() < 1e-9);

    // The same, as a list.
    let list = with["confusions"].as_array().unwrap();
    let sum: u64 = list.iter().map(|c| c["count"].as_u64().unwrap()).sum();
    assert_eq!(sum, all);
    for c in list {
        let [truth, answer, count] = ["truth", "answer", "count"].map(|k| c[k].as_u64().unwrap());
        assert_eq!(at(truth as usize, answer as usize), count);
    }

    // Without the float model the blob answers the same.
    let without = json(&["eval", &blob, "--data", data, "--json"]);
    for key in ["samples", "top1", "confusion"] {
        assert_eq!(with[key], without[key], "{key}");
    }
    for key in ["float_top1", "agreement", "sqnr_db"] {
        assert!(without[key].is_null() && without.get(key).is_some(), "{key}");
    }
    assert_eq!(without["layers"].as_array().unwrap().len(), 0);

    let text = carafe(&["eval", &blob, "--data", data, "--float", float]);
    let text = String::from_utf8(text.stdout).unwrap();
    for part in ["top-1", "agreement", "found, by class", "layers farthest from float"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let blob = convert(folder.path());
    let data = digits("test.npz");
    let data = data.to_str().unwrap();
    let samples = digits("samples");
    let samples = samples.to_str().unwrap();
    let says = |args: &[&str], parts: &[&str]| {
        let text = error(args);
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
    };
    says(&["eval", &blob, "--data", samples], &["samples", "--labels", "--float"]);
    says(&["eval", &blob, "--data", data, "--labels", "none.npy"], &["none.npy"]);
    says(&["eval", &blob, "--data", data, "--labels", "x.npy", "--split", "test"], &["x.npy", ".csv"]);
    says(&["eval", &blob, "--data", data, "--float", "none.xml"], &["none.xml"]);
    says(&["eval", data, "--data", data], &["test.npz", "carafe convert"]);
}
