//! Takes the model from `CARAFE_BENCH_MODEL`, and hands the linker its script, so that the build needs no flags from
//! outside.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use carafe::{Model, ops};

const VARIABLE: &str = "CARAFE_BENCH_MODEL";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?);
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    let path = env::var(VARIABLE)
        .map_err(|_| format!("{VARIABLE} is not set; `carafe bench MODEL.carafe` sets it, or give it a blob's path"))?;
    println!("cargo:rerun-if-changed={path}");
    let blob = fs::read(&path).map_err(|e| format!("{path}: can't be read: {e}"))?;
    let model = Model::verify(&blob, ops::ALL).map_err(|e| format!("{path}: {e}"))?;
    let mut inputs = 0;
    let mut offsets = Vec::new();
    for input in (0..model.inputs()).filter_map(|i| model.input(i)) {
        offsets.push(inputs);
        inputs += input.bytes;
    }
    let seed = model.golden().map_or(0, |golden| golden.seed);
    let constants = format!(
        "/// Seed of the input.\npub const SEED: u32 = {seed};\n\
         /// Bytes of all inputs.\npub const INPUT_BYTES: usize = {inputs};\n\
         /// Where each input begins in them.\npub const INPUT_OFFSETS: [usize; {}] = {offsets:?};\n\
         /// Ops.\npub const NODES: usize = {};\n",
        offsets.len(),
        model.nodes()
    );
    write(&out.join("constants.rs"), constants.as_bytes())?;
    write(&out.join("model.carafe"), &blob)?;
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}

/// Leaves a file alone that is already so: programs are compiled again when it changes.
fn write(path: &PathBuf, content: &[u8]) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) { Ok(()) } else { fs::write(path, content) }
}
