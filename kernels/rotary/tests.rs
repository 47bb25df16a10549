//! Every level that this processor has, and the emulated GPU, against the reference.

use super::{Angles, Heads, Turn, reference};
use crate::level::Level;
use crate::norm::Rms;
use proptest::prelude::*;

/// Relative to the largest element: a norm and two products.
const TOLERANCE: f32 = 3e-6;

fn wave(len: usize, step: f32) -> Vec<f32> {
    (0..len).map(|i| ((i * i % 1009) as f32 * step).sin() * 2.0).collect()
}

/// Rows are laid in two parts, between rows that must stay as they are.
fn compare(heads: usize, dim: usize, rows: usize, normed: bool, turned: bool) {
    let (x, weight) = (wave(rows * heads * dim, 0.7), wave(dim, 1.3));
    let (angles, half) = (wave(rows * (dim / 2), 0.9), dim / 2);
    let [cos, sin] = [f32::cos, f32::sin].map(|f| angles.iter().map(|&angle| f(angle)).collect::<Vec<f32>>());
    let norm = normed.then_some(Rms { weight: &weight, eps: 1e-6 });
    let part = |from: usize, until: usize| Heads {
        dim,
        norm,
        angles: turned.then_some(Angles { cos: &cos[from * half..until * half], sin: &sin[from * half..until * half] }),
    };
    let want = reference::lay(part(0, rows), &x, heads);
    let largest = want.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    for level in Level::available() {
        let (all, first, split) = (rows + 3, 2, rows / 3);
        let mut out = vec![7.5; heads * all * dim];
        let (before, after) = x.split_at(split * heads * dim);
        part(0, split).lay_at(level, before, heads, &mut out, first);
        part(split, rows).lay_at(level, after, heads, &mut out, first + split);
        for (head, out) in out.chunks(all * dim).enumerate() {
            let (above, rest) = out.split_at(first * dim);
            let (got, below) = rest.split_at(rows * dim);
            assert!(above.iter().chain(below).all(|&x| x == 7.5), "{level:?}: rows around those laid were written");
            for (i, (got, want)) in got.iter().zip(&want[head * rows * dim..]).enumerate() {
                let near = (got - want).abs() <= TOLERANCE * largest;
                assert!(near, "{level:?}, head {head} of {heads} x {dim}: element {i} is {got}, should be {want}");
            }
        }
    }
}

#[test]
fn odd_sizes_agree_with_the_reference() {
    for (heads, dim, rows) in [(1, 2, 1), (3, 16, 7), (2, 128, 300), (8, 34, 129), (1, 64, 0)] {
        for (normed, turned) in [(false, false), (false, true), (true, false), (true, true)] {
            compare(heads, dim, rows, normed, turned);
        }
    }
}

#[test]
#[should_panic(expected = "angles for other than")]
fn angles_of_other_rows_are_refused() {
    let angles = Some(Angles { cos: &[1.0; 3], sin: &[0.0; 3] });
    Heads { dim: 4, norm: None, angles }.lay(&[0.0; 8], 1, &mut [0.0; 8], 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_size_agrees_with_the_reference(heads in 1usize..6, half in 1usize..40, rows in 0usize..150, normed: bool, turned: bool) {
        compare(heads, half * 2, rows, normed, turned);
    }
}

#[test]
fn angles_are_products_of_what_the_tables_name() {
    let positions = [&[1u32, 2][..], &[30, 40], &[500, 600]];
    let turn = Turn { positions, axes: &[2, 0], frequencies: &[1.0, 0.5, 0.1, 0.25], sets: &[0, 1], scale: 3.0 };
    assert_eq!(turn.angles(), [500.0, 0.5, 600.0 * 0.1, 0.5]);
    let none = Turn { positions: [&[]; 3], sets: &[], ..turn };
    assert!(none.angles().is_empty());
}

#[test]
#[should_panic(expected = "there are 1 sets")]
fn a_set_that_is_not_there_is_refused() {
    let positions = [&[0u32][..]; 3];
    let _ = Turn { positions, axes: &[0], frequencies: &[1.0], sets: &[1], scale: 1.0 }.angles();
}

/// The GPU's kernel against the formula, in the emulation (both orders of its threads) and, where there is one, on a GPU.
#[cfg(target_os = "linux")]
mod on_machines {
    use super::super::cuda::{Table, rotate};
    use super::*;
    use crate::attention::cuda::Rows;
    use crate::cuda::emulator::Emulator;
    use crate::cuda::{Half, Machine};
    use std::fmt::Debug;

    /// Positions on three axes, every other far on in a long video, and two sets of frequencies, of which the last third has the second.
    struct Places {
        positions: [Vec<u32>; 3],
        axes: Vec<usize>,
        frequencies: Vec<f32>,
        sets: Vec<u32>,
    }

    impl Places {
        fn new(tokens: usize, pairs: usize) -> Self {
            let axis = |axis: u32| (0..tokens as u32).map(|at| at * 7 + axis * 3 + at % 2 * 900_000).collect();
            let frequency = |pair: usize| 1e6f32.powf(-(pair as f32) / pairs as f32);
            let (own, slow) = ((0..pairs).map(frequency), (0..pairs).map(|pair| frequency(pair) / 3.0));
            Self {
                positions: [axis(0), axis(1), axis(2)],
                axes: (0..pairs).map(|pair| pair % 3).collect(),
                frequencies: own.chain(slow).collect(),
                sets: (0..tokens).map(|token| u32::from(token * 3 >= tokens * 2)).collect(),
            }
        }

        /// The turn of some of its tokens.
        fn turn(&self, first: usize, count: usize) -> Turn<'_> {
            Turn {
                positions: [0, 1, 2].map(|axis| &self.positions[axis][first..first + count]),
                axes: &self.axes,
                frequencies: &self.frequencies,
                sets: &self.sets[first..first + count],
                scale: 1.25,
            }
        }
    }

    fn narrow(half: Half, x: f32) -> u16 {
        match half {
            Half::Bf16 => half::bf16::from_f32(x).to_bits(),
            Half::F16 => half::f16::from_f32(x).to_bits(),
        }
    }

    fn widen(half: Half, bits: u16) -> f32 {
        match half {
            Half::Bf16 => half::bf16::from_bits(bits).to_f32(),
            Half::F16 => half::f16::from_bits(bits).to_f32(),
        }
    }

    /// Queries as they lie between others' columns, turned into `[heads, tokens, dim]` and then where they are.
    fn held<M: Machine<Error: Debug>>(
        machine: &M,
        half: Half,
        placed: usize,
        part: [usize; 2],
        times: usize,
        dim: usize,
    ) {
        let (heads, [first, count]) = (3, part);
        let (tokens, width, before) = (count * times, 5 * dim, dim);
        let places = Places::new(placed, dim / 2);
        // Multiples of 1/32 are exact in both formats.
        let rows: Vec<f32> = (0..tokens * width).map(|i| ((i * 37 + 11) % 64) as f32 / 32.0 - 1.0).collect();
        let inside = |rows: &[f32]| -> Vec<f32> {
            rows.chunks(width).flat_map(|row| &row[before..before + heads * dim]).copied().collect()
        };
        let mut want = inside(&rows);
        reference::rotate(&mut want, heads, dim, places.turn(first, count));
        let near = |got: &[f32], what: &str| {
            assert_eq!(got.len(), want.len());
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                assert!((got - want).abs() <= 2.0 / 256.0, "{half:?} {what}: element {i} is {got}, should be {want}");
            }
        };
        let bits: Vec<u16> = rows.iter().map(|&x| narrow(half, x)).collect();
        let upload = |bits: &[u16]| machine.upload(bits).expect("memory");
        let (from, to) = (upload(&bits), machine.room(tokens * heads * dim * 2).expect("memory"));
        let table = Table::new(machine, places.turn(0, placed)).expect("memory");
        assert_eq!((table.tokens(), table.dim()), (placed, dim));
        let from_rows = Rows { address: machine.address(&from) + (before * 2) as u64, head: dim, row: width };
        let to_rows = Rows { address: machine.address(&to), head: tokens * dim, row: dim };
        for to in [to_rows, from_rows] {
            // SAFETY: the buffers were made for so many rows.
            unsafe { rotate(machine, half, (from_rows, to), (tokens, heads), &table, (first, count)) }
                .expect("a launch");
        }
        let read = |buffer: &M::Buffer| -> Vec<f32> {
            machine.download::<u16>(buffer).expect("a copy").iter().map(|&bits| widen(half, bits)).collect()
        };
        let (apart, within) = (read(&to), read(&from));
        let apart = (0..tokens * heads).flat_map(|i| &apart[(i % heads * tokens + i / heads) * dim..][..dim]).copied();
        near(&apart.collect::<Vec<_>>(), "apart");
        near(&inside(&within), "in place");
        let untouched = |i: &usize| !(before..before + heads * dim).contains(&(i % width));
        assert!((0..rows.len()).filter(untouched).all(|i| within[i] == rows[i]), "columns of others were written");
    }

    #[test]
    fn rows_are_turned_by_positions_as_the_formula_says() {
        // Tokens that have positions, those of them that are met, how often, and the width.
        for (placed, part, times, dim, half) in [
            (1, [0, 1], 1, 2, Half::F16),
            (7, [0, 7], 1, 64, Half::Bf16),
            (9, [4, 5], 1, 128, Half::F16),
            (6, [0, 6], 3, 80, Half::Bf16),
        ] {
            for machine in Emulator::both() {
                held(&machine, half, placed, part, times, dim);
            }
            #[cfg(feature = "cuda")]
            if let Some(gpu) = crate::cuda::gpu() {
                held(gpu, half, placed, part, times, dim);
            }
        }
    }
}
