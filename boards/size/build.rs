//! Hands the linker its script, so that the build needs no flags from outside.

use std::path::Path;
use std::{env, io};

fn main() -> io::Result<()> {
    let script = Path::new(&env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?).join("size.x");
    println!("cargo:rustc-link-arg-bins=-T{}", script.display());
    println!("cargo:rerun-if-changed=size.x");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
