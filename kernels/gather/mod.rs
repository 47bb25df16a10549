//! Rows picked out and summed up: `y[i] = sum_j w[i, j] x[r[i, j]]`.
//!
//! Visual tokens that a compressor keeps or merges, and blocks of a cache of keys and values on their way elsewhere. On a processor the
//! tensor library does it; here is the kernel for a GPU, and the formula that it is held to.

#[cfg(any(test, feature = "cuda"))]
pub mod cuda;
pub mod reference;
#[cfg(test)]
mod tests;

/// Groups of rows with their weights, one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// Where each group begins among the members, and at last where the last one ends
    bounds: Vec<i32>,
    rows: Vec<i32>,
    weights: Vec<f32>,
}

impl Default for Groups {
    fn default() -> Self {
        Self { bounds: vec![0], rows: Vec::new(), weights: Vec::new() }
    }
}

impl Groups {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Rows as they are, one a group.
    ///
    /// # Panics
    /// As [`Groups::push`].
    #[must_use]
    pub fn of_rows(rows: impl IntoIterator<Item = usize>) -> Self {
        let mut groups = Self::new();
        rows.into_iter().for_each(|row| groups.push([(row, 1.0)]));
        groups
    }

    /// One more group, of (row, weight); of no row it is zero.
    ///
    /// # Panics
    /// When a row is beyond what 32 bits count.
    pub fn push(&mut self, group: impl IntoIterator<Item = (usize, f32)>) {
        let number = |x: usize| i32::try_from(x).expect("rows are counted in 32 bits");
        for (row, weight) in group {
            self.rows.push(number(row));
            self.weights.push(weight);
        }
        self.bounds.push(number(self.rows.len()));
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows that there must be.
    #[must_use]
    pub fn reach(&self) -> usize {
        self.rows.iter().max().map_or(0, |&last| last as usize + 1)
    }

    /// (row, weight) of group `index`.
    fn group(&self, index: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let members = self.bounds[index] as usize..self.bounds[index + 1] as usize;
        members.map(|member| (self.rows[member] as usize, self.weights[member]))
    }
}
