//! Numbers and tables for people.

/// A number with its thousands apart: `12,345`.
pub fn count(n: impl TryInto<u128>) -> String {
    let digits = n.try_into().unwrap_or_default().to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// So many of something: `1 segment`, `2 segments`.
pub fn several(n: usize, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A number of bytes: exact below 10 KB, else in KB or MB of 1024.
pub fn bytes(n: u64) -> String {
    const KB: f64 = 1024.0;
    match n {
        0..10_240 => format!("{} B", count(n)),
        10_240..1_048_576 => format!("{:.1} KB", n as f64 / KB),
        _ => format!("{:.2} MB", n as f64 / KB / KB),
    }
}

/// Extents: `1×28×28×1`, or with `x` where that can't be shown.
pub fn shape<T: ToString>(extents: &[T], unicode: bool) -> String {
    let all: Vec<String> = extents.iter().map(ToString::to_string).collect();
    all.join(if unicode { "×" } else { "x" })
}

/// Multiply-accumulates: `3.13 M`.
pub fn macs(n: u64) -> String {
    match n {
        0..10_000 => count(n),
        10_000..1_000_000 => format!("{:.1} k", n as f64 / 1e3),
        _ => format!("{:.2} M", n as f64 / 1e6),
    }
}

/// A fraction in percent, with one decimal: `99.6 %`.
pub fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// A bar of `width` columns, filled to a fraction; blanks at its end are left out.
pub fn bar(fraction: f64, width: usize, unicode: bool) -> String {
    let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
    if !unicode {
        return "#".repeat((fraction * width as f64).round() as usize);
    }
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (fraction * width as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// The end of a name that is too long: converters join names of fused layers, and the end tells them apart best.
pub fn short(name: &str, most: usize) -> String {
    match name.char_indices().nth_back(most.saturating_sub(1)) {
        Some((at, _)) if at > 0 => {
            let at = name[at..].char_indices().nth(2).map_or(at, |(skip, _)| at + skip);
            format!("..{}", &name[at..])
        }
        _ => name.to_owned(),
    }
}

/// How a column of a table is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table: its head, then rows of as many cells. Columns are as wide as their widest cell.
pub fn table(head: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    // Colours take no room.
    let width = |s: &str| anstream::adapter::strip_str(s).to_string().chars().count();
    let widths: Vec<usize> = (0..head.len())
        .map(|c| rows.iter().filter_map(|r| r.get(c)).map(|s| width(s)).chain([width(head[c].0)]).max().unwrap_or(0))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::from(" ");
        for ((cell, (_, align)), w) in cells.zip(head).zip(&widths) {
            let gap = " ".repeat(w - width(cell));
            match align {
                Align::Left => text.push_str(&format!(" {cell}{gap} ")),
                Align::Right => text.push_str(&format!(" {gap}{cell} ")),
            }
        }
        format!("{}\n", text.trim_end())
    };
    let bold = crate::ui::HEADING;
    let mut text = format!("{bold}{}{bold:#}\n", line(&mut head.iter().map(|h| h.0)).trim_end());
    rows.iter().for_each(|r| text.push_str(&line(&mut r.iter().map(String::as_str))));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0u64, 999, 1000, 1_234_567].map(count).each_ref().map(|s| &**s)
        );
        assert_eq!((several(1, "op"), several(1000, "op")), ("1 op".into(), "1,000 ops".into()));
        assert_eq!(bytes(5_123), "5,123 B");
        assert_eq!(bytes(20_480), "20.0 KB");
        assert_eq!(bytes(3 << 20), "3.00 MB");
        assert_eq!(macs(3_130_000), "3.13 M");
        assert_eq!(percent(0.996), "99.6 %");
        assert_eq!(shape(&[1, 28], false), "1x28");
        assert_eq!(bar(0.5, 10, false), "#####");
        assert_eq!(
            [bar(1.0, 3, true), bar(0.5, 1, true), bar(f64::NAN, 9, true), bar(-2.0, 9, true)],
            ["███", "▌", "", ""]
        );
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(short("conv", 8), "conv");
        assert_eq!(short("block1/conv_2", 8), "..conv_2");
        assert_eq!(short("ééééé", 4), "..éé");
    }

    #[test]
    fn columns_line_up() {
        let t = table(
            &[("op", Align::Left), ("n", Align::Right)],
            &[vec!["Conv2d".into(), "10".into()], vec!["é".into(), "7".into()]],
        );
        let plain = anstream::adapter::strip_str(&t).to_string();
        assert_eq!(plain, "  op       n\n  Conv2d  10\n  é        7\n");
    }
}
