//! `include_model!` in programs that cargo compiles: what they compute, and what the compiler says of blobs that are not
//! good.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use carafe::{Model, Session, ops};
use carafe_converter::build::Build;
use carafe_converter::dataset::{Dataset, InputSpec, Preprocess};
use carafe_converter::{InputKind, Options, twin};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn digits() -> Build {
    let folder = root().join("examples/digits");
    Build::new(folder.join("digits.xml"))
        .calibration(folder.join("calib.npz"))
        .labels(folder.join("labels.txt"))
        .input(InputKind::U8)
}

/// The example images, as bytes.
fn images() -> Vec<Vec<u8>> {
    let spec = InputSpec { name: "image".into(), shape: vec![1, 28, 28, 1], layout: carafe_graph::Layout::Nhwc };
    let set = Dataset::open(&root().join("examples/digits/samples"), &spec, &Preprocess::default()).unwrap();
    let bytes = |i| set.get(i).unwrap().as_f32().unwrap().iter().map(|&x| x as u8).collect();
    (0..set.len()).map(bytes).collect()
}

/// A package that depends on carafe and carafe-macros.
struct Package {
    folder: tempfile::TempDir,
}

impl Package {
    /// Tests run side by side in one target folder, so each package has a name of its own.
    fn new(name: &str, main: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| root().join(path).canonicalize().unwrap().display().to_string();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
             carafe = {{ path = {:?} }}\ncarafe-macros = {{ path = {:?} }}\n",
            at("core-nostd"),
            at("core-nostd/macros")
        );
        fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        // The versions that the workspace has compiled are at hand without a network.
        fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("src/main.rs"), main).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--offline"])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs"))
            .env("CARGO_TERM_COLOR", "never")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not compile reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// What the compiler says.
    fn refused(&self) -> String {
        let output = self.run(&[]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains("error: "), "{text}");
        text
    }
}

#[test]
fn a_program_computes_what_the_twin_computes() {
    let package = Package::new("three-models", include_str!("data/program.rs"));
    let blob = digits().write(&package.path("digits.carafe")).unwrap().blob;
    let mut options = Options::default();
    options.plan.push_rows = true;
    let rows = digits().options(options).write(&package.path("rows.carafe")).unwrap().blob;
    let signed = digits().input(InputKind::I8).write(&package.path("signed.carafe")).unwrap().blob;

    let images = images();
    let output = package.run(&images.concat());
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");

    let model = Model::verify(&blob, ops::ALL).unwrap();
    let pushed = Model::verify(&rows, ops::ALL).unwrap();
    let used: BTreeSet<u16> = (0..model.nodes()).map(|n| model.node(n).unwrap().header.op).collect();
    let (input, result) = (model.input(0).unwrap(), model.output(0).unwrap());
    let mut expected = vec![
        format!("shapes {:?} {:?}", input.shape(), result.shape()),
        format!("arena {} {} state 0", model.arena_bytes(), pushed.arena_bytes()),
        format!("ops {} of {}", used.len(), ops::ALL.ops().len()),
        "labels 0 1 2 3 4 5 6 7 8 9 names image output_0".to_owned(),
    ];
    let run = |blob: &[u8], input: Vec<u8>| {
        let model = Model::verify(blob, ops::ALL).unwrap();
        let mut arena = vec![0; model.arena_bytes()];
        twin::run(&mut Session::new(model), &mut arena, &[input], ()).unwrap().remove(0)
    };
    let line = Model::verify(&signed, ops::ALL).unwrap().input(0).unwrap();
    let quantize = |x: u8| {
        let q = (f32::from(x) / line.scale.unwrap()).round() + f32::from(line.zero());
        q.clamp(-128.0, 127.0) as i8 as u8
    };
    for image in &images {
        let bytes = run(&blob, image.clone());
        let mut ranked: Vec<usize> = (0..bytes.len()).collect();
        ranked.sort_by_key(|&i| -i32::from(bytes[i] as i8));
        let score = |i: usize| (f32::from(bytes[i] as i8) - f32::from(result.zero_point)) * result.scale.unwrap();
        let top: Vec<String> = ranked.iter().take(3).map(|&i| format!("{i}={:.4}", score(i))).collect();
        expected.push(format!("{bytes:?} {0} {0} {1}", ranked[0], top.join(" ")));
        expected.push(format!("{:?}", run(&signed, image.iter().map(|&x| quantize(x)).collect())));
    }
    let need = model.arena_bytes();
    expected.push(format!("the arena has {} bytes, the model needs {need}", need - 1));
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
    assert!(expected.iter().filter(|l| l.starts_with('[')).count() >= 16, "the example images are there");
}

/// `examples/include-model`, with the blob that its README tells to make.
#[test]
fn the_example_recognizes_its_drawing() {
    let package = Package::new("example", include_str!("../../../examples/include-model/src/main.rs"));
    digits().write(&package.path("digits.carafe")).unwrap();
    fs::copy(root().join("examples/include-model/digit.txt"), package.path("digit.txt")).unwrap();
    let output = package.run(&[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("digit.txt: 7\n  7 with probability 0."), "{said}");
    assert_eq!(said.lines().count(), 4, "{said}");
}

#[test]
fn a_model_with_state_takes_memory_for_it() {
    let package = Package::new("streaming", include_str!("data/streaming.rs"));
    let golden = root().join("hil-tests/golden/state");
    let build = Build::new(golden.join("model.xml")).calibration(golden.join("io.npz"));
    let blob = build.write(&package.path("streaming.carafe")).unwrap().blob;
    let model = Model::verify(&blob, ops::ALL).unwrap();
    let steps: Vec<Vec<u8>> = (0..6u8).map(|i| (0..16).map(|k| i.wrapping_mul(37) ^ (k * 11)).collect()).collect();
    let output = package.run(&steps.concat());
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}{err}");
    let (mut arena, mut state) = (vec![0; model.arena_bytes()], vec![0; model.state_bytes()]);
    let mut session = Session::with_state(model, &mut state).unwrap();
    let mut run = |x: &Vec<u8>| twin::run(&mut session, &mut arena, std::slice::from_ref(x), ()).unwrap().remove(0);
    let mut expected: Vec<String> = steps.iter().map(|x| format!("{:?}", run(x))).collect();
    expected.push(expected[0].clone());
    assert_eq!(out.lines().collect::<Vec<_>>(), expected, "and the first again after a reset");

    let mut options = Options::default();
    options.plan.fast_bytes = Some(1 << 10);
    build.options(options).write(&package.path("streaming.carafe")).unwrap();
    let text = package.refused();
    assert!(text.contains("fast RAM") && text.contains("start_in"), "{text}");
    fs::write(package.path("streaming.carafe"), carafe_converter::split::split(&blob).unwrap().0).unwrap();
    let text = package.refused();
    assert!(text.contains("kept apart") && text.contains("--split-weights"), "{text}");
}

#[test]
fn blobs_that_are_not_good_are_errors_of_the_compiler() {
    let package = Package::new("bad-blobs", "carafe_macros::include_model!(\"kws.carafe\");\nfn main() {}\n");
    let says = |package: &Package, parts: &[&str]| {
        let text = package.refused();
        for part in ["kws.carafe", "src/main.rs:1:"].iter().chain(parts) {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
    };
    says(&package, &["can't be read", "carafe convert"]);

    fs::write(package.path("kws.carafe"), b"<?xml version=\"1.0\"?><net name=\"kws\" version=\"11\"></net>".repeat(4))
        .unwrap();
    says(&package, &["not a Carafe blob", "give a file that `carafe convert` wrote"]);

    let mut blob = digits().convert().unwrap().blob;
    let last = blob.len() - 1;
    blob[last] ^= 1;
    fs::write(package.path("kws.carafe"), &blob).unwrap();
    says(&package, &["checksum mismatch", "convert the model again"]);

    fs::write(package.path("kws.carafe"), &blob[..last]).unwrap();
    says(&package, &["truncated"]);

    // The same package compiles as soon as the file is good.
    blob[last] ^= 1;
    fs::write(package.path("kws.carafe"), &blob).unwrap();
    let output = package.run(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    fs::write(
        package.path("src/main.rs"),
        "carafe_macros::include_model!(concat!(env!(\"OUT_DIR\"), \"/kws.carafe\"));\nfn main() {}\n",
    )
    .unwrap();
    let text = package.refused();
    assert!(text.contains("`OUT_DIR` is not set: the package has no build script"), "{text}");
}
