//! The page, in Markdown. It holds nothing but what was measured and what does not change, so that it is the same again
//! where the numbers are.

mod firmware;
mod growth;
mod memory;
mod ops;
mod speed;
mod table;

use carafe_boards::Board;

use super::measured::Measured;
use super::models::{self, Source};
use super::{known, peers};

const HEAD: &str = "\
# Benchmarks

Written by `cargo xtask bench`; changes by hand are lost with its next run. `--model` and `--board` restrict it, and print
instead of writing.

Instructions are those of the emulated core, counted one by one, for one inference as a product makes it: start, copy of
the input, every step. **They are no cycles**, and no board has been measured. Estimated cycles are left out: they take a
model of the pipeline and a counter that knows it, which are not part of this repository. Each
program that was counted gave the bits that the converter computed, by their CRC.
";

/// The whole page.
pub fn page(measured: &Measured) -> String {
    let mut sections = vec![HEAD.to_owned(), about_cores(), format!("## The peer\n\n{}", peers::ABOUT)];
    sections.extend(speed::section(measured));
    sections.extend(memory::sections(measured));
    sections.extend(ops::section(measured));
    sections.extend(growth::section(measured));
    sections.extend(firmware::section(measured));
    sections.push(commands(measured));
    sections.join("\n")
}

fn about_cores() -> String {
    let mut text = "Cores, by the name that `--board` takes:\n\n".to_owned();
    for board in known() {
        text.push_str(&format!("- {}: `{}`, {}\n", core(board.cpu), board.name, board.about));
    }
    text
}

/// A core as people call it.
fn core(cpu: &str) -> String {
    match cpu.strip_prefix("cortex-m") {
        Some(number) => format!("Cortex-M{}", number.replace("0plus", "0+")),
        None => cpu.to_uppercase(),
    }
}

/// The board of a measurement.
fn cpu_of(board: &str) -> &'static str {
    carafe_boards::find(board).map_or("", |board: &Board| board.cpu)
}

fn commands(measured: &Measured) -> String {
    let mut text =
        "## Commands\n\nAll of this page is made by `cargo xtask bench`, with models and data in the folder that \
                    `CARAFE_ASSETS` names. One by\none, `BOARD` one of the names above, with the further options that \
                    tables name:\n\n```sh\n"
            .to_owned();
    for source in measured.models.iter().filter_map(|model| Source::find(model.name)) {
        let arguments = source.arguments(models::ASSETS).join(" ");
        text.push_str(&format!("carafe convert {arguments} --board BOARD -o {}.carafe\n", source.name));
    }
    text.push_str("carafe bench MODEL.carafe --board BOARD\n```\n\n");
    text.push_str(
        "The samples of `ad` are windows of five frames of the spectrogram in `$CARAFE_ASSETS/data/ad`, 640 numbers each.\n",
    );
    if !measured.compiler.is_empty() {
        text.push_str(&format!("Compiled by {}.\n", measured.compiler));
    }
    text
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::bench::growth::{Growth, Point};
    use crate::bench::measured::{ARENAS, Arena, Model, OnCore};
    use crate::bench::tool::{Conversion, Counted, Flash, Op};
    use crate::size::FirmwareSize;

    pub fn counted(instructions: u64) -> Counted {
        let op = |kind: &str, instructions| Op { kind: kind.to_owned(), shape: [4, 5, 6], macs: 100, instructions };
        Counted {
            instructions,
            outside_ops: 7,
            macs: 200,
            arena_bytes: 1_234,
            stack_bytes: 99,
            flash: Flash { runtime_bytes: 10_000 },
            ops: vec![op("Conv2d", instructions - 20), op("Softmax", 13)],
        }
    }

    pub fn measured() -> Measured {
        let boards = known;
        let on = |board: &'static Board, counted| OnCore { board: board.name, cpu: board.cpu, counted };
        let arena = |options| Arena { options, conversion: Some(Conversion { arena_bytes: 4_321, blob_bytes: 10 }) };
        let model = |name| Model {
            name,
            about: "a test",
            cores: boards().map(|board| on(board, (board.cpu != "cortex-m7").then(|| counted(50_000)))).collect(),
            arenas: ARENAS.map(arena).into(),
            small: Some(counted(90_000)),
        };
        let point = |size| Point { size, channels: 8, counted: counted(400) };
        let sweep = || vec![point(16), point(32)];
        Measured {
            compiler: "rustc 1.0".to_owned(),
            models: vec![model("resnet8"), model("ad")],
            growth: Some(Growth { board: "qemu-mps2-an386", sizes: sweep(), channels: sweep() }),
            firmware: vec![FirmwareSize {
                board: "qemu-mps2-an386",
                cpu: "cortex-m4",
                text_bytes: 50_000,
                rodata_bytes: 5_000,
                data_bytes: 0,
            }],
            left_out: Vec::new(),
        }
    }

    #[test]
    fn a_page_has_every_table_and_can_be_read() {
        let page = page(&measured());
        for words in
            ["### Cortex-M0+", "### Cortex-M55", "## Memory", "## By op", "## Growth", "## Firmware", "## Commands"]
        {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(page.contains("--board BOARD -o resnet8.carafe") && page.contains("rustc 1.0"), "{page}");
        for table in page.split("\n\n").filter(|block| block.starts_with('|')) {
            let bars: Vec<usize> = table.lines().map(|line| line.matches('|').count()).collect();
            assert!(bars.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
        }
        assert!(page.lines().filter(|line| !line.starts_with(['|', 'c', '-'])).all(|line| line.chars().count() <= 140));
        assert_eq!(page, super::page(&measured()));
    }

    #[test]
    fn a_page_without_anything_is_still_one() {
        let page = page(&Measured::default());
        assert!(page.contains("## The peer") && !page.contains("## By op") && !page.contains("## Growth"), "{page}");
    }
}
