//! `cargo xtask size`: bytes of flash that the runtime takes, and the check that no firmware can panic.
//!
//! The runtime's size is that of a program that verifies a model and runs it, less that of the same program without
//! the runtime: both are in `boards/size`, which see. What is left out that way is start-up code and vectors; what is
//! counted is code, constants and initialised data, the compiler's own helpers (`memcpy`, float routines) included
//! where the runtime brought them in.

mod elf;
mod panics;
mod report;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, boards_with_firmware};
use elf::Program;
pub use report::Report;
use report::{BuildSizes, PanicCheck, ProgramSize, SymbolSize};

/// The crate with the measured programs.
const CRATE: &str = "boards/size";
/// What it is built for: the Cortex-M4 with FPU, for which the peers' figures hold.
const TARGET: &str = "thumbv7em-none-eabihf";
/// The program that is subtracted.
const BASELINE: &str = "baseline";
/// The program in which the panic check has to find something.
const PANICS: &str = "panics";
/// Its profiles, and the optimisation levels that they stand for.
const PROFILES: [(&str, &str); 2] = [("release", "3"), ("small", "s")];
/// The measured programs, and what they link.
const MEASURED: [(&str, &str); 3] = [
    ("empty", "no op"),
    ("resnet8", "Conv2d, Add, Mean, Dense, Softmax"),
    ("all", "every op in both arithmetics, as generic firmware has them"),
];

/// Builds, measures and checks.
pub fn measure(workspace: &Workspace, top: usize) -> Result<Report> {
    let mut builds = Vec::new();
    let mut checks = Vec::new();
    for (profile, opt_level) in PROFILES {
        eprintln!("building {CRATE} with opt-level {opt_level}");
        let folder = workspace.build_firmware(CRATE, TARGET, profile)?;
        let baseline = read(&folder.join(BASELINE))?;
        let mut programs = Vec::new();
        for (name, ops) in MEASURED {
            let program = read(&folder.join(name))?;
            programs.push(program_size(name, ops, &program, &baseline, top));
            checks.push(PanicCheck::of(format!("{CRATE} {name}, opt-level {opt_level}"), &program));
        }
        builds.push(BuildSizes { profile, opt_level, programs });
        // A check that finds nothing here would find nothing anywhere.
        if panics::found(&read(&folder.join(PANICS))?).is_empty() {
            bail!(
                "the panic check is broken: it finds nothing in {CRATE}/src/bin/{PANICS}.rs at opt-level {opt_level}"
            );
        }
    }
    for (board, firmware) in boards_with_firmware() {
        eprintln!("building {}", firmware.crate_path);
        let folder = workspace.build_firmware(firmware.crate_path, firmware.target, "release")?;
        checks.push(PanicCheck::of(board.name.to_owned(), &read(&folder.join(firmware.binary))?));
    }
    let ok = checks.iter().all(|check| check.found.is_empty());
    Ok(Report { target: TARGET, builds, panic_checks: checks, ok })
}

fn read(path: &Path) -> Result<Program> {
    let bytes = fs::read(path).with_context(|| format!("{} was not built", path.display()))?;
    Program::parse(&bytes).with_context(|| format!("{} was not understood", path.display()))
}

fn program_size(
    name: &'static str,
    ops: &'static str,
    program: &Program,
    baseline: &Program,
    top: usize,
) -> ProgramSize {
    let runtime = program.flash.without(&baseline.flash);
    let known: BTreeSet<&str> = baseline.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
    let mut symbols: Vec<SymbolSize> = program
        .symbols
        .iter()
        .filter(|symbol| !known.contains(symbol.name.as_str()))
        .map(|symbol| SymbolSize { name: symbol.name.clone(), bytes: symbol.bytes })
        .collect();
    symbols.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    symbols.truncate(top);
    ProgramSize {
        name,
        ops,
        text_bytes: runtime.text,
        rodata_bytes: runtime.rodata,
        data_bytes: runtime.data,
        runtime_bytes: runtime.total(),
        symbols,
    }
}
