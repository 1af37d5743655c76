//! Counts the instructions of one model, on an emulated board, in a firmware that is built for just this model and board.
//!
//! The firmware crate (`boards/bench`) has three programs: `count` embeds the model by `include_model!` as a product
//! does and counts an inference; `profile` counts its ops by a probe; `idle` is `count` without a model. QEMU runs them
//! with `-icount shift=6`: each instruction takes 64 ns of the board's time, a tick of its timer is 50 ns (20 MHz) or
//! less, so ticks tell single instructions apart. Other machines have another `shift` that does. They are guest instructions, nothing is known of cycles.
//!
//! What reading the timer takes is counted in the same way around nothing, and subtracted: once for an inference, per
//! step for an op. Around the inference that counts, `count` calls `carafe_bench_begin` and `carafe_bench_end`, so that
//! tools outside can count too.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use carafe::Model;
use carafe_boards::{Availability, Board, How, RegionKind};

use crate::elf::FlashBytes;
use crate::qemu::{Link, count_instructions, emulator};
use crate::{Error, firmware};

/// Where the programs are, from the root of the checkout.
const CRATE: &str = "boards/bench";
/// The variable that gives them the model.
const VARIABLE: &str = "CARAFE_BENCH_MODEL";
/// The profile and the feature of programs that are to be small.
const SMALL: &str = "small";
const PORTABLE: &str = "portable";
const COUNT: &str = "count";
const PROFILE: &str = "profile";
const IDLE: &str = "idle";

/// The timer has 32 bits.
const WRAP: u64 = 1 << 32;
/// Flash for the programs themselves, and RAM for their stack: what a model can't have.
const RESERVED: u64 = 128 << 10;

/// How the programs are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavor {
    /// For speed: `opt-level = 3`, with the fast loops of the core.
    #[default]
    Fast,
    /// For flash: `opt-level = "s"`, with the portable loops.
    Small,
}

/// The programs for one model.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Programs {
    /// Counts an inference; `carafe_bench_begin` and `carafe_bench_end` are in it.
    pub count: PathBuf,
    /// Counts ops.
    pub profile: PathBuf,
    /// `count` without a model.
    pub idle: PathBuf,
    /// The board they run on.
    pub board: &'static Board,
}

/// What a model takes on a board.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Measurement {
    /// Guest instructions of one inference: all that `Net::run_with` does, from the copy of the input to the result.
    pub instructions: u64,
    /// By op, in the blob's order.
    pub ops: Vec<OpCount>,
    /// Bytes of stack of the same, below the caller's frame.
    pub stack_bytes: u64,
    /// What the runtime takes of flash: `count` less `idle`, less the model.
    pub runtime: FlashBytes,
    /// Bytes of the blob.
    pub model_bytes: u64,
}

/// What an op takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpCount {
    /// Guest instructions of all its steps, from the moment that the scheduler has chosen it.
    pub instructions: u64,
    /// Bands that it makes or takes.
    pub steps: u64,
}

impl Measurement {
    /// Instructions that are no op's: start, copy of the input, choice of steps.
    pub fn outside_ops(&self) -> u64 {
        self.instructions.saturating_sub(self.ops.iter().map(|op| op.instructions).sum())
    }
}

/// Builds the programs for a model, and measures.
///
/// # Errors
/// As [`build`] and [`Programs::measure`].
pub fn measure(board: &'static Board, blob: &[u8], flavor: Flavor, limit: Duration) -> Result<Measurement, Error> {
    build(board, blob, flavor)?.measure(blob, limit)
}

/// Builds the programs for a model; cargo's messages go to standard error. They stay in the target folder, under the
/// checksum of the blob.
///
/// # Errors
/// [`Error::Unavailable`] without the emulator; [`Error::Firmware`] where the board has no such firmware, the model does
/// not fit, the Rust target is missing (with the command that gets it), or it does not compile.
pub fn build(board: &'static Board, blob: &[u8], flavor: Flavor) -> Result<Programs, Error> {
    let fail = |reason: String| Error::Firmware { board: board.name.to_owned(), reason };
    let (How::Qemu(machine), Some(target), true) = (board.how, board.target, board.bench) else {
        let names: Vec<&str> = carafe_boards::all().iter().filter(|b| b.bench).map(|b| b.name).collect();
        return Err(fail(format!("there is no firmware for `bench` on it; use --board {}", names.join(" or "))));
    };
    if let Availability::Missing { why_not } = board.availability() {
        return Err(Error::Unavailable { board: board.name.to_owned(), why_not });
    }
    firmware::can_be_built(board)?;
    let model =
        Model::verify(blob, carafe::ops::ALL).map_err(|source| Error::Blob { board: board.name.to_owned(), source })?;
    fits(board, &model).map_err(fail)?;
    if !firmware::checkout().join(CRATE).join("Cargo.toml").exists() {
        let folder = firmware::checkout();
        return Err(fail(format!(
            "{} is not there: this program needs the checkout it was built in",
            folder.display()
        )));
    }

    let (profile, features): (_, &[&str]) = match flavor {
        Flavor::Fast => (firmware::RELEASE, &[machine.machine]),
        Flavor::Small => (SMALL, &[machine.machine, PORTABLE]),
    };
    let all = firmware::target_dir().join("bench").join(board.name).join(profile);
    let folder = all.join(format!("{:08x}", carafe::blob::crc32(blob)));
    let file = |what: &Path, e: std::io::Error| fail(format!("{}: {e}", what.display()));
    fs::create_dir_all(&folder).map_err(|e| file(&folder, e))?;
    // Cargo puts the programs for all models in one place: only one at a time may build and take them from there.
    let lock = all.join("lock");
    let held = File::create(&lock).and_then(|held| held.lock().map(|()| held)).map_err(|e| file(&lock, e))?;
    let model = folder.join("model.carafe");
    if !fs::read(&model).is_ok_and(|old| old == blob) {
        fs::write(&model, blob).map_err(|e| file(&model, e))?;
    }
    let programs = [COUNT, PROFILE, IDLE];
    let variables: &[(&str, &Path)] = &[(VARIABLE, &model)];
    let made = firmware::cargo_build(CRATE, target, profile, features, variables, &programs).map_err(fail)?;
    let take = |name: &str| {
        let to = folder.join(name);
        fs::copy(made.join(name), &to).map_err(|e| file(&made.join(name), e))?;
        Ok::<_, Error>(to)
    };
    let programs = Programs { count: take(COUNT)?, profile: take(PROFILE)?, idle: take(IDLE)?, board };
    drop(held);
    Ok(programs)
}

/// Says whether the model fits the memory that the linker has; it would say it in other words.
fn fits(board: &Board, model: &Model<'_>) -> Result<(), String> {
    if model.fast_bytes() > 0 || model.state_bytes() > 0 {
        return Err(
            "models with a state, or planned for fast RAM, are not measured yet; `carafe run` runs them".to_owned()
        );
    }
    // Where there is no flash, the emulator loads programs into the RAM.
    let flash = if board.flash_bytes() > 0 { RegionKind::Flash } else { RegionKind::Ram };
    let first = |kind| board.memory.iter().find(|r| r.kind == kind).map_or(0, |r| r.bytes.saturating_sub(RESERVED));
    let inputs: usize = (0..model.inputs()).filter_map(|i| model.input(i)).map(|io| io.bytes).sum();
    for (what, need, have) in [
        ("blob", model.blob_bytes(), first(flash)),
        ("arena and input", model.arena_bytes().saturating_add(inputs), first(RegionKind::Ram)),
    ] {
        if need as u64 > have {
            return Err(format!(
                "the model's {what} takes {need} bytes, it has room for {have}: measure a smaller model"
            ));
        }
    }
    Ok(())
}

impl Programs {
    /// Runs them, `count` and `profile` at the same time, and checks that both compute what the blob's golden check
    /// says.
    ///
    /// # Errors
    /// The emulator does not start, a program does not end within `limit` or gives wrong results.
    pub fn measure(&self, blob: &[u8], limit: Duration) -> Result<Measurement, Error> {
        let model = Model::verify(blob, carafe::ops::ALL)
            .map_err(|source| Error::Blob { board: self.board.name.to_owned(), source })?;
        let other = thread::scope(|scope| {
            let profile = scope.spawn(|| self.run(&self.profile, limit));
            let count = self.run(&self.count, limit);
            // A thread that panicked is a bug, and its message has been printed.
            let profile =
                profile.join().unwrap_or_else(|_| Err(self.broken("the emulator's thread failed".to_owned())));
            Ok::<_, Error>((count?, profile?))
        })?;
        let (count, profile) = other;
        let unread = |what: &str| self.broken(format!("its answer was not understood ({what}); build it again"));
        let count = Count::read(&count).ok_or_else(|| unread(&count))?;
        let profile = Profile::read(&profile).ok_or_else(|| unread(&profile))?;
        for (program, crc) in [(COUNT, count.crc), (PROFILE, profile.crc)] {
            if let Some(golden) = model.golden()
                && u64::from(golden.crc) != crc
            {
                let what = format!("`{program}` computes another result than the converter did");
                return Err(
                    self.broken(format!("{what} (CRC {crc:08x}, not {:08x}); convert the model again", golden.crc))
                );
            }
        }
        let shift = match self.board.how {
            How::Qemu(machine) => machine.icount_shift,
            _ => 0,
        };
        let flash = |path: &Path| {
            let wrong = |what: String| self.broken(format!("{}: {what}", path.display()));
            let elf = fs::read(path).map_err(|e| wrong(e.to_string()))?;
            FlashBytes::of(&elf).map_err(|e| wrong(e.to_string()))
        };
        let model_bytes = blob.len() as u64;
        let embedded = FlashBytes { rodata: model_bytes, ..FlashBytes::default() };
        Ok(Measurement {
            instructions: count.instructions(profile.whole(), shift),
            ops: profile.ops(shift),
            stack_bytes: count.stack,
            runtime: flash(&self.count)?.without(&flash(&self.idle)?).without(&embedded),
            model_bytes,
        })
    }

    fn broken(&self, reason: String) -> Error {
        Error::Firmware { board: self.board.name.to_owned(), reason }
    }

    /// The line that a program prints.
    fn run(&self, elf: &Path, limit: Duration) -> Result<String, Error> {
        let How::Qemu(machine) = self.board.how else {
            return Err(Error::NotEmulated { board: self.board.name.to_owned() });
        };
        let spawn =
            |source| Error::Spawn { board: self.board.name.to_owned(), program: machine.program.to_owned(), source };
        let mut command = emulator(&machine, Link::Console, None);
        count_instructions(&mut command, &machine);
        command.arg("-kernel").arg(elf).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(spawn)?;
        let stdout = child.stdout.take();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            stdout.map_or(Ok(0), |mut s| s.read_to_string(&mut text)).map(|_| text)
        });
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(spawn)? {
                break status;
            }
            if begun.elapsed() > limit {
                // It may end by itself at this moment; what counts is that it does not stay.
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::Timeout { board: self.board.name.to_owned(), during: "the benchmark", limit });
            }
            thread::sleep(Duration::from_millis(10));
        };
        let text = reader.join().ok().and_then(Result::ok).unwrap_or_default();
        if status.success() {
            Ok(text)
        } else {
            Err(self.broken(format!("{} failed on it: the model does not run there{}", elf.display(), said(&text))))
        }
    }
}

fn said(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!("; it said: {}", text.trim()) }
}

/// Ticks of a timer of `hz` as instructions of 2^`shift` ns, rounded.
fn instructions(ticks: u64, hz: u64, shift: u32) -> u64 {
    let per_instruction = u128::from(hz.max(1)) << shift;
    let ns = u128::from(ticks) * 1_000_000_000;
    u64::try_from((ns + per_instruction / 2) / per_instruction).unwrap_or(u64::MAX)
}

/// The fields of a program's line, in order: ` name=value`, values in hexadecimal.
fn fields<'l>(line: &'l str, program: &str) -> Option<Vec<(&'l str, u64)>> {
    let line = line.lines().find_map(|l| l.strip_prefix("carafe-bench ")?.strip_prefix(program))?;
    line.split_whitespace()
        .map(|field| {
            let (name, value) = field.split_once('=')?;
            Some((name, u64::from_str_radix(value, 16).ok()?))
        })
        .collect()
}

/// What `count` says, in ticks.
struct Count {
    hz: u64,
    ticks: u64,
    nothing: u64,
    stack: u64,
    crc: u64,
}

impl Count {
    fn read(line: &str) -> Option<Self> {
        match fields(line, COUNT)?[..] {
            [("hz", hz @ 1..), ("ticks", ticks), ("nothing", nothing), ("stack", stack), ("crc", crc)] => {
                Some(Self { hz, ticks, nothing, stack, crc })
            }
            _ => None,
        }
    }

    /// `about` is a count in ticks that is right to half a turn of the timer: it says how often the timer has wrapped.
    fn instructions(&self, about: u64, shift: u32) -> u64 {
        let ticks = self.ticks.saturating_sub(self.nothing);
        let turns = about.saturating_sub(ticks).saturating_add(WRAP / 2) / WRAP;
        instructions(ticks.saturating_add(turns.saturating_mul(WRAP)), self.hz, shift)
    }
}

/// What `profile` says, in ticks.
struct Profile {
    hz: u64,
    crc: u64,
    empty_steps: u64,
    empty_ticks: u64,
    between: u64,
    /// Steps and ticks.
    ops: Vec<(u64, u64)>,
}

impl Profile {
    fn read(line: &str) -> Option<Self> {
        let all = fields(line, PROFILE)?;
        let (head, ops) = all.split_at_checked(5)?;
        let [
            ("hz", hz @ 1..),
            ("crc", crc),
            ("empty_steps", empty_steps @ 1..),
            ("empty_ticks", empty_ticks),
            ("between", between),
        ] = *head
        else {
            return None;
        };
        let op = |pair: &[(&str, u64)]| match *pair {
            [("steps", steps), ("ticks", ticks)] => Some((steps, ticks)),
            _ => None,
        };
        let ops = ops.chunks(2).map(op).collect::<Option<_>>()?;
        Some(Self { hz, crc, empty_steps, empty_ticks, between, ops })
    }

    /// All of the inference.
    fn whole(&self) -> u64 {
        self.ops.iter().fold(self.between, |sum, op| sum.saturating_add(op.1))
    }

    fn ops(&self, shift: u32) -> Vec<OpCount> {
        let op = |&(steps, ticks): &(u64, u64)| {
            let probe = steps.saturating_mul(self.empty_ticks) / self.empty_steps;
            OpCount { instructions: instructions(ticks.saturating_sub(probe), self.hz, shift), steps }
        };
        self.ops.iter().map(op).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u64 = 25_000_000;
    const SHIFT: u32 = 6;

    #[test]
    fn lines_are_read() {
        let count =
            Count::read("noise\ncarafe-bench count hz=17d7840 ticks=1f40 nothing=40 stack=200 crc=ffffffff\n").unwrap();
        assert_eq!((count.hz, count.ticks, count.nothing, count.stack), (HZ, 8000, 64, 512));
        assert_eq!(count.crc, 0xFFFF_FFFF);
        let line = "carafe-bench profile hz=17d7840 crc=1 empty_steps=10 empty_ticks=100 between=5 steps=2 ticks=340 \
                    steps=1 ticks=0";
        let profile = Profile::read(line).unwrap();
        assert_eq!(profile.whole(), 5 + 0x340);
        // 2 steps of 16 ticks each are the probe's; a tick is 5/8 of an instruction.
        let ops: Vec<_> = profile.ops(SHIFT).iter().map(|op| (op.steps, op.instructions)).collect();
        assert_eq!(ops, [(2, 500), (1, 0)]);
        for broken in [
            "",
            "carafe-bench count hz=1 ticks=1",
            "carafe-bench count hz=0 ticks=1 nothing=0 stack=0 crc=0",
            "carafe-bench count hz=1 ticks=x nothing=0 stack=0 crc=0",
            "carafe-bench profile hz=1 crc=1 empty_steps=0 empty_ticks=100 between=5",
            "carafe-bench profile hz=1 crc=1 empty_steps=1 empty_ticks=100 between=5 steps=1",
        ] {
            assert!(Count::read(broken).is_none() && Profile::read(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_timer_that_wraps_is_unwound() {
        let count = Count { hz: HZ, ticks: 1_000, nothing: 200, stack: 0, crc: 0 };
        assert_eq!(count.instructions(0, SHIFT), 500);
        assert_eq!(count.instructions(WRAP / 3, SHIFT), 500);
        assert_eq!(count.instructions(2 * WRAP + WRAP / 3, SHIFT), instructions(2 * WRAP + 800, HZ, SHIFT));
        assert_eq!(count.instructions(2 * WRAP - WRAP / 3, SHIFT), instructions(2 * WRAP + 800, HZ, SHIFT));
        assert_eq!(instructions(WRAP, HZ, SHIFT), (1 << 32) * 5 / 8);
    }

    #[test]
    fn every_timer_tells_instructions_apart() {
        for hz in [20_000_000, HZ, 32_000_000] {
            for count in [1, 7, 1_000_003, 3_000_000_001] {
                // The timer has counted whole ticks.
                let ticks = count * 64 * hz / 1_000_000_000;
                assert!(instructions(ticks, hz, SHIFT).abs_diff(count) <= 1, "{count} at {hz} Hz");
            }
        }
    }

    #[test]
    fn a_board_without_programs_names_those_that_have_them() {
        let error = build(carafe_boards::find("host").unwrap(), &[], Flavor::Fast).unwrap_err().to_string();
        for board in carafe_boards::all().iter().filter(|board| board.bench) {
            assert!(error.contains(board.name), "{error}");
        }
    }
}
