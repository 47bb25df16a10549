//! The register-blocked matrix product that attention and linear layers are made of.

use crate::lanes::{LANES, Lanes};

/// Rows of sums kept in registers: six rows of four vectors are 24 of AVX-512's 32.
const BLOCK: usize = 6;

/// `C = A B`, or `C += A B` with `ADD`: sizes (rows, columns, steps), A row by row with its row length, B step by step with
/// its columns, C with its row length.
///
/// # Safety
/// The processor has the instructions of `L`; sizes are multiples of `L::WHOLE`; the three matrices are there.
#[inline(always)]
pub(crate) unsafe fn product<L: Lanes, const ADD: bool>(
    ready: &L::Ready,
    size: (usize, usize, usize),
    a: (*const L::Elem, usize),
    b: (*const L::Elem, usize),
    c: (*mut f32, usize),
) {
    // SAFETY: the caller's.
    unsafe { L::product::<ADD>(ready, size, a, b, c) }
}

/// [`product`] by vectors: blocks of sums in registers.
///
/// # Safety
/// As [`product`].
#[inline(always)]
pub(crate) unsafe fn blocks<L: Lanes, const ADD: bool>(
    (rows, cols, steps): (usize, usize, usize),
    a: (*const L::Elem, usize),
    b: (*const L::Elem, usize),
    c: (*mut f32, usize),
) {
    let mut col = 0;
    while col < cols {
        let wide = L::WIDE.min((cols - col) / LANES);
        let wide = if wide == 3 { 2 } else { wide };
        // SAFETY: the caller's; the blocks tile the matrix.
        unsafe {
            let b = (b.0.add(col * L::STEP), b.1);
            let c = (c.0.add(col), c.1);
            match wide {
                4 => column::<L, ADD, 4>(rows, steps, a, b, c),
                2 => column::<L, ADD, 2>(rows, steps, a, b, c),
                _ => column::<L, ADD, 1>(rows, steps, a, b, c),
            }
        }
        col += wide.max(1) * LANES;
    }
}

/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn column<L: Lanes, const ADD: bool, const N: usize>(
    rows: usize,
    steps: usize,
    a: (*const L::Elem, usize),
    b: (*const L::Elem, usize),
    c: (*mut f32, usize),
) {
    let mut row = 0;
    while row < rows {
        let left = rows - row;
        // SAFETY: the caller's; a block has at most as many rows as are left.
        unsafe {
            let a = (a.0.add(row * a.1), a.1);
            let c = (c.0.add(row * c.1), c.1);
            row += match left {
                BLOCK.. => block::<L, ADD, BLOCK, N>(steps, a, b, c),
                4..BLOCK => block::<L, ADD, 4, N>(steps, a, b, c),
                2..4 => block::<L, ADD, 2, N>(steps, a, b, c),
                _ => block::<L, ADD, 1, N>(steps, a, b, c),
            };
        }
    }
}

/// `M` rows by `N` vectors of sums in registers; gives `M`.
///
/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn block<L: Lanes, const ADD: bool, const M: usize, const N: usize>(
    steps: usize,
    a: (*const L::Elem, usize),
    b: (*const L::Elem, usize),
    c: (*mut f32, usize),
) -> usize {
    // SAFETY: the caller's: `M` rows of A and C, `N` vectors of columns of B and C, `steps` steps of A and B.
    unsafe {
        let mut sums = [[L::splat(0.0); N]; M];
        for step in 0..steps {
            let from = b.0.add(step * b.1 * L::STEP);
            let mut cols = [L::cols(from); N];
            for (j, cols) in cols.iter_mut().enumerate() {
                *cols = L::cols(from.add(j * LANES * L::STEP));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let row = L::row(a.0.add(i * a.1 + step * L::STEP));
                for (sum, &cols) in sums.iter_mut().zip(&cols) {
                    *sum = L::dot(*sum, row, cols);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (j, &sum) in sums.iter().enumerate() {
                let to = c.0.add(i * c.1 + j * LANES);
                L::store(to, if ADD { L::add(L::load(to), sum) } else { sum });
            }
        }
    }
    M
}
