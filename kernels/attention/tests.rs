//! Every version on every level that this processor has, against the reference.

#[cfg(target_os = "linux")]
use super::cuda_tests::{Work, emulated, emulated_probe};
use super::program::run;
use super::{
    Inputs, Mask, Positions, Program, Rows, Segment, Shape, Strided, Summaries, TILE_ROWS, Tile, attend, reference,
};
use crate::level::{Level, Precision};
use crate::noise::noise;
use proptest::prelude::*;
use std::sync::Arc;

/// f32 sums of up to a few hundred products of values near 1: a handful of units in the last place of the largest.
const TOLERANCE: f32 = 2e-5;
/// From inputs that are bf16 already, only the weights are rounded: by up to 2^-9 of themselves.
pub(super) const TOLERANCE_BF16: f32 = 2.0 / 512.0;

fn tolerance(level: Level) -> f32 {
    if level >= Level::Avx512Bf16 { TOLERANCE_BF16 } else { TOLERANCE }
}

/// Queries, keys and values of a shape.
pub(super) struct Case {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    pub(super) shape: Shape,
    gap: usize,
    pub(super) interleaved: bool,
}

impl Case {
    /// Noise whose heads and rows lie `gap` elements apart; `interleaved` puts heads inside rows.
    fn new(shape: Shape, spread: f32, gap: usize, interleaved: bool, seed: u64) -> Self {
        let Shape { heads, kv_heads, rows, keys, dim } = shape;
        let make = |heads: usize, rows: usize, seed: u64| {
            noise(heads * rows * (dim + gap), seed).into_iter().map(|x| x * spread).collect()
        };
        Self {
            q: make(heads, rows, seed),
            k: make(kv_heads, keys, seed + 1),
            v: make(kv_heads, keys, seed + 2),
            shape,
            gap,
            interleaved,
        }
    }

    pub(super) fn inputs(&self) -> Inputs<'_> {
        let Shape { heads, kv_heads, rows, keys, dim } = self.shape;
        let wide = dim + self.gap;
        let view = |data, heads: usize, rows: usize| {
            let (head, row) = if self.interleaved { (wide, heads * wide) } else { (rows * wide, wide) };
            Strided { data, head, row }
        };
        let (q, k, v) = (view(&self.q, heads, rows), view(&self.k, kv_heads, keys), view(&self.v, kv_heads, keys));
        Inputs { q, k, v, shape: self.shape, scale: (dim as f32).powf(-0.5) }
    }

    /// The same, rounded to what the level multiplies.
    fn for_level(&self, level: Level) -> Self {
        let round = |data: &[f32]| match level {
            Level::Avx512Bf16 | Level::Amx => data.iter().map(|&x| half::bf16::from_f32(x).to_f32()).collect(),
            _ => data.to_vec(),
        };
        Self { q: round(&self.q), k: round(&self.k), v: round(&self.v), ..*self }
    }
}

pub(super) fn near(got: &[f32], want: &[f32], tolerance: f32, what: impl std::fmt::Debug) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance, "{what:?}: element {i} is {got}, should be {want}");
    }
}

/// Runs what users call, and the tile loop on every level, against the reference.
fn compare(shape: Shape, mask: Mask, spread: f32, gap: usize, interleaved: bool, seed: u64) {
    let case = Case::new(shape, spread, gap, interleaved, seed);
    let want = reference::attend(case.inputs(), mask);
    near(&attend(case.inputs(), mask, Precision::F32), &want, TOLERANCE * (1.0 + spread), (shape, mask));
    for level in Level::available() {
        let case = case.for_level(level);
        let want = reference::attend(case.inputs(), mask);
        let got = run(level, case.inputs(), &Program::of(mask, shape)).out;
        near(&got, &want, tolerance(level) * spread.max(1.0), (level, shape, mask));
    }
    #[cfg(target_os = "linux")]
    emulated(&case, &Work::Mask(mask), TOLERANCE_BF16 * spread.max(1.0));
}

#[test]
fn odd_causal_sizes_agree_with_the_reference() {
    for (heads, kv_heads, first, rows, dim) in [
        (1, 1, 0, 1, 1),
        (1, 1, 0, 2, 3),
        (6, 2, 0, 127, 32),
        (6, 2, 0, 128, 32),
        (4, 4, 3, 129, 17),
        (8, 1, 300, 7, 64),
        (6, 2, 1, 1, 128),
        (6, 2, 511, 1, 80),
        (3, 3, 200, 1, 72),
        (2, 1, 128, 257, 16),
    ] {
        let shape = Shape { heads, kv_heads, rows, keys: first + rows, dim };
        for interleaved in [false, true] {
            compare(shape, Mask::Causal { first }, 1.0, 0, interleaved, 7);
            compare(shape, Mask::Causal { first }, 1.0, 5, interleaved, 8);
        }
    }
}

#[test]
fn keys_beyond_the_last_row_are_not_seen() {
    let shape = Shape { heads: 4, kv_heads: 2, rows: 10, keys: 200, dim: 24 };
    compare(shape, Mask::Causal { first: 100 }, 1.0, 0, false, 3);
    compare(Shape { rows: 1, ..shape }, Mask::Causal { first: 130 }, 1.0, 0, false, 3);
}

#[test]
fn segments_do_not_see_each_other() {
    for bounds in [&[0, 1][..], &[0, 5, 6, 20], &[0, 128, 256], &[0, 130, 131, 400], &[0, 7, 7, 9]] {
        let rows = bounds[bounds.len() - 1];
        let shape = Shape { heads: 3, kv_heads: 3, rows, keys: rows, dim: 20 };
        compare(shape, Mask::Segments(bounds), 1.0, 0, true, 11);
    }
}

#[test]
fn large_scores_neither_overflow_nor_vanish() {
    let shape = Shape { heads: 2, kv_heads: 1, rows: 300, keys: 300, dim: 64 };
    compare(shape, Mask::Causal { first: 0 }, 8.0, 0, false, 5);
}

#[test]
fn nothing_in_gives_nothing_out() {
    let shape = Shape { heads: 2, kv_heads: 1, rows: 0, keys: 0, dim: 8 };
    compare(shape, Mask::Causal { first: 0 }, 1.0, 0, false, 5);
    compare(shape, Mask::Segments(&[0]), 1.0, 0, false, 5);
}

#[test]
#[should_panic(expected = "keys are shorter")]
fn short_slices_are_refused() {
    let data = vec![0.0; 64];
    let rows = Strided { data: &data, head: 0, row: 16 };
    let short = Strided { data: &data[..60], head: 0, row: 16 };
    let shape = Shape { heads: 1, kv_heads: 1, rows: 4, keys: 4, dim: 16 };
    let _ = attend(Inputs { q: rows, k: short, v: rows, shape, scale: 1.0 }, Mask::Causal { first: 0 }, Precision::F32);
}

#[test]
fn bf16_and_f16_inputs_are_read_as_they_are() {
    let shape = Shape { heads: 4, kv_heads: 2, rows: 40, keys: 140, dim: 24 };
    let case = Case::new(shape, 1.0, 0, false, 21);
    let (Inputs { q, k, v, .. }, mask) = (case.inputs(), Mask::Causal { first: 100 });
    let halves = |x: Strided| x.data.iter().map(|&x| half::bf16::from_f32(x)).collect::<Vec<_>>();
    let (hq, hk, hv) = (halves(q), halves(k), halves(v));
    let view = |data, like: Strided| Strided { data, head: like.head, row: like.row };
    let (hq, hk, hv) = (view(&hq, q), view(&hk, k), view(&hv, v));
    for rows in [40, 3] {
        let inputs = Inputs { q: hq, k: hk, v: hv, shape: Shape { rows, ..shape }, scale: 0.2 };
        let want = reference::attend(inputs, mask);
        near(&attend(inputs, mask, Precision::F32), &want, TOLERANCE, "bf16 in f32");
        near(&attend(inputs, mask, Precision::Bf16), &want, TOLERANCE_BF16, "bf16 in bf16");
    }
}

/// A-shape, a strided column set, a list of columns and strided rows, in two passes.
fn patchwork(shape: Shape, first: usize, sink: usize, window: usize, stride: usize, list: &[usize]) -> Program {
    let grid = Positions::Strided { first: sink, step: stride, count: (shape.keys - sink).div_ceil(stride) };
    let off_grid = |key: &usize| *key >= sink && *key < shape.keys && !(key - sink).is_multiple_of(stride);
    let columns = Positions::List(list.iter().copied().filter(off_grid).collect());
    let all = 0..shape.keys;
    let segments = vec![
        Segment { set: 0, keys: 0..sink, near: Some(0), far: None },
        Segment { set: 0, keys: sink..shape.keys, near: Some(0), far: Some(window - 1) },
        Segment { set: 1, keys: all.clone(), near: Some(window), far: None },
        Segment { set: 2, keys: all.clone(), near: Some(window), far: None },
        Segment { set: 0, keys: all, near: Some(0), far: None },
    ];
    let every = (stride / 2..shape.rows).step_by(stride).collect();
    let orders = vec![Positions::All(shape.rows), Positions::List(every)];
    let tiles = |order: usize, segments: std::ops::Range<usize>, fresh: bool| {
        let count = orders[order].len();
        let chunk = |head: usize, at: usize| Tile {
            head,
            rows: Rows { order, first: at, count: TILE_ROWS.min(count - at) },
            segments: segments.clone(),
            fresh,
        };
        (0..shape.heads)
            .flat_map(|head| (0..count).step_by(TILE_ROWS).map(move |at| (head, at)))
            .map(|(head, at)| chunk(head, at))
            .collect::<Vec<_>>()
    };
    let passes = vec![tiles(0, 0..2, true), tiles(0, 2..4, false), tiles(1, 4..5, true)];
    Program {
        first,
        orders,
        sets: vec![vec![Positions::All(shape.keys), grid, columns]; shape.kv_heads],
        segments,
        passes,
    }
}

fn compare_program(shape: Shape, program: &Program, seed: u64) {
    let case = Case::new(shape, 1.5, 0, false, seed);
    program.check(shape);
    for level in Level::available() {
        let case = case.for_level(level);
        let want = reference::attend_program(case.inputs(), program);
        let got = run(level, case.inputs(), program);
        near(&got.out, &want, 2.0 * tolerance(level), (level, shape));
        assert_eq!(program.scores(shape).iter().sum::<usize>(), got.scores);
    }
    #[cfg(target_os = "linux")]
    emulated(&case, &Work::Program(program), 2.0 * TOLERANCE_BF16);
}

#[test]
fn passes_gather_into_one_softmax() {
    let shape = Shape { heads: 4, kv_heads: 2, rows: 300, keys: 500, dim: 40 };
    let list = [3, 70, 71, 72, 130, 255, 256, 257, 390, 499];
    compare_program(shape, &patchwork(shape, 200, 16, 50, 7, &list), 31);
    compare_program(shape, &patchwork(shape, 200, 1, 1, 129, &[]), 32);
    // A window of whole blocks of keys, and rows that lose some of them.
    compare_program(shape, &patchwork(shape, 200, 16, 180, 7, &list), 33);
}

/// The shares of attention of single rows, from the reference: values are unit vectors, so outputs are the shares themselves.
fn shares(case: &Case, head: usize, position: usize, row: usize) -> Vec<f32> {
    let Shape { heads, kv_heads, keys, dim, .. } = case.shape;
    let unit: Vec<f32> = (0..keys).flat_map(|key| (0..keys).map(move |d| if d == key { 1.0 } else { 0.0 })).collect();
    let inputs = case.inputs();
    let pad = |x: Strided<'_>, head: usize, row: usize| {
        let mut wide = x.row(head, row, dim).to_vec();
        wide.resize(keys, 0.0);
        wide
    };
    let q = pad(inputs.q, head, row);
    let k: Vec<f32> = (0..keys).flat_map(|key| pad(inputs.k, head / (heads / kv_heads), key)).collect();
    let view = |data| Strided { data, head: 0, row: keys };
    let shape = Shape { heads: 1, kv_heads: 1, rows: 1, keys, dim: keys };
    let inputs = Inputs { q: view(&q), k: view(&k), v: view(&unit), shape, scale: inputs.scale };
    reference::attend(inputs, Mask::Causal { first: position })
}

#[test]
fn a_probe_sums_the_shares_of_its_rows() {
    let positions = [40, 41, 100, 150, 298];
    let shape = Shape { heads: 4, kv_heads: 2, rows: positions.len(), keys: 300, dim: 12 };
    let case = Case::new(shape, 2.0, 3, true, 41);
    let near = [0, 7, 64, 400];
    for (head, mass) in super::probe(case.inputs(), &positions, &near).into_iter().enumerate() {
        let (mut columns, mut distances, mut far) = (vec![0.0; 299], vec![0.0; 299], vec![0.0; positions.len()]);
        for (row, &position) in positions.iter().enumerate() {
            for (key, share) in shares(&case, head, position, row).into_iter().enumerate().take(position + 1) {
                distances[position - key] += share;
                if position - key > near[head] {
                    columns[key] += share;
                    far[row] += share;
                }
            }
        }
        near_all(&mass.columns, &columns);
        near_all(&mass.distances, &distances);
        near_all(&mass.far, &far);
    }
    #[cfg(target_os = "linux")]
    emulated_probe(&case, &positions, &near);
}

#[test]
fn a_probe_of_many_rows_is_in_stretches() {
    let positions: Vec<usize> = (0..64).map(|row| 900 + row * 3 / 2).collect();
    let shape = Shape { heads: 3, kv_heads: 1, rows: positions.len(), keys: 1100, dim: 72 };
    #[cfg(target_os = "linux")]
    emulated_probe(&Case::new(shape, 2.0, 0, false, 42), &positions, &[128, 0, 5000]);
}

fn near_all(got: &[f32], want: &[f32]) {
    near(got, want, TOLERANCE, "a probe");
}

#[test]
fn log_sums_tell_how_much_mass_was_kept() {
    let shape = Shape { heads: 2, kv_heads: 1, rows: 130, keys: 150, dim: 16 };
    let case = Case::new(shape, 2.0, 0, false, 43);
    let dense =
        run(Level::detected().min(Level::Avx512), case.inputs(), &Program::of(Mask::Causal { first: 20 }, shape));
    let kept = patchwork(shape, 20, 4, 10, 9, &[5, 30]);
    let kept = run(Level::detected().min(Level::Avx512), case.inputs(), &kept);
    for (row, position) in [(0, 20), (77, 97), (129, 149)] {
        let shares = shares(&case, 1, position, row);
        let seen = |key: usize| key < 4 || position - key < 10 || (key - 4).is_multiple_of(9) || [5, 30].contains(&key);
        let whole = (row + 9 - 4) % 9 == 0;
        let want: f32 = (0..=position).filter(|&key| whole || seen(key)).map(|key| shares[key]).sum();
        let got = (kept.lse[shape.rows + row] - dense.lse[shape.rows + row]).exp();
        assert!((got - want).abs() < 1e-4, "row {row} keeps {got}, should keep {want}");
    }
}

/// Groups of keys as their means, each with the weight of all of them.
fn means(case: &Case, head: usize, groups: &[Vec<usize>]) -> Positions {
    let (inputs, dim) = (case.inputs(), case.shape.dim);
    let mean = |rows: Strided, group: &Vec<usize>| -> Vec<f32> {
        let column = |d: usize| group.iter().map(|&row| rows.row(head, row, dim)[d]).sum::<f32>() / group.len() as f32;
        (0..dim).map(column).collect()
    };
    Positions::Summaries(Arc::new(Summaries {
        at: groups.iter().map(|group| group[group.len() - 1]).collect(),
        log_weights: groups.iter().map(|group| (group.len() as f32).ln()).collect(),
        keys: groups.iter().flat_map(|group| mean(inputs.k, group)).collect(),
        values: groups.iter().flat_map(|group| mean(inputs.v, group)).collect(),
    }))
}

#[test]
fn groups_are_met_as_their_means_with_the_weight_of_all() {
    let (rows, keys, first) = (200, 500, 300);
    let shape = Shape { heads: 4, kv_heads: 2, rows, keys, dim: 24 };
    // Two interleaved families of groups of five, up to key 240; everything from there on one by one.
    let mut groups: Vec<Vec<usize>> =
        (0..24).flat_map(|block| [0, 1].map(|odd| (0..5).map(|i| block * 10 + 2 * i + odd).collect())).collect();
    groups.sort_by_key(|group: &Vec<usize>| group.last().copied());
    let case = Case::new(shape, 1.5, 0, false, 51);
    let sets = (0..2).map(|head| vec![Positions::All(keys), means(&case, head, &groups)]).collect();
    let segments = vec![
        Segment { set: 0, keys: 240..keys, near: Some(0), far: None },
        Segment { set: 1, keys: 0..240, near: Some(1), far: None },
    ];
    let tiles = (0..shape.heads).flat_map(|head| {
        (0..rows).step_by(TILE_ROWS).map(move |at| Tile {
            head,
            rows: Rows { order: 0, first: at, count: TILE_ROWS.min(rows - at) },
            segments: 0..2,
            fresh: true,
        })
    });
    let orders = vec![Positions::All(rows)];
    compare_program(shape, &Program { first, orders, sets, segments, passes: vec![tiles.collect()] }, 51);
}

#[test]
fn equal_keys_lose_nothing_by_their_mean() {
    let shape = Shape { heads: 1, kv_heads: 1, rows: 20, keys: 120, dim: 16 };
    let mut case = Case::new(shape, 1.0, 0, false, 53);
    for key in 0..96 {
        let like = key / 8 * 8;
        case.k.copy_within(like * 16..(like + 1) * 16, key * 16);
    }
    let groups: Vec<Vec<usize>> = (0..12).map(|group| (group * 8..group * 8 + 8).collect()).collect();
    let program = Program {
        first: 100,
        orders: vec![Positions::All(20)],
        sets: vec![vec![Positions::All(120), means(&case, 0, &groups)]],
        segments: vec![
            Segment { set: 0, keys: 96..120, near: Some(0), far: None },
            Segment { set: 1, keys: 0..96, near: Some(0), far: None },
        ],
        passes: vec![vec![Tile { head: 0, rows: Rows { order: 0, first: 0, count: 20 }, segments: 0..2, fresh: true }]],
    };
    let got = super::attend_program(case.inputs(), &program, Precision::F32);
    let dense = super::attend_program(case.inputs(), &Program::of(Mask::Causal { first: 100 }, shape), Precision::F32);
    near(&got.out, &dense.out, TOLERANCE, "means");
    near(&got.lse, &dense.lse, TOLERANCE, "their log-sums");
}

#[test]
fn rows_without_keys_are_zero() {
    let shape = Shape { heads: 1, kv_heads: 1, rows: 4, keys: 4, dim: 16 };
    let rows = Rows { order: 0, first: 0, count: 4 };
    let program = Program {
        first: 0,
        orders: vec![Positions::All(4)],
        sets: vec![vec![Positions::All(4)]],
        segments: vec![Segment { set: 0, keys: 0..4, near: Some(2), far: None }],
        passes: vec![vec![Tile { head: 0, rows, segments: 0..1, fresh: true }]],
    };
    let case = Case::new(shape, 1.0, 0, false, 3);
    let out = super::attend_program(case.inputs(), &program, Precision::F32).out;
    assert!(out[..32].iter().all(|&x| x == 0.0) && out[32..].iter().all(|&x| x != 0.0 && x.is_finite()));
}

#[test]
#[should_panic(expected = "twice in one pass")]
fn a_row_twice_in_a_pass_is_refused() {
    let shape = Shape { heads: 1, kv_heads: 1, rows: 100, keys: 100, dim: 16 };
    let mut program = Program::of(Mask::Causal { first: 0 }, shape);
    let again = program.passes[0][0].clone();
    program.passes[0].push(again);
    program.check(shape);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_shape_agrees_with_the_reference(
        kv_heads in 1usize..4, group in 1usize..4, rows in 1usize..160, first in 0usize..160, extra in 0usize..3,
        dim in 1usize..90, gap in 0usize..3, interleaved: bool, seed in 0u64..1000,
    ) {
        let shape = Shape { heads: kv_heads * group, kv_heads, rows, keys: first + rows + extra, dim };
        compare(shape, Mask::Causal { first }, 2.0, gap, interleaved, seed);
    }

    #[test]
    fn any_patchwork_agrees_with_the_reference(
        group in 1usize..3, rows in 1usize..230, first in 0usize..100, dim in 1usize..70, sink in 1usize..40,
        window in 1usize..90, stride in 2usize..150, list in proptest::collection::btree_set(0usize..300, 0..60), seed in 0u64..1000,
    ) {
        let keys = first + rows;
        let shape = Shape { heads: group, kv_heads: 1, rows, keys, dim };
        let list: Vec<usize> = list.into_iter().collect();
        compare_program(shape, &patchwork(shape, first, sink.min(keys), window, stride, &list), seed);
    }
}
