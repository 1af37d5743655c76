//! Hands the linker its scripts, so that the build needs no flags from outside, and converts the example's model.

fn main() {
    // `memory.x` is here.
    println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rustc-link-arg=-Tlink.x");
    if std::env::var_os("CARGO_FEATURE_LOG").is_some() {
        println!("cargo:rustc-link-arg=-Tdefmt.x");
    }
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "example")]
    example();
}

/// The model of `examples/sounds.rs`, to `OUT_DIR/sounds.carafe`.
#[cfg(feature = "example")]
fn example() {
    use carafe_converter::build::Build;

    let folder = std::path::Path::new("../../examples/sensors");
    Build::new(folder.join("sounds.xml"))
        .calibration(folder.join("sounds.npz"))
        .labels(folder.join("sounds.txt"))
        .run();
}
