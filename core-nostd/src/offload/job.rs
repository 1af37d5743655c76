use core::ops::Range;

use heapless::Vec;

use crate::memory::Regions;
use crate::{Model, Need, Node};

/// Tensors that a job may read, and that it may leave.
pub const PORTS: usize = 4;

/// A tensor at the border of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Index of the tensor: the result of the node of that index, or, behind them, an input of the graph.
    pub tensor: u16,
    /// Where it lies in the arena: rows, columns and channels without gaps.
    pub range: Range<usize>,
}

/// One segment of a model: consecutive nodes, what they read of others, and what they leave for others.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    pub(super) model: &'a Model<'a>,
    pub(super) segment: u16,
    pub(super) first: u16,
    pub(super) count: u16,
    pub(super) inputs: Vec<Port, PORTS>,
    pub(super) outputs: Vec<Port, PORTS>,
    pub(super) macs: u32,
    pub(super) elements: u32,
}

impl<'a> Job<'a> {
    /// The model.
    pub fn model(&self) -> &'a Model<'a> {
        self.model
    }

    /// Index of the segment.
    pub fn segment(&self) -> u16 {
        self.segment
    }

    /// Its first node.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// Number of its nodes.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Its nodes: operands come before their users.
    pub fn nodes(&self) -> Range<u16> {
        self.first..self.first.saturating_add(self.count)
    }

    /// Node `n`. Its tensors say where the CPU would have them: on the device only extents and zero points matter.
    pub fn node(&self, n: u16) -> Option<Node<'a>> {
        self.model.node(n).ok().filter(|_| self.nodes().contains(&n))
    }

    /// What node `n` needs.
    pub fn need(&self, n: u16) -> Option<Need> {
        self.model.need(n).filter(|_| self.nodes().contains(&n))
    }

    /// What it reads, in the order in which the nodes ask for it, each tensor once.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What it leaves, in the order of the nodes.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Multiplications of all its nodes. (At most the greatest number there is.)
    pub fn macs(&self) -> u32 {
        self.macs
    }

    /// Elements of the results of all its nodes.
    pub fn elements(&self) -> u32 {
        self.elements
    }

    /// Bytes that go to the device and come back.
    pub fn transfer(&self) -> usize {
        self.inputs.iter().chain(&self.outputs).fold(0usize, |sum, port| sum.saturating_add(port.range.len()))
    }
}

/// What is lent to a device at a poll.
#[derive(Debug)]
pub struct Io<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) memory: Regions<'a>,
}

impl<'a> Io<'a> {
    /// The job.
    pub fn job(&self) -> &'a Job<'a> {
        self.job
    }

    /// The bytes of what the job reads, `k` counted as in [`Job::inputs`].
    pub fn input(&self, k: usize) -> Option<&[u8]> {
        self.memory.get(self.job.inputs.get(k)?.range.clone())
    }

    /// The bytes of what the job leaves, `k` counted as in [`Job::outputs`].
    pub fn output(&mut self, k: usize) -> Option<&mut [u8]> {
        self.memory.get_mut(self.job.outputs.get(k)?.range.clone())
    }
}
