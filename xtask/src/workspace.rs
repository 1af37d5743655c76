//! Where things are, and how programs are run.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use carafe_boards::{Board, Firmware, How, Target};
use carafe_hil::firmware;
use serde::Deserialize;

/// What has cargo look at the examples of a real board's crate, and at its firmware.
pub const EXAMPLES: [&str; 4] = ["--features", "example", "--bins", "--examples"];

/// The checkout.
#[derive(Debug)]
pub struct Workspace {
    /// Its folder.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target_dir: PathBuf,
    /// The oldest toolchain that it promises to build with, as `1.90`.
    pub rust_version: String,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    rust_version: Option<String>,
}

impl Workspace {
    /// The checkout that this program was built in.
    pub fn find() -> Result<Self> {
        let output = cargo_in(Path::new(env!("CARGO_MANIFEST_DIR")))
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("cargo can't be started")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed in {}", env!("CARGO_MANIFEST_DIR"));
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).context("`cargo metadata` was not understood")?;
        let rust_version = metadata
            .packages
            .into_iter()
            .find_map(|package| package.rust_version)
            .context("no package of the workspace has a `rust-version`")?;
        Ok(Self { root: metadata.workspace_root, target_dir: metadata.target_directory, rust_version })
    }

    /// Cargo, at the root.
    pub fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// Where programs for boards are built.
    pub fn firmware_dir(&self, target: Target) -> PathBuf {
        self.target_dir.join("firmware").join(firmware::subfolder(target))
    }

    /// Builds programs of a crate outside the workspace, messages on stderr. Gives the folder that holds them.
    ///
    /// All such crates share one target folder, so that what they have in common is compiled once. `environment` is what
    /// the code asks for when it is compiled.
    pub fn build_firmware(
        &self,
        crate_path: &str,
        target: Target,
        profile: &str,
        environment: &[(&str, &str)],
    ) -> Result<PathBuf> {
        let mut command = self.on_firmware("build", crate_path, target);
        command.args(["--profile", profile]).envs(environment.iter().copied());
        if !succeeds(&mut command)? {
            bail!("{crate_path} does not build for {}; `cargo xtask setup` installs what that needs", target.triple);
        }
        Ok(self.firmware_dir(target).join(target.triple).join(profile))
    }

    /// Checks the examples of a real board's crate, without linking them.
    pub fn check_examples(&self, crate_path: &str, target: Target) -> Result<()> {
        let mut command = self.on_firmware("check", crate_path, target);
        command.arg("--release").args(EXAMPLES);
        if !succeeds(&mut command)? {
            bail!("the examples of {crate_path} do not build for {}", target.triple);
        }
        Ok(())
    }

    fn on_firmware(&self, what: &str, crate_path: &str, target: Target) -> Command {
        let mut command = cargo_in(&self.root.join(crate_path));
        command.args([what, "--quiet", "--locked", "--target-dir"]).arg(self.firmware_dir(target));
        firmware::set_target(&mut command, target);
        command
    }
}

fn cargo_in(folder: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    command.current_dir(folder);
    command
}

/// The boards that have firmware, and what it is compiled for.
pub fn boards_with_firmware() -> impl Iterator<Item = (&'static Board, Firmware, Target)> {
    carafe_boards::all().iter().filter_map(|board| Some((board, board.firmware?, board.target?)))
}

/// True if nobody can run its programs but who has the board: it has examples, and its vendor's code can panic.
pub fn is_real(board: &Board) -> bool {
    matches!(board.how, How::Probe { .. })
}

/// Runs a program with both its outputs on stderr. True if it succeeds.
pub fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .with_context(|| format!("`{}` can't be started", command.get_program().display()))?;
    Ok(status.success())
}

/// What a program writes to stdout, or `None` if it is not there or fails.
pub fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
