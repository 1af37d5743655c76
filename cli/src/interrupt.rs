//! Ctrl-C: no file is left half-written.

use std::io;
use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

/// What shells expect of a program that ended by SIGINT: 128 + 2.
const INTERRUPTED: i32 = 130;

static UNFINISHED: Unfinished = Unfinished::new();

/// The temporary files of this process.
pub fn unfinished() -> &'static Unfinished {
    &UNFINISHED
}

/// From now on Ctrl-C removes what is unfinished, and then ends the process.
pub fn watch() {
    // Where SIGINT is ignored, as in the background of a script, it stays so. There the handler is refused, and so it is
    // where there can be none; then nothing is lost but the removal.
    let _ = ctrlc::try_set_handler(|| {
        // Held to the end: no file appears or moves any more.
        let _files = UNFINISHED.remove_all();
        anstream::eprintln!("interrupted");
        process::exit(INTERRUPTED)
    });
}

/// Temporary files that are not in their place yet.
#[derive(Debug)]
pub struct Unfinished(Mutex<Vec<PathBuf>>);

impl Unfinished {
    const fn new() -> Self {
        Self(Mutex::new(vec![]))
    }

    fn files(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        // The list is whole after every statement that changes it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a file, and knows it before anybody can interrupt.
    pub fn begin(&self, make: impl FnOnce() -> io::Result<NamedTempFile>) -> io::Result<NamedTempFile> {
        let mut files = self.files();
        let file = make()?;
        files.push(file.path().to_path_buf());
        Ok(file)
    }

    /// Moves a file to its place, and forgets it.
    pub fn end<T>(&self, file: NamedTempFile, place: impl FnOnce(NamedTempFile) -> T) -> T {
        let mut files = self.files();
        files.retain(|f| f != file.path());
        place(file)
    }

    /// Removes all files. While the guard lives, there is no other.
    fn remove_all(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        let mut files = self.files();
        for file in files.drain(..) {
            // Whoever dropped it has removed it.
            let _ = std::fs::remove_file(file);
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unfinished_is_removed_and_what_is_finished_stays() {
        let folder = tempfile::tempdir().unwrap();
        let all = Unfinished::new();
        let make = || NamedTempFile::new_in(folder.path());
        let (half, done) = (all.begin(make).unwrap(), all.begin(make).unwrap());
        let place = folder.path().join("done");
        all.end(done, |f| f.persist(&place)).unwrap();
        assert!(half.path().exists());
        assert!(all.remove_all().is_empty());
        assert!(place.exists() && !half.path().exists());
        assert!(all.begin(|| Err(io::Error::other("full"))).is_err());
        assert!(all.files().is_empty());
    }
}
