//! Puts the machine's memory map where the linker finds it. A program that uses this crate asks for `-Tlink.x` itself:
//! arguments of the linker are not handed on.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

/// Machines, as features and QEMU name them, and their memory maps.
const MACHINES: [(&str, &str); 5] = [
    ("mps2-an385", "memory/mps2.x"),
    ("mps2-an386", "memory/mps2.x"),
    ("mps2-an500", "memory/mps2.x"),
    ("mps2-an505", "memory/mps2-an505.x"),
    ("mps3-an547", "memory/mps3-an547.x"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?);
    let asked = |machine: &str| env::var_os(format!("CARGO_FEATURE_{}", machine.to_uppercase().replace('-', "_")));
    let mut chosen = MACHINES.iter().filter(|(machine, _)| asked(machine).is_some());
    let (Some((_, map)), None) = (chosen.next(), chosen.next()) else {
        let names = MACHINES.map(|(machine, _)| machine).join(", ");
        return Err(format!("ask for one feature of carafe-mps that names a machine: {names}").into());
    };
    fs::copy(map, out.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    Ok(())
}
