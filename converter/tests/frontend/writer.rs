//! Writes small IRs, as text and bytes.

use std::fmt::Write;

use carafe_converter::frontend::{FrontendError, openvino};
use carafe_graph::Graph;

/// A layer of a [`Writer`]'s model.
#[derive(Clone, Copy)]
pub struct Id(pub usize);

/// A model in the making. Output ports have no extents unless they are given, so nothing is compared with them.
#[derive(Default)]
pub struct Writer {
    layers: String,
    edges: String,
    pub bin: Vec<u8>,
    count: usize,
}

fn dims(shape: &[i64]) -> String {
    shape.iter().map(|d| format!("<dim>{d}</dim>")).collect()
}

fn list(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Writer {
    /// A layer with the given `<data>` attributes and the stored extents of its outputs.
    pub fn stored(&mut self, ty: &str, opset: &str, data: &str, inputs: &[Id], outputs: &[&[i64]]) -> Id {
        let id = self.count;
        self.count += 1;
        write!(self.layers, r#"<layer id="{id}" name="l{id}" type="{ty}" version="{opset}"><data {data}/><input>"#)
            .unwrap();
        for (port, from) in inputs.iter().enumerate() {
            write!(self.layers, r#"<port id="{port}"/>"#).unwrap();
            let from = from.0;
            let edge = format!(r#"<edge from-layer="{from}" from-port="100" to-layer="{id}" to-port="{port}"/>"#);
            self.edges.push_str(&edge);
        }
        self.layers.push_str("</input><output>");
        for (port, shape) in outputs.iter().enumerate() {
            write!(self.layers, r#"<port id="{}">{}</port>"#, 100 + port, dims(shape)).unwrap();
        }
        self.layers.push_str("</output></layer>\n");
        Id(id)
    }

    /// A layer with one output.
    pub fn layer(&mut self, ty: &str, opset: &str, data: &str, inputs: &[Id]) -> Id {
        self.stored(ty, opset, data, inputs, &[&[]])
    }

    pub fn input(&mut self, shape: &str) -> Id {
        self.layer("Parameter", "opset1", &format!(r#"shape="{shape}" element_type="f32""#), &[])
    }

    /// A constant of any element type.
    pub fn raw(&mut self, element: &str, shape: &[usize], bytes: &[u8]) -> Id {
        let (offset, size) = (self.bin.len(), bytes.len());
        self.bin.extend_from_slice(bytes);
        let data = format!(r#"element_type="{element}" shape="{}" offset="{offset}" size="{size}""#, list(shape));
        self.layer("Const", "opset1", &data, &[])
    }

    pub fn floats(&mut self, shape: &[usize], data: &[f32]) -> Id {
        self.raw("f32", shape, &data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
    }

    pub fn zeros(&mut self, shape: &[usize]) -> Id {
        self.floats(shape, &vec![0.0; shape.iter().product()])
    }

    pub fn integers(&mut self, data: &[i64]) -> Id {
        self.raw("i64", &[data.len()], &data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
    }

    pub fn xml(&self) -> String {
        let (layers, edges) = (&self.layers, &self.edges);
        format!(
            "<?xml version=\"1.0\"?><net name=\"small\" version=\"11\"><layers>\n{layers}</layers><edges>{edges}</edges></net>"
        )
    }

    /// Ends the model with `output` and reads it.
    pub fn read(mut self, output: Id) -> Result<Graph, FrontendError> {
        self.stored("Result", "opset1", "", &[output], &[]);
        openvino::parse(&self.xml(), &self.bin, "small.xml")
    }

    /// As [`Writer::read`], for a model that must be right.
    pub fn graph(self, output: Id) -> Graph {
        let graph = self.read(output).unwrap_or_else(|e| panic!("{e}"));
        graph.check().unwrap();
        graph
    }

    /// As [`Writer::read`], for a model that must be refused. The message.
    pub fn refused(self, output: Id) -> String {
        match self.read(output) {
            Ok(graph) => panic!("read as {graph:?}"),
            Err(e) => e.to_string(),
        }
    }
}
