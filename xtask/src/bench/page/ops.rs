//! Two models, op by op.

use super::core;
use super::table::{NONE, Table, count, maybe, ratio};
use crate::bench::measured::{Measured, Model};
use crate::bench::peers;
use crate::bench::tool::Counted;

/// The models that are shown so.
const SHOWN: [&str; 2] = ["resnet8", "vww"];

/// A table for each of them, with the cores that have loops of their own.
pub fn section(measured: &Measured) -> Option<String> {
    let shown: Vec<&Model> = measured.models.iter().filter(|model| SHOWN.contains(&model.name)).collect();
    if shown.iter().all(|model| counted(model).is_empty()) {
        return None;
    }
    let mut text =
        "## By op\n\nInstructions of all steps of an op, and by MAC, from the moment that the scheduler has \
                    chosen it; what is no op's (start, copy\nof the input, choice of steps) is the last row.\n"
            .to_owned();
    for model in shown {
        text.push_str(&format!("\n### {}\n\n{}", model.name, table(model)));
    }
    Some(text)
}

/// The cores that have loops of their own and were measured, and what they say.
fn counted(model: &Model) -> Vec<(&'static str, &Counted)> {
    let cores = model.cores.iter().filter(|on| peers::has(on.cpu));
    cores.filter_map(|on| Some((on.cpu, on.counted.as_ref()?))).collect()
}

fn table(model: &Model) -> String {
    let cores = counted(model);
    let mut head = vec!["op".to_owned(), "kind".to_owned(), "result".to_owned(), "MACs".to_owned()];
    for (cpu, _) in &cores {
        head.extend([core(cpu).replace("Cortex-", ""), "a MAC".to_owned()]);
    }
    let mut table = Table::new(3, &head.iter().map(String::as_str).collect::<Vec<_>>());
    // Another packing may take other ops; what they are is said by the first core.
    let rows = cores.first().map_or(0, |(_, first)| first.ops.len());
    for i in 0..rows {
        let Some(op) = cores.first().and_then(|(_, first)| first.ops.get(i)) else { continue };
        let macs = (op.macs > 0).then_some(op.macs);
        let shape = op.shape.map(|extent| extent.to_string()).join("×");
        let mut cells = vec![i.to_string(), op.kind.clone(), shape, maybe(macs)];
        for (_, counted) in &cores {
            let here = counted.ops.get(i).filter(|here| here.kind == op.kind).map(|here| here.instructions);
            cells.extend([maybe(here), ratio(here, macs)]);
        }
        table.row(cells);
    }
    let mut rest = vec![String::new(), "no op".to_owned(), String::new(), NONE.to_owned()];
    for (_, counted) in &cores {
        rest.extend([count(counted.outside_ops), NONE.to_owned()]);
    }
    table.row(rest);
    table.lines()
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::*;

    #[test]
    fn a_core_that_failed_has_no_column() {
        let text = section(&measured()).unwrap();
        assert!(!text.contains("### ad") && !text.contains("M7"), "{text}");
        let row =
            "| 0 | Conv2d | 4×5×6 | 100 | 49,980 | 499.80 | 49,980 | 499.80 | 49,980 | 499.80 | 49,980 | 499.80 |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("|  | no op |  | – | 7 | – |"), "{text}");
    }

    #[test]
    fn nothing_measured_is_no_section() {
        let mut none = measured();
        none.models.iter_mut().flat_map(|model| &mut model.cores).for_each(|on| on.counted = None);
        assert!(section(&none).is_none());
    }
}
