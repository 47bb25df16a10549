//! Which visual tokens stay: what a compressor says, and the only way in which a table of visual tokens becomes shorter.

use super::ModelError;

/// One token that is left: the place that it takes, and what it is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Row whose coordinate it has from now on
    pub at: usize,
    /// Rows that it is the sum of, with their weights (which sum to 1)
    pub rows: Vec<(usize, f32)>,
}

/// Groups in the order of their places. Pruning gives groups of one row each, merging larger ones; rows in no group are gone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection(Vec<Group>);

impl Selection {
    /// Takes groups as they are.
    ///
    /// # Errors
    /// When places do not strictly ascend, or a group is empty.
    pub fn new(groups: Vec<Group>) -> Result<Self, ModelError> {
        let ascending = groups.windows(2).all(|pair| pair[0].at < pair[1].at);
        if !ascending || groups.iter().any(|group| group.rows.is_empty()) {
            let found = groups.iter().map(|group| group.at).collect();
            return Err(ModelError::Shape {
                what: "kept visual tokens, which must ascend",
                expected: Vec::new(),
                found,
            });
        }
        Ok(Self(groups))
    }

    /// These rows as they are.
    ///
    /// # Errors
    /// When they do not strictly ascend.
    pub fn keep(rows: impl IntoIterator<Item = usize>) -> Result<Self, ModelError> {
        Self::new(rows.into_iter().map(|at| Group { at, rows: vec![(at, 1.0)] }).collect())
    }

    /// Tokens that are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The groups, by ascending place.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.0
    }
}
