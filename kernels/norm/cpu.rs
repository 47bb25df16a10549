//! Loops without branches, which become each level's vectors.

use super::Rms;
use crate::compiled::Work;
use crate::lanes::LANES;

pub(super) struct Rows<'a> {
    pub(super) norm: Rms<'a>,
    pub(super) x: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl Work for Rows<'_> {
    #[inline(always)]
    unsafe fn run(self) {
        let width = self.norm.weight.len();
        self.x.chunks_exact(width).zip(self.out.chunks_exact_mut(width)).for_each(|(x, out)| row(self.norm, x, out));
    }
}

#[inline(always)]
pub(super) fn row(norm: Rms, x: &[f32], out: &mut [f32]) {
    let scale = 1.0 / (squares(x) / x.len() as f32 + norm.eps).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(norm.weight) {
        *out = x * scale * weight;
    }
}

/// The sum of the squares, in as many sums as there are lanes.
#[inline(always)]
fn squares(x: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|x| x * x).sum();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x * x);
    }
    sums.iter().sum::<f32>() + rest
}
