//! How large the boards' firmware is.

use super::core;
use super::table::{Table, count};
use crate::bench::measured::Measured;

/// A table, board by board.
pub fn section(measured: &Measured) -> Option<String> {
    if measured.firmware.is_empty() {
        return None;
    }
    let mut table = Table::new(2, &["board", "core", "code", "constants", "initial values", "all"]);
    for size in &measured.firmware {
        let numbers = [size.text_bytes, size.rodata_bytes, size.data_bytes, size.total()];
        table.row([vec![format!("`{}`", size.board), core(size.cpu)], numbers.map(count).to_vec()].concat());
    }
    Some(format!(
        "## Firmware\n\nBytes of the firmware that takes models over the wire: start-up, link, protocol, verifier and every op \
         in both arithmetics,\nthe loops of the core among them. No program for an emulated board can panic; in those for real \
         boards, the code of their\nvendors can. `cargo xtask size` prints the same table.\n\n{}",
        table.lines()
    ))
}
