//! The emulated boards: protocol, faults, bits. Skipped, and said so, where the emulator is not installed.

mod common;

use std::time::{Duration, Instant};

use carafe_hil::protocol::{MAX_DATA, Observe};
use carafe_hil::sample::Sample;
use carafe_hil::{Case, Entry, Error, Host, Link, Qemu, QemuOptions, Suite, SuiteModel, Target, Verdict};
use common::{LIMIT, Noise, computes, stands_bad_transfers, stands_noise};

const BOARD: &str = "qemu-mps2-an386";

/// A board, or `None` where there is no emulator; anything else that is wrong is a failure.
fn start(test: &str, link: Link, count_instructions: bool) -> Option<Qemu> {
    let mut options = QemuOptions::default();
    options.link = link;
    options.count_instructions = count_instructions;
    match Qemu::start(BOARD, options) {
        Ok(qemu) => Some(qemu),
        Err(error) if error.is_unavailable() => {
            println!("skipped: {test}: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn says_who_it_is_and_echoes_on_both_links() {
    for link in [Link::Console, Link::Uart] {
        let Some(mut qemu) = start("echo", link, false) else { return };
        assert_eq!((qemu.info().board.as_str(), qemu.info().cpu.as_str()), (BOARD, "cortex-m4"));
        assert!(qemu.info().model_bytes >= 4 << 20 && qemu.info().arena_bytes >= 4 << 20);
        let begun = Instant::now();
        let mut noise = Noise(5);
        for i in 0..20 {
            let data = noise.bytes(MAX_DATA - i);
            assert_eq!(qemu.client().unwrap().echo(&data).unwrap(), data);
        }
        let speed = (20 * MAX_DATA) as f64 / begun.elapsed().as_secs_f64();
        println!("{BOARD}, {link:?}: {:.0} KB/s there and back", speed / 1e3);
    }
}

#[test]
fn gives_the_bits_of_the_host() {
    let Some(qemu) = start("bits", Link::Console, false) else { return };
    let mut noise = Noise(11);
    let models = [Sample::new(4, 4, 3, 1), Sample::new(50, 40, 7, 99), Sample::new(50, 40, 7, 98).pushed()]
        .map(|sample| SuiteModel {
            name: format!("{sample:?}"),
            blob: sample.blob(),
            cases: (0..20).map(|_| vec![noise.bytes(sample.bytes())]).collect(),
            expected: Vec::new(),
        })
        .to_vec();
    let suite = Suite { name: "samples".to_owned(), models, limit: LIMIT };
    let mut entries = [Entry::new("host", Ok(Box::new(Host::new()))), Entry::new(BOARD, Ok(Box::new(qemu)))];
    let report = suite.run(&mut entries);
    print!("{report}");
    assert!(report.cells.iter().all(|cell| cell.verdict == Verdict::Passed { cases: 20 }), "{report}");
}

#[test]
fn runs_a_model_over_the_uart() {
    let Some(mut qemu) = start("UART", Link::Uart, false) else { return };
    let sample = Sample::new(20, 10, 5, 3);
    qemu.load(&sample.blob()).unwrap();
    for seed in 1..4 {
        let input = Noise(seed).bytes(sample.bytes());
        let outcome = qemu.exec(&Case::of(&[&input]), LIMIT).unwrap();
        assert_eq!(outcome.outputs, [sample.expected(&input)]);
        assert_eq!(outcome.arena_high_water, outcome.arena_bytes);
        assert!(outcome.ticks > 0 && outcome.steps == 20);
        let stack = outcome.stack_bytes.unwrap();
        assert!((64..32 << 10).contains(&stack), "{stack} bytes of stack");
    }
}

#[test]
fn counts_instructions_exactly() {
    let Some(mut qemu) = start("instructions", Link::Console, true) else { return };
    let mut count = |rows| {
        let sample = Sample::new(rows, 100, 8, 3);
        qemu.load(&sample.blob()).unwrap();
        let input = vec![1; sample.bytes()];
        let counts = [(); 3].map(|()| qemu.exec(&Case::of(&[&input]), LIMIT).unwrap().instructions.unwrap());
        assert!(counts.iter().all(|count| count.abs_diff(counts[0]) <= 2), "{counts:?}");
        counts[0]
    };
    let (ten, twenty, thirty) = (count(10), count(20), count(30));
    // 800 elements a row, some instructions each; as much for each row.
    assert!((800 * 2..800 * 40).contains(&((twenty - ten) / 10)), "{ten} {twenty}");
    assert!((thirty - twenty).abs_diff(twenty - ten) <= 100, "{ten} {twenty} {thirty}");
}

#[test]
fn watches_rows_and_nodes_as_the_host_does() {
    let Some(mut qemu) = start("watching", Link::Console, false) else { return };
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
fn stands_broken_frames_on_both_links() {
    for (link, frames) in [(Link::Console, 1_500), (Link::Uart, 200)] {
        let Some(mut qemu) = start("broken frames", link, false) else { return };
        stands_noise(qemu.client().unwrap(), frames, 99);
    }
}

#[test]
fn stands_bad_transfers_on_both_links() {
    for link in [Link::Console, Link::Uart] {
        let Some(mut qemu) = start("bad transfers", link, false) else { return };
        let model_bytes = qemu.info().model_bytes;
        stands_bad_transfers(qemu.client().unwrap(), model_bytes);
    }
}

#[test]
fn ends_with_the_code_asked_for() {
    for (code, want) in [(0, 0), (3, 1)] {
        let Some(mut qemu) = start("exit", Link::Uart, false) else { return };
        let client = qemu.client().unwrap();
        client.exit(code).unwrap();
        assert_eq!(client.transport().wait(LIMIT), Some(want));
        assert!(matches!(client.echo(&[1]), Err(Error::LinkLost { .. })));
    }
}

#[test]
fn a_board_that_dies_is_started_afresh_with_its_model() {
    let Some(mut qemu) = start("restart", Link::Console, false) else { return };
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
    if start("no firmware", Link::Console, false).is_some() {
        let bench_only = error("qemu-mps2-an505", QemuOptions::default());
        assert!(bench_only.contains("use --board host or qemu-mps2-an386"), "{bench_only}");
        let mut options = QemuOptions::default();
        options.firmware = Some("nonesuch.elf".into());
        assert!(error(BOARD, options).contains("nonesuch.elf"));
    }
}

#[test]
fn a_model_of_two_megabytes_loads_in_seconds() {
    let Some(mut qemu) = start("speed", Link::Console, false) else { return };
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
