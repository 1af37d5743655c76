//! The program `carafe`: what is measured is what its users see.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use carafe_boards::Board;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::workspace::{Workspace, succeeds};

/// `carafe`, built.
pub struct Tool {
    program: PathBuf,
    root: PathBuf,
}

/// What `carafe convert --json` says, as far as it is used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conversion {
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// Bytes of the blob.
    pub blob_bytes: u64,
}

/// What `carafe bench --json` says, as far as it is used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Counted {
    /// Of one inference.
    pub instructions: u64,
    /// Of those, the ones that are no op's.
    pub outside_ops: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of the arena.
    pub arena_bytes: u64,
    /// Below the caller's frame.
    pub stack_bytes: u64,
    /// Of flash.
    pub flash: Flash,
    /// In the blob's order.
    pub ops: Vec<Op>,
}

/// Bytes of flash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flash {
    /// Code and constants of the runtime, with the ops of the model.
    pub runtime_bytes: u64,
}

/// An op of a blob.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Op {
    /// As `inspect` calls it.
    pub kind: String,
    /// Of its result.
    pub shape: [u16; 3],
    /// Multiply-accumulates.
    pub macs: u64,
    /// Of all its steps.
    pub instructions: u64,
}

impl Tool {
    /// Builds it.
    pub fn build(workspace: &Workspace) -> Result<Self> {
        eprintln!("building carafe");
        let mut command = workspace.cargo();
        command.args(["build", "--quiet", "--release", "--package", "carafe-cli"]);
        if !succeeds(&mut command)? {
            bail!("carafe-cli does not build");
        }
        let program = workspace.target_dir.join("release").join(format!("carafe{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { program, root: workspace.root.clone() })
    }

    /// `carafe convert`.
    pub fn convert(&self, arguments: &[String], more: &[&str], to: &Path) -> Result<Conversion> {
        let mut command = self.command("convert");
        command.args(arguments).args(more).arg("--output").arg(to);
        json(command)
    }

    /// `carafe bench`.
    pub fn bench(&self, blob: &Path, board: &Board, more: &[&str]) -> Result<Counted> {
        let begun = Instant::now();
        let mut command = self.command("bench");
        command.arg(blob).args(["--board", board.name]).args(more);
        let counted: Counted = json(command)?;
        eprintln!("    {} instructions, after {} s", counted.instructions, begun.elapsed().as_secs());
        Ok(counted)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.root).args([name, "--json"]);
        command
    }
}

/// What a command prints on stdout. Its messages are of interest only if it fails.
fn json<T: DeserializeOwned>(mut command: Command) -> Result<T> {
    let line = || command.get_args().map(|a| a.display().to_string()).collect::<Vec<_>>().join(" ");
    let line = line();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("`carafe {line}` can't be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let error = said.lines().rev().find(|line| line.starts_with("error")).unwrap_or(said.trim());
        bail!("`carafe {line}` failed: {error}");
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("`carafe {line}`: its answer was not understood"))
}
