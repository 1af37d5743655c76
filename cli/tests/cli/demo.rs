//! The demo, as far as it goes on this computer alone.

use crate::common::carafe;

#[test]
fn the_demo_shows_all_samples_and_what_it_measured() {
    let text = carafe(["demo", "--no-board"]).ok().stdout;
    for part in ["23,498 parameters", "bytes of RAM, exactly", "1000 test images", "hard-3.png", "wrong-6.png"] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    assert!(text.contains("wrong: it is 6"), "{text}");
    assert!(text.is_ascii() && !text.contains('\x1b'), "stdout is no terminal here:\n{text}");
}

#[test]
fn the_demo_measures_what_it_says() {
    let ran = carafe(["demo", "--no-board", "--samples", "10", "--json"]).ok();
    let json = ran.json();
    let test = &json["test"];
    let number = |key: &str| test[key].as_f64().unwrap();
    assert_eq!(test["samples"], 1000);
    // examples/digits/README.md
    assert_eq!(number("float_top1"), 0.996);
    assert!(number("top1") >= 0.991 && number("agreement") >= 0.99, "{test}");
    assert!(number("sqnr_db") > 30.0, "{test}");
    let samples = json["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 10);
    assert!(json["board"].is_null());
    // The float model's answers, as the README has them.
    let expected = [(0, 0.973), (2, 0.959), (3, 0.959), (5, 0.974), (7, 0.973), (8, 0.969), (3, 0.308), (4, 0.724)];
    for (sample, (answer, score)) in samples.iter().zip(expected) {
        assert_eq!(sample["float_answer"], answer, "{sample}");
        assert!((sample["float_score"].as_f64().unwrap() - score).abs() < 0.0006, "{sample}");
        assert_eq!(sample["answer"], answer, "{sample}");
    }
}
