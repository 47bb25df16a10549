//! Keys that stand for several.

/// Keys and values that are no rows of the inputs: each stands for several of a key head.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summaries {
    /// Where each stands, ascending: at the last of its keys, so that who sees it sees all of them
    pub at: Vec<usize>,
    /// What its scores are raised by: the logarithm of how many keys it stands for, and what makes up for their spread
    pub log_weights: Vec<f32>,
    /// `[summaries, dim]`
    pub keys: Vec<f32>,
    /// `[summaries, dim]`
    pub values: Vec<f32>,
}

impl Summaries {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Keeps those that stand before `position`.
    pub fn truncate(&mut self, position: usize) {
        let (before, count) = (self.at.partition_point(|&at| at < position), self.len().max(1));
        let dim = self.keys.len() / count;
        self.at.truncate(before);
        self.log_weights.truncate(before);
        self.keys.truncate(before * dim);
        self.values.truncate(before * dim);
    }

    /// Puts others behind them, which stand later.
    pub fn append(&mut self, mut later: Self) {
        self.at.append(&mut later.at);
        self.log_weights.append(&mut later.log_weights);
        self.keys.append(&mut later.keys);
        self.values.append(&mut later.values);
    }

    /// # Panics
    /// When columns are of different lengths.
    pub(super) fn check(&self, dim: usize) {
        let (count, size) = (self.at.len(), self.at.len() * dim);
        let whole = self.log_weights.len() == count && self.keys.len() == size && self.values.len() == size;
        assert!(whole, "{count} summaries of {dim} columns with keys, values or weights of other sizes");
    }
}
