//! The prompt as the language model reads it: ids, three-axis positions, and which rows are visual.

use std::ops::Range;

/// A run of tokens that stands for visual rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisualRun {
    /// Token indices in the sequence
    pub tokens: Range<usize>,
    /// Which of the media given to the forward pass
    pub medium: usize,
    /// The medium's row that the first token stands for
    pub first_row: usize,
}

/// Token ids with everything a forward pass needs to know about each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence {
    ids: Vec<u32>,
    positions: [Vec<u32>; 3],
    visual: Vec<VisualRun>,
    next_position: u32,
}

impl Sequence {
    /// `positions` are (time, row, column) of every token; `visual` runs ascend.
    ///
    /// Only families make sequences, with equally long columns; a shorter one cuts the sequence.
    #[must_use]
    pub fn new(mut ids: Vec<u32>, mut positions: [Vec<u32>; 3], visual: Vec<VisualRun>) -> Self {
        let tokens = positions.iter().map(Vec::len).fold(ids.len(), usize::min);
        ids.truncate(tokens);
        positions.iter_mut().for_each(|axis| axis.truncate(tokens));
        let next_position = positions.iter().flatten().max().map_or(0, |largest| largest.saturating_add(1));
        Self { ids, positions, visual, next_position }
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Token ids.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// M-RoPE positions: time, row, column of every token.
    #[must_use]
    pub fn positions(&self) -> &[Vec<u32>; 3] {
        &self.positions
    }

    /// Runs of visual tokens, ascending.
    #[must_use]
    pub fn visual(&self) -> &[VisualRun] {
        &self.visual
    }

    /// Tokens up to the last visual one: what prompts about the same media share, whatever is asked.
    #[must_use]
    pub fn media_end(&self) -> usize {
        self.visual.last().map_or(0, |run| run.tokens.end)
    }

    /// Number of visual tokens.
    #[must_use]
    pub fn visual_tokens(&self) -> usize {
        self.visual.iter().map(|run| run.tokens.len()).sum()
    }

    /// The position of the token that comes next: the largest so far + 1, on all three axes.
    #[must_use]
    pub fn next_position(&self) -> u32 {
        self.next_position
    }

    /// Adds a generated text token.
    pub fn push(&mut self, id: u32) {
        self.ids.push(id);
        for axis in &mut self.positions {
            axis.push(self.next_position);
        }
        self.next_position = self.next_position.saturating_add(1);
    }

    /// The first `tokens` tokens, as what a cache holds of them is known by: without their visual rows.
    #[must_use]
    pub fn beginning(&self, tokens: usize) -> Self {
        let tokens = tokens.min(self.len());
        Self::new(
            self.ids[..tokens].to_vec(),
            self.positions.each_ref().map(|axis| axis[..tokens].to_vec()),
            Vec::new(),
        )
    }

    /// How many leading tokens two sequences share, positions included: what a KV cache of one is worth to the other.
    #[must_use]
    pub fn common_prefix(&self, other: &Self) -> usize {
        let same = |i: usize| {
            self.ids[i] == other.ids[i] && (0..3).all(|axis| self.positions[axis][i] == other.positions[axis][i])
        };
        (0..self.len().min(other.len())).take_while(|&i| same(i)).count()
    }
}
