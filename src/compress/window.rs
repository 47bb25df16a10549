//! A stretch of visual tokens as numbers, and what methods compute from them.

use candle_core::DType;
use longsight_models::{ModelError, VisualTokens};

/// The full grids of some temporal patches in a row.
#[derive(Debug, Clone)]
pub struct Window {
    rows: Vec<f32>,
    width: usize,
    grid: (usize, usize),
    /// Number of its first patch in the video
    first: usize,
    /// The patch before the window, if there is one
    before: Option<Vec<f32>>,
}

impl Window {
    /// Reads the numbers of `tokens`, whose first patch is the video's `first`-th; `before` is the last patch of the window before.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new(tokens: &VisualTokens, first: usize, before: Option<Vec<f32>>) -> Result<Self, ModelError> {
        let width = tokens.embeddings().dim(1)?;
        let rows = tokens.embeddings().to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        Ok(Self { rows, width, grid: tokens.grid(), first, before })
    }

    /// Tokens across and down a patch.
    #[must_use]
    pub fn grid(&self) -> (usize, usize) {
        self.grid
    }

    /// Number of its first patch in the video.
    #[must_use]
    pub fn first(&self) -> usize {
        self.first
    }

    /// Tokens of a patch.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.grid.0 * self.grid.1
    }

    /// Tokens in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / self.width.max(1)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Temporal patches.
    #[must_use]
    pub fn patches(&self) -> usize {
        self.len() / self.cells().max(1)
    }

    /// A token's numbers.
    #[must_use]
    pub fn token(&self, row: usize) -> &[f32] {
        &self.rows[row * self.width..(row + 1) * self.width]
    }

    /// The numbers of the last patch, for the window that comes after.
    #[must_use]
    pub fn last_patch(&self) -> Vec<f32> {
        self.rows[self.rows.len().saturating_sub(self.cells() * self.width)..].to_vec()
    }

    /// The token at the same place of the patch before; `None` in the video's first.
    fn earlier(&self, row: usize) -> Option<&[f32]> {
        match row.checked_sub(self.cells()) {
            Some(earlier) => Some(self.token(earlier)),
            None => self.before.as_ref().map(|patch| &patch[row * self.width..(row + 1) * self.width]),
        }
    }

    /// Of each token, how unlike the same place of the patch before it is: 1 - cosine, 0 to 2; `None` in the video's first patch.
    #[must_use]
    pub fn changes(&self) -> Vec<Option<f32>> {
        (0..self.len()).map(|row| Some(1.0 - cosine(self.token(row), self.earlier(row)?))).collect()
    }

    /// The mean of each patch's tokens.
    #[must_use]
    pub fn means(&self) -> Vec<Vec<f32>> {
        (0..self.patches()).map(|patch| self.mean(patch * self.cells()..(patch + 1) * self.cells())).collect()
    }

    /// The mean of some tokens.
    pub(super) fn mean(&self, rows: std::ops::Range<usize>) -> Vec<f32> {
        let count = rows.len().max(1) as f32;
        let mut sum = vec![0.0; self.width];
        for row in rows {
            sum.iter_mut().zip(self.token(row)).for_each(|(sum, value)| *sum += value / count);
        }
        sum
    }

    /// Of each token, how unlike the mean of its patch it is: 1 - cosine, 0 to 2.
    #[must_use]
    pub fn distinctness(&self) -> Vec<f32> {
        let means = self.means();
        (0..self.len()).map(|row| 1.0 - cosine(self.token(row), &means[row / self.cells()])).collect()
    }
}

/// The cosine between two vectors; 0 where one of them is 0.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 1e-12 { dot(a, b) / norms } else { 0.0 }
}

/// The inner product.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The numbers of the `count` largest scores, ascending; the earlier of equal ones.
pub(super) fn best(scores: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// Deals out `total` to shares that are as `weights`, each at least `least` and at most `most`, by the largest remainder. Needs
/// `least * weights.len() <= total <= most * weights.len()`.
pub(super) fn deal(total: usize, weights: &[f32], least: usize, most: usize) -> Vec<usize> {
    let mut shares = vec![least; weights.len()];
    let mut left = total.saturating_sub(least * weights.len());
    while left > 0 {
        let open: Vec<usize> = (0..shares.len()).filter(|&n| shares[n] < most).collect();
        let sum: f64 = open.iter().map(|&n| f64::from(weights[n])).sum();
        if open.is_empty() {
            break;
        }
        let wanted = |n: usize| {
            if sum > 0.0 { left as f64 * f64::from(weights[n]) / sum } else { left as f64 / open.len() as f64 }
        };
        let mut given = 0;
        for &n in &open {
            let whole = (wanted(n) as usize).min(most - shares[n]);
            shares[n] += whole;
            given += whole;
        }
        if given == 0 {
            // Less than one each: the largest parts first.
            let mut order = open.clone();
            order.sort_by(|&a, &b| wanted(b).total_cmp(&wanted(a)).then(a.cmp(&b)));
            for n in order.into_iter().take(left) {
                shares[n] += 1;
                given += 1;
            }
        }
        left -= given;
    }
    shares
}
