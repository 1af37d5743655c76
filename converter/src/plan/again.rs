//! A model in which some nodes run a second time.
//!
//! A tensor that is read early and late waits in between. A second node with the same record and the same weights makes
//! it again for the late readers, so that the first may go. The device runs one node more and knows of nothing.

use carafe::OpCode;

use crate::lower::{LowerNode, Lowered, Operand};

/// Nodes of a chain, at most.
const CHAIN: usize = 6;

/// A chain of nodes to run once more, for some of the readers of what it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// In order. Operands that none of them makes are read where they are; the last one's result is what readers get.
    pub nodes: Vec<usize>,
    /// Nodes that read the second result instead of the first, in order.
    pub readers: Vec<usize>,
}

impl Again {
    /// Every chain behind which some readers may change over: of each tensor with several the later ones, and for them its
    /// producer, or further ones before that, the latest first.
    pub fn all(model: &Lowered) -> Vec<Self> {
        let mut all = Vec::new();
        for made in (0..model.nodes.len()).filter(|&n| may_run_again(&model.nodes[n])) {
            let operand = Operand::Node(made);
            if model.outputs.iter().any(|(_, o)| *o == operand) {
                // It is there to the end in any case.
                continue;
            }
            let reads = |n: &usize| model.nodes[*n].inputs.contains(&operand);
            let readers: Vec<usize> = (made + 1..model.nodes.len()).filter(reads).collect();
            for late in 1..readers.len() {
                let mut nodes = vec![made];
                loop {
                    all.push(Self { nodes: nodes.clone(), readers: readers[late..].to_vec() });
                    let operands = nodes.iter().flat_map(|&n| &model.nodes[n].inputs);
                    let producer = |o: &Operand| match *o {
                        Operand::Node(n) if !nodes.contains(&n) && may_run_again(&model.nodes[n]) => Some(n),
                        _ => None,
                    };
                    match operands.filter_map(producer).max() {
                        Some(n) if nodes.len() < CHAIN => nodes.push(n),
                        _ => break,
                    }
                    nodes.sort_unstable();
                }
            }
        }
        all
    }

    /// Where the chain runs again: before the first of its readers.
    pub fn begin(&self) -> usize {
        self.readers.first().copied().unwrap_or(0)
    }

    /// Which nodes of the new model run again.
    pub fn made(&self) -> std::ops::Range<usize> {
        self.begin()..self.begin() + self.nodes.len()
    }

    /// Which node of the new model is this one of the old.
    pub fn moved(&self, n: usize) -> usize {
        if n < self.begin() { n } else { n + self.nodes.len() }
    }

    /// The model with the chain in it a second time.
    pub fn of(&self, model: &Lowered) -> Lowered {
        let begin = self.begin();
        let second = |n: usize| self.nodes.binary_search(&n).ok().map(|i| begin + i);
        let take = |from: &LowerNode, again: &dyn Fn(usize) -> bool| {
            let operand = |o: &Operand| match *o {
                Operand::Node(n) => Operand::Node(second(n).filter(|_| again(n)).unwrap_or(self.moved(n))),
                input @ Operand::Input(_) => input,
            };
            LowerNode { inputs: from.inputs.iter().map(operand).collect(), ..from.clone() }
        };
        let (last, mut nodes) = (self.nodes.last().copied(), Vec::new());
        for (n, node) in model.nodes.iter().enumerate() {
            if n == begin {
                nodes.extend(self.nodes.iter().map(|&n| {
                    let node = take(&model.nodes[n], &|_| true);
                    LowerNode { name: format!("{} again", node.name), ..node }
                }));
            }
            nodes.push(take(node, &|operand| last == Some(operand) && self.readers.binary_search(&n).is_ok()));
        }
        let output = |o: Operand| if let Operand::Node(n) = o { Operand::Node(self.moved(n)) } else { o };
        let outputs = model.outputs.iter().map(|(io, o)| (io.clone(), output(*o))).collect();
        Lowered { nodes, outputs, ..model.clone() }
    }
}

/// Not views, which hold nothing of their own, nor what outlives the inference; a sum over all rows is small.
fn may_run_again(node: &LowerNode) -> bool {
    ![OpCode::Concat, OpCode::Reshape, OpCode::History, OpCode::Mean, OpCode::Softmax].contains(&node.op)
}
