//! Products of small stretches of keys with a few rows, through `gemm`: nothing is packed for it.

use super::Strided;
use crate::element::Element;

/// Rows `start..start + width` of a head, as f32: where they are, or copied.
pub(super) fn tile<'a, T: Element>(
    x: Strided<'a, T>,
    head: usize,
    start: usize,
    width: usize,
    dim: usize,
    copy: &'a mut Vec<f32>,
) -> Operand<'a> {
    if let Some(data) = T::as_f32(x.data) {
        return Operand { data: &data[head * x.head + start * x.row..], row: x.row, col: 1 };
    }
    copy.clear();
    (start..start + width).for_each(|row| copy.extend(x.row(head, row, dim).iter().map(|x| x.to_f32())));
    Operand { data: copy, row: dim, col: 1 }
}

/// A matrix that is written.
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row: usize,
    pub(crate) col: usize,
}

/// A matrix that is read.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
    pub(crate) col: usize,
}

impl Operand<'_> {
    fn holds(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.row + (cols - 1) * self.col < self.data.len()
    }
}

/// `dst = scale * left x right`, or with `add`, `dst += ..`, where `left` is `[dst.rows, inner]`.
pub(crate) fn product(dst: Matrix, add: bool, left: Operand, right: Operand, inner: usize, scale: f32) {
    let Matrix { data, rows: m, cols: n, row, col } = dst;
    assert!(left.holds(m, inner) && right.holds(inner, n), "an operand is too short");
    assert!(m == 0 || n == 0 || (m - 1) * row + (n - 1) * col < data.len(), "the product is too short");
    // SAFETY: the assertions above say that every element that `gemm` reaches by these sizes and strides lies inside
    // the three slices; the slices do not overlap, since one of them is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            inner,
            data.as_mut_ptr(),
            col as isize,
            row as isize,
            add,
            left.data.as_ptr(),
            left.col as isize,
            left.row as isize,
            right.data.as_ptr(),
            right.col as isize,
            right.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
