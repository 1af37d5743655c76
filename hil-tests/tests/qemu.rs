//! The emulated boards: protocol, faults, bits. Skipped, and said so, where the emulator is not installed.

mod common;

use std::time::{Duration, Instant};

use carafe_boards::How;
use carafe_hil::protocol::{MAX_DATA, Observe};
use carafe_hil::sample::Sample;
use carafe_hil::{Case, Entry, Error, Host, Link, Qemu, QemuOptions, Suite, SuiteModel, Target, Verdict};
use common::{LIMIT, Noise, computes, stands_bad_transfers, stands_noise};

/// The board that everything is tried on.
const BOARD: &str = "qemu-mps2-an386";

fn boards() -> impl Iterator<Item = &'static str> {
    carafe_boards::all()
        .iter()
        .filter(|b| b.firmware.is_some() && matches!(b.how, How::Qemu(_)))
        .map(|board| board.name)
}

/// The ways to talk to a board.
fn links(board: &str) -> &'static [Link] {
    match carafe_boards::find(board).unwrap().how {
        How::Qemu(machine) if machine.semihosting => &[Link::Console, Link::Uart],
        _ => &[Link::Uart],
    }
}

/// A board, or `None` where it can't be had; anything else that is wrong is a failure.
fn start(board: &str, test: &str, link: Link, count_instructions: bool) -> Option<Qemu> {
    let mut options = QemuOptions::default();
    options.link = link;
    options.count_instructions = count_instructions;
    match Qemu::start(board, options) {
        Ok(qemu) => Some(qemu),
        Err(error) if error.is_unavailable() => {
            println!("skipped: {test} on {board}: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn says_who_it_is_and_echoes_on_every_link() {
    for board in boards() {
        for &link in links(board) {
            let Some(mut qemu) = start(board, "echo", link, false) else { break };
            let cpu = carafe_boards::find(board).unwrap().cpu;
            assert_eq!((qemu.info().board.as_str(), qemu.info().cpu.as_str()), (board, cpu));
            let begun = Instant::now();
            let mut noise = Noise(5);
            for i in 0..20 {
                let data = noise.bytes(MAX_DATA - i);
                assert_eq!(qemu.client().unwrap().echo(&data).unwrap(), data);
            }
            let speed = (20 * MAX_DATA) as f64 / begun.elapsed().as_secs_f64();
            println!("{board}, {link:?}: {:.0} KB/s there and back", speed / 1e3);
        }
    }
}

#[test]
fn gives_the_bits_of_the_host() {
    let samples = [
        Sample::new(4, 4, 3, 1),
        Sample::new(20, 10, 5, 99),
        Sample::new(50, 40, 7, 99),
        Sample::new(50, 40, 7, 98).pushed(),
    ];
    for board in boards() {
        let Some(qemu) = start(board, "bits", Link::Console, false) else { continue };
        let mut noise = Noise(11);
        let room = qemu.info().arena_bytes;
        let models = samples.iter().filter(|sample| 2 * sample.bytes() + 64 <= room).map(|sample| SuiteModel {
            name: format!("{sample:?}"),
            blob: sample.blob(),
            cases: (0..20).map(|_| vec![noise.bytes(sample.bytes())]).collect(),
            expected: Vec::new(),
        });
        let suite = Suite { name: "samples".to_owned(), models: models.collect(), limit: LIMIT, stack_bytes: None };
        let mut entries = [Entry::new("host", Ok(Box::new(Host::new()))), Entry::new(board, Ok(Box::new(qemu)))];
        let report = suite.run(&mut entries);
        print!("{report}");
        assert!(report.cells.len() >= 4, "{report}");
        assert!(report.cells.iter().all(|cell| cell.verdict == Verdict::Passed { cases: 20 }), "{report}");
    }
}

#[test]
fn runs_a_model_over_the_uart() {
    for board in boards() {
        let Some(mut qemu) = start(board, "UART", Link::Uart, false) else { continue };
        let sample = Sample::new(20, 10, 5, 3);
        qemu.load(&sample.blob()).unwrap();
        for seed in 1..4 {
            let input = Noise(seed).bytes(sample.bytes());
            let outcome = qemu.exec(&Case::of(&[&input]), LIMIT).unwrap();
            assert_eq!(outcome.outputs, [sample.expected(&input)], "{board}");
            assert_eq!(outcome.arena_high_water, outcome.arena_bytes, "{board}");
            assert!(outcome.ticks > 0 && outcome.steps == 20, "{board}");
            let stack = outcome.stack_bytes.unwrap();
            assert!((64..32 << 10).contains(&stack), "{board}: {stack} bytes of stack");
        }
    }
}

#[test]
fn counts_instructions_exactly() {
    for board in boards() {
        let Some(mut qemu) = start(board, "instructions", Link::Console, true) else { continue };
        let mut count = |rows| {
            let sample = Sample::new(rows, 10, 8, 3);
            qemu.load(&sample.blob()).unwrap();
            let input = vec![1; sample.bytes()];
            let counts = [(); 3].map(|()| qemu.exec(&Case::of(&[&input]), LIMIT).unwrap().instructions.unwrap());
            assert!(counts.iter().all(|count| count.abs_diff(counts[0]) <= 2), "{board}: {counts:?}");
            counts[0]
        };
        // The smallest board has room for twelve.
        let (four, eight, twelve) = (count(4), count(8), count(12));
        // 80 elements a row, some instructions each, beside what a step takes; as much for each row.
        assert!((80 * 2..80 * 100).contains(&((eight - four) / 4)), "{board}: {four} {eight}");
        assert!((twelve - eight).abs_diff(eight - four) <= (eight - four) / 50, "{board}: {four} {eight} {twelve}");
    }
}

#[test]
fn watches_rows_and_nodes_as_the_host_does() {
    let Some(mut qemu) = start(BOARD, "watching", Link::Console, false) else { return };
    let sample = Sample::new(6, 500, 3, 5);
    let input = Noise(5).bytes(sample.bytes());
    let mut host = Host::new();
    for target in [&mut qemu as &mut dyn Target, &mut host] {
        target.load(&sample.blob()).unwrap();
    }
    for observe in [Observe::Digests, Observe::Node { node: 0 }] {
        let case = Case::of(&[&input]).observed(observe);
        let (here, there) = (host.exec(&case, LIMIT).unwrap(), qemu.exec(&case, LIMIT).unwrap());
        assert_eq!(here.rows.len(), 6);
        assert_eq!(here.rows, there.rows);
    }
    let outcome = qemu.exec(&Case::of(&[&input]).observed(Observe::Profile), LIMIT).unwrap();
    assert_eq!((outcome.profile.len(), outcome.profile[0].calls), (1, 6));
    assert!(outcome.profile[0].ticks > 0);
}

#[test]
fn stands_broken_frames_on_every_link() {
    for board in boards() {
        for (i, &link) in links(board).iter().enumerate() {
            let Some(mut qemu) = start(board, "broken frames", link, false) else { break };
            // UARTs are slow, but the first link stands a thousand at least.
            let frames = if i > 0 { 100 } else { 1_000 };
            let begun = Instant::now();
            stands_noise(qemu.client().unwrap(), frames, 99);
            println!("{board}, {link:?}: stood {frames} broken frames in {:.1?}", begun.elapsed());
        }
    }
}

#[test]
fn stands_bad_transfers_on_every_link() {
    for board in boards() {
        for &link in links(board) {
            let Some(mut qemu) = start(board, "bad transfers", link, false) else { break };
            let model_bytes = qemu.info().model_bytes;
            stands_bad_transfers(qemu.client().unwrap(), model_bytes);
        }
    }
}

#[test]
fn ends_with_the_code_asked_for() {
    for board in boards() {
        // Where a machine can't end with a code, QEMU aborts: a signal, which has none.
        let failed = if links(board).len() > 1 { Some(1) } else { None };
        for (code, want) in [(0, Some(0)), (3, failed)] {
            let Some(mut qemu) = start(board, "exit", Link::Uart, false) else { break };
            let client = qemu.client().unwrap();
            client.exit(code).unwrap();
            assert_eq!(client.transport().wait(LIMIT), want, "{board}");
            assert!(matches!(client.echo(&[1]), Err(Error::LinkLost { .. })), "{board}");
        }
    }
}

#[test]
fn a_board_that_dies_is_started_afresh_with_its_model() {
    let Some(mut qemu) = start(BOARD, "restart", Link::Console, false) else { return };
    let sample = Sample::new(4, 4, 3, 1);
    qemu.load(&sample.blob()).unwrap();
    let input = Noise(2).bytes(sample.bytes());
    let outcome = qemu.exec(&Case::of(&[&input]), LIMIT).unwrap();
    assert!(!outcome.restarted);
    qemu.client().unwrap().exit(0).unwrap();
    let outcome = qemu.exec(&Case::of(&[&input]), LIMIT).unwrap();
    assert!(outcome.restarted);
    assert_eq!(outcome.outputs, [sample.expected(&input)]);
    computes(qemu.client().unwrap(), &sample, 5);
}

#[test]
fn errors_name_the_board_and_the_remedy() {
    let error = |name: &str, options| Qemu::start(name, options).err().map(|error| error.to_string()).unwrap();
    assert!(error("nonesuch", QemuOptions::default()).contains("boards are: host, "));
    assert!(error("host", QemuOptions::default()).contains("no emulated board"));
    if start(BOARD, "no firmware", Link::Console, false).is_some() {
        let bench_only = error("qemu-mps2-an385-m0", QemuOptions::default());
        assert!(bench_only.contains("use --board host or qemu-microbit or "), "{bench_only}");
        let mut options = QemuOptions::default();
        options.firmware = Some("nonesuch.elf".into());
        assert!(error(BOARD, options).contains("nonesuch.elf"));
    }
}

#[test]
fn a_model_of_two_megabytes_loads_in_seconds() {
    let Some(mut qemu) = start(BOARD, "speed", Link::Console, false) else { return };
    let sample = Sample::new(1, 1, 1, 1);
    // What is behind the blob's own length is not looked at.
    let mut blob = sample.blob();
    blob.resize(2 << 20, 0);
    let begun = Instant::now();
    qemu.load(&blob).unwrap();
    println!("{BOARD}: 2 MB loaded in {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(30));
    let outcome = qemu.exec(&Case::of(&[&[41]]), LIMIT).unwrap();
    assert_eq!(outcome.outputs, [[42]]);
}

#[test]
fn logs_over_the_link() {
    for link in [Link::Console, Link::Uart] {
        let mut options = QemuOptions::default();
        options.link = link;
        options.log = true;
        let mut qemu = match Qemu::start(BOARD, options) {
            Ok(qemu) => qemu,
            Err(error) if error.is_unavailable() => return println!("skipped: log: {error}"),
            Err(error) => panic!("{error}"),
        };
        let sample = Sample::new(4, 4, 3, 1);
        let blob = sample.blob();
        let arena = qemu.load(&blob).unwrap().arena_bytes;
        let lines = qemu.log().unwrap();
        let [loaded] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(loaded.text, format!("model of {} bytes, arena {arena}", blob.len()));
        assert_eq!(loaded.level, "debug");
        assert!(loaded.time.parse::<f64>().unwrap() > 0.0, "{loaded}");
        assert!(loaded.to_string().contains(" DEBUG model of "), "{loaded}");
        // Lines of what is refused come before the refusal.
        assert!(qemu.client().unwrap().output(0, 4).is_err());
        let lines = qemu.log().unwrap();
        assert!(lines.len() == 1 && lines[0].text.contains("refused: NotRun"), "{lines:?}");
        let outcome = qemu.exec(&Case::of(&[&vec![1; sample.bytes()]]), LIMIT).unwrap();
        let lines = qemu.log().unwrap();
        assert_eq!(lines.last().unwrap().text, format!("run of 4 steps took {} ticks", outcome.ticks));
        assert!(qemu.log().unwrap().is_empty());
    }
}

#[test]
fn a_firmware_without_logs_says_so() {
    let board = carafe_boards::find(BOARD).unwrap();
    if !matches!(board.availability(), carafe_boards::Availability::Available) {
        return println!("skipped: no logs: no emulator");
    }
    let mut options = QemuOptions::default();
    options.log = true;
    options.firmware = Some(carafe_hil::firmware::build(board).unwrap());
    let error = Qemu::start(BOARD, options).err().unwrap().to_string();
    assert!(error.contains("logs nothing") && error.contains("feature `log`"), "{error}");
}
