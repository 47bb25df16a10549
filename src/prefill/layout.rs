//! Which frame each token of a prompt belongs to, and which place it has there.
//!
//! MMInference's grid has a stride in tokens. Real prompts have none: times between frames are written in more digits as a
//! video goes on, and pooled frames have fewer tokens. What does repeat is a token's *slot*, its place in the layout of its
//! frame, so lines of the grid are drawn through equal slots; where every frame has as many tokens, the two are the same.

use longsight_models::Sequence;
use std::ops::Range;

/// Text tokens before a frame that have slots; text before them belongs to no frame.
const STAMP: usize = 32;

/// A token's place in the layout of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// Cell (row x columns + column) of the grid of the prompt's largest frame
    Cell(u32),
    /// The first text token after a frame
    After,
    /// So many text tokens before a frame, 1 to 32
    Before(u32),
}

/// Visual tokens of one frame (or temporal patch), row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    tokens: Range<usize>,
    rows: usize,
    columns: usize,
}

/// Frames and slots of a sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    frames: Vec<Frame>,
    slots: Vec<Option<Slot>>,
    /// Grid of the largest frame
    rows: usize,
    columns: usize,
}

impl Layout {
    /// Reads frames off the positions: tokens of one frame share their time, and no two of them a cell.
    #[must_use]
    pub fn of(sequence: &Sequence) -> Self {
        let frames: Vec<Frame> = sequence.visual().iter().flat_map(|run| frames(sequence, &run.tokens)).collect();
        let largest = frames.iter().max_by_key(|frame| frame.rows * frame.columns);
        let (rows, columns) = largest.map_or((0, 0), |frame| (frame.rows, frame.columns));
        let mut layout = Self { slots: vec![None; sequence.len()], frames, rows, columns };
        let mut end = 0;
        for (number, frame) in layout.frames.iter().enumerate() {
            for (rank, token) in frame.tokens.clone().enumerate() {
                let (row, column) = (rank / frame.columns, rank % frame.columns);
                let cell = row * rows / frame.rows * columns + column * columns / frame.columns;
                layout.slots[token] = Some(Slot::Cell(cell as u32));
            }
            let first = if number == 0 { end } else { end + 1 };
            for token in first.max(frame.tokens.start.saturating_sub(STAMP))..frame.tokens.start {
                layout.slots[token] = Some(Slot::Before((frame.tokens.start - token) as u32));
            }
            end = frame.tokens.end;
            // Text or the next frame may follow, or nothing.
            if let Some(slot @ None) = layout.slots.get_mut(end) {
                *slot = Some(Slot::After);
            }
        }
        layout
    }

    /// The slot of a token, if it belongs to a frame.
    #[must_use]
    pub fn slot(&self, token: usize) -> Option<Slot> {
        self.slots.get(token).copied().flatten()
    }

    /// Whether a token is a visual one.
    #[must_use]
    pub fn is_visual(&self, token: usize) -> bool {
        matches!(self.slot(token), Some(Slot::Cell(_)))
    }

    /// Number of frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// The end of the last frame's visual tokens: what comes after is about the video, not of it.
    #[must_use]
    pub fn end(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.tokens.end)
    }

    /// The tokens before `end` that stand in a slot, one a frame at most, ascending. A frame smaller than the largest shows each of its
    /// tokens in several cells.
    #[must_use]
    pub fn line(&self, slot: Slot, end: usize) -> Vec<usize> {
        let until = self.frames.partition_point(|frame| frame.tokens.start < end + STAMP);
        let token = |frame: &Frame| match slot {
            Slot::Cell(cell) => {
                let (row, column) = (cell as usize / self.columns, cell as usize % self.columns);
                let rank = row * frame.rows / self.rows * frame.columns + column * frame.columns / self.columns;
                Some(frame.tokens.start + rank)
            }
            Slot::After => Some(frame.tokens.end),
            Slot::Before(back) => frame.tokens.start.checked_sub(back as usize),
        };
        let standing =
            |&token: &usize| token < end && (matches!(slot, Slot::Cell(_)) || self.slot(token) == Some(slot));
        self.frames[..until].iter().filter_map(token).filter(standing).collect()
    }

    /// The tokens of the last whole frame before `end`, its time included; `None` before the first.
    #[must_use]
    pub fn last_frame(&self, end: usize) -> Option<Range<usize>> {
        let number = self.frames.partition_point(|frame| frame.tokens.end <= end).checked_sub(1)?;
        let Range { start, end } = self.frames[number].tokens;
        Some(self.begin(number).max(start.saturating_sub(STAMP))..end)
    }

    /// Where the tokens of a frame begin, its time included: where those of the frame before end.
    fn begin(&self, number: usize) -> usize {
        match number.checked_sub(1) {
            Some(before) => self.frames[before].tokens.end,
            None => self.frames[number].tokens.start.saturating_sub(STAMP),
        }
    }
}

/// The frames of a run of visual tokens.
fn frames(sequence: &Sequence, run: &Range<usize>) -> Vec<Frame> {
    let [time, row, column] = sequence.positions();
    let mut frames: Vec<Frame> = Vec::new();
    let mut start = run.start;
    for token in run.start..=run.end {
        let same = |axis: &[u32]| axis[token] == axis[start];
        // A frame begins with its first cell.
        if token == run.end || token > start && (!same(time) || same(row) && same(column)) {
            frames.push(frame(start..token, row, column));
            start = token;
        }
    }
    frames
}

fn frame(tokens: Range<usize>, row: &[u32], column: &[u32]) -> Frame {
    let extent = |axis: &[u32]| {
        let axis = &axis[tokens.clone()];
        let (least, most) = (axis.iter().min(), axis.iter().max());
        least.zip(most).map_or(0, |(least, most)| (most - least) as usize + 1)
    };
    let (rows, columns) = (extent(row), extent(column));
    // Frames that lost some of their tokens are lines.
    let whole = rows * columns == tokens.len();
    let (rows, columns) = if whole { (rows, columns) } else { (1, tokens.len()) };
    Frame { tokens, rows, columns }
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use longsight_models::VisualRun;

    /// A prompt of `head` text tokens, then frames of (text tokens before it, rows, columns), then `tail` text tokens.
    pub(in crate::prefill) fn prompt(head: usize, frames: &[(usize, u32, u32)], tail: usize) -> Sequence {
        let (mut positions, mut next) = ([vec![], vec![], vec![]], 0);
        let mut visual = Vec::new();
        let mut push = |at: [u32; 3]| (0..3).for_each(|axis| positions[axis].push(at[axis]));
        let mut tokens = 0;
        let text = |count: usize, push: &mut dyn FnMut([u32; 3]), next: &mut u32| {
            for _ in 0..count {
                push([*next; 3]);
                *next += 1;
            }
        };
        text(head, &mut push, &mut next);
        tokens += head;
        let mut first_row = 0;
        for &(before, rows, columns) in frames {
            text(before, &mut push, &mut next);
            tokens += before;
            for cell in 0..rows * columns {
                push([next, next + cell / columns, next + cell % columns]);
            }
            let count = (rows * columns) as usize;
            visual.push(VisualRun { tokens: tokens..tokens + count, medium: 0, first_row });
            (tokens, first_row, next) = (tokens + count, first_row + count, next + rows.max(columns));
        }
        text(tail, &mut push, &mut next);
        Sequence::new(vec![1; tokens + tail], positions, visual)
    }

    #[test]
    fn times_of_any_length_leave_slots_in_place() {
        // `<9.5 seconds>` and `<10.0 seconds>` differ by a token.
        let layout = Layout::of(&prompt(4, &[(5, 2, 2), (6, 2, 2), (7, 2, 2)], 9));
        assert_eq!(layout.frames(), 3);
        assert_eq!(layout.line(Slot::Cell(3), 100), [12, 22, 33]);
        assert_eq!(layout.line(Slot::Before(1), 100), [8, 18, 29]);
        assert_eq!(layout.line(Slot::After, 100), [13, 23, 34]);
        assert_eq!(layout.line(Slot::After, 23), [13]);
        assert_eq!(layout.line(Slot::Before(6), 100), [3, 24], "the token after a frame is not also before the next");
        assert_eq!(layout.slot(35), None);
        assert_eq!(layout.end(), 34);
        assert_eq!(layout.last_frame(24), Some(13..23));
        assert_eq!(layout.last_frame(11), None);
    }

    #[test]
    fn smaller_frames_show_their_tokens_where_the_largest_has_them() {
        let layout = Layout::of(&prompt(1, &[(0, 4, 4), (2, 2, 2)], 0));
        // The last cell of the large frame lies in the last of the small one, the second row still in the first.
        assert_eq!(layout.line(Slot::Cell(15), 100), [16, 22]);
        assert_eq!(layout.line(Slot::Cell(4), 100), [5, 19]);
        assert_eq!(layout.slot(22), Some(Slot::Cell(10)));
    }

    #[test]
    fn frames_that_follow_each_other_without_text_are_told_apart() {
        let sequence = prompt(3, &[(0, 2, 3), (0, 2, 3)], 2);
        let runs = vec![VisualRun { tokens: 3..15, medium: 0, first_row: 0 }];
        let joined = Sequence::new(sequence.ids().to_vec(), sequence.positions().clone(), runs);
        let layout = Layout::of(&joined);
        assert_eq!((layout.frames(), layout.line(Slot::Cell(0), 100)), (2, vec![3, 9]));
        assert_eq!(layout.slot(15), Some(Slot::After));
        assert!(Layout::of(&prompt(5, &[], 0)).last_frame(5).is_none());
    }

    #[test]
    fn every_token_of_a_line_has_its_slot() {
        let layout = Layout::of(&prompt(40, &[(40, 2, 2), (3, 2, 2), (50, 2, 2)], 4));
        for token in 0..layout.slots.len() {
            if let Some(slot) = layout.slot(token) {
                assert!(layout.line(slot, 1000).contains(&token), "{slot:?} at {token}");
            }
        }
        assert_eq!(layout.line(Slot::Before(32), 1000).len(), 2);
        let _ = layout.last_frame(1000).unwrap();
    }
}
