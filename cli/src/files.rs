//! Files that commands read and write.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use carafe::{BlobError, Model};
use carafe_converter::split;
use tempfile::NamedTempFile;

use crate::interrupt::{self, Unfinished};

/// A file that is being written beside its place, and takes it only when it is complete. It is gone when dropped, and
/// when the program is interrupted.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    file: NamedTempFile,
    unfinished: &'static Unfinished,
}

impl Pending {
    /// Writes the content beside `path`. What is at `path` stays as it is.
    pub fn write(path: &Path, content: &[u8]) -> anyhow::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".carafe-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file, within what the umask allows; temporary files are private otherwise.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let wrong = || format!("{}: can't be written", path.display());
        let unfinished = interrupt::unfinished();
        let file = unfinished.begin(|| builder.tempfile_in(folder_of(path))).with_context(wrong)?;
        let mut pending = Self { path: path.into(), file, unfinished };
        pending.file.write_all(content).with_context(wrong)?;
        Ok(pending)
    }

    /// Moves the file to its place.
    pub fn publish(self) -> anyhow::Result<()> {
        let Self { path, file, unfinished } = self;
        unfinished
            .end(file, |file| file.persist(&path))
            .with_context(|| format!("{}: can't be written", path.display()))?;
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Finds out, before the work begins, that a file could not be written after it. `sources` are files that the work
/// reads, which it must not overwrite.
pub fn check_output(path: &Path, sources: &[&Path]) -> anyhow::Result<()> {
    if path.is_dir() {
        bail!("{}: is a folder; name a file, e.g. {}", path.display(), path.join("model.carafe").display());
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        bail!("{}: folder {} does not exist; make it first", path.display(), folder.display());
    }
    if let Ok(there) = fs::canonicalize(path) {
        for source in sources {
            if fs::canonicalize(source).is_ok_and(|s| s == there) {
                bail!("{}: would overwrite what is read; give another output", path.display());
            }
        }
    }
    Ok(())
}

/// The bytes of a blob. Where its weights are in a file of their own, of the same name with the extension `weights`, they
/// are put together.
pub fn read_blob(path: &Path) -> anyhow::Result<Vec<u8>> {
    let blob = fs::read(path).with_context(|| format!("{}: can't be read; check the path", path.display()))?;
    if !split::is_split(&blob) {
        return Ok(blob);
    }
    let beside = path.with_extension("weights");
    let weights = fs::read(&beside).with_context(|| {
        format!("{}: its weights are in a file of their own, and {} can't be read", path.display(), beside.display())
    })?;
    split::join(&blob, &weights)
        .with_context(|| format!("{} and {} do not belong together", path.display(), beside.display()))
}

/// Verifies a blob.
pub fn verify<'m>(path: &Path, blob: &'m [u8]) -> anyhow::Result<Model<'m>> {
    Model::verify(blob, carafe::ops::ALL).map_err(|error| {
        let remedy = match error {
            BlobError::Magic => "give a file that `carafe convert` wrote",
            BlobError::Version { .. } | BlobError::UnknownSection { .. } | BlobError::MissingOp { .. } => {
                "it was written by another version of carafe: convert the model again with this one"
            }
            _ => "copy the file again, or convert the model again",
        };
        anyhow!("{}: {error}; {remedy}", path.display())
    })
}

/// Labels, one a line. Blank lines at the end do not count.
pub fn read_labels(path: &Path) -> anyhow::Result<Vec<String>> {
    let bytes = fs::read(path).with_context(|| format!("{}: labels can't be read; check the path", path.display()))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| anyhow!("{}: labels are not UTF-8 text; give one label a line", path.display()))?;
    let labels: Vec<String> = text.trim_end().lines().map(|l| l.trim().to_owned()).collect();
    if labels.is_empty() || labels.iter().all(String::is_empty) {
        bail!("{}: holds no labels; give one a line, in the order of the output", path.display());
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_there_before_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.carafe");
        fs::write(&path, b"old").unwrap();
        let pending = Pending::write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        pending.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        drop(Pending::write(&path, b"never").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn outputs_that_can_not_be_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("m.xml");
        fs::write(&model, b"").unwrap();
        assert!(check_output(folder.path(), &[]).is_err());
        assert!(check_output(&folder.path().join("no/x"), &[]).is_err());
        assert!(check_output(&model, &[&model]).is_err());
        assert!(check_output(&folder.path().join("x"), &[&model]).is_ok());
    }

    #[test]
    fn labels_are_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "cat\r\n\nhot dog\n\n").unwrap();
        assert_eq!(read_labels(file.path()).unwrap(), ["cat", "", "hot dog"]);
        fs::write(file.path(), " \n").unwrap();
        assert!(read_labels(file.path()).is_err());
    }
}
