use crate::{NodeId, OpCode, Rows};

/// Sees what a run does: layer-diff, per-layer accuracy and profiles are built on it. With line buffers no whole
/// tensor exists afterwards, so rows are shown as they are made.
pub trait Probe {
    /// False if it is shown nothing: then nothing is looked up for it either.
    #[inline]
    fn sees(&self) -> bool {
        true
    }

    /// A step of `node` begins.
    fn begin(&mut self, node: NodeId, op: OpCode) {
        let _ = (node, op);
    }

    /// Rows `y.start..y.end` of the result of `node` have been made.
    fn rows(&mut self, node: NodeId, y: core::ops::Range<u16>, rows: &Rows<'_>) {
        let _ = (node, y, rows);
    }

    /// The step ends.
    fn end(&mut self, node: NodeId) {
        let _ = node;
    }
}

/// Sees nothing, costs nothing.
impl Probe for () {
    #[inline]
    fn sees(&self) -> bool {
        false
    }
}

impl<P: Probe + ?Sized> Probe for &mut P {
    fn sees(&self) -> bool {
        (**self).sees()
    }
    fn begin(&mut self, node: NodeId, op: OpCode) {
        (**self).begin(node, op);
    }
    fn rows(&mut self, node: NodeId, y: core::ops::Range<u16>, rows: &Rows<'_>) {
        (**self).rows(node, y, rows);
    }
    fn end(&mut self, node: NodeId) {
        (**self).end(node);
    }
}
