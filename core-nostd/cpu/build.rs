//! Which inner loops this build has. rustc does not show `target_feature = "dsp"` on stable, nor `"mve"`, so the
//! target's name decides.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for cfg in ["carafe_dsp", "carafe_m0", "carafe_mve", "carafe_simd"] {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
    }
    let has = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    if has("PORTABLE") {
        return;
    }
    let target = env::var("TARGET").unwrap_or_default();
    let variable = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let vectors = ["x86_64", "aarch64"].contains(&variable("ARCH").as_str()) && variable("OS") != "none";
    // Cortex-M4 and M7 have the DSP extension always; of v8-M only some cores have it, or Helium.
    let cfg = match () {
        () if target.starts_with("thumbv7em") => "carafe_dsp",
        () if target.starts_with("thumbv8m.main") && has("CPU_M33") => "carafe_dsp",
        () if target.starts_with("thumbv8m.main") && has("CPU_M55") => "carafe_mve",
        () if target.starts_with("thumbv6m") => "carafe_m0",
        () if vectors && has("HOST_SIMD") => "carafe_simd",
        () => return,
    };
    println!("cargo::rustc-cfg={cfg}");
}
