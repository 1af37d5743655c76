//! `cargo xtask bench`: measures the models of the shared assets on every core that `carafe bench` knows, and writes
//! `docs/BENCHMARKS.md`.
//!
//! All is measured by the program `carafe`, as a user would: [`tool`] runs it, [`measured`] says what is asked, [`page`]
//! makes tables of the answers. [`models`] are the networks, [`growth`] those that are made here ([`ir`], [`npy`]), and
//! [`peers`] what TensorFlow Lite Micro takes.

mod growth;
mod ir;
mod limits;
mod measured;
mod models;
mod npy;
mod page;
mod peers;
mod tool;

use std::fs;

use anyhow::{Context, Result, bail};
use carafe_boards::{Availability, Board};

use crate::size;
use crate::workspace::{Workspace, output_of};
use measured::{Measured, Place};
use models::Source;
use tool::Tool;

/// The page, from the root of the checkout.
const PAGE: &str = "docs/BENCHMARKS.md";

/// What `--model` calls the networks that are made here.
const GROWTH: &str = "growth";

/// What is to be measured.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Measure on this board only; may be repeated. The page is then printed, not written
    #[arg(long, value_name = "NAME")]
    board: Vec<String>,
    /// Measure this model only, or `growth`; may be repeated. The page is then printed, not written
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// Print one JSON object on stdout; messages go to stderr
    #[arg(long)]
    json: bool,
}

/// Measures, and writes or prints. True if nothing was left out, and nothing takes more than it may.
pub fn bench(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let boards = boards(&arguments.board)?;
    let asked = models(&arguments.model)?;
    let assets = models::assets(&workspace.root);
    let (there, missing): (Vec<_>, Vec<_>) = asked.into_iter().partition(|source| source.is_in(&assets));

    let tool = Tool::build(workspace)?;
    let folder = workspace.target_dir.join("bench");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let place = Place { assets: &assets, root: &workspace.root, folder: &folder };
    let growth = arguments.model.is_empty() || arguments.model.iter().any(|name| name == GROWTH);
    let mut measured = measured::measure(&tool, &place, &there, &boards, growth);
    measured.compiler = output_of("rustc", &["--version"]).unwrap_or_default().trim().to_owned();
    let why = |source: &&Source| format!("{}: not in {} (set CARAFE_ASSETS)", source.name, assets.display());
    measured.left_out.extend(missing.iter().map(why));
    let (firmware, left_out) = size::firmware_sizes(workspace, |_, _| ())?;
    measured.firmware = firmware;
    measured.left_out.extend(left_out);

    publish(workspace, arguments, &measured)?;
    for line in &measured.left_out {
        eprintln!("left out: {line}");
    }
    let exceeded = limits::exceeded(&measured);
    for line in &exceeded {
        eprintln!("too much: {line}");
    }
    Ok(measured.left_out.is_empty() && exceeded.is_empty())
}

/// Only what is complete becomes the page.
fn publish(workspace: &Workspace, arguments: &Arguments, measured: &Measured) -> Result<()> {
    let whole = arguments.board.is_empty() && arguments.model.is_empty() && measured.left_out.is_empty();
    let text = page::page(measured);
    if whole {
        let path = workspace.root.join(PAGE);
        fs::write(&path, &text).with_context(|| path.display().to_string())?;
        eprintln!("wrote {PAGE}");
    } else {
        eprintln!("{PAGE} stays as it was, for not everything was measured");
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(measured)?);
    } else if !whole {
        print!("{text}");
    }
    Ok(())
}

/// The boards of the page: those that instructions can be counted on, of one model alone.
fn known() -> impl Iterator<Item = &'static Board> {
    carafe_boards::all().iter().filter(|board| board.bench)
}

fn boards(names: &[String]) -> Result<Vec<&'static Board>> {
    for name in names {
        if !known().any(|board| board.name == name) {
            let all: Vec<&str> = known().map(|board| board.name).collect();
            bail!("the page has no board `{name}`; it has {}", all.join(", "));
        }
    }
    let boards: Vec<&Board> = known().filter(|b| names.is_empty() || names.iter().any(|name| name == b.name)).collect();
    for board in &boards {
        if let Availability::Missing { why_not } = board.availability() {
            bail!("{}: {why_not}", board.name);
        }
    }
    Ok(boards)
}

fn models(names: &[String]) -> Result<Vec<&'static Source>> {
    let all = const { &models::ALL };
    for name in names {
        if Source::find(name).is_none() && name != GROWTH {
            let all: Vec<&str> = all.iter().map(|source| source.name).chain([GROWTH]).collect();
            bail!("there is no model `{name}`; models are {}", all.join(", "));
        }
    }
    Ok(all.iter().filter(|source| names.is_empty() || names.iter().any(|name| name == source.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_there_are_refused_with_those_that_are() {
        let names = |name: &str| vec![name.to_owned()];
        assert!(boards(&names("host")).unwrap_err().to_string().contains("qemu-mps3-an547"));
        assert!(models(&names("nonesuch")).unwrap_err().to_string().contains("str_ww"));
        let two: Vec<_> = ["vww", "ad"].map(str::to_owned).into();
        assert_eq!(models(&two).unwrap().iter().map(|source| source.name).collect::<Vec<_>>(), ["vww", "ad"]);
        assert_eq!((models(&[]).unwrap().len(), models(&names(GROWTH)).unwrap().len()), (6, 0));
    }
}
