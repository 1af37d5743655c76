//! Surroundings for one kernel: operands that are copied into slices and rings before it, and a result that is copied
//! out of one behind it, so that it meets every way in which tensors may lie.

use carafe::{OpCode, Window};
use proptest::prelude::*;

use crate::support::{Builder, From, Place};

/// How the operands and the result of a kernel lie.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Rows per step of the node before.
    pub before: usize,
    /// Rows per step of the kernel.
    pub band: usize,
    /// The operand lies in a ring, with so many rows more than needed.
    pub ring_in: Option<usize>,
    /// The result lies in a ring of so many bands.
    pub ring_out: Option<usize>,
    /// Rows that the first bands of the node before and of the kernel are shorter.
    pub lead: [usize; 2],
    /// Channels to the left and right of the operand's.
    pub beside_in: [usize; 2],
    /// Channels to the left and right of the result's.
    pub beside_out: [usize; 2],
    /// Rows of a ring that the input is pushed into, beyond those that one step needs; or it is there as a whole.
    pub push: Option<usize>,
}

pub fn frame() -> impl Strategy<Value = Frame> {
    let beside = || prop_oneof![Just([0, 0]), [0usize..3, 0usize..3]];
    (
        (1usize..4, 1usize..4).prop_flat_map(|(before, band)| (Just(before), Just(band), 0..before, 0..band)),
        proptest::option::of(0usize..3),
        proptest::option::of(1usize..3),
        beside(),
        beside(),
        proptest::option::of(0usize..2),
    )
        .prop_map(|((before, band, lead_in, lead_out), ring_in, ring_out, beside_in, beside_out, push)| Frame {
            before,
            band,
            ring_in,
            ring_out,
            lead: [lead_in, lead_out],
            beside_in,
            beside_out,
            push,
        })
}

impl Frame {
    fn beside(b: &mut Builder, hwc: [usize; 3], zero_point: i8, rows: usize, [left, right]: [usize; 2]) -> Place {
        b.slice(hwc, zero_point, rows, left + hwc[2] + right, left)
    }

    /// An input of the model that lies as the frame says, on the way to an operand.
    pub fn input(&self, b: &mut Builder, hwc: [usize; 3], zero_point: i8) -> From {
        let rows = self.push.map_or(0, |more| self.before + more);
        let place = b.alone(hwc, zero_point, rows);
        b.input(place)
    }

    /// Rows that a ring of the operand needs at least: those of a band of the kernel, and what the node before makes
    /// beyond them.
    fn held(&self, h: usize, out_h: usize, window: Window) -> usize {
        let first = self.band - self.lead[1];
        let bands = std::iter::once((0, first)).chain((first..out_h).step_by(self.band).map(|y0| (y0, y0 + self.band)));
        let most = bands.map(|(y0, y1)| {
            let (lo, hi) = window.rows(y0 as u16, y1.min(out_h) as u16, h as u16);
            usize::from(hi - lo)
        });
        let most = most.max().unwrap_or(1).max(1) + self.before - 1 + self.ring_in.unwrap_or(0);
        most.next_multiple_of(self.before)
    }

    /// The bands of operand and result are the same.
    pub fn in_place(&self) -> Self {
        Self { before: self.band, lead: [self.lead[1]; 2], ..*self }
    }

    /// A place for the operand.
    pub fn operand(&self, b: &mut Builder, hwc: [usize; 3], zero_point: i8, out_h: usize, window: Window) -> Place {
        let rows = if self.ring_in.is_some() { self.held(hwc[0], out_h, window) } else { 0 };
        Place { lead: self.lead[0] as u8, ..Self::beside(b, hwc, zero_point, rows, self.beside_in) }
    }

    /// A place for the result.
    pub fn result(&self, b: &mut Builder, hwc: [usize; 3], zero_point: i8) -> Place {
        let rows = self.ring_out.map_or(0, |n| n * self.band);
        Place { lead: self.lead[1] as u8, ..Self::beside(b, hwc, zero_point, rows, self.beside_out) }
    }

    /// Copies a result to an output of the model.
    pub fn output(&self, b: &mut Builder, from: From, hwc: [usize; 3], zero_point: i8) {
        // In the same bands: a ring of the result holds no more.
        let place = Place { lead: self.lead[1] as u8, ..b.alone(hwc, zero_point, 0) };
        let copied = b.copy(from, place, self.band);
        b.output(copied);
    }

    /// A model of one kernel with one operand. `aux` bytes of accumulator if it is a reduction.
    #[expect(clippy::too_many_arguments, reason = "a test's table of what varies")]
    pub fn unary(
        &self,
        mut b: Builder,
        op: OpCode,
        fields: Vec<u8>,
        (x, zx): ([usize; 3], i8),
        (y, zy): ([usize; 3], i8),
        window: Window,
        aux: usize,
    ) -> Vec<u8> {
        let input = self.input(&mut b, x, zx);
        let place = self.operand(&mut b, x, zx, y[0], window);
        let operand = b.copy(input, place, self.before);
        let place = self.result(&mut b, y, zy);
        let node = b.node(op, fields, &[operand], place, self.band);
        if aux > 0 {
            b.reduction(aux);
        }
        self.output(&mut b, node, y, zy);
        b.finish()
    }
}
