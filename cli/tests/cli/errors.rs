//! What the user is told when something is wrong, and what is left behind: nothing.

use crate::common::{Folder, blob, bmp, carafe, digits, npy};

/// The bundled model in a folder, its two files changed.
fn model(folder: &Folder, xml: impl Fn(String) -> String, bin: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    folder.write("m.bin", bin(std::fs::read(digits("digits.bin")).unwrap()));
    folder.write("m.xml", xml(std::fs::read_to_string(digits("digits.xml")).unwrap()))
}

/// Converts what fails, and looks that no output appeared.
#[track_caller]
fn conversion_fails(folder: &Folder, model: &str, data: &str, code: i32, parts: &[&str]) {
    let before = folder.list();
    let output = folder.at("out.carafe");
    carafe(["convert", model, "-o", &output, "--calibration", data]).fails(code, parts);
    assert_eq!(folder.list(), before, "something was left behind");
}

#[test]
fn models_that_can_not_be_read() {
    let folder = Folder::new();
    let data = digits("calib.npz");
    conversion_fails(&folder, &folder.at("no.xml"), &data, 1, &["no.xml", "can't be read", "check the path"]);
    let text = folder.write("note.xml", "just a note");
    folder.write("note.bin", "");
    conversion_fails(&folder, &text, &data, 1, &["note.xml", "not well-formed XML"]);
    let other = folder.write("m.onnx", "");
    conversion_fails(&folder, &other, &data, 1, &["m.onnx", "ovc"]);

    let cut = model(&folder, |xml| xml, |bin| bin[..bin.len() / 2].to_vec());
    conversion_fails(&folder, &cut, &data, 1, &["m.xml", "layer"]);
    let cut = model(&folder, |xml| xml[..xml.len() / 2].to_owned(), |bin| bin);
    conversion_fails(&folder, &cut, &data, 1, &["m.xml", "cut off or damaged"]);
    std::fs::remove_file(folder.at("m.bin")).unwrap();
    let alone = folder.write("m.xml", std::fs::read(digits("digits.xml")).unwrap());
    conversion_fails(&folder, &alone, &data, 1, &["m.bin", "two files"]);
}

#[test]
fn calibration_that_can_not_be_read() {
    let folder = Folder::new();
    let model = digits("digits.xml");
    conversion_fails(&folder, &model, &folder.at("nowhere"), 1, &["nowhere", "can't be read"]);
    let text = folder.write("data.txt", "1 2 3");
    conversion_fails(&folder, &model, &text, 1, &["data.txt", ".npz"]);
    let small = folder.write("small.npy", npy("|u1", "(4, 8, 8, 1)", &[0; 256]));
    conversion_fails(&folder, &model, &small, 1, &["small.npy", "[4, 8, 8, 1]", "[N, 28, 28, 1]"]);
    let nan: Vec<u8> = [f32::NAN; 784].iter().flat_map(|x| x.to_le_bytes()).collect();
    let nan = folder.write("nan.npy", npy("<f4", "(28, 28, 1)", &nan));
    conversion_fails(&folder, &model, &nan, 1, &["nan.npy", "not a finite number"]);

    let images = Folder::new();
    for i in 0..3 {
        images.write(&format!("{i}.bmp"), bmp(28, 28, 80 * i));
    }
    let broken = images.write("1b.png", b"\x89PNG\r\n\x1a\nbroken");
    let folder_of_images = images.at("");
    conversion_fails(&folder, &model, &folder_of_images, 1, &["1b.png", "decoded"]);
    std::fs::remove_file(broken).unwrap();
    let output = folder.at("ok.carafe");
    carafe(["convert", &model, "-o", &output, "--calibration", &folder_of_images, "-q"]).ok();
}

#[test]
fn calibration_that_is_missing() {
    let folder = Folder::new();
    let ran = carafe(["convert", &digits("digits.xml"), "-o", &folder.at("o.carafe")]);
    ran.fails(2, &["--calibration DATA", "folder of images", "`image`", "[1, 28, 28, 1]"]);
    assert!(folder.list().is_empty());
}

#[test]
fn outputs_that_can_not_be_written() {
    let folder = Folder::new();
    let data = digits("calib.npz");
    let convert = |output: &str| carafe(["convert", &digits("digits.xml"), "-o", output, "--calibration", &data]);
    convert(&folder.at("no/such/o.carafe")).fails(1, &["does not exist"]);
    convert(&folder.at("")).fails(1, &["is a folder"]);
    let own = model(&folder, |xml| xml, |bin| bin);
    let over = carafe(["convert", &own, "-o", &folder.at("m.bin"), "--calibration", &data]);
    over.fails(1, &["m.bin", "would overwrite"]);
    assert_eq!(std::fs::read(folder.at("m.bin")).unwrap(), std::fs::read(digits("digits.bin")).unwrap());
}

#[test]
fn a_failure_leaves_the_old_output() {
    let folder = Folder::new();
    let output = folder.write("o.carafe", "old");
    let labels = folder.write("l.txt", "one\ntwo\n");
    let ran = carafe([
        "convert",
        &digits("digits.xml"),
        "-o",
        &output,
        "--calibration",
        &digits("calib.npz"),
        "--labels",
        &labels,
    ]);
    ran.fails(1, &["l.txt", "2 labels", "10 classes"]);
    assert_eq!(std::fs::read(&output).unwrap(), b"old");
}

#[test]
fn blobs_that_are_none() {
    let folder = Folder::new();
    let image = digits("samples/7.png");
    let blob = std::fs::read(blob()).unwrap();
    let mut flipped = blob.clone();
    flipped[2000] ^= 4;
    let mut version = blob.clone();
    version[4] = 99;
    let cases = [
        (
            "text.carafe",
            b"not a blob at all, but long enough to be taken for a header of one, or so".to_vec(),
            "not a Carafe blob",
        ),
        ("cut.carafe", blob[..blob.len() / 2].to_vec(), "truncated"),
        ("empty.carafe", vec![], "truncated"),
        ("flipped.carafe", flipped, "checksum"),
        ("version.carafe", version, "convert the model again"),
    ];
    for (name, bytes, part) in cases {
        let file = folder.write(name, bytes);
        carafe(["inspect", &file]).fails(1, &[name, part]);
        carafe(["run", &file, "--input", &image]).fails(1, &[name, part]);
    }
    carafe(["inspect", &folder.at("none.carafe")]).fails(1, &["none.carafe", "check the path"]);
}

#[test]
fn inputs_that_do_not_fit() {
    let folder = Folder::new();
    let run = |option: &str, file: &str| carafe(["run", &blob(), option, file]);
    let wrong = folder.write("wrong.bmp", bmp(20, 30, 1));
    run("--input", &wrong).fails(1, &["wrong.bmp", "[30, 20]", "28, 28, 1", "resize"]);
    let text = folder.write("text.png", "this is text");
    run("--input", &text).fails(1, &["text.png", "decoded"]);
    run("--input", &folder.at("none.png")).fails(1, &["none.png"]);
    let short = folder.write("short.bin", [0; 783]);
    run("--raw-int8", &short).fails(1, &["short.bin", "783 bytes", "784"]);
    let wide = folder.write("wide.npy", npy("<i2", "(28, 28, 1)", &[44, 1].repeat(784)));
    run("--raw-int8", &wide).fails(1, &["wide.npy", "300 is no"]);
    let both = [run("--index", "4000"), carafe(["run", &blob(), "--input", &digits("test.npz"), "--index", "4000"])];
    let [usage, range] = both;
    usage.fails(2, &["--input"]);
    range.fails(1, &["no sample 4000"]);
    let twice = carafe(["run", &blob(), "--input", &text, "--input", &text]);
    twice.fails(2, &["takes 1 inputs", "2 given"]);
    carafe(["run", &blob(), "--input", &digits("samples/7.png"), "--mean", "1,2,3"]).fails(1, &["mean", "1 channels"]);
}

#[test]
fn usage_errors_have_code_2_and_name_what_there_is() {
    let (blob, image) = (blob(), digits("samples/7.png"));
    let board = carafe(["run", &blob, "--input", &image, "--board", "nonesuch"]);
    board.fails(2, &["nonesuch", "host", "qemu-mps2-an386"]);
    carafe(["convert", "m.xml", "-o", "x", "--observer", "magic"]).fails(2, &["magic", "minmax"]);
    carafe(["convert", "m.xml", "--dump-after", "nothing"]).fails(2, &["nothing", "make_nhwc"]);
    carafe(["frobnicate"]).fails(2, &["frobnicate"]);
    carafe(["run", &blob]).fails(2, &["--input"]);
    let none: [&str; 0] = [];
    assert_eq!(carafe(none).code, 2);
    let firmware = carafe(["run", &blob, "--input", &image, "--board", "qemu-mps2-an386", "--firmware", "none.elf"]);
    // Either there is no such firmware, or no emulator.
    firmware.fails(1, &["qemu-mps2-an386"]);
    // Nor does the other way of models go to boards that only count.
    let none = carafe(["run", &blob, "--input", &image, "--board", "qemu-mps2-an385-m0"]);
    none.fails(1, &["qemu-mps2-an385-m0"]);
}

#[test]
fn errors_are_json_too() {
    let ran = carafe(["inspect", "nowhere.carafe", "--json"]);
    let json = ran.json();
    assert!(json["error"].as_str().unwrap().contains("nowhere.carafe"), "{json}");
    assert_eq!(json["causes"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(ran.code, 1);
    let usage = carafe(["--json", "run"]);
    assert!(usage.json()["error"].as_str().unwrap().contains("required"), "{}", usage.stdout);
    assert_eq!(usage.code, 2);
    let missing = carafe(["convert", &digits("digits.xml"), "-o", "x.carafe", "--json"]);
    assert!(missing.json()["error"].as_str().unwrap().contains("--calibration"), "{}", missing.stdout);
    assert_eq!(missing.code, 2);
}
