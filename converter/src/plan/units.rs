//! The pieces of a buffer whose lifetimes are told apart: rows, or what is left where tensors with rows of different
//! lengths share a buffer.

use std::ops::Range;

/// A buffer cut into pieces. A ring counts as the whole map that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Units {
    /// Bytes from piece to piece; 0 if they are not all equal.
    stride: u64,
    /// Where pieces begin, and the end.
    bounds: Vec<u64>,
}

impl Units {
    /// Of tensors with so many bytes per row and so many rows, lying in `bytes` bytes.
    pub fn of(bytes: u64, tensors: impl Iterator<Item = (u64, u16)>) -> Self {
        let mut rows: Vec<(u64, u16)> = tensors.map(|(stride, h)| (stride.max(1), h)).collect();
        rows.sort_unstable();
        rows.dedup();
        let mut bounds = vec![0, bytes];
        for &(stride, h) in &rows {
            bounds.extend((0..=u64::from(h)).map(|y| y * stride).filter(|&b| b < bytes));
        }
        bounds.sort_unstable();
        bounds.dedup();
        let same = rows.first().map(|r| r.0).filter(|&s| rows.iter().all(|r| r.0 == s) && bytes.is_multiple_of(s));
        Self { stride: same.unwrap_or(0), bounds }
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Bytes of piece `i`.
    pub fn bytes(&self, i: usize) -> Range<u64> {
        self.bounds[i]..self.bounds[i + 1]
    }

    /// The pieces that bytes touch.
    pub fn touched(&self, bytes: Range<u64>) -> Range<usize> {
        if bytes.is_empty() {
            return 0..0;
        }
        let (from, to) = match bytes.start.checked_div(self.stride) {
            Some(from) => (from as usize, bytes.end.div_ceil(self.stride) as usize),
            None => {
                let from = self.bounds.partition_point(|&b| b <= bytes.start) - 1;
                (from, self.bounds.partition_point(|&b| b < bytes.end))
            }
        };
        from.min(self.len())..to.min(self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_units_and_mixed_rows_are_cut_at_all_bounds() {
        let rows = Units::of(24, [(6, 4), (6, 4)].into_iter());
        assert_eq!((rows.len(), rows.touched(7..18)), (4, 1..3));
        let mixed = Units::of(24, [(6, 4), (8, 3), (24, 1)].into_iter());
        assert_eq!(mixed.bounds, [0, 6, 8, 12, 16, 18, 24]);
        assert_eq!(mixed.touched(8..16), 2..4);
        assert_eq!(mixed.touched(0..24), 0..6);
        assert_eq!(mixed.touched(3..3), 0..0);
    }
}
