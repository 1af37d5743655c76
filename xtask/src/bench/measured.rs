//! What is measured, one thing after the other.

use std::path::Path;

use anyhow::Result;
use carafe_boards::Board;
use serde::Serialize;

use super::growth::{self, Growth};
use super::models::Source;
use super::tool::{Conversion, Counted, Tool};
use crate::size::FirmwareSize;

/// The core whose memory and flash are looked at in more ways than one.
pub const MAIN_CPU: &str = "cortex-m4";

/// Everything that the page shows.
#[derive(Debug, Default, Serialize)]
pub struct Measured {
    /// What compiled the firmware.
    pub compiler: String,
    /// Model by model.
    pub models: Vec<Model>,
    /// None if it failed, or was not asked for.
    pub growth: Option<Growth>,
    /// What the firmware of each board takes.
    pub firmware: Vec<FirmwareSize>,
    /// What could not be measured, and why.
    pub left_out: Vec<String>,
}

/// A network.
#[derive(Debug, Serialize)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Board by board.
    pub cores: Vec<OnCore>,
    /// Memory by the options that decide on it.
    pub arenas: Vec<Arena>,
    /// Compiled for flash, on the main core.
    pub small: Option<Counted>,
}

/// A model on a core, converted for it with default options.
#[derive(Debug, Serialize)]
pub struct OnCore {
    /// The board.
    pub board: &'static str,
    /// Its core.
    pub cpu: &'static str,
    /// None if it failed.
    pub counted: Option<Counted>,
}

/// Memory with some options.
#[derive(Debug, Serialize)]
pub struct Arena {
    /// As `carafe convert` takes them.
    pub options: &'static [&'static str],
    /// None if it failed.
    pub conversion: Option<Conversion>,
}

/// Options that decide on memory.
pub const ARENAS: [&[&str]; 4] =
    [&[], &["--push-rows"], &["--optimize", "size"], &["--optimize", "size", "--push-rows"]];

/// Where blobs are made, and of what.
pub struct Place<'p> {
    /// The folder of shared assets.
    pub assets: &'p Path,
    /// The checkout.
    pub root: &'p Path,
    /// Takes the blobs.
    pub folder: &'p Path,
}

/// Measures models on boards, and growth if asked for. What fails is named in the result, and does not keep the rest from being
/// measured.
pub fn measure(
    tool: &Tool,
    place: &Place<'_>,
    models: &[&'static Source],
    boards: &[&'static Board],
    growth: bool,
) -> Measured {
    let mut all = Measured::default();
    let parts = models.len() + usize::from(growth);
    for (i, source) in (1..).zip(models) {
        eprintln!("[{i}/{parts}] {}", source.name);
        let model = model(tool, place, source, boards, &mut all.left_out);
        all.models.push(model);
    }
    if let Some(board) = main_board(boards).or(boards.first().copied()).filter(|_| growth) {
        eprintln!("[{parts}/{parts}] growth");
        all.growth = keep(growth::measure(tool, place.folder, board), "growth", &mut all.left_out);
    }
    all
}

fn main_board(boards: &[&'static Board]) -> Option<&'static Board> {
    boards.iter().copied().find(|board| board.cpu == MAIN_CPU)
}

/// The result, or `None` and a line that says why.
fn keep<T>(result: Result<T>, what: &str, left_out: &mut Vec<String>) -> Option<T> {
    result
        .inspect_err(|error| {
            let line = format!("{what}: {error:#}");
            eprintln!("    FAILED: {line}");
            left_out.push(line);
        })
        .ok()
}

fn model(
    tool: &Tool,
    place: &Place<'_>,
    source: &'static Source,
    boards: &[&'static Board],
    left_out: &mut Vec<String>,
) -> Model {
    let mut model = Model { name: source.name, about: source.about, cores: vec![], arenas: vec![], small: None };
    if keep(source.prepare(place.root, place.assets), source.name, left_out).is_none() {
        return model;
    }
    let arguments = source.arguments(&place.assets.display().to_string());
    let file = |what: &str| place.folder.join(format!("{}.{what}.carafe", source.name));
    for &board in boards {
        let what = format!("{} on {}", source.name, board.name);
        eprintln!("  {what}");
        let blob = file(board.name);
        let counted =
            tool.convert(&arguments, &["--board", board.name], &blob).and_then(|_| tool.bench(&blob, board, &[]));
        let counted = keep(counted, &what, left_out);
        model.cores.push(OnCore { board: board.name, cpu: board.cpu, counted });
    }
    let Some(board) = main_board(boards) else { return model };
    for options in ARENAS {
        let what = format!("arena of {} with `{}`", source.name, options.join(" "));
        eprintln!("  {what}");
        let options_here = [options, &["--board", board.name]].concat();
        let conversion = keep(tool.convert(&arguments, &options_here, &file("arena")), &what, left_out);
        model.arenas.push(Arena { options, conversion });
    }
    let what = format!("{} compiled for flash", source.name);
    eprintln!("  {what}");
    let blob = file("small");
    let counted = tool
        .convert(&arguments, &["--cpu", "portable", "--optimize", "size"], &blob)
        .and_then(|_| tool.bench(&blob, board, &["--small"]));
    model.small = keep(counted, &what, left_out);
    model
}
