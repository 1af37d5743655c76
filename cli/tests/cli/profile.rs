//! What a board's own counter, stack and log say. What needs the emulator is skipped, and said so, where it can't be had.

use serde_json::json;

use crate::board::emulator;
use crate::common::{blob, carafe, digits};

#[test]
fn the_host_profiles_itself() {
    let json = carafe(["profile", &blob(), "--json"]).ok().json();
    assert_eq!(
        (&json["board"], &json["source"], &json["counter"]["kind"]),
        (&json!("host"), &json!("process"), &json!("time"))
    );
    assert!(json["milliseconds"].as_f64().unwrap() > 0.0);
    let ops = json["ops"].as_array().unwrap();
    let inspected = carafe(["inspect", &blob(), "--json"]).ok().json();
    assert_eq!(ops.len(), inspected["ops"].as_array().unwrap().len());
    for (op, known) in ops.iter().zip(inspected["ops"].as_array().unwrap()) {
        for key in ["index", "kind", "macs", "shape"] {
            assert_eq!(op[key], known[key], "{key}");
        }
    }
    let share = |value: &serde_json::Value| value["share"].as_f64().unwrap();
    let sum: f64 = ops.iter().map(share).sum::<f64>() + share(&json["outside_ops"]);
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    let text = carafe(["profile", &blob()]).ok().stdout;
    assert!(text.contains("microseconds") && text.contains("wall clock") && text.contains(" planned"), "{text}");
}

#[test]
fn a_board_profiles_by_its_own_counter() {
    let elf = match emulator() {
        Ok(elf) => elf,
        Err(why) => return println!("skipped: a_board_profiles_by_its_own_counter: {why}"),
    };
    let board = ["--board", "qemu-mps2-an386", "--firmware", &elf];
    let file = blob();
    let json = carafe(["profile", &file, "--json"].into_iter().chain(board)).ok().json();
    assert_eq!((&json["source"], &json["counter"]["hz"]), (&json!("link"), &json!(25_000_000)));
    let whole = json["instructions"].as_u64().unwrap();
    let ops = json["ops"].as_array().unwrap();
    let in_ops: u64 = ops.iter().map(|op| op["instructions"].as_u64().unwrap()).sum();
    // Looking at the timer takes some instructions a step.
    assert!(in_ops > whole / 2 && in_ops < whole + whole / 10, "{in_ops} of {whole}");
    assert_eq!(json["arena_high_water"], json["arena_bytes"]);
    assert!((500..4_000).contains(&json["stack_bytes"].as_u64().unwrap()));
    let again = carafe(["profile", &file, "--json"].into_iter().chain(board)).ok().json();
    assert!(again["instructions"].as_u64().unwrap().abs_diff(whole) <= 2);

    let text = carafe(["profile", &file].into_iter().chain(board)).ok().stdout;
    for part in ["instructions an inference", "DepthwiseConv2d", "28x28x16", "no cycles", "stack"] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let image = digits("samples/7.png");
    let run = carafe(["run", &file, "--input", &image].into_iter().chain(board)).ok().stdout;
    assert!(run.contains(" of them used") && run.contains("bytes of stack"), "{run}");
}

#[test]
fn a_board_tells_what_it_logs() {
    if let Err(why) = emulator() {
        return println!("skipped: a_board_tells_what_it_logs: {why}");
    }
    let (file, image) = (blob(), digits("samples/7.png"));
    let bytes = std::fs::metadata(&file).unwrap().len();
    // Their timers differ.
    for board in ["qemu-mps2-an386", "qemu-mps3-an547"] {
        let args = ["run", &file, "--input", &image, "--board", board, "--log"];
        let ran = carafe(args).ok();
        let line = ran.stderr.lines().find(|line| line.contains("model of")).expect("a line of the log");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words[0].parse::<f64>().is_ok(), "{line}");
        let arena = carafe(["inspect", &file, "--json"]).ok().json()["arena_bytes"].clone();
        assert_eq!(words[1..].join(" "), format!("DEBUG model of {bytes} bytes, arena {arena}"));
        let json = carafe(args.into_iter().chain(["--json"])).ok().json();
        assert_eq!((&json["log"][0]["level"], json["log"].as_array().unwrap().len()), (&json!("debug"), 2));
        assert!(json["log"][1]["text"].as_str().unwrap().starts_with("run of "));
    }
}
