//! Some rows of one head at a time.

use super::{Angles, Heads};
use crate::compiled::{self, Work};
use crate::level::Level;
use rayon::prelude::*;

/// Rows of a head that one task does: 64 KiB of heads of 128, some tens of microseconds.
const ROWS: usize = 128;

pub(super) fn lay(
    level: Level,
    heads: &Heads,
    x: &[f32],
    (rows, width): (usize, usize),
    out: &mut [f32],
    (first, all): (usize, usize),
) {
    if rows == 0 {
        return;
    }
    let dim = heads.dim;
    // Heads of few rows are done several at a time.
    let together = ROWS.div_ceil(rows);
    out.par_chunks_mut(all * dim).enumerate().with_min_len(together).for_each(|(head, out)| {
        let out = &mut out[first * dim..][..rows * dim];
        out.par_chunks_mut(ROWS * dim).enumerate().for_each(|(block, out)| {
            let x = &x[block * ROWS * width + head * dim..];
            let from = block * ROWS * (dim / 2);
            let angles = heads.angles.map(|angles| Angles { cos: &angles.cos[from..], sin: &angles.sin[from..] });
            compiled::run(level, Block { heads: Heads { angles, ..*heads }, x, width, out });
        });
    });
}

/// One head of some rows, which are `width` apart in `x`.
struct Block<'a> {
    heads: Heads<'a>,
    x: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Work for Block<'_> {
    #[inline(always)]
    unsafe fn run(self) {
        let Heads { dim, norm, angles } = self.heads;
        let half = dim / 2;
        for (row, out) in self.out.chunks_exact_mut(dim).enumerate() {
            let x = &self.x[row * self.width..][..dim];
            match norm {
                Some(norm) => norm.row(x, out),
                None => out.copy_from_slice(x),
            }
            if let Some(Angles { cos, sin }) = angles {
                let (low, high) = out.split_at_mut(half);
                let turn = cos[row * half..][..half].iter().zip(&sin[row * half..][..half]);
                for ((low, high), (cos, sin)) in low.iter_mut().zip(high).zip(turn) {
                    (*low, *high) = (*low * cos - *high * sin, *low * sin + *high * cos);
                }
            }
        }
    }
}
