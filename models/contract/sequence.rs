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

/// Visual context window extension (Wei & Chen 2024, arXiv 2409.20018, section 3.2): rotary frequencies for a prompt whose visual part
/// spans more positions than such parts did in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    trained: u32,
    spanned: u32,
}

impl Extension {
    /// From the positions that visual parts spanned in training to those of this one; `None` where these are no more, and nothing is to be
    /// changed.
    #[must_use]
    pub fn new(trained: u32, spanned: u32) -> Option<Self> {
        (0 < trained && trained < spanned).then_some(Self { trained, spanned })
    }

    /// Positions that visual parts spanned in training.
    #[must_use]
    pub fn trained(self) -> f64 {
        f64::from(self.trained)
    }

    /// How many times as many are spanned now: above 1.
    #[must_use]
    pub fn factor(self) -> f64 {
        f64::from(self.spanned) / f64::from(self.trained)
    }
}

/// Token ids with everything a forward pass needs to know about each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence {
    ids: Vec<u32>,
    positions: [Vec<u32>; 3],
    visual: Vec<VisualRun>,
    /// Runs of tokens whose rotary frequencies are changed, ascending
    extensions: Vec<(Range<usize>, Extension)>,
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
        Self { ids, positions, visual, extensions: Vec::new(), next_position }
    }

    /// The same for a model whose visual parts spanned `trained` positions in training: where this one spans more, all its rotary
    /// frequencies are changed. What is spanned is counted up to the last visual token (up to the last token of a
    /// [`beginning`](Self::beginning), which ends there).
    #[must_use]
    pub fn extended(self, trained: Option<u32>) -> Self {
        let end = if self.visual.is_empty() { self.len() } else { self.media_end() };
        let last = self.positions.iter().flat_map(|axis| &axis[..end]).max();
        let spanned = last.map_or(0, |last| last.saturating_add(1));
        let all = 0..self.len();
        let extension = trained.and_then(|trained| Extension::new(trained, spanned));
        self.with_extensions(extension.map(|extension| (all, extension)).into_iter().collect())
    }

    /// The same with these runs of tokens (ascending, apart) changed, each as it says, and no others.
    #[must_use]
    pub fn with_extensions(self, extensions: Vec<(Range<usize>, Extension)>) -> Self {
        Self { extensions, ..self }
    }

    /// `rows` in runs that share their rotary frequencies, with what changes these.
    #[must_use]
    pub fn extensions(&self, rows: Range<usize>) -> Vec<(Range<usize>, Option<Extension>)> {
        let (mut runs, mut at) = (Vec::new(), rows.start);
        for (tokens, extension) in &self.extensions {
            let (start, end) = (tokens.start.max(at), tokens.end.min(rows.end));
            if start < end {
                runs.extend((at < start).then_some((at..start, None)));
                runs.push((start..end, Some(*extension)));
                at = end;
            }
        }
        runs.extend((at < rows.end).then_some((at..rows.end, None)));
        runs
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
        let end = self.len();
        if let Some((tokens, _)) = self.extensions.last_mut().filter(|(tokens, _)| tokens.end == end) {
            tokens.end += 1;
        }
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
        .with_extensions(
            self.extensions(0..tokens).into_iter().filter_map(|(rows, extension)| Some((rows, extension?))).collect(),
        )
    }

    /// How many leading tokens two sequences share, positions and rotary frequencies included: what a KV cache of one is worth to the other.
    #[must_use]
    pub fn common_prefix(&self, other: &Self) -> usize {
        let turned = |sequence: &Self| sequence.extensions(0..1).first().and_then(|(_, extension)| *extension);
        // A prompt is changed as a whole.
        if turned(self) != turned(other) {
            return 0;
        }
        let same = |i: usize| {
            self.ids[i] == other.ids[i] && (0..3).all(|axis| self.positions[axis][i] == other.positions[axis][i])
        };
        (0..self.len().min(other.len())).take_while(|&i| same(i)).count()
    }
}
