use std::sync::Arc;

/// A dense tensor in row-major (C) order. Cheap to clone: the data is shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents, outermost first. Empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements; their number is the product of `shape`.
    pub data: Data,
}

/// The elements of a [`Tensor`].
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats (f16 constants are widened when they are read).
    F32(Arc<[f32]>),
    /// Integers: shapes, axes, permutations, indices.
    I64(Arc<[i64]>),
}

impl Data {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(d) => d.len(),
            Data::I64(d) => d.len(),
        }
    }

    /// True if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tensor {
    /// A float tensor.
    ///
    /// # Panics
    /// If the number of elements is not the product of `shape`: a bug of the caller, never of its input.
    pub fn f32(shape: impl Into<Vec<usize>>, data: impl Into<Arc<[f32]>>) -> Self {
        let (shape, data) = (shape.into(), data.into());
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape and number of elements differ");
        Self { shape, data: Data::F32(data) }
    }

    /// An integer tensor.
    ///
    /// # Panics
    /// As [`Tensor::f32`].
    pub fn i64(shape: impl Into<Vec<usize>>, data: impl Into<Arc<[i64]>>) -> Self {
        let (shape, data) = (shape.into(), data.into());
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape and number of elements differ");
        Self { shape, data: Data::I64(data) }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if the tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The floats, or `None` if the tensor holds integers.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(d) => Some(d),
            Data::I64(_) => None,
        }
    }

    /// The integers, or `None` if the tensor holds floats.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(d) => Some(d),
            Data::F32(_) => None,
        }
    }
}
