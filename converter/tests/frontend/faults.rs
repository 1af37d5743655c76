//! Models that are wrong, one way each: an error that says where and what to do.

use carafe_converter::frontend::{FrontendError, load, openvino};

use crate::writer::Writer;

/// x → ReLU → result, with one constant added.
fn small() -> (String, Vec<u8>) {
    let mut w = Writer::default();
    let x = w.stored("Parameter", "opset1", r#"shape="1,2" element_type="f32""#, &[], &[&[1, 2]]);
    let c = w.floats(&[2], &[1.0, 2.0]);
    let a = w.stored("Add", "opset1", "", &[x, c], &[&[1, 2]]);
    let r = w.stored("ReLU", "opset1", "", &[a], &[&[1, 2]]);
    w.stored("Result", "opset1", "", &[r], &[]);
    (w.xml(), w.bin)
}

fn message(xml: &str, bin: &[u8]) -> String {
    match openvino::parse(xml, bin, "dir/small.xml") {
        Ok(_) => panic!("was read: {xml}"),
        Err(e) => {
            let text = e.to_string();
            assert!(text.contains("dir/small.xml"), "{text}");
            text
        }
    }
}

#[test]
fn each_fault_has_its_message() {
    let (xml, bin) = small();
    openvino::parse(&xml, &bin, "small.xml").unwrap();
    let cases: &[(&str, &str, &str)] = &[
        // Text replaced, by, and what the message must say.
        (r#"version="11""#, r#"version="7""#, "IR version 7"),
        (r#"version="11""#, "", "no `version`"),
        ("<net ", "<model ", "well-formed"),
        (r#"id="2" name"#, r#"id="1" name"#, "same id 1"),
        (r#"to-layer="2" to-port="1""#, r#"to-layer="2" to-port="0""#, "two edges lead to input port 0 of layer `l2`"),
        (r#"to-layer="2" to-port="1""#, r#"to-layer="2" to-port="7""#, "input port 7 of layer `l2`"),
        (r#"from-layer="1" from-port="100""#, r#"from-layer="1" from-port="0""#, "output port 0 of layer `l1`"),
        (r#"from-layer="1""#, r#"from-layer="44""#, "no layer has this id"),
        (
            r#"<edge from-layer="1" from-port="100" to-layer="2" to-port="1"/>"#,
            "",
            "no edge leads to input port 1 of layer `l2`",
        ),
        (r#"from-layer="0" from-port="100" to-layer="2""#, r#"from-layer="3" from-port="100" to-layer="2""#, "cycle"),
        (r#"offset="0""#, r#"offset="1""#, "outside the .bin file of 8 bytes"),
        (r#"offset="0""#, r#"offset="18446744073709551615""#, "outside the .bin file"),
        (r#"offset="0""#, "", "`offset` is missing"),
        (r#"size="8""#, r#"size="4""#, "takes 8 bytes, but `size` is 4"),
        (r#"shape="2" offset"#, r#"shape="4294967296,4294967296,4294967296" offset"#, "too large"),
        (r#"shape="1,2""#, r#"shape="1,99999999999999""#, "too large"),
        (r#"shape="1,2""#, r#"shape="0,2""#, "no elements"),
        (r#"shape="1,2""#, r#"shape="1,?""#, "ovc MODEL --input"),
        (r#"shape="1,2""#, r#"shape="1,2..9""#, "dynamic beyond the batch"),
        (r#"shape="1,2""#, r#"shape="...""#, "dynamic"),
        (r#"shape="1,2""#, r#"shape="1,3""#, "stored output shape is [1, 2]"),
        (r#"shape="1,2""#, r#"shape="?,two""#, "not a list of extents"),
        (r#"type="ReLU""#, r#"type="Erf""#, "`l3` (opset1.Erf)"),
        (r#"type="ReLU" version="opset1""#, r#"type="ReLU" version="opset17""#, "opset1 to opset16"),
        (r#"type="ReLU" version="opset1""#, r#"type="ReLU" version="extension""#, "`extension` is not known"),
        (r#"type="Result""#, r#"type="Sink""#, "no output"),
        (r#"type="Add""#, r#"type="ReLU""#, "2 operands"),
        (r#"element_type="f32" shape="2" offset"#, r#"element_type="i32" shape="2" offset"#, "integers"),
        (r#"element_type="f32" shape="2" offset"#, r#"element_type="u4" shape="2" offset"#, "element type u4"),
        (r#"element_type="f32" shape="2" offset"#, r#"element_type="f16" shape="2" offset"#, "takes 4 bytes"),
    ];
    for (from, to, expected) in cases {
        assert!(xml.contains(from), "{from}");
        let text = message(&xml.replacen(from, to, 1), &bin);
        assert!(text.contains(expected), "{from} -> {to}: {text}");
        assert!(text.contains("; ") || text.contains("can't be converted"), "no remedy: {text}");
    }
}

#[test]
fn a_stored_shape_that_differs_is_an_error() {
    let (xml, bin) = small();
    let port =
        r#"type="ReLU" version="opset1"><data /><input><port id="0"/></input><output><port id="100"><dim>1</dim><dim>"#;
    assert!(xml.contains(port), "{xml}");
    let text = message(&xml.replace(&format!("{port}2"), &format!("{port}3")), &bin);
    assert!(text.contains("layer `l3` (opset1.ReLU)") && text.contains("[1, 3]") && text.contains("[1, 2]"), "{text}");
    // An extent that the file leaves open is taken from inference.
    openvino::parse(&xml.replace(&format!("{port}2"), &format!("{port}-1")), &bin, "small.xml").unwrap();
}

#[test]
fn nan_and_infinity_are_refused_by_name() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut w = Writer::default();
        let x = w.input("1,2");
        let c = w.floats(&[2], &[1.0, bad]);
        let y = w.layer("Add", "opset1", "", &[x, c]);
        let text = w.refused(y);
        assert!(text.contains("layer `l1` (opset1.Const)") && text.contains("element 1"), "{text}");
    }
    let mut w = Writer::default();
    let x = w.input("1,1");
    let c = w.raw("f64", &[1], &1e300f64.to_le_bytes());
    let y = w.layer("Add", "opset1", "", &[x, c]);
    assert!(w.refused(y).contains("inf"));
}

#[test]
fn constants_may_overlap_but_not_without_end() {
    let (bin, mut layers, mut edges) = (vec![0u8; 1 << 20], String::new(), String::new());
    for i in 0..2000 {
        let size = (1 << 20) - 4 * 1024 + i % 4;
        layers += &format!(
            r#"<layer id="c{i}" name="c{i}" type="Const" version="opset1"><data element_type="i8" shape="{size}" offset="{}" size="{size}"/><output><port id="0"/></output></layer>"#,
            i
        );
        layers += &format!(
            r#"<layer id="r{i}" name="r{i}" type="Result" version="opset1"><input><port id="0"/></input></layer>"#
        );
        edges += &format!(r#"<edge from-layer="c{i}" from-port="0" to-layer="r{i}" to-port="0"/>"#);
    }
    let text = message(&format!(r#"<net version="11"><layers>{layers}</layers><edges>{edges}</edges></net>"#), &bin);
    assert!(text.contains("overlap so much"), "{text}");
}

#[test]
fn constants_may_be_computed_but_not_without_end() {
    // Each list is twice the one before it.
    let mut w = Writer::default();
    let x = w.input("1,4");
    let mut c = w.integers(&[1, 4]);
    for _ in 0..40 {
        c = w.layer("Concat", "opset1", r#"axis="0""#, &[c, c]);
    }
    let y = w.layer("Reshape", "opset1", "", &[x, c]);
    assert!(w.refused(y).contains("many times the size of the .bin"));
    let mut w = Writer::default();
    let c = w.raw("i8", &[1 << 20], &vec![1; 1 << 20]);
    let mut x = w.input("1");
    for _ in 0..20 {
        let f = w.layer("Convert", "opset1", r#"destination_type="f32""#, &[c]);
        x = w.layer("Add", "opset1", "", &[x, f]);
    }
    assert!(w.refused(x).contains("many times the size of the .bin"));
}

#[test]
fn version_10_is_read_like_version_11() {
    let (xml, bin) = small();
    let graph = openvino::parse(&xml.replace(r#"version="11""#, r#"version="10""#), &bin, "small.xml").unwrap();
    assert_eq!(graph, openvino::parse(&xml, &bin, "small.xml").unwrap());
}

#[test]
fn all_unsupported_layers_are_listed_and_only_those() {
    let mut w = Writer::default();
    let x = w.input("1,4,8,8");
    let a = w.stored("GridSample", "opset9", "", &[x], &[&[1, 4, 16, 16]]);
    // Fails only because the layer before it does.
    let b = w.layer("Reshape", "opset1", "", &[x, a]);
    let c = w.layer("Erf", "opset1", "", &[b]);
    let d = w.layer("ReLU", "opset1", "", &[c]);
    let e = w.layer("MaxPool", "opset8", r#"kernel="2,2" strides="1,1" dilations="2,2""#, &[a]);
    let f = w.layer("Add", "opset1", "", &[d, e]);
    let Err(FrontendError::Unsupported { layers, .. }) = w.read(f) else { panic!() };
    let found: Vec<_> = layers.0.iter().map(|l| (l.name.as_str(), l.ty.as_str(), l.opset.as_str())).collect();
    assert_eq!(found, [("l1", "GridSample", "opset9"), ("l3", "Erf", "opset1"), ("l5", "MaxPool", "opset8")]);
}

#[test]
fn layers_that_no_output_needs_are_left_out() {
    let mut w = Writer::default();
    let x = w.input("1,4");
    w.layer("Erf", "opset1", "", &[x]);
    let unread = w.input("1,7");
    let y = w.layer("ReLU", "opset1", "", &[x]);
    let graph = w.graph(y);
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.inputs.len(), 2);
    assert_eq!(graph.value(graph.inputs[1]).shape, [1, 7]);
    assert_eq!(graph.value(graph.inputs[1]).name, format!("l{}", unread.0));
}

#[test]
fn layers_in_any_order_are_sorted() {
    let (xml, bin) = small();
    let start = xml.find("<layer ").unwrap();
    let end = xml.find("</layers>").unwrap();
    let mut lines: Vec<&str> = xml[start..end].lines().collect();
    lines.reverse();
    let turned = format!("{}{}{}", &xml[..start], lines.join("\n"), &xml[end..]);
    let graph = openvino::parse(&turned, &bin, "small.xml").unwrap();
    assert_eq!(graph.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["l2", "l3"]);
}

#[test]
fn entities_and_depth_do_no_harm() {
    let bomb = r#"<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><net version="11">&b;</net>"#;
    assert!(message(bomb, &[]).contains("well-formed"));
    let n = 1_000_000;
    let deep = format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    assert!(message(&deep, &[]).contains("<a>"));
    let inside = format!(r#"<net version="11"><layers>{deep}</layers></net>"#);
    assert!(message(&inside, &[]).contains("no input"));
}

#[test]
fn a_chain_of_many_layers_needs_no_stack() {
    let mut w = Writer::default();
    let mut x = w.input("1,4");
    for _ in 0..20_000 {
        x = w.layer("ReLU", "opset1", "", &[x]);
    }
    assert_eq!(w.graph(x).nodes.len(), 20_000);
}

#[test]
fn files_are_found_and_missed_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let xml = dir.path().join("net.xml");
    let (text, bin) = small();
    std::fs::write(&xml, text.replace("small", "TensorFlow_Frontend_IR")).unwrap();
    let error = load(&xml).unwrap_err().to_string();
    assert!(error.contains("net.bin") && error.contains("side by side"), "{error}");
    std::fs::write(dir.path().join("net.bin"), &bin).unwrap();
    assert_eq!(load(&xml).unwrap().name, "net");
    assert_eq!(openvino::load_with(&xml, &dir.path().join("net.bin")).unwrap().name, "net");
    for (name, says) in [("a.onnx", "not supported yet"), ("a.TFLITE", "ovc"), ("a.bin", ".xml"), ("a", ".xml")] {
        let error = load(&dir.path().join(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(says), "{error}");
    }
    std::fs::write(&xml, [0xff, 0xfe, 0x00]).unwrap();
    assert!(load(&xml).unwrap_err().to_string().contains("UTF-8"));
}
