//! The definition, in f64.

use super::{check, seeds};

/// See [`super::assign`].
///
/// # Panics
/// As [`super::assign`].
#[must_use]
pub fn assign(rows: &[f32], width: usize, count: usize, rounds: usize) -> Vec<usize> {
    check(rows, width, rounds);
    let rows: Vec<Vec<f64>> = rows.chunks(width).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
    let count = count.clamp(1, rows.len().max(1));
    let mut centres: Vec<Vec<f64>> = seeds(rows.len(), count).filter_map(|row| rows.get(row).cloned()).collect();
    let mut of = vec![0; rows.len()];
    for round in 0..rounds {
        if round > 0 {
            for (number, centre) in centres.iter_mut().enumerate() {
                let own: Vec<&Vec<f64>> =
                    rows.iter().zip(&of).filter(|(_, of)| **of == number).map(|(row, _)| row).collect();
                if !own.is_empty() {
                    *centre =
                        (0..width).map(|d| own.iter().map(|row| row[d]).sum::<f64>() / own.len() as f64).collect();
                }
            }
        }
        for (of, row) in of.iter_mut().zip(&rows) {
            let distance = |centre: &[f64]| -> f64 { row.iter().zip(centre).map(|(a, b)| (a - b).powi(2)).sum() };
            let by_distance = |&a: &usize, &b: &usize| distance(&centres[a]).total_cmp(&distance(&centres[b]));
            *of = (0..centres.len()).min_by(by_distance).unwrap_or(0);
        }
    }
    of
}

/// The sum of squared distances of rows to the means of their clusters: what k-means makes small.
#[must_use]
pub fn spread(rows: &[f32], width: usize, of: &[usize]) -> f64 {
    let count = of.iter().max().map_or(0, |most| most + 1);
    let (mut sums, mut counts) = (vec![vec![0.0; width]; count], vec![0.0; count]);
    for (row, &of) in rows.chunks(width).zip(of) {
        counts[of] += 1.0;
        sums[of].iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let squared = |(row, &of): (&[f32], &usize)| -> f64 {
        row.iter().zip(&sums[of]).map(|(&x, sum)| (f64::from(x) - sum / counts[of]).powi(2)).sum()
    };
    rows.chunks(width).zip(of).map(squared).sum()
}
