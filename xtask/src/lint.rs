//! `cargo xtask lint`: clippy on what stands outside the workspace, for the targets that it is built for.

use anyhow::Result;
use carafe_boards::{How, Target};
use carafe_hil::firmware;

use crate::size;
use crate::workspace::{EXAMPLES, Workspace, boards_with_firmware, is_real, succeeds};

/// The programs of `carafe bench`, and the variable that gives them a model: they do not compile without one.
const BENCH: (&str, &str) = ("boards/bench", "CARAFE_BENCH_MODEL");
/// Which one does not matter. This is one that examples embed.
const MODEL: &str = "examples/sensors/digits.carafe";

/// A crate as one target has it.
struct Build {
    crate_path: &'static str,
    target: Target,
    /// The machine, for a crate that is there for several.
    feature: Option<&'static str>,
    /// It has examples.
    examples: bool,
}

/// True if clippy has nothing to say.
pub fn lint(workspace: &Workspace) -> Result<bool> {
    let mut clean = true;
    for build in builds() {
        let cpu = build.target.cpu.map_or(String::new(), |cpu| format!(", {cpu}"));
        eprintln!("clippy on {} for {}{cpu}", build.crate_path, build.target.triple);
        match firmware::missing(build.target).filter(|_| build.target.build_std) {
            Some(why_not) => eprintln!("skipped: {why_not}"),
            None => clean &= build.clippy(workspace)?,
        }
    }
    Ok(clean)
}

/// Each firmware for its board, the programs of `bench` for each board, those of `size` for each of their targets.
fn builds() -> Vec<Build> {
    let plain = |crate_path, target: Target| Build { crate_path, target, feature: None, examples: false };
    let firmware = boards_with_firmware()
        .map(|(board, firmware, target)| Build { examples: is_real(board), ..plain(firmware.crate_path, target) });
    let bench = carafe_boards::all().iter().filter(|board| board.bench).filter_map(|board| match board.how {
        How::Qemu(machine) => Some(Build { feature: Some(machine.machine), ..plain(BENCH.0, board.target?) }),
        _ => None,
    });
    let size = size::TARGETS.map(|target| plain(size::CRATE, Target::plain(target)));
    firmware.chain(bench).chain(size).collect()
}

impl Build {
    fn clippy(&self, workspace: &Workspace) -> Result<bool> {
        let mut command = workspace.cargo();
        command.current_dir(workspace.root.join(self.crate_path));
        command.args(["clippy", "--quiet", "--release", "--locked", "--target-dir"]);
        command.arg(workspace.firmware_dir(self.target));
        command.args(self.feature.map(|feature| ["--features", feature]).into_iter().flatten());
        command.args(EXAMPLES.into_iter().filter(|_| self.examples));
        firmware::set_target(&mut command, self.target);
        command.args(["--", "-D", "warnings"]).env(BENCH.1, workspace.root.join(MODEL));
        succeeds(&mut command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_firmware_is_looked_at_for_every_board() {
        let builds = builds();
        let has = |path: &str, target: &str| builds.iter().any(|b| b.crate_path == path && b.target.triple == target);
        assert!(has("boards/qemu-mps2-an386", "thumbv7em-none-eabihf") && has(size::CRATE, size::TARGETS[1]));
        for board in carafe_boards::all().iter().filter(|board| board.bench) {
            assert!(has(BENCH.0, board.target.unwrap().triple), "{}", board.name);
        }
    }
}
