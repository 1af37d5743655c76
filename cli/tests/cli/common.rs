//! Running the program, and the files it needs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

/// What a run of the program gave.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The one JSON object on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "one line of JSON is expected:\n{}\n{}", self.stdout, self.stderr);
        let value: Value = serde_json::from_str(&self.stdout).expect("stdout is no JSON");
        assert!(value.is_object(), "{value}");
        value
    }

    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts failure with a code, a message that has all parts, and no trace of a panic.
    #[track_caller]
    pub fn fails(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        // Help and messages are wrapped to the width of the terminal.
        let flat = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = flat(&self.stderr);
        parts.iter().for_each(|p| assert!(said.contains(p), "`{p}` is missing in:\n{}", self.stderr));
        self
    }
}

/// Runs the program.
pub fn carafe<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_carafe"))
        .args(args)
        .stdin(Stdio::null())
        .env_remove("CLICOLOR_FORCE")
        .output()
        .expect("the program starts");
    let text = |b: Vec<u8>| String::from_utf8(b).expect("output is UTF-8");
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A file of the bundled example.
pub fn digits(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits").join(file).display().to_string()
}

/// A folder for one test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// The path of a file in it.
    pub fn at(&self, file: &str) -> String {
        self.0.path().join(file).display().to_string()
    }

    /// Writes a file in it.
    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.path().join(file), content).expect("the file can be written");
        self.at(file)
    }

    /// Names of what is in it, hidden files included.
    pub fn list(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("the folder can be read");
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// The bundled model, converted once for all tests of a file.
pub fn blob() -> String {
    static BLOB: LazyLock<PathBuf> = LazyLock::new(|| {
        // Kept: statics are not dropped, and the folder is one of the test runner's own.
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("blob-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the test folder can be made");
        let path = folder.join("digits.carafe");
        let calibration = digits("calib.npz");
        let model = digits("digits.xml");
        let labels = digits("labels.txt");
        let output = path.display().to_string();
        carafe(["convert", &model, "-o", &output, "--calibration", &calibration, "--labels", &labels]).ok();
        path
    });
    BLOB.display().to_string()
}

/// A grey picture as a BMP file, all of one value.
pub fn bmp(width: u32, height: u32, value: u8) -> Vec<u8> {
    let row = (width * 3).next_multiple_of(4);
    let size = 54 + row * height;
    let mut file = b"BM".to_vec();
    let put = |file: &mut Vec<u8>, x: u32| file.extend(x.to_le_bytes());
    [size, 0, 54, 40, width, height].iter().for_each(|&x| put(&mut file, x));
    file.extend([1, 0, 24, 0]);
    [0, row * height, 2835, 2835, 0, 0].iter().for_each(|&x| put(&mut file, x));
    file.resize(size as usize, value);
    file
}

/// An `.npy` file of version 1: its type, shape and elements.
pub fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}
