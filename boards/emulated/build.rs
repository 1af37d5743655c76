//! Puts `ram.x` where the linker finds it: the sections of a program whose board has but one memory, which the emulator
//! loads itself. A board's own script names that memory and its stack, and includes this.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?);
    fs::copy("memory/ram.x", out.join("ram.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    Ok(())
}
