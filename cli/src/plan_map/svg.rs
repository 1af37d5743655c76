//! The picture as an SVG file.

use std::fmt::Write;

use super::{Map, Shape};
use crate::words;

// The plane that shapes lie on, in pixels.
const LEFT: f64 = 90.0;
const TOP: f64 = 74.0;
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 520.0;
/// Of a line of the legend.
const LINE: f64 = 18.0;
/// Columns of the legend.
const COLUMNS: usize = 2;

/// Light enough for black letters; neighbours in time differ.
const COLORS: [&str; 12] = [
    "#8dd3c7", "#ffd92f", "#bebada", "#fb8072", "#80b1d3", "#fdb462", "#b3de69", "#fccde5", "#c9c9c9", "#bc80bd",
    "#ccebc5", "#e5c494",
];

/// Bytes upwards, ticks to the right; each buffer a shape with the life of each of its rows.
pub fn svg(map: &Map<'_>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = draw(map, &mut out);
    out
}

/// Where ticks and bytes lie.
struct Scale {
    ticks: f64,
    bytes: f64,
}

impl Scale {
    fn x(&self, tick: u32) -> f64 {
        LEFT + WIDTH * f64::from(tick) / self.ticks
    }
    fn y(&self, byte: u32) -> f64 {
        TOP + HEIGHT * (1.0 - f64::from(byte) / self.bytes)
    }
}

fn draw(map: &Map<'_>, out: &mut String) -> std::fmt::Result {
    let ticks = map.timeline.ticks();
    let scale = Scale { ticks: f64::from(ticks) + 1.0, bytes: f64::from(map.arena.max(1)) };
    let legend = (map.shapes.len() + 1).div_ceil(COLUMNS) as f64 * LINE;
    let (w, h) = (LEFT + WIDTH + 40.0, TOP + HEIGHT + 90.0 + legend);
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" font-family="sans-serif" font-size="12">"#
    )?;
    let title = format!("Memory plan of {}", map.name);
    writeln!(out, "<title>{}</title>", escape(&title))?;
    writeln!(out, r##"<rect width="100%" height="100%" fill="#ffffff"/>"##)?;
    writeln!(out, r#"<text x="{LEFT}" y="26" font-size="18" font-weight="bold">{}</text>"#, escape(&title))?;
    writeln!(out, r##"<text x="{LEFT}" y="48" fill="#444444">{}</text>"##, escape(&map.summary()))?;
    axes(map, &scale, out)?;

    // Row counters lie below all, all the time.
    let (top, bottom) = (scale.y(map.timeline.counter_bytes), scale.y(0));
    let counters = format!("row counters: {} bytes", words::count(map.timeline.counter_bytes));
    writeln!(
        out,
        r##"<g id="counters"><title>{counters}</title><rect x="{LEFT}" y="{top:.2}" width="{WIDTH}" height="{:.2}" fill="#666666"/></g>"##,
        bottom - top
    )?;
    // Names come last, so that no shape hides one.
    let mut names = String::new();
    for (i, shape) in map.shapes.iter().enumerate() {
        self::shape(shape, i, &scale, out, &mut names)?;
    }
    out.push_str(&names);

    let (bound, peak) = map.timeline.peak();
    let x = (scale.x(peak) + scale.x(peak + 1)) / 2.0;
    writeln!(
        out,
        r##"<line x1="{x:.2}" y1="{:.2}" x2="{x:.2}" y2="{:.2}" stroke="#c00000" stroke-width="1.5" stroke-dasharray="5 3"/>"##,
        TOP - 4.0,
        TOP + HEIGHT
    )?;
    let anchor = if x > LEFT + WIDTH / 2.0 { "end" } else { "start" };
    writeln!(
        out,
        r##"<text id="peak" x="{x:.2}" y="{:.2}" fill="#c00000" text-anchor="{anchor}">peak: {} bytes alive at tick {}</text>"##,
        TOP - 8.0,
        words::count(bound),
        words::count(peak)
    )?;

    let mut entries = vec![("#666666", counters)];
    entries.extend(map.shapes.iter().enumerate().map(|(i, s)| (COLORS[i % COLORS.len()], s.about.clone())));
    let lines = entries.len().div_ceil(COLUMNS);
    writeln!(out, r#"<g id="legend">"#)?;
    for (i, (color, about)) in entries.iter().enumerate() {
        let x = LEFT + (i / lines) as f64 * WIDTH / COLUMNS as f64;
        let y = TOP + HEIGHT + 76.0 + (i % lines) as f64 * LINE;
        writeln!(
            out,
            r##"<rect x="{x:.2}" y="{:.2}" width="12" height="12" fill="{color}" stroke="#444444" stroke-width="0.5"/><text x="{:.2}" y="{y:.2}">{}</text>"##,
            y - 10.0,
            x + 18.0,
            escape(&words::short(about, 70))
        )?;
    }
    writeln!(out, "</g>\n</svg>")
}

/// Frame, ticks and names of the axes.
fn axes(map: &Map<'_>, scale: &Scale, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        r##"<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="#f7f7f7" stroke="#444444"/>"##
    )?;
    let (right, bottom) = (LEFT + WIDTH, TOP + HEIGHT);
    for byte in marks(map.arena) {
        let y = scale.y(byte);
        writeln!(out, r##"<line x1="{LEFT}" y1="{y:.2}" x2="{right}" y2="{y:.2}" stroke="#dddddd"/>"##)?;
        let (x, y) = (LEFT - 6.0, y + 4.0);
        writeln!(out, r#"<text x="{x}" y="{y:.2}" text-anchor="end">{}</text>"#, words::count(byte))?;
    }
    for tick in marks(map.timeline.ticks()) {
        let (x, end) = (scale.x(tick), bottom + 5.0);
        writeln!(out, r##"<line x1="{x:.2}" y1="{bottom}" x2="{x:.2}" y2="{end}" stroke="#444444"/>"##)?;
        let y = bottom + 18.0;
        writeln!(out, r#"<text x="{x:.2}" y="{y}" text-anchor="middle">{}</text>"#, words::count(tick))?;
    }
    let (x, y) = (LEFT + WIDTH / 2.0, bottom + 38.0);
    writeln!(out, r#"<text x="{x}" y="{y}" text-anchor="middle">time in ticks (steps, and rows pushed)</text>"#)?;
    let y = TOP + HEIGHT / 2.0;
    writeln!(
        out,
        r#"<text x="20" y="{y}" text-anchor="middle" transform="rotate(-90 20 {y})">address in the arena in bytes</text>"#
    )
}

/// Round numbers up to `most`, about eight of them.
fn marks(most: u32) -> Vec<u32> {
    let rough = f64::from(most.max(1)) / 8.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|&s| s >= rough).unwrap_or(power);
    (0..=most).step_by((step.ceil() as usize).max(1)).collect()
}

/// One shape: a rectangle per piece of life, and its name where there is room.
fn shape(shape: &Shape<'_>, index: usize, scale: &Scale, out: &mut String, names: &mut String) -> std::fmt::Result {
    let color = COLORS[index % COLORS.len()];
    let mut path = String::new();
    let (mut area, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
    let (mut low, mut high) = ((f64::MAX, f64::MAX), (f64::MIN, f64::MIN));
    for u in &shape.uses {
        let (x0, x1) = (scale.x(u.first), scale.x(u.last + 1));
        let (y0, y1) = (scale.y(u.offset + u.bytes), scale.y(u.offset));
        write!(path, "M{x0:.2} {y0:.2}H{x1:.2}V{y1:.2}H{x0:.2}Z")?;
        let a = (x1 - x0) * (y1 - y0);
        (area, x_sum, y_sum) = (area + a, x_sum + a * (x0 + x1) / 2.0, y_sum + a * (y0 + y1) / 2.0);
        low = (low.0.min(x0), low.1.min(y0));
        high = (high.0.max(x1), high.1.max(y1));
    }
    let thin = if shape.uses.len() > 1 { 0.25 } else { 0.5 };
    writeln!(
        out,
        r##"<g class="buffer"><title>{}</title><path d="{path}" fill="{color}" stroke="#444444" stroke-width="{thin}"/></g>"##,
        escape(&shape.about)
    )?;
    let (wide, tall) = (high.0 - low.0, high.1 - low.1);
    if area > 0.0 && tall >= 10.0 && wide >= 7.0 * shape.label.len() as f64 {
        writeln!(
            names,
            r##"<text x="{:.2}" y="{:.2}" text-anchor="middle" font-size="11" stroke="#ffffff" stroke-width="3" paint-order="stroke" stroke-linejoin="round">{}</text>"##,
            x_sum / area,
            y_sum / area + 4.0,
            escape(&shape.label)
        )?;
    }
    Ok(())
}

/// Text as XML takes it.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no place for them.
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_file() {
        assert_eq!(escape("a<b>&\"\u{1}c"), "a&lt;b&gt;&amp;&quot; c");
    }

    #[test]
    fn axes_have_round_marks() {
        assert_eq!(marks(195_256), [0, 50_000, 100_000, 150_000]);
        assert_eq!(marks(3), [0, 1, 2, 3]);
        assert_eq!(marks(0), [0]);
    }
}
