//! Against the definition, and on rows whose clusters are known.

use super::assign;
use super::reference::{self, spread};
use crate::noise::noise;
use proptest::prelude::*;

#[test]
fn rows_around_far_places_are_told_apart() {
    let (width, places) = (16, 5);
    let centres = noise(places * width, 1);
    let small = noise(100 * width, 2);
    let row = |i: usize| (0..width).map(move |d| (i, d));
    let rows: Vec<f32> = (0..100)
        .flat_map(row)
        .map(|(i, d)| 9.0 * centres[i * places / 100 * width + d] + 0.1 * small[i * width + d])
        .collect();
    let of = assign(&rows, width, places, 3);
    for i in 0..100 {
        assert_eq!(of[i], of[i * places / 100 * 100 / places], "row {i}: {of:?}");
    }
    let mut all = of.clone();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), places);
}

#[test]
fn every_row_can_have_its_own() {
    let rows = noise(40 * 7, 3);
    assert_eq!(assign(&rows, 7, 40, 2), (0..40).collect::<Vec<_>>());
    // No more clusters than rows.
    assert_eq!(assign(&rows, 7, 90, 1), (0..40).collect::<Vec<_>>());
    assert_eq!(assign(&[], 7, 3, 1), Vec::<usize>::new());
    assert_eq!(assign(&[1.0; 12], 3, 4, 4), [0; 4]);
}

#[test]
#[should_panic(expected = "in rows of 3")]
fn parts_of_rows_are_refused() {
    let _ = assign(&[0.0; 7], 3, 1, 1);
}

proptest! {
    #[test]
    fn clusters_are_those_of_the_definition(
        len in 1usize..200, width in 1usize..40, count in 1usize..20, rounds in 1usize..5, seed in 0u64..1000,
    ) {
        let rows = noise(len * width, seed);
        let (got, want) = (assign(&rows, width, count, rounds), reference::assign(&rows, width, count, rounds));
        prop_assert!(got.iter().all(|&of| of < count));
        // Rows that lie as near to one centre as to another may go to either, and what follows with them.
        let (got, want) = (spread(&rows, width, &got), spread(&rows, width, &want));
        prop_assert!((got - want).abs() <= 0.02 * want + 1e-6, "{got}, should be {want}");
    }
}
