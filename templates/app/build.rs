//! Converts the model, and hands the linker its scripts.

use std::path::PathBuf;
use std::{env, fs};

use carafe_converter::build::Build;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // To OUT_DIR/model.carafe, again whenever one of these files changes. Put your own in their place.
    Build::new("{{carafe}}/examples/digits/digits.xml")
        .calibration("{{carafe}}/examples/digits/calib.npz")
        .labels("{{carafe}}/examples/digits/labels.txt")
        .name("model")
        .run();

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
