//! One suite for every method: exactly as many tokens as planned, at ascending places, of finite numbers, and nothing that depends on
//! how the video was cut into chunks.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use candle_core::{Device, Tensor};
use longsight_models::{FrameRef, Medium, PatchTime, TimeBase, Timestamp, VisualTokens};
use proptest::prelude::*;

const WIDTH: usize = 8;

/// Patches whose numbers come from `numbers`, round and round.
fn tokens(patches: usize, (rows, columns): (usize, usize), numbers: &[f32]) -> VisualTokens {
    let count = patches * rows * columns;
    let values: Vec<f32> =
        (0..count * WIDTH).map(|n| numbers[n % numbers.len()] * (1.0 + (n / 97 % 5) as f32)).collect();
    let table = Tensor::from_vec(values, (count, WIDTH), &Device::Cpu).unwrap();
    let deep = (&table * 2.0).unwrap();
    let frame =
        |n: usize| FrameRef { index: n as u64, time: Timestamp { pts: n as i64, base: TimeBase { num: 1, den: 2 } } };
    let times = (0..patches).map(|n| PatchTime { first: frame(2 * n), last: frame(2 * n + 1) }).collect();
    VisualTokens::new(table, vec![deep], (rows, columns), times, Medium::Video).unwrap()
}

/// What a tower that pools before it merges would give, were its mergers to change nothing.
fn pooled(tokens: &VisualTokens, strides: &[usize]) -> VisualTokens {
    if strides.is_empty() {
        return tokens.clone();
    }
    let mut groups = Vec::new();
    for patch in 0..tokens.times().len() {
        let (rows, columns) = tokens.grid();
        pooling::pool(patch * rows * columns, (rows, columns), strides[patch % strides.len()], &mut groups);
    }
    tokens.select(&Selection::new(groups).unwrap()).unwrap()
}

fn compressed(name: &str, keep: f64, tokens: &VisualTokens, chunk: usize) -> VisualTokens {
    let compressor = method(name, Settings { keep, seed: 7 }).unwrap();
    let tokens = pooled(tokens, &strides(&*compressor, tokens.grid()));
    let mut stream = Stream::new(Some(compressor));
    let patches = tokens.times().len();
    for start in (0..patches).step_by(chunk) {
        stream.push(tokens.patches(start..patches.min(start + chunk)).unwrap()).unwrap();
    }
    stream.finish().unwrap()
}

fn numbers(tokens: &VisualTokens) -> Vec<f32> {
    tokens.embeddings().flatten_all().unwrap().to_vec1().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_method_leaves_what_was_planned(
        patches in 1usize..80,
        grid in (1usize..6, 1usize..6),
        keep in 0.02f64..0.98,
        values in prop::collection::vec(-2.0f32..2.0, 50..200),
        chunk in 1usize..50,
        still in any::<bool>(),
    ) {
        let values = if still { vec![0.5] } else { values };
        let tokens = tokens(patches, grid, &values);
        for name in methods() {
            let compressor = method(name, Settings { keep, seed: 7 }).unwrap();
            let left = compressed(name, keep, &tokens, chunk);
            prop_assert_eq!(left.len(), kept(&*compressor, patches, grid), "{}", name);
            prop_assert!(!left.is_empty() && left.len() <= tokens.len());
            let places = left.coordinates();
            prop_assert!(places.windows(2).all(|pair| (pair[0].t, pair[0].h, pair[0].w) < (pair[1].t, pair[1].h, pair[1].w)), "{}", name);
            prop_assert_eq!(left.times(), tokens.times());
            prop_assert!(numbers(&left).iter().all(|value| value.is_finite()), "{}", name);
            let deep: Vec<f32> = left.deepstack()[0].flatten_all().unwrap().to_vec1().unwrap();
            let twice = numbers(&left).iter().zip(&deep).all(|(shallow, deep)| (shallow * 2.0 - deep).abs() < 1e-4);
            prop_assert!(twice, "{}: DeepStack rows are not carried along", name);
            let whole = compressed(name, keep, &tokens, patches);
            prop_assert_eq!(numbers(&whole), numbers(&left), "{}: chunks change it", name);
        }
    }
}

/// A still of unlike cells in which one cell changes for a while.
fn blink() -> VisualTokens {
    let (cells, patches) = (9, 32);
    let mut values = Vec::new();
    for patch in 0..patches {
        for cell in 0..cells {
            let mut token = [0.0f32; WIDTH];
            token[0] = 1.0;
            if cell == 4 && (10..14).contains(&patch) {
                token = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
            }
            values.extend(token);
        }
    }
    let plain = tokens(patches, (3, 3), &[1.0]);
    let table = Tensor::from_vec(values, (cells * patches, WIDTH), &Device::Cpu).unwrap();
    VisualTokens::new(table.clone(), vec![table], (3, 3), plain.times().to_vec(), Medium::Video).unwrap()
}

#[test]
fn what_happens_is_kept_by_methods_that_look() {
    let tokens = blink();
    for name in ["salient", "v-cast", "evs"] {
        let left = compressed(name, 0.2, &tokens, 32);
        let seen = |t: u32| left.coordinates().iter().any(|at| (at.t, at.h, at.w) == (t, 1, 1));
        assert!(seen(10), "{name} lost the beginning");
        assert!(name == "v-cast" || seen(14), "{name} lost the end");
    }
}

#[test]
fn a_name_that_is_not_known_is_none() {
    assert!(method("none", Settings { keep: 0.5, seed: 0 }).is_none());
    assert!(methods().all(|name| method(name, Settings { keep: 0.5, seed: 0 }).is_some()));
}
