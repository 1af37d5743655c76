//! Building a board's firmware from the checkout.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use carafe_boards::{Availability, Board, How, Target};

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

/// The folder in that for firmware in which it is built for a target. One of its own where `core` is compiled along: the variable that
/// allows it is one that build scripts look at, so that all that stands on them would be compiled again at each turn.
pub fn subfolder(target: Target) -> &'static str {
    if target.build_std { "build-std" } else { "" }
}

/// Builds the firmware of a board, release profile, and returns the ELF file. What cargo says goes to standard error.
///
/// # Errors
/// The board has no firmware, the checkout is gone, the Rust target is missing (with the command that gets it), or it
/// does not compile.
pub fn build(board: &Board) -> Result<PathBuf, Error> {
    build_with(board, &[])
}

/// As [`build`], with features of the firmware's crate. Such a firmware lies in a place of its own: a test build never
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
    let programs = [firmware.binary];
    let made = cargo_build(firmware.crate_path, target, RELEASE, features, environment, &programs).map_err(fail)?;
    Ok(made.join(firmware.binary))
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
    let ours = |b: &&Board| b.takes_models() && !matches!(b.how, How::Probe { .. });
    let names: Vec<&str> = carafe_boards::all().iter().filter(ours).map(|b| b.name).collect();
    let bench = if board.bench { "; `carafe bench` measures models on it" } else { "" };
    format!(
        "there is no firmware yet that takes models, give one by --firmware, or use --board {}{bench}",
        names.join(" or ")
    )
}

/// Cargo's profile for firmware.
pub(crate) const RELEASE: &str = "release";

/// Builds a firmware crate, with further variables in cargo's environment. Gives the folder that these
/// programs of it are in, or what went wrong, and the remedy.
///
/// What crates have in common is compiled once, whatever their features are, so cargo has one folder for all of them. The
/// programs are taken from there to a folder for these features before another build may replace them.
pub(crate) fn cargo_build(
    crate_path: &str,
    target: Target,
    profile: &str,
    features: &[&str],
    environment: &[(&str, &Path)],
    programs: &[&str],
) -> Result<PathBuf, String> {
    has_target(target)?;
    let features = features.join(",");
    let all = target_dir();
    let folder = all.join(subfolder(target));
    let taken = all.join("programs").join(target.triple).join(profile).join(&features);
    let failed = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
    fs::create_dir_all(&taken).map_err(|error| failed(&taken, error))?;
    let lock = all.join("lock");
    let held = File::create(&lock).and_then(|held| held.lock().map(|()| held)).map_err(|error| failed(&lock, error))?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.args(["build", "--profile", profile, "--locked", "--features", &features]);
    set_target(&mut command, target);
    let status = command
        .current_dir(checkout().join(crate_path))
        .envs(environment.iter().copied())
        .env("CARGO_TARGET_DIR", &folder)
        // Without it, defmt leaves out all but errors. Firmware that does not log does not look at it.
        .env("DEFMT_LOG", env::var_os("DEFMT_LOG").unwrap_or_else(|| "debug".into()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("cargo could not be started: {error}; is it on PATH?"))?;
    if !status.success() {
        return Err(format!("cargo failed in {crate_path} (see above)"));
    }
    let made = folder.join(target.triple).join(profile);
    for program in programs {
        // An emulator may be about to read the one that is there.
        let (from, new, to) = (made.join(program), taken.join(format!("{program}.new")), taken.join(program));
        fs::copy(&from, &new).map_err(|error| failed(&from, error))?;
        fs::rename(&new, &to).map_err(|error| failed(&to, error))?;
    }
    drop(held);
    Ok(taken)
}

/// Tells cargo what to compile for, and keeps from it what the environment says of other code.
pub fn set_target(command: &mut Command, target: Target) {
    // Flags meant for the host's code would break the board's.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(variable);
    }
    command.args(["--target", target.triple]);
    let flags = rustflags(target);
    if !flags.is_empty() {
        let list: Vec<String> = flags.iter().map(|flag| format!("\"{flag}\"")).collect();
        command.args(["--config", &format!("target.{}.rustflags=[{}]", target.triple, list.join(","))]);
    }
    if target.build_std {
        // What `-Z` asks for is not for the stable compiler, but it can do it, and it is the one that all else is built by.
        command.args(["-Zbuild-std=core"]).env("RUSTC_BOOTSTRAP", "1");
    }
}

/// Refuses a board whose tools are not among those that everything else needs and that are missing: it can't be reached,
/// as if the emulator were.
///
/// # Errors
/// [`Error::Unavailable`], with the command that gets what is missing.
pub fn can_be_built(board: &Board) -> Result<(), Error> {
    match why_not(board) {
        Some(why_not) if board.target.is_some_and(|target| target.build_std) => {
            Err(Error::Unavailable { board: board.name.to_owned(), why_not })
        }
        _ => Ok(()),
    }
}

fn rustflags(target: Target) -> Vec<String> {
    let mut flags: Vec<String> = target.cpu.map(|cpu| format!("-Ctarget-cpu={cpu}")).into_iter().collect();
    if let Some(linker) = target.linker {
        flags.extend(["-Clinker-flavor=ld".to_owned(), format!("-Clinker={}", linker.program)]);
        flags.extend(linker.arguments.iter().map(|argument| format!("-Clink-arg={argument}")));
    }
    flags
}

/// The command line that builds a firmware crate in its own folder, for people.
pub fn build_command(target: Target) -> String {
    let mut command = Command::new("cargo");
    command.args(["build", "--release"]);
    set_target(&mut command, target);
    let variables = if target.build_std { "RUSTC_BOOTSTRAP=1 " } else { "" };
    let words = command.get_args().map(|word| word.to_string_lossy());
    let quoted = words.map(|word| if word.contains('"') { format!("'{word}'") } else { word.into_owned() });
    format!("{variables}cargo {}", quoted.collect::<Vec<_>>().join(" "))
}

/// What is missing to compile for a board, and the command that gets it; `None` if it can be done, or nothing has to.
pub fn why_not(board: &Board) -> Option<String> {
    missing(board.target?)
}

/// As [`why_not`], of a target.
pub fn missing(target: Target) -> Option<String> {
    missing_library(target).or_else(|| match target.linker?.availability() {
        Availability::Available => None,
        Availability::Missing { why_not } => Some(why_not),
    })
}

/// What is missing of the target's standard library, or of what it is made of, and the command that gets it.
pub fn missing_library(target: Target) -> Option<String> {
    has_target(target).err()
}

fn has_target(target: Target) -> Result<(), String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let what: &[&str] = if target.build_std {
        &["--print", "sysroot"]
    } else {
        &["--print", "target-libdir", "--target", target.triple]
    };
    let output = Command::new(rustc)
        .args(what)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("rustc could not be started: {error}"))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    let folder = Path::new(folder.trim());
    let folder = if target.build_std { folder.join("lib/rustlib/src/rust/library/core") } else { folder.to_path_buf() };
    if output.status.success() && folder.exists() {
        Ok(())
    } else if target.build_std {
        let triple = target.triple;
        Err(format!("the source of Rust's `core`, to compile for {triple}, is not installed; get it by: {RUST_SRC}"))
    } else {
        Err(format!("the Rust target {0} is not installed; get it by: rustup target add {0}", target.triple))
    }
}

/// Gets what `core` is compiled from.
const RUST_SRC: &str = "rustup component add rust-src";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_target_comes_with_the_command_that_gets_it() {
        let error = has_target(Target::plain("nonesuch-none-eabi")).unwrap_err();
        assert!(error.contains("rustup target add nonesuch-none-eabi"), "{error}");
    }

    #[test]
    fn the_host_has_no_firmware() {
        assert!(matches!(build(carafe_boards::find("host").unwrap()), Err(Error::Firmware { .. })));
    }

    #[test]
    fn a_board_without_firmware_says_what_to_use_instead() {
        let error = build(carafe_boards::find("qemu-mps2-an385-m0").unwrap()).unwrap_err().to_string();
        for word in ["qemu-mps2-an385-m0", "host", "qemu-mps2-an386", "carafe bench", "--firmware"] {
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn cargo_is_told_of_a_cpu_that_the_target_does_not_name() {
        let target = |name: &str| carafe_boards::find(name).unwrap().target.unwrap();
        assert!(rustflags(target("qemu-mps2-an386")).is_empty());
        let mut command = Command::new("cargo");
        set_target(&mut command, target("qemu-mps3-an547"));
        let said: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        assert!(
            said.contains(&"target.thumbv8m.main-none-eabihf.rustflags=[\"-Ctarget-cpu=cortex-m55\"]".into()),
            "{said:?}"
        );
    }
}
