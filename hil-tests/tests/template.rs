//! `templates/app`, filled in as `cargo generate` does it, builds for a board. Skipped, and said so, where the Rust target is
//! not installed.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use carafe_hil::firmware::{checkout, target_dir};

const TARGET: &str = "thumbv7em-none-eabihf";

/// Copies a folder with every placeholder filled in. `.liquid` at the end of a name only keeps tools off the template.
fn fill_in(from: &Path, to: &Path, values: &[(&str, &str)]) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name == "cargo-generate.toml" {
            continue;
        }
        let place = to.join(name.strip_suffix(".liquid").unwrap_or(&name));
        if entry.path().is_dir() {
            fill_in(&entry.path(), &place, values);
            continue;
        }
        let mut text = fs::read_to_string(entry.path()).unwrap();
        for (key, value) in values {
            text = text.replace(&format!("{{{{{key}}}}}"), value);
        }
        assert!(!text.contains("{{"), "a placeholder of {} is not known", entry.path().display());
        // Only what changes is written, so that a second build is a short one.
        if fs::read_to_string(&place).ok().as_deref() != Some(&text) {
            fs::write(place, text).unwrap();
        }
    }
}

#[test]
fn the_application_template_builds() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output().unwrap();
    if !Path::new(String::from_utf8_lossy(&libraries.stdout).trim()).is_dir() {
        println!(
            "skipped: the_application_template_builds: Rust target {TARGET} is not installed; get it by: rustup target add {TARGET}"
        );
        return;
    }
    let root = checkout();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("template-app");
    let carafe = root.display().to_string().replace('\\', "/");
    fill_in(
        &root.join("templates/app"),
        &folder,
        &[("project-name", "my-sensor"), ("carafe", &carafe), ("target", TARGET)],
    );
    let config = fs::read_to_string(root.join("templates/app/cargo-generate.toml")).unwrap();
    for placeholder in ["placeholders.carafe", "placeholders.target", TARGET] {
        assert!(config.contains(placeholder), "{placeholder}");
    }
    // No target is named here: the template does that. The example's lock file has tried versions.
    fs::copy(root.join("examples/firmware-m4/Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", target_dir())
        // Flags meant for the host's code would break the board's.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_BUILD_RUSTFLAGS")
        .status()
        .expect("cargo starts");
    assert!(built.success(), "the template does not build (see above)");
    assert!(target_dir().join(TARGET).join("release/my-sensor").exists());
}
