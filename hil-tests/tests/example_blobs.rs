//! The blobs that the examples of real boards embed (`boards/*/examples`). They are committed, so that to build an example
//! takes no converter; this holds them against what the converter makes today.
//!
//! To write them anew: `CARAFE_WRITE_BLOBS=1 cargo test -p carafe-hil --test example_blobs`.

use std::path::PathBuf;
use std::{env, fs};

use carafe::{Memory, Model};
use carafe_converter::InputKind;
use carafe_converter::build::Build;
use carafe_hil::firmware::checkout;

/// Blob, and model with its data.
fn conversions() -> [(PathBuf, Build); 3] {
    let examples = checkout().join("examples");
    let sensors = examples.join("sensors");
    let sensor = |name: &str| {
        let file = |end: &str| sensors.join(format!("{name}.{end}"));
        (file("carafe"), Build::new(file("xml")).calibration(file("npz")).labels(file("txt")))
    };
    let digits = examples.join("digits");
    let camera = Build::new(digits.join("digits.xml"))
        .calibration(digits.join("calib.npz"))
        .labels(digits.join("labels.txt"))
        .input(InputKind::U8); // grey values, as the camera delivers them
    [sensor("gestures"), sensor("sounds"), (sensors.join("digits.carafe"), camera)]
}

#[test]
fn blobs_are_those_of_the_converter() {
    let remedy = "write it anew: CARAFE_WRITE_BLOBS=1 cargo test -p carafe-hil --test example_blobs";
    for (path, build) in conversions() {
        let name = path.display();
        let converted = build.convert().unwrap_or_else(|error| panic!("{name}: {error}"));
        if env::var_os("CARAFE_WRITE_BLOBS").is_some() {
            fs::write(&path, &converted.blob).unwrap();
        }
        let blob = fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}; {remedy}"));
        // Ranges are measured in float, in which machines differ in the last bit: the same bytes are too much to ask.
        assert_eq!(blob.len(), converted.blob.len(), "{name} is not what the converter makes; {remedy}");
        let model = Model::verify(&blob, carafe::ops::ALL).unwrap_or_else(|error| panic!("{name}: {error}; {remedy}"));
        let mut arena = vec![0; model.arena_bytes()];
        let (mut fast, mut state, mut row) = (vec![0; model.fast_bytes()], vec![0; model.state_bytes()], vec![0; 4096]);
        let memory = Memory { main: &mut arena, fast: &mut fast };
        let golden = carafe_slots::golden(&model, memory, &mut state, &mut row);
        assert!(golden.is_ok(), "{name} gives other bits than it was made for: {golden:?}; {remedy}");
    }
}
