//! Suites as files on targets that misbehave: what hangs is told, what is lost comes back, and nothing skipped is green.

mod common;

use std::path::PathBuf;
use std::time::Duration;

use carafe_hil::protocol::Observe;
use carafe_hil::sample::Sample;
use carafe_hil::suite_file::{
    Expect, FailureKind, FaultKind, Limits, Report, Row, Status, SuiteFile, TestCase, TestModel, Wire, junit, run,
};
use carafe_hil::{Case, Client, Entry, Error, Host, LoadedModel, Outcome, Target};
use common::{HostEnd, LIMIT, ROOMY, Sizes, board};

const SAMPLE: Sample = Sample::new(4, 3, 2, 5);

/// What the fake does in its next calls of `exec`.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Hangs,
    Loses,
    Lies,
}

/// A board that has its moods: one for each `exec`, then it is well. It is started afresh by others.
struct Moody {
    host: Host,
    moods: Vec<Mood>,
    restarts: usize,
    can_restart: bool,
}

impl Moody {
    fn new(moods: &[Mood]) -> Self {
        Self { host: Host::new(), moods: moods.iter().rev().copied().collect(), restarts: 0, can_restart: true }
    }
}

impl Target for Moody {
    fn id(&self) -> &str {
        "moody"
    }

    fn load(&mut self, model: &[u8]) -> Result<LoadedModel, Error> {
        self.host.load(model)
    }

    fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error> {
        let (board, during) = ("moody".to_owned(), "the run");
        match self.moods.pop().unwrap_or(Mood::Well) {
            Mood::Hangs => Err(Error::Timeout { board, during, limit }),
            Mood::Loses => Err(Error::LinkLost { board, during, said: String::new() }),
            mood => {
                let mut outcome = self.host.exec(case, limit)?;
                outcome.outputs[0][3] ^= u8::from(mood == Mood::Lies);
                Ok(outcome)
            }
        }
    }

    fn restart(&mut self) -> Result<bool, Error> {
        self.restarts += 1;
        self.host = Host::new();
        Ok(self.can_restart)
    }
}

fn suite(samples: usize) -> SuiteFile {
    let input = |i: usize| vec![vec![i as u8; SAMPLE.bytes()]];
    let samples: Vec<_> = (0..samples).map(input).collect();
    let bits = samples.iter().map(|sample| vec![SAMPLE.expected(&sample[0])]).collect();
    let case = TestCase::new("c", samples, Expect::Bits(bits), LIMIT);
    SuiteFile::new("s", vec![TestModel::new("m", SAMPLE.blob(), vec![case])])
}

fn on(suite: &SuiteFile, id: &str, target: Result<Box<dyn Target>, Error>) -> Vec<Row> {
    run(suite, &mut Entry::new(id, target), &mut |_| ())
}

fn moody(moods: &[Mood]) -> Row {
    on(&suite(3), "moody", Ok(Box::new(Moody::new(moods)))).remove(0)
}

fn failed(row: &Row) -> (FailureKind, &str) {
    match &row.status {
        Status::Failed(failure) => (failure.kind, &failure.what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_board_that_is_well_passes() {
    let row = moody(&[]);
    assert_eq!((&row.status, row.samples, row.restarted), (&Status::Passed, 3, false));
    assert_eq!((row.board.as_str(), row.name().as_str()), ("moody", "m / c"));
    assert!(row.measured.arena_bytes.is_some() && row.measured.stack_bytes.is_none());
}

#[test]
fn a_hang_costs_one_fresh_start_and_is_told() {
    for mood in [Mood::Hangs, Mood::Loses] {
        let row = moody(&[Mood::Well, mood]);
        assert_eq!((&row.status, row.samples, row.restarted), (&Status::Passed, 3, true));
    }
}

#[test]
fn a_second_hang_is_a_failure() {
    let row = moody(&[Mood::Hangs, Mood::Hangs]);
    let (kind, what) = failed(&row);
    assert_eq!((kind, row.restarted), (FailureKind::Hung, true));
    assert!(what.contains("twice") && what.contains("fresh start") && what.contains("moody"), "{what}");
    assert_eq!(failed(&moody(&[Mood::Loses, Mood::Loses])).0, FailureKind::LinkLost);
}

#[test]
fn a_board_that_can_not_be_restarted_fails_at_once() {
    let mut target = Moody::new(&[Mood::Hangs]);
    target.can_restart = false;
    let rows = on(&suite(1), "moody", Ok(Box::new(target)));
    let (kind, what) = failed(&rows[0]);
    assert!(kind == FailureKind::Hung && !what.contains("twice"), "{what}");
}

#[test]
fn a_case_after_a_hang_is_run_all_the_same() {
    let mut suite = suite(1);
    let again = suite.models[0].cases[0].clone();
    suite.models[0].cases.push(again);
    let rows = on(&suite, "moody", Ok(Box::new(Moody::new(&[Mood::Hangs, Mood::Hangs]))));
    assert_eq!(failed(&rows[0]).0, FailureKind::Hung);
    assert_eq!((&rows[1].status, rows[1].restarted), (&Status::Passed, false));
}

#[test]
fn wrong_bits_are_not_tried_again() {
    let row = moody(&[Mood::Well, Mood::Lies]);
    assert_eq!(failed(&row).0, FailureKind::Differs);
    assert!(failed(&row).1.contains("sample 1, output 0, byte 3"));
}

#[test]
fn limits_are_held() {
    let limit = |limits| {
        let mut suite = suite(1);
        suite.models[0].cases[0] = suite.models[0].cases[0].clone().limited(limits);
        on(&suite, "host", Ok(Box::new(Host::new()))).remove(0)
    };
    let row = limit(Limits { arena_bytes: Some(10), ..Limits::default() });
    assert_eq!(failed(&row).0, FailureKind::Limit);
    assert!(failed(&row).1.contains("bytes of arena, the limit is 10"), "{row:?}");
    let row = limit(Limits { stack_bytes: Some(10), milliseconds: Some(1e6), ..Limits::default() });
    assert_eq!((&row.status, &row.unmeasured[..]), (&Status::Passed, &["bytes of stack"][..]));
}

#[test]
fn what_is_not_there_is_skipped_and_can_be_made_a_failure() {
    let missing = || Err(Error::Unavailable { board: "b".to_owned(), why_not: "no emulator".to_owned() });
    let mut report = Report::default();
    report.rows = on(&suite(1), "b", missing());
    assert!(matches!(&report.rows[0].status, Status::Skipped { reason } if reason.contains("no emulator")));
    assert_eq!((report.counts().passed, report.counts().skipped), (0, 1));
    report.deny_skips(|board| board != "b");
    assert_eq!(report.counts().skipped, 1);
    report.deny_skips(|board| board == "b");
    assert_eq!((report.counts().skipped, report.counts().failed), (0, 1));
    assert!(junit(&report).unwrap().contains("no emulator"));
    // Something else than not being there is no reason to skip.
    let broken = Err(Error::NotEmulated { board: "b".to_owned() });
    assert_eq!(failed(&on(&suite(1), "b", broken)[0]).0, FailureKind::Error);
}

/// The runner in a thread of this process, restarted as a board is.
struct Loopback {
    client: Client<HostEnd>,
    sizes: Sizes,
}

impl Loopback {
    fn new(sizes: Sizes) -> Self {
        Self { client: common::client(sizes), sizes }
    }
}

impl Target for Loopback {
    fn id(&self) -> &str {
        "loopback"
    }

    fn load(&mut self, model: &[u8]) -> Result<LoadedModel, Error> {
        self.client.load(model)?;
        Host::new().load(model)
    }

    fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error> {
        for (index, input) in (0..).zip(&case.inputs) {
            self.client.set_input(index, input)?;
        }
        let ran = self.client.run(Observe::Nothing, limit)?;
        let mut outcome = Outcome::default();
        outcome.outputs = ran.first_output.into_iter().collect();
        outcome.arena_bytes = ran.stats.arena_bytes as usize;
        outcome.arena_high_water = ran.stats.arena_high_water as usize;
        Ok(outcome)
    }

    fn restart(&mut self) -> Result<bool, Error> {
        self.client = Client::new("loopback", board(self.sizes).0);
        self.client.hello(LIMIT)?;
        Ok(true)
    }

    fn wire(&mut self) -> Result<Option<&mut dyn Wire>, Error> {
        Ok(Some(&mut self.client))
    }
}

const FAULTS: [FaultKind; 8] = [
    FaultKind::TruncatedFrame,
    FaultKind::WrongCrc,
    FaultKind::Garbage,
    FaultKind::OversizeModel,
    FaultKind::Reset,
    FaultKind::Restart,
    FaultKind::CutTransfer,
    FaultKind::Noise,
];

fn faults() -> SuiteFile {
    let input = vec![9; SAMPLE.bytes()];
    let outputs = vec![SAMPLE.expected(&input)];
    let model = TestModel::new("m", SAMPLE.blob(), vec![]).with_faults(&FAULTS, 300, vec![input], outputs);
    SuiteFile::new("faults", vec![model])
}

/// With two banks, and with one, which is taken from the model while the next one comes.
#[test]
fn the_runner_stands_every_fault() {
    for sizes in [ROOMY, Sizes(16 << 10, 0, 64 << 10)] {
        let rows = on(&faults(), "loopback", Ok(Box::new(Loopback::new(sizes))));
        assert_eq!(rows.len(), FAULTS.len());
        for row in &rows {
            assert_eq!((&row.status, row.restarted), (&Status::Passed, false), "{}", row.name());
        }
    }
}

#[test]
fn faults_of_a_target_without_a_link_are_skipped() {
    let rows = on(&faults(), "host", Ok(Box::new(Host::new())));
    assert!(rows.iter().all(|row| matches!(&row.status, Status::Skipped { reason } if reason.contains("no link"))));
}

/// A board that takes what it is told for true: a wrong model for one, after any fault.
struct Gullible(Loopback);

impl Target for Gullible {
    fn id(&self) -> &str {
        "gullible"
    }

    fn load(&mut self, model: &[u8]) -> Result<LoadedModel, Error> {
        self.0.load(model)
    }

    fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error> {
        let mut outcome = self.0.exec(case, limit)?;
        outcome.outputs[0][0] ^= 1;
        Ok(outcome)
    }

    fn wire(&mut self) -> Result<Option<&mut dyn Wire>, Error> {
        self.0.wire()
    }
}

#[test]
fn a_board_that_computes_something_else_after_a_fault_is_told() {
    let rows = on(&faults(), "gullible", Ok(Box::new(Gullible(Loopback::new(ROOMY)))));
    for row in rows.iter().filter(|row| row.case != "fault: restart") {
        assert_eq!(failed(row).0, FailureKind::Fault, "{}", row.name());
        assert!(failed(row).1.contains("computes something else"), "{row:?}");
    }
}

fn read(text: &str) -> Result<SuiteFile, String> {
    // Paths are those from this crate's folder.
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("suite-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{:08x}.toml", carafe::blob::crc32(text.as_bytes())));
    std::fs::write(&path, text.replace("HERE", env!("CARGO_MANIFEST_DIR"))).unwrap();
    SuiteFile::read(&path, &mut |_| ()).map_err(|e| e.to_string())
}

#[test]
fn a_file_becomes_cases() {
    let suite = read(
        "
        name = 'small'
        boards = ['host', 'qemu-mps2-an386']
        timeout = 5
        limits = { stack-bytes = 2000 }
        [[model]]
        each = ['a', 'b']
        sample = { h = 4, w = 3, c = 2, add = 5 }
        limits = { on = { qemu-mps2-an386 = { instructions = 5000 } } }
        faults = ['garbage']
        [[model.case]]
        random = 3
        count = 2
        limits = { arena-bytes = 100 }
        [[model.case]]
        name = 'same'
        random = 3
        timeout = 1.5
        expect = { values = 'host', tolerance-lsb = 1 }
        ",
    )
    .unwrap();
    assert_eq!((suite.name.as_str(), suite.boards.len(), suite.models.len()), ("small", 2, 2));
    assert!(suite.counts_instructions());
    let model = &suite.models[1];
    assert_eq!((model.name.as_str(), model.rows(), model.faults[0]), ("b", 3, FaultKind::Garbage));
    let [one, same] = &model.cases[..] else { panic!() };
    assert_eq!((one.name.as_str(), one.samples.len(), one.timeout), ("1", 2, Duration::from_secs(5)));
    assert_ne!(one.samples[0], one.samples[1]);
    assert_eq!(one.samples[0], same.samples[0]);
    let Expect::Bits(bits) = &one.expect else { panic!() };
    assert_eq!(bits[1][0], SAMPLE.expected(&one.samples[1][0]));
    let (host, m4) = (one.limits_on("host"), one.limits_on("qemu-mps2-an386"));
    assert_eq!((host.stack_bytes, host.arena_bytes, host.instructions), (Some(2000), Some(100), None));
    assert_eq!((m4.instructions, one.demanded_on("qemu-mps2-an386").instructions), (Some(5000), Some(5000)));
    assert_eq!(same.timeout, Duration::from_millis(1500));
    let rows = on(&suite, "host", Ok(Box::new(Host::new())));
    let counts = {
        let mut report = Report::default();
        report.rows = rows;
        report.counts()
    };
    // A fault on the host is skipped; its arena is over the limit of the first case.
    assert_eq!((counts.passed + counts.failed, counts.skipped), (4, 2));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_place_and_remedy() {
    let model = "[[model]]\nname = 'm'\nsample = { h = 1, w = 1, c = 4 }\n";
    for (text, words) in [
        ("", &["nothing to run", "[[model]]"][..]),
        ("models = 3", &["unknown field `models`", "`model`"]),
        ("boards = ['nonesuch']", &["nonesuch", "qemu-mps2-an386"]),
        ("[[model]]\nname = 'm'", &["model `m`", "`file = "]),
        ("[[model]]\nfile = 'none.carafe'", &["model `none`", "none.carafe", "check the path"]),
        ("[[model]]\nfil = 'x'", &["model 1", "unknown field `fil`"]),
        ("[[model]]\nname = 'm'\nsample = { h = 0, w = 1, c = 1 }", &["model `m`", "h, w and c"]),
        (&format!("{model}[[model.case]]"), &["case `1`", "no input", "random = SEED"]),
        (&format!("{model}[[model.case]]\nname = 'c'\nrandom = -1"), &["model `m`", "case `c`", "random", "-1"]),
        (&format!("{model}[[model.case]]\nrandom = 1\nexpect = {{ label = 'cat' }}"), &["no `cat`", "class = N"]),
        (&format!("{model}[[model.case]]\nrandom = 1\nexpect = {{ class = 4 }}"), &["0 to 3"]),
        (&format!("{model}[[model.case]]\nrandom = 1\nexpect = {{ crc = 'xyz' }}"), &["expect.crc", "hexadecimal"]),
        (&format!("{model}[[model.case]]\nrandom = 1\nexpect = {{ tolerance = 1 }}"), &["belongs to `values`"]),
        (&format!("{model}[[model.case]]\nraw-int8 = 'none.bin'"), &["raw-int8", "none.bin", "check the path"]),
        (&format!("{model}[[model.case]]\nrandom = 1\ntimeout = 0"), &["timeout", "seconds"]),
        (&format!("{model}[[model.case]]\nrandom = 1\ncount = 0"), &["`count`"]),
        (&format!("{model}limits = {{ on = {{ nonesuch = {{}} }} }}\n"), &["model `m`", "nonesuch"]),
        (&format!("{model}{model}faults = ['garbage']"), &["two models `m`"]),
        ("[[model]\n", &["line 1"]),
    ] {
        let error = read(text).unwrap_err();
        for word in words {
            assert!(error.contains(word), "`{word}` is not in what is said of\n{text}\n{error}");
        }
    }
}

#[test]
fn models_are_converted_and_fed_with_files() {
    let digits = "HERE/../examples/digits";
    let suite = read(&format!(
        "
        [[model]]
        convert = {{ model = '{digits}/digits.xml', calibration = '{digits}/calib.npz' }}
        labels = '{digits}/labels.txt'
        [[model.case]]
        name = 'an image'
        input = '{digits}/samples/7.png'
        expect = {{ class = 7 }}
        [[model.case]]
        name = 'an array'
        input = '{digits}/test.npz'
        index = 3
        count = 4
        "
    ))
    .unwrap();
    assert_eq!(suite.models[0].name, "digits");
    let rows = on(&suite, "host", Ok(Box::new(Host::new())));
    assert!(rows.iter().all(|row| row.status == Status::Passed), "{rows:?}");
    assert_eq!(rows[1].samples, 4);
}
