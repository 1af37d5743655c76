//! The emulated board, where it can be had.

use carafe_boards::Availability;
use carafe_hil::firmware;

use crate::common::{blob, carafe, digits};

/// The board's firmware, or why there is none here.
pub fn emulator() -> Result<String, String> {
    let board = carafe_boards::find("qemu-mps2-an386").map_err(|e| e.to_string())?;
    if let Availability::Missing { why_not } = board.availability() {
        return Err(why_not);
    }
    firmware::build(board).map(|elf| elf.display().to_string()).map_err(|e| e.to_string())
}

#[test]
fn the_board_gives_the_bits_of_the_host() {
    let elf = match emulator() {
        Ok(elf) => elf,
        Err(why) => return println!("skipped: the_board_gives_the_bits_of_the_host: {why}"),
    };
    let board = ["--board", "qemu-mps2-an386", "--firmware", &elf, "--json"];
    let run = |more: &[&str]| {
        let (file, image) = (blob(), digits("samples/hard-3.png"));
        carafe(["run", &file, "--input", &image].into_iter().chain(more.iter().copied())).ok().json()
    };
    let (here, there) = (run(&["--json"]), run(&board));
    assert_eq!((here["board"].as_str(), there["board"].as_str()), (Some("host"), Some("qemu-mps2-an386")));
    assert_eq!(here["outputs"], there["outputs"]);
    assert_eq!((&here["arena_high_water"], &here["steps"]), (&there["arena_high_water"], &there["steps"]));

    let demo = carafe(["demo", "--samples", "3"].into_iter().chain(board)).ok().json();
    let ran = &demo["board"];
    assert_eq!(
        (ran["ran"].as_bool(), ran["samples"].as_u64(), ran["same_bits"].as_bool()),
        (Some(true), Some(3), Some(true))
    );
}

#[test]
fn a_firmware_that_answers_nothing_is_told() {
    if let Err(why) = emulator() {
        return println!("skipped: a_firmware_that_answers_nothing_is_told: {why}");
    }
    let (file, image) = (blob(), digits("samples/7.png"));
    let no_firmware = digits("labels.txt");
    let ran = carafe(["run", &file, "--input", &image, "--board", "qemu-mps2-an386", "--firmware", &no_firmware]);
    ran.fails(1, &["qemu-mps2-an386"]);
}

#[test]
fn a_new_board_builds() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().display().to_string();
    let new = |more: &[&str]| carafe(["boards", "new", "--into", &into].into_iter().chain(more.iter().copied()));
    new(&["qemu-leon3"]).fails(1, &["there is a board `qemu-leon3` already"]);
    new(&["My Board"]).fails(1, &["lower-case"]);
    new(&["mine", "--from", "host"]).fails(2, &["host", "--from"]);

    let made = new(&["my-board", "--json"]).ok().json();
    assert_eq!((made["from"].as_str(), made["name"].as_str()), (Some("qemu-microbit"), Some("my-board")));
    new(&["my-board"]).fails(1, &["is there already"]);
    let here = folder.path().join("my-board");
    let main = std::fs::read_to_string(here.join("src/main.rs")).unwrap();
    assert!(main.contains("\"my-board\"") && !main.contains("qemu-microbit\""), "{main}");

    let board = carafe_boards::find("qemu-microbit").unwrap();
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--locked", "--offline"]).current_dir(&here);
    firmware::set_target(&mut cargo, board.target.unwrap());
    // That of all firmware: what it has in common with the others is there already.
    assert!(cargo.env("CARGO_TARGET_DIR", firmware::target_dir()).status().unwrap().success());
}
