//! An `.npy`, or an `.npz` if it begins with `PK`.

use std::io::Write;

use carafe_converter::dataset::{Dataset, InputSpec, Preprocess};
use carafe_graph::Layout;

/// It is a set of samples of the shape asked for, or an error with words.
pub fn check(data: &[u8]) {
    let suffix = if data.starts_with(b"PK") { ".npz" } else { ".npy" };
    let Ok(mut file) = tempfile::Builder::new().suffix(suffix).tempfile() else { return };
    if file.write_all(data).is_err() {
        return;
    }
    let spec = InputSpec { name: "x".into(), shape: vec![1, 4, 3, 2], layout: Layout::Nhwc };
    match Dataset::open(file.path(), &spec, &Preprocess::default()) {
        Ok(set) => {
            for i in 0..set.len().min(8) {
                if let Ok(sample) = set.get(i) {
                    assert_eq!(sample.shape, spec.shape);
                }
            }
        }
        Err(e) => assert!(!e.to_string().is_empty()),
    }
}
