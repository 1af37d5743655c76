//! Instructions, core by core.

use super::table::{NONE, Table, count, maybe, ratio};
use super::{core, cpu_of};
use crate::bench::measured::Measured;
use crate::bench::peers;

/// One table for each core.
pub fn section(measured: &Measured) -> Option<String> {
    let boards: Vec<&str> = measured.models.first()?.cores.iter().map(|on| on.board).collect();
    let mut text = "## Instructions of an inference\n\nModels are converted with default options for the core. MACs are \
                    multiply-accumulates of the model, those with padding\ncounted; both engines are divided by the same \
                    number.\n"
        .to_owned();
    for board in boards {
        let cpu = cpu_of(board);
        text.push_str(&format!("\n### {}, `{board}`\n\n", core(cpu)));
        let mut table = Table::new(1, &["model", "MACs", "Carafe", "a MAC", "TFLM", "a MAC", "Carafe by TFLM"]);
        for model in &measured.models {
            let counted = model.cores.iter().find(|on| on.board == board).and_then(|on| on.counted.as_ref());
            let ours = counted.map(|counted| counted.instructions);
            let macs = counted.map(|counted| counted.macs);
            let theirs = peers::find(model.name, cpu).map(|peer| peer.instructions);
            table.row(vec![
                format!("{}, {}", model.name, model.about),
                maybe(macs),
                ours.map_or_else(|| NONE.to_owned(), |n| format!("**{}**", count(n))),
                ratio(ours, macs),
                maybe(theirs),
                ratio(theirs, macs),
                ratio(ours, theirs),
            ]);
        }
        text.push_str(&table.lines());
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::*;

    #[test]
    fn both_engines_stand_in_a_row_and_a_gap_is_a_dash() {
        let text = section(&measured()).unwrap();
        let row = "| resnet8, a test | 200 | **50,000** | 250.00 | 29,861,419 | 149307.10 | 0.00 |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| ad, a test | – | – | – | 583,218 | – | – |"), "{text}");
    }
}
