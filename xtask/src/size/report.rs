//! The figures, as JSON and as a table.

use std::fmt;

use serde::Serialize;

use super::elf::Program;
use super::panics;

/// What was measured and checked.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The Rust target.
    pub target: &'static str,
    /// Sizes, per optimisation level.
    pub builds: Vec<BuildSizes>,
    /// Whether programs can panic.
    pub panic_checks: Vec<PanicCheck>,
    /// True if none can.
    pub ok: bool,
}

/// Sizes at one optimisation level.
#[derive(Debug, Serialize)]
pub struct BuildSizes {
    /// Cargo's profile.
    pub profile: &'static str,
    /// `opt-level`.
    pub opt_level: &'static str,
    /// Program by program.
    pub programs: Vec<ProgramSize>,
}

/// Bytes that the runtime adds to a program.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Serialize)]
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
            "Bytes of flash that the runtime takes on {}, without model, start-up and vectors:\n",
            self.target
        )?;
        writeln!(f, "| opt-level | registry | text | rodata | data | runtime |")?;
        writeln!(f, "|---|---|---:|---:|---:|---:|")?;
        for build in &self.builds {
            for p in &build.programs {
                writeln!(
                    f,
                    "| {} | {}: {} | {} | {} | {} | {} |",
                    build.opt_level, p.name, p.ops, p.text_bytes, p.rodata_bytes, p.data_bytes, p.runtime_bytes
                )?;
            }
        }
        for build in &self.builds {
            for p in build.programs.iter().filter(|p| !p.symbols.is_empty()) {
                writeln!(f, "\nThe largest pieces of `{}`, opt-level {}:\n", p.name, build.opt_level)?;
                for symbol in &p.symbols {
                    writeln!(f, "{:>8}  {}", symbol.bytes, symbol.name)?;
                }
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
