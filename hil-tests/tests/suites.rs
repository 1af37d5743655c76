//! The repository's own suites, on every board that takes models. Skipped, and said so, where an emulator is missing.

use std::path::Path;

use carafe_boards::How;
use carafe_hil::suite_file::{FailureKind, Report, Status, SuiteFile, run};
use carafe_hil::{Entry, Error, Host, Qemu, QemuOptions, Target};

fn target(name: &str, how: How, suite: &SuiteFile) -> Result<Box<dyn Target>, Error> {
    if how == How::Host {
        return Ok(Box::new(Host::new()));
    }
    let mut options = QemuOptions::default();
    options.count_instructions = suite.counts_instructions();
    Ok(Box::new(Qemu::start(name, options)?))
}

/// All boards that models can be sent to, and that are of this computer.
fn passes(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites").join(file);
    let suite = SuiteFile::read(&path, &mut |_| ()).unwrap();
    let mut report = Report::default();
    for board in carafe_boards::all().iter().filter(|board| board.takes_models()) {
        if matches!(board.how, How::Probe { .. }) {
            continue;
        }
        let mut entry = Entry::new(board.name, target(board.name, board.how, &suite));
        if let Err(error) = &entry.target
            && error.is_unavailable()
        {
            println!("skipped: {file} on {}: {error}", board.name);
        }
        report.rows.extend(run(&suite, &mut entry, &mut |_| ()));
    }
    let failed: Vec<String> = report
        .rows
        .iter()
        .filter_map(|row| match &row.status {
            Status::Failed(failure) => Some(format!("{} on {}: {failure}", row.name(), row.board)),
            _ => None,
        })
        .collect();
    println!("{file}: {:?}", report.counts());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(report.counts().passed > 0);
    assert!(report.rows.iter().all(|row| !row.restarted), "a board had to be started afresh");
}

#[test]
fn conformance() {
    passes("conformance.toml");
}

#[test]
fn faults() {
    passes("faults.toml");
}

#[test]
fn slots() {
    passes("slots.toml");
}

/// A timeout that nothing can keep: the emulator is killed, started, tried once more.
#[test]
fn an_emulated_board_that_hangs_is_told() {
    let name = "qemu-mps2-an386";
    let board = carafe_boards::find(name).unwrap();
    if !matches!(board.availability(), carafe_boards::Availability::Available) {
        return println!("skipped: an_emulated_board_that_hangs_is_told: no emulator");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/faults.toml");
    let mut suite = SuiteFile::read(&path, &mut |_| ()).unwrap();
    suite.keep(|name| name == "small / before all");
    suite.models[0].cases[0].timeout = std::time::Duration::from_nanos(1);
    let mut entry = Entry::new(name, target(name, board.how, &suite));
    let rows = run(&suite, &mut entry, &mut |_| ());
    assert!(rows[0].restarted);
    assert!(
        matches!(&rows[0].status, Status::Failed(f) if f.kind == FailureKind::Hung && f.what.contains("twice")),
        "{rows:?}"
    );
    // And it is of use afterwards.
    suite.models[0].cases[0].timeout = std::time::Duration::from_secs(20);
    let rows = run(&suite, &mut entry, &mut |_| ());
    assert_eq!((&rows[0].status, rows[0].restarted), (&Status::Passed, false));
}
