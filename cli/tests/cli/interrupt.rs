//! Ctrl-C leaves nothing half-written.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crate::common::{Folder, digits};

const OLD: &[u8] = b"an older blob";
const SIGINT: i32 = 2;

/// A conversion that takes a moment, and a shell that waits for a word to interrupt it.
struct Conversion {
    carafe: Child,
    messages: BufReader<ChildStderr>,
    shell: Child,
}

/// The program, minding SIGINT: what runs in the background of a script, as tests may, inherits that it is ignored, and
/// the program respects that.
fn program() -> Command {
    let carafe = env!("CARGO_BIN_EXE_carafe");
    if cfg!(target_os = "linux") {
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", carafe]);
        return command;
    }
    Command::new(carafe)
}

impl Conversion {
    fn start(folder: &Folder) -> Self {
        Self::with(folder, &digits("test.npz"))
    }

    fn with(folder: &Folder, calibration: &str) -> Self {
        let mut carafe = program()
            .args(["convert", &digits("digits.xml"), "--calibration", calibration])
            .args(["-o", &folder.at("d.carafe"), "--report", &folder.at("r.json")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let messages = BufReader::new(carafe.stderr.take().expect("stderr is piped"));
        let shell = Command::new("sh")
            .args(["-c", "read word; kill -INT \"$0\"", &carafe.id().to_string()])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        Self { carafe, messages, shell }
    }

    /// Waits until a phase begins.
    fn comes_to(&mut self, phase: &str) {
        let mut line = String::new();
        while !line.starts_with(phase) {
            line.clear();
            assert!(self.messages.read_line(&mut line).expect("messages are text") > 0, "`{phase}` never began");
        }
    }

    fn interrupt(mut self) -> ExitStatus {
        self.shell.stdin.take().expect("stdin is piped").write_all(b"now\n").expect("the shell waits");
        self.shell.wait().expect("the shell ends");
        let status = self.carafe.wait().expect("the program ends");
        drop(self.messages);
        status
    }
}

/// Nothing is there but the old output, or all of the new one.
#[track_caller]
fn is_whole(folder: &Folder, status: ExitStatus) {
    let files = folder.list();
    assert!(files.iter().all(|f| f == "d.carafe" || f == "r.json"), "{files:?} after {status}");
    let blob = std::fs::read(folder.at("d.carafe")).expect("the old output, or a new one");
    if blob != OLD {
        assert!(carafe::Model::verify(&blob, carafe::ops::ALL).is_ok(), "half a blob after {status}");
    }
}

#[test]
fn no_half_written_file_stays() {
    // In every phase, and where files are written: before, amid or after it. A busy machine may be late.
    let early =
        ["read calibration data", "observe ranges", "check against float", "plan memory"].map(|phase| (phase, 0));
    for (phase, wait) in early.into_iter().chain((1..8).map(|ms| ("plan memory", 2 * ms))) {
        let folder = Folder::new();
        folder.write("d.carafe", OLD);
        let mut conversion = Conversion::start(&folder);
        conversion.comes_to(phase);
        thread::sleep(Duration::from_millis(wait));
        let status = conversion.interrupt();
        assert!(matches!(status.code(), Some(0 | 130)), "{status} at `{phase}` + {wait} ms");
        is_whole(&folder, status);
    }
    // At once, perhaps before the program can know, or before it minds.
    let folder = Folder::new();
    folder.write("d.carafe", OLD);
    let status = Conversion::start(&folder).interrupt();
    assert!(matches!(status.code(), Some(0 | 130)) || status.signal() == Some(SIGINT), "{status}");
    is_whole(&folder, status);
}

/// Calibration data that never come hold the program, so that there is no race: it ends by the interrupt, says so by
/// its exit code, and the old output is as it was.
#[test]
fn the_exit_code_says_who_ended_it() {
    let folder = Folder::new();
    folder.write("d.carafe", OLD);
    let pipe = folder.at("calib.npy");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("there is mkfifo").success());
    let conversion = Conversion::with(&folder, &pipe);
    // Opens when the program has opened the other end.
    let _never_written = std::fs::OpenOptions::new().write(true).open(&pipe).expect("the program reads it");
    let status = conversion.interrupt();
    assert_eq!(status.code(), Some(130), "{status}");
    assert_eq!(folder.list(), ["calib.npy", "d.carafe"]);
    assert_eq!(std::fs::read(folder.at("d.carafe")).unwrap(), OLD);
}
