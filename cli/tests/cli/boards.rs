//! The commands that run a model, on every emulated board: those without an emulator or a toolchain here are skipped, and that
//! is said.

use std::path::Path;

use carafe_boards::{Availability, How};
use carafe_hil::firmware;
use serde_json::json;

use crate::common::{Folder, carafe};

/// A model that fits the smallest board, and an input for it.
fn tiny(folder: &Folder) -> [String; 2] {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil-tests/golden/nncf");
    let file = |name: &str| golden.join(name).display().to_string();
    let (blob, data) = (folder.at("tiny.carafe"), file("tiny.npz"));
    carafe(["convert", &file("tiny.xml"), "-o", &blob, "--calibration", &data]).ok();
    [blob, data]
}

#[test]
fn every_emulated_board_runs_profiles_and_agrees_row_by_row() {
    let folder = Folder::new();
    let [blob, data] = tiny(&folder);
    let run = |board: &str| carafe(["run", &blob, "--input", &data, "--board", board, "--json"]).ok().json();
    let here = run("host");
    for board in carafe_boards::all() {
        if board.firmware.is_none() || !matches!(board.how, How::Qemu(_)) {
            continue;
        }
        let name = board.name;
        let missing = match board.availability() {
            Availability::Missing { why_not } => Some(why_not),
            Availability::Available => firmware::why_not(board),
        };
        if let Some(why_not) = missing {
            println!("skipped: every_emulated_board_runs_profiles_and_agrees_row_by_row on {name}: {why_not}");
            continue;
        }
        let there = run(name);
        assert_eq!((&there["board"], &there["outputs"]), (&json!(name), &here["outputs"]));

        let boards = format!("host,{name}");
        let diff = carafe(["layer-diff", &blob, "--boards", &boards, "--samples", "2", "--json"]).ok().json();
        assert_eq!((&diff["same"], &diff["samples"], &diff["difference"]), (&json!(true), &json!(2), &json!(null)));

        let profile = carafe(["profile", &blob, "--board", name, "--json"]).ok().json();
        assert_eq!((&profile["board"], &profile["source"]), (&json!(name), &json!("link")));
        let number = |value: &serde_json::Value| value.as_u64().unwrap_or_else(|| panic!("{name}: {profile}"));
        let whole = number(&profile["instructions"]);
        let in_ops: u64 = profile["ops"].as_array().unwrap().iter().map(|op| number(&op["instructions"])).sum();
        assert!(whole > 1_000 && in_ops > whole / 4 && in_ops < 2 * whole, "{name}: {in_ops} of {whole}");
        assert_eq!(profile["arena_high_water"], profile["arena_bytes"], "{name}");
        assert!((200..4_000).contains(&number(&profile["stack_bytes"])), "{name}: {profile}");
    }
}
