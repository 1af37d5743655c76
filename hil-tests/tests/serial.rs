//! Boards behind a serial port: a runner behind a pseudo-terminal, and an emulated board's UART that QEMU puts there. No
//! hardware has seen this. Pseudo-terminals are Linux's here; elsewhere it is skipped.
#![cfg(target_os = "linux")]

mod common;

use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use carafe_boards::{Availability, How};
use carafe_hil::protocol::{MAX_DATA, Observe, SlotState};
use carafe_hil::sample::Sample;
use carafe_hil::{BAUD, Case, Error, Host, LayerDiff, PortName, SerialBoard, Target, firmware};
use carafe_runner::carafe_slots::{RamFlash, Slots};
use carafe_runner::{Clock, Counter, CounterKind, Ending, Identity, Memory, NoStack, Runner, carafe};
use common::{FLASH, LIMIT, Noise, computes, stands_bad_transfers, stands_noise};
use serialport::{SerialPort, TTYPort};

/// The board that QEMU has.
const EMULATED: &str = "qemu-mps2-an386";
/// The one that the runner behind a pseudo-terminal says it is.
const REAL: &str = "pico";

/// What a board does.
const WORKS: u8 = 0;
/// Reads, and answers nothing.
const HANGS: u8 = 1;
/// Its plug is pulled when it wants to answer.
const VANISHES: u8 = 2;

/// The board's end of the line.
struct Line {
    master: TTYPort,
    mood: Arc<AtomicU8>,
}

impl embedded_io::ErrorType for Line {
    type Error = Infallible;
}

impl embedded_io::Read for Line {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        while self.mood.load(Ordering::SeqCst) != VANISHES {
            match Read::read(&mut self.master, buf) {
                Ok(n @ 1..) => return Ok(n),
                // Nobody has the port open.
                Ok(0) | Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        }
        Ok(0)
    }
}

impl embedded_io::Write for Line {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        if self.mood.load(Ordering::SeqCst) != WORKS {
            return Ok(buf.len());
        }
        // A host that has gone hears nothing.
        Ok(Write::write(&mut self.master, buf).unwrap_or(buf.len()))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Ticks(u64);

impl Clock for Ticks {
    fn counter(&self) -> Counter {
        Counter { kind: CounterKind::Cycles, hz: 1_000 }
    }

    fn ticks(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// A board on a line, and the port it is behind.
struct Desk {
    port: PortName,
    mood: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

impl Desk {
    fn new() -> Self {
        let (mut master, slave) = TTYPort::pair().unwrap();
        master.set_timeout(Duration::from_millis(20)).unwrap();
        let port = PortName::new(&slave.name().unwrap());
        let mood = Arc::new(AtomicU8::new(WORKS));
        let mut line = Line { master, mood: Arc::clone(&mood) };
        let thread = thread::spawn(move || {
            let (mut front, mut back, mut arena) = (vec![0; 16 << 10], vec![0; 16 << 10], vec![0; 64 << 10]);
            let mut flash = vec![0xFF; FLASH];
            loop {
                let memory = Memory { banks: [&mut front, &mut back], arena: &mut arena };
                let slots = Slots::new(RamFlash::<4, 1024>::new(&mut flash), 0, FLASH as u32 / 2).ok();
                let identity = Identity { board: REAL, cpu: "host" };
                let runner = Runner::new(identity, carafe::ops::ALL, &mut line, Ticks(0), NoStack, memory);
                if runner.with_slots(slots).serve() != Ending::Restart {
                    break;
                }
            }
        });
        Self { port, mood, thread: Some(thread) }
    }

    fn set(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.set(VANISHES);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn runs(board: &mut SerialBoard, sample: Sample, seed: u64) {
    let input = Noise(seed).bytes(sample.bytes());
    let outcome = board.exec(&Case::of(&[&input]), LIMIT).unwrap();
    assert_eq!(outcome.outputs, [sample.expected(&input)]);
    assert_eq!(outcome.arena_high_water, outcome.arena_bytes);
}

fn error(name: &str, port: &PortName) -> Error {
    SerialBoard::open(name, port.clone()).err().unwrap()
}

#[test]
fn a_board_behind_a_port_runs_models() {
    let desk = Desk::new();
    let mut board = SerialBoard::open(REAL, desk.port.clone()).unwrap();
    assert_eq!((board.id(), board.info().cpu.as_str()), (REAL, "host"));
    let sample = Sample::new(20, 10, 5, 3);
    let mut host = Host::new();
    let wanted = host.load(&sample.blob()).unwrap();
    assert_eq!(board.load(&sample.blob()).unwrap().arena_bytes, wanted.arena_bytes);
    for seed in 1..4 {
        runs(&mut board, sample, seed);
    }
    let input = vec![1; sample.bytes()];
    let watched = Case::of(&[&input]).observed(Observe::Profile);
    assert!(!board.exec(&watched, LIMIT).unwrap().profile.is_empty());
    let mut targets: [Box<dyn Target>; 2] = [Box::new(host), Box::new(board)];
    let samples = [vec![Noise(9).bytes(sample.bytes())]];
    assert!(LayerDiff::run(&mut targets, &sample.blob(), &samples, LIMIT).unwrap().is_same());
    // Closed and opened again, it is the same board, with the model still on it.
    drop(targets);
    let mut board = SerialBoard::open(REAL, desk.port.clone()).unwrap();
    computes(board.client().unwrap(), &sample, 5);
    stands_noise(board.client().unwrap(), 200, 3);
    stands_bad_transfers(board.client().unwrap(), 16 << 10);
}

#[test]
fn a_board_behind_a_port_takes_models_into_its_flash() {
    let desk = Desk::new();
    let (old, new) = (Sample::new(9, 40, 3, 5), Sample::new(9, 40, 3, 77));
    for (sample, slot) in [(old, 0), (new, 1)] {
        let mut board = SerialBoard::open(REAL, desk.port.clone()).unwrap();
        let client = board.client().unwrap();
        let (file, mut arrived) = (sample.golden_blob(true), Vec::new());
        let slots = client.flash(&file, &mut |done, _| arrived.push(done)).unwrap();
        assert_eq!(slots.slots[usize::from(slot)].state, SlotState::Trial(0));
        assert_eq!((arrived.first(), arrived.last()), (Some(&0), Some(&file.len())));
        client.restart().unwrap();
        assert_eq!(client.slots().unwrap().running, Some(slot));
        computes(client, &sample, 3);
        assert_eq!(client.confirm().unwrap().slots[usize::from(slot)].state, SlotState::Good);
    }
    // What fails its check there leaves the other one.
    let mut board = SerialBoard::open(REAL, desk.port.clone()).unwrap();
    let client = board.client().unwrap();
    assert!(matches!(client.flash(&old.golden_blob(false), &mut |_, _| ()), Err(Error::Refused { .. })));
    client.restart().unwrap();
    computes(client, &new, 5);
}

#[test]
fn two_do_not_share_a_port() {
    let desk = Desk::new();
    let _first = SerialBoard::open(REAL, desk.port.clone()).unwrap();
    let text = error(REAL, &desk.port).to_string();
    assert!(text.contains(&desk.port.path) && text.contains("another program"), "{text}");
}

#[test]
fn a_board_that_vanishes_is_an_error_and_no_hang() {
    let desk = Desk::new();
    let mut board = SerialBoard::open(REAL, desk.port.clone()).unwrap();
    let sample = Sample::new(20, 10, 5, 3);
    board.load(&sample.blob()).unwrap();
    runs(&mut board, sample, 1);
    desk.set(VANISHES);
    let begun = Instant::now();
    let input = vec![1; sample.bytes()];
    let error = board.exec(&Case::of(&[&input]), LIMIT).unwrap_err();
    assert!(matches!(error, Error::PortLost { .. }), "{error}");
    let text = error.to_string();
    for word in [REAL, &desk.port.path, "plugged in"] {
        assert!(text.contains(word), "{text}");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    // And so it stays.
    let error = board.restart().unwrap_err();
    assert!(matches!(&error, Error::Port { port, .. } if *port == desk.port.path), "{error}");
}

#[test]
fn a_board_that_hangs_is_asked_to_start_afresh() {
    let desk = Desk::new();
    let mut board = SerialBoard::open(REAL, desk.port.clone()).unwrap();
    let sample = Sample::new(20, 10, 5, 3);
    board.load(&sample.blob()).unwrap();
    desk.set(HANGS);
    let mood = Arc::clone(&desk.mood);
    let waker = thread::spawn(move || {
        thread::sleep(Duration::from_secs(13));
        mood.store(WORKS, Ordering::SeqCst);
    });
    // Setting the input is given ten seconds, so is the greeting afterwards.
    let input = vec![1; sample.bytes()];
    let outcome = board.exec(&Case::of(&[&input]), LIMIT).unwrap();
    assert!(outcome.restarted);
    assert_eq!(outcome.outputs, [sample.expected(&input)]);
    waker.join().unwrap();
    assert!(board.restart().unwrap());
    assert!(matches!(board.exec(&Case::of(&[&input]), LIMIT), Err(Error::NoModel { .. })));
    board.load(&sample.blob()).unwrap();
    runs(&mut board, sample, 2);
}

#[test]
fn what_is_wrong_is_named_with_its_remedy() {
    let says = |error: Error, words: &[&str]| {
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
    };
    says(error(REAL, &PortName::new("/dev/nonesuch")), &[REAL, "/dev/nonesuch", "no such port", "plugged in"]);
    says(error(REAL, &PortName::new("/dev/null")), &[REAL, "/dev/null"]);
    says(error("host", &PortName::new("/dev/null")), &["host", "--port"]);
    let desk = Desk::new();
    says(error("nucleo-h743zi", &desk.port), &["nucleo-h743zi", "firmware of pico", &desk.port.path, "--board pico"]);
    desk.set(HANGS);
    says(error(REAL, &desk.port), &[REAL, &desk.port.path, "115200", "carafe flash --firmware --board pico"]);
}

/// QEMU with a board whose UART is a pseudo-terminal.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn emulator(elf: &Path) -> io::Result<(Emulator, PortName)> {
    let How::Qemu(machine) = carafe_boards::find(EMULATED).unwrap().how else { panic!("{EMULATED} is emulated") };
    let mut command = Command::new(machine.program);
    command.args(["-M", machine.machine, "-display", "none", "-monitor", "none"]).args(machine.arguments);
    command.args(["-semihosting-config", "enable=on,target=native", "-serial", "pty", "-kernel"]).arg(elf);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
    let emulator = Emulator(child);
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if let Some(path) = line.split_whitespace().find(|word| word.starts_with("/dev/")) {
            return Ok((emulator, PortName::new(path)));
        }
    }
    Err(ErrorKind::UnexpectedEof.into())
}

#[test]
fn an_emulated_board_behind_a_port_gives_the_bits_of_the_host() {
    let board = carafe_boards::find(EMULATED).unwrap();
    if let Availability::Missing { why_not } = board.availability() {
        return println!("skipped: serial port of {EMULATED}: {why_not}");
    }
    let (emulator, port) = emulator(&firmware::build(board).unwrap()).unwrap();
    assert_eq!(port.baud, BAUD);
    let mut board = SerialBoard::open(EMULATED, port.clone()).unwrap();
    let sample = Sample::new(50, 40, 7, 99);
    let mut host = Host::new();
    host.load(&sample.blob()).unwrap();
    board.load(&sample.blob()).unwrap();
    for seed in 1..4 {
        let input = Noise(seed).bytes(sample.bytes());
        let [here, there] = [host.exec(&Case::of(&[&input]), LIMIT), board.exec(&Case::of(&[&input]), LIMIT)];
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_eq!(here.outputs, there.outputs);
        assert_eq!((here.steps, here.arena_high_water), (there.steps, there.arena_high_water));
        assert!(there.ticks > 0 && there.counter.is_some() && there.instructions.is_none());
    }
    let data = Noise(5).bytes(MAX_DATA);
    assert_eq!(board.client().unwrap().echo(&data).unwrap(), data);
    // It starts afresh because it is asked to; the emulator is the same.
    assert!(board.restart().unwrap());
    board.load(&sample.blob()).unwrap();
    let text = error("pico", &port).to_string();
    assert!(text.contains("another program"), "{text}");

    // The plug is pulled in the middle of a run, and nothing hangs.
    let input = vec![1; sample.bytes()];
    drop(emulator);
    let begun = Instant::now();
    let error = board.exec(&Case::of(&[&input]), LIMIT).unwrap_err();
    assert!(matches!(&error, Error::PortLost { port: lost, .. } if *lost == port.path), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}
