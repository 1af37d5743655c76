//! Tables and numbers in Markdown.

/// A table: its first columns are text, the others numbers.
pub struct Table {
    text: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With the words above the columns, of which the first `text` hold text.
    pub fn new(text: usize, head: &[&str]) -> Self {
        Self { text, rows: vec![head.iter().map(|&word| word.to_owned()).collect()] }
    }

    /// Appends a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines.
    pub fn lines(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let columns = self.rows.first().map_or(0, Vec::len);
        let rule: String = (0..columns).map(|i| if i < self.text { "---|" } else { "---:|" }).collect();
        let mut lines = self.rows.iter().map(|cells| line(cells));
        let head = lines.next().unwrap_or_default();
        format!("{head}|{rule}\n{}", lines.collect::<String>())
    }
}

/// What stands where there is no number.
pub const NONE: &str = "–";

/// With its thousands apart: `12,345`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As [`count`], of a number that may be missing.
pub fn maybe(n: Option<u64>) -> String {
    n.map_or_else(|| NONE.to_owned(), count)
}

/// One number by another, with two digits behind the point.
pub fn ratio(n: Option<u64>, by: Option<u64>) -> String {
    match (n, by) {
        (Some(n), Some(by @ 1..)) => format!("{:.2}", n as f64 / by as f64),
        _ => NONE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((maybe(None), maybe(Some(1_000))), (NONE.to_owned(), "1,000".to_owned()));
    }

    #[test]
    fn ratios_need_both_numbers() {
        assert_eq!(ratio(Some(1), Some(3)), "0.33");
        assert_eq!([ratio(None, Some(3)), ratio(Some(1), None), ratio(Some(1), Some(0))], [NONE; 3]);
    }

    #[test]
    fn tables_have_numbers_on_the_right() {
        let mut table = Table::new(1, &["model", "bytes"]);
        table.row(vec!["ad".to_owned(), "1,000".to_owned()]);
        assert_eq!(table.lines(), "| model | bytes |\n|---|---:|\n| ad | 1,000 |\n");
    }
}
