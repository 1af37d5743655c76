//! Two boards held against each other. What needs the emulator is skipped, and said so, where it can't be had.

use carafe_hil::firmware;
use serde_json::{Value, json};

use crate::board::emulator;
use crate::common::{Folder, blob, carafe, digits};

fn diff(more: &[&str]) -> crate::common::Ran {
    carafe(["layer-diff", &blob()].into_iter().chain(more.iter().copied()))
}

/// Rows of all ops, as `inspect` has them.
fn rows() -> u64 {
    let json = carafe(["inspect", &blob(), "--json"]).ok().json();
    let ops = json["ops"].as_array().unwrap();
    ops.iter().map(|op| op["shape"][0].as_u64().unwrap()).sum()
}

#[test]
fn a_board_agrees_with_itself() {
    let json = diff(&["--boards", "host,host", "--json", "--samples", "3"]).ok().json();
    assert_eq!((&json["same"], &json["difference"]), (&json!(true), &Value::Null));
    assert_eq!((json["samples"].as_u64(), json["rows"].as_u64()), (Some(3), Some(3 * rows())));
    assert_eq!(json["boards"], json!(["host", "host"]));

    let data = digits("test.npz");
    let text = diff(&["--boards", "host", "--boards", "host", "--input", &data, "--index", "4", "--samples", "2"]).ok();
    assert!(
        text.stdout.contains("first host and second host agree") && text.stdout.contains("2 samples"),
        "{}",
        text.stdout
    );
}

#[test]
fn boards_that_can_not_be_compared() {
    diff(&[]).fails(2, &["--boards"]);
    diff(&["--boards", "host"]).fails(2, &["two boards", "1 board given", "--boards A,B"]);
    diff(&["--boards", "host,host,host"]).fails(2, &["3 boards given"]);
    diff(&["--boards", "host,nonesuch"]).fails(2, &["nonesuch", "qemu-mps2-an386"]);
    diff(&["--boards", "host,host", "--firmware", "x.elf"]).fails(2, &["1 firmware given", "take 0"]);
    diff(&["--boards", "host,host", "--samples", "0"]).fails(2, &["--samples"]);
    diff(&["--boards", "host,host", "--seed", "1", "--input", "x.png"]).fails(2, &["--seed", "--input"]);
}

/// 1 says that the boards differ, so an error is 2.
#[test]
fn an_error_is_no_difference() {
    let folder = Folder::new();
    let boards = ["--boards", "host,host"];
    carafe(["layer-diff", &folder.at("none.carafe")].iter().copied().chain(boards)).fails(2, &["check the path"]);
    let short = folder.write("short.bin", [0; 783]);
    diff(&[boards[0], boards[1], "--raw-int8", &short]).fails(2, &["short.bin", "783 bytes"]);
    let one = folder.write("one.bin", [0; 784]);
    diff(&[boards[0], boards[1], "--raw-int8", &one]).ok();
    diff(&[boards[0], boards[1], "--raw-int8", &one, "--samples", "2"]).fails(2, &["one.bin", "one sample"]);
    let twice = [&boards[..], &["--input", &one, "--input", &one]].concat();
    diff(&twice).fails(2, &["takes 1 inputs", "2 given"]);
    let none = diff(&["--boards", "host,qemu-mps2-an386", "--firmware", &folder.at("none.elf")]);
    // Either there is no such firmware, or no emulator.
    none.fails(2, &["qemu-mps2-an386"]);
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    let elf = match emulator() {
        Ok(elf) => elf,
        Err(why) => return println!("skipped: a_model_that_does_not_fit_is_refused: {why}"),
    };
    let folder = Folder::new();
    let mut bytes = std::fs::read(blob()).unwrap();
    // What is behind the blob's own length is not looked at, but takes its room.
    bytes.resize(6 << 20, 0);
    let large = folder.write("large.carafe", bytes);
    let ran = carafe(["layer-diff", &large, "--boards", "host,qemu-mps2-an386", "--firmware", &elf]);
    ran.fails(2, &["qemu-mps2-an386", "too large"]);
}

#[test]
fn a_broken_kernel_is_named() {
    if let Err(why) = emulator() {
        return println!("skipped: a_broken_kernel_is_named: {why}");
    }
    let board = carafe_boards::find("qemu-mps2-an386").unwrap();
    let broken = firmware::build_with(board, &["broken-kernel"]).unwrap().display().to_string();
    let whole = firmware::build(board).unwrap().display().to_string();
    let boards = ["--boards", "host,qemu-mps2-an386"];
    let seven = digits("samples/7.png");

    let same = diff(&[&boards[..], &["--firmware", &whole, "--input", &seven, "--json"]].concat()).ok().json();
    assert_eq!((&same["same"], same["rows"].as_u64()), (&json!(true), Some(rows())));

    let ran = diff(&[&boards[..], &["--firmware", &broken, "--input", &seven, "--json"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{}", ran.stdout);
    let json = ran.json();
    let found = &json["difference"];
    assert_eq!((&json["same"], &found["kind"]), (&json!(false), &json!("row")));
    assert_eq!((&found["op"]["index"], &found["op"]["kind"]), (&json!(1), &json!("DepthwiseConv2d")));
    assert_eq!(found["op"]["shape"], json!([28, 28, 16]));
    let element = &found["element"];
    assert_eq!((&found["row"], &element["column"], &element["channel"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!((&element["differing"], &element["elements"]), (&json!(1), &json!(28 * 16)));
    let values = element["values"].as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(values[0] ^ values[1], 0x10, "{values:?}");
    assert_eq!((&found["operands"][0]["what"], &found["operands"][0]["index"]), (&json!("op"), &json!(0)));
    assert!(json["rows"].as_u64().unwrap() > 0);

    // The same board twice, each with a firmware of its own.
    let twice = ["--boards", "qemu-mps2-an386,qemu-mps2-an386", "--firmware", &broken, "--firmware", &whole];
    let ran = diff(&twice);
    assert_eq!(ran.code, 1);
    for part in ["differ, first in row 3 of op 1, DepthwiseConv2d", "column 2, channel 1", "first qemu", "op 0, Conv2d"]
    {
        assert!(ran.stdout.contains(part), "`{part}` is not in:\n{}", ran.stdout);
    }
}
