//! Says what memory is for that is more than there may be.

use super::block::What;
use super::frontier::Point;
use super::{PlanError, PlanOptions};

/// Names that are given.
const NAMED: usize = 3;

/// Why no plan fits the limit; `best` comes closest, with so many bytes of RAM.
pub(super) fn error(best: &Point<'_>, bytes: u64, options: &PlanOptions) -> PlanError {
    let (blocks, model) = (&best.plan.draft.blocks, best.net.model);
    let alive = super::block::alive(blocks, best.plan.draft.length.ticks);
    let most = alive.iter().max().copied().unwrap_or(0);
    let tick = alive.iter().position(|&a| a == most).unwrap_or(0) as u32;
    let mut users: Vec<(u64, String)> = Vec::new();
    for block in blocks {
        let there = |lives: &[(u32, u32)]| lives.iter().any(|l| l.0 <= tick && tick <= l.1);
        let cells = block.cells.iter().filter(|c| there(&c.lives));
        let bytes: u64 = cells.map(|c| c.bytes.end - c.bytes.start).sum();
        let name = |t: usize| match t.checked_sub(model.nodes.len()) {
            Some(i) => format!("the input `{}`", model.inputs[i].name),
            None => format!("`{}`", model.nodes[t].name),
        };
        let what = match block.what {
            // Of what shares its memory, the last is what it was made for.
            What::Group(g) => best.net.storage.members(g).iter().copied().max_by_key(|&t| t).map(name),
            What::Aux(n) => Some(format!("the sums of {}", name(n))),
            What::Scratch(..) => Some("working memory of kernels".into()),
        };
        users.extend(what.filter(|_| bytes > 0).map(|what| (bytes, what)));
    }
    users.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let list: Vec<String> =
        users.into_iter().take(NAMED).map(|(bytes, what)| format!("{what} ({bytes} bytes)")).collect();
    let mut remedies = Vec::new();
    if !options.push_rows && list.iter().any(|l| l.starts_with("the input")) {
        remedies.push("take the input row by row (`push_rows`, --push-rows)");
    }
    if options.fast_bytes.is_none() {
        remedies.push("give part of it a second memory (`fast_bytes`, --fast-ram)");
    }
    remedies.push("make the input smaller, or the layers named here narrower");
    PlanError::Unfit {
        limit: options.ram_limit.unwrap_or(0),
        smallest: bytes,
        most: list.join(", "),
        remedies: remedies.join(", or "),
    }
}
