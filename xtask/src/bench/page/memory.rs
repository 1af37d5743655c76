//! Arena, stack and flash.

use super::table::{Table, maybe};
use super::{core, cpu_of};
use crate::bench::measured::{MAIN_CPU, Measured};
use crate::bench::peers;

/// Memory by core, then the choices that there are.
pub fn sections(measured: &Measured) -> Vec<String> {
    if measured.models.is_empty() {
        return Vec::new();
    }
    let mut all = vec![by_core(measured)];
    if measured.models.iter().any(|model| !model.arenas.is_empty()) {
        all.push(arenas(measured));
    }
    if measured.models.iter().any(|model| model.small.is_some()) {
        all.push(small(measured));
    }
    all
}

fn by_core(measured: &Measured) -> String {
    let mut text =
        "## Memory\n\nBytes, by the same blobs. The arena has all that an inference takes beside its stack: \
                    tensors, row counters, scratch, the\ninput as a whole. Flash is the runtime with the ops of the \
                    model, without the model. Stack stays under 1,200 bytes: this\ncommand fails past it (on LEON3, whose \
                    frames have room for a window of registers, past 1,400).\n"
            .to_owned();
    let boards = measured.models.iter().flat_map(|model| model.cores.iter().map(|on| on.board));
    let mut seen = Vec::new();
    for board in boards {
        if seen.contains(&board) {
            continue;
        }
        seen.push(board);
        let cpu = cpu_of(board);
        text.push_str(&format!("\n### Memory on {}\n\n", core(cpu)));
        let mut table = Table::new(1, &["model", "arena", "TFLM", "stack", "TFLM", "flash", "TFLM"]);
        for model in &measured.models {
            let counted = model.cores.iter().find(|on| on.board == board).and_then(|on| on.counted.as_ref());
            let peer = peers::find(model.name, cpu);
            table.row(vec![
                model.name.to_owned(),
                maybe(counted.map(|c| c.arena_bytes)),
                maybe(peer.map(|p| p.arena)),
                maybe(counted.map(|c| c.stack_bytes)),
                maybe(peer.map(|p| p.stack)),
                maybe(counted.map(|c| c.flash.runtime_bytes)),
                maybe(peer.map(|p| p.flash)),
            ]);
        }
        text.push_str(&table.lines());
    }
    text
}

fn arenas(measured: &Measured) -> String {
    let core = core(MAIN_CPU);
    let mut text = format!(
        "## Arena by options, {core}\n\nBytes, by `carafe convert` with these options: rows pushed by the camera one by one \
         (`--push-rows`), no working memory for\nthe fast loops (`--optimize size`).\n\n"
    );
    let mut table = Table::new(
        1,
        &["model", "default", "`--push-rows`", "`--optimize size`", "`--optimize size --push-rows`", "TFLM", "blob"],
    );
    for model in &measured.models {
        let arena = |i: usize| model.arenas.get(i).and_then(|arena| arena.conversion.as_ref());
        let mut cells = vec![model.name.to_owned()];
        cells.extend((0..4).map(|i| maybe(arena(i).map(|conversion| conversion.arena_bytes))));
        cells.push(maybe(peers::find(model.name, MAIN_CPU).map(|peer| peer.arena)));
        cells.push(maybe(arena(0).map(|conversion| conversion.blob_bytes)));
        table.row(cells);
    }
    text.push_str(&table.lines());
    text
}

fn small(measured: &Measured) -> String {
    let core = core(MAIN_CPU);
    let mut text = format!(
        "## As little flash as can be, {core}\n\n`carafe convert --cpu portable --optimize size` and `carafe bench --small`: \
         `opt-level = \"s\"`, portable loops. TFLM is\ncompiled with `-Os`, its loops those of CMSIS-NN. `cargo xtask size` \
         says what single ops take.\n\n"
    );
    let mut table = Table::new(1, &["model", "flash", "TFLM", "instructions", "TFLM", "arena", "stack"]);
    for model in &measured.models {
        let (counted, peer) = (model.small.as_ref(), peers::small(model.name));
        table.row(vec![
            model.name.to_owned(),
            maybe(counted.map(|c| c.flash.runtime_bytes)),
            maybe(peer.map(|p| p.flash)),
            maybe(counted.map(|c| c.instructions)),
            maybe(peer.map(|p| p.instructions)),
            maybe(counted.map(|c| c.arena_bytes)),
            maybe(counted.map(|c| c.stack_bytes)),
        ]);
    }
    text.push_str(&table.lines());
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::*;

    #[test]
    fn memory_stands_beside_the_peer() {
        let all = sections(&measured());
        assert_eq!(all.len(), 3);
        assert!(all[0].contains("| resnet8 | 1,234 | 54,996 | 99 | 868 | 10,000 | 49,792 |"), "{}", all[0]);
        assert!(all[1].contains("| ad | 4,321 | 4,321 | 4,321 | 4,321 | 2,580 | 10 |"), "{}", all[1]);
        assert!(all[2].contains("| resnet8 | 10,000 | 41,864 | 90,000 | 41,072,042 | 1,234 | 99 |"), "{}", all[2]);
    }

    #[test]
    fn without_the_main_core_its_tables_are_not_there() {
        let mut other = measured();
        for model in &mut other.models {
            (model.arenas, model.small) = (Vec::new(), None);
        }
        assert_eq!(sections(&other).len(), 1);
    }
}
