//! `carafe bench` on the emulated boards. Skipped, and said so, where the emulator is not installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use carafe_boards::Availability;
use serde_json::Value;

const BOARD: &str = "qemu-mps2-an386";

fn carafe(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carafe")).args(args).output().unwrap()
}

fn text(args: &[&str]) -> String {
    let output = carafe(args);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {out}{err}");
    out.into_owned()
}

fn json(args: &[&str]) -> Value {
    let out = text(args);
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

fn digits(file: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits").join(file);
    path.display().to_string()
}

#[test]
fn counts_the_bundled_model() {
    if let Availability::Missing { why_not } = carafe_boards::find(BOARD).unwrap().availability() {
        println!("skipped: bench: {why_not}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let convert = |name: &str, more: &[&str]| {
        let blob = folder.path().join(name).display().to_string();
        let (model, data) = (digits("digits.xml"), digits("calib.npz"));
        json(&[&["convert", &model, "-o", &blob, "--calibration", &data, "--json"], more].concat());
        blob
    };
    let blob = convert("digits.carafe", &["--debug-info"]);
    let inspected = json(&["inspect", &blob, "--json"]);
    let found = json(&["bench", &blob, "--board", BOARD, "--json"]);
    let number = |v: &Value| v.as_u64().unwrap_or_else(|| panic!("{v} in {found}"));

    assert_eq!(found["board"], BOARD);
    assert_eq!(found["arena_bytes"], inspected["arena_bytes"]);
    assert_eq!(found["flash"]["model_bytes"], inspected["blob_bytes"]);
    let total = number(&found["instructions"]);
    let macs = number(&inspected["macs"]);
    let per_mac = found["instructions_per_mac"].as_f64().unwrap();
    assert!((per_mac - total as f64 / macs as f64).abs() < 1e-9);
    assert!((0.3..30.0).contains(&per_mac), "{per_mac}");
    assert!((100..16_384).contains(&number(&found["stack_bytes"])), "{}", found["stack_bytes"]);
    assert!((4_096..65_536).contains(&number(&found["flash"]["runtime_bytes"])), "{}", found["flash"]);

    let ops = found["ops"].as_array().unwrap();
    assert_eq!(ops.len(), inspected["ops"].as_array().unwrap().len());
    for (op, known) in ops.iter().zip(inspected["ops"].as_array().unwrap()) {
        for key in ["index", "kind", "macs", "name"] {
            assert_eq!(op[key], known[key], "{key}");
        }
        assert!(number(&op["instructions"]) > 0 && number(&op["steps"]) > 0, "{op}");
    }
    let sum: u64 = ops.iter().map(|op| number(&op["instructions"])).sum();
    assert!(sum <= total && sum * 10 >= total * 8, "{sum} of {total}");
    assert!(Path::new(found["firmware"].as_str().unwrap()).exists());

    // The same to the instruction when it is counted again; the firmware is there already.
    let again = text(&["bench", &blob, "--board", BOARD]);
    let with_commas = |n: u64| {
        let digits = n.to_string();
        let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
        groups.join(",")
    };
    assert!(again.contains(&with_commas(total)), "{total} is not in: {again}");
    assert!(again.contains("Conv2d") && again.contains("choice of steps"), "{again}");

    // Compiled for flash it is slower, and takes less.
    let small = json(&["bench", &blob, "--board", BOARD, "--small", "--json"]);
    assert!(number(&small["instructions"]) > total, "{small}");
    assert!(number(&small["flash"]["runtime_bytes"]) < number(&found["flash"]["runtime_bytes"]), "{small}");

    // Rows pushed one by one are an inference as well.
    let pushed = convert("pushed.carafe", &["--push-rows"]);
    let found = json(&["bench", &pushed, "--board", BOARD, "--json"]);
    assert!(found["instructions"].as_u64().unwrap() > total / 2, "{found}");
    assert_eq!(found["arena_bytes"], json(&["inspect", &pushed, "--json"])["arena_bytes"]);
}

#[test]
fn every_core_gives_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("digits.carafe").display().to_string();
    for board in carafe_boards::all().iter().filter(|board| board.bench && board.name != BOARD) {
        if let Availability::Missing { why_not } = board.availability() {
            println!("skipped: bench on {}: {why_not}", board.name);
            continue;
        }
        let (model, data) = (digits("digits.xml"), digits("calib.npz"));
        json(&["convert", &model, "-o", &blob, "--calibration", &data, "--board", board.name, "--json"]);
        // It fails unless the board computes what the converter did, in the blob's golden check.
        let found = json(&["bench", &blob, "--board", board.name, "--json"]);
        assert_eq!(found["board"], board.name);
        let per_mac = found["instructions_per_mac"].as_f64().unwrap();
        assert!((0.1..30.0).contains(&per_mac), "{}: {per_mac}", board.name);
    }
}

#[test]
fn the_host_is_timed() {
    let folder = tempfile::tempdir().unwrap();
    let blob = folder.path().join("digits.carafe").display().to_string();
    json(&["convert", &digits("digits.xml"), "-o", &blob, "--calibration", &digits("calib.npz"), "--json"]);
    let inspected = json(&["inspect", &blob, "--json"]);
    let found = json(&["bench", &blob, "--board", "host", "--json"]);
    let number = |key: &str| found[key].as_f64().unwrap_or_else(|| panic!("{key} in {found}"));
    assert!(number("inferences_per_second") > 1.0 && number("inferences_per_second_all_threads") > 1.0, "{found}");
    assert!(number("threads") >= 1.0 && number("inferences") >= 5.0, "{found}");
    assert!(found["clock"].as_str().unwrap().contains("wall clock"), "{found}");
    let ops = found["ops"].as_array().unwrap();
    assert_eq!(ops.len(), inspected["ops"].as_array().unwrap().len());
    for (op, known) in ops.iter().zip(inspected["ops"].as_array().unwrap()) {
        for key in ["index", "kind", "macs"] {
            assert_eq!(op[key], known[key], "{key}");
        }
        assert!(op["nanoseconds"].as_u64().unwrap() > 0 && op["steps"].as_u64().unwrap() > 0, "{op}");
    }
    let said = text(&["bench", &blob, "--board", "host"]);
    assert!(said.contains("inferences a second on one thread") && said.contains("wall clock"), "{said}");
    assert!(!said.contains("instructions"), "{said}");
}
