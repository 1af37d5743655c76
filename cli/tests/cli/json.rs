//! The keys and meanings that DESIGN lays down for scripts.

use crate::common::{Folder, blob, bmp, carafe, digits, npy};
use serde_json::Value;

#[track_caller]
fn has(value: &Value, keys: &[&str]) {
    keys.iter().for_each(|k| assert!(value.get(k).is_some(), "key `{k}` is missing in {value}"));
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("`{key}` is no number in {value}"))
}

#[test]
fn convert_says_what_it_made() {
    let folder = Folder::new();
    let (output, report) = (folder.at("d.carafe"), folder.at("report.json"));
    let (model, data) = (digits("digits.xml"), digits("calib.npz"));
    let ran = carafe(["convert", &model, "-o", &output, "--calibration", &data, "--report", &report, "--json"]).ok();
    let json = ran.json();
    assert_eq!(ran.stderr, "", "progress is not wanted with --json");
    has(&json, &["output", "blob_bytes", "arena_bytes", "weights_bytes", "macs", "report"]);
    assert_eq!(number(&json, "blob_bytes"), std::fs::metadata(&output).unwrap().len());
    assert!(number(&json, "weights_bytes") < number(&json, "blob_bytes"));
    assert!(json["report"]["outputs"][0]["sqnr_db"].as_f64().unwrap() > 30.0, "{}", json["report"]["outputs"]);
    let written: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(written["layers"].as_array().unwrap().len(), json["report"]["layers"].as_array().unwrap().len());
    assert_eq!(folder.list(), ["d.carafe", "report.json"]);
}

#[test]
fn inspect_has_the_keys_of_the_design() {
    let json = carafe(["inspect", &blob(), "--plan", "--json"]).ok().json();
    has(&json, &["name", "cpu", "arena_bytes", "weights_bytes", "blob_bytes", "macs", "inputs", "outputs", "ops"]);
    for io in json["inputs"].as_array().unwrap().iter().chain(json["outputs"].as_array().unwrap()) {
        has(io, &["name", "shape", "dtype", "scale", "zero_point"]);
    }
    assert_eq!(json["name"], "digits");
    assert_eq!(json["cpu"], "portable");
    assert_eq!(json["inputs"][0]["shape"], serde_json::json!([1, 28, 28, 1]));
    assert_eq!(json["labels"].as_array().unwrap().len(), 10);
    assert_eq!(number(&json, "blob_bytes"), std::fs::metadata(blob()).unwrap().len());

    let ops = json["ops"].as_array().unwrap();
    let sum = |key| ops.iter().map(|o| number(o, key)).sum::<u64>();
    ops.iter().for_each(|o| has(o, &["index", "kind", "macs", "weights_bytes", "peak_bytes"]));
    assert_eq!(sum("macs"), number(&json, "macs"));
    // examples/digits/README.md: weights without the 10 + 240 biases, one byte each.
    let kernels = 16 * 9 + 16 * 9 + 16 * 24 + 24 * 24 * 9 * 2 + 24 * 40 * 9 + 40 * 9 + 40 * 64 + 64 * 10;
    assert_eq!(sum("weights_bytes"), kernels);
    // No op needs more than there is, and at the peak there is little left.
    let arena = number(&json, "arena_bytes");
    let peak = ops.iter().map(|o| number(o, "peak_bytes")).max().unwrap();
    assert!(peak <= arena && 4 * peak >= 3 * arena, "{peak} of {arena}");

    let plan = &json["plan"];
    let counters = number(plan, "counter_bytes");
    for b in plan["buffers"].as_array().unwrap() {
        has(b, &["offset", "length", "ring_rows", "holds", "first_step", "last_step"]);
        assert!(number(b, "offset") >= counters && number(b, "offset") + number(b, "length") <= arena, "{b}");
        assert!(number(b, "first_step") <= number(b, "last_step") && number(b, "last_step") < number(&json, "steps"));
    }
    // What lies on other rows does not live when they do.
    let all = plan["uses"].as_array().unwrap();
    for (i, a) in all.iter().enumerate() {
        has(a, &["what", "index", "row", "offset", "bytes", "first_tick", "last_tick"]);
        for b in &all[..i] {
            let end = |x: &Value| number(x, "offset") + number(x, "bytes");
            let place = end(a) <= number(b, "offset") || end(b) <= number(a, "offset");
            let before = |x: &Value, y: &Value| number(x, "last_tick") < number(y, "first_tick");
            assert!(place || before(a, b) || before(b, a), "{a} and {b} overlap");
        }
    }
    // The bytes alive are the sum of the rows alive.
    let alive = plan["alive_bytes"].as_array().unwrap();
    assert_eq!(alive.len() as u64, number(plan, "ticks") + 1);
    for (tick, bytes) in (0u64..).zip(alive) {
        let here = |u: &&Value| (number(u, "first_tick")..=number(u, "last_tick")).contains(&tick);
        let sum: u64 = all.iter().filter(here).map(|u| number(u, "bytes")).sum();
        assert_eq!(bytes.as_u64(), Some(counters + sum), "tick {tick}");
    }
    assert_eq!(alive.iter().filter_map(Value::as_u64).max(), Some(number(plan, "bound_bytes")));
    assert_eq!(alive[number(plan, "peak_tick") as usize].as_u64(), Some(number(plan, "bound_bytes")));
}

#[test]
fn run_has_the_keys_of_the_design() {
    let json = carafe(["run", &blob(), "--input", &digits("samples/7.png"), "--json"]).ok().json();
    has(&json, &["board", "outputs", "top"]);
    assert_eq!(json["board"], "host");
    let out = &json["outputs"][0];
    has(out, &["name", "shape", "raw", "values"]);
    let raw: Vec<i64> = out["raw"].as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
    let values: Vec<f64> = out["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!((raw.len(), values.len()), (10, 10));
    // A softmax has scale 1/256 and zero point -128.
    raw.iter().zip(&values).for_each(|(&q, &v)| assert_eq!((q + 128) as f64 / 256.0, v));
    let top = json["top"].as_array().unwrap();
    top.iter().for_each(|t| has(t, &["index", "label", "score"]));
    assert_eq!((top[0]["index"].as_u64(), top[0]["label"].as_str()), (Some(7), Some("7")));
    assert!(top.windows(2).all(|w| w[0]["score"].as_f64() >= w[1]["score"].as_f64()));
    assert_eq!(json["arena_bytes"], json["arena_high_water"]);
}

#[test]
fn raw_int8_is_what_real_numbers_become() {
    let folder = Folder::new();
    let grey: Vec<u8> = (0..784u32).map(|i| (i * 7 % 256) as u8).collect();
    let floats: Vec<u8> = grey.iter().flat_map(|&g| f32::from(g).to_le_bytes()).collect();
    // As anybody would compute it who has read what `inspect` says.
    let io = carafe(["inspect", &blob(), "--json"]).ok().json()["inputs"][0].clone();
    let (scale, zero_point) = (io["scale"].as_f64().unwrap(), io["zero_point"].as_i64().unwrap());
    let element = |g: &u8| ((f64::from(*g) / scale).round() as i64 + zero_point) as u8;
    let raw: Vec<u8> = grey.iter().map(element).collect();
    let descr = if io["dtype"] == "int8" { "|i1" } else { "|u1" };
    let shape = "(28, 28, 1)";
    let inputs = [
        ("--input", folder.write("u8.npy", npy("|u1", shape, &grey))),
        ("--input", folder.write("f32.npy", npy("<f4", shape, &floats))),
        ("--raw-int8", folder.write("raw.npy", npy(descr, shape, &raw))),
        ("--raw-int8", folder.write("raw.bin", &raw)),
    ];
    let raw = |(option, file): &(&str, String)| {
        let json = carafe(["run", &blob(), option, file, "--json"]).ok().json();
        json["outputs"][0]["raw"].clone()
    };
    let first = raw(&inputs[0]);
    inputs.iter().for_each(|i| assert_eq!(raw(i), first, "{i:?}"));
}

#[test]
fn images_index_and_preprocessing() {
    let folder = Folder::new();
    let white = folder.write("white.bmp", bmp(28, 28, 255));
    let half = folder.write("half.bmp", bmp(28, 28, 128));
    let raw = |args: &[&str]| {
        let file = blob();
        let args = ["run", &file, "--json"].into_iter().chain(args.iter().copied());
        carafe(args).ok().json()["outputs"][0]["raw"].clone()
    };
    // (128 - 1) / (127/255) = 255
    let as_white = raw(&["--input", &half, "--mean", "1", "--scale", "0.4980392"]);
    assert_eq!(as_white, raw(&["--input", &white]));
    assert_ne!(as_white, raw(&["--input", &half]));
    // The README says that sample 7 is image 285 of the test set.
    assert_eq!(raw(&["--input", &digits("test.npz"), "--index", "285"]), raw(&["--input", &digits("samples/7.png")]));
}

#[test]
fn a_blob_remembers_its_preprocessing() {
    let folder = Folder::new();
    let blob = folder.at("d.carafe");
    let (model, data) = (digits("digits.xml"), digits("calib.npz"));
    let mean = ["--mean", "-3", "--scale", "0.5"];
    carafe(["convert", &model, "-o", &blob, "--calibration", &data, "-q"].into_iter().chain(mean)).ok();
    let image = digits("samples/7.png");
    let raw = |more: &[&str]| {
        let args = ["run", &blob, "--json", "--input", &image].into_iter().chain(more.iter().copied());
        carafe(args).ok().json()["outputs"][0]["raw"].clone()
    };
    assert_eq!(raw(&[]), raw(&mean));
    assert_ne!(raw(&[]), raw(&["--mean", "0"]));
}

#[test]
fn inputs_take_camera_bytes_where_images_calibrate() {
    let folder = Folder::new();
    let images = Folder::new();
    for i in 0..4 {
        images.write(&format!("{i}.bmp"), bmp(28, 28, 80 * i));
    }
    let (model, images, arrays) = (digits("digits.xml"), images.at(""), digits("calib.npz"));
    let input = |data: &str, more: &[&str]| {
        let blob = folder.at("d.carafe");
        let args = ["convert", &model, "-o", &blob, "--calibration", data, "-q"];
        carafe(args.into_iter().chain(more.iter().copied())).ok();
        let ran = carafe(["run", &blob, "--input", &digits("samples/7.png"), "--json"]).ok().json();
        assert_eq!(ran["top"][0]["index"], 7, "{data} {more:?}");
        carafe(["inspect", &blob, "--json"]).ok().json()["inputs"][0].clone()
    };
    let with_images = input(&images, &[]);
    assert_eq!((&with_images["dtype"], &with_images["zero_point"]), (&"uint8".into(), &0.into()));
    assert_eq!(input(&images, &["--input-type", "i8"])["dtype"], "int8");
    assert_eq!(input(&arrays, &[])["dtype"], "int8");
    assert_eq!(input(&arrays, &["--input-type", "u8"])["dtype"], "uint8");
}

#[test]
fn boards_lists_host_and_emulator() {
    let json = carafe(["boards", "--json"]).ok().json();
    let boards = json["boards"].as_array().unwrap();
    let keys = ["name", "cpu", "ram_bytes", "flash_bytes", "how", "takes_models", "bench", "available", "why_not"];
    boards.iter().for_each(|b| has(b, &keys));
    assert_eq!((boards[0]["name"].as_str(), boards[0]["available"].as_bool()), (Some("host"), Some(true)));
    let qemu = boards.iter().find(|b| b["name"] == "qemu-mps2-an386").unwrap();
    assert_eq!((qemu["how"].as_str(), qemu["cpu"].as_str()), (Some("qemu"), Some("cortex-m4")));
    assert_eq!(qemu["available"].as_bool().unwrap(), qemu["why_not"].is_null());
    assert_eq!((&qemu["takes_models"], &qemu["bench"]), (&true.into(), &true.into()));
    let m55 = boards.iter().find(|b| b["cpu"] == "cortex-m55").unwrap();
    assert_eq!((&m55["takes_models"], &m55["bench"]), (&true.into(), &true.into()));
    for name in ["qemu-microbit", "qemu-mps2-an505", "qemu-riscv32-virt", "qemu-leon3"] {
        let board = boards.iter().find(|b| b["name"] == name).unwrap();
        assert_eq!(board["takes_models"], true, "{name}");
        assert_eq!(board["available"].as_bool().unwrap(), board["why_not"].is_null(), "{name}");
    }
}

#[test]
fn dumps_go_to_stdout_or_beside_the_json() {
    let model = digits("digits.xml");
    let text = carafe(["convert", &model, "--dump-after", "make_nhwc"]).ok();
    assert!(text.stdout.starts_with("after make_nhwc: graph `digits`"), "{}", text.stdout);
    assert!(text.stdout.contains("Conv2d") && text.stdout.contains("Nhwc"), "{}", text.stdout);
    let json = carafe(["convert", &model, "--dump-after", "make_nhwc", "--json"]).ok();
    assert_eq!(json.stderr, text.stdout);
    assert_eq!(json.json()["dump_after"], "make_nhwc");
    let list = carafe(["convert", "--dump-after", "list"]).ok();
    assert!(list.stdout.lines().any(|l| l == "fold_constants"), "{}", list.stdout);
}

#[test]
fn check_tells_what_can_be_converted() {
    let json = carafe(["convert", &digits("digits.xml"), "--check", "--json"]).ok().json();
    assert_eq!((json["supported"].as_bool(), json["layers"].as_u64()), (Some(true), Some(31)));

    let folder = Folder::new();
    let xml = std::fs::read_to_string(digits("digits.xml")).unwrap();
    let xml = xml.replace(r#"type="SoftMax" version="opset8""#, r#"type="LogSoftmax" version="opset5""#);
    let model = folder.write("m.xml", xml);
    std::fs::copy(digits("digits.bin"), folder.at("m.bin")).unwrap();
    let ran = carafe(["convert", &model, "--check", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let json = ran.json();
    assert_eq!(json["supported"].as_bool(), Some(false));
    let layers = json["unsupported"].as_array().unwrap();
    assert_eq!((layers.len(), &layers[0]["ty"], &layers[0]["opset"]), (1, &"LogSoftmax".into(), &"opset5".into()));
    has(&json, &["error"]);
    let text = carafe(["convert", &model, "--check"]);
    assert!(text.code == 1 && text.stdout.contains("LogSoftmax"), "{}", text.stdout);
}

#[test]
fn completions_and_version() {
    assert!(carafe(["completions", "bash"]).ok().stdout.contains("_carafe"));
    assert!(
        carafe(["completions", "zsh", "--json"]).ok().json()["script"].as_str().unwrap().contains("#compdef carafe")
    );
    assert_eq!(carafe(["--version"]).ok().stdout, format!("carafe {}\n", env!("CARGO_PKG_VERSION")));
}
