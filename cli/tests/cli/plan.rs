//! Plans as pictures.

use serde_json::Value;

use crate::common::{Folder, blob, carafe, digits};

fn plan() -> Value {
    carafe(["inspect", &blob(), "--plan", "--json"]).ok().json()
}

#[test]
fn the_map_fits_a_terminal_and_shows_what_is_alive() {
    let json = plan();
    let text = carafe(["inspect", &blob(), "--plan"]).ok().stdout;
    let number = |v: &Value| v.as_u64().unwrap();
    let count = |n: u64| if n < 1000 { n.to_string() } else { format!("{},{:03}", n / 1000, n % 1000) };
    let (arena, bound) = (number(&json["arena_bytes"]), number(&json["plan"]["bound_bytes"]));
    let summary = text.lines().find(|l| l.contains("bytes of arena; most alive at once")).expect("a summary");
    for part in [count(arena), count(bound), format!("row counters {}", number(&json["plan"]["counter_bytes"]))] {
        assert!(summary.contains(&part), "`{part}` is missing in: {summary}");
    }
    let map: Vec<&str> = text.lines().filter_map(|l| l.split_once(" |")).map(|(_, map)| map).collect();
    assert_eq!(map.len(), 24, "{text}");
    let width = map[0].chars().count();
    assert!(width > 40 && text.lines().filter(|l| l.contains(" |")).all(|l| l.chars().count() <= 80), "{text}");
    assert!(map.iter().all(|l| l.chars().count() == width), "{text}");
    // The arena is used to its last byte at some time, and every letter has its line in the legend.
    assert!(map[0].chars().any(|c| c != '.'), "{text}");
    for letter in map.iter().flat_map(|l| l.chars()).filter(|&c| c != '.') {
        assert!(text.lines().any(|l| l.starts_with(&format!("  {letter}  "))), "{letter} has no legend:\n{text}");
    }
    assert_eq!(text.matches("^ tick").count() + text.matches("bytes alive ^").count(), 1, "{text}");
    // Without the option nothing is drawn.
    assert!(!carafe(["inspect", &blob()]).ok().stdout.contains("most alive at once"));
}

#[test]
fn the_svg_is_well_formed_and_has_a_shape_per_buffer() {
    let folder = Folder::new();
    let file = folder.at("plan.svg");
    carafe(["inspect", &blob(), "--svg", &file]).ok();
    let text = std::fs::read_to_string(&file).unwrap();
    let doc = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let root = doc.root_element();
    assert_eq!((root.tag_name().name(), root.tag_name().namespace()), ("svg", Some("http://www.w3.org/2000/svg")));
    let json = plan();
    let uses = json["plan"]["uses"].as_array().unwrap();
    // Scratch of all ops has one.
    let owner = |u: &serde_json::Value| match u["what"].as_str().unwrap() {
        "scratch" => ("scratch".to_owned(), 0),
        what => (what.to_owned(), u["index"].as_u64().unwrap()),
    };
    let owners: std::collections::BTreeSet<(String, u64)> = uses.iter().map(owner).collect();
    let shapes: Vec<_> = doc.descendants().filter(|n| n.attribute("class") == Some("buffer")).collect();
    assert_eq!(shapes.len(), owners.len());
    // Each row has its rectangle, inside the picture; each shape says what it is.
    let paths: Vec<&str> = doc.descendants().filter_map(|n| n.attribute("d")).collect();
    assert_eq!(paths.iter().map(|d| d.matches('M').count()).sum::<usize>(), uses.len());
    let numbers = |d: &str| -> Vec<f64> {
        d.split(|c: char| !(c.is_ascii_digit() || c == '.'))
            .filter(|s| !s.is_empty())
            .map(|s| s.parse().unwrap())
            .collect()
    };
    let size = |name: &str| root.attribute(name).unwrap().parse::<f64>().unwrap();
    let most = size("width").max(size("height"));
    assert!(paths.iter().flat_map(|d| numbers(d)).all(|x| (0.0..=most).contains(&x)));
    assert!(shapes.iter().all(|s| s.children().any(|c| c.has_tag_name("title") || c.tag_name().name() == "title")));
    let texts: Vec<&str> =
        doc.descendants().filter(|n| n.tag_name().name() == "text").filter_map(|n| n.text()).collect();
    for part in ["Memory plan of digits", "time in ticks", "address in the arena", "peak: ", "row counters: "] {
        assert!(texts.iter().any(|t| t.contains(part)), "`{part}` is missing in {texts:?}");
    }
    // The legend has a line per shape and one for the counters.
    let legend = doc.descendants().find(|n| n.attribute("id") == Some("legend")).expect("a legend");
    assert_eq!(legend.children().filter(|n| n.tag_name().name() == "text").count(), owners.len() + 1);
    // It does not overwrite the blob.
    carafe(["inspect", &blob(), "--svg", &blob()]).fails(1, &[".carafe"]);
}

#[test]
fn memory_is_spent_on_what_the_user_says() {
    let folder = Folder::new();
    let made = ["size", "balanced", "speed"].map(|goal| {
        let file = folder.at(&format!("{goal}.carafe"));
        let (model, data) = (digits("digits.xml"), digits("calib.npz"));
        let quick = ["--observer", "minmax", "--bias-correction", "off"];
        let args = ["convert", &model, "-o", &file, "--calibration", &data, "-q", "--optimize", goal];
        carafe(args.into_iter().chain(quick)).ok();
        let arena = carafe(["inspect", &file, "--json"]).ok().json()["arena_bytes"].as_u64().unwrap();
        let image = digits("samples/0.png");
        (arena, carafe(["run", &file, "--input", &image, "--json"]).ok().json()["outputs"].clone())
    });
    let [(small, first), (balanced, second), (fast, third)] = made;
    assert!(small < balanced && balanced <= fast, "{small} {balanced} {fast}");
    assert_eq!((&first, &first), (&second, &third), "the bits do not depend on it");
}

/// Converts the digits quickly.
fn convert(file: &str, flags: &[&str]) -> crate::common::Ran {
    let (model, data) = (digits("digits.xml"), digits("calib.npz"));
    let quick = ["--observer", "minmax", "--bias-correction", "off"];
    let args = ["convert", &model, "-o", file, "--calibration", &data];
    carafe(args.into_iter().chain(quick).chain(flags.iter().copied()))
}

#[test]
fn what_the_frontier_offers_can_be_had() {
    let folder = Folder::new();
    let file = folder.at("d.carafe");
    let json = convert(&file, &["--json"]).ok().json();
    let frontier = json["frontier"].as_array().expect("a frontier");
    let of = |p: &serde_json::Value, key: &str| p[key].as_u64().unwrap_or_else(|| panic!("`{key}` in {p}"));
    assert!(frontier.len() > 2, "{frontier:?}");
    for pair in frontier.windows(2) {
        assert!(of(&pair[0], "arena_bytes") < of(&pair[1], "arena_bytes"), "{pair:?}");
        assert!(of(&pair[0], "cycles_estimate") > of(&pair[1], "cycles_estimate"), "{pair:?}");
    }
    let chosen: Vec<_> = frontier.iter().filter(|p| p["chosen"] == true).collect();
    assert_eq!(chosen.len(), 1);
    for key in ["arena_bytes", "blob_bytes", "instructions_estimate", "cycles_estimate"] {
        assert_eq!(chosen[0][key], json[key], "{key}");
    }
    for p in [frontier.first(), frontier.last()].into_iter().flatten() {
        let flags: Vec<&str> = p["flags"].as_str().expect("flags").split_whitespace().collect();
        let made = convert(&file, &[&flags[..], &["--json"]].concat()).ok().json();
        assert!(of(&made, "arena_bytes") <= of(p, "arena_bytes"), "{p}");
        assert!(of(&made, "cycles_estimate") <= of(p, "cycles_estimate"), "{p}");
        assert!(of(&made, "blob_bytes") <= of(p, "blob_bytes") + 64, "{p}");
    }
    let text = convert(&file, &[]).ok().stdout;
    assert!(
        text.contains("memory against time") && text.contains("this one") && text.contains("--ram-limit "),
        "{text}"
    );
}

#[test]
fn a_limit_is_kept_or_refused_with_reasons() {
    let folder = Folder::new();
    let file = folder.at("d.carafe");
    let small = convert(&file, &["--optimize", "size", "--json"]).ok().json()["arena_bytes"].as_u64().unwrap();
    let limit = small.to_string();
    let both = convert(&file, &["--optimize", "speed", "--ram-limit", &limit, "--json"]).ok().json();
    assert!(both["arena_bytes"].as_u64().unwrap() <= small);
    std::fs::remove_file(&file).unwrap();
    let less = (small / 2).to_string();
    let (wanted, found) = (format!("limit of {less} bytes"), format!("the smallest found takes {small}"));
    convert(&file, &["--ram-limit", &less]).fails(1, &[&wanted, &found, "--fast-ram", "bytes), `"]);
    convert(&file, &["--ram-limit", "0"]).fails(2, &["--ram-limit"]);
    assert!(folder.list().is_empty(), "nothing is written");
}

#[test]
fn computing_again_saves_memory_at_the_price_that_is_shown() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil-tests/golden/unet");
    let [model, data] = ["model.xml", "io.npz"].map(|f| golden.join(f).display().to_string());
    let folder = Folder::new();
    let convert = |file: &str, flags: &[&str]| {
        let quick = ["--observer", "minmax", "--bias-correction", "off"];
        let args = ["convert", &model, "-o", file, "--calibration", &data];
        carafe(args.into_iter().chain(quick).chain(flags.iter().copied())).ok()
    };
    let [once, twice] = ["once.carafe", "twice.carafe"].map(|f| folder.at(f));
    let plain = convert(&once, &["--optimize", "size", "--json"]).json();
    assert_eq!(plain["recomputed"], serde_json::json!([]), "nothing runs twice unless asked for");
    let again = convert(&twice, &["--optimize", "size", "--recompute", "--json"]).json();
    let made = again["recomputed"].as_array().expect("what runs twice");
    let sum = |key: &str| made.iter().map(|m| m[key].as_i64().unwrap_or_else(|| panic!("`{key}`: {m}"))).sum::<i64>();
    let less = |key: &str| plain[key].as_i64().unwrap() - again[key].as_i64().unwrap();
    assert!(!made.is_empty() && less("arena_bytes") > 0, "{again}");
    assert_eq!((sum("saved_bytes"), sum("macs")), (less("arena_bytes"), -less("macs")));
    let mut run: Vec<u64> = made.iter().flat_map(|m| m["ops"].as_array().unwrap()).filter_map(|n| n.as_u64()).collect();
    run.sort_unstable();
    let fast = folder.at("fast.carafe");
    let text = convert(&fast, &["--recompute"]).stdout;
    assert!(text.contains("run twice") && text.contains("--recompute=25"), "{text}");

    let answer =
        |file: &str| carafe(["run", file, "--input", &data, "--index", "1", "--json"]).ok().json()["outputs"].clone();
    assert_eq!(answer(&once), answer(&twice));

    // The blob alone tells which they are.
    let ops = carafe(["inspect", &twice, "--json"]).ok().json()["ops"].as_array().expect("ops").clone();
    let second: Vec<_> = ops.iter().filter(|o| o["recomputes"].is_u64()).collect();
    assert_eq!(second.iter().filter_map(|o| o["index"].as_u64()).collect::<Vec<_>>(), run);
    // Wherever their scratch lies.
    let ops = carafe(["inspect", &fast, "--json"]).ok().json()["ops"].as_array().expect("ops").clone();
    assert!(ops.iter().any(|o| o["recomputes"].is_u64() && o["scratch"].is_object()), "{ops:?}");
    for op in second {
        let first = &ops[op["recomputes"].as_u64().unwrap() as usize];
        assert_eq!((&first["kind"], &first["shape"], &first["macs"]), (&op["kind"], &op["shape"], &op["macs"]));
    }
    assert!(carafe(["inspect", &twice, "--plan"]).ok().stdout.contains("again"));
    let ops = carafe(["inspect", &once, "--json"]).ok().json()["ops"].clone();
    assert!(ops.as_array().expect("ops").iter().all(|o| o["recomputes"].is_null()), "{ops}");

    carafe(["convert", &model, "-o", &once, "--calibration", &data, "--recompute=0"]).fails(2, &["--recompute"]);
}

#[test]
fn where_no_tensor_waits_nothing_is_computed_again() {
    let folder = Folder::new();
    let text = convert(&folder.at("d.carafe"), &["--recompute=50"]).ok().stdout;
    assert!(text.contains("no layer is worth computing twice"), "{text}");
}
