//! Reading the golden vectors.

use std::path::Path;

use serde_json::Value;

/// A tensor of a case.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub role: String,
    pub shape: Vec<usize>,
    pub scales: Vec<f32>,
    pub zero_point: i8,
    pub data: Vec<i32>,
}

impl Tensor {
    fn of(v: &Value) -> Self {
        let list = |key: &str| v[key].as_array().cloned().unwrap_or_default();
        let bits = |s: &Value| f32::from_bits(u32::from_str_radix(s.as_str().unwrap(), 16).unwrap());
        Self {
            role: v["role"].as_str().unwrap().into(),
            shape: list("shape").iter().map(|x| x.as_u64().unwrap() as usize).collect(),
            scales: list("scale_bits").iter().map(bits).collect(),
            zero_point: list("zero_point").first().map_or(0, |x| x.as_i64().unwrap() as i8),
            data: list("data").iter().map(|x| x.as_i64().unwrap() as i32).collect(),
        }
    }

    /// The scale, widened: TFLite computes multipliers in double precision.
    pub fn scale(&self) -> f64 {
        f64::from(self.scales[0])
    }

    pub fn i8(&self) -> Vec<i8> {
        self.data.iter().map(|&x| x as i8).collect()
    }

    /// Rows, columns, channels of one element of the batch; what is missing is 1. Two axes are batch and channels.
    pub fn hwc(&self) -> [usize; 3] {
        match *self.shape.as_slice() {
            [_, h, w, c] => [h, w, c],
            [_, t, c] => [t, 1, c],
            [_, c] => [1, 1, c],
            _ => panic!("shape {:?}", self.shape),
        }
    }

    /// The elements of the batch.
    pub fn batch(&self) -> Vec<Vec<i8>> {
        let n = self.shape[0];
        self.i8().chunks(self.data.len() / n).map(<[i8]>::to_vec).collect()
    }
}

/// One operator with its input and output.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub op: String,
    options: Value,
    pub inputs: Vec<Tensor>,
    pub output: Tensor,
}

impl Case {
    /// All of them, by name.
    pub fn all() -> Vec<Case> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil-tests/golden/tflite");
        let mut cases: Vec<Case> = std::fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "json"))
            .map(|p| Case::of(&serde_json::from_str(&std::fs::read_to_string(p).unwrap()).unwrap()))
            .collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        cases
    }

    fn of(v: &Value) -> Self {
        Self {
            name: v["name"].as_str().unwrap().into(),
            op: v["op"].as_str().unwrap().into(),
            options: v["options"].clone(),
            inputs: v["inputs"].as_array().unwrap().iter().map(Tensor::of).collect(),
            output: Tensor::of(&v["output"]),
        }
    }

    pub fn input(&self, role: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|t| t.role == role)
    }

    pub fn number(&self, key: &str) -> usize {
        self.options[key].as_u64().unwrap_or_else(|| panic!("{}: no {key}", self.name)) as usize
    }

    pub fn real(&self, key: &str) -> f32 {
        self.options[key].as_f64().unwrap_or_else(|| panic!("{}: no {key}", self.name)) as f32
    }

    pub fn word(&self, key: &str) -> &str {
        self.options[key].as_str().unwrap_or("NONE")
    }
}
