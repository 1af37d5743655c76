use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use carafe::Model;
use carafe_boards::{Availability, Board, How, Machine};
use carafe_protocol::{Counter, CounterKind, Observe};

use crate::client::{BoardInfo, Client, Ran};
use crate::host::check_inputs;
use crate::log::{LogDecoder, LogLine};
use crate::suite_file::Wire;
use crate::target::{Case, LoadedModel, Outcome, Target};
use crate::transport::{Process, Transport};
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

/// An emulated board. QEMU ends with it.
pub struct Qemu {
    board: &'static Board,
    machine: Machine,
    options: QemuOptions,
    elf: PathBuf,
    /// `None` after a failure, until the next start.
    client: Option<Client<Process>>,
    info: BoardInfo,
    blob: Option<Vec<u8>>,
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
        let (client, info) = spawn(board, &machine, &options, &elf)?;
        Ok(Self { board, machine, options, elf, client: Some(client), info, blob: None, log })
    }

    /// What the board said of itself.
    pub fn info(&self) -> &BoardInfo {
        &self.info
    }

    /// The ELF file that it runs.
    pub fn firmware(&self) -> &std::path::Path {
        &self.elf
    }

    /// The client, to speak to the board directly; after a failure it is started afresh, with its model.
    ///
    /// # Errors
    /// The board does not start.
    pub fn client(&mut self) -> Result<&mut Client<Process>, Error> {
        if self.client.is_none() {
            let (mut client, info) = spawn(self.board, &self.machine, &self.options, &self.elf)?;
            if let Some(blob) = &self.blob {
                client.load(blob)?;
            }
            self.info = info;
            return Ok(self.client.insert(client));
        }
        self.client.as_mut().ok_or_else(|| Error::NoModel { board: self.board.name.to_owned() })
    }

    /// Does something on the board; after a hang or a lost link once more, on a fresh start. True if it was needed.
    fn with_restart<R>(
        &mut self,
        mut action: impl FnMut(&mut Client<Process>) -> Result<R, Error>,
    ) -> Result<(R, bool), Error> {
        let first = self.client().and_then(&mut action);
        match first {
            Ok(result) => Ok((result, false)),
            Err(error) if error.is_link() => {
                self.client = None;
                let second = self.client().and_then(&mut action);
                if second.as_ref().is_err_and(Error::is_link) {
                    self.client = None;
                }
                second.map(|result| (result, true))
            }
            Err(error) => Err(error),
        }
    }

    fn instructions(&self, ticks: u64, counter: Counter) -> Option<u64> {
        if !self.options.count_instructions || counter.kind != CounterKind::Time {
            return None;
        }
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(counter.hz.max(1));
        u64::try_from(ns >> self.machine.icount_shift).ok()
    }
}

fn spawn(
    board: &Board,
    machine: &Machine,
    options: &QemuOptions,
    elf: &std::path::Path,
) -> Result<(Client<Process>, BoardInfo), Error> {
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
        self.board.name
    }

    fn load(&mut self, blob: &[u8]) -> Result<LoadedModel, Error> {
        self.blob = None;
        let (loaded, _) = self.with_restart(|client| client.load(blob))?;
        self.blob = Some(blob.to_vec());
        Ok(LoadedModel { arena_bytes: loaded.arena_bytes as usize, state_bytes: loaded.state_bytes as usize })
    }

    fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error> {
        let blob = self.blob.take().ok_or_else(|| Error::NoModel { board: self.board.name.to_owned() })?;
        let sizes = output_sizes(self.board.name, &blob, case);
        self.blob = Some(blob);
        let sizes = sizes?;
        let (mut outcome, restarted) = self.with_restart(|client| exec(client, case, &sizes, limit))?;
        outcome.restarted = restarted;
        outcome.counter = Some(self.info.counter).filter(|counter| counter.hz > 0);
        outcome.instructions = self.instructions(outcome.ticks, self.info.counter);
        Ok(outcome)
    }

    fn log(&mut self) -> Result<Vec<LogLine>, Error> {
        let bytes = self.client.as_mut().map(Client::take_log).unwrap_or_default();
        self.log.as_mut().map_or(Ok(Vec::new()), |log| log.lines(&bytes))
    }

    fn restarts_itself(&self) -> bool {
        true
    }

    fn restart(&mut self) -> Result<bool, Error> {
        self.client = None;
        self.blob = None;
        self.client()?;
        Ok(true)
    }

    fn wire(&mut self) -> Result<Option<&mut dyn Wire>, Error> {
        Ok(Some(self.client()?))
    }
}

/// Bytes of each output. The host's own view of the model serves; the board has verified the same bytes.
fn output_sizes(board: &str, blob: &[u8], case: &Case<'_>) -> Result<Vec<usize>, Error> {
    let refused = |source| Error::Blob { board: board.to_owned(), source };
    let model = Model::verify(blob, carafe::ops::ALL).map_err(refused)?;
    check_inputs(board, &model, case)?;
    Ok((0..model.outputs()).filter_map(|i| model.output(i)).map(|io| io.bytes).collect())
}

fn exec<T: Transport>(
    client: &mut Client<T>,
    case: &Case<'_>,
    sizes: &[usize],
    limit: Duration,
) -> Result<Outcome, Error> {
    for (index, tensor) in (0..).zip(&case.inputs) {
        client.set_input(index, tensor)?;
    }
    let Ran { stats, first_output, rows } = client.run(case.observe, limit)?;
    let mut outputs = Vec::new();
    // One of another length is not that of this model, whatever the board thinks.
    outputs.extend(first_output.filter(|output| Some(&output.len()) == sizes.first()));
    for (index, &len) in sizes.iter().enumerate().skip(outputs.len()) {
        outputs.push(client.output(index as u16, len)?);
    }
    Ok(Outcome {
        outputs,
        ticks: stats.ticks,
        steps: stats.steps,
        arena_bytes: stats.arena_bytes as usize,
        arena_high_water: stats.arena_high_water as usize,
        stack_bytes: stats.stack_bytes.map(|bytes| bytes as usize),
        profile: if case.observe == Observe::Profile { client.profile()? } else { Vec::new() },
        rows,
        ..Outcome::default()
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use carafe_protocol::frame::{encode, message, split};
    use carafe_protocol::{Accumulator, Feed, MAX_FRAME, Request, Response, RunStats};

    use super::*;

    /// A board whose runs bring an output that is too short.
    #[derive(Default)]
    struct Short {
        inbox: Accumulator,
        answer: Vec<u8>,
    }

    impl Transport for Short {
        fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
            for byte in bytes {
                if self.inbox.feed(*byte) != Feed::Frame {
                    continue;
                }
                let (seq, body) = split(self.inbox.payload()).unwrap();
                let stats =
                    RunStats { ticks: 1, steps: 1, arena_bytes: 1, arena_high_water: 1, stack_bytes: None, rows: 0 };
                let data = [9; 4];
                let response = match message(body).unwrap() {
                    Request::Run { .. } => Response::Ran { stats, output: &[1, 2, 3] },
                    Request::GetOutput { len, .. } => Response::Output { data: &data[..usize::from(len)] },
                    _ => Response::Done,
                };
                self.answer = encode(seq, &response, &mut [0; MAX_FRAME]).unwrap().to_vec();
            }
            Ok(())
        }

        fn receive(&mut self, to: &mut Vec<u8>, _: Duration) -> io::Result<()> {
            to.append(&mut self.answer);
            Ok(())
        }
    }

    #[test]
    fn an_output_of_another_length_is_not_taken() {
        let mut client = Client::new("short", Short::default());
        let outcome = exec(&mut client, &Case::of(&[&[5; 6]]), &[4], Duration::from_secs(5)).unwrap();
        assert_eq!(outcome.outputs, [[9; 4]]);
    }
}
