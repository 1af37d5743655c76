//! The repository's own commands: `cargo xtask setup`, `lint`, `test`, `bench`, `size`.
//!
//! They need nothing but cargo; what they can use beyond it (Rust targets, QEMU, an older toolchain) `setup` installs
//! where it can, and names the command where it can't.
#![forbid(unsafe_code)]

mod bench;
mod lint;
mod setup;
mod size;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Sets up, tests and measures this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs what tests and firmware need: Rust targets, QEMU, the oldest supported toolchain
    Setup {
        /// Print one JSON object on stdout; messages go to stderr
        #[arg(long)]
        json: bool,
    },
    /// Runs clippy on the firmware, each crate for the targets and machines that it is built for
    Lint,
    /// Sets up, then runs every test there is, and says at the end what was skipped, and why
    Test,
    /// Counts the instructions and the memory of the shared models on every core, and writes docs/BENCHMARKS.md
    Bench(bench::Arguments),
    /// Prints how many bytes of flash runtime and ops take, and checks that they keep their limits and no firmware can panic
    Size {
        /// Print one JSON object on stdout; messages go to stderr
        #[arg(long)]
        json: bool,
        /// Symbols to list of each program
        #[arg(long, value_name = "COUNT", default_value_t = 15)]
        top: usize,
    },
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if all is well.
fn run(arguments: Arguments) -> Result<bool> {
    let workspace = Workspace::find()?;
    match arguments.command {
        Command::Setup { json } => {
            let report = setup::set_up(&workspace);
            if json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                print!("{report}");
            }
            Ok(report.complete)
        }
        Command::Lint => lint::lint(&workspace),
        Command::Test => test::test(&workspace),
        Command::Bench(arguments) => bench::bench(&workspace, &arguments),
        Command::Size { json, top } => {
            let report = size::measure(&workspace, top)?;
            if json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                print!("{report}");
            }
            Ok(report.ok)
        }
    }
}

/// The README's examples, compiled as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
