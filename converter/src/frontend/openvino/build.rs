//! Layers, in order, to nodes of a [`Graph`].

use std::{cell::Cell, collections::HashMap, rc::Rc};

use carafe_graph::{Data, Graph, Node, Op, Tensor, Value, ValueId, shape};

use super::{
    constants::{Element, Kind, Reader},
    fault::Fault,
    ops::{self, state::Variables},
    xml::{Ir, Layer},
};
use crate::frontend::{FrontendError, UnsupportedLayer, UnsupportedLayers};

/// A constant that becomes a value of the graph when a node needs it there.
#[derive(Debug)]
pub(super) struct Constant {
    pub name: String,
    pub tensor: Tensor,
    /// Floats that were integers in the file, as quantized weights are.
    pub integers: bool,
    id: Cell<Option<ValueId>>,
}

/// What an output port carries.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Constant(Rc<Constant>),
    Value {
        id: ValueId,
        kind: Kind,
    },
    /// The output of a layer that can't be converted. With a value where its shape is known, so that layers behind it
    /// can be looked at, too.
    Failed(Option<ValueId>),
}

impl Operand {
    pub fn constant(name: impl Into<String>, tensor: Tensor) -> Self {
        Self::Constant(Rc::new(Constant { name: name.into(), tensor, integers: false, id: Cell::new(None) }))
    }

    /// A constant of floats that were integers in the file.
    pub fn integers(name: impl Into<String>, tensor: Tensor) -> Self {
        Self::Constant(Rc::new(Constant { name: name.into(), tensor, integers: true, id: Cell::new(None) }))
    }

    pub fn value(id: ValueId) -> Self {
        Self::Value { id, kind: Kind::Float }
    }
}

/// One layer in the making: its operands, and the graph to add to.
pub(super) struct Cx<'m, 'a> {
    pub layer: &'m Layer<'a>,
    /// The operation set in which the layer's meaning was last changed.
    pub revision: u32,
    pub inputs: Vec<Operand>,
    /// Outputs behind the first.
    pub further: Vec<Operand>,
    graph: &'m mut Graph,
    pub variables: &'m mut Variables,
    /// Index of the layer.
    pub index: usize,
    /// Elements that may still be computed from constants.
    budget: &'m mut usize,
}

impl Cx<'_, '_> {
    /// Operand `i`.
    pub fn input(&self, i: usize) -> Result<&Operand, Fault> {
        self.inputs.get(i).ok_or_else(|| Fault::invalid(format!("operand {i} is missing")))
    }

    /// The shape of operand `i`.
    pub fn shape(&self, i: usize) -> Result<Vec<usize>, Fault> {
        match self.input(i)? {
            Operand::Constant(c) => Ok(c.tensor.shape.clone()),
            Operand::Value { id, .. } | Operand::Failed(Some(id)) => Ok(self.graph.value(*id).shape.clone()),
            Operand::Failed(None) => Err(Fault::Consequence),
        }
    }

    /// The extents of a value.
    pub fn extents(&self, id: ValueId) -> &[usize] {
        &self.graph.value(id).shape
    }

    /// The node that makes a value.
    pub fn producer(&self, id: ValueId) -> Option<&Node> {
        self.graph.nodes.iter().find(|n| n.outputs.contains(&id))
    }

    /// Operand `i` as a value of the graph, which holds floats.
    pub fn value(&mut self, i: usize) -> Result<ValueId, Fault> {
        match self.input(i)?.clone() {
            Operand::Value { id, kind: Kind::Float } | Operand::Failed(Some(id)) => Ok(id),
            Operand::Value { kind: Kind::Integer, .. } => Err(Fault::unsupported(format!(
                "operand {i} is an integer tensor that depends on the input; only float data can be computed with: \
                 convert the input to f32 first"
            ))),
            Operand::Failed(None) => Err(Fault::Consequence),
            Operand::Constant(c) => match &c.tensor.data {
                Data::I64(_) => Err(Fault::unsupported(format!(
                    "operand {i}, constant `{}`, holds integers; only float data can be computed with",
                    c.name
                ))),
                Data::F32(_) if c.tensor.is_empty() => {
                    Err(Fault::invalid(format!("operand {i}, constant `{}`, has no elements", c.name)))
                }
                Data::F32(_) => {
                    let id = c.id.get().unwrap_or_else(|| {
                        let steps = c.integers.then(|| ones(&c.tensor));
                        self.graph.add_stepped(&c.name, c.tensor.clone(), steps)
                    });
                    c.id.set(Some(id));
                    Ok(id)
                }
            },
        }
    }

    /// Operand `i`, which must be a constant. `what` says what for.
    pub fn constant(&self, i: usize, what: &str) -> Result<&Tensor, Fault> {
        match self.input(i)? {
            Operand::Constant(c) => Ok(&c.tensor),
            Operand::Failed(_) => Err(Fault::Consequence),
            Operand::Value { .. } => Err(Fault::unsupported(format!(
                "{what} (operand {i}) depends on the model's input; it must be constant"
            ))),
        }
    }

    /// Operand `i`, which must be constant integers.
    pub fn integers(&self, i: usize, what: &str) -> Result<&[i64], Fault> {
        let tensor = self.constant(i, what)?;
        tensor
            .as_i64()
            .ok_or_else(|| Fault::invalid(format!("{what} (operand {i}) must be integers, but it is floats")))
    }

    /// Operand `i`, which must be constant floats.
    pub fn floats(&self, i: usize, what: &str) -> Result<&[f32], Fault> {
        let tensor = self.constant(i, what)?;
        tensor
            .as_f32()
            .ok_or_else(|| Fault::invalid(format!("{what} (operand {i}) must be floats, but it is integers")))
    }

    /// Operand `i`, which must be one constant float.
    pub fn scalar(&self, i: usize, what: &str) -> Result<f32, Fault> {
        match self.floats(i, what)? {
            [x] => Ok(*x),
            other => Err(Fault::invalid(format!("{what} (operand {i}) must be one number, not {}", other.len()))),
        }
    }

    /// To be asked before `n` elements are computed from constants. Each layer may double what the one before it made, so
    /// without a bound a few lines of text could fill the memory.
    pub fn spend(&mut self, n: usize) -> Result<(), Fault> {
        let left = self.budget.checked_sub(n);
        *self.budget = left.ok_or_else(|| {
            Fault::unsupported("so much is computed from constants that it is many times the size of the .bin file")
        })?;
        Ok(())
    }

    /// Adds a value that stands for something no node makes.
    pub fn placeholder(&mut self, shape: Vec<usize>) -> ValueId {
        self.graph.add_value(&self.layer.name, shape)
    }

    /// Adds a constant that the model does not have as such.
    pub fn add_constant(&mut self, suffix: &str, tensor: Tensor) -> ValueId {
        self.graph.add_constant(format!("{}/{suffix}", self.layer.name), tensor)
    }

    /// As [`Cx::add_constant`], of quantized numbers.
    pub fn add_stepped(&mut self, suffix: &str, tensor: Tensor, steps: Option<Tensor>) -> ValueId {
        self.graph.add_stepped(format!("{}/{suffix}", self.layer.name), tensor, steps)
    }

    /// Adds the node that makes the layer's output.
    pub fn emit(&mut self, op: Op, inputs: Vec<ValueId>) -> Result<Operand, Fault> {
        self.node(self.layer.name.clone(), op, inputs).map(Operand::value)
    }

    /// Adds a node on the way to the layer's output.
    pub fn step(&mut self, suffix: &str, op: Op, inputs: Vec<ValueId>) -> Result<ValueId, Fault> {
        self.node(format!("{}/{suffix}", self.layer.name), op, inputs)
    }

    fn node(&mut self, name: String, op: Op, inputs: Vec<ValueId>) -> Result<ValueId, Fault> {
        Ok(self.graph.add_node(name, self.layer.origin(), op, inputs)?)
    }
}

/// Steps of whole numbers.
pub(super) fn ones(tensor: &Tensor) -> Tensor {
    Tensor { shape: tensor.shape.clone(), data: Data::F32(vec![1.0; tensor.data.len()].into()) }
}

fn bounded(shape: &[usize]) -> Result<(), Fault> {
    match shape::elements(shape) {
        Some(0) => Err(Fault::invalid(format!("a tensor of shape {shape:?} has no elements"))),
        Some(_) => Ok(()),
        None => Err(Fault::invalid(format!("a tensor of shape {shape:?} is too large"))),
    }
}

/// Compares a shape with the one that is stored in the file, as far as that is known.
fn agrees(layer: &Layer<'_>, output: usize, shape: &[usize]) -> Result<(), Fault> {
    let Some(stored) = layer.outputs.get(output).map(|p| &p.dims) else {
        return Err(Fault::invalid("the layer has no output port"));
    };
    let same = stored.is_empty()
        || stored.len() == shape.len() && stored.iter().zip(shape).all(|(s, d)| s.is_none_or(|s| s == *d));
    if same {
        return Ok(());
    }
    let stored: Vec<String> = stored.iter().map(|d| d.map_or_else(|| "?".into(), |d| d.to_string())).collect();
    Err(Fault::invalid(format!("the stored output shape is [{}], but its operands give {shape:?}", stored.join(", "))))
}

/// A `Parameter`: an input of the model.
fn parameter(layer: &Layer<'_>, graph: &mut Graph) -> Result<Operand, Fault> {
    let text = layer.attribute("shape").ok_or_else(|| Fault::invalid("attribute `shape` is missing"))?;
    let kind = Element::parse(layer.attribute("element_type").unwrap_or("f32"))?.kind();
    let mut shape = vec![];
    let parts: Vec<&str> = if text.trim().is_empty() { vec![] } else { text.split(',').map(str::trim).collect() };
    for (i, part) in parts.iter().enumerate() {
        shape.push(match part.parse::<usize>() {
            Ok(extent) => extent,
            // A batch of any size, or of a range from one.
            Err(_) if i == 0 && parts.len() > 1 && matches!(*part, "?" | "-1") => 1,
            Err(_) if i == 0 && parts.len() > 1 && (part.starts_with("1..") || part.starts_with("..")) => 1,
            Err(_) if matches!(*part, "?" | "-1") || part.contains("..") => {
                let fixed = if parts.len() > 1 { "1," } else { "" };
                return Err(Fault::Invalid {
                    what: format!("input shape [{text}] is dynamic beyond the batch axis; shapes must be static"),
                    remedy: if fixed.is_empty() {
                        "give the shape when converting: `ovc MODEL --input \"NAME[EXTENT]\"`"
                    } else {
                        "give the shape when converting: `ovc MODEL --input \"NAME[1,...]\"` with all extents as numbers"
                    },
                });
            }
            Err(_) => return Err(Fault::invalid(format!("`shape=\"{text}\"` is not a list of extents"))),
        });
    }
    bounded(&shape)?;
    agrees(layer, 0, &shape)?;
    let names = layer.outputs.first().and_then(|p| p.names);
    let id = graph.add_value(names.and_then(first_name).unwrap_or_else(|| layer.name.clone()), shape);
    graph.inputs.push(id);
    Ok(Operand::Value { id, kind })
}

/// The first of a list of tensor names. A comma inside a name is escaped.
fn first_name(names: &str) -> Option<String> {
    let mut name = String::new();
    let mut chars = names.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => name.extend(chars.next()),
            ',' => break,
            c => name.push(c),
        }
    }
    (!name.is_empty()).then_some(name)
}

/// Makes the graph of a model.
pub(super) fn graph(ir: &Ir<'_>, bin: &[u8], file: &str, name: String) -> Result<Graph, FrontendError> {
    let model = |what: String, remedy: &str| FrontendError::Model { file: file.into(), what, remedy: remedy.into() };
    let order = ir.order().map_err(|what| model(what, super::fault::DAMAGED))?;
    let mut b = Builder {
        file,
        graph: Graph { name, ..Graph::default() },
        constants: Reader::new(bin),
        budget: bin.len().saturating_mul(4).saturating_add(1 << 20),
        variables: Variables::default(),
        made: HashMap::new(),
        unsupported: vec![],
    };
    // Also inputs that nothing reads, so that what the user feeds is what the model has.
    for (i, layer) in ir.layers.iter().enumerate().filter(|(_, l)| l.ty == "Parameter") {
        match parameter(layer, &mut b.graph) {
            Ok(operand) => {
                b.made.insert(i, vec![operand]);
            }
            Err(fault) => b.report(i, layer, fault)?,
        }
    }
    for i in order {
        if ir.layers[i].ty != "Parameter" {
            b.layer(ir, i)?;
        }
    }
    for (i, fault) in b.variables.faults(&b.graph) {
        b.report(i, &ir.layers[i], fault)?;
    }
    if !b.unsupported.is_empty() {
        b.unsupported.sort_by_key(|(i, _)| *i);
        let layers = UnsupportedLayers(b.unsupported.into_iter().map(|(_, l)| l).collect());
        return Err(FrontendError::Unsupported { file: file.into(), layers });
    }
    if b.graph.inputs.is_empty() || b.graph.outputs.is_empty() {
        let what = if b.graph.inputs.is_empty() { "no input (Parameter)" } else { "no output (Result)" };
        return Err(model(format!("the model has {what}"), "check that the file is a whole model, not a part of one"));
    }
    b.graph.check().map_err(|e| model(e.to_string(), super::fault::DAMAGED))?;
    Ok(b.graph)
}

struct Builder<'b> {
    file: &'b str,
    graph: Graph,
    constants: Reader<'b>,
    budget: usize,
    variables: Variables,
    /// The outputs that can be read of each layer done.
    made: HashMap<usize, Vec<Operand>>,
    unsupported: Vec<(usize, UnsupportedLayer)>,
}

impl Builder<'_> {
    fn layer(&mut self, ir: &Ir<'_>, i: usize) -> Result<(), FrontendError> {
        let layer = &ir.layers[i];
        let done = self.operands(ir, i).and_then(|inputs| match layer.ty {
            "Result" => self.result(ir, i, inputs).map(|operand| vec![operand]),
            _ => self.convert(layer, i, inputs),
        });
        let outputs = match done {
            Ok(outputs) => outputs,
            Err(fault) => {
                let failed_before =
                    layer.sources.iter().any(|s| matches!(self.made(s), None | Some(Operand::Failed(_))));
                match fault {
                    Fault::Consequence => {}
                    Fault::Invalid { .. } if failed_before => {}
                    fault => self.report(i, layer, fault)?,
                }
                (0..layer.outputs.len().max(1)).map(|output| self.placeholder(layer, output)).collect()
            }
        };
        self.made.insert(i, outputs);
        Ok(())
    }

    /// What an input port reads, if it can be read.
    fn made(&self, source: &super::xml::Source) -> Option<&Operand> {
        self.made.get(&source.layer)?.get(source.output)
    }

    /// The operands of a layer.
    fn operands(&self, ir: &Ir<'_>, i: usize) -> Result<Vec<Operand>, Fault> {
        let one = |s: &super::xml::Source| {
            let from = &ir.layers[s.layer];
            if let Some(operand) = self.made(s) {
                return Ok(operand.clone());
            }
            Err(Fault::unsupported(format!(
                "it reads output {} of `{}` ({}), which is not supported",
                s.output,
                from.name,
                from.origin()
            )))
        };
        ir.layers[i].sources.iter().map(one).collect()
    }

    fn convert(&mut self, layer: &Layer<'_>, index: usize, inputs: Vec<Operand>) -> Result<Vec<Operand>, Fault> {
        let (op, revision) = ops::find(layer)?;
        if !op.operands.contains(&inputs.len()) {
            return Err(Fault::invalid(format!("{} operands, {:?} expected", inputs.len(), op.operands)));
        }
        let outputs = match op.build {
            ops::Build::Constant => vec![Operand::constant(&layer.name, self.constants.read(layer)?)],
            ops::Build::Layer(build) => {
                let failed = inputs.iter().any(|o| matches!(o, Operand::Failed(_)));
                let (graph, budget, variables) = (&mut self.graph, &mut self.budget, &mut self.variables);
                let mut cx = Cx { layer, revision, inputs, further: vec![], graph, variables, index, budget };
                match build(&mut cx)? {
                    Operand::Value { .. } if failed => return Err(Fault::Consequence),
                    first => [first].into_iter().chain(cx.further).collect(),
                }
            }
        };
        for (output, operand) in outputs.iter().enumerate() {
            match operand {
                Operand::Constant(c) => agrees(layer, output, &c.tensor.shape)?,
                Operand::Value { id, .. } => agrees(layer, output, &self.graph.value(*id).shape)?,
                Operand::Failed(_) => {}
            }
        }
        Ok(outputs)
    }

    /// A `Result`: an output of the model.
    fn result(&mut self, ir: &Ir<'_>, i: usize, inputs: Vec<Operand>) -> Result<Operand, Fault> {
        let layer = &ir.layers[i];
        let source = layer.sources.first().filter(|_| inputs.len() == 1);
        let source = source.ok_or_else(|| Fault::invalid(format!("{} operands, one expected", inputs.len())))?;
        let (graph, budget, variables) = (&mut self.graph, &mut self.budget, &mut self.variables);
        let mut cx = Cx { layer, revision: 1, inputs, further: vec![], graph, variables, index: i, budget };
        let id = cx.value(0)?;
        let port = ir.layers[source.layer].outputs.get(source.output);
        let name = layer.output_names.and_then(first_name).or_else(|| port.and_then(|p| p.names).and_then(first_name));
        // An input that is an output as well keeps the name that it is fed by, and the first of two outputs wins.
        if !self.graph.inputs.contains(&id) && !self.graph.outputs.contains(&id) {
            let Value { name: stored, .. } = &mut self.graph.values[id.0];
            *stored = name.unwrap_or_else(|| layer.name.clone());
        }
        self.graph.outputs.push(id);
        Ok(Operand::value(id))
    }

    /// Stands for an output of a layer that can't be converted.
    fn placeholder(&mut self, layer: &Layer<'_>, output: usize) -> Operand {
        let dims = layer.outputs.get(output).map(|p| &p.dims).filter(|d| !d.is_empty());
        let shape = dims.and_then(|d| d.iter().copied().collect::<Option<Vec<_>>>()).filter(|s| bounded(s).is_ok());
        Operand::Failed(shape.map(|s| self.graph.add_value(&layer.name, s)))
    }

    /// Notes an unsupported layer; any other fault ends the conversion.
    fn report(&mut self, i: usize, layer: &Layer<'_>, fault: Fault) -> Result<(), FrontendError> {
        match fault {
            Fault::Consequence => Ok(()),
            Fault::Unsupported(why) => {
                let (name, ty, opset) = (layer.name.clone(), layer.ty.into(), layer.opset.into());
                self.unsupported.push((i, UnsupportedLayer { name, ty, opset, why }));
                Ok(())
            }
            Fault::Invalid { what, remedy } => Err(FrontendError::Layer {
                file: self.file.into(),
                layer: layer.name.clone(),
                origin: layer.origin(),
                what,
                remedy: remedy.into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first_name;

    #[test]
    fn names_are_split_at_commas_that_are_not_escaped() {
        assert_eq!(first_name("a,b").as_deref(), Some("a"));
        assert_eq!(first_name("a\\,b,c").as_deref(), Some("a,b"));
        assert_eq!(first_name(""), None);
        assert_eq!(first_name("a\\").as_deref(), Some("a"));
    }
}
