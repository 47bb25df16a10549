//! Every level that this processor has, and the emulated GPU, against the reference.

use super::{Angles, Heads, reference};
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

/// The GPU's kernel, in both orders of its threads.
#[cfg(target_os = "linux")]
#[test]
fn rows_are_turned_by_positions_as_the_formula_says() {
    use super::{Turn, cuda};
    use crate::attention::cuda::Rows;
    use crate::cuda::emulator::Emulator;
    use crate::cuda::{Half, Machine};

    for (tokens, heads, dim, half) in
        [(1, 1, 2, Half::F16), (7, 3, 64, Half::Bf16), (5, 2, 128, Half::F16), (3, 5, 80, Half::Bf16)]
    {
        let count = |i: usize| ((i * 37 + 11) % 64) as f32 / 32.0 - 1.0;
        let rows: Vec<f32> = (0..tokens * heads * dim).map(count).collect();
        // Every other token is far on in a long video.
        let axis = |axis: u32| (0..tokens as u32).map(|token| token * 7 + axis * 3 + token % 2 * 900_000).collect();
        let axes: [Vec<u32>; 3] = [axis(0), axis(1), axis(2)];
        let pairs = dim / 2;
        let turn = Turn {
            positions: [&axes[0], &axes[1], &axes[2]],
            axes: &(0..pairs).map(|pair| pair % 3).collect::<Vec<_>>(),
            frequencies: &(0..pairs).map(|pair| 1e6f32.powf(-(pair as f32) / pairs as f32)).collect::<Vec<_>>(),
            scale: 1.25,
        };
        // Multiples of 1/32 are exact in both formats.
        let narrow = |&x: &f32| match half {
            Half::Bf16 => half::bf16::from_f32(x).to_bits(),
            Half::F16 => half::f16::from_f32(x).to_bits(),
        };
        let bits: Vec<u16> = rows.iter().map(narrow).collect();
        let mut want = rows;
        reference::rotate(&mut want, heads, dim, turn);
        for machine in Emulator::both() {
            let Ok(buffer) = machine.upload(&bits);
            let place = Rows { address: machine.address(&buffer), head: dim, row: heads * dim };
            // SAFETY: the buffer was made for so many rows.
            let Ok(()) = unsafe { cuda::rotate(&machine, half, place, (tokens, heads, dim), turn) };
            let Ok(got) = machine.download::<u16>(&buffer);
            for (i, (&got, want)) in got.iter().zip(&want).enumerate() {
                let got = match half {
                    Half::Bf16 => half::bf16::from_bits(got).to_f32(),
                    Half::F16 => half::f16::from_bits(got).to_f32(),
                };
                assert!((got - want).abs() <= 2.0 / 256.0, "{half:?}: element {i} is {got}, should be {want}");
            }
        }
    }
}
