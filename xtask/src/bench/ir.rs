//! A small convolutional network as OpenVINO IR: three convolutions of 3×3 with ReLU, a mean of the map, a dense layer.

use std::fmt::Write;

/// Channels of the input.
pub const INPUT_CHANNELS: usize = 3;
/// Of the dense layer.
const CLASSES: usize = 10;

/// The text and the weights of such a network, for an input of `size` rows and columns, with maps of `channels`.
pub fn network(size: usize, channels: usize) -> (String, Vec<u8>) {
    let mut writer = Writer::default();
    let mut x =
        writer.layer("Parameter", &format!(r#"shape="1,{INPUT_CHANNELS},{size},{size}" element_type="f32""#), &[]);
    let mut depth = INPUT_CHANNELS;
    for _ in 0..3 {
        let weights = writer.weights(&[channels, depth, 3, 3]);
        let same = r#"strides="1,1" pads_begin="1,1" pads_end="1,1" dilations="1,1" auto_pad="explicit""#;
        x = writer.layer("Convolution", same, &[x, weights]);
        x = writer.layer("ReLU", "", &[x]);
        depth = channels;
    }
    let axes = writer.constant("i64", &[2], &[2i64, 3].map(i64::to_le_bytes).concat());
    x = writer.layer("ReduceMean", r#"keep_dims="false""#, &[x, axes]);
    let weights = writer.weights(&[CLASSES, channels]);
    x = writer.layer("MatMul", r#"transpose_a="false" transpose_b="true""#, &[x, weights]);
    writer.layer("Result", "", &[x]);
    writer.end()
}

/// Numbers between -1 and 1 that depend on a seed alone.
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        // The generator that Knuth gives for MMIX; its upper bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[derive(Default)]
struct Writer {
    layers: String,
    edges: String,
    bin: Vec<u8>,
    count: usize,
}

impl Writer {
    fn layer(&mut self, ty: &str, data: &str, inputs: &[usize]) -> usize {
        let id = self.count;
        self.count += 1;
        let mut ports = String::new();
        for (port, from) in inputs.iter().enumerate() {
            // Writing to a string does not fail, here and below.
            let _ = write!(ports, r#"<port id="{port}"/>"#);
            let _ =
                writeln!(self.edges, r#"<edge from-layer="{from}" from-port="100" to-layer="{id}" to-port="{port}"/>"#);
        }
        let _ = writeln!(
            self.layers,
            r#"<layer id="{id}" name="{ty}{id}" type="{ty}" version="opset1"><data {data}/><input>{ports}</input><output><port id="100"/></output></layer>"#
        );
        id
    }

    fn constant(&mut self, element: &str, shape: &[usize], bytes: &[u8]) -> usize {
        let (offset, size) = (self.bin.len(), bytes.len());
        self.bin.extend_from_slice(bytes);
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        let data = format!(r#"element_type="{element}" shape="{}" offset="{offset}" size="{size}""#, shape.join(","));
        self.layer("Const", &data, &[])
    }

    fn weights(&mut self, shape: &[usize]) -> usize {
        let numbers = noise(self.count as u64, shape.iter().product());
        self.constant("f32", shape, &numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
    }

    fn end(self) -> (String, Vec<u8>) {
        let (layers, edges) = (self.layers, self.edges);
        let xml = format!(
            "<?xml version=\"1.0\"?>\n<net name=\"growth\" version=\"11\">\n<layers>\n{layers}</layers>\n<edges>\n{edges}\
             </edges>\n</net>\n"
        );
        (xml, self.bin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_the_same_every_time() {
        let (xml, bin) = network(8, 4);
        assert_eq!((xml.clone(), bin.clone()), network(8, 4));
        assert_eq!(bin.len(), 4 * (4 * 27 + 2 * 4 * 36 + 40) + 16);
        assert!(xml.contains(r#"shape="1,3,8,8""#) && xml.matches("Convolution").count() == 6, "{xml}");
        assert!(noise(1, 1_000).iter().all(|x| (-1.0..1.0).contains(x)));
    }
}
