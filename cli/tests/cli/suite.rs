//! Suites of tests. What needs the emulator is skipped, and said so, where it can't be had.

use serde_json::json;

use crate::board::emulator;
use crate::common::{Folder, Ran, blob, carafe, digits};

const BOARD: &str = "qemu-mps2-an386";

/// A suite of the bundled model.
fn suite(folder: &Folder, more: &str) -> String {
    let head = format!("[[model]]\nname = 'digits'\nfile = '{}'\n", blob());
    folder.write("s.toml", head + &more.replace("DIGITS", &digits("")))
}

fn test(folder: &Folder, cases: &str, more: &[&str]) -> Ran {
    let file = suite(folder, cases);
    carafe(["test", &file].into_iter().chain(more.iter().copied()))
}

const SEVEN: &str = "[[model.case]]\nname = 'seven'\ninput = 'DIGITS/samples/7.png'\n";

#[test]
fn a_suite_passes() {
    let folder = Folder::new();
    let cases = format!("{SEVEN}expect = {{ label = '7' }}\n[[model.case]]\nrandom = 4\ncount = 3\n");
    let xml = folder.at("r.xml");
    let ran = test(&folder, &cases, &["--junit", &xml]).ok();
    assert!(ran.stdout.contains("passed - 2 passed, 0 failed, 0 skipped"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\x1b'), "colours are for terminals");
    let text = std::fs::read_to_string(&xml).unwrap();
    let xml = roxmltree::Document::parse(&text).unwrap();
    let cases: Vec<_> = xml.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    assert_eq!(
        cases.iter().map(|case| case.attribute("name").unwrap()).collect::<Vec<_>>(),
        ["digits / seven", "digits / 2"]
    );
    assert_eq!(cases[0].attribute("classname"), Some("host"));

    let json = test(&folder, SEVEN, &["--json"]).ok().json();
    assert_eq!((&json["suite"], &json["passed"], &json["boards"]), (&json!("s"), &json!(1), &json!(["host"])));
    let result = &json["results"][0];
    assert_eq!(
        (&result["status"], &result["case"], &result["restarted"]),
        (&json!("passed"), &json!("seven"), &json!(false))
    );
    let inspected = carafe(["inspect", &blob(), "--json"]).ok().json();
    assert_eq!(result["arena_bytes"], inspected["arena_bytes"]);
}

#[test]
fn a_failure_is_1_and_says_what() {
    let folder = Folder::new();
    let ran = test(&folder, &format!("{SEVEN}expect = {{ class = 2 }}\n"), &[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("failed digits / seven on host: label: sample 0: `7` instead of `2`"),
        "{}",
        ran.stdout
    );
    let json = test(&folder, &format!("{SEVEN}limits = {{ arena-bytes = 100 }}\n"), &["--json"]);
    assert_eq!(json.code, 1);
    let json = json.json();
    assert_eq!((&json["failed"], &json["results"][0]["kind"]), (&json!(1), &json!("limit")));
    let ran = test(&folder, &format!("{SEVEN}limits = {{ on = {{ host = {{ stack-bytes = 9 }} }} }}\n"), &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("does not tell its bytes of stack"), "{}", ran.stdout);
}

#[test]
fn what_can_not_be_run_is_2() {
    let folder = Folder::new();
    carafe(["test", &folder.at("none.toml")]).fails(2, &["none.toml", "check the path"]);
    test(&folder, "case = [{ inptu = 'x' }]", &[]).fails(2, &["model `digits`, case `1`", "inptu", "raw-int8"]);
    test(&folder, SEVEN, &["--board", "nonesuch"]).fails(2, &["nonesuch", BOARD]);
    test(&folder, SEVEN, &["--only", "nine"]).fails(2, &["no case has `nine`"]);
    test(&folder, SEVEN, &["--firmware", "x.elf"]).fails(2, &["1 firmware given", "take 0"]);
    let json = test(&folder, "case = [{ random = 'x' }]", &["--json"]);
    assert_eq!((json.code, json.json()["error"].as_str().unwrap().contains("random")), (2, true));
}

#[test]
fn what_is_skipped_is_never_green() {
    let folder = Folder::new();
    let skip = format!("skip = [{{ board = 'host', reason = 'too slow' }}]\n{SEVEN}");
    let ran = test(&folder, &skip, &[]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stdout.contains("skipped digits / seven on host: too slow"), "{}", ran.stdout);
    assert!(ran.stdout.contains("nothing run - 0 passed, 0 failed, 1 skipped"), "{}", ran.stdout);
    assert_eq!(test(&folder, &skip, &["--json"]).json()["skipped"], json!(1));
    // One that passes makes the exit code 0, but not if a board was required.
    let faults = format!("faults = ['garbage']\n{SEVEN}");
    let ran = test(&folder, &faults, &[]).ok();
    assert!(ran.stdout.contains("no link that something could go wrong on"), "{}", ran.stdout);
    for more in [&["--deny-skips"][..], &["--require", "host"]] {
        let ran = test(&folder, &faults, more);
        assert_eq!(ran.code, 1);
        assert!(ran.stdout.contains("skipped, but the board is required"), "{}", ran.stdout);
    }
    test(&folder, &faults, &["--only", "seven", "--deny-skips"]).ok();
}

#[test]
fn a_suite_runs_on_a_board() {
    let elf = match emulator() {
        Ok(elf) => elf,
        Err(why) => return println!("skipped: a_suite_runs_on_a_board: {why}"),
    };
    let folder = Folder::new();
    let limits = format!("limits = {{ on = {{ {BOARD} = {{ instructions = 6_000_000, stack-bytes = 3_000 }} }} }}\n");
    let cases = format!("faults = ['garbage', 'cut-transfer']\n{limits}{SEVEN}");
    let boards = ["--board", &format!("host,{BOARD}"), "--firmware", &elf, "--json"];
    let json = test(&folder, &cases, &boards).ok().json();
    assert_eq!((&json["passed"], &json["skipped"]), (&json!(4), &json!(2)));
    let there =
        json["results"].as_array().unwrap().iter().find(|r| r["board"] == BOARD && r["case"] == "seven").unwrap();
    assert!((1_000_000..6_000_000).contains(&there["instructions"].as_u64().unwrap()), "{there}");
    assert!(there["stack_bytes"].as_u64().unwrap() > 0);

    // A board that does not answer in time is started afresh, tried once more, and told.
    let ran = test(&folder, &format!("{SEVEN}timeout = 0.0001\n"), &["--board", BOARD, "--firmware", &elf]);
    assert_eq!(ran.code, 1);
    for part in ["failed digits / seven on qemu-mps2-an386: hung", "twice", "restarted digits / seven"] {
        assert!(ran.stdout.contains(part), "`{part}` is not in:\n{}", ran.stdout);
    }
}

#[test]
fn completions_know_the_new_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = carafe(["completions", shell]).ok().stdout;
        for word in ["test", "profile", "deny-skips", "junit", "require", "log"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}
