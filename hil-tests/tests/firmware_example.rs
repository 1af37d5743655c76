//! `examples/firmware-m4` as a user has it: built by cargo from its own folder, the converter in its build.rs, and run in
//! QEMU. Skipped, and said so, where emulator or Rust target are not installed.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use carafe_boards::{Availability, How, Machine};
use carafe_hil::firmware::{checkout, target_dir};

const BOARD: &str = "qemu-mps2-an386";
const CRATE: &str = "examples/firmware-m4";
const BINARY: &str = "carafe-example-firmware-m4";
/// The emulator takes a second or two; more means that the program does not end.
const LIMIT: Duration = Duration::from_secs(120);

/// What the program needs, or why it is not there.
fn needs() -> Result<(Machine, &'static str), String> {
    let board = carafe_boards::find(BOARD).expect("the board is known");
    if let Availability::Missing { why_not } = board.availability() {
        return Err(why_not);
    }
    let (How::Qemu(machine), Some(target)) = (board.how, board.target) else { panic!("{BOARD} is an emulator") };
    let libraries = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "target-libdir", "--target", target.triple])
        .output()
        .map_err(|e| format!("rustc can't be started: {e}"))?;
    if !Path::new(String::from_utf8_lossy(&libraries.stdout).trim()).is_dir() {
        return Err(format!("Rust target {0} is not installed; get it by: rustup target add {0}", target.triple));
    }
    Ok((machine, target.triple))
}

#[test]
fn recognizes_the_samples() {
    let (machine, target) = match needs() {
        Ok(needs) => needs,
        Err(missing) => return println!("skipped: recognizes_the_samples: {missing}"),
    };
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--target", target])
        .current_dir(checkout().join(CRATE))
        .env("CARGO_TARGET_DIR", target_dir())
        // Flags meant for the host's code would break the board's.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_BUILD_RUSTFLAGS")
        .status()
        .expect("cargo starts");
    assert!(built.success(), "{CRATE} does not build (see above)");

    let mut emulator = Command::new(machine.program)
        .args(["-M", machine.machine, "-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(target_dir().join(target).join("release").join(BINARY))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the emulator starts");
    // What the program says fits the pipe many times over, so it can be read at the end.
    let begun = Instant::now();
    while emulator.try_wait().expect("the emulator is ours").is_none() {
        if begun.elapsed() > LIMIT {
            emulator.kill().expect("the emulator is ours");
            panic!("the program has not ended after {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = emulator.wait_with_output().expect("the emulator is ours");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "exit code {:?}: {said}", output.status.code());

    // Names of samples give the true digit; of these two the README says what the float model makes of them.
    let lines: Vec<&str> = said.lines().collect();
    let samples = ["0.png", "2.png", "3.png", "5.png", "7.png", "8.png", "hard-3.png", "wrong-6.png"];
    assert_eq!(lines.len(), samples.len(), "{said}");
    for (line, name) in lines.iter().zip(samples) {
        let rest = line.strip_prefix(&format!("{name}: ")).unwrap_or_else(|| panic!("{line}"));
        let (label, percent) = rest.split_once(" (").and_then(|(l, p)| Some((l, p.strip_suffix(" %)")?))).expect(line);
        let percent: u32 = percent.parse().expect(line);
        match name {
            // Unsure even in float: any label, with little confidence.
            "hard-3.png" => assert!(percent < 60, "{line}"),
            "wrong-6.png" => assert!(label == "4" && percent > 50, "{line}"),
            _ => assert!(name.starts_with(label) && percent > 85, "{line}"),
        }
    }
}
