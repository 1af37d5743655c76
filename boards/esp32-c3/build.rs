//! Hands the linker its scripts, so that the build needs no flags from outside.

fn main() {
    println!("cargo:rustc-link-arg=-Tlinkall.x");
    if std::env::var_os("CARGO_FEATURE_LOG").is_some() {
        println!("cargo:rustc-link-arg=-Tdefmt.x");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
