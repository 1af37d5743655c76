//! What a run knows of jobs: which segment could be one, where it lies in memory, and that it is done.

use core::ops::Range;

use heapless::Vec;

use super::job::{Job, PORTS, Port};
use crate::blob::BufferRecord;
use crate::engine::Engine;
use crate::model::Unresolved;
use crate::schedule::{self, Counters, MADE, Plan, State};
use crate::{Model, NodeId, OpCode};

/// Memory that a node touches, and whether it writes there.
type Touch = (Range<usize>, bool);

fn meets(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn extent(offset: u32, length: u32) -> Range<usize> {
    offset as usize..(offset as usize).wrapping_add(length as usize)
}

fn all_of(b: BufferRecord) -> Range<usize> {
    extent(b.address(), b.length)
}

/// A tensor that is there as a whole, without gaps.
fn port(model: &Model<'_>, tensor: u16) -> Option<Port> {
    let t = model.tensor(tensor)?;
    (t.pixel_stride == t.c).then_some(())?;
    Some(Port { tensor, range: model.whole(tensor)? })
}

fn apart(a: &[Port], b: &[Port]) -> bool {
    a.iter().all(|a| b.iter().all(|b| !meets(&a.range, &b.range)))
}

/// A segment as a job, if it can be one.
pub(super) fn job<'a>(model: &'a Model<'a>, segment: u16) -> Option<Job<'a>> {
    let (first, count) = model.segment(segment)?;
    let mut job = Job { model, segment, first, count, inputs: Vec::new(), outputs: Vec::new(), macs: 0, elements: 0 };
    for n in job.nodes() {
        let look = model.visit(n, &mut |node, _, need| {
            let mut look = || {
                // The past of what remembers lies in the state: a device has not got it.
                (!need.state).then_some(())?;
                for t in [Some(node.header.in0), node.header.second()].into_iter().flatten() {
                    let inside = (first..n).contains(&t);
                    if inside || job.inputs.iter().any(|p| p.tensor == t) {
                        continue;
                    }
                    // Of earlier segments only sinks are complete.
                    (t >= model.nodes() || model.is_sink(t)).then_some(())?;
                    job.inputs.push(port(model, t)?).ok()?;
                }
                if model.is_sink(n) {
                    let port = port(model, n).filter(|p| apart(core::slice::from_ref(p), &job.outputs))?;
                    job.outputs.push(port).ok()?;
                }
                job.macs = job.macs.saturating_add(need.macs);
                job.elements = job.elements.saturating_add(u32::try_from(node.out.bytes()).unwrap_or(u32::MAX));
                Some(())
            };
            look().ok_or(Unresolved::Missing)
        });
        look.ok()?;
    }
    (!job.outputs.is_empty() && apart(&job.inputs, &job.outputs)).then_some(job)
}

/// What node `n` touches when the CPU runs it: result, scratch, accumulator, operands. A view touches nothing; who reads it
/// does.
fn touched(model: &Model<'_>, n: u16) -> Option<Vec<Touch, 6>> {
    let mut list = Vec::new();
    let h = model.node_header(n)?;
    if [OpCode::Concat.0, OpCode::Reshape.0].contains(&h.op) {
        return Some(list);
    }
    let buffer = |t: u16| Some(model.place(t)?.1);
    list.push((all_of(buffer(n)?), true)).ok()?;
    if let Some(s) = model.node(n).ok()?.scratch() {
        list.push((extent(s.offset, s.length), true)).ok()?;
        list.push((extent(s.other, s.length), true)).ok()?;
    }
    if let Some(aux) = h.accumulator() {
        list.push((all_of(model.buffer(aux)?), true)).ok()?;
    }
    for t in [Some(h.in0), h.second()].into_iter().flatten() {
        let b = buffer(t)?;
        // Rows may be pushed into a ring while its readers run.
        let pushed = t >= model.nodes() && b.rows != 0;
        list.push((all_of(b), pushed)).ok()?;
    }
    Some(list)
}

/// True if the segment behind the job reads nothing that the job leaves, and if the two lie apart in memory in such a
/// way that either can be run before, after and beside the other, on the device or on the CPU.
pub(super) fn independent(job: &Job<'_>) -> bool {
    let check = || {
        let model = job.model;
        let next = job.segment.checked_add(1)?;
        let (first, count) = model.segment(next)?;
        for m in first..first.checked_add(count)? {
            let h = model.node_header(m)?;
            let mut operands = [Some(h.in0), h.second()].into_iter().flatten();
            operands.all(|t| !job.nodes().contains(&t)).then_some(())?;
            let theirs = touched(model, m)?;
            for n in job.nodes() {
                let mine = touched(model, n)?;
                let free = |(a, written): &Touch| theirs.iter().all(|(b, too)| !(*written || *too) || !meets(a, b));
                mine.iter().all(free).then_some(())?;
            }
        }
        Some(())
    };
    check().is_some()
}

impl<'r> Engine<'r, '_> {
    /// The segment that the run is about to begin, if it stands at the beginning of one.
    pub fn beginning(&mut self) -> Option<u16> {
        while self.state.at_rest() {
            let segment = self.state.segment();
            let (first, count) = self.model.segment(segment)?;
            if !self.segment_over() {
                let mut sinks = (first..first.saturating_add(count)).filter(|&n| self.model.is_sink(n));
                return sinks.all(|n| self.progress(n) == 0).then_some(segment);
            }
            self.state = State::begin(segment.saturating_add(1));
        }
        None
    }

    /// True if all sinks of the segment at work are complete.
    pub fn segment_over(&mut self) -> bool {
        let model = self.model;
        let Some((first, count)) = model.segment(self.state.segment()) else { return true };
        self.state.at_rest() && schedule::sink(self, (first, count)).is_none()
    }

    /// Goes to the beginning of a segment.
    pub fn go_to(&mut self, segment: u16) {
        self.state = State::begin(segment);
    }

    /// A segment as a job.
    pub fn job(&self, segment: u16) -> Option<Job<'r>> {
        job(self.model, segment)
    }

    /// What a job leaves is there. Gives the nodes to be shown to a probe, with their rows.
    pub fn complete(&mut self, job: &Job<'_>) -> Vec<(NodeId, u16), PORTS> {
        let mut made = Vec::new();
        for port in job.inputs.iter().chain(&job.outputs) {
            self.touch(&port.range);
        }
        for port in &job.outputs {
            let n = port.tensor;
            let Some(t) = self.model.tensor(n) else { continue };
            let reduction = self.model.is_reduction(n);
            // Heads are for rings, and this is none.
            self.set_progress(n, if reduction { MADE } else { t.h });
            // There are as many places as ports.
            let _ = made.push((NodeId(n), t.h));
        }
        made
    }
}
