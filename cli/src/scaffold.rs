//! A new board's firmware crate, made from that of another.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, bail};
use carafe_boards::{Board, Firmware};

/// What was made.
pub struct Crate {
    /// Its folder.
    pub folder: PathBuf,
    /// The program in it.
    pub binary: String,
    /// Its files, from its folder.
    pub files: Vec<String>,
}

/// Copies the firmware crate of `from` into the folder `into`, under its new name.
pub fn make(name: &str, from: &Board, checkout: &Path, into: &Path) -> anyhow::Result<Crate> {
    check(name)?;
    let Some(firmware) = from.firmware else { bail!("{} has no firmware to begin with", from.name) };
    let source = checkout.join(firmware.crate_path);
    let folder = into.join(name);
    if !source.join("Cargo.toml").exists() {
        bail!("{} is not there: this program needs the checkout it was built in", source.display());
    }
    if folder.exists() {
        bail!("{} is there already: choose another name, or remove it", folder.display());
    }
    let names = Names::new(name, from, firmware);
    let mut files = Vec::new();
    for path in sources(&source)? {
        let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        let inside = path.strip_prefix(&source).unwrap_or(&path);
        let mut text = names.renamed(&text);
        if inside == Path::new("Cargo.toml") && !same(&source, &folder) {
            text = with_whole_paths(&text, &source);
        }
        let to = folder.join(inside);
        let parent = to.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).with_context(|| format!("{} can't be made", parent.display()))?;
        fs::write(&to, text).with_context(|| format!("{} can't be written", to.display()))?;
        files.push(inside.display().to_string());
    }
    files.sort_unstable();
    settle_lock(&folder);
    Ok(Crate { folder, binary: names.binary, files })
}

/// True if one stands beside the other, so that relative paths hold.
fn same(source: &Path, folder: &Path) -> bool {
    let whole = |path: Option<&Path>| path.and_then(|path| path.canonicalize().ok());
    whole(source.parent()).is_some_and(|parent| whole(folder.parent()) == Some(parent))
}

/// What crates, programs and boards may be called.
fn check(name: &str) -> anyhow::Result<()> {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || !name.chars().all(sound) || name.len() > 64 {
        bail!("`{name}` can't be a board's name: take lower-case letters, digits and dashes, a letter first");
    }
    if carafe_boards::find(name).is_ok() {
        bail!("there is a board `{name}` already; `carafe boards` lists them");
    }
    Ok(())
}

/// What is called otherwise in the new crate.
struct Names {
    pairs: [[String; 2]; 3],
    binary: String,
}

impl Names {
    fn new(name: &str, from: &Board, firmware: Firmware) -> Self {
        let snake = |name: &str| name.replace('-', "_");
        let binary = format!("carafe-{name}");
        let pairs = [
            [firmware.binary.to_owned(), binary.clone()],
            [snake(firmware.binary), snake(&binary)],
            [from.name.to_owned(), name.to_owned()],
        ];
        Self { pairs, binary }
    }

    fn renamed(&self, text: &str) -> String {
        self.pairs.iter().fold(text.to_owned(), |text, [old, new]| text.replace(old, new))
    }
}

/// The files of a crate: all but what is built.
fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry?.path();
        match path.file_name() {
            Some(name) if name == "target" => {}
            _ if path.is_dir() => found.extend(sources(&path)?),
            _ => found.push(path),
        }
    }
    Ok(found)
}

/// A crate that stands elsewhere names those beside it by their whole paths.
fn with_whole_paths(manifest: &str, source: &Path) -> String {
    const PATH: &str = "path = \"..";
    let mut parts = manifest.split(PATH);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (rest, behind) = part.split_once('"').unwrap_or((part, ""));
        let path = source.join(format!("..{rest}"));
        let path = path.canonicalize().unwrap_or(path).display().to_string().replace('\\', "/");
        text.push_str(&format!("path = \"{path}\"{behind}"));
    }
    text
}

/// Has cargo write the crate's new name where it belongs in the lock file, so that `--locked` holds. Without cargo, the first
/// build does it.
fn settle_lock(folder: &Path) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["update", "--workspace", "--offline", "--quiet"]).current_dir(folder);
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_crate_can_have_are_refused() {
        for name in ["", "My-Board", "2nd", "a b", "a/b", "..", "qemu-leon3"] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check("my-board-2").is_ok());
    }

    #[test]
    fn paths_of_other_crates_become_whole() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text =
            with_whole_paths("a = { path = \"../core-nostd\", features = [\"x\"] }\npath = \"src/main.rs\"\n", here);
        assert!(!text.contains("..") && text.contains("core-nostd\", features = [\"x\"] }"), "{text}");
        assert!(text.ends_with("path = \"src/main.rs\"\n"), "{text}");
    }
}
