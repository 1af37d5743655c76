//! Which inner loops this build has. rustc does not show `target_feature = "dsp"` on stable, nor `"mve"`, so the
//! target's name decides.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(carafe_dsp)");
    println!("cargo::rustc-check-cfg=cfg(carafe_mve)");
    let target = std::env::var("TARGET").unwrap_or_default();
    let feature = |name| std::env::var_os(name).is_some();
    // Cortex-M4 and M7 have the DSP extension always; of v8-M only some cores, and some of those Helium.
    let v8 = target.starts_with("thumbv8m.main");
    if v8 && feature("CARGO_FEATURE_CPU_M55") {
        println!("cargo::rustc-cfg=carafe_mve");
    } else if target.starts_with("thumbv7em") || v8 && feature("CARGO_FEATURE_CPU_M33") {
        println!("cargo::rustc-cfg=carafe_dsp");
    }
}
