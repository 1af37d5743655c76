//! What several test files need.

use std::path::{Path, PathBuf};

/// The folder of shared models and data, or `None` after a word that the test is skipped.
pub fn assets(test: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = std::env::var_os("CARAFE_ASSETS").map_or_else(beside, PathBuf::from);
    if path.join("models").is_dir() {
        return Some(path);
    }
    println!("skipped: {test}: no models in {} (set CARAFE_ASSETS)", path.display());
    None
}
