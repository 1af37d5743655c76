//! What convolutions and pools have in common: windows over an operand with padding.

use crate::{Fault, Node, Rows, TensorInfo, Window};

/// Windows in two dimensions; of each pair, the first is that of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// Taps.
    pub kernel: [u8; 2],
    /// From window to window.
    pub stride: [u8; 2],
    /// From tap to tap.
    pub dilation: [u8; 2],
    /// Padding above and to the left.
    pub pad: [u8; 2],
}

/// Taps that lie next to each other.
pub(super) struct Taps<'a> {
    /// Index of the first one in the window, row by row.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// The operand from the pixel of the first tap on; `None` if the taps lie in the padding.
    pub pixels: Option<&'a [u8]>,
}

impl Windows {
    /// Each the pixel where it is.
    pub const PIXEL: Self = Self { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };

    /// Taps of a window.
    pub fn taps(&self) -> usize {
        usize::from(self.kernel[0]) * usize::from(self.kernel[1])
    }

    /// True if the window of a pixel is that pixel.
    pub fn is_pixel(&self) -> bool {
        (self.kernel, self.stride, self.pad) == ([1; 2], [1; 2], [0; 2])
    }

    /// The index of a tap when they are counted column by column.
    pub fn by_column(&self, tap: usize) -> Option<usize> {
        let [kernel_h, kernel_w] = self.kernel.map(usize::from);
        Some(tap.checked_rem(kernel_w)? * kernel_h + tap.checked_div(kernel_w)?)
    }

    /// The rows that the schedule has to have ready.
    #[inline(never)]
    pub fn rows(&self) -> Result<Window, Fault> {
        // Not `contains`: a search in memory would be linked for six bytes.
        if !self.kernel.iter().chain(&self.stride).chain(&self.dilation).all(|&n| n != 0) {
            return Err(Fault::Field);
        }
        Ok(self.window())
    }

    /// [`Windows::rows`] of what has been checked.
    #[inline]
    pub fn window(&self) -> Window {
        Window {
            num: u16::from(self.stride[0]),
            den: 1,
            pad: u16::from(self.pad[0]),
            extent: u16::from(self.kernel[0]).saturating_sub(1) * u16::from(self.dilation[0]) + 1,
        }
    }

    /// Row (0) or column (1) of the operand that tap `k` of output `o` reads; `None` if it lies in the padding.
    #[inline(never)]
    pub fn tap(&self, axis: usize, o: u16, k: u8, extent: u16) -> Option<u16> {
        let of = |pair: [u8; 2]| u32::from(if axis == 0 { pair[0] } else { pair[1] });
        let at = u32::from(o) * of(self.stride) + u32::from(k) * of(self.dilation);
        let at = at.checked_sub(of(self.pad))?;
        (at < u32::from(extent)).then_some(at as u16)
    }

    /// Calls `f` with all taps of the window of output row `oy`, column `ox` on operand `x`: one by one, or, if `join`
    /// is set and pixels lie next to each other, as many at once as do. `None` if rows are not among those lent, or `f`
    /// gives that.
    #[inline(never)]
    pub fn each(
        &self,
        (x, rows): (&TensorInfo, &Rows<'_>),
        (oy, ox): (u16, u16),
        join: bool,
        f: &mut dyn FnMut(Taps<'_>) -> Option<()>,
    ) -> Option<()> {
        let [kernel_h, kernel_w] = self.kernel;
        let join = join && rows.contiguous() && self.dilation[1] == 1;
        for ky in 0..kernel_h {
            let row = match self.tap(0, oy, ky, x.h) {
                Some(y) => Some(rows.row(y)?),
                None => None,
            };
            let mut kx = 0u8;
            while kx < kernel_w {
                let left = kernel_w - kx;
                let (count, pixels) = match (row, row.and_then(|_| self.tap(1, ox, kx, x.w))) {
                    (Some(row), Some(ix)) => {
                        let count = if join { u16::from(left).min(x.w - ix) as u8 } else { 1 };
                        (count, Some(row.get(usize::from(ix) * rows.pixel_stride()..)?))
                    }
                    (Some(_), None) => (1, None),
                    (None, _) => (if join { left } else { 1 }, None),
                };
                let first = usize::from(ky) * usize::from(kernel_w) + usize::from(kx);
                f(Taps { first, count: usize::from(count), pixels })?;
                kx += count;
            }
        }
        Some(())
    }
}

/// The weights of a layer, from a channel on.
#[derive(Clone, Copy)]
pub(super) struct Weights<'m> {
    pub bytes: &'m [u8],
    /// Bytes of a channel of the result: those of fours, pairs and quads are interleaved, and filled up to a multiple of 4.
    pub per_channel: usize,
    /// [`super::PLAIN`], and so on.
    pub packing: u8,
}

impl<'m> Weights<'m> {
    /// Weights of `taps`·`depth` elements per channel of the result (`depth`: channels that one of them reads), and the
    /// parameters behind them, `channel` bytes each. `place`: offset, packing.
    #[inline(never)]
    pub fn of(
        node: &Node<'m>,
        (offset, packing): (u32, u8),
        taps: usize,
        depth: u16,
        channel: usize,
    ) -> Result<(Self, &'m [u8]), Fault> {
        // At most 2^16 taps: neither this nor the next product exceeds 32 bits.
        let mut per_channel = (taps as u32).wrapping_mul(u32::from(depth));
        match packing {
            super::PAIRS | super::FOURS | super::QUADS => {
                per_channel = per_channel.checked_next_multiple_of(4).ok_or(Fault::Shape)?
            }
            super::PLAIN | super::COLUMNS => {}
            _ => return Err(Fault::Field),
        }
        let length = per_channel.checked_mul(u32::from(node.out.c)).ok_or(Fault::Shape)?;
        let (bytes, channels) = node.layer(offset, length as usize, channel)?;
        Ok((Self { bytes, per_channel: per_channel as usize, packing }, channels))
    }

    /// As [`Weights::of`]; also gives the multiplications of the node.
    #[inline(never)]
    pub fn check(
        node: &Node<'m>,
        place: (u32, u8),
        taps: usize,
        depth: u16,
        channel: usize,
    ) -> Result<(Self, u32), Fault> {
        let y = &node.out;
        let (weights, _) = Self::of(node, place, taps, depth, channel)?;
        let one = (taps as u32).wrapping_mul(u32::from(depth)).saturating_mul(u32::from(y.c));
        Ok((weights, one.saturating_mul(u32::from(y.h) * u32::from(y.w))))
    }

    pub fn pairs(&self) -> bool {
        matches!(self.packing, super::PAIRS | super::FOURS)
    }

    pub fn fours(&self) -> bool {
        self.packing == super::FOURS
    }

    pub fn quads(&self) -> bool {
        self.packing == super::QUADS
    }

    pub fn columns(&self) -> bool {
        self.packing == super::COLUMNS
    }

    /// Without the first `channels`, an even number; of fours, a multiple of four, or all but the last of an odd number.
    #[inline]
    pub fn skip(&self, channels: usize) -> Self {
        Self { bytes: self.bytes.get(channels * self.per_channel..).unwrap_or_default(), ..*self }
    }
}
