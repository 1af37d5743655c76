use crate::{Op, Tensor};

/// Index of a [`Value`] in [`Graph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// Index of a [`Node`] in [`Graph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// An edge of the graph: an input, a constant, or the output of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Name in the source model, for messages.
    pub name: String,
    /// Static extents.
    pub shape: Vec<usize>,
    /// The elements if the value is a constant.
    pub constant: Option<Tensor>,
    /// If the constant was quantized already in the source model: what one unit of its integers stands for, element
    /// by element. Same shape as the constant, finite, not negative; each element is a whole multiple of its step (up
    /// to the rounding of one float product).
    pub steps: Option<Tensor>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name in the source model, for messages.
    pub name: String,
    /// What it was in the source model, e.g. `opset1.Convolution`.
    pub origin: String,
    /// What it computes.
    pub op: Op,
    /// Operands in the order that [`Op`] gives.
    pub inputs: Vec<ValueId>,
    /// Results.
    pub outputs: Vec<ValueId>,
}

/// A network. `nodes` is in topological order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// All edges.
    pub values: Vec<Value>,
    /// All operations, operands before users.
    pub nodes: Vec<Node>,
    /// Values that the user gives, in order.
    pub inputs: Vec<ValueId>,
    /// Values that the user gets, in order.
    pub outputs: Vec<ValueId>,
}

/// What can be wrong with a graph. Every message names the node and its origin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Shapes do not fit together.
    #[error("{origin} `{node}`: {what}")]
    Shape {
        /// Node name.
        node: String,
        /// Node origin.
        origin: String,
        /// What is wrong, with the shapes.
        what: String,
    },
    /// The order is not topological, or an id is out of range.
    #[error("graph is inconsistent at node `{node}`: {what}")]
    Order {
        /// Node name.
        node: String,
        /// What is wrong.
        what: String,
    },
    /// An input that was given has another shape or type than the graph's.
    #[error("input `{name}`: expected shape {expected:?}, got {got:?}")]
    Input {
        /// Input name.
        name: String,
        /// Shape in the graph.
        expected: Vec<usize>,
        /// Shape given.
        got: Vec<usize>,
    },
}

impl Graph {
    /// True if a node remembers the sample before ([`Op::History`]): samples are steps of a sequence.
    pub fn is_stateful(&self) -> bool {
        self.nodes.iter().any(|n| matches!(n.op, Op::History { .. }))
    }

    /// The value behind an id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The constant behind an id, if it is one.
    pub fn constant(&self, id: ValueId) -> Option<&Tensor> {
        self.values.get(id.0).and_then(|v| v.constant.as_ref())
    }

    /// Adds a value and returns its id.
    pub fn add_value(&mut self, name: impl Into<String>, shape: impl Into<Vec<usize>>) -> ValueId {
        self.values.push(Value { name: name.into(), shape: shape.into(), constant: None, steps: None });
        ValueId(self.values.len() - 1)
    }

    /// Adds a constant and returns its id.
    pub fn add_constant(&mut self, name: impl Into<String>, tensor: Tensor) -> ValueId {
        let shape = tensor.shape.clone();
        self.values.push(Value { name: name.into(), shape, constant: Some(tensor), steps: None });
        ValueId(self.values.len() - 1)
    }

    /// Adds a constant of quantized numbers ([`Value::steps`]) and returns its id. Steps of another shape are dropped.
    pub fn add_stepped(&mut self, name: impl Into<String>, tensor: Tensor, steps: Option<Tensor>) -> ValueId {
        let steps = steps.filter(|s| s.shape == tensor.shape);
        let id = self.add_constant(name, tensor);
        self.values[id.0].steps = steps;
        id
    }

    /// The steps of a constant that was quantized already in the source model: [`Value::steps`].
    pub fn steps(&self, id: ValueId) -> Option<&Tensor> {
        self.values.get(id.0).and_then(|v| v.steps.as_ref())
    }

    /// Adds a node whose output, named after it, gets its shape from inference. Returns the output.
    ///
    /// # Errors
    /// Those of [`crate::shape::infer`]; the graph is then as before.
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        origin: impl Into<String>,
        op: Op,
        inputs: impl Into<Vec<ValueId>>,
    ) -> Result<ValueId, GraphError> {
        let mut node =
            Node { name: name.into(), origin: origin.into(), op, inputs: inputs.into(), outputs: Vec::new() };
        for shape in crate::shape::infer(self, &node)? {
            let output = self.add_value(node.name.clone(), shape);
            node.outputs.push(output);
        }
        let output = node.outputs[0];
        self.nodes.push(node);
        Ok(output)
    }

    /// The node that makes each value (`None` for inputs and constants), indexed by value.
    pub fn producers(&self) -> Vec<Option<NodeId>> {
        let mut p = vec![None; self.values.len()];
        for (i, n) in self.nodes.iter().enumerate() {
            for o in &n.outputs {
                p[o.0] = Some(NodeId(i));
            }
        }
        p
    }

    /// The nodes that read each value, indexed by value. A node that reads it twice stands twice.
    pub fn users(&self) -> Vec<Vec<NodeId>> {
        let mut u = vec![Vec::new(); self.values.len()];
        for (i, n) in self.nodes.iter().enumerate() {
            for v in &n.inputs {
                u[v.0].push(NodeId(i));
            }
        }
        u
    }

    /// Proves that ids are in range, operands come before users, every value has one source, that shape inference
    /// agrees with the stored shapes, and that constants hold as many elements as their shapes say.
    ///
    /// # Errors
    /// [`GraphError::Order`] or [`GraphError::Shape`], naming the first node that is wrong.
    pub fn check(&self) -> Result<(), GraphError> {
        let mut known: Vec<bool> = self.values.iter().map(|v| v.constant.is_some()).collect();
        let order = |node: &str, what: String| GraphError::Order { node: node.into(), what };
        for (value, tensor) in self.values.iter().filter_map(|v| v.constant.as_ref().map(|t| (v, t))) {
            if tensor.shape != value.shape || crate::shape::elements(&tensor.shape) != Some(tensor.data.len()) {
                let what = format!(
                    "shape {:?}, the constant's own shape {:?} and its {} elements do not agree",
                    value.shape,
                    tensor.shape,
                    tensor.data.len()
                );
                return Err(order(&value.name, what));
            }
        }
        for i in &self.inputs {
            let k = known.get_mut(i.0).ok_or_else(|| order("<inputs>", format!("no value {}", i.0)))?;
            if *k {
                return Err(order("<inputs>", format!("value `{}` has two sources", self.values[i.0].name)));
            }
            *k = true;
        }
        for n in &self.nodes {
            for v in &n.inputs {
                if !known.get(v.0).copied().unwrap_or(false) {
                    return Err(order(&n.name, format!("operand {} is not defined before its use", v.0)));
                }
            }
            let shapes = crate::shape::infer(self, n)?;
            if shapes.len() != n.outputs.len() {
                return Err(order(&n.name, format!("{} outputs, {} expected", n.outputs.len(), shapes.len())));
            }
            for (o, s) in n.outputs.iter().zip(shapes) {
                let v = self.values.get(o.0).ok_or_else(|| order(&n.name, format!("no value {}", o.0)))?;
                if known[o.0] {
                    return Err(order(&n.name, format!("value `{}` has two sources", v.name)));
                }
                if v.shape != s {
                    return Err(order(
                        &n.name,
                        format!("value `{}` is stored as {:?}, inferred {:?}", v.name, v.shape, s),
                    ));
                }
                known[o.0] = true;
            }
        }
        for o in &self.outputs {
            if !known.get(o.0).copied().unwrap_or(false) {
                return Err(order("<outputs>", format!("output {} has no source", o.0)));
            }
        }
        Ok(())
    }
}
