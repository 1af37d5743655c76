//! What the host knows of Carafe's boards: CPU, memory, how they are reached, and which firmware they take.
//!
//! ```
//! let board = carafe_boards::find("qemu-mps2-an386")?;
//! assert_eq!(board.cpu, "cortex-m4");
//! if let carafe_boards::Availability::Missing { why_not } = board.availability() {
//!     println!("{}: {why_not}", board.name);
//! }
//! # Ok::<(), carafe_boards::UnknownBoard>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod table;

/// A board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Board {
    /// Its name, as `--board` takes it and the firmware says it.
    pub name: &'static str,
    /// Its CPU, as `--cpu` takes it.
    pub cpu: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Its memory; empty for the host.
    pub memory: &'static [Region],
    /// How it is reached.
    pub how: How,
    /// What its programs are compiled for; `None` for the host.
    pub target: Option<Target>,
    /// What takes models over the wire, for all commands but `bench`; `None` for the host, and where there is none yet.
    pub firmware: Option<Firmware>,
    /// True if the programs of `carafe bench` run on it.
    pub bench: bool,
}

/// What a compiler is told of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The Rust target.
    pub triple: &'static str,
    /// `-C target-cpu`, where the target's own does not use all that the core has.
    pub cpu: Option<&'static str>,
    /// What links, where it is not the linker that comes with Rust.
    pub linker: Option<Linker>,
    /// True if rustup has no standard library for it: `core` is compiled along (`-Z build-std`), from the component
    /// `rust-src`.
    pub build_std: bool,
}

impl Target {
    /// A target that rustup has, and whose name says all.
    pub const fn plain(triple: &'static str) -> Self {
        Self { triple, cpu: None, linker: None, build_std: false }
    }
}

/// A linker that does not come with Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Linker {
    /// The program, one that is called as GNU `ld` is.
    pub program: &'static str,
    /// The package that has it, on Debian and its kin.
    pub debian_package: &'static str,
    /// What it is told besides.
    pub arguments: &'static [&'static str],
}

/// A piece of a board's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Region {
    /// What its manual calls it.
    pub name: &'static str,
    /// Address of the first byte.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// What it is made of.
    pub kind: RegionKind,
}

/// What a memory is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionKind {
    /// Holds the program, and models beside it.
    Flash,
    /// On the chip.
    Ram,
    /// Outside the chip.
    ExternalRam,
}

/// How a board is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// In this process.
    Host,
    /// In QEMU.
    Qemu(Machine),
    /// Through a debug probe.
    Probe {
        /// The chip, as probe-rs calls it.
        chip: &'static str,
        /// Where its firmware has two slots for models; `None` if a probe can't write them there, nor the firmware.
        slots: Option<SlotRegion>,
    },
}

/// Two slots for models, one behind the other in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotRegion {
    /// Address of the first.
    pub start: u64,
    /// Bytes of each.
    pub bytes: u32,
}

/// A machine that QEMU emulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// The emulator, as `qemu-system-arm`.
    pub program: &'static str,
    /// The package that has it, on Debian and its kin.
    pub debian_package: &'static str,
    /// What `-M` takes.
    pub machine: &'static str,
    /// What it is told besides.
    pub arguments: &'static [&'static str],
    /// True if programs speak semihosting: to leave the emulator, and as a fast link. Else the link is the UART.
    pub semihosting: bool,
    /// Under QEMU's `-icount shift=N` an instruction takes 2^N ns: longer than a tick of the board's timer, so that single
    /// instructions can be told apart.
    pub icount_shift: u32,
}

/// The firmware of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Firmware {
    /// Its crate, from the root of the checkout, with `/`.
    pub crate_path: &'static str,
    /// The binary in it.
    pub binary: &'static str,
    /// Bytes of stack that it has.
    pub stack_bytes: u64,
}

/// Whether a board can be used here and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Available,
    /// It can't.
    Missing {
        /// What is missing, and the command that gets it.
        why_not: String,
    },
}

/// No board has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no board `{name}`; boards are: {known}")]
pub struct UnknownBoard {
    /// The name asked for.
    pub name: String,
    /// The names there are, separated by commas.
    pub known: String,
}

/// All boards.
pub fn all() -> &'static [Board] {
    table::BOARDS
}

/// The board of that name.
///
/// # Errors
/// [`UnknownBoard`], with the names there are.
pub fn find(name: &str) -> Result<&'static Board, UnknownBoard> {
    all().iter().find(|board| board.name == name).ok_or_else(|| UnknownBoard {
        name: name.to_owned(),
        known: all().iter().map(|board| board.name).collect::<Vec<_>>().join(", "),
    })
}

impl Board {
    /// Bytes of RAM, on and off the chip; 0 for the host.
    pub fn ram_bytes(&self) -> u64 {
        self.bytes(|kind| kind != RegionKind::Flash)
    }

    /// Bytes of flash; 0 for the host.
    pub fn flash_bytes(&self) -> u64 {
        self.bytes(|kind| kind == RegionKind::Flash)
    }

    fn bytes(&self, wanted: impl Fn(RegionKind) -> bool) -> u64 {
        self.memory.iter().filter(|region| wanted(region.kind)).map(|region| region.bytes).sum()
    }

    /// True if models can be sent to it: `run`, `eval` and `layer-diff` take it.
    pub fn takes_models(&self) -> bool {
        self.how == How::Host || self.firmware.is_some()
    }

    /// Looks whether it can be used: the emulator on `PATH`, for one that is emulated, and the linker.
    pub fn availability(&self) -> Availability {
        match self.how {
            How::Host => Availability::Available,
            How::Qemu(machine) => match (machine.availability(), self.target.and_then(|target| target.linker)) {
                (Availability::Available, Some(linker)) => linker.availability(),
                (emulator, _) => emulator,
            },
            How::Probe { .. } => Availability::Missing {
                why_not:
                    "a real board: give its serial port by `--port`; `carafe flash` reaches it through a debug probe"
                        .to_owned(),
            },
        }
    }
}

impl How {
    /// One word: `host`, `qemu` or `probe`.
    pub fn word(&self) -> &'static str {
        match self {
            How::Host => "host",
            How::Qemu(_) => "qemu",
            How::Probe { .. } => "probe",
        }
    }
}

fn on_path(program: &str, install_command: impl Fn() -> String) -> Availability {
    match which::which(program) {
        Ok(_) => Availability::Available,
        Err(_) => {
            Availability::Missing { why_not: format!("`{program}` is not on PATH; get it by: {}", install_command()) }
        }
    }
}

impl Linker {
    /// Looks whether it is on `PATH`.
    pub fn availability(&self) -> Availability {
        on_path(self.program, || self.install_command())
    }

    /// The command that installs it, or where there is none what to look for.
    pub fn install_command(&self) -> String {
        if cfg!(any(target_os = "macos", windows)) {
            format!("building GNU binutils for it (`{}`; no package is known here)", self.program)
        } else {
            format!("sudo apt-get install {} (or your distribution's package of it)", self.debian_package)
        }
    }
}

impl Machine {
    /// Looks whether the emulator is on `PATH`.
    pub fn availability(&self) -> Availability {
        on_path(self.program, || self.install_command())
    }

    /// The command that installs the emulator on this operating system.
    pub fn install_command(&self) -> String {
        if cfg!(target_os = "macos") {
            "brew install qemu".to_owned()
        } else if cfg!(windows) {
            "winget install SoftwareFreedomConservancy.QEMU (and put its folder on PATH)".to_owned()
        } else {
            format!("sudo apt-get install {} (or your distribution's package of QEMU)", self.debian_package)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (i, board) in all().iter().enumerate() {
            assert_eq!(find(board.name), Ok(board));
            assert!(all()[..i].iter().all(|other| other.name != board.name), "{} is there twice", board.name);
            assert_eq!(board.target.is_some(), board.how != How::Host);
            assert!(board.takes_models() || board.bench, "{} is of no use", board.name);
            assert!(board.target.is_some() || !board.bench, "{} can't be compiled for", board.name);
        }
        let error = find("nonesuch").unwrap_err();
        assert!(error.to_string().contains("qemu-mps2-an386"), "{error}");
    }

    #[test]
    fn regions_do_not_overlap() {
        for board in all() {
            for (i, a) in board.memory.iter().enumerate() {
                for b in &board.memory[..i] {
                    let apart = a.start + a.bytes <= b.start || b.start + b.bytes <= a.start;
                    assert!(apart, "{}: {} and {} overlap", board.name, a.name, b.name);
                }
            }
        }
    }

    #[test]
    fn slots_lie_in_flash_as_the_firmware_has_them() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for board in all() {
            let (How::Probe { slots: Some(slots), .. }, Some(firmware)) = (board.how, board.firmware) else { continue };
            let end = slots.start + 2 * u64::from(slots.bytes);
            let holds = |r: &&Region| r.kind == RegionKind::Flash && r.start <= slots.start && end <= r.start + r.bytes;
            assert!(board.memory.iter().any(|region| holds(&region)), "{}", board.name);
            let script = std::fs::read_to_string(root.join(firmware.crate_path).join("memory.x")).unwrap();
            let wanted = format!("SLOTS: {:#010X}, two of {} KB", slots.start, slots.bytes >> 10).replace("0X", "0x");
            assert!(script.contains(&wanted), "{}: no `{wanted}` in its memory.x", board.name);
        }
    }

    #[test]
    fn firmware_crates_exist_and_have_a_lock_file() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for firmware in all().iter().filter_map(|board| board.firmware) {
            assert!(root.join(firmware.crate_path).join("Cargo.lock").exists(), "{}", firmware.crate_path);
        }
    }

    #[test]
    fn an_emulator_that_is_not_there_comes_with_the_command_that_gets_it() {
        let machine = Machine {
            program: "qemu-system-nonesuch",
            debian_package: "qemu-system-none",
            machine: "m",
            arguments: &[],
            semihosting: true,
            icount_shift: 6,
        };
        let Availability::Missing { why_not } = machine.availability() else { panic!("no such program exists") };
        assert!(why_not.contains("qemu-system-nonesuch") && why_not.contains("install"), "{why_not}");
    }

    #[test]
    fn a_linker_that_is_not_there_comes_with_what_gets_it() {
        let linker = Linker { program: "nonesuch-ld", debian_package: "binutils-nonesuch", arguments: &[] };
        let Availability::Missing { why_not } = linker.availability() else { panic!("no such program exists") };
        assert!(why_not.contains("nonesuch-ld") && why_not.contains("get it by"), "{why_not}");
    }

    #[test]
    fn sums_of_memory() {
        let board = find("qemu-mps2-an386").unwrap();
        assert_eq!((board.ram_bytes(), board.flash_bytes()), (20 << 20, 4 << 20));
        assert_eq!(find("host").unwrap().availability(), Availability::Available);
    }
}
