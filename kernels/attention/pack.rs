//! Keys and values laid out for the tile loop, once for all rows that meet them.
//!
//! Keys stand in panels of 64, value by value (`[dim / STEP][64][STEP]`), values in tiles of 128 keys
//! (`[128 / STEP][dim][STEP]`), so that both products read the right side from front to back. What a set holds need not
//! lie together: a strided set becomes contiguous here, which is MMInference's permutation (its Algorithm 5) without a
//! second copy of the cache.

use super::{Positions, Strided};
use crate::aligned::Aligned;
use crate::element::Element;
use crate::lanes::Lanes;
use rayon::prelude::*;

/// Keys that the tile loop takes at once: scores of 96 x 128 f32 stay in the second-level cache.
pub(super) const KEYS: usize = 128;
/// Columns of a panel of keys.
pub(super) const PANEL: usize = 64;

/// One set of keys and values of one key head.
pub(super) struct Packed<E> {
    keys: Aligned<E>,
    values: Aligned<E>,
    /// What scores of each key are raised by, in powers of two; none where that is nothing
    raises: Option<Aligned<f32>>,
    pub(super) width: Width,
}

/// The width of a head, filled up to whole steps for scores and to whole vectors for sums.
#[derive(Debug, Clone, Copy)]
pub(super) struct Width {
    /// Steps of a score's product
    pub(super) steps: usize,
    /// Columns of a value row
    pub(super) cols: usize,
}

impl Width {
    pub(super) fn of<L: Lanes>(dim: usize) -> Self {
        let (_, cols, steps) = L::WHOLE;
        Self { steps: dim.div_ceil(L::STEP).next_multiple_of(steps), cols: dim.next_multiple_of(cols) }
    }
}

impl<E: Copy + Default + Send + Sync> Packed<E> {
    /// The rows `positions` of `k` and `v`, whose head begins at `head`.
    pub(super) fn new<L: Lanes<Elem = E>, T: Element>(
        k: Strided<T>,
        v: Strided<T>,
        head: usize,
        positions: &Positions,
        dim: usize,
    ) -> Self {
        let width = Width::of::<L>(dim);
        let tiles = positions.len().div_ceil(KEYS);
        let (key_tile, value_tile) = (width.steps * L::STEP * KEYS, width.cols * KEYS);
        let (mut keys, mut values) = (Aligned::new(tiles * key_tile), Aligned::new(tiles * value_tile));
        let raises = match positions {
            Positions::Summaries(own) => {
                let mut raises = Aligned::new(tiles * KEYS);
                raises.iter_mut().zip(&own.log_weights).for_each(|(to, log)| *to = log * std::f32::consts::LOG2_E);
                Some(raises)
            }
            _ => None,
        };
        let (key, value) = match positions {
            Positions::Summaries(own) => (Side::Own(&own.keys), Side::Own(&own.values)),
            _ => (Side::Inputs(k, head), Side::Inputs(v, head)),
        };
        // No width, no chunks.
        let tiles = keys.par_chunks_mut(key_tile.max(1)).zip(values.par_chunks_mut(value_tile.max(1))).enumerate();
        tiles.for_each_init(
            || vec![E::default(); width.steps * L::STEP],
            |row, (tile, (keys, values))| {
                let panels = keys.chunks_mut(key_tile / (KEYS / PANEL));
                for (panel, panel_keys) in panels.enumerate() {
                    for at in 0..PANEL.min(positions.len().saturating_sub(tile * KEYS + panel * PANEL)) {
                        key.read::<L>(positions, tile * KEYS + panel * PANEL + at, &mut row[..dim]);
                        for (step, elems) in row.chunks_exact(L::STEP).enumerate() {
                            panel_keys[(step * PANEL + at) * L::STEP..][..L::STEP].copy_from_slice(elems);
                        }
                    }
                }
                for at in 0..KEYS.min(positions.len() - tile * KEYS) {
                    value.read::<L>(positions, tile * KEYS + at, &mut row[..dim]);
                    let to = &mut values[at / L::STEP * width.cols * L::STEP + at % L::STEP..];
                    to.iter_mut().step_by(L::STEP).zip(&row[..dim]).for_each(|(to, &x)| *to = x);
                }
            },
        );
        Self { keys, values, raises, width }
    }

    /// What scores of the keys of one tile of 128 are raised by.
    pub(super) fn raises(&self, tile: usize) -> Option<&[f32]> {
        self.raises.as_ref().map(|raises| &raises[tile * KEYS..(tile + 1) * KEYS])
    }

    /// One panel of 64 keys: `[steps][64][STEP]`.
    pub(super) fn panel<L: Lanes<Elem = E>>(&self, panel: usize) -> &[E] {
        let len = self.width.steps * L::STEP * PANEL;
        &self.keys[panel * len..(panel + 1) * len]
    }

    /// The values of one tile of 128 keys: `[128 / STEP][cols][STEP]`.
    pub(super) fn values(&self, tile: usize) -> &[E] {
        let len = self.width.cols * KEYS;
        &self.values[tile * len..(tile + 1) * len]
    }
}

/// Where the rows of a set come from.
enum Side<'a, T> {
    /// Those of a head of the inputs, at the members' positions
    Inputs(Strided<'a, T>, usize),
    /// Rows of the set's own, one a member
    Own(&'a [f32]),
}

impl<T: Element> Side<'_, T> {
    /// A member as elements.
    #[inline]
    fn read<L: Lanes>(&self, positions: &Positions, member: usize, to: &mut [L::Elem]) {
        match self {
            Self::Inputs(rows, head) => {
                let row = rows.row(*head, positions.at(member), to.len());
                to.iter_mut().zip(row).for_each(|(to, &x)| *to = L::elem(x.to_f32()));
            }
            Self::Own(rows) => {
                let row = &rows[member * to.len()..(member + 1) * to.len()];
                to.iter_mut().zip(row).for_each(|(to, &x)| *to = L::elem(x));
            }
        }
    }
}
