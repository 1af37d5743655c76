//! Graph rewriting: each pass is a function in a file of its own that does one thing, says how often it did it, and
//! leaves the meaning of the graph alone. [`optimize`] runs them all until none has anything left to do.
//!
//! Afterwards every Conv2d and Pool2d is [`NHWC`](carafe_graph::Layout::Nhwc), biases and batch normalisation are in
//! the weights, clamps are in the nodes before them, and products with constants are Dense. Inputs and outputs of the
//! graph may have changed from NCHW to NHWC: [`Optimized::inputs`] and [`Optimized::outputs`] say so.
//!
//! Passes take graphs that [`Graph::check`] accepts, and may panic on others.

use carafe_graph::{Graph, GraphError, Node, Op, Tensor, exec};

mod activation;
mod affine;
mod camera;
mod clean;
mod dense;
mod dump;
mod fold;
mod layout;
mod lift;
mod narrow;
mod pad;
mod pool;
mod reshape;
mod rewrite;
mod scale_layer;
mod steps;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use activation::fuse_activations;
pub use affine::fold_affine;
pub(crate) use camera::byte;
pub use camera::{Camera, CameraError, take_bytes};
pub use clean::{remove_dead, remove_no_ops};
pub use dense::make_dense;
pub use dump::dump;
pub use fold::fold_constants;
pub use layout::make_nhwc;
pub use lift::lift_fake_quantize;
pub use narrow::raise_elementwise;
pub use pad::fold_pads;
pub use pool::make_global_pools;
pub use reshape::merge_reshapes;
pub use scale_layer::make_scale_layers;

/// An input or output of an optimised graph, seen from the model's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name in the source model.
    pub name: String,
    /// Extents in the source model.
    pub model_shape: Vec<usize>,
    /// Axis i of the optimised graph's tensor is axis `perm[i]` of the model's: `[0, 2, 3, 1]` where NCHW became NHWC.
    pub perm: Vec<usize>,
}

impl Interface {
    /// True if the tensor is the same on both sides.
    pub fn is_unchanged(&self) -> bool {
        self.perm.is_sorted()
    }

    /// From the model's order of axes to that of the optimised graph.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the tensor has other axes than the model, or holds integers.
    pub fn to_graph(&self, tensor: &Tensor) -> Result<Tensor, GraphError> {
        self.transpose(tensor, self.perm.clone())
    }

    /// From the optimised graph's order of axes to that of the model.
    ///
    /// # Errors
    /// As [`Interface::to_graph`].
    pub fn to_model(&self, tensor: &Tensor) -> Result<Tensor, GraphError> {
        self.transpose(tensor, layout::inverse(&self.perm))
    }

    fn transpose(&self, tensor: &Tensor, perm: Vec<usize>) -> Result<Tensor, GraphError> {
        let (name, origin) = (self.name.clone(), "interface".to_string());
        exec::evaluate(&Node { name, origin, op: Op::Transpose { perm }, inputs: vec![], outputs: vec![] }, &[tensor])
    }
}

/// A graph, and how its inputs and outputs relate to those of the model it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimized {
    /// The graph.
    pub graph: Graph,
    /// Its inputs, in order.
    pub inputs: Vec<Interface>,
    /// Its outputs, in order.
    pub outputs: Vec<Interface>,
}

impl Optimized {
    /// A graph as a frontend left it.
    ///
    /// # Errors
    /// What [`Graph::check`] finds.
    pub fn new(graph: Graph) -> Result<Self, PassError> {
        graph.check().map_err(|e| PassError::new("check", e))?;
        let side = |v: &carafe_graph::ValueId| {
            let value = graph.value(*v);
            let perm = (0..value.shape.len()).collect();
            Interface { name: value.name.clone(), model_shape: value.shape.clone(), perm }
        };
        let (inputs, outputs) = (graph.inputs.iter().map(side).collect(), graph.outputs.iter().map(side).collect());
        Ok(Self { graph, inputs, outputs })
    }
}

/// A step of [`optimize`].
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Its name, as `--dump-after` takes it.
    pub name: &'static str,
    /// Rewrites the graph and returns the number of changes.
    pub run: fn(&mut Optimized) -> Result<usize, PassError>,
}

/// A pass met a graph that it cannot rewrite, or made one that is inconsistent.
#[derive(Debug, thiserror::Error)]
#[error("pass `{pass}`: {source}")]
pub struct PassError {
    /// Name of the pass.
    pub pass: &'static str,
    /// What is wrong with which node.
    pub source: GraphError,
}

impl PassError {
    pub(crate) fn new(pass: &'static str, source: GraphError) -> Self {
        Self { pass, source }
    }
}

/// All passes, in the order in which [`optimize`] runs them.
pub const PASSES: &[Pass] = &[
    Pass { name: "fold_constants", run: |o| fold_constants(&mut o.graph) },
    Pass { name: "remove_dead", run: |o| remove_dead(&mut o.graph) },
    Pass { name: "lift_fake_quantize", run: |o| lift_fake_quantize(&mut o.graph) },
    Pass { name: "make_dense", run: |o| make_dense(&mut o.graph) },
    Pass { name: "merge_reshapes", run: |o| merge_reshapes(&mut o.graph) },
    Pass { name: "raise_elementwise", run: |o| raise_elementwise(&mut o.graph) },
    Pass { name: "make_nhwc", run: make_nhwc },
    Pass { name: "remove_no_ops", run: |o| remove_no_ops(&mut o.graph) },
    Pass { name: "fold_affine", run: |o| fold_affine(&mut o.graph) },
    Pass { name: "fuse_activations", run: |o| fuse_activations(&mut o.graph) },
    Pass { name: "fold_pads", run: |o| fold_pads(&mut o.graph) },
    Pass { name: "make_global_pools", run: |o| make_global_pools(&mut o.graph) },
];

/// Every pass makes the graph smaller or more regular, so that rounds come to an end by themselves; models take two
/// or three. The limit is there for a pass that breaks this rule.
const ROUNDS: usize = 16;

/// Runs [`PASSES`] in order, again and again until none changes anything. `dump` is called with the name of each pass
/// and the graph that it left: after every pass of the first round, later only after one that changed something.
///
/// # Errors
/// [`PassError`] if the graph is inconsistent, before or after a pass.
pub fn optimize(graph: Graph, dump: &mut dyn FnMut(&str, &Graph)) -> Result<Optimized, PassError> {
    let mut optimized = Optimized::new(graph)?;
    for round in 0..ROUNDS {
        let mut changes = 0;
        for pass in PASSES {
            let changed = (pass.run)(&mut optimized)?;
            if changed > 0 {
                optimized.graph.check().map_err(|e| PassError::new(pass.name, e))?;
            }
            if changed > 0 || round == 0 {
                dump(pass.name, &optimized.graph);
            }
            changes += changed;
        }
        if changes == 0 {
            break;
        }
    }
    Ok(optimized)
}
