use carafe_boards::{Availability, Board};
use serde::Serialize;

use crate::ui::{DIM, GOOD, Ui, WARNING};
use crate::words::{self, Align};

/// List the boards that models can run on
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Json {
    boards: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    cpu: &'static str,
    ram_bytes: u64,
    flash_bytes: u64,
    how: &'static str,
    /// Takes models over the wire: `run`, `eval` and `layer-diff` work on it.
    takes_models: bool,
    /// `bench` works on it.
    bench: bool,
    available: bool,
    why_not: Option<String>,
    about: &'static str,
}

impl Entry {
    fn of(board: &Board) -> Self {
        let why_not = match board.availability() {
            Availability::Available => None,
            Availability::Missing { why_not } => Some(why_not),
        };
        Self {
            name: board.name,
            cpu: board.cpu,
            ram_bytes: board.ram_bytes(),
            flash_bytes: board.flash_bytes(),
            how: board.how.word(),
            takes_models: board.takes_models(),
            bench: board.bench,
            available: why_not.is_none(),
            why_not,
            about: board.about,
        }
    }
}

/// Lists them.
pub fn run(_: &Args, ui: &Ui) -> anyhow::Result<()> {
    let json = Json { boards: carafe_boards::all().iter().map(Entry::of).collect() };
    ui.answer(&json, || text(&json.boards))
}

fn text(boards: &[Entry]) -> String {
    let head = [
        ("board", Align::Left),
        ("cpu", Align::Left),
        ("how", Align::Left),
        ("RAM", Align::Right),
        ("flash", Align::Right),
        ("commands", Align::Left),
        ("", Align::Left),
    ];
    let size = |n: u64| if n == 0 { "-".to_owned() } else { words::bytes(n) };
    let state = |b: &Entry| match b.available {
        true => format!("{GOOD}available{GOOD:#}"),
        false => format!("{WARNING}missing{WARNING:#}"),
    };
    let commands = |b: &Entry| match (b.takes_models, b.bench) {
        (true, true) => "run, bench",
        (true, false) => "run",
        (false, _) => "bench",
    };
    let row = |b: &Entry| {
        let sizes = [size(b.ram_bytes), size(b.flash_bytes)];
        [vec![b.name.into(), b.cpu.into(), b.how.into()], sizes.into(), vec![commands(b).into(), state(b)]].concat()
    };
    let mut text = words::table(&head, &boards.iter().map(row).collect::<Vec<_>>());
    text.push('\n');
    for b in boards {
        text.push_str(&format!("  {}: {}\n", b.name, b.about));
        if let Some(why_not) = &b.why_not {
            text.push_str(&format!("      {DIM}{why_not}{DIM:#}\n"));
        }
    }
    text
}
