//! What is kept of a head's attention -> a program.
//!
//! Every pattern comes down to the same few kinds of keys, so that one writer serves them all: a window behind the row, columns that all
//! rows see, bands at a distance, the row's own slot in every frame, blocks chosen for a tile of rows, or everything.
//! No key is met twice by a row, whatever a pattern asks for.

use super::blocks::BLOCK;
use super::clusters::Clusters;
use super::layout::{Layout, Slot};
use super::pattern::{SINKS, joined};
use longsight_kernels::attention::{Positions, Program, Rows, Segment, Shape, Summaries, TILE_ROWS, Tile};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What the rows of a head see besides themselves.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// Every key before them
    All,
    /// Lines: what patterns of columns, diagonals and slots leave
    Lines(Lines),
    /// Near keys, and those before them in clusters
    Summaries {
        /// Keys that a row sees one by one, at least: it sees whole stretches so
        window: usize,
        /// Clusters of whole stretches
        behind: Arc<Summaries>,
    },
    /// For each tile of 96 rows, the stretches of keys it sees, ascending and apart
    Blocks(Vec<Vec<Range<usize>>>),
}

/// Lines of attention.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// Keys that a row sees before and including itself, at least 1
    pub window: usize,
    /// Keys that every row sees that they lie before, ascending
    pub columns: Vec<usize>,
    /// Distances, ascending and apart, at which rows see keys
    pub bands: Vec<Range<usize>>,
    /// Whether rows see their own slot in every frame before
    pub own_slot: bool,
}

/// Rows of a head that are kept alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Rows, counted from the first one run, ascending; `None` for all
    pub rows: Option<Vec<usize>>,
    /// What they see
    pub kept: Kept,
}

/// The program of heads whose rows are kept as `heads` says; the parts of a head cover its rows once.
#[must_use]
pub fn program(shape: Shape, first: usize, heads: &[Vec<Part>], layout: &Layout) -> Program {
    let mut writer = Writer::new(shape, first, heads);
    for (head, parts) in heads.iter().enumerate() {
        for part in parts {
            let order = writer.order(part.rows.as_ref());
            match &part.kept {
                Kept::All => writer.all(head, order),
                Kept::Lines(lines) => writer.lines(head, order, lines, layout),
                Kept::Summaries { window, behind } => writer.summaries(head, order, *window, behind),
                Kept::Blocks(tiles) => writer.blocks(head, order, tiles),
            }
        }
    }
    writer.program
}

/// Blocks of keys as stretches.
pub(super) fn joined_blocks(blocks: Vec<usize>) -> Vec<Range<usize>> {
    joined(blocks.into_iter().map(|block| block * BLOCK..(block + 1) * BLOCK).collect())
}

struct Writer {
    shape: Shape,
    program: Program,
    orders: BTreeMap<Vec<usize>, usize>,
}

/// Passes: rows first meet most of their keys, then those of their slot.
const FIRST: usize = 0;
const OWN_SLOT: usize = 1;
/// The set that every key head begins with: the keys of windows, or all where they are needed.
const NEAR: usize = 0;

impl Writer {
    fn new(shape: Shape, first: usize, heads: &[Vec<Part>]) -> Self {
        let group = shape.heads / shape.kv_heads;
        let near = |shared: usize| {
            let parts = heads[shared * group..(shared + 1) * group].iter().flatten();
            let reach = parts.map(|part| match &part.kept {
                Kept::Lines(lines) if lines.bands.is_empty() => (first + 1).saturating_sub(lines.window.max(1)),
                Kept::Summaries { window, .. } => Clusters::near_from(*window, first),
                _ => 0,
            });
            // Only what is needed is packed.
            let start = reach.min().unwrap_or(first);
            Positions::Strided { first: start, step: 1, count: shape.keys - start }
        };
        let sets = (0..shape.kv_heads).map(|shared| vec![near(shared)]).collect();
        let orders = vec![Positions::All(shape.rows)];
        let program = Program { first, orders, sets, segments: Vec::new(), passes: vec![Vec::new(), Vec::new()] };
        Self { shape, program, orders: BTreeMap::new() }
    }

    fn order(&mut self, rows: Option<&Vec<usize>>) -> usize {
        let Some(rows) = rows else { return 0 };
        *self.orders.entry(rows.clone()).or_insert_with(|| {
            self.program.orders.push(Positions::List(rows.clone()));
            self.program.orders.len() - 1
        })
    }

    fn set(&mut self, head: usize, keys: Vec<usize>) -> usize {
        self.add(head, Positions::List(keys))
    }

    /// Heads that share keys share equal sets, too.
    fn add(&mut self, head: usize, set: Positions) -> usize {
        let sets = &mut self.program.sets[head / (self.shape.heads / self.shape.kv_heads)];
        let same = |known: &Positions| match (known, &set) {
            // Known by where they are, without a look at all of them.
            (Positions::Summaries(known), Positions::Summaries(own)) => Arc::ptr_eq(known, own),
            (known, own) => known == own,
        };
        sets.iter().position(same).unwrap_or_else(|| {
            sets.push(set);
            sets.len() - 1
        })
    }

    fn segment(&mut self, set: usize, distances: Range<usize>) {
        let far = (distances.end != usize::MAX).then(|| distances.end - 1);
        self.program.segments.push(Segment { set, keys: 0..self.shape.keys, near: Some(distances.start), far });
    }

    /// Every tile of an order's rows meets the segments written since `from`.
    fn tiles(&mut self, head: usize, order: usize, pass: usize, from: usize) {
        let segments = from..self.program.segments.len();
        let count = self.program.orders[order].len();
        let tiles = (0..count).step_by(TILE_ROWS).map(|first| Tile {
            head,
            rows: Rows { order, first, count: TILE_ROWS.min(count - first) },
            segments: segments.clone(),
            fresh: pass == FIRST,
        });
        self.program.passes[pass].extend(tiles);
    }

    fn all(&mut self, head: usize, order: usize) {
        let from = self.program.segments.len();
        self.segment(NEAR, 0..usize::MAX);
        self.tiles(head, order, FIRST, from);
    }

    fn lines(&mut self, head: usize, order: usize, lines: &Lines, layout: &Layout) {
        let from = self.program.segments.len();
        let window = lines.window.max(1);
        self.segment(NEAR, 0..window);
        let bands: Vec<Range<usize>> = lines.bands.iter().map(|band| band.start.max(window)..band.end).collect();
        let bands = bands.into_iter().filter(|band| !band.is_empty());
        // Columns fill what the window and the bands leave.
        let mut left = vec![];
        let mut end = window;
        for band in bands {
            self.segment(NEAR, band.clone());
            left.push(end..band.start);
            end = band.end;
        }
        left.push(end..usize::MAX);
        if !lines.columns.is_empty() {
            let set = self.set(head, lines.columns.clone());
            left.into_iter().filter(|gap| !gap.is_empty()).for_each(|gap| self.segment(set, gap));
        }
        self.tiles(head, order, FIRST, from);
        if lines.own_slot {
            self.own_slots(head, order, window, &lines.columns, layout);
        }
    }

    /// Tiles whose windows begin where a stretch does, so that a key is met by itself or in a cluster, and never both.
    fn summaries(&mut self, head: usize, order: usize, window: usize, behind: &Arc<Summaries>) {
        let (first, end) = (self.program.first, self.shape.keys);
        let sinks = self.set(head, (0..SINKS.min(end)).collect());
        let clusters = self.add(head, Positions::Summaries(behind.clone()));
        let rows = self.program.orders[order].clone();
        for start in (0..rows.len()).step_by(TILE_ROWS) {
            let from = self.program.segments.len();
            let near = Clusters::near_from(window, first + rows.at(start));
            for (set, keys) in [(NEAR, near..end), (sinks, 0..near), (clusters, 0..near)] {
                self.program.segments.push(Segment { set, keys, near: Some(0), far: None });
            }
            let segments = from..self.program.segments.len();
            let rows = Rows { order, first: start, count: TILE_ROWS.min(rows.len() - start) };
            self.program.passes[FIRST].push(Tile { head, rows, segments, fresh: true });
        }
    }

    fn own_slots(&mut self, head: usize, order: usize, window: usize, columns: &[usize], layout: &Layout) {
        let mut rows: BTreeMap<Slot, Vec<usize>> = BTreeMap::new();
        let first = self.program.first;
        let order = self.program.orders[order].clone();
        for row in (0..order.len()).map(|member| order.at(member)) {
            if let Some(slot) = layout.slot(first + row) {
                rows.entry(slot).or_default().push(row);
            }
        }
        let seen_before = (first + self.shape.rows).saturating_sub(window);
        for (slot, rows) in rows {
            let mut keys = layout.line(slot, seen_before);
            keys.retain(|key| columns.binary_search(key).is_err());
            if keys.is_empty() {
                continue;
            }
            let from = self.program.segments.len();
            let set = self.set(head, keys);
            self.segment(set, window..usize::MAX);
            let order = self.order(Some(&rows));
            self.tiles(head, order, OWN_SLOT, from);
        }
    }

    fn blocks(&mut self, head: usize, order: usize, tiles: &[Vec<Range<usize>>]) {
        let count = self.program.orders[order].len();
        for (first, stretches) in (0..count).step_by(TILE_ROWS).zip(tiles) {
            let from = self.program.segments.len();
            for keys in stretches {
                self.program.segments.push(Segment { set: NEAR, keys: keys.clone(), near: Some(0), far: None });
            }
            let rows = Rows { order, first, count: TILE_ROWS.min(count - first) };
            let segments = from..self.program.segments.len();
            self.program.passes[FIRST].push(Tile { head, rows, segments, fresh: true });
        }
    }
}
