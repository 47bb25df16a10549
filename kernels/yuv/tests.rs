//! Against the reference, to the level but for ties.

use super::{Matrix, Planes, reference, to_rgb};
use proptest::prelude::*;

fn compare(width: usize, rows: usize, matrix: Matrix, mut state: u32) {
    let (half, half_rows) = (width.div_ceil(2), rows.div_ceil(2));
    let mut noise = |len: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    };
    let (y, u, v) = (noise(width * rows), noise(half * half_rows), noise(half * half_rows));
    let [y, u, v] = [(&y, width), (&u, half), (&v, half)].map(|(plane, wide)| plane.chunks(wide).collect::<Vec<_>>());
    let planes = Planes { y: &y, u: &u, v: &v };
    let mut got = vec![0; width * rows * 3];
    to_rgb(planes, width, matrix, &mut got);
    let want = reference::to_rgb(planes, width, matrix);
    let apart = got.iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).max();
    let differing = got.iter().zip(&want).filter(|(a, b)| a != b).count();
    assert!(
        apart <= Some(1) && differing * 500 <= got.len() + 500,
        "{width} x {rows}: {differing} differ, by {apart:?}"
    );
}

const BT601: Matrix = Matrix { red: 0.299, blue: 0.114, full_range: false };
const BT709: Matrix = Matrix { red: 0.2126, blue: 0.0722, full_range: true };

#[test]
fn odd_sizes_agree_with_the_reference() {
    for (width, rows) in [(1, 1), (2, 2), (3, 5), (16, 4), (17, 3), (33, 7), (64, 2), (130, 9), (1, 8), (8, 1)] {
        compare(width, rows, BT601, 7);
        compare(width, rows, BT709, 8);
    }
}

#[test]
fn grey_stays_grey() {
    let (y, c) = (vec![126u8; 32], vec![128u8; 16]);
    let (y, c) = ([&y[..]; 4], [&c[..]; 2]);
    let mut out = vec![0; 32 * 4 * 3];
    to_rgb(Planes { y: &y, u: &c, v: &c }, 32, BT601, &mut out);
    assert!(out.iter().all(|&level| level == 128), "{out:?}");
}

#[test]
#[should_panic(expected = "a chroma plane too small")]
fn a_short_plane_is_refused() {
    let row = [0u8; 8];
    let (y, c) = ([&row[..]; 4], [&row[..]; 1]);
    to_rgb(Planes { y: &y, u: &c, v: &c }, 8, BT601, &mut [0; 96]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_size_agrees_with_the_reference(width in 1usize..150, rows in 1usize..20, full: bool, seed: u32) {
        compare(width, rows, Matrix { full_range: full, ..BT709 }, seed);
    }
}
