//! The XML of an IR, as it stands: layers, ports, edges. No meaning yet.

use std::collections::HashMap;

use roxmltree::{Document, Node, ParsingOptions};

/// More nodes than any real model has, fewer than would fill the memory.
const NODES_LIMIT: u32 = 20_000_000;

/// An end of an edge on a layer.
#[derive(Debug)]
pub(super) struct Port<'a> {
    id: u32,
    /// Names of the tensor, separated by commas.
    pub names: Option<&'a str>,
    /// Stored extents; `None` for an extent that is not known. Empty for a scalar, and where the rank is not known.
    pub dims: Vec<Option<usize>>,
}

/// Where an operand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Index of the layer in [`Ir::layers`].
    pub layer: usize,
    /// Index of its output.
    pub output: usize,
}

/// A layer.
#[derive(Debug)]
pub(super) struct Layer<'a> {
    pub name: String,
    /// Type as written.
    pub ty: &'a str,
    /// Operation set, e.g. `opset1`.
    pub opset: &'a str,
    pub output_names: Option<&'a str>,
    data: Option<Node<'a, 'a>>,
    inputs: Vec<Port<'a>>,
    pub outputs: Vec<Port<'a>>,
    /// Operands, in the order of the input ports.
    pub sources: Vec<Source>,
}

impl<'a> Layer<'a> {
    /// An attribute of the layer's `<data>`.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.data.and_then(|d| d.attribute(name))
    }

    /// `opset1.Convolution`
    pub fn origin(&self) -> String {
        format!("{}.{}", self.opset, self.ty)
    }
}

/// The model as the file has it.
#[derive(Debug)]
pub(super) struct Ir<'a> {
    pub name: &'a str,
    pub layers: Vec<Layer<'a>>,
}

/// The XML reader's options. Document type declarations, and so entities of one's own, are refused.
pub(super) fn options<'a>() -> ParsingOptions<'a> {
    ParsingOptions { allow_dtd: false, nodes_limit: NODES_LIMIT, ..ParsingOptions::default() }
}

fn child<'a>(node: Node<'a, 'a>, tag: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|c| c.has_tag_name(tag))
}

fn number(node: Node<'_, '_>, attribute: &str, what: &str) -> Result<u32, String> {
    let text = node.attribute(attribute).ok_or_else(|| format!("{what} has no `{attribute}`"))?;
    text.trim().parse().map_err(|_| format!("{what}: `{attribute}=\"{text}\"` is not a number"))
}

fn ports<'a>(layer: Node<'a, 'a>, tag: &str, name: &str) -> Result<Vec<Port<'a>>, String> {
    let Some(list) = child(layer, tag) else { return Ok(vec![]) };
    let mut ports: Vec<Port<'a>> = vec![];
    for p in list.children().filter(|c| c.has_tag_name("port")) {
        let id = number(p, "id", &format!("a port of layer `{name}`"))?;
        let mut dims = vec![];
        for d in p.children().filter(|c| c.has_tag_name("dim")) {
            let text = d.text().unwrap_or("").trim();
            dims.push(match text {
                "-1" | "?" => None,
                _ => Some(
                    text.parse().map_err(|_| format!("layer `{name}`: extent `{text}` of port {id} is no number"))?,
                ),
            });
        }
        ports.push(Port { id, names: p.attribute("names"), dims });
    }
    Ok(ports)
}

impl<'a> Ir<'a> {
    /// Reads layers and edges.
    ///
    /// # Errors
    /// A message that names what is missing, doubled, or points to nothing.
    pub fn read(document: &'a Document<'a>) -> Result<Self, String> {
        let net = document.root_element();
        if !net.has_tag_name("net") {
            return Err(format!("the root element is <{}>, not the <net> of an IR", net.tag_name().name()));
        }
        match net.attribute("version").map(str::trim) {
            Some("10" | "11") => {}
            Some(v) => return Err(format!("IR version {v} is not supported, only 10 and 11")),
            None => return Err("<net> has no `version`".into()),
        }
        let list = child(net, "layers").ok_or("<net> has no <layers>")?;

        let mut layers: Vec<Layer<'a>> = vec![];
        let mut by_id: HashMap<&'a str, usize> = HashMap::new();
        for l in list.children().filter(|c| c.has_tag_name("layer")) {
            let id = l.attribute("id").ok_or("a layer has no `id`")?.trim();
            let name = l.attribute("name").map_or_else(|| format!("layer {id}"), str::to_owned);
            if let Some(before) = by_id.insert(id, layers.len()) {
                return Err(format!("layers `{}` and `{name}` have the same id {id}", layers[before].name));
            }
            let (inputs, outputs) = (ports(l, "input", &name)?, ports(l, "output", &name)?);
            let mut ids = std::collections::HashSet::new();
            if let Some(p) = inputs.iter().chain(&outputs).find(|p| !ids.insert(p.id)) {
                return Err(format!("layer `{name}` has port {} twice", p.id));
            }
            layers.push(Layer {
                ty: l.attribute("type").ok_or_else(|| format!("layer `{name}` has no `type`"))?,
                // IR v10 files of early releases leave it out for the first set.
                opset: l.attribute("version").unwrap_or("opset1"),
                output_names: l.attribute("output_names"),
                data: child(l, "data"),
                inputs,
                outputs,
                sources: vec![],
                name,
            });
        }

        let mut sources: Vec<Vec<Option<Source>>> = layers.iter().map(|l| vec![None; l.inputs.len()]).collect();
        for e in child(net, "edges").into_iter().flat_map(|e| e.children()).filter(|c| c.has_tag_name("edge")) {
            let end = |attribute: &str| -> Result<usize, String> {
                let id = e.attribute(attribute).ok_or_else(|| format!("an edge has no `{attribute}`"))?.trim();
                by_id
                    .get(id)
                    .copied()
                    .ok_or_else(|| format!("an edge has `{attribute}=\"{id}\"`, but no layer has this id"))
            };
            let (from, to) = (end("from-layer")?, end("to-layer")?);
            let (from_port, to_port) = (number(e, "from-port", "an edge")?, number(e, "to-port", "an edge")?);
            let position = |ports: &[Port<'_>], id: u32, name: &str, side: &str| {
                let at = ports.iter().position(|p| p.id == id);
                at.ok_or_else(|| format!("an edge names {side} port {id} of layer `{name}`, which it does not have"))
            };
            let output = position(&layers[from].outputs, from_port, &layers[from].name, "output")?;
            let input = position(&layers[to].inputs, to_port, &layers[to].name, "input")?;
            if sources[to][input].replace(Source { layer: from, output }).is_some() {
                return Err(format!("two edges lead to input port {to_port} of layer `{}`", layers[to].name));
            }
        }
        for (layer, found) in layers.iter_mut().zip(sources) {
            for (port, source) in layer.inputs.iter().zip(found) {
                let missing = || format!("no edge leads to input port {} of layer `{}`", port.id, layer.name);
                layer.sources.push(source.ok_or_else(missing)?);
            }
        }
        Ok(Self { name: net.attribute("name").unwrap_or(""), layers })
    }

    /// The layers that results and variables depend on, operands before users, in the file's order where that is such an order.
    ///
    /// # Errors
    /// The name of a layer that depends on itself.
    pub fn order(&self) -> Result<Vec<usize>, String> {
        let mut needed = vec![false; self.layers.len()];
        let mut stack: Vec<usize> =
            (0..self.layers.len()).filter(|&i| matches!(self.layers[i].ty, "Result" | "Assign")).collect();
        while let Some(i) = stack.pop() {
            if !std::mem::replace(&mut needed[i], true) {
                stack.extend(self.layers[i].sources.iter().map(|s| s.layer));
            }
        }
        let mut waits: Vec<usize> = self.layers.iter().map(|l| l.sources.len()).collect();
        let mut users = vec![vec![]; self.layers.len()];
        for (i, l) in self.layers.iter().enumerate().filter(|(i, _)| needed[*i]) {
            for s in &l.sources {
                users[s.layer].push(i);
            }
        }
        let ready = (0..self.layers.len()).filter(|&i| needed[i] && waits[i] == 0);
        let mut ready: std::collections::BinaryHeap<_> = ready.map(std::cmp::Reverse).collect();
        let mut order = vec![];
        while let Some(std::cmp::Reverse(i)) = ready.pop() {
            order.push(i);
            for &u in &users[i] {
                waits[u] -= 1;
                if waits[u] == 0 {
                    ready.push(std::cmp::Reverse(u));
                }
            }
        }
        match (0..self.layers.len()).find(|&i| needed[i] && waits[i] > 0) {
            Some(i) => Err(format!("the layers form a cycle: `{}` depends on itself", self.layers[i].name)),
            None => Ok(order),
        }
    }
}
