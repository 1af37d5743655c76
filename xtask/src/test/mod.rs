//! `cargo xtask test`: every test there is.

mod libtest;
mod summary;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use carafe_boards::Target;
use carafe_hil::firmware;

use crate::workspace::{Workspace, boards_with_firmware, is_real, succeeds};
use crate::{setup, size};
use summary::{Skip, Step, Summary};

/// The device's crates: those that build without an operating system.
const DEVICE_CRATES: [&str; 5] = ["carafe-cpu", "carafe", "carafe-protocol", "carafe-runner", "carafe-vector-engine"];

/// Why the tests of the feature `probe` are none of these, and how they are run.
const PROBE: &str =
    "probe-rs takes minutes to build; run them by: cargo test -p carafe-hil --features probe --lib probe";

/// Sets up, and runs everything. True if nothing failed.
pub fn test(workspace: &Workspace) -> Result<bool> {
    heading("setup");
    eprint!("{}", setup::set_up(workspace));

    let mut summary = Summary::default();
    for target in setup::firmware_targets() {
        let name = format!("device crates for {}", target.triple);
        summary.step(name, can_build(target), || check_device_crates(workspace, target, &[]));
    }
    if let Some(&target) = setup::firmware_targets().iter().find(|target| !target.build_std) {
        summary.step(format!("device crates with defmt for {}", target.triple), can_build(target), || {
            check_device_crates(
                workspace,
                target,
                &["--features", "carafe/defmt,carafe-protocol/defmt,carafe-runner/defmt"],
            )
        });
    }
    for (board, firmware, target) in boards_with_firmware() {
        summary.step(format!("firmware of {}", board.name), can_build(target), || {
            workspace.build_firmware(firmware.crate_path, target, "release", &[]).map(|_| Ok(()))
        });
        if is_real(board) {
            summary.step(format!("examples of {}", board.name), can_build(target), || {
                workspace.check_examples(firmware.crate_path, target).map(|()| Ok(()))
            });
        }
    }
    let needs = size::TARGETS.map(Target::plain).into_iter().try_for_each(can_build);
    summary.step("size, and no panic linked".to_owned(), needs, || {
        let report = size::measure(workspace, 0)?;
        eprint!("{report}");
        Ok(if report.ok { Ok(()) } else { Err("something is too large, or a firmware can panic".to_owned()) })
    });
    summary.add(workspace_tests(workspace)?);
    summary.step("debug probes by probe-rs".to_owned(), Err(PROBE.to_owned()), || Ok(Ok(())));
    let version = &workspace.rust_version;
    let needs = if setup::has_toolchain(version) { Ok(()) } else { Err(format!("Rust {version} is not installed")) };
    summary.step(format!("everything checks with Rust {version}"), needs, || {
        let mut command = Command::new("rustup");
        command.args(["run", version, "cargo", "check", "--quiet", "--workspace"]).current_dir(&workspace.root);
        // Cargo names its own toolchain to what it runs.
        command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
        passes(&mut command)
    });

    print!("{summary}");
    Ok(summary.failed() == 0)
}

/// What a step that runs one program says: that it works, or why it does not.
type Verdict = std::result::Result<(), String>;

impl Summary {
    /// Runs a step that counts as one test, unless what it needs is missing.
    fn step(&mut self, name: String, needs: Verdict, run: impl FnOnce() -> Result<Verdict>) {
        heading(&name);
        let begun = Instant::now();
        let mut step = Step { name: name.clone(), ..Step::default() };
        match needs {
            Err(reason) => {
                eprintln!("skipped: {reason}");
                step.skips.push(Skip { test: name, reason });
                step.skipped = 1;
            }
            Ok(()) => match run().unwrap_or_else(|error| Err(format!("{error:#}"))) {
                Ok(()) => step.passed = 1,
                Err(reason) => {
                    eprintln!("failed: {reason}");
                    step.failures.push(format!("{name}: {reason}"));
                    step.failed = 1;
                }
            },
        }
        step.seconds = begun.elapsed().as_secs();
        self.add(step);
    }
}

fn heading(name: &str) {
    eprintln!("\n==> {name}");
}

fn can_build(target: Target) -> Verdict {
    firmware::missing(target).map_or(Ok(()), Err)
}

fn passes(command: &mut Command) -> Result<Verdict> {
    Ok(if succeeds(command)? {
        Ok(())
    } else {
        let program = Path::new(command.get_program());
        let mut line = program.file_stem().unwrap_or(program.as_os_str()).display().to_string();
        for argument in command.get_args() {
            // Writing to a string does not fail.
            let _ = write!(line, " {}", argument.display());
        }
        Err(format!("`{line}` failed"))
    })
}

/// Without making code of them: the firmware of boards does that, for each of these targets.
fn check_device_crates(workspace: &Workspace, target: Target, features: &[&str]) -> Result<Verdict> {
    let mut command = workspace.cargo();
    command.args(["check", "--quiet", "--lib", "--no-default-features"]).args(features);
    if target.build_std {
        command.arg("--target-dir").arg(workspace.firmware_dir(target));
    }
    firmware::set_target(&mut command, target);
    for name in DEVICE_CRATES {
        command.args(["--package", name]);
    }
    passes(&mut command)
}

/// The tests of the workspace, documentation tests included. What passing tests print is not shown, but for the
/// lines by which they say what they skipped.
fn workspace_tests(workspace: &Workspace) -> Result<Step> {
    heading("tests of the workspace");
    let begun = Instant::now();
    let mut child = workspace
        .cargo()
        .args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo can't be started")?;
    let mut reader = libtest::Reader::default();
    let output = child.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(output).split(b'\n') {
        // A test may print bytes that are no text.
        let line = line.context("the output of cargo can't be read")?;
        let line = String::from_utf8_lossy(&line);
        if reader.line(line.trim_end_matches('\r')) {
            println!("{line}");
        }
    }
    let status = child.wait().context("cargo can't be waited for")?;
    let mut step = reader.finish(status.success());
    step.name = "tests of the workspace".to_owned();
    step.seconds = begun.elapsed().as_secs();
    Ok(step)
}
