use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use carafe_boards::{Availability, Board, How, Machine};
use carafe_protocol::{Counter, CounterKind};

use crate::client::{BoardInfo, Client};
use crate::log::{LogDecoder, LogLine};
use crate::remote::{Remote, Start};
use crate::suite_file::Wire;
use crate::target::{Case, LoadedModel, Outcome, Target};
use crate::transport::Process;
use crate::{Error, firmware};

/// How to talk to an emulated board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// Semihosting's standard input and output: megabytes a second. On a board without semihosting it is the UART.
    #[default]
    Console,
    /// The board's emulated UART: 30 KB/s, but what a real board would do.
    Uart,
}

/// What can be chosen about an emulated board.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct QemuOptions {
    /// A firmware; `None` builds it from the checkout.
    pub firmware: Option<PathBuf>,
    /// How to talk to it.
    pub link: Link,
    /// Run on QEMU's instruction counter: time then depends on the program alone, and [`Outcome::instructions`] is
    /// there. About half as fast.
    pub count_instructions: bool,
    /// A file in which flash for models outlives the emulator; made if it is not there. `None`: it is as new.
    pub flash_image: Option<PathBuf>,
    /// A firmware that logs what it does, for [`Target::log`]. One that is given has to be built for it.
    pub log: bool,
}

/// For the emulator to start and the firmware to answer.
const START: Duration = Duration::from_secs(20);

/// What starts QEMU.
struct Emulator {
    machine: Machine,
    options: QemuOptions,
    elf: PathBuf,
}

impl Start for Emulator {
    type Link = Process;

    fn start(&mut self, board: &Board, _: bool) -> Result<(Client<Process>, BoardInfo), Error> {
        let Self { machine, options, elf } = self;
        let mut command = emulator(machine, options.link, options.flash_image.as_deref());
        if options.count_instructions {
            count_instructions(&mut command, machine);
        }
        command.arg("-kernel").arg(elf);
        let process = Process::start(&mut command).map_err(|source| Error::Spawn {
            board: board.name.to_owned(),
            program: machine.program.to_owned(),
            source,
        })?;
        let mut client = Client::new(board.name, process);
        let info = client.hello(START)?;
        Ok((client, info))
    }
}

/// An emulated board. QEMU ends with it.
pub struct Qemu {
    remote: Remote<Emulator>,
    log: Option<LogDecoder>,
}

impl Qemu {
    /// Starts the board of that name, and builds its firmware first if none is given.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the emulator is not installed; no such board, no firmware, or no answer.
    pub fn start(name: &str, options: QemuOptions) -> Result<Self, Error> {
        let board = carafe_boards::find(name)?;
        let How::Qemu(machine) = board.how else { return Err(Error::NotEmulated { board: name.to_owned() }) };
        if let Availability::Missing { why_not } = board.availability() {
            return Err(Error::Unavailable { board: name.to_owned(), why_not });
        }
        let elf = match &options.firmware {
            Some(path) if path.exists() => path.clone(),
            Some(path) => return Err(Error::NoFirmware { board: name.to_owned(), path: path.clone() }),
            None => {
                firmware::can_be_built(board)?;
                if options.log { firmware::build_logging(board)? } else { firmware::build(board)? }
            }
        };
        let log = if options.log { LogDecoder::of(name, &elf)? } else { None };
        if options.log && log.is_none() {
            let what =
                "its firmware logs nothing: build it with its feature `log`, or leave `--firmware` out".to_owned();
            return Err(Error::Log { board: name.to_owned(), what });
        }
        Ok(Self { remote: Remote::new(board, Emulator { machine, options, elf })?, log })
    }

    /// What the board said of itself.
    pub fn info(&self) -> &BoardInfo {
        &self.remote.info
    }

    /// The ELF file that it runs.
    pub fn firmware(&self) -> &std::path::Path {
        &self.remote.starter().elf
    }

    /// The client, to speak to the board directly; after a failure it is started afresh, with its model.
    ///
    /// # Errors
    /// The board does not start.
    pub fn client(&mut self) -> Result<&mut Client<Process>, Error> {
        self.remote.client()
    }

    fn instructions(&self, ticks: u64, counter: Counter) -> Option<u64> {
        if !self.remote.starter().options.count_instructions || counter.kind != CounterKind::Time {
            return None;
        }
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(counter.hz.max(1));
        u64::try_from(ns >> self.remote.starter().machine.icount_shift).ok()
    }
}

/// The emulator, but for the program; the link is its standard input and output.
pub(crate) fn emulator(machine: &Machine, link: Link, flash: Option<&std::path::Path>) -> Command {
    let mut command = Command::new(machine.program);
    command.args(["-M", machine.machine, "-display", "none", "-monitor", "none"]).args(machine.arguments);
    let console = link == Link::Console && machine.semihosting;
    if console {
        command.args(["-serial", "none"]);
    } else {
        command.args(["-chardev", "stdio,id=link,signal=off", "-serial", "chardev:link"]);
    }
    if machine.semihosting {
        let mut semihosting = "enable=on,target=native".to_owned();
        if console {
            semihosting.push_str(",arg=link=console");
        }
        if let Some(image) = flash {
            let image = std::path::absolute(image).unwrap_or_else(|_| image.to_path_buf());
            // QEMU takes a comma for the end of an argument, unless there are two.
            semihosting.push_str(&format!(",arg=flash={}", image.display().to_string().replace(',', ",,")));
        }
        command.arg("-semihosting-config").arg(semihosting);
    }
    command
}

/// Has time pass by instructions.
pub(crate) fn count_instructions(command: &mut Command, machine: &Machine) {
    command.arg("-icount").arg(format!("shift={}", machine.icount_shift));
}

impl Target for Qemu {
    fn id(&self) -> &str {
        self.remote.board.name
    }

    fn load(&mut self, blob: &[u8]) -> Result<LoadedModel, Error> {
        self.remote.load(blob)
    }

    fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error> {
        let mut outcome = self.remote.exec(case, limit)?;
        outcome.instructions = self.instructions(outcome.ticks, self.remote.info.counter);
        Ok(outcome)
    }

    fn log(&mut self) -> Result<Vec<LogLine>, Error> {
        let bytes = self.remote.present().map(Client::take_log).unwrap_or_default();
        self.log.as_mut().map_or(Ok(Vec::new()), |log| log.lines(&bytes))
    }

    fn restarts_itself(&self) -> bool {
        true
    }

    fn restart(&mut self) -> Result<bool, Error> {
        self.remote.restart().map(|()| true)
    }

    fn wire(&mut self) -> Result<Option<&mut dyn Wire>, Error> {
        Ok(Some(self.client()?))
    }
}
