//! How instructions and memory grow.

use super::table::{Table, count, ratio};
use super::{core, cpu_of};
use crate::bench::growth::{Point, QUICKLY};
use crate::bench::measured::Measured;

/// Two tables.
pub fn section(measured: &Measured) -> Option<String> {
    let growth = measured.growth.as_ref()?;
    let core = core(cpu_of(growth.board));
    let quickly = QUICKLY.join(" ");
    Some(format!(
        "## Growth, {core}\n\nA network of three convolutions of 3×3, a mean of the map and a dense layer, its input three \
         channels deep and pushed row by\nrow. Instructions by MAC do not grow with the model: they fall, since what a row or \
         a pixel takes once is spread over more\nMACs. The arena grows with the rows of the maps, not with their \
         area.\n\nWith the size of the input:\n\n{}\nWith the channels of the maps:\n\n{}\n`cargo xtask bench` leaves the \
         networks and their samples in `target/bench`; they are converted with\n`{quickly} --push-rows`: ranges change no count, so none are \
         searched for.\n",
        table(&growth.sizes),
        table(&growth.channels)
    ))
}

fn table(points: &[Point]) -> String {
    let head =
        ["input", "channels", "MACs", "instructions", "a MAC", "arena", "a row of a map", "arena in rows", "a map"];
    let mut table = Table::new(1, &head);
    for point in points {
        let (counted, row) = (&point.counted, point.row_bytes());
        table.row(vec![
            format!("{0}×{0}", point.size),
            count(point.channels as u64),
            count(counted.macs),
            count(counted.instructions),
            ratio(Some(counted.instructions), Some(counted.macs)),
            count(counted.arena_bytes),
            count(row),
            ratio(Some(counted.arena_bytes), Some(row)),
            count(point.map_bytes()),
        ]);
    }
    table.lines()
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::*;

    #[test]
    fn the_arena_stands_beside_a_row_and_a_map() {
        let text = section(&measured()).unwrap();
        assert!(text.contains("| 32×32 | 8 | 200 | 400 | 2.00 | 1,234 | 256 | 4.82 | 8,192 |"), "{text}");
        assert!(section(&Measured::default()).is_none());
    }
}
