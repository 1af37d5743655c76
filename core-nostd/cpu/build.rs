//! Which inner loops this build has. rustc does not show `target_feature = "dsp"` on stable, so the target's name
//! decides.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(carafe_dsp)");
    println!("cargo::rustc-check-cfg=cfg(carafe_m0)");
    let target = std::env::var("TARGET").unwrap_or_default();
    // Cortex-M4 and M7 have the DSP extension always; of v8-M only some cores.
    let v8 = target.starts_with("thumbv8m.main") && std::env::var_os("CARGO_FEATURE_CPU_M33").is_some();
    if target.starts_with("thumbv7em") || v8 {
        println!("cargo::rustc-cfg=carafe_dsp");
    }
    if target.starts_with("thumbv6m") {
        println!("cargo::rustc-cfg=carafe_m0");
    }
}
