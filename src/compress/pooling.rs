//! Spatial pooling whose stride differs from frame to frame: progressive pooling (Visual Context Window Extension, Wei & Chen 2024,
//! arXiv 2409.20018, section 3.3), slow-fast tokens (LITA, Huang et al. 2024, arXiv 2403.19046), and plain average pooling.

use super::{Compressor, Settings, WINDOW, Window};
use longsight_models::{Group, ModelError, Selection};

/// Group lengths that are tried; they divide a window, so that groups begin anew with each.
const GROUPS: [usize; 5] = [2, 4, 8, 16, 32];
/// The length that was best in the paper's ablation: of plans that use the budget as well, the nearest to it is taken.
const BEST_GROUP: usize = 4;
/// Plans whose use of the budget differs by less than this share of it count as equal.
const SAME_USE: f64 = 0.05;

const _: () = assert!(WINDOW.is_multiple_of(GROUPS[GROUPS.len() - 1]));

/// Groups of patches: the first of each pooled finely, the others coarsely.
#[derive(Debug)]
pub(super) struct Pooling {
    settings: Settings,
    plans: fn((usize, usize)) -> Vec<Plan>,
}

/// How the patches of a group are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Patches in a group
    group: usize,
    /// Stride of the first
    fine: usize,
    /// Stride of the others; `None` leaves them out
    coarse: Option<usize>,
}

impl Plan {
    fn stride(self, patch: usize) -> Option<usize> {
        if patch.is_multiple_of(self.group) { Some(self.fine) } else { self.coarse }
    }

    fn kept(self, patches: usize, grid: (usize, usize)) -> usize {
        (0..patches).filter_map(|patch| self.stride(patch)).map(|stride| blocks(grid, stride)).sum()
    }
}

impl Pooling {
    /// Group length and both strides from the budget.
    pub(super) fn progressive(settings: Settings) -> Self {
        Self { settings, plans: progressive }
    }

    /// The first patch of each group whole, one token for each of the others; the group's length from the budget.
    pub(super) fn slow_fast(settings: Settings) -> Self {
        Self { settings, plans: slow_fast }
    }

    /// Every patch pooled alike: the baseline.
    pub(super) fn average(settings: Settings) -> Self {
        Self { settings, plans: average }
    }

    /// The plan that makes most of the budget without going over it; where none fits, groups of which only the first patch is left.
    fn plan(&self, grid: (usize, usize)) -> Plan {
        let budget = WINDOW as f64 * (grid.0 * grid.1) as f64 * self.settings.keep;
        let fits = |plan: &Plan| plan.kept(WINDOW, grid) as f64 <= budget;
        let used = |plan: &Plan| (plan.kept(WINDOW, grid) as f64 / budget / SAME_USE) as i64;
        let far = |plan: &Plan| plan.group.ilog2().abs_diff(BEST_GROUP.ilog2());
        let strides = 1..=grid.0.max(grid.1).max(1);
        let sparse =
            || GROUPS.iter().flat_map(|&group| strides.clone().map(move |fine| Plan { group, fine, coarse: None }));
        (self.plans)(grid)
            .into_iter()
            .filter(fits)
            .min_by_key(|plan| (-used(plan), far(plan), plan.fine))
            .or_else(|| sparse().filter(fits).max_by_key(|plan| (used(plan), -(plan.fine as i64))))
            .unwrap_or(Plan { group: WINDOW, fine: *strides.end(), coarse: None })
    }
}

/// Tokens of a patch pooled with a stride.
fn blocks((rows, columns): (usize, usize), stride: usize) -> usize {
    rows.div_ceil(stride) * columns.div_ceil(stride)
}

fn progressive(grid: (usize, usize)) -> Vec<Plan> {
    let side = grid.0.max(grid.1);
    let strides = (1..side).flat_map(|fine| (fine + 1..=side).map(move |coarse| (fine, Some(coarse))));
    strides.flat_map(|(fine, coarse)| GROUPS.map(|group| Plan { group, fine, coarse })).collect()
}

fn slow_fast(grid: (usize, usize)) -> Vec<Plan> {
    GROUPS.map(|group| Plan { group, fine: 1, coarse: Some(grid.0.max(grid.1)) }).to_vec()
}

fn average(grid: (usize, usize)) -> Vec<Plan> {
    (1..=grid.0.max(grid.1)).map(|stride| Plan { group: BEST_GROUP, fine: stride, coarse: Some(stride) }).collect()
}

impl Compressor for Pooling {
    fn kept(&self, patches: usize, grid: (usize, usize)) -> usize {
        self.plan(grid).kept(patches, grid)
    }

    fn select(&self, window: &Window) -> Result<Selection, ModelError> {
        let plan = self.plan(window.grid());
        let mut groups = Vec::with_capacity(plan.kept(window.patches(), window.grid()));
        for patch in 0..window.patches() {
            if let Some(stride) = plan.stride(patch) {
                pool(patch * window.cells(), window.grid(), stride, &mut groups);
            }
        }
        Selection::new(groups)
    }
}

/// The same in the vision tower, before its mergers, as published. (After them is where a method can stand that asks nothing of the
/// family; which of the two loses less is measured by `longsight bench compress`.)
#[derive(Debug)]
pub(super) struct Early(pub(super) Pooling);

impl Compressor for Early {
    fn kept(&self, patches: usize, grid: (usize, usize)) -> usize {
        self.0.kept(patches, grid)
    }

    fn select(&self, window: &Window) -> Result<Selection, ModelError> {
        self.0.select(window)
    }

    fn strides(&self, grid: (usize, usize)) -> Option<Vec<Option<usize>>> {
        let plan = self.0.plan(grid);
        Some((0..WINDOW).map(|patch| plan.stride(patch)).collect())
    }
}

/// The means of a patch's blocks of `stride` by `stride` tokens; the ones at the far borders are smaller.
pub(super) fn pool(first: usize, (rows, columns): (usize, usize), stride: usize, groups: &mut Vec<Group>) {
    for top in (0..rows).step_by(stride) {
        for left in (0..columns).step_by(stride) {
            let (bottom, right) = ((top + stride).min(rows), (left + stride).min(columns));
            let share = 1.0 / ((bottom - top) * (right - left)) as f32;
            let cells = (top..bottom).flat_map(|row| (left..right).map(move |column| first + row * columns + column));
            groups.push(Group { at: first + top * columns + left, rows: cells.map(|row| (row, share)).collect() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(pooling: fn(Settings) -> Pooling, keep: f64, grid: (usize, usize)) -> (usize, usize, Option<usize>) {
        let plan = pooling(Settings { keep, seed: 0 }).plan(grid);
        (plan.group, plan.fine, plan.coarse)
    }

    #[test]
    fn group_and_strides_come_from_the_budget() {
        assert_eq!(plan(Pooling::progressive, 0.25, (3, 3)), (8, 1, Some(3)));
        assert_eq!(plan(Pooling::average, 0.25, (8, 8)), (4, 2, Some(2)));
        assert_eq!(plan(Pooling::slow_fast, 0.3, (8, 8)), (4, 1, Some(8)));
        // Less than a token a patch: only the first patch of each group is left.
        assert_eq!(plan(Pooling::average, 0.06, (3, 3)), (8, 2, None));
    }

    #[test]
    fn a_block_is_the_mean_of_its_tokens() {
        let mut groups = Vec::new();
        pool(9, (3, 3), 2, &mut groups);
        let places: Vec<usize> = groups.iter().map(|group| group.at).collect();
        assert_eq!(places, [9, 11, 15, 17]);
        assert_eq!(groups[0].rows, [(9, 0.25), (10, 0.25), (12, 0.25), (13, 0.25)]);
        assert_eq!(groups[3].rows, [(17, 1.0)]);
    }
}
