//! `cargo xtask size`: bytes of flash that the runtime and each op take, the limits that they have to keep, and the
//! check that no firmware can panic.
//!
//! The runtime's size is that of a program that runs a model which was verified when it was compiled
//! (`include_model!`), less that of the same program without the runtime: both are in `boards/size`, which see. What
//! `Model::verify` adds is counted apart, as firmware pays it that takes models over the wire; `all`, which is such
//! firmware, has it. An op's size is what it adds to the runtime without ops if it is the only one. There is no start-up code in these programs; what is counted is code, constants and initialised data,
//! the compiler's own helpers (`memcpy`, float routines) included where the runtime brought them in.

mod elf;
mod limits;
mod panics;
mod report;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use carafe_boards::{Board, Target};
use carafe_hil::firmware;

use crate::workspace::{Workspace, boards_with_firmware, is_real};
use elf::Program;
use report::{BuildSizes, Exceeded, OpSize, PanicCheck, ProgramSize, SymbolSize};
pub use report::{FirmwareSize, Report};

/// The crate with the measured programs.
pub const CRATE: &str = "boards/size";
/// What it is built for: the Cortex-M4 with FPU, for which the peers' figures hold, and a small RISC-V.
pub const TARGETS: [&str; 2] = ["thumbv7em-none-eabihf", "riscv32imc-unknown-none-elf"];
/// The program that is subtracted.
const BASELINE: &str = "baseline";
/// The program in which the panic check has to find something.
const PANICS: &str = "panics";
/// Its profiles, and the optimisation levels that they stand for.
const PROFILES: [(&str, &str); 2] = [("release", "3"), ("small", "s")];
/// The measured programs, the one that each is compared with, and what they link.
const MEASURED: [(&str, &str, &str); 6] = [
    (EMPTY, BASELINE, "no op"),
    ("verifier", EMPTY, "what `Model::verify` adds to `empty`"),
    ("resnet8", BASELINE, "Conv2d, Add, Mean, Dense, Softmax"),
    ("all", BASELINE, "every op in both arithmetics, and the verifier, as generic firmware has them"),
    ("offload", BASELINE, "no op, and an accelerator"),
    ("engine", BASELINE, "no op, and the vector engine with every wrapper"),
];
/// The one that ops are measured against.
const EMPTY: &str = "empty";
/// A board whose firmware is looked at once more as it is built for signed models, and the key: that of the tests, so that
/// nothing is built for this alone.
const SIGNED: (&str, &str) = ("qemu-mps2-an386", "197f6b23e16c8532c6abc838facd5ea789be0c76b2920334039bfa8b3d368d61");
/// The program with one op, and the variable that names it.
const OP: (&str, &str) = ("op", "CARAFE_SIZE_OP");

/// Builds, measures and checks.
pub fn measure(workspace: &Workspace, top: usize) -> Result<Report> {
    let mut builds = Vec::new();
    let mut checks = Vec::new();
    let mut ops: Vec<OpSize> = limits::OPS.iter().map(|limit| OpSize::new(limit.name)).collect();
    for (t, target) in TARGETS.into_iter().enumerate() {
        for (profile, opt_level) in PROFILES {
            eprintln!("building {CRATE} for {target} with opt-level {opt_level}");
            let folder = workspace.build_firmware(CRATE, Target::plain(target), profile, &[])?;
            let mut programs = Vec::new();
            for (name, baseline, ops) in MEASURED {
                let (program, baseline) = (read(&folder.join(name))?, read(&folder.join(baseline))?);
                programs.push(program_size(name, ops, &program, &baseline, top));
                checks.push(PanicCheck::of(format!("{CRATE} {name}, {target}, opt-level {opt_level}"), &program));
            }
            builds.push(BuildSizes { target, profile, opt_level, programs });
            // A check that finds nothing here would find nothing anywhere.
            if panics::found(&read(&folder.join(PANICS))?).is_empty() {
                bail!(
                    "the panic check is broken: it finds nothing in {CRATE}/src/bin/{PANICS}.rs for {target} at \
                     opt-level {opt_level}"
                );
            }
            if profile == PROFILES[0].0 {
                let empty = read(&folder.join(EMPTY))?.flash.total();
                for op in &mut ops {
                    let folder = workspace.build_firmware(CRATE, Target::plain(target), profile, &[(OP.1, op.name)])?;
                    op.bytes[t] = read(&folder.join(OP.0))?.flash.total().saturating_sub(empty);
                }
            }
        }
    }
    let (firmware, left_out) = firmware_sizes(workspace, |board, program| {
        if !is_real(board) {
            checks.push(PanicCheck::of(board.name.to_owned(), program));
        }
    })?;
    let signed = firmware::build_signed(carafe_boards::find(SIGNED.0)?, SIGNED.1)?;
    checks.push(PanicCheck::of(format!("{}, for signed models", SIGNED.0), &read(&signed)?));
    let exceeded = exceeded(&builds, &ops);
    let ok = exceeded.is_empty() && checks.iter().all(|check| check.found.is_empty());
    Ok(Report { targets: TARGETS, builds, ops, firmware, left_out, exceeded, panic_checks: checks, ok })
}

/// Builds the firmware of every board, shows it, and says how large it is; and which could not be built, and why.
pub fn firmware_sizes(
    workspace: &Workspace,
    mut show: impl FnMut(&Board, &Program),
) -> Result<(Vec<FirmwareSize>, Vec<String>)> {
    let (mut sizes, mut left_out) = (Vec::new(), Vec::new());
    for (board, of_board, target) in boards_with_firmware() {
        // What all else needs, too, is not left out: to build without it fails.
        if let Some(why_not) = firmware::missing(target).filter(|_| target.build_std) {
            left_out.push(format!("firmware of {}: {why_not}", board.name));
            continue;
        }
        eprintln!("building {}", of_board.crate_path);
        let folder = workspace.build_firmware(of_board.crate_path, target, "release", &[])?;
        let program = read(&folder.join(of_board.binary))?;
        show(board, &program);
        sizes.push(FirmwareSize {
            board: board.name,
            cpu: board.cpu,
            text_bytes: program.flash.text,
            rodata_bytes: program.flash.rodata,
            data_bytes: program.flash.data,
        });
    }
    Ok((sizes, left_out))
}

/// What is larger than it may be.
fn exceeded(builds: &[BuildSizes], ops: &[OpSize]) -> Vec<Exceeded> {
    let mut found = Vec::new();
    let mut hold = |name: &str, target: &'static str, bytes: u64, limit: u64| {
        if bytes > limit {
            found.push(Exceeded { name: name.to_owned(), target, bytes, limit });
        }
    };
    for (t, target) in TARGETS.into_iter().enumerate() {
        let measured = builds.iter().filter(|build| build.target == target && build.profile == PROFILES[0].0);
        for program in measured.flat_map(|build| &build.programs) {
            // A program that no limit is set for has none to keep: a test sees to it that there is no such program.
            let limit = limits::PROGRAMS.iter().find(|limit| limit.name == program.name).map_or(0, |l| l.bytes[t]);
            hold(program.name, target, program.runtime_bytes, limit);
        }
        for (op, limit) in ops.iter().zip(limits::OPS) {
            hold(op.name, target, op.bytes[t], limit.bytes[t]);
        }
    }
    found
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_and_program_has_a_limit() {
        for op in carafe::ops::ALL.ops() {
            let name = op.code().name();
            assert!(limits::OPS.iter().any(|limit| limit.name == name), "{name}");
        }
        assert_eq!(carafe::ops::ALL.ops().len(), limits::OPS.len(), "each arithmetic has its own");
        assert_eq!(MEASURED.map(|(name, _, _)| name), limits::PROGRAMS.each_ref().map(|limit| limit.name));
    }

    #[test]
    fn what_is_too_large_is_named() {
        let ops: Vec<OpSize> =
            limits::OPS.iter().map(|limit| OpSize { name: limit.name, bytes: limit.bytes }).collect();
        assert!(exceeded(&[], &ops).is_empty());
        let mut larger = ops;
        larger[0].bytes[1] += 1;
        let found = exceeded(&[], &larger);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].target), (limits::OPS[0].name, TARGETS[1]));
        let program = ProgramSize {
            name: EMPTY,
            ops: "",
            text_bytes: 0,
            rodata_bytes: 0,
            data_bytes: 0,
            runtime_bytes: limits::PROGRAMS[0].bytes[0] + 1,
            symbols: Vec::new(),
        };
        let build =
            |profile| BuildSizes { target: TARGETS[0], profile, opt_level: "", programs: vec![program.clone()] };
        assert_eq!(exceeded(&[build("release")], &[]).len(), 1);
        assert!(exceeded(&[build("small")], &[]).is_empty(), "limits are those of opt-level 3");
    }
}
