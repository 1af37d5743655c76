//! Labels in a table beside the files.

use std::collections::{HashMap, HashSet};
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

/// A table whose rows are being read.
struct Open<'c> {
    csv: &'c Path,
    names: Vec<String>,
    reader: csv::Reader<std::fs::File>,
}

impl<'c> Open<'c> {
    fn new(csv: &'c Path) -> Result<Self, DatasetError> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(csv).map_err(|e| broken(csv, e))?;
        let names = reader.headers().map_err(|e| broken(csv, e))?.iter().map(str::to_owned).collect();
        Ok(Self { csv, names, reader })
    }

    fn wrong(&self, what: String, remedy: &str) -> DatasetError {
        DatasetError::format(self.csv, what, remedy)
    }

    fn column(&self, name: &str) -> Result<usize, DatasetError> {
        self.names.iter().position(|n| n == name).ok_or_else(|| {
            let what = format!("has no column `{name}`, only {:?}", self.names);
            self.wrong(what, "name the columns in its first line")
        })
    }

    /// What `of` makes of every row of the split, by the name of the row's file.
    fn rows<T>(
        mut self,
        split: Option<&str>,
        of: impl Fn(&csv::StringRecord) -> Result<T, String>,
    ) -> Result<HashMap<String, T>, DatasetError> {
        let file = self.column("file")?;
        let wanted = split.map(|s| self.column("split").map(|i| (i, s))).transpose()?;
        let mut found = HashMap::new();
        for row in self.reader.records() {
            let row = row.map_err(|e| broken(self.csv, e))?;
            let cell = |i: usize| row.get(i).unwrap_or_default();
            if wanted.is_some_and(|(i, s)| cell(i) != s) {
                continue;
            }
            let value = of(&row).map_err(|what| {
                let line = row.position().map_or(0, |p| p.line());
                DatasetError::format(self.csv, format!("line {line}: {what}"), "give integers from 0")
            })?;
            found.insert(name(Path::new(cell(file))), value);
        }
        if found.is_empty() {
            let what = split.map_or("has no rows".into(), |s| format!("has no row of split `{s}`"));
            return Err(self.wrong(what, "check the table, and which split is asked for"));
        }
        Ok(found)
    }
}

fn broken(csv: &Path, error: csv::Error) -> DatasetError {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => DatasetError::read(csv, e),
        e => DatasetError::format(csv, format!("is no table: {e:?}"), "write it as CSV with a line of names first"),
    }
}

/// Labels by file name.
pub(super) fn read(csv: &Path, table: &Table) -> Result<HashMap<String, u32>, DatasetError> {
    let open = Open::new(csv)?;
    let names = &open.names;
    let label = match &table.label {
        Some(name) => open.column(name)?,
        None => {
            let like: Vec<usize> = (0..names.len()).filter(|&i| names[i].starts_with("label")).collect();
            match (names.iter().position(|n| n == "label"), like.as_slice()) {
                (Some(i), _) | (None, &[i]) => i,
                (None, []) => open.column("label")?,
                (None, _) => {
                    let found: Vec<&str> = like.iter().map(|&i| names[i].as_str()).collect();
                    let what = format!("has several columns of labels, {found:?}");
                    return Err(open.wrong(what, "say which one counts (`--label-column`)"));
                }
            }
        }
    };
    open.rows(table.split.as_deref(), |row| {
        let cell = row.get(label).unwrap_or_default();
        cell.parse().map_err(|_| format!("`{cell}` is no label"))
    })
}

/// Names of files.
pub(super) fn files(csv: &Path, split: Option<&str>) -> Result<HashSet<String>, DatasetError> {
    Ok(Open::new(csv)?.rows(split, |_| Ok(()))?.into_keys().collect())
}

/// The name that a file is known by.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
