//! Boards behind a serial port: real ones, and emulated ones whose line is one (QEMU's `-serial pty`).

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use carafe_boards::{Board, How};
use serialport::{ClearBuffer, SerialPort, SerialPortType, available_ports};

use crate::Error;
use crate::client::{BoardInfo, Client};
use crate::remote::{Remote, Start};
use crate::suite_file::Wire;
use crate::target::{Case, LoadedModel, Outcome, Target};
use crate::transport::Transport;

/// What the firmware of every board here sets its UART to.
pub const BAUD: u32 = 115_200;

/// The longest that the reader looks at the port without looking whether it is to end.
const GLANCE: Duration = Duration::from_millis(50);
/// For a line to take bytes that it could not take at once.
const SENDING: Duration = Duration::from_secs(10);
/// For a firmware to answer; one that starts by trying a model takes its time.
const ANSWER: Duration = Duration::from_secs(10);
/// For a port to come back: those that are part of the board go when it starts afresh.
const RETURN: Duration = Duration::from_secs(5);

/// A serial port and its speed, as `--port` takes them: `PATH` or `PATH@BAUD`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortName {
    /// What the system calls it: `/dev/ttyACM0`, `COM3`.
    pub path: String,
    /// Bits a second.
    pub baud: u32,
}

impl PortName {
    /// A port at the speed of the boards' firmware.
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned(), baud: BAUD }
    }
}

impl FromStr for PortName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, baud) = match text.rsplit_once('@') {
            None => (text, Some(BAUD)),
            Some((path, baud)) => (path, baud.parse().ok().filter(|&baud| baud > 0)),
        };
        match (path, baud) {
            ("", _) | (_, None) => Err(format!("`{text}` is not PATH or PATH@BAUD, as /dev/ttyACM0@{BAUD}")),
            (path, Some(baud)) => Ok(Self { path: path.to_owned(), baud }),
        }
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.baud)
    }
}

/// A serial port, opened for nobody else. It is closed when this is dropped.
///
/// A thread reads it, so that nothing is lost while a program computes.
pub struct Serial {
    path: String,
    port: Box<dyn SerialPort>,
    from: Receiver<io::Result<Vec<u8>>>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    /// What the system said when it went.
    end: Option<String>,
}

impl Serial {
    /// Opens a port, for the board of that name (for messages).
    ///
    /// # Errors
    /// [`Error::Port`]: it is not there, is another's, or may not be opened; with the remedy.
    pub fn open(board: &str, name: &PortName) -> Result<Self, Error> {
        let refused = |error: &serialport::Error| Error::Port {
            board: board.to_owned(),
            port: name.path.clone(),
            why: why(error, &name.path),
        };
        let port = serialport::new(name.path.as_str(), name.baud).timeout(GLANCE).open().map_err(|e| refused(&e))?;
        // What came for whoever had it before is nothing to us. Where this is not possible, the protocol passes over it.
        let _ = port.clear(ClearBuffer::Input);
        let mut ours = port.try_clone().map_err(|e| refused(&e))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (arrived, from) = channel();
        let reader = thread::spawn(move || {
            let mut room = [0; 4096];
            while !stopped.load(Ordering::Relaxed) {
                let read = match ours.read(&mut room) {
                    Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                    Ok(n) => Ok(room[..n].to_vec()),
                    Err(error) if is_pause(&error) => continue,
                    Err(error) => Err(error),
                };
                let ends = read.is_err();
                if arrived.send(read).is_err() || ends {
                    break;
                }
            }
        });
        Ok(Self { path: name.path.clone(), port, from, stop, reader: Some(reader), end: None })
    }

    fn ended(&mut self, error: io::Error) -> io::Error {
        self.end.get_or_insert_with(|| error.to_string());
        error
    }
}

/// Nothing for now.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl Transport for Serial {
    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + SENDING;
        while !bytes.is_empty() {
            match self.port.write(bytes) {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) if is_pause(&error) && Instant::now() < deadline => {}
                Err(error) => return Err(self.ended(error)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, to: &mut Vec<u8>, limit: Duration) -> io::Result<()> {
        match self.from.recv_timeout(limit) {
            Ok(Ok(bytes)) => to.extend(bytes),
            Ok(Err(error)) => return Err(self.ended(error)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(self.ended(ErrorKind::UnexpectedEof.into())),
        }
        Ok(())
    }

    fn lost(&self, board: &str, during: &'static str) -> Error {
        let why = self.end.clone().unwrap_or_default();
        Error::PortLost { board: board.to_owned(), port: self.path.clone(), during, why }
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Until the thread has ended, the port is open, and nobody can open it again.
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Why a port can't be opened, and the remedy.
fn why(error: &serialport::Error, path: &str) -> String {
    use serialport::ErrorKind as Kind;
    match error.kind() {
        Kind::Io(ErrorKind::PermissionDenied) if cfg!(target_os = "linux") => {
            "you may not open it: `sudo usermod -aG dialout $USER` and log in again, or give it to you by a udev rule \
             (docs/hil-in-ci.md has one)"
                .to_owned()
        }
        Kind::Io(ErrorKind::PermissionDenied) => "you may not open it, or another program has it".to_owned(),
        // Of a port that is there, another's lock is told in this way, too.
        Kind::NoDevice if std::path::Path::new(path).exists() => {
            format!("{error}: another program has it, as a terminal does: end that first")
        }
        Kind::NoDevice | Kind::Io(ErrorKind::NotFound) => format!("there is no such port; {}", plugged_in()),
        _ => format!("can't be opened as one: {error}; {}", plugged_in()),
    }
}

/// The USB serial ports of this computer, in words.
fn plugged_in() -> String {
    let ports = available_ports().unwrap_or_default();
    let usb = ports.into_iter().filter_map(|port| match port.port_type {
        SerialPortType::UsbPort(usb) => {
            let product = usb.product.map_or_else(String::new, |product| format!(" {product}"));
            Some(format!("{} ({:04x}:{:04x}{product})", port.port_name, usb.vid, usb.pid))
        }
        _ => None,
    });
    let list: Vec<String> = usb.collect();
    if list.is_empty() {
        "no USB serial port is plugged in".to_owned()
    } else {
        format!("there are {}", list.join(", "))
    }
}

/// How the firmware gets onto a board.
fn remedy(board: &Board) -> String {
    match board.how {
        How::Probe { slots: Some(_), .. } => format!("`carafe flash --firmware --board {}` puts it there", board.name),
        How::Probe { slots: None, .. } => match board.firmware {
            Some(firmware) => format!("{}/README.md says how to flash it", firmware.crate_path),
            None => "there is none for this board".to_owned(),
        },
        _ => "an emulator has to be started with it, and with its serial line there".to_owned(),
    }
}

/// What opens the port and greets the board.
struct Line(PortName);

impl Start for Line {
    type Link = Serial;

    fn start(&mut self, board: &Board, again: bool) -> Result<(Client<Serial>, BoardInfo), Error> {
        let Self(port) = self;
        let deadline = Instant::now() + if again { RETURN } else { Duration::ZERO };
        let link = loop {
            match Serial::open(board.name, port) {
                Err(Error::Port { .. }) if Instant::now() < deadline => thread::sleep(GLANCE),
                opened => break opened?,
            }
        };
        let mut client = Client::new(board.name, link);
        let mut info = client.hello(ANSWER).map_err(|error| silent(error, board, port))?;
        if info.board != board.name {
            return Err(Error::OtherBoard {
                board: board.name.to_owned(),
                port: port.path.clone(),
                answered: info.board,
            });
        }
        if again {
            info = client.restart()?;
        }
        Ok((client, info))
    }
}

/// No answer to a greeting means more than no answer later.
fn silent(error: Error, board: &Board, port: &PortName) -> Error {
    match error {
        Error::Timeout { limit, .. } => Error::Silent {
            board: board.name.to_owned(),
            port: port.path.clone(),
            baud: port.baud,
            limit,
            remedy: remedy(board),
        },
        other => other,
    }
}

/// A board behind a serial port, with Carafe's firmware on it.
///
/// One that hangs is asked to start afresh. If it does not answer that, its reset button is out of reach from here.
pub struct SerialBoard {
    remote: Remote<Line>,
}

impl SerialBoard {
    /// Opens the port, and sees that the firmware of the board of that name answers.
    ///
    /// # Errors
    /// No such board; [`Error::Port`], [`Error::Silent`], [`Error::OtherBoard`], or a firmware of another version.
    pub fn open(name: &str, port: PortName) -> Result<Self, Error> {
        let board = carafe_boards::find(name)?;
        if board.how == How::Host {
            return Err(Error::NoLine { board: name.to_owned() });
        }
        Ok(Self { remote: Remote::new(board, Line(port))? })
    }

    /// What the board said of itself.
    pub fn info(&self) -> &BoardInfo {
        &self.remote.info
    }

    /// The client, to speak to the board directly; after a failure the board is started afresh, with its model.
    ///
    /// # Errors
    /// The board is gone, or does not answer.
    pub fn client(&mut self) -> Result<&mut Client<Serial>, Error> {
        self.remote.client()
    }
}

impl Target for SerialBoard {
    fn id(&self) -> &str {
        self.remote.board.name
    }

    fn load(&mut self, blob: &[u8]) -> Result<LoadedModel, Error> {
        self.remote.load(blob)
    }

    fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error> {
        self.remote.exec(case, limit)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_with_their_speed() {
        let read = |text: &str| text.parse::<PortName>().map(|port| (port.path, port.baud));
        assert_eq!(read("/dev/ttyACM0"), Ok(("/dev/ttyACM0".to_owned(), BAUD)));
        assert_eq!(read("COM3@9600"), Ok(("COM3".to_owned(), 9600)));
        assert_eq!(read("/dev/by@id@921600"), Ok(("/dev/by@id".to_owned(), 921_600)));
        for wrong in ["", "@9600", "/dev/ttyACM0@", "/dev/ttyACM0@fast", "/dev/ttyACM0@0"] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("PATH@BAUD"), "{error}");
        }
        let port = PortName { path: "a@b".to_owned(), baud: 1200 };
        assert_eq!(port.to_string().parse(), Ok(port));
    }

    #[test]
    fn errors_name_the_remedy() {
        let why = |kind, path: &str| why(&serialport::Error::new(kind, "so"), path);
        let there = env!("CARGO_MANIFEST_DIR");
        assert!(why(serialport::ErrorKind::NoDevice, there).contains("another program"));
        assert!(why(serialport::ErrorKind::NoDevice, "/dev/nonesuch").contains("no such port"));
        if cfg!(target_os = "linux") {
            let text = why(serialport::ErrorKind::Io(ErrorKind::PermissionDenied), there);
            assert!(text.contains("dialout") && text.contains("udev"), "{text}");
        }
        let board = |name| carafe_boards::find(name).unwrap();
        assert!(remedy(board("pico")).contains("carafe flash --firmware --board pico"));
        assert!(remedy(board("esp32-c3")).contains("boards/esp32-c3/README.md"));
    }
}
