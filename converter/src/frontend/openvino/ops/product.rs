//! Matrix products.

use carafe_graph::Op;

use super::super::{
    attributes,
    build::{Cx, Operand},
    fault::Fault,
};

/// `MatMul`. A vector on the left is a row, on the right a column, and its extra axis is dropped from the output.
pub(super) fn matmul(cx: &mut Cx<'_, '_>) -> Result<Operand, Fault> {
    let mut transpose_a = attributes::flag(cx.layer, "transpose_a", false)?;
    let mut transpose_b = attributes::flag(cx.layer, "transpose_b", false)?;
    let (mut a, mut b) = (cx.value(0)?, cx.value(1)?);
    let (ra, rb) = (cx.extents(a).len(), cx.extents(b).len());
    if ra == 0 || rb == 0 {
        return Err(Fault::invalid("an operand is a scalar"));
    }
    if ra > 1 && rb > 1 {
        return cx.emit(Op::MatMul { transpose_a, transpose_b }, vec![a, b]);
    }
    if ra == 1 {
        let shape = vec![1, cx.extents(a)[0]];
        a = cx.step("row", Op::Reshape { shape }, vec![a])?;
        transpose_a = false;
    }
    if rb == 1 {
        let shape = vec![cx.extents(b)[0], 1];
        b = cx.step("column", Op::Reshape { shape }, vec![b])?;
        transpose_b = false;
    }
    let product = cx.step("product", Op::MatMul { transpose_a, transpose_b }, vec![a, b])?;
    let mut shape = cx.extents(product).to_vec();
    if rb == 1 {
        shape.pop();
    }
    if ra == 1 {
        let at = shape.len().checked_sub(if rb == 1 { 1 } else { 2 });
        shape.remove(at.ok_or_else(|| Fault::invalid("the product has too few axes"))?);
    }
    cx.emit(Op::Reshape { shape }, vec![product])
}
