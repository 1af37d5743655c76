//! A model on its way to a plan: what does not depend on where it is cut.

use std::sync::Arc;

use carafe::schedule::Demand;
use carafe::{Need, NodeId, Window};

use super::cost::{Cost, cost};
use super::storage::{Overwrite, Storage, tensor};
use super::{PlanError, PlanOptions, lead};
use crate::lower::Lowered;

/// What a model needs when its nodes make bands of given heights and overwrite given operands.
#[derive(Clone, Debug)]
pub(super) struct Net<'a> {
    pub model: &'a Lowered,
    pub push_rows: bool,
    pub bands: Vec<u8>,
    pub overwrite: Vec<Overwrite>,
    /// What kernels ask for; of scratch, what they get.
    pub needs: Vec<Need>,
    /// By node: the most scratch that it gets; [`USUAL`]: the least with which it is fast.
    pub caps: Vec<u32>,
    /// By node: amounts of scratch that its kernel would take, from the least on.
    pub offers: Vec<Vec<u32>>,
    pub storage: Arc<Storage>,
    pub demands: Vec<Demand>,
    /// By node: the last node that reads its result; none reads on behalf of the user, who reads at the end.
    pub last_reader: Vec<usize>,
    /// By group: from the node that makes the first of it (0 for inputs) to the last that reads of it.
    pub spans: Vec<Span>,
    /// By node: the operand that it overwrites.
    pub in_place: Vec<Option<u8>>,
}

/// A cap: what kernels take without asking what more would be good for.
pub(super) const USUAL: u32 = u32::MAX;

/// Which nodes need a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// It is there before the first node.
    pub input: bool,
    /// First node that makes any of it.
    pub first: usize,
    /// Last node that reads of it; behind the last node, if the user does.
    pub last: usize,
    /// It has to be there as a whole, wherever the cuts are.
    pub whole: bool,
}

impl Span {
    /// Memory that a cut before node `n` finds in use.
    pub fn crosses(&self, n: usize) -> bool {
        (self.input || self.first < n) && self.last >= n
    }
}

impl<'a> Net<'a> {
    pub fn new(
        model: &'a Lowered,
        options: &PlanOptions,
        bands: Vec<u8>,
        overwrite: Vec<Overwrite>,
        caps: Vec<u32>,
    ) -> Result<Self, PlanError> {
        let nodes = model.nodes.len();
        let mut needs = (0..nodes).map(|n| need(model, n, bands[n])).collect::<Result<Vec<Need>, _>>()?;
        let offers: Vec<Vec<u32>> = (0..nodes).map(|n| offers(model, n, bands[n], &needs[n])).collect();
        for ((need, offers), &cap) in needs.iter_mut().zip(&offers).zip(&caps) {
            need.scratch = granted(offers, cap);
        }
        let storage = Arc::new(Storage::of(model, &needs, &overwrite));
        let tensors = nodes + model.inputs.len();
        let mut outputs = vec![false; tensors];
        for (_, o) in &model.outputs {
            outputs[tensor(model, *o)] = true;
        }
        let reader = |t: usize| match storage.users(t).iter().max() {
            Some(&last) if !outputs[t] => last,
            None if !outputs[t] && t >= nodes => 0,
            // What nobody reads is made all the same, as an output is.
            _ => nodes,
        };
        let last_reader: Vec<usize> = (0..tensors).map(reader).collect();
        let span = |g: usize| {
            let members = storage.members(g);
            let gathers = |&u: &usize| needs[u].view && needs[u].windows[0] == Window::ALL;
            Span {
                input: members.iter().any(|&t| t >= nodes),
                first: members.iter().copied().min().unwrap_or(0),
                last: members.iter().map(|&t| last_reader[t]).max().unwrap_or(0),
                whole: !storage.shape_of(g).uniform
                    || storage.is_state(g, &needs)
                    || members.iter().any(|&t| outputs[t] || storage.users(t).iter().any(gathers)),
            }
        };
        let spans = (0..storage.groups()).map(span).collect();
        let demands = (0..nodes)
            .map(|n| {
                let mut node = model.node(n);
                node.header.band = bands[n];
                node.header.in0 = tensor(model, model.nodes[n].inputs[0]) as u16;
                if let Some(&i) = model.nodes[n].inputs.get(1) {
                    node.header.in1 = tensor(model, i) as u16;
                }
                carafe::demand(&node, &needs[n])
            })
            .collect();
        let in_place = (0..nodes)
            .map(|n| {
                let (y, out) = (storage.place(n), model.nodes[n].out);
                let same =
                    |&i: &crate::lower::Operand| storage.place(tensor(model, i)) == y && model.info(i).same_shape(&out);
                model.nodes[n].inputs.iter().take(2).position(same).map(|k| k as u8)
            })
            .collect();
        let push_rows = options.push_rows;
        let mut net = Self {
            model,
            push_rows,
            bands,
            overwrite,
            needs,
            caps,
            offers,
            storage,
            demands,
            last_reader,
            spans,
            in_place,
        };
        lead::choose(&mut net, 0, nodes);
        Ok(net)
    }

    /// Has node `n` make other bands, which begin where those before did. False, and nothing is changed, if it can't.
    pub fn set_band(&mut self, n: usize, band: u8) -> Result<bool, PlanError> {
        let (before, mut after) = (self.needs[n], need(self.model, n, band)?);
        if before.consumes
            || before.state
            || (after.in_place, after.aux, after.view) != (before.in_place, before.aux, before.view)
        {
            return Ok(false);
        }
        self.offers[n] = offers(self.model, n, band, &after);
        after.scratch = granted(&self.offers[n], self.caps[n]);
        (self.bands[n], self.needs[n], self.demands[n].band) = (band, after, band);
        self.demands[n].inputs.iter_mut().zip(after.windows).for_each(|(i, w)| i.iter_mut().for_each(|i| i.2 = w));
        Ok(true)
    }

    /// More rows a step would be of use to node `n`: it makes fewer now, and its map has about as many.
    pub fn useful(&self, n: usize, band: u8) -> bool {
        self.bands[n] < band && u16::from(band) < self.model.nodes[n].out.h + u16::from(band / 2)
    }

    /// Grants node `n` scratch of at most `cap` bytes.
    pub fn set_cap(&mut self, n: usize, cap: u32) {
        self.caps[n] = cap;
        self.needs[n].scratch = granted(&self.offers[n], cap);
    }

    /// What an inference costs.
    pub fn cost(&self) -> Cost {
        (0..self.nodes()).map(|n| cost(self, n, self.bands[n])).sum()
    }

    /// The time of it, in the unit of [`Cost::time`].
    pub fn time(&self) -> u64 {
        self.cost().time
    }

    pub fn nodes(&self) -> usize {
        self.model.nodes.len()
    }

    /// Rows that the first band of a group is shorter than the others.
    pub fn lead(&self, group: usize) -> u8 {
        self.storage.members(group).first().and_then(|&t| self.demands.get(t)).map_or(0, |d| d.lead)
    }

    /// Bytes of row counters in front of the first buffer.
    pub fn floor(&self) -> u64 {
        carafe_counters(self.nodes(), self.model.inputs.len(), self.buffers())
    }

    /// Number of buffers.
    pub fn buffers(&self) -> usize {
        let groups = (0..self.storage.groups()).filter(|&g| !self.storage.members(g).is_empty()).count();
        groups + self.needs.iter().filter(|n| n.aux > 0).count()
    }

    /// Node `n` reads both operands from one buffer, and overwrites neither.
    pub fn shares(&self, n: usize) -> bool {
        let group =
            |k: usize| self.model.nodes[n].inputs.get(k).map(|&i| self.storage.place(tensor(self.model, i)).group);
        self.in_place[n].is_none() && group(1).is_some() && group(0) == group(1)
    }

    /// Bytes that a cut before node `n` finds in use.
    pub fn crossing(&self, n: usize) -> u64 {
        let live = |g: &usize| !self.storage.members(*g).is_empty() && self.spans[*g].crosses(n);
        (0..self.spans.len()).filter(live).map(|g| self.storage.shape_of(g).bytes).sum()
    }
}

/// Bytes of the counters at the front of an arena: two per tensor, asker and buffer.
fn carafe_counters(nodes: usize, inputs: usize, buffers: usize) -> u64 {
    2 * (2 * nodes + inputs + buffers) as u64
}

/// Scratch is an amount with which a kernel is faster, or none: what lies between two of them is of no use.
fn granted(offers: &[u32], cap: u32) -> u32 {
    let within = || offers.iter().rev().find(|&&offer| offer <= cap);
    let offer = if cap == USUAL { offers.first() } else { within() };
    offer.copied().unwrap_or(0)
}

/// Amounts of scratch that a node would take, from the least on, if it makes bands of so many rows.
fn offers(model: &Lowered, n: usize, band: u8, need: &Need) -> Vec<u32> {
    let mut node = model.node(n);
    node.header.band = band;
    let mut offers: Vec<u32> = carafe::ops::scratches(&node, need.scratch).collect();
    offers.sort_unstable();
    offers.dedup();
    offers
}

/// What a node needs when it makes bands of so many rows.
pub(super) fn need(model: &Lowered, n: usize, band: u8) -> Result<Need, PlanError> {
    let from = &model.nodes[n];
    let refuse = |fault| PlanError::Node { node: from.name.clone(), op: from.op.name(), fault };
    let entry = carafe::ops::ALL.find(from.op, 1, model.arithmetic).ok_or(refuse(carafe::Fault::Field))?;
    let mut node = model.node(n);
    node.id = NodeId(n as u16);
    node.header.band = band;
    entry.check(&node).map_err(refuse)
}
