//! Orders of axes. `order` applied to a value makes a tensor whose axis i is the value's axis `order[i]`.

/// The order that makes NHWC of NCHW.
pub(super) const NHWC: &[usize] = &[0, 2, 3, 1];

pub(super) fn identity(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

/// Undoes an order.
pub(in crate::passes) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, &a)| back[a] = i);
    back
}

/// `items`, one an axis, in the given order.
pub(super) fn permuted(items: &[usize], order: &[usize]) -> Vec<usize> {
    order.iter().map(|&a| items[a]).collect()
}

/// The permutation that makes of a tensor in order `have` one in order `want`.
pub(super) fn relative(have: &[usize], want: &[usize]) -> Vec<usize> {
    permuted(&inverse(have), want)
}

/// True if `perm` leaves all axes with more than one element in their order, so that no data moves.
pub(super) fn moves_only_ones(shape: &[usize], perm: &[usize]) -> bool {
    perm.iter().filter(|&&a| shape[a] != 1).is_sorted()
}

/// The order in which a value of shape `from`, stored in `order`, becomes one of shape `to` without moving data, if
/// there is one: each run of axes that is split or joined must lie together and in its own order.
pub(super) fn reshaped(from: &[usize], to: &[usize], order: &[usize]) -> Option<Vec<usize>> {
    let wide = |s: &[usize]| (0..s.len()).filter(|&a| s[a] != 1).collect::<Vec<_>>();
    let (from_axes, to_axes) = (wide(from), wide(to));
    let stored: Vec<usize> = order.iter().copied().filter(|&a| from[a] != 1).collect();

    // Runs of axes of equal extent on both sides, each with its place in the stored tensor.
    let mut runs: Vec<(usize, &[usize])> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < from_axes.len() {
        let (i0, j0) = (i, j);
        let (mut a, mut b) = (from[from_axes[i]], to[*to_axes.get(j)?]);
        (i, j) = (i + 1, j + 1);
        while a != b {
            if a < b {
                a *= from[*from_axes.get(i)?];
                i += 1;
            } else {
                b *= to[*to_axes.get(j)?];
                j += 1;
            }
        }
        let place = stored.iter().position(|&a| a == from_axes[i0])?;
        if stored.get(place..place + (i - i0))? != &from_axes[i0..i] {
            return None;
        }
        runs.push((place, &to_axes[j0..j]));
    }
    runs.sort_unstable();
    let sequence: Vec<usize> = runs.iter().flat_map(|r| r.1).copied().collect();
    // Extents of 1 may stand anywhere; orders that other ops like come first.
    let first = to_axes.first().copied().unwrap_or(0);
    let others = (first..to.len()).filter(|&a| to[a] == 1);
    let general: Vec<usize> = (0..first).chain(sequence.iter().copied()).chain(others).collect();
    let candidates = [identity(to.len()), NHWC.to_vec(), inverse(NHWC), general];
    candidates
        .into_iter()
        .find(|c| c.len() == to.len() && c.iter().copied().filter(|&a| to[a] != 1).eq(sequence.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_compose() {
        let (a, b) = ([0, 2, 3, 1], [3, 1, 0, 2]);
        assert_eq!(permuted(&a, &inverse(&a)), identity(4));
        assert_eq!(permuted(&a, &relative(&a, &b)), b);
    }

    #[test]
    fn reshapes_that_need_no_move() {
        // Flattening one pixel.
        assert_eq!(reshaped(&[1, 64, 1, 1], &[1, 64], NHWC), Some(vec![0, 1]));
        // Rows and columns joined, channels stay innermost.
        assert_eq!(reshaped(&[1, 8, 4, 5], &[1, 8, 20], NHWC), Some(vec![0, 2, 1]));
        assert_eq!(reshaped(&[1, 8, 20], &[1, 8, 4, 5], &[0, 2, 1]), Some(NHWC.to_vec()));
        // Stored as it is.
        assert_eq!(reshaped(&[1, 8, 4, 5], &[1, 160], &identity(4)), Some(vec![0, 1]));
        assert_eq!(reshaped(&[1, 1, 1, 1], &[], NHWC), Some(vec![]));
        assert_eq!(reshaped(&[], &[1, 1], &[]), Some(vec![0, 1]));
        // Channels split in two groups.
        assert_eq!(reshaped(&[1, 8, 5], &[1, 2, 4, 5], &[0, 2, 1]), Some(vec![0, 3, 1, 2]));
    }

    #[test]
    fn reshapes_that_mix_what_is_apart() {
        assert_eq!(reshaped(&[1, 8, 4, 5], &[1, 160], NHWC), None);
        assert_eq!(reshaped(&[1, 8, 4, 5], &[1, 32, 5], NHWC), None);
        assert_eq!(reshaped(&[2, 3], &[3, 2], &[1, 0]), None);
    }
}
