//! What convolutions and pools share: windows that slide over rows and columns.

use carafe_graph::{Op, Pads, ValueId};

use super::super::{attributes, build::Cx, fault::Fault};

/// Padding as a layer has it.
pub(super) enum Auto {
    Explicit,
    SameUpper,
    SameLower,
    Valid,
}

impl Auto {
    pub fn parse(cx: &Cx<'_, '_>) -> Result<Self, Fault> {
        match attributes::word(cx.layer, "auto_pad", "explicit").as_str() {
            "explicit" | "notset" => Ok(Self::Explicit),
            "same_upper" => Ok(Self::SameUpper),
            "same_lower" => Ok(Self::SameLower),
            "valid" => Ok(Self::Valid),
            other => {
                Err(Fault::invalid(format!("`auto_pad` is {other}, none of explicit, same_upper, same_lower, valid")))
            }
        }
    }
}

/// Extents along the two spatial axes; a one-dimensional layer is one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane<T>(pub [T; 2]);

impl<T: Copy> Plane<T> {
    /// Fills the row axis of a one-dimensional layer with `one`.
    pub fn of(list: &[T], one: T) -> Result<Self, Fault> {
        match *list {
            [x] => Ok(Self([one, x])),
            [y, x] => Ok(Self([y, x])),
            _ => Err(Fault::unsupported(format!("{} spatial axes are not supported, one and two are", list.len()))),
        }
    }
}

/// Pads before and after, along one axis.
pub(super) fn pads(
    auto: &Auto,
    explicit: (usize, usize),
    extent: usize,
    window: usize,
    stride: usize,
) -> (usize, usize) {
    let total = || ((extent.div_ceil(stride).max(1) - 1) * stride + window).saturating_sub(extent);
    match auto {
        Auto::Explicit => explicit,
        Auto::Valid => (0, 0),
        Auto::SameUpper => (total() / 2, total() - total() / 2),
        Auto::SameLower => (total() - total() / 2, total() / 2),
    }
}

/// Both axes' pads in the graph's terms.
pub(super) fn both(rows: (usize, usize), columns: (usize, usize)) -> Pads {
    Pads { top: rows.0, bottom: rows.1, left: columns.0, right: columns.1 }
}

/// The input of a one- or two-dimensional layer as `[N, C, H, W]`, and the number of spatial axes that it had.
pub(super) fn widen(cx: &mut Cx<'_, '_>, x: ValueId) -> Result<(ValueId, usize), Fault> {
    match *cx.extents(x) {
        [_, _, _, _] => Ok((x, 2)),
        [n, c, l] => Ok((cx.step("as_rows", Op::Reshape { shape: vec![n, c, 1, l] }, vec![x])?, 1)),
        ref other => {
            Err(Fault::unsupported(format!("data of shape {other:?} is not supported, [N, C, H, W] and [N, C, L] are")))
        }
    }
}

/// The reshape that undoes [`widen`].
pub(super) fn narrow(cx: &Cx<'_, '_>, y: ValueId) -> Result<Op, Fault> {
    match *cx.extents(y) {
        [n, c, _, l] => Ok(Op::Reshape { shape: vec![n, c, l] }),
        ref other => Err(Fault::invalid(format!("output of shape {other:?}, four axes expected"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_split_as_openvino_splits_it() {
        // 32 rows, window 3, stride 2: 16 outputs need 33 rows.
        assert_eq!(pads(&Auto::SameUpper, (9, 9), 32, 3, 2), (0, 1));
        assert_eq!(pads(&Auto::SameLower, (9, 9), 32, 3, 2), (1, 0));
        assert_eq!(pads(&Auto::SameUpper, (9, 9), 32, 3, 1), (1, 1));
        assert_eq!(pads(&Auto::SameUpper, (9, 9), 49, 10, 2), (4, 5));
        // Nothing is missing where the stride is larger than the window.
        assert_eq!(pads(&Auto::SameUpper, (9, 9), 32, 1, 2), (0, 0));
        assert_eq!(pads(&Auto::Valid, (9, 9), 32, 3, 2), (0, 0));
        assert_eq!(pads(&Auto::Explicit, (2, 3), 32, 3, 2), (2, 3));
    }
}
