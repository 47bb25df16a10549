//! What a pattern is: from what some rows look at to what all rows keep.

use super::a_shape::AShape;
use super::blocks::{Antidiagonal, QueryAware, Random};
use super::clusters::Clusters;
use super::grid::Grid;
use super::kept::{Kept, Lines, Part};
use super::layout::{Layout, Slot};
use super::vertical_slash::VerticalSlash;
use longsight_kernels::attention::{Mass, Summaries};
use longsight_models::{Call, ModelError};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// The first keys of a prompt, which every row keeps: attention that goes nowhere goes there (StreamingLLM, Xiao et al. 2023).
pub const SINKS: usize = 64;

/// Which attention a head has during the prefill. A pattern is a file of this folder and a line here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Pattern {
    /// Everything
    Dense,
    /// The beginning and what is near
    AShape(AShape),
    /// Columns and diagonals
    VerticalSlash(VerticalSlash),
    /// Equal slots of all frames
    Grid(Grid),
    /// What is near, and everything else as means
    Clusters(Clusters),
    /// Blocks by chance: what any choice of blocks has to beat
    Random(Random),
    /// Blocks by their antidiagonals
    Antidiagonal(Antidiagonal),
    /// Blocks by the means of their queries and keys
    QueryAware(QueryAware),
}

/// How a pattern meets the borders between text and pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boundary {
    /// It goes on over them
    #[default]
    None,
    /// Rows of text and of pictures each have their own
    Query,
    /// Each of the four pairs of rows and keys has its own
    Both,
}

/// A head's attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadPattern {
    /// Within a modality
    pub pattern: Pattern,
    /// Across modalities
    pub boundary: Boundary,
}

impl From<Pattern> for HeadPattern {
    fn from(pattern: Pattern) -> Self {
        Self { pattern, boundary: Boundary::None }
    }
}

/// What a pattern decides from.
#[derive(Clone, Copy)]
pub struct Estimate<'a> {
    /// Frames and slots
    pub layout: &'a Layout,
    /// What the probed rows look at
    pub mass: &'a Mass,
    /// Positions of the probed rows
    pub probed: &'a [usize],
    /// The queries and keys themselves
    pub call: &'a Call<'a>,
    /// Which head
    pub head: usize,
}

/// What a pattern decided, in terms that hold for rows to come.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// Everything
    All,
    /// Lines
    Lines(LineChoice),
    /// Means of keys that are alike
    Clusters(Clusters),
    /// Blocks, for the rows of this call only
    Blocks(Vec<Vec<Range<usize>>>),
}

/// Lines, by what they go through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineChoice {
    /// Keys before a row
    pub window: usize,
    /// Single keys
    pub columns: Vec<usize>,
    /// The same slot of every frame
    pub slots: Vec<Slot>,
    /// (stride, phase): keys `phase`, `phase + stride`, ..
    pub strides: Vec<(usize, usize)>,
    /// Distances
    pub bands: Vec<Range<usize>>,
    /// The row's own slot of every frame
    pub own_slot: bool,
    /// Slots whose rows see everything
    pub rows: Vec<Slot>,
    /// (stride, phase) of rows that see everything
    pub row_strides: Vec<(usize, usize)>,
}

impl Pattern {
    /// For models without a pattern file: what MInference falls back to, with a wider window.
    pub const SAFE: Self = Self::VerticalSlash(VerticalSlash { vertical: 1024, slash: 2048, local: 1024 });

    /// Its name, as in pattern files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::AShape(_) => "a-shape",
            Self::VerticalSlash(_) => "vertical-slash",
            Self::Grid(_) => "grid",
            Self::Clusters(_) => "clusters",
            Self::Random(_) => "random",
            Self::Antidiagonal(_) => "antidiagonal",
            Self::QueryAware(_) => "query-aware",
        }
    }

    /// How far behind a row counts as near: what is further away is what the pattern has to find.
    #[must_use]
    pub fn window(&self) -> usize {
        match self {
            Self::AShape(pattern) => pattern.local,
            Self::VerticalSlash(pattern) => pattern.local,
            Self::Grid(pattern) => pattern.local,
            Self::Dense | Self::Clusters(_) | Self::Random(_) | Self::Antidiagonal(_) | Self::QueryAware(_) => 0,
        }
    }

    /// Whether it decides without looking.
    #[must_use]
    pub fn is_static(&self) -> bool {
        matches!(self, Self::Dense | Self::AShape(_) | Self::Clusters(_) | Self::Random(_) | Self::Antidiagonal(_))
    }

    /// Whether it chooses lines, which may be others across the borders between text and pictures.
    #[must_use]
    pub fn is_lines(&self) -> bool {
        matches!(self, Self::AShape(_) | Self::VerticalSlash(_) | Self::Grid(_))
    }

    /// Says what is wrong with its parameters.
    ///
    /// # Errors
    /// With what a parameter must be.
    pub fn check(&self) -> Result<(), String> {
        let share = |name: &str, value: f64| match value {
            value if (0.0..=1.0).contains(&value) => Ok(()),
            value => Err(format!("{name} is {value}, which is not between 0 and 1")),
        };
        match self {
            Self::Dense | Self::AShape(_) | Self::VerticalSlash(_) | Self::Grid(_) => Ok(()),
            Self::Clusters(Clusters { means: 0, .. }) => Err("means are 0, which leaves nothing to see".to_owned()),
            Self::Clusters(_) => Ok(()),
            Self::Random(random) => share("density", random.density),
            Self::Antidiagonal(pattern) if ![4, 8, 16].contains(&pattern.stride) => {
                Err(format!("stride is {}, which is not 4, 8 or 16", pattern.stride))
            }
            Self::Antidiagonal(pattern) => share("keep", pattern.keep.into()),
            Self::QueryAware(pattern) => {
                share("keep", pattern.keep.into())?;
                share("divergence", pattern.divergence.into())
            }
        }
    }

    /// Decides.
    ///
    /// # Errors
    /// When a product of the call's tensors fails.
    pub fn choose(&self, estimate: Estimate<'_>) -> Result<Choice, ModelError> {
        Ok(match self {
            Self::Dense => Choice::All,
            Self::AShape(pattern) => Choice::Lines(pattern.choose()),
            Self::VerticalSlash(pattern) => Choice::Lines(pattern.choose(estimate)),
            Self::Grid(pattern) => Choice::Lines(pattern.choose(estimate)),
            Self::Clusters(pattern) => Choice::Clusters(*pattern),
            Self::Random(pattern) => Choice::Blocks(pattern.choose(estimate)?),
            Self::Antidiagonal(pattern) => Choice::Blocks(pattern.choose(estimate)?),
            Self::QueryAware(pattern) => pattern.choose(estimate)?,
        })
    }
}

impl LineChoice {
    /// Both of them, as one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.window = self.window.max(other.window);
        self.columns.extend(other.columns);
        self.slots.extend(other.slots);
        self.strides.extend(other.strides);
        self.bands.extend(other.bands);
        self.own_slot |= other.own_slot;
        self.rows.extend(other.rows);
        self.row_strides.extend(other.row_strides);
        self
    }

    /// The lines for rows at `first..end`, with the prompt's sinks.
    fn lines(&self, layout: &Layout, end: usize) -> Lines {
        let mut columns: Vec<usize> = (0..SINKS).chain(self.columns.iter().copied()).collect();
        columns.extend(self.slots.iter().flat_map(|&slot| layout.line(slot, end)));
        columns.extend(self.strides.iter().flat_map(|&(stride, phase)| (phase..end).step_by(stride)));
        columns.retain(|&key| key < end);
        columns.sort_unstable();
        columns.dedup();
        let bands = joined(self.bands.clone());
        Lines { window: self.window.max(1), columns, bands, own_slot: self.own_slot }
    }
}

/// The parts of a head for the rows `rows` of positions from `first` on: those that the choice lets see everything, and the rest.
/// `clustered` gives the head's clusters.
///
/// # Errors
/// When `clustered` fails.
pub fn parts(
    choice: &Choice,
    rows: &[usize],
    first: usize,
    layout: &Layout,
    clustered: impl FnOnce(&Clusters) -> Result<Arc<Summaries>, ModelError>,
) -> Result<Vec<Part>, ModelError> {
    let part = |rows: Vec<usize>, kept| Part { rows: Some(rows), kept };
    Ok(match choice {
        Choice::All => vec![part(rows.to_vec(), Kept::All)],
        Choice::Clusters(own) => {
            let kept = Kept::Summaries { window: own.local, behind: clustered(own)? };
            vec![part(rows.to_vec(), kept)]
        }
        // Blocks are chosen for the call's own tiles of rows.
        Choice::Blocks(tiles) => vec![part(rows.to_vec(), Kept::Blocks(tiles.clone()))],
        Choice::Lines(lines) => {
            let whole = |&row: &usize| {
                let position = first + row;
                layout.slot(position).is_some_and(|slot| lines.rows.contains(&slot))
                    || lines.row_strides.iter().any(|&(stride, phase)| position % stride == phase % stride)
            };
            let (whole, rest): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| whole(row));
            let end = rest.last().map_or(0, |row| first + row + 1);
            [part(whole, Kept::All), part(rest, Kept::Lines(lines.lines(layout, end)))]
                .into_iter()
                .filter(|part| part.rows.as_ref().is_some_and(|rows| !rows.is_empty()))
                .collect()
        }
    })
}

/// Ranges in order, those that touch made one.
pub(super) fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut all: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        match all.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

/// The indices of the `count` largest of `values`, without those of nothing.
pub(super) fn largest(values: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&i| values[i] > 0.0).collect();
    if count < order.len() {
        order.select_nth_unstable_by(count, |&a, &b| values[b].total_cmp(&values[a]));
        order.truncate(count);
    }
    order
}
