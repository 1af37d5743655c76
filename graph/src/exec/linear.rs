//! Matrix products.

use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder, linalg::general_mat_mul};

use super::index::{broadcast_strides, strides};

/// A matrix inside a slice: the first element is the slice's first, strides are in elements.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major and dense.
    pub(super) fn dense(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn view(self) -> ArrayView2<'a, f32> {
        let shape = (self.rows, self.columns).strides((self.row_stride, self.column_stride));
        ArrayView2::from_shape(shape, self.data).expect("the caller's slice holds the matrix")
    }
}

/// `out += a · b`, where `out` has rows `out_stride` apart.
pub(super) fn multiply_add(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], out_stride: usize) {
    let contiguous =
        |m: Matrix<'_>, along_rows: bool| if along_rows { m.column_stride == 1 } else { m.row_stride == 1 };
    // Packing panels costs more than the product itself when one side is a vector.
    if a.rows == 1 && contiguous(a, true) && contiguous(b, false) {
        let x = &a.data[..a.columns];
        for (j, o) in out[..b.columns].iter_mut().enumerate() {
            *o += dot(x, &b.data[j * b.column_stride..][..b.rows]);
        }
        return;
    }
    let shape = (a.rows, b.columns).strides((out_stride, 1));
    let mut out = ArrayViewMut2::from_shape(shape, out).expect("the caller's slice holds the product");
    general_mat_mul(1.0, &a.view(), &b.view(), 1.0, &mut out);
}

/// Eight running sums, so that the loop vectorizes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (x, y) in a8.iter().zip(b8) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
}

/// x `[.., K]` · wᵀ with w `[N, K]`, plus bias `[N]`.
pub(super) fn dense(x: &[f32], w: &[f32], [n, k]: [usize; 2], bias: Option<&[f32]>) -> Vec<f32> {
    let rows = x.len() / k;
    let mut out = match bias {
        Some(b) => b.repeat(rows),
        None => vec![0.0; rows * n],
    };
    multiply_add(Matrix::dense(x, rows, k), Matrix::dense(w, n, k).transposed(), &mut out, n);
    out
}

/// Product over the last two axes, the leading ones broadcast.
pub(super) fn matmul(
    (a, a_shape, transpose_a): (&[f32], &[usize], bool),
    (b, b_shape, transpose_b): (&[f32], &[usize], bool),
    out_shape: &[usize],
) -> Vec<f32> {
    let lead = out_shape.len() - 2;
    let (m, n) = (out_shape[lead], out_shape[lead + 1]);
    let matrix = |data, shape: &[usize], transposed| {
        let m = Matrix::dense(data, shape[shape.len() - 2], shape[shape.len() - 1]);
        if transposed { m.transposed() } else { m }
    };
    let steps = |shape: &[usize]| {
        let (lead_shape, last) = shape.split_at(shape.len() - 2);
        let size = last[0] * last[1];
        broadcast_strides(lead_shape, &out_shape[..lead]).into_iter().map(move |s| s * size).collect::<Vec<_>>()
    };
    let (a_steps, b_steps) = (steps(a_shape), steps(b_shape));
    let counts = strides(&out_shape[..lead]);
    let mut out = vec![0.0; out_shape.iter().product()];
    for (i, block) in out.chunks_exact_mut(m * n).enumerate() {
        let offset =
            |steps: &[usize]| -> usize { (0..lead).map(|axis| i / counts[axis] % out_shape[axis] * steps[axis]).sum() };
        let a = matrix(&a[offset(&a_steps)..], a_shape, transpose_a);
        let b = matrix(&b[offset(&b_steps)..], b_shape, transpose_b);
        multiply_add(a, b, block, n);
    }
    out
}
