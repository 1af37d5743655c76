//! Labels in a table beside the files.

use std::collections::HashMap;
use std::path::Path;

use super::DatasetError;

/// Which rows and columns of a CSV file count. Its first line names the columns; `file` names the sample's file, by the
/// end of its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The column of labels (integers from 0). `None`: `label`, or the only column whose name begins with it.
    pub label: Option<String>,
    /// Only rows whose column `split` says this.
    pub split: Option<String>,
}

/// Labels by file name.
pub(super) fn read(csv: &Path, table: &Table) -> Result<HashMap<String, u32>, DatasetError> {
    let wrong = |what: String, remedy: &str| DatasetError::format(csv, what, remedy);
    let broken = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => DatasetError::read(csv, e),
        e => wrong(format!("is no table: {e:?}"), "write it as CSV with a line of names first"),
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(csv).map_err(broken)?;
    let names: Vec<String> = reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
    let column = |name: &str| {
        let found = names.iter().position(|n| n == name);
        found.ok_or_else(|| {
            wrong(format!("has no column `{name}`, only {names:?}"), "name the columns in its first line")
        })
    };
    let file = column("file")?;
    let label = match &table.label {
        Some(name) => column(name)?,
        None => {
            let like: Vec<usize> = (0..names.len()).filter(|&i| names[i].starts_with("label")).collect();
            match (names.iter().position(|n| n == "label"), like.as_slice()) {
                (Some(i), _) | (None, &[i]) => i,
                (None, []) => column("label")?,
                (None, _) => {
                    let found: Vec<&str> = like.iter().map(|&i| names[i].as_str()).collect();
                    let what = format!("has several columns of labels, {found:?}");
                    return Err(wrong(what, "say which one counts (`--label-column`)"));
                }
            }
        }
    };
    let split = table.split.as_ref().map(|s| column("split").map(|i| (i, s))).transpose()?;
    let mut labels = HashMap::new();
    for row in reader.records() {
        let row = row.map_err(broken)?;
        let cell = |i: usize| row.get(i).unwrap_or_default();
        if split.is_some_and(|(i, s)| cell(i) != s.as_str()) {
            continue;
        }
        let number = cell(label).parse::<u32>().map_err(|_| {
            let line = row.position().map_or(0, |p| p.line());
            wrong(format!("line {line}: `{}` is no label", cell(label)), "give integers from 0")
        })?;
        labels.insert(name(Path::new(cell(file))), number);
    }
    if labels.is_empty() {
        let what = table.split.as_ref().map_or("has no rows".into(), |s| format!("has no row of split `{s}`"));
        return Err(wrong(what, "check the table and `--split`"));
    }
    Ok(labels)
}

/// The name that a file is known by.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
