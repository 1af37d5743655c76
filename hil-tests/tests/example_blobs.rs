//! The blobs that the examples of real boards embed (`boards/*/examples`). They are committed, so that to build an example
//! takes no converter; this sees to it that they still run, and give the bits that they were made for.
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
fn blobs_run_and_give_their_bits() {
    let remedy = "write it anew: CARAFE_WRITE_BLOBS=1 cargo test -p carafe-hil --test example_blobs";
    for (path, build) in conversions() {
        let name = path.display();
        if env::var_os("CARAFE_WRITE_BLOBS").is_some() {
            build.write(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let blob = fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}; {remedy}"));
        let model =
            Model::verify(&blob, carafe::ops::ALL).unwrap_or_else(|error| panic!("{name}: {error:?}; {remedy}"));
        let mut arena = vec![0; model.arena_bytes()];
        let (mut fast, mut state, mut row) = (vec![0; model.fast_bytes()], vec![0; model.state_bytes()], vec![0; 4096]);
        let memory = Memory { main: &mut arena, fast: &mut fast };
        let golden = carafe_slots::golden(&model, memory, &mut state, &mut row);
        assert!(golden.is_ok(), "{name} gives other bits than it was made for: {golden:?}; {remedy}");
    }
}
