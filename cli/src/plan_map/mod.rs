//! A plan as a picture: bytes of the arena over time.

mod svg;
mod text;

use std::collections::BTreeMap;

use carafe::{Model, OpCode};
use carafe_converter::plan::{Alive, Happening, Timeline, Use};

use crate::words;

pub use svg::svg;
pub use text::text;

/// What is drawn.
#[derive(Debug)]
pub struct Map<'a> {
    /// Name of the model.
    pub name: &'a str,
    /// Bytes of arena.
    pub arena: u32,
    pub timeline: &'a Timeline,
    /// What lives in the arena, in order of birth.
    pub shapes: Vec<Shape<'a>>,
    /// What happens at the tick with the most bytes alive.
    pub at_peak: String,
}

/// One thing that lives in the arena: a buffer, an accumulator, scratch.
#[derive(Debug)]
pub struct Shape<'a> {
    /// For the picture: `3 conv2d`.
    pub label: String,
    /// For the legend: what it is, and how it is kept.
    pub about: String,
    /// Its pieces.
    pub uses: Vec<&'a Use>,
}

impl<'a> Map<'a> {
    /// Of a blob that has been followed.
    pub fn of(model: &Model<'_>, name: &'a str, timeline: &'a Timeline) -> Self {
        let mut by: BTreeMap<Alive, Vec<&Use>> = BTreeMap::new();
        for u in &timeline.uses {
            // Scratch of one op or another looks the same.
            let what = if matches!(u.what, Alive::Scratch(_)) { Alive::Scratch(0) } else { u.what };
            by.entry(what).or_default().push(u);
        }
        let mut shapes: Vec<Shape<'_>> = by
            .into_iter()
            .map(|(what, uses)| {
                let (label, about) = describe(model, what, &uses);
                Shape { label, about, uses }
            })
            .collect();
        shapes.sort_by_key(|s| s.uses.iter().map(|u| u.first).min());
        let at = timeline.peak().1;
        let at_peak = match at.checked_sub(1).and_then(|i| timeline.happenings.get(i as usize)) {
            Some(&Happening::Step(n, _)) => format!("op {}", op(model, n)),
            Some(&Happening::Push(i, y)) => format!("row {y} of input {i} is pushed"),
            None => "before the first step".to_owned(),
        };
        Self { name, arena: u32::try_from(model.arena_bytes()).unwrap_or(u32::MAX), timeline, shapes, at_peak }
    }

    /// The result beside what no packing goes below, and what is no tensor.
    pub fn summary(&self) -> String {
        let (bound, tick) = self.timeline.peak();
        let scratch = self.timeline.uses.iter().filter(|u| matches!(u.what, Alive::Scratch(_))).map(|u| u.bytes).max();
        format!(
            "{} bytes of arena; most alive at once {}, at tick {} of {} ({}); row counters {}, scratch {}",
            words::count(self.arena),
            words::count(bound),
            words::count(tick),
            words::count(self.timeline.ticks()),
            self.at_peak,
            words::count(self.timeline.counter_bytes),
            words::count(scratch.unwrap_or(0)),
        )
    }
}

fn op(model: &Model<'_>, n: u16) -> String {
    format!("{n} {}", model.node(n).map_or("?", |node| OpCode(node.header.op).name()))
}

/// Label and description of what lives somewhere.
fn describe(model: &Model<'_>, what: Alive, uses: &[&Use]) -> (String, String) {
    let most = uses.iter().map(|u| u64::from(u.bytes)).max().unwrap_or(0);
    match what {
        Alive::Rows(b) => {
            let nodes = model.nodes();
            let tensors = nodes.saturating_add(u16::try_from(model.inputs()).unwrap_or(u16::MAX));
            let name = |t: u16| match t.checked_sub(nodes) {
                Some(input) => format!("input {input}"),
                None => op(model, t),
            };
            let inside = |t: &u16| model.tensor(*t).is_some_and(|i| i.buffer == b);
            // An input comes first, though its number is the last.
            let mut names: Vec<String> = (nodes..tensors).chain(0..nodes).filter(inside).map(name).collect();
            let label = names.first().cloned().unwrap_or_else(|| format!("buffer {b}"));
            let more = names.len().saturating_sub(3);
            names.truncate(3);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (bytes, rows) = model.buffer(b).map_or((0, 0), |r| (r.length, r.rows));
            let kept = match rows {
                0 => "whole".to_owned(),
                1 => "ring of 1 row".to_owned(),
                n => format!("ring of {n} rows"),
            };
            (label, format!("{}{more}: {kept}, {} bytes", names.join(", "), words::count(bytes)))
        }
        Alive::Sums(n) => (format!("sums {n}"), format!("sums of {}: {} bytes", op(model, n), words::count(most))),
        Alive::Scratch(_) => ("scratch".to_owned(), format!("scratch of steps: {} bytes at most", words::count(most))),
    }
}
