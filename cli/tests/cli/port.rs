//! Boards behind a serial port: an emulated one's UART, that QEMU makes a pseudo-terminal of.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use carafe_boards::How;

use crate::common::{Folder, blob, carafe, digits};

const BOARD: &str = "qemu-mps2-an386";

/// QEMU, and where its UART is.
struct Emulator(Child, String);

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn emulator() -> Result<Emulator, String> {
    if !cfg!(target_os = "linux") {
        return Err("pseudo-terminals are Linux's".to_owned());
    }
    let elf = crate::board::emulator()?;
    let How::Qemu(machine) = carafe_boards::find(BOARD).unwrap().how else { panic!("{BOARD} is emulated") };
    let mut command = Command::new(machine.program);
    command.args(["-M", machine.machine, "-display", "none", "-monitor", "none", "-serial", "pty"]);
    command.args(["-semihosting-config", "enable=on,target=native", "-kernel", &elf]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let path = lines
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("/dev/")).map(str::to_owned))
        .next()
        .expect("QEMU says where its UART is");
    Ok(Emulator(child, path))
}

#[test]
fn a_board_behind_a_port_gives_the_bits_of_the_host() {
    let Emulator(_, port) = &match emulator() {
        Ok(emulator) => emulator,
        Err(why) => return println!("skipped: a_board_behind_a_port_gives_the_bits_of_the_host: {why}"),
    };
    let (file, image) = (blob(), digits("samples/hard-3.png"));
    let run = |more: &[&str]| {
        carafe(["run", &file, "--input", &image, "--json"].into_iter().chain(more.iter().copied())).ok().json()
    };
    let (here, there) = (run(&[]), run(&["--board", BOARD, "--port", port]));
    assert_eq!(there["board"], BOARD);
    assert_eq!(here["outputs"], there["outputs"]);

    let of = format!("{BOARD}={port}@115200");
    let boards = format!("host,{BOARD}");
    let same = carafe(["layer-diff", &file, "--boards", &boards, "--port", &of, "--json"]).ok().json();
    assert_eq!(same["same"], true);
    let folder = Folder::new();
    let suite = folder.write("s.toml", format!("[[model]]\nfile = '{file}'\n[[model.case]]\nrandom = 1\n"));
    let tested = carafe(["test", &suite, "--board", &boards, "--port", &of, "--json"]).ok().json();
    assert_eq!((&tested["passed"], &tested["failed"]), (&2.into(), &0.into()), "{tested}");
    for command in ["profile", "bench"] {
        let found = carafe([command, &file, "--board", BOARD, "--port", port, "--json"]).ok().json();
        assert_eq!((&found["source"], &found["instructions"]), (&"link".into(), &serde_json::Value::Null));
        assert!(found["ticks"].as_u64().unwrap() > 0, "{found}");
    }
    let flash = |more: &[&str]| {
        let at = ["--board", BOARD, "--port", port, "--json"];
        carafe(["flash"].into_iter().chain(more.iter().copied()).chain(at)).ok().json()
    };
    let is = |flashed: &serde_json::Value, outcome: &str, running: Option<&str>| {
        assert_eq!((flashed["outcome"].as_str(), flashed["running"].as_str()), (Some(outcome), running), "{flashed}");
    };
    is(&flash(&["--status"]), "status", None);
    is(&flash(&[&file]), "confirmed", Some("A"));
    is(&flash(&[&file]), "already", Some("A"));
    is(&flash(&[&file, "--force", "--no-confirm"]), "trial", Some("B"));
    // To look at it is no start, and no further trial.
    let status = flash(&["--status"]);
    is(&status, "status", Some("B"));
    assert_eq!(status["slots"][1]["trials"].as_u64(), Some(1));
    is(&flash(&["--revert"]), "reverted", Some("A"));
    let wrong = carafe(["run", &file, "--input", &image, "--board", "pico", "--port", port]);
    wrong.fails(1, &["pico", port, &format!("the firmware of {BOARD} answers")]);
}

#[test]
fn ports_that_can_not_be_are_told() {
    let (file, image) = (blob(), digits("samples/7.png"));
    let run = |more: &[&str]| carafe(["run", &file, "--input", &image].into_iter().chain(more.iter().copied()));
    run(&["--board", "pico"]).fails(1, &["pico", "--port"]);
    run(&["--board", "pico", "--port", "/dev/nonesuch"]).fails(1, &["pico", "/dev/nonesuch", "no such port"]);
    run(&["--port", "/dev/nonesuch"]).fails(1, &["host", "leave `--port` out"]);
    run(&["--board", "pico", "--port", "a@fast"]).fails(2, &["PATH@BAUD"]);
    run(&["--board", "pico", "--port", "a", "--firmware", "x.elf"]).fails(2, &["--port", "--firmware"]);
    run(&["--board", "pico", "--port", "a", "--log"]).fails(2, &["--port", "--log"]);
    let diff = |more: &[&str]| carafe(["layer-diff", &file, "--boards", "host,pico"].iter().chain(more));
    diff(&["--port", "nonesuch=/dev/x"]).fails(2, &["nonesuch", "boards are"]);
    diff(&["--port", "/dev/x"]).fails(2, &["BOARD=PATH"]);
    diff(&["--port", "nrf52840-dk=/dev/x"]).fails(2, &["nrf52840-dk", "none of the boards"]);
    diff(&["--port", "pico=/dev/nonesuch", "--firmware", "x.elf"]).fails(2, &["1 firmware given", "take 0"]);
    diff(&["--port", "pico=/dev/nonesuch"]).fails(2, &["/dev/nonesuch", "no such port"]);
}
