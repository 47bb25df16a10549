//! All distances of a round at once.

use super::seeds;
use crate::attention::blas::{Matrix, Operand, product};

pub(super) fn assign(rows: &[f32], width: usize, count: usize, rounds: usize) -> Vec<usize> {
    let len = rows.len() / width;
    let mut centres: Vec<f32> =
        seeds(len, count).flat_map(|row| &rows[row * width..(row + 1) * width]).copied().collect();
    let mut distances = vec![0.0; len * count];
    let mut of = vec![0; len];
    for round in 0..rounds {
        if round > 0 {
            move_to_means(&mut centres, rows, width, &of);
        }
        let norms: Vec<f32> = centres.chunks(width).map(|centre| centre.iter().map(|x| x * x).sum()).collect();
        distances.chunks_mut(count).for_each(|row| row.copy_from_slice(&norms));
        product(
            Matrix { data: &mut distances, rows: len, cols: count, row: count, col: 1 },
            true,
            Operand { data: rows, row: width, col: 1 },
            Operand { data: &centres, row: 1, col: width },
            width,
            -2.0,
        );
        for (of, distances) in of.iter_mut().zip(distances.chunks(count)) {
            *of = nearest(distances);
        }
    }
    of
}

/// The first of the least.
fn nearest(distances: &[f32]) -> usize {
    let least = distances.iter().copied().fold(f32::INFINITY, f32::min);
    distances.iter().position(|&distance| distance == least).unwrap_or(0)
}

fn move_to_means(centres: &mut [f32], rows: &[f32], width: usize, of: &[usize]) {
    let count = centres.len() / width;
    let (mut sums, mut counts) = (vec![0.0; centres.len()], vec![0u32; count]);
    for (row, &of) in rows.chunks(width).zip(of) {
        counts[of] += 1;
        sums[of * width..(of + 1) * width].iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    for ((centre, sum), &count) in centres.chunks_mut(width).zip(sums.chunks(width)).zip(&counts) {
        if count > 0 {
            centre.iter_mut().zip(sum).for_each(|(centre, sum)| *centre = sum / count as f32);
        }
    }
}
