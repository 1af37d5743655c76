use std::path::PathBuf;

use carafe_boards::{Availability, Board};
use carafe_hil::firmware;
use serde::Serialize;

use crate::failure::Usage;
use crate::ui::{DIM, GOOD, Ui, WARNING};
use crate::words::{self, Align};
use crate::{board, scaffold};

/// List the boards that models can run on, or begin a new one
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Make the firmware crate of a new board from that of another; docs/adding-a-board.md says how it goes on
    New(New),
}

#[derive(Debug, clap::Args)]
struct New {
    /// Its name, as `--board` will take it
    name: String,
    /// The board whose crate is copied: the one that is most like it
    #[arg(long, value_name = "NAME", default_value = "qemu-microbit", value_parser = board::parser())]
    from: &'static Board,
    /// Where the crate's folder goes; the folder `boards` of the checkout if this is not given
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

/// What `new` made.
#[derive(Serialize)]
struct Made {
    name: String,
    from: &'static str,
    folder: String,
    files: Vec<String>,
    /// Builds it.
    build: String,
}

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
            // The emulator alone is not enough, unless a firmware is given.
            Availability::Available => firmware::why_not(board),
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

/// Lists them, or makes one.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    if let Some(Sub::New(new)) = &args.command {
        return make(new, ui);
    }
    let json = Json { boards: carafe_boards::all().iter().map(Entry::of).collect() };
    ui.answer(&json, || text(&json.boards))
}

fn make(new: &New, ui: &Ui) -> anyhow::Result<()> {
    let checkout = firmware::checkout();
    let into = new.into.clone().unwrap_or_else(|| checkout.join("boards"));
    let Some(target) = new.from.target else {
        return Err(Usage(format!("{} is no board that has a firmware: give another by --from", new.from.name)).into());
    };
    let made = scaffold::make(&new.name, new.from, &checkout, &into)?;
    let json = Made {
        name: new.name.clone(),
        from: new.from.name,
        folder: made.folder.display().to_string(),
        files: made.files,
        build: firmware::build_command(target),
    };
    ui.answer(&json, || {
        let Made { name, from, folder, files, build } = &json;
        format!(
            "{folder} is a firmware for {name} now, and still that of {from}: {}\n\nBuild it there:\n  {build}\n\nThen change its \
             memory map, timer and link, and write its entry in boards/registry/src/table.rs (crate_path\n\
             \"boards/{name}\", binary \"{}\"); docs/adding-a-board.md goes through it.\n",
            files.join(", "),
            made.binary,
        )
    })
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
