//! Building a board's firmware from the checkout.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use carafe_boards::{Board, How, Target};

use crate::Error;

/// The root of the checkout that this program was built in.
pub fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The folder that firmware is built in: `firmware` in the workspace's target folder.
pub fn target_dir() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    checkout().join(target).join("firmware")
}

/// Builds the firmware of a board, release profile, and returns the ELF file. What cargo says goes to standard error.
///
/// # Errors
/// The board has no firmware, the checkout is gone, the Rust target is missing (with the command that gets it), or it
/// does not compile.
pub fn build(board: &Board) -> Result<PathBuf, Error> {
    build_with(board, &[])
}

/// As [`build`], with features of the firmware's crate. Such a firmware lies in a folder of its own: a test build never
/// takes the place of the board's proper firmware.
///
/// # Errors
/// As [`build`].
pub fn build_with(board: &Board, features: &[&str]) -> Result<PathBuf, Error> {
    build_in(board, features, &[])
}

/// As [`build`], of a board that takes models only that are signed with a key: its 64 digits.
///
/// # Errors
/// As [`build`].
pub fn build_signed(board: &Board, key: &str) -> Result<PathBuf, Error> {
    build_in(board, &["signed"], &[("CARAFE_PUBLIC_KEY", Path::new(key))])
}

fn build_in(board: &Board, features: &[&str], environment: &[(&str, &Path)]) -> Result<PathBuf, Error> {
    let fail = |reason: String| Error::Firmware { board: board.name.to_owned(), reason };
    let (firmware, target) = match (board.firmware, board.target) {
        (Some(firmware), Some(target)) => (firmware, target),
        _ if board.how == How::Host => return Err(fail("it needs none".to_owned())),
        _ => return Err(fail(no_firmware(board))),
    };
    let folder = checkout().join(firmware.crate_path);
    if !folder.join("Cargo.toml").exists() {
        return Err(fail(format!(
            "{} is not there: this program needs the checkout it was built in, or the path of a firmware",
            folder.display()
        )));
    }
    let made = cargo_build(firmware.crate_path, target, RELEASE, features, environment).map_err(fail)?;
    let elf = made.join(firmware.binary);
    if elf.exists() { Ok(elf) } else { Err(fail(format!("cargo made no {}", elf.display()))) }
}

/// As [`build`], with logs (the feature `log` of the firmware's crate).
///
/// # Errors
/// As [`build`]; the firmware has no such feature.
pub fn build_logging(board: &Board) -> Result<PathBuf, Error> {
    let manifest = board.firmware.map(|firmware| checkout().join(firmware.crate_path).join("Cargo.toml"));
    let has = |text: String| text.lines().any(|line| line.starts_with("log = ["));
    if manifest.is_some_and(|path| !std::fs::read_to_string(path).is_ok_and(has)) {
        let what = "its firmware has no logs (no feature `log`)".to_owned();
        return Err(Error::Log { board: board.name.to_owned(), what });
    }
    build_with(board, &["log"])
}

/// Why a board takes no models, and what does.
fn no_firmware(board: &Board) -> String {
    let names: Vec<&str> = carafe_boards::all().iter().filter(|b| b.takes_models()).map(|b| b.name).collect();
    let bench = if board.bench { "; `carafe bench` measures models on it" } else { "" };
    format!(
        "there is no firmware yet that takes models, give one by --firmware, or use --board {}{bench}",
        names.join(" or ")
    )
}

/// Cargo's profile for firmware.
pub(crate) const RELEASE: &str = "release";

/// Builds a firmware crate, with further variables in cargo's environment. Gives the folder that its
/// programs are in, or what went wrong, and the remedy.
pub(crate) fn cargo_build(
    crate_path: &str,
    target: Target,
    profile: &str,
    features: &[&str],
    environment: &[(&str, &Path)],
) -> Result<PathBuf, String> {
    has_target(target.triple)?;
    let features = features.join(",");
    let folder = if features.is_empty() { target_dir() } else { target_dir().join(&features) };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(&cargo)
        .args(["build", "--profile", profile, "--locked", "--target", target.triple, "--features", &features])
        .args(target_cpu(target))
        .current_dir(checkout().join(crate_path))
        .envs(environment.iter().copied())
        .env("CARGO_TARGET_DIR", &folder)
        // Without it, defmt leaves out all but errors. Firmware that does not log does not look at it.
        .env("DEFMT_LOG", env::var_os("DEFMT_LOG").unwrap_or_else(|| "debug".into()))
        // Flags meant for the host's code would break the board's.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_BUILD_RUSTFLAGS")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("cargo could not be started: {error}; is it on PATH?"))?;
    if !status.success() {
        return Err(format!("cargo failed in {crate_path} (see above)"));
    }
    Ok(folder.join(target.triple).join(profile))
}

/// What tells cargo of the CPU, if the target's name does not.
fn target_cpu(target: Target) -> Vec<String> {
    let flags = |cpu| format!("target.{}.rustflags=[\"-Ctarget-cpu={cpu}\"]", target.triple);
    target.cpu.map_or_else(Vec::new, |cpu| vec!["--config".to_owned(), flags(cpu)])
}

/// Looks for the target's standard library; says the command that gets it.
fn has_target(target: &str) -> Result<(), String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", target])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("rustc could not be started: {error}"))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).exists() {
        return Ok(());
    }
    Err(format!("the Rust target {target} is not installed; get it by: rustup target add {target}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_target_comes_with_the_command_that_gets_it() {
        let error = has_target("nonesuch-none-eabi").unwrap_err();
        assert!(error.contains("rustup target add nonesuch-none-eabi"), "{error}");
    }

    #[test]
    fn the_host_has_no_firmware() {
        assert!(matches!(build(carafe_boards::find("host").unwrap()), Err(Error::Firmware { .. })));
    }

    #[test]
    fn a_board_without_firmware_says_what_to_use_instead() {
        let error = build(carafe_boards::find("qemu-mps2-an505").unwrap()).unwrap_err().to_string();
        for word in ["qemu-mps2-an505", "host", "qemu-mps2-an386", "carafe bench", "--firmware"] {
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn cargo_is_told_of_a_cpu_that_the_target_does_not_name() {
        let target = |name: &str| carafe_boards::find(name).unwrap().target.unwrap();
        assert!(target_cpu(target("qemu-mps2-an386")).is_empty());
        let m55 = target_cpu(target("qemu-mps3-an547")).join(" ");
        assert_eq!(m55, "--config target.thumbv8m.main-none-eabihf.rustflags=[\"-Ctarget-cpu=cortex-m55\"]");
    }
}
