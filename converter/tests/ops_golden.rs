//! Models of one operator against OpenVINO: as the frontend reads them, and after the passes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use carafe_converter::frontend;
use carafe_converter::passes::{Optimized, dump, optimize};
use carafe_graph::{Graph, Tensor, exec};
use zip::ZipArchive;

/// Cases that the frontend does not read, and a word of what it must say. One that it comes to read has to leave this
/// list, or the test fails.
const UNSUPPORTED: &[(&str, &str)] = &[("unary_prelu_channel", "PReLU")];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil-tests/golden/ops")
}

/// The names of all cases.
fn cases() -> Vec<String> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The arrays of a case by name.
fn arrays(case: &str) -> BTreeMap<String, Tensor> {
    let file = File::open(folder().join(case).join("io.npz")).unwrap_or_else(|e| panic!("{case}: {e}"));
    let mut archive = ZipArchive::new(file).unwrap();
    let n = archive.len();
    let mut read = |i| {
        let entry = archive.by_index(i).unwrap();
        let name = entry.name().unwrap().strip_suffix(".npy").unwrap().to_string();
        let npy = npyz::NpyFile::new(BufReader::new(entry)).unwrap();
        let shape: Vec<usize> = npy.shape().iter().map(|&n| n as usize).collect();
        (name, Tensor::f32(shape, npy.into_vec::<f32>().unwrap()))
    };
    (0..n).map(&mut read).collect()
}

/// By how much `got` misses `want`: 1 is the tolerance, 1e-5 of the largest element or of 1.
fn miss(got: &Tensor, want: &Tensor) -> Result<f64, String> {
    if got.shape != want.shape {
        return Err(format!("shape {:?}, expected {:?}", got.shape, want.shape));
    }
    let want = want.as_f32().unwrap();
    let scale = want.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    let off = got.as_f32().unwrap().iter().zip(want).map(|(a, b)| f64::from((a - b).abs()));
    Ok(off.fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { f64::max(m, d) }) / (1e-5 * f64::from(scale)))
}

/// Inputs in the order of the graph's, by their names.
fn inputs(graph: &Graph, arrays: &BTreeMap<String, Tensor>) -> Result<Vec<Tensor>, String> {
    let find = |i: &carafe_graph::ValueId| {
        let name = &graph.value(*i).name;
        arrays.get(name).cloned().ok_or(format!("no array for input `{name}`"))
    };
    graph.inputs.iter().map(find).collect()
}

fn optimized(graph: &Optimized, inputs: &[Tensor]) -> Result<Tensor, String> {
    let moved: Result<Vec<Tensor>, _> = graph.inputs.iter().zip(inputs).map(|(i, t)| i.to_graph(t)).collect();
    let made = exec::run(&graph.graph, &moved.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    graph.outputs[0].to_model(&made[0]).map_err(|e| e.to_string())
}

/// Everything that is wrong with a case; `Err` if the frontend does not read it.
fn check(case: &str) -> Result<Vec<String>, String> {
    let path = folder().join(case).join("model.xml");
    let graph = frontend::load(&path).map_err(|e| e.to_string())?;
    let arrays = arrays(case);
    let want = &arrays["y"];
    let mut wrong = Vec::new();
    let mut hold = |what: &str, got: Result<Tensor, String>| match got.and_then(|t| miss(&t, want)) {
        Ok(miss) if miss <= 1.0 => {}
        Ok(miss) => wrong.push(format!("{case}: {what}: {miss:.1} times the tolerance")),
        Err(e) => wrong.push(format!("{case}: {what}: {e}")),
    };
    let inputs = match inputs(&graph, &arrays) {
        Ok(inputs) => inputs,
        Err(e) => return Ok(vec![format!("{case}: {e}")]),
    };
    hold("as loaded", exec::run(&graph, &inputs).map(|mut o| o.remove(0)).map_err(|e| e.to_string()));
    match optimize(graph, &mut |_, _| ()) {
        Ok(graph) => {
            hold("after the passes", optimized(&graph, &inputs).map_err(|e| format!("{e}\n{}", dump(&graph.graph))))
        }
        Err(e) => wrong.push(format!("{case}: {e}")),
    }
    Ok(wrong)
}

#[test]
fn operators_are_those_of_openvino() {
    let cases = cases();
    assert!(cases.len() >= 135, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    let mut refused = Vec::new();
    for case in &cases {
        match check(case) {
            Ok(list) => wrong.extend(list),
            Err(message) => refused.push((case.as_str(), message)),
        }
    }
    println!("{} cases, not supported: {}", cases.len(), refused.len());
    for (case, message) in &refused {
        match UNSUPPORTED.iter().find(|(name, _)| name == case) {
            // A refusal names the layer's type, so that the user knows what to change.
            Some((_, word)) if message.contains(word) => println!("{case}: {message}"),
            _ => wrong.push(format!("{case}: refused: {message}")),
        }
    }
    let supported = |name: &&str| !refused.iter().any(|(case, _)| case == name);
    let names: Vec<&str> = UNSUPPORTED.iter().map(|u| u.0).filter(supported).collect();
    assert!(names.is_empty(), "supported by now, or no such case: {names:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
