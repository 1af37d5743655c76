//! Makes what `src/main.rs` embeds: the blob of the model, and images to try it on.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use carafe_converter::InputKind;
use carafe_converter::build::Build;

const DIGITS: &str = "../digits";

fn main() -> Result<(), Box<dyn Error>> {
    let digits = Path::new(DIGITS);
    // To OUT_DIR/digits.carafe, again whenever one of these files changes.
    Build::new(digits.join("digits.xml"))
        .calibration(digits.join("calib.npz"))
        .labels(digits.join("labels.txt"))
        .input(InputKind::U8) // grey values, as a camera delivers them
        .run();

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("samples.rs"), samples(&digits.join("samples"))?)?;
    linker_script(&out)?;
    Ok(())
}

/// A table of file names and grey values, as Rust.
fn samples(folder: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = fs::read_dir(folder)?.map(|f| Ok(f?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    files.sort();
    let mut table = format!("pub static SAMPLES: [(&str, [u8; 784]); {}] = [\n", files.len());
    for file in &files {
        let image = image::open(file).map_err(|e| format!("{}: {e}", file.display()))?.into_luma8();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        writeln!(table, "    ({name:?}, {:?}),", image.as_raw())?;
    }
    Ok(table + "];\n")
}

/// Hands the linker its scripts, so that the build needs no flags from outside.
fn linker_script(out: &Path) -> Result<(), Box<dyn Error>> {
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
