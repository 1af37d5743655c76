//! Data that are not what the model takes: every message names the file, and what to do.

use std::io::{Cursor, Write};
use std::sync::LazyLock;

use crate::common::{Folder, Ran, blob, bmp, carafe, digits, npy};

/// The bundled model, made to take bytes with a mean and a scale.
fn camera() -> String {
    static BLOB: LazyLock<(Folder, String)> = LazyLock::new(|| {
        let folder = Folder::new();
        let output = folder.at("camera.carafe");
        let (model, images) = (digits("digits.xml"), digits("samples"));
        let numbers = ["--mean", "10", "--scale", "2"];
        let ran = carafe(["convert", &model, "-o", &output, "--calibration", &images].iter().chain(&numbers));
        ran.ok();
        (folder, output)
    });
    BLOB.1.clone()
}

fn run(input: &str) -> Ran {
    carafe(["run", &blob(), "--input", input])
}

/// Converts with calibration data that are no good.
fn calibrate(data: &str) -> Ran {
    let folder = Folder::new();
    let output = folder.at("o.carafe");
    let ran = carafe(["convert", &digits("digits.xml"), "-o", &output, "--calibration", data]);
    assert!(folder.list().is_empty(), "{:?}", folder.list());
    ran
}

/// A model of one dense layer, which takes a list of `n` numbers.
fn dense(folder: &Folder, n: usize) -> String {
    let xml = format!(
        r#"<?xml version="1.0"?>
<net name="dense" version="11"><layers>
<layer id="0" name="list" type="Parameter" version="opset1"><data shape="1,{n}" element_type="f32"/>
<output><port id="0" precision="FP32" names="list"><dim>1</dim><dim>{n}</dim></port></output></layer>
<layer id="1" name="w" type="Const" version="opset1"><data element_type="f32" shape="2,{n}" offset="0" size="{size}"/>
<output><port id="0" precision="FP32"><dim>2</dim><dim>{n}</dim></port></output></layer>
<layer id="2" name="dense" type="MatMul" version="opset1"><data transpose_a="false" transpose_b="true"/>
<input><port id="0" precision="FP32"><dim>1</dim><dim>{n}</dim></port>
<port id="1" precision="FP32"><dim>2</dim><dim>{n}</dim></port></input>
<output><port id="2" precision="FP32" names="scores"><dim>1</dim><dim>2</dim></port></output></layer>
<layer id="3" name="scores/sink" type="Result" version="opset1">
<input><port id="0" precision="FP32"><dim>1</dim><dim>2</dim></port></input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>
<edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
<edge from-layer="2" from-port="2" to-layer="3" to-port="0"/></edges></net>"#,
        size = 2 * n * 4
    );
    let weights: Vec<u8> = (0..2 * n).flat_map(|i| (i as f32 / n as f32 - 1.0).to_le_bytes()).collect();
    folder.write("dense.bin", weights);
    folder.write("dense.xml", xml)
}

/// A mono sound of 16 bits, a triangle.
fn wav(rate: u32, samples: u16) -> Vec<u8> {
    let bytes = u32::from(samples) * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(rate.to_le_bytes());
    file.extend((rate * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(bytes.to_le_bytes());
    (0..samples).for_each(|i| file.extend((i as i16 % 8 * 1000).to_le_bytes()));
    file
}

#[test]
fn images_that_do_not_fit_or_are_none() {
    let folder = Folder::new();
    let small = folder.write("small.bmp", bmp(20, 30, 7));
    let resize = ["small.bmp", "[30, 20]", "--resize bilinear"];
    run(&small).fails(1, &resize);
    calibrate(&small).fails(1, &resize);
    carafe(["eval", &blob(), "--data", &small, "--float", &digits("digits.xml")]).fails(1, &resize);
    carafe(["run", &blob(), "--input", &small, "--resize", "bilinear"]).ok();
    let text = folder.write("photo.jpg", "this is no photograph");
    run(&text).fails(1, &["photo.jpg", "can't be decoded", "repair or remove the image"]);
    calibrate(&text).fails(1, &["photo.jpg", "can't be decoded", "repair or remove the image"]);
    let png = std::fs::read(digits("samples/7.png")).unwrap();
    for (name, length) in [("head.png", 20), ("half.png", png.len() / 2), ("tail.png", png.len() - 20)] {
        let cut = folder.write(name, &png[..length]);
        run(&cut).fails(1, &[name, "can't be decoded", "repair or remove the image"]);
        calibrate(&cut).fails(1, &[name, "can't be decoded", "repair or remove the image"]);
    }
}

#[test]
fn an_image_for_a_model_that_takes_none() {
    let folder = Folder::new();
    let (model, output) = (dense(&folder, 12), folder.at("dense.carafe"));
    let numbers: Vec<u8> = (0..48).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let data = folder.write("numbers.npy", npy("<f4", "(4, 12)", &numbers));
    carafe(["convert", &model, "-o", &output, "--calibration", &data]).ok();
    let ran = carafe(["run", &output, "--input", &digits("samples/7.png")]);
    ran.fails(1, &["7.png", "`list`", "no grey or RGB image", ".npy"]);
}

#[test]
fn arrays_of_other_types_and_ranks() {
    let folder = Folder::new();
    let zeros = vec![0; 784 * 16];
    for (name, descr) in [("strings.npy", "<U1"), ("complex.npy", "<c8"), ("big.npy", ">f4"), ("objects.npy", "|O")] {
        let file = folder.write(name, npy(descr, "(28, 28, 1)", &zeros));
        run(&file).fails(1, &[name, "can't be read", "float32"]);
        calibrate(&file).fails(1, &[name, "can't be read", "float32"]);
    }
    for (name, shape) in [("list.npy", "(700,)"), ("batches.npy", "(2, 2, 28, 28, 1)"), ("number.npy", "()")] {
        let file = folder.write(name, npy("|u1", shape, &zeros));
        run(&file).fails(1, &[name, "does not fit input `image`", "[N, 28, 28, 1]"]);
        calibrate(&file).fails(1, &[name, "does not fit input `image`", "[N, 28, 28, 1]"]);
    }
    // Real numbers are no bytes of a tensor, but they are inputs.
    let halves: Vec<u8> = [0.5f64; 784].iter().flat_map(|x| x.to_le_bytes()).collect();
    let file = folder.write("halves.npy", npy("<f8", "(28, 28, 1)", &halves));
    run(&file).ok();
    carafe(["run", &blob(), "--raw-int8", &file]).fails(1, &["halves.npy", "0.5 is no int8", "--input"]);
}

#[test]
fn archives_without_samples() {
    let folder = Folder::new();
    let mut archive = zip::ZipWriter::new(Cursor::new(vec![]));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("images.npy", stored).unwrap();
    archive.write_all(&npy("|u1", "(28, 28, 1)", &[0; 784])).unwrap();
    let file = folder.write("other.npz", archive.finish().unwrap().into_inner());
    run(&file).fails(1, &["other.npz", "no array `x`", "images", "numpy.savez(FILE, x=SAMPLES"]);
    calibrate(&file).fails(1, &["other.npz", "no array `x`", "numpy.savez(FILE, x=SAMPLES"]);
}

#[test]
fn folders_with_nothing_or_something_broken() {
    let folder = Folder::new();
    let here = folder.at("");
    calibrate(&here).fails(1, &[here.as_str(), "holds no samples", ".png"]);
    folder.write("0.bmp", bmp(28, 28, 1));
    folder.write("1.bmp", &bmp(28, 28, 2)[..300]);
    calibrate(&here).fails(1, &["1.bmp", "can't be decoded", "repair or remove the image"]);
    let nan = Folder::new();
    let mut numbers = vec![1.0f32; 3 * 784];
    numbers[784 + 5] = f32::NAN;
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let file = nan.write("nan.npy", npy("<f4", "(3, 28, 28, 1)", &bytes));
    calibrate(&file).fails(1, &["nan.npy", "element 5 of sample 1", "repair or leave out the sample"]);
}

#[test]
fn a_table_chooses_the_files_to_calibrate_with() {
    let folder = Folder::new();
    for i in 0..4 {
        folder.write(&format!("{i}.bmp"), bmp(28, 28, 60 * i + 9));
    }
    let output = folder.at("o.carafe");
    let table = folder.write("t.csv", "file,split\n0.bmp,calib\n1.bmp,test\nsome/where/2.bmp,calib\n3.bmp,test\n");
    let convert = |more: &[&str]| {
        let (model, data) = (digits("digits.xml"), folder.at(""));
        let all = ["convert", &model, "-o", &output, "--json", "--calibration", &data];
        carafe(all.iter().chain(more))
    };
    let samples = |more: &[&str]| convert(more).ok().json()["report"]["samples"].as_u64();
    assert_eq!(samples(&["--calibration-csv", &table]), Some(4));
    assert_eq!(samples(&["--calibration-csv", &table, "--calibration-split", "calib"]), Some(2));
    assert_eq!(samples(&["--calibration-samples", "3"]), Some(3));
    assert_eq!(samples(&["--calibration-samples", "300"]), Some(4));
    let none = convert(&["--calibration-csv", &table, "--calibration-split", "train"]);
    none.fails(1, &["t.csv", "no row of split `train`"]);
    convert(&["--calibration-samples", "0"]).fails(2, &["--calibration-samples"]);
    let other = folder.write("u.csv", "name\n0.bmp\n");
    convert(&["--calibration-csv", &other]).fails(1, &["u.csv", "no column `file`"]);
    let elsewhere = folder.write("v.csv", "file\n9.bmp\n");
    convert(&["--calibration-csv", &elsewhere]).fails(1, &["v.csv", "names no file that is in"]);
    let array = digits("calib.npz");
    let ran =
        carafe(["convert", &digits("digits.xml"), "-o", &output, "--calibration", &array, "--calibration-csv", &table]);
    ran.fails(1, &["calib.npz", "is one file"]);
}

#[test]
fn sounds_of_another_length_or_rate() {
    let folder = Folder::new();
    let (model, output) = (dense(&folder, 16), folder.at("o.carafe"));
    let convert = |data: &str| carafe(["convert", &model, "-o", &output, "--calibration", data]);
    let long = folder.write("long.wav", wav(44100, 32));
    convert(&long).fails(1, &["long.wav", "[32]", "[1, 16]", "resample", "44100 Hz"]);
    let sounds = Folder::new();
    sounds.write("a.wav", wav(16000, 16));
    sounds.write("b.wav", wav(16000, 16));
    convert(&sounds.at("")).ok();
    sounds.write("c.wav", wav(8000, 16));
    convert(&sounds.at("")).fails(1, &["c.wav", "8000", "a.wav has 16000", "resample"]);
}

#[test]
fn mean_and_scale_of_a_model_that_takes_bytes_stay() {
    let folder = Folder::new();
    let image = digits("samples/7.png");
    let run = |input: &str, more: &[&str]| carafe(["run", &camera(), "--input", input].iter().chain(more));
    let eval = |data: &str, more: &[&str]| {
        carafe(["eval", &camera(), "--data", data, "--float", &digits("digits.xml")].iter().chain(more))
    };
    run(&image, &["--mean", "10", "--scale", "2"]).ok();
    let say = ["camera.carafe", "--mean 10 --scale 2", "leave both out", "--input-type i8"];
    run(&image, &["--mean", "10", "--scale", "255"]).fails(1, &say);
    run(&image, &["--mean", "0"]).fails(1, &say);
    eval(&digits("samples"), &["--scale", "255"]).fails(1, &say);
    // Numbers that are none of a camera's may be scaled as they like, and the program says how it reads them.
    let real: Vec<u8> = [0.5f32; 784].iter().flat_map(|x| x.to_le_bytes()).collect();
    let real = folder.write("real.npy", npy("<f4", "(28, 28, 1)", &real));
    assert_eq!(run(&real, &[]).ok().stderr, "");
    let ran = run(&real, &["--scale", "0.01"]).ok();
    assert!(ran.stderr.contains("warning:") && ran.stderr.contains("real.npy"), "{}", ran.stderr);
}

#[test]
fn images_make_bytes_and_arrays_make_int8() {
    let folder = Folder::new();
    let output = folder.at("o.carafe");
    let images = digits("samples");
    let arrays = digits("calib.npz");
    let many = Folder::new();
    many.write("a.npy", npy("|u1", "(28, 28, 1)", &[7; 784]));
    let dtype = |data: &str, more: &[&str]| {
        let model = digits("digits.xml");
        let all = ["convert", &model, "-o", &output, "--json", "--calibration", data];
        carafe(all.iter().chain(more)).ok().json()["inputs"][0]["dtype"].as_str().unwrap().to_owned()
    };
    assert_eq!(dtype(&images, &[]), "uint8");
    assert_eq!(dtype(&arrays, &[]), "int8", "arrays of u8 too");
    assert_eq!(dtype(&many.at(""), &[]), "int8");
    assert_eq!(dtype(&images, &["--input-type", "auto"]), "uint8");
    assert_eq!(dtype(&images, &["--input-type", "i8"]), "int8");
    assert_eq!(dtype(&arrays, &["--input-type", "u8"]), "uint8");
}

/// A model that says which of three colours there is most of.
fn mean_color(folder: &Folder) -> String {
    let image = "<dim>1</dim><dim>4</dim><dim>4</dim><dim>3</dim>";
    let xml = format!(
        r#"<?xml version="1.0"?>
<net name="color" version="11"><layers>
<layer id="0" name="image" type="Parameter" version="opset1"><data shape="1,4,4,3" element_type="f32"/>
<output><port id="0" precision="FP32" names="image">{image}</port></output></layer>
<layer id="1" name="axes" type="Const" version="opset1"><data element_type="i64" shape="2" offset="0" size="16"/>
<output><port id="0" precision="I64"><dim>2</dim></port></output></layer>
<layer id="2" name="mean" type="ReduceMean" version="opset1"><data keep_dims="false"/>
<input><port id="0" precision="FP32">{image}</port><port id="1" precision="I64"><dim>2</dim></port></input>
<output><port id="2" precision="FP32" names="most"><dim>1</dim><dim>3</dim></port></output></layer>
<layer id="3" name="most/sink" type="Result" version="opset1">
<input><port id="0" precision="FP32"><dim>1</dim><dim>3</dim></port></input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>
<edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
<edge from-layer="2" from-port="2" to-layer="3" to-port="0"/></edges></net>"#
    );
    folder.write("color.bin", [1i64.to_le_bytes(), 2i64.to_le_bytes()].concat());
    folder.write("color.xml", xml)
}

#[test]
fn colours_that_are_asked_for_win_over_those_of_the_blob() {
    let folder = Folder::new();
    let (model, output) = (mean_color(&folder), folder.at("bgr.carafe"));
    let mut red = bmp(4, 4, 0);
    // BMP keeps blue first.
    red.iter_mut().skip(54).skip(2).step_by(3).for_each(|x| *x = 200);
    let data = Folder::new();
    std::fs::create_dir(data.at("0")).unwrap();
    let image = data.write("0/red.bmp", red);
    carafe(["convert", &model, "-o", &output, "--calibration", &data.at("0"), "--color", "bgr"]).ok();
    let (runs, evals) =
        (["run", &output, "--input", &image, "--json"], ["eval", &output, "--data", &data.at(""), "--json"]);
    for (more, class) in [(&[][..], 2), (&["--color", "bgr"], 2), (&["--color", "rgb"], 0)] {
        let ran = carafe(runs.iter().chain(more)).ok().json();
        assert_eq!(ran["top"][0]["index"], class, "{more:?}: {ran}");
        let found = carafe(evals.iter().chain(more)).ok().json();
        assert_eq!(found["confusions"], serde_json::json!([{ "truth": 0, "answer": class, "count": 1 }]), "{more:?}");
    }
}

#[test]
fn biases_are_corrected_when_asked_for() {
    let folder = Folder::new();
    let output = folder.at("o.carafe");
    let applied = |more: &[&str]| {
        let (model, data) = (digits("digits.xml"), digits("calib.npz"));
        let all = ["convert", &model, "-o", &output, "--json", "--calibration", &data];
        carafe(all.iter().chain(more)).ok().json()["report"]["bias_correction"].clone()
    };
    assert_eq!(applied(&["--bias-correction", "on"])["applied"], true);
    assert_eq!(applied(&["--bias-correction", "off"])["applied"], false);
    assert!(applied(&["--bias-correction", "auto"])["with_db"].is_number());
    assert_eq!(carafe(["convert", "m.xml", "-o", "o", "--bias-correction", "maybe"]).code, 2);
}

#[test]
fn completions_know_every_option() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = carafe(["completions", shell]).ok().stdout;
        for option in ["bias-correction", "calibration-csv", "calibration-samples", "input-type", "boards"] {
            assert!(script.contains(option), "--{option} is missing for {shell}");
        }
    }
}
