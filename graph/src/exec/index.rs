//! Walking over strided tensors.

/// Row-major strides of a shape, in elements.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut s = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        s[i - 1] = s[i] * shape[i];
    }
    s
}

/// Strides of an operand of shape `from` that is broadcast to `to`: 0 where its extent is stretched.
pub(super) fn broadcast_strides(from: &[usize], to: &[usize]) -> Vec<usize> {
    let own = strides(from);
    let lead = to.len() - from.len();
    (0..to.len()).map(|i| if i < lead || from[i - lead] == 1 { 0 } else { own[i - lead] }).collect()
}

/// A nest of loops over `N` strided operands.
pub(super) struct Walk<const N: usize> {
    extents: Vec<usize>,
    strides: Vec<[usize; N]>,
}

impl<const N: usize> Walk<N> {
    /// Adjacent axes that every operand steps through evenly become one, so that the innermost loop is long.
    pub(super) fn new(shape: &[usize], operands: [&[usize]; N]) -> Self {
        let (mut extents, mut strides) = (Vec::new(), Vec::<[usize; N]>::new());
        for (axis, &extent) in shape.iter().enumerate().filter(|(_, e)| **e != 1) {
            let inner: [usize; N] = std::array::from_fn(|k| operands[k][axis]);
            match (extents.last_mut(), strides.last_mut()) {
                (Some(e), Some(s)) if (0..N).all(|k| s[k] == inner[k] * extent) => {
                    *e *= extent;
                    *s = inner;
                }
                _ => {
                    extents.push(extent);
                    strides.push(inner);
                }
            }
        }
        if extents.is_empty() {
            extents.push(1);
            strides.push([1; N]);
        }
        Self { extents, strides }
    }

    /// Calls `row` for each innermost loop, in order: offsets of its first elements, strides, and its length.
    pub(super) fn rows(&self, mut row: impl FnMut([usize; N], [usize; N], usize)) {
        let last = self.extents.len() - 1;
        let mut at = vec![0; last];
        let mut offset = [0; N];
        loop {
            row(offset, self.strides[last], self.extents[last]);
            let mut axis = last;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                at[axis] += 1;
                if at[axis] < self.extents[axis] {
                    (0..N).for_each(|k| offset[k] += self.strides[axis][k]);
                    break;
                }
                at[axis] = 0;
                (0..N).for_each(|k| offset[k] -= self.strides[axis][k] * (self.extents[axis] - 1));
            }
        }
    }
}
