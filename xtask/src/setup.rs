//! `cargo xtask setup`: installs what tests and firmware need, where it can.

use std::fmt;
use std::path::Path;
use std::process::Command;

use carafe_boards::{Availability, How, Linker, Machine, Target};
use carafe_hil::firmware;
use serde::Serialize;

use crate::workspace::{Workspace, output_of, succeeds};

/// What was found and done.
#[derive(Debug, Serialize)]
pub struct Report {
    /// True if nothing is missing that the rest can't do without.
    pub complete: bool,
    /// Thing by thing.
    pub items: Vec<Item>,
}

/// A thing that is needed.
#[derive(Debug, Serialize)]
pub struct Item {
    /// What it is.
    pub name: String,
    /// Whether it is there.
    pub state: State,
    /// True if without it the tests fail rather than skip.
    pub essential: bool,
    /// The command that gets it, if it is missing.
    pub remedy: Option<String>,
}

/// Whether a thing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was there before.
    Present,
    /// It is there now.
    Installed,
    /// It could not be installed.
    Missing,
}

/// Looks at everything and installs what is missing.
pub fn set_up(workspace: &Workspace) -> Report {
    let mut items: Vec<Item> = Vec::new();
    for target in firmware_targets() {
        if target.build_std {
            items.push(rust_source(target));
        } else {
            items.push(rust_target(target.triple));
        }
        items.extend(target.linker.map(linker));
    }
    items.push(toolchain(&workspace.rust_version));
    items.extend(emulators().into_iter().map(emulator));
    let complete = items.iter().all(|item| item.state != State::Missing || !item.essential);
    Report { complete, items }
}

/// The Rust targets of the boards, each once, whatever the CPU.
pub fn firmware_targets() -> Vec<Target> {
    let mut targets: Vec<Target> = carafe_boards::all().iter().filter_map(|board| board.target).collect();
    targets.sort_by_key(|target| target.triple);
    targets.dedup_by_key(|target| target.triple);
    targets
}

/// One machine of each emulator that the boards ask for.
fn emulators() -> Vec<Machine> {
    let mut machines: Vec<Machine> = Vec::new();
    for board in carafe_boards::all() {
        if let How::Qemu(machine) = board.how
            && machines.iter().all(|known| known.program != machine.program)
        {
            machines.push(machine);
        }
    }
    machines
}

/// True if the present toolchain has the standard library of a target.
pub fn has_target(target: &str) -> bool {
    let Some(sysroot) = output_of("rustc", &["--print", "sysroot"]) else { return false };
    Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("lib").is_dir()
}

/// True if rustup has a toolchain.
pub fn has_toolchain(version: &str) -> bool {
    output_of("rustup", &["run", version, "rustc", "--version"]).is_some()
}

fn rust_target(target: &str) -> Item {
    let arguments = ["target", "add", target];
    install(format!("Rust target {target}"), true, || has_target(target), rustup(&arguments))
}

/// What `core` is compiled from for a target that rustup does not have.
fn rust_source(target: Target) -> Item {
    let name = format!("source of Rust's `core`, for {}", target.triple);
    let there = || firmware::missing_library(target).is_none();
    install(name, false, there, rustup(&["component", "add", "rust-src"]))
}

fn linker(linker: Linker) -> Item {
    let there = || linker.availability() == Availability::Available;
    let way = debian(linker.debian_package, || linker.install_command());
    install(format!("linker {}", linker.program), false, there, way)
}

fn toolchain(version: &str) -> Item {
    let arguments = ["toolchain", "install", version, "--profile", "minimal", "--no-self-update"];
    install(format!("Rust {version} (oldest supported)"), false, || has_toolchain(version), rustup(&arguments))
}

fn emulator(machine: Machine) -> Item {
    let there = || machine.availability() == Availability::Available;
    let way = debian(machine.debian_package, || machine.install_command());
    install(format!("emulator {}", machine.program), false, there, way)
}

/// A package of Debian and its kin, if this is one of them and we may; else what the user can type.
fn debian(package: &str, otherwise: impl Fn() -> String) -> Way {
    if !is_root() || output_of("apt-get", &["--version"]).is_none() {
        return Way { commands: Vec::new(), remedy: otherwise() };
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        command
    };
    Way {
        // An update may fail in part (a mirror that is down) and the package still be had.
        commands: vec![
            (apt(&["update", "--quiet"]), Must::Try),
            (apt(&["install", "--quiet", "--yes", "--no-install-recommends", package]), Must::Succeed),
        ],
        remedy: format!("apt-get update && apt-get install -y {package}"),
    }
}

fn is_root() -> bool {
    output_of("id", &["-u"]).is_some_and(|id| id.trim() == "0")
}

/// How a thing is installed.
struct Way {
    /// Nothing, if it is for the user to do.
    commands: Vec<(Command, Must)>,
    /// What the user can type.
    remedy: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    Succeed,
    Try,
}

fn rustup(arguments: &[&str]) -> Way {
    let remedy = format!("rustup {}", arguments.join(" "));
    if output_of("rustup", &["--version"]).is_none() {
        return Way { commands: Vec::new(), remedy: format!("{remedy} (get rustup from https://rustup.rs)") };
    }
    let mut command = Command::new("rustup");
    command.args(arguments);
    Way { commands: vec![(command, Must::Succeed)], remedy }
}

fn install(name: String, essential: bool, there: impl Fn() -> bool, way: Way) -> Item {
    let item = |state, remedy| Item { name: name.clone(), state, essential, remedy };
    if there() {
        return item(State::Present, None);
    }
    if !way.commands.is_empty() {
        eprintln!("installing {name}: {}", way.remedy);
    }
    for (mut command, must) in way.commands {
        let done = succeeds(&mut command).unwrap_or_else(|error| {
            eprintln!("{error:#}");
            false
        });
        if !done && must == Must::Succeed {
            break;
        }
    }
    if there() { item(State::Installed, None) } else { item(State::Missing, Some(way.remedy)) }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.items.iter().map(|item| item.name.len()).max().unwrap_or_default();
        for item in &self.items {
            let state = match item.state {
                State::Present => "was there",
                State::Installed => "installed",
                State::Missing => "MISSING",
            };
            write!(f, "  {:width$}  {state}", item.name)?;
            if let Some(remedy) = &item.remedy {
                write!(f, "; get it by: {remedy}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn way(commands: Vec<(Command, Must)>) -> Way {
        Way { commands, remedy: "make it so".to_owned() }
    }

    fn no_such_program() -> Command {
        Command::new("carafe-no-such-program")
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let item = install("it".to_owned(), true, || true, way(vec![(no_such_program(), Must::Succeed)]));
        assert_eq!((item.state, item.remedy), (State::Present, None));
    }

    #[test]
    fn what_cannot_be_installed_comes_with_its_command() {
        let item = install("it".to_owned(), false, || false, way(vec![(no_such_program(), Must::Succeed)]));
        assert_eq!((item.state, item.remedy.as_deref()), (State::Missing, Some("make it so")));
    }

    #[test]
    fn what_appears_counts_as_installed() {
        let asked = Cell::new(0);
        let there = || asked.replace(asked.get() + 1) > 0;
        let item = install("it".to_owned(), false, there, way(vec![(no_such_program(), Must::Try)]));
        assert_eq!((item.state, item.remedy), (State::Installed, None));
    }

    #[test]
    fn every_firmware_target_and_emulator_is_asked_for_once() {
        for target in ["thumbv6m-none-eabi", "thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf"] {
            assert_eq!(firmware_targets().iter().filter(|found| found.triple == target).count(), 1, "{target}");
        }
        for program in ["qemu-system-arm", "qemu-system-riscv32", "qemu-system-sparc"] {
            assert_eq!(emulators().iter().filter(|machine| machine.program == program).count(), 1, "{program}");
        }
    }
}
