//! The figures, as JSON and as a table.

use std::fmt;

use serde::Serialize;

use super::elf::Program;
use super::panics;

/// What was measured and checked.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The Rust targets that sizes are of.
    pub targets: [&'static str; 2],
    /// Sizes of the runtime, per target and optimisation level.
    pub builds: Vec<BuildSizes>,
    /// What each op adds at `opt-level = 3`.
    pub ops: Vec<OpSize>,
    /// What the firmware of each board takes.
    pub firmware: Vec<FirmwareSize>,
    /// What could not be built, and why.
    pub left_out: Vec<String>,
    /// What is larger than it may be.
    pub exceeded: Vec<Exceeded>,
    /// Whether programs can panic.
    pub panic_checks: Vec<PanicCheck>,
    /// True if none can, and nothing is too large.
    pub ok: bool,
}

/// Bytes that an op adds to the runtime if it is the only one.
#[derive(Debug, Serialize)]
pub struct OpSize {
    /// The op, as `registry!` takes it.
    pub name: &'static str,
    /// Bytes on each of the targets.
    pub bytes: [u64; 2],
}

impl OpSize {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, bytes: [0; 2] }
    }
}

/// Bytes of a board's firmware, start-up, link and all ops included.
#[derive(Debug, Serialize)]
pub struct FirmwareSize {
    /// The board.
    pub board: &'static str,
    /// Its core.
    pub cpu: &'static str,
    /// Code.
    pub text_bytes: u64,
    /// Constants.
    pub rodata_bytes: u64,
    /// Initialised data.
    pub data_bytes: u64,
}

impl FirmwareSize {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.text_bytes.saturating_add(self.rodata_bytes).saturating_add(self.data_bytes)
    }
}

/// Something that is larger than it may be.
#[derive(Debug, Serialize)]
pub struct Exceeded {
    /// A program or an op.
    pub name: String,
    /// Where.
    pub target: &'static str,
    /// Its size.
    pub bytes: u64,
    /// What `xtask/src/size/limits.rs` allows.
    pub limit: u64,
}

/// Sizes on one target at one optimisation level.
#[derive(Debug, Serialize)]
pub struct BuildSizes {
    /// The Rust target.
    pub target: &'static str,
    /// Cargo's profile.
    pub profile: &'static str,
    /// `opt-level`.
    pub opt_level: &'static str,
    /// Program by program.
    pub programs: Vec<ProgramSize>,
}

/// Bytes that the runtime adds to a program; of `verifier`, those that it adds to `empty`.
#[derive(Clone, Debug, Serialize)]
pub struct ProgramSize {
    /// The program.
    pub name: &'static str,
    /// The ops in its registry.
    pub ops: &'static str,
    /// Code.
    pub text_bytes: u64,
    /// Constants.
    pub rodata_bytes: u64,
    /// Initialised data.
    pub data_bytes: u64,
    /// All of these.
    pub runtime_bytes: u64,
    /// The largest pieces.
    pub symbols: Vec<SymbolSize>,
}

/// A piece of a program.
#[derive(Clone, Debug, Serialize)]
pub struct SymbolSize {
    /// Function or constant.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// Whether a program can panic.
#[derive(Debug, Serialize)]
pub struct PanicCheck {
    /// The program.
    pub firmware: String,
    /// The functions that show that it can; none if it can't.
    pub found: Vec<Panic>,
}

/// A function that is there only if something panics.
#[derive(Debug, Serialize)]
pub struct Panic {
    /// The function.
    pub symbol: String,
    /// The functions that call it.
    pub callers: Vec<String>,
}

impl PanicCheck {
    pub(super) fn of(firmware: String, program: &Program) -> Self {
        let found = panics::found(program)
            .into_iter()
            .map(|symbol| Panic {
                symbol: symbol.name.clone(),
                callers: program.callers(symbol.address).into_iter().map(str::to_owned).collect(),
            })
            .collect();
        Self { firmware, found }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Bytes of flash that the runtime takes, without model, start-up and vectors. The model was verified when the \
             program was compiled (`include_model!`); `verifier` is what firmware pays on top that takes models over \
             the wire, `all` has it in it:\n"
        )?;
        writeln!(f, "| target | opt-level | registry | text | rodata | data | runtime |")?;
        writeln!(f, "|---|---|---|---:|---:|---:|---:|")?;
        for build in &self.builds {
            for p in &build.programs {
                writeln!(
                    f,
                    "| {} | {} | {}: {} | {} | {} | {} | {} |",
                    build.target,
                    build.opt_level,
                    p.name,
                    p.ops,
                    p.text_bytes,
                    p.rodata_bytes,
                    p.data_bytes,
                    p.runtime_bytes
                )?;
            }
        }
        writeln!(f, "\nWhat an op adds if it is the only one, opt-level 3 (ops share code, so several take less):\n")?;
        let [first, second] = self.targets;
        writeln!(f, "| op | {first} | {second} |")?;
        writeln!(f, "|---|---:|---:|")?;
        for op in &self.ops {
            writeln!(f, "| {} | {} | {} |", op.name, op.bytes[0], op.bytes[1])?;
        }
        writeln!(f, "\nFirmware that takes models over the wire, every op in it:\n")?;
        writeln!(f, "| board | core | text | rodata | data | all |")?;
        writeln!(f, "|---|---|---:|---:|---:|---:|")?;
        for FirmwareSize { board, cpu, text_bytes, rodata_bytes, data_bytes } in &self.firmware {
            let all = text_bytes + rodata_bytes + data_bytes;
            writeln!(f, "| {board} | {cpu} | {text_bytes} | {rodata_bytes} | {data_bytes} | {all} |")?;
        }
        for line in &self.left_out {
            writeln!(f, "left out: {line}")?;
        }
        for build in &self.builds {
            for p in build.programs.iter().filter(|p| !p.symbols.is_empty()) {
                let BuildSizes { target, opt_level, .. } = build;
                writeln!(f, "\nThe largest pieces of `{}`, {target}, opt-level {opt_level}:\n", p.name)?;
                for symbol in &p.symbols {
                    writeln!(f, "{:>8}  {}", symbol.bytes, symbol.name)?;
                }
            }
        }
        if !self.exceeded.is_empty() {
            writeln!(f, "\nTOO LARGE at opt-level 3; xtask/src/size/limits.rs says how to go on:\n")?;
            for e in &self.exceeded {
                writeln!(f, "  {} on {}: {} bytes, of which {} are allowed", e.name, e.target, e.bytes, e.limit)?;
            }
        }
        writeln!(f, "\nPanics:\n")?;
        for check in &self.panic_checks {
            let verdict = if check.found.is_empty() { "none linked" } else { "CAN PANIC" };
            writeln!(f, "  {}: {verdict}", check.firmware)?;
            for panic in &check.found {
                let callers = if panic.callers.is_empty() { "?".to_owned() } else { panic.callers.join(", ") };
                writeln!(f, "    {}, called from {callers}", panic.symbol)?;
            }
        }
        Ok(())
    }
}
