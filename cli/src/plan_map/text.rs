//! The picture in letters, for a terminal.

use super::Map;
use crate::words;

/// Lines of the map.
const LINES: usize = 24;
/// A letter per shape; they are used again if there are more shapes.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const FREE: char = '.';
const COUNTERS: char = '=';

/// Bytes from bottom to top, ticks from left to right, the letter of what takes most of a place; `width` columns.
pub fn text(map: &Map<'_>, width: usize) -> String {
    let margin = words::count(map.arena).len() + 4;
    let ticks = f64::from(map.timeline.ticks()) + 1.0;
    let columns = width.saturating_sub(margin + 1).clamp(16, 160).min(map.timeline.ticks() as usize + 1);
    let lines = LINES.min(map.arena.max(1) as usize);
    let (wide, high) = (ticks / columns as f64, f64::from(map.arena.max(1)) / lines as f64);
    let grid = fill(map, columns, lines, wide, high);

    let (bound, peak) = map.timeline.peak();
    let mut text = String::new();
    for y in (0..lines).rev() {
        let from = (y as f64 * high).round() as u32;
        let label = if y % 4 == 0 || y + 1 == lines { words::count(from) } else { String::new() };
        let line: String = grid[y * columns..(y + 1) * columns].iter().collect();
        text.push_str(&format!("  {label:>w$} |{}\n", line, w = margin - 4));
    }
    let at = (f64::from(peak) / wide) as usize;
    text.push_str(&format!("  {:>w$} +{}\n", "", "-".repeat(columns), w = margin - 4));
    let said = format!("tick {}: {} bytes alive", words::count(peak), words::count(bound));
    // On the side of the mark where there is room.
    let said = if at + said.len() < columns {
        format!("{}^ {said}", " ".repeat(at))
    } else {
        format!("{:>w$}", format!("{said} ^"), w = at + 1)
    };
    text.push_str(&format!("{:m$}{said}\n\n", "", m = margin));

    text.push_str(&format!("  {COUNTERS}  row counters: {} bytes\n", words::count(map.timeline.counter_bytes)));
    for (i, shape) in map.shapes.iter().enumerate() {
        text.push_str(&format!("  {}  {}\n", letter(i), words::short(&shape.about, width.max(40) - 6)));
    }
    text.push_str(&format!("\n  {}\n", map.summary()));
    text
}

fn letter(i: usize) -> char {
    LETTERS.get(i % LETTERS.len()).copied().map_or(FREE, char::from)
}

fn fill(map: &Map<'_>, columns: usize, lines: usize, wide: f64, high: f64) -> Vec<char> {
    let mut grid = vec![FREE; columns * lines];
    let mut most = vec![0.0; columns * lines];
    let mut mine = vec![0.0; columns * lines];
    let draw = |mine: &mut Vec<f64>, from: (f64, f64), to: (f64, f64)| {
        let (x0, x1) = (from.0 / wide, to.0 / wide);
        let (y0, y1) = (from.1 / high, to.1 / high);
        for y in y0 as usize..(y1.ceil() as usize).min(lines) {
            let part = (y1.min(y as f64 + 1.0) - y0.max(y as f64)).max(0.0);
            for x in x0 as usize..(x1.ceil() as usize).min(columns) {
                mine[y * columns + x] += part * (x1.min(x as f64 + 1.0) - x0.max(x as f64)).max(0.0);
            }
        }
    };
    let mut stamp = |mine: &mut Vec<f64>, letter: char| {
        for ((area, most), cell) in mine.iter_mut().zip(&mut most).zip(&mut grid) {
            // Less than an eighth of a place counts as free.
            if *area > *most && *area >= 0.125 {
                (*most, *cell) = (*area, letter);
            }
            *area = 0.0;
        }
    };
    draw(&mut mine, (0.0, 0.0), (f64::from(map.timeline.ticks()) + 1.0, f64::from(map.timeline.counter_bytes)));
    stamp(&mut mine, COUNTERS);
    for (i, shape) in map.shapes.iter().enumerate() {
        for u in &shape.uses {
            let from = (f64::from(u.first), f64::from(u.offset));
            draw(&mut mine, from, (f64::from(u.last) + 1.0, from.1 + f64::from(u.bytes)));
        }
        stamp(&mut mine, letter(i));
    }
    grid
}
