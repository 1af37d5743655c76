//! Models × targets: real models, converted here, give the same bits on the host and on emulated boards, over real
//! inputs; and they keep to their budgets of memory. The bundled models are always there; the others need the shared
//! assets.

mod layer_diff;
mod models;
mod shapes;
#[allow(dead_code, reason = "shared with the tests of the device's crate")]
#[path = "../../../core-nostd/tests/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use carafe_boards::How;
use carafe_hil::{Entry, Host, Qemu, QemuOptions, Report, Suite, SuiteModel, Target, Verdict};
use models::Prepared;

const BOARD: &str = "qemu-mps2-an386";
/// The emulated boards beside it.
fn others() -> impl Iterator<Item = &'static str> {
    carafe_boards::all()
        .iter()
        .filter(|b| b.firmware.is_some() && matches!(b.how, How::Qemu(_)) && b.name != BOARD)
        .map(|board| board.name)
}

/// Emulators at a time.
const WORKERS: usize = 2;
/// For one inference: that of a large model takes seconds on an emulated board, more where others use the machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What an inference may take of the stack: as `cargo xtask bench` holds programs for single models to it. On SPARC each frame
/// has room for the registers of a window.
fn stack_bytes(board: &str) -> usize {
    if board == "qemu-leon3" { 1_400 } else { 1_200 }
}

fn suite(board: &str, models: Vec<SuiteModel>) -> Suite {
    Suite { name: "models".into(), models, limit: LIMIT, stack_bytes: Some(stack_bytes(board)) }
}

/// Runs one model on all targets.
fn run(model: &Prepared, entries: &mut [Entry]) -> Report {
    suite(BOARD, vec![model.suite.clone()]).run(entries)
}

#[test]
fn the_same_bits_everywhere() {
    let models = models::prepared("conformance");
    let next = AtomicUsize::new(0);
    // A board of its own for each worker, which takes models until there are no more.
    let work = || {
        let qemu = Qemu::start(BOARD, QemuOptions::default()).map(|q| Box::new(q) as Box<dyn Target>);
        let mut entries = [Entry::new("host", Ok(Box::new(Host::new()))), Entry::new(BOARD, qemu)];
        let mut reports = Vec::new();
        while let Some(model) = models.get(next.fetch_add(1, Ordering::Relaxed)) {
            reports.push(run(model, &mut entries));
        }
        reports
    };
    let reports: Vec<Report> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    for report in &reports {
        for cell in report.skipped() {
            println!("skipped: conformance of {} on {}: {}", cell.model, cell.target, cell.verdict);
        }
        print!("{report}");
    }
    assert_eq!(reports.len(), models.len());
    assert!(reports.iter().all(Report::is_good), "see above");
    let on_host = reports.iter().flat_map(|r| &r.cells).filter(|cell| cell.target == "host");
    assert!(on_host.into_iter().all(|cell| matches!(cell.verdict, Verdict::Passed { cases: 1.. })));
}

/// Inputs of a model on the other boards: the model is the same, and so are the kernels, but for the loops of a core.
const ELSEWHERE: usize = 2;
/// A larger blob takes seconds for an inference there.
const LARGE: usize = 1 << 20;

#[test]
fn the_same_bits_on_every_other_board() {
    let models = models::prepared("conformance on other boards");
    let boards: Vec<&str> = others().collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut reports = Vec::new();
        while let Some(board) = boards.get(next.fetch_add(1, Ordering::Relaxed)) {
            reports.push(on_board(board, models));
        }
        reports
    };
    let reports: Vec<Report> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    for report in &reports {
        for cell in report.skipped() {
            println!("skipped: conformance of {} on {}: {}", cell.model, cell.target, cell.verdict);
        }
        print!("{report}");
    }
    assert!(reports.iter().all(Report::is_good), "see above");
    assert_eq!(reports.len(), boards.len());
}

/// Every model that fits, on few inputs.
fn on_board(board: &str, models: &[Prepared]) -> Report {
    let begun = Instant::now();
    let qemu = Qemu::start(board, QemuOptions::default());
    let room = qemu.as_ref().map_or((usize::MAX, usize::MAX), |q| (q.info().model_bytes, q.info().arena_bytes));
    let fits = |model: &&Prepared| model.suite.blob.len() <= room.0 && model.arena_bytes + model.beside <= room.1;
    let few = |model: &Prepared| {
        let cases = if model.suite.blob.len() > LARGE { 1 } else { ELSEWHERE };
        SuiteModel { cases: model.suite.cases.iter().take(cases).cloned().collect(), ..model.suite.clone() }
    };
    let models: Vec<_> = models.iter().filter(fits).map(few).collect();
    assert!(!models.is_empty(), "{board} takes no model at all");
    let qemu = qemu.map(|q| Box::new(q) as Box<dyn Target>);
    let mut entries = [Entry::new("host", Ok(Box::new(Host::new()))), Entry::new(board, qemu)];
    let report = suite(board, models).run(&mut entries);
    println!("{board}: {} models in {:.1?}", report.cells.len() / 2, begun.elapsed());
    report
}

#[test]
fn arenas_are_smaller_than_those_of_tensorflow_lite_micro() {
    for Prepared { suite, tflm_arena_bytes, arena_bytes, .. } in models::prepared("arena sizes") {
        let Some(theirs) = *tflm_arena_bytes else { continue };
        println!("{}: arena of {arena_bytes} bytes, TensorFlow Lite Micro's {theirs}", suite.name);
        assert!(*arena_bytes < theirs, "{}: {arena_bytes} of {theirs}", suite.name);
    }
}

/// What a blob may take beyond its int8 weights: per output channel bias and multiplier, per op its record
/// (with 13 bytes about its scratch memory), and per file header, tables, preprocessing and golden check.
#[test]
fn blobs_are_hardly_larger_than_their_weights() {
    const PER_CHANNEL: usize = 8;
    const PER_OP: usize = 48 + 13;
    const PER_FILE: usize = 1_024;
    for Prepared { suite, weights, channels, ops, .. } in models::prepared("blob sizes") {
        let budget = weights + PER_CHANNEL * channels + PER_OP * ops + PER_FILE;
        let blob = suite.blob.len();
        println!("{}: blob of {blob} bytes, {} under its budget", suite.name, budget as i64 - blob as i64);
        assert!(blob <= budget, "{}: {blob} of {budget}", suite.name);
    }
}
