//! Which tensors share memory by meaning: views with what they view, in-place results with what they overwrite.

use carafe::{Need, OpCode};

use super::is_view;
use super::units::Units;
use crate::lower::{Lowered, Operand};

/// Where a tensor lies in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub group: usize,
    pub offset: u32,
    pub pixel_stride: u16,
}

/// Tensors (results of nodes, then inputs) sorted into groups that share a buffer.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    places: Vec<Place>,
    members: Vec<Vec<usize>>,
    /// By tensor: nodes that read it.
    users: Vec<Vec<usize>>,
    /// By group.
    shapes: Vec<Shape>,
}

/// What a group holds.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Bytes of the whole map.
    pub bytes: u64,
    /// Bytes of a row of the largest member.
    pub row: u64,
    /// Rows of it.
    pub h: u16,
    /// All members have such rows, so that a ring can hold them.
    pub uniform: bool,
    /// Pieces with lifetimes of their own.
    pub units: Units,
}

/// Whether a node's result takes the place of an operand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Overwrite {
    /// Of the operand made last, if nothing speaks against it; else of the other.
    #[default]
    Last,
    /// The other way round.
    First,
    /// Of none.
    Never,
}

/// Index of an operand among the tensors.
pub(super) fn tensor(model: &Lowered, operand: Operand) -> usize {
    match operand {
        Operand::Node(n) => n,
        Operand::Input(i) => model.nodes.len() + i,
    }
}

impl Storage {
    pub fn of(model: &Lowered, needs: &[Need], overwrite: &[Overwrite]) -> Self {
        let nodes = model.nodes.len();
        let tensors = nodes + model.inputs.len();
        let mut users = vec![Vec::new(); tensors];
        for (n, node) in model.nodes.iter().enumerate() {
            for &i in &node.inputs {
                users[tensor(model, i)].push(n);
            }
        }
        let info = |t: usize| if t < nodes { model.nodes[t].out } else { model.inputs[t - nodes].info };
        let mut places: Vec<Place> =
            (0..tensors).map(|t| Place { group: t, offset: 0, pixel_stride: info(t).c }).collect();

        // A joined tensor decides where its parts lie; parts come before it, so go backwards.
        for n in (0..nodes).rev() {
            if model.nodes[n].op == OpCode::Concat {
                let whole = places[n];
                let mut offset = whole.offset;
                for &i in &model.nodes[n].inputs {
                    let t = tensor(model, i);
                    places[t] = Place { offset, ..whole };
                    offset += u32::from(info(t).c);
                }
            }
        }
        let mut this = Self { places, members: vec![Vec::new(); tensors], users, shapes: Vec::new() };
        for t in 0..tensors {
            this.members[this.places[t].group].push(t);
        }
        for n in 0..nodes {
            if model.nodes[n].op == OpCode::Reshape {
                this.join(n, tensor(model, model.nodes[n].inputs[0]));
            } else if needs[n].in_place != 0 && overwrite[n] != Overwrite::Never {
                this.overwrite(model, needs, n, overwrite[n], &info);
            }
        }
        this.shapes = this.members.iter().map(|m| this.shape(m, &info)).collect();
        this
    }

    /// Puts tensor `t` where tensor `onto` lies.
    fn join(&mut self, t: usize, onto: usize) {
        let (from, to) = (self.places[t].group, self.places[onto].group);
        if from == to {
            return;
        }
        let moved = std::mem::take(&mut self.members[from]);
        for m in &moved {
            let pixel_stride = self.places[*m].pixel_stride;
            self.places[*m] = Place { group: to, offset: self.places[onto].offset, pixel_stride };
        }
        self.members[to].extend(moved);
    }

    /// Lets node `n` overwrite an operand, if nobody else reads what lies there.
    fn overwrite(
        &mut self,
        model: &Lowered,
        needs: &[Need],
        n: usize,
        how: Overwrite,
        info: &impl Fn(usize) -> carafe::TensorInfo,
    ) {
        if self.members[self.places[n].group].len() > 1 || is_view(model.nodes[n].op) {
            return;
        }
        let outputs: Vec<usize> = model.outputs.iter().map(|(_, o)| tensor(model, *o)).collect();
        let mut candidates: Vec<(usize, usize)> = (0..model.nodes[n].inputs.len())
            .map(|k| (k, tensor(model, model.nodes[n].inputs[k])))
            .filter(|&(k, _)| needs[n].in_place >> k & 1 == 1)
            .collect();
        // The operand that was made last waits the shortest, so its ring is the smaller one to grow.
        candidates.sort_by_key(|&(_, t)| std::cmp::Reverse(if t < model.nodes.len() { t + 1 } else { 0 }));
        if how == Overwrite::First {
            candidates.reverse();
        }
        for (k, t) in candidates {
            let place = self.places[t];
            // The other operand may be the same memory under another name.
            let mut others = model.nodes[n].inputs.iter().enumerate().filter(|&(i, _)| i != k);
            if others.any(|(_, &o)| self.places[tensor(model, o)].group == place.group) {
                continue;
            }
            let plain = place.offset == 0 && place.pixel_stride == info(t).c && info(t).same_shape(&info(n));
            let group = &self.members[place.group];
            let chain = |u: &usize| *u == n || group.contains(u);
            let mine =
                self.users[t] == [n] && group.iter().all(|m| self.users[*m].iter().all(chain) && !outputs.contains(m));
            // A joined tensor's parts are written out of step with each other.
            let joined = group.iter().any(|m| *m < model.nodes.len() && model.nodes[*m].op == OpCode::Concat);
            if plain && mine && !joined && !self.is_state(place.group, needs) {
                self.join(n, t);
                return;
            }
        }
    }

    fn shape(&self, members: &[usize], info: &impl Fn(usize) -> carafe::TensorInfo) -> Shape {
        let rows = |&t: &usize| (u64::from(info(t).w) * u64::from(self.places[t].pixel_stride), info(t).h);
        let all = || members.iter().map(rows);
        let (bytes, row, h) = all().map(|(row, h)| (row * u64::from(h), row, h)).max().unwrap_or((0, 0, 0));
        Shape { bytes, row, h, uniform: all().all(|r| r == (row, h)), units: Units::of(bytes, all()) }
    }

    /// True if what lies in a group outlives an inference.
    pub fn is_state(&self, group: usize, needs: &[Need]) -> bool {
        self.members[group].iter().any(|&t| needs.get(t).is_some_and(|n| n.state))
    }

    /// What a group holds.
    pub fn shape_of(&self, group: usize) -> &Shape {
        &self.shapes[group]
    }

    pub fn groups(&self) -> usize {
        self.members.len()
    }

    pub fn members(&self, group: usize) -> &[usize] {
        &self.members[group]
    }

    pub fn place(&self, t: usize) -> Place {
        self.places[t]
    }

    pub fn users(&self, t: usize) -> &[usize] {
        &self.users[t]
    }
}
