//! Damaged files: an error or a graph that holds, never a panic.

use std::path::{Path, PathBuf};

use carafe_converter::frontend::openvino;
use proptest::prelude::*;

use crate::common::assets;

fn files() -> Vec<(String, Vec<u8>)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ops.xml");
    let shared = |m: &str| assets("damage").map(|a| a.join(format!("models/{m}.xml")));
    let paths: Vec<PathBuf> =
        [Some(here), shared("resnet8/resnet8"), shared("dscnn_kws/dscnn_kws")].into_iter().flatten().collect();
    let read = |p: &PathBuf| (std::fs::read_to_string(p).unwrap(), std::fs::read(p.with_extension("bin")).unwrap());
    paths.iter().map(read).collect()
}

fn survives(xml: &[u8], bin: &[u8]) {
    let text = String::from_utf8_lossy(xml);
    if let Ok(graph) = openvino::parse(&text, bin, "damaged.xml") {
        graph.check().unwrap();
    }
}

/// What a mutation puts in place of an attribute's value.
const VALUES: [&str; 14] = [
    "0",
    "-1",
    "1",
    "18446744073709551615",
    "9223372036854775807",
    "4294967296,4294967296",
    "",
    "?",
    "nan",
    "1048576",
    "1,1,1,1,1,1,1",
    "true",
    "opset8",
    "Const",
];

#[derive(Clone, Debug)]
enum Change {
    Byte(f64, u8),
    DropLine(f64),
    RepeatLine(f64),
    Cut(f64),
    Value(f64, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0.0..1.0f64;
    prop_oneof![
        2 => (at.clone(), any::<u8>()).prop_map(|(p, b)| Change::Byte(p, b)),
        2 => at.clone().prop_map(Change::DropLine),
        1 => at.clone().prop_map(Change::RepeatLine),
        1 => at.clone().prop_map(Change::Cut),
        6 => (at, 0..VALUES.len()).prop_map(|(p, v)| Change::Value(p, v)),
    ]
}

fn apply(text: &mut Vec<u8>, change: &Change) {
    let n = text.len();
    let at = |p: f64| ((n as f64 * p) as usize).min(n.saturating_sub(1));
    if n == 0 {
        return;
    }
    match *change {
        Change::Byte(p, b) => text[at(p)] = b,
        Change::Cut(p) => text.truncate(at(p)),
        Change::DropLine(p) | Change::RepeatLine(p) => {
            let start = text[..at(p)].iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
            let end = text[at(p)..].iter().position(|&b| b == b'\n').map_or(n, |i| at(p) + i + 1);
            let line = text[start..end].to_vec();
            let new = if matches!(change, Change::DropLine(_)) { vec![] } else { line.repeat(2) };
            text.splice(start..end, new);
        }
        Change::Value(p, v) => {
            let Some(open) = text[at(p)..].windows(2).position(|w| w == b"=\"").map(|i| at(p) + i + 2) else { return };
            let Some(close) = text[open..].iter().position(|&b| b == b'"').map(|i| open + i) else { return };
            text.splice(open..close, VALUES[v].bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_text(changes in prop::collection::vec(change(), 1..4), which in 0usize..3) {
        thread_local!(static FILES: Vec<(String, Vec<u8>)> = files());
        FILES.with(|files| {
            let (xml, bin) = &files[which % files.len()];
            let mut text = xml.clone().into_bytes();
            for c in &changes {
                apply(&mut text, c);
            }
            survives(&text, bin);
        });
    }

    #[test]
    fn arbitrary_text(text in "\\PC{0,200}", bin in prop::collection::vec(any::<u8>(), 0..16)) {
        survives(text.as_bytes(), &bin);
        survives(format!("<net version=\"11\"><layers>{text}</layers></net>").as_bytes(), &bin);
    }
}

#[test]
fn a_bin_file_cut_anywhere_is_an_error() {
    for (xml, bin) in files() {
        openvino::parse(&xml, &bin, "whole.xml").unwrap();
        for n in [0, 1, bin.len() / 2, bin.len() - 1] {
            let error = openvino::parse(&xml, &bin[..n], "cut.xml").unwrap_err().to_string();
            assert!(error.contains(".bin") && error.contains("cut off"), "{error}");
        }
    }
}

#[test]
fn a_text_cut_anywhere_is_an_error() {
    let (xml, bin) = files().swap_remove(0);
    let end = xml.rfind("</net>").unwrap();
    for n in (0..end).step_by(37) {
        if xml.is_char_boundary(n) {
            assert!(openvino::parse(&xml[..n], &bin, "cut.xml").is_err(), "{n}");
        }
    }
}
