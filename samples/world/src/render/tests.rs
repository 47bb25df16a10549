#![allow(clippy::unwrap_used, reason = "a test may stop")]

use super::*;
use crate::dice::Split;
use crate::script::{Sign, Wishes};
use crate::words::{Motion, SIGN_WORDS, Shape};

#[test]
fn letters_differ_and_are_drawn() {
    let letters: Vec<String> = ('A'..='Z').chain('0'..='9').map(String::from).collect();
    let cells = |text: &str| {
        (0..7)
            .flat_map(|row| (0..5).map(move |column| (column, row)))
            .map(|(column, row)| font::inked(text, column, row))
            .collect()
    };
    for (place, one) in letters.iter().enumerate() {
        let ink: Vec<bool> = cells(one);
        assert!(ink.contains(&true), "{one}");
        for other in &letters[..place] {
            let differing = ink.iter().zip(cells(other)).filter(|(a, b)| **a != *b).count();
            assert!(differing >= 2, "{one} and {other}");
        }
    }
    assert!(SIGN_WORDS.iter().all(|word| font::columns(word) <= 29));
}

#[test]
fn a_pen_writes_letters_that_differ_and_stay_on_the_plate() {
    let sign = |text: &str| Sign {
        text: text.into(),
        counts: false,
        span: [0.0, 1.0],
        centre: [0.5, 0.5],
        stroke: 0.03,
        ink: [255; 3],
        plate: [0; 3],
    };
    let written = |text: &str, bold| {
        let style = Style { hand: Hand::Pen, bold, ..Style::default() };
        let mut picture = RgbImage::from_pixel(96, 96, image::Rgb([0; 3]));
        Patch::new(&sign(text), text, Size { width: 96, height: 96 }, &style).draw(&mut picture);
        picture.into_raw()
    };
    let letters: Vec<String> = ('A'..='Z').chain('0'..='9').map(String::from).collect();
    for bold in [0.0, 0.22] {
        for (place, one) in letters.iter().enumerate() {
            let ink = written(one, bold);
            let total: u32 = ink.iter().map(|&level| u32::from(level)).sum::<u32>() / 255 / 3;
            assert!((20..400).contains(&total), "{one}: {total} pixels of ink");
            for other in &letters[..place] {
                let apart: u32 = ink.iter().zip(written(other, bold)).map(|(a, b)| u32::from(a.abs_diff(b))).sum();
                assert!(apart > 255 * 3 * 8, "{one} and {other} differ by {apart}");
            }
        }
        // Nothing is cut off: the plate's edge, half a cell wide, has no ink on it.
        for word in SIGN_WORDS.into_iter().chain(["8:59", "10"]) {
            let ink = written(word, bold);
            let lit = |x: usize, y: usize| ink[(y * 96 + x) * 3] > 40;
            let (half, high) =
                (((font::columns(word) + 2) as f32 * 0.03 * 48.0) as usize, (9.0 * 0.03 * 48.0) as usize);
            let edge = (0..96).any(|x| lit(x, 48 - high) || lit(x, 47 + high))
                || (0..96).any(|y| lit(48_usize.saturating_sub(half), y) || lit((47 + half).min(95), y));
            assert!(!edge, "{word} touches the edge of its plate");
        }
    }
}

#[test]
fn an_outline_fills_its_diameter_and_stays_within_reach() {
    for (shape, build) in Shape::ALL.into_iter().flat_map(|shape| [-1.0, 0.0, 1.0].map(|build| (shape, build))) {
        let inside = |x: f32, y: f32| shape::distance(shape, build, x, y) < 0.0;
        let grid = || (-60..=60).flat_map(|i| (-60..=60).map(move |j| (i as f32 / 40.0, j as f32 / 40.0)));
        let furthest = |by: fn(f32, f32) -> f32| {
            grid().filter(|&(x, y)| inside(x, y)).map(|(x, y)| by(x.abs(), y.abs())).fold(0.0, f32::max)
        };
        let (aside, reached) = (furthest(f32::max), furthest(f32::hypot));
        assert!(aside <= shape::REACH, "{shape:?} of {build} would be cut off {aside} from its centre");
        assert!(reached >= 0.9, "{shape:?} of {build} reaches {reached}");
        let share = grid().filter(|&(x, y)| inside(x, y)).count() as f32 / (1600.0 * std::f32::consts::PI);
        assert!((0.15..=1.05).contains(&share), "{shape:?} of {build} covers {share}");
    }
}

#[test]
fn an_object_is_in_the_picture_exactly_during_its_span() {
    let mut checked = 0;
    for seed in 0..60 {
        let script = Script::write(Split::HeldOut, seed, &Wishes { shortest: 8.0, longest: 12.0 });
        let renderer = Renderer::new(&script, 96, 96);
        for object in script
            .scenes
            .iter()
            .filter(|scene| scene.sign.is_none() && scene.objects.len() == 1)
            .filter(|scene| scene.post.is_none() && scene.flash.is_none() && scene.grain == 0)
            .map(|scene| scene.objects[0])
        {
            let at = |time: f64| {
                let [x, y] = object.centre(time);
                // A ring and a crescent are hollow: look at their left arcs.
                let x = if matches!(object.shape, Shape::Ring | Shape::Crescent) {
                    x - object.diameter(time) * 0.37
                } else {
                    x
                };
                renderer.picture(time).get_pixel((x * 96.0) as u32, (y * 96.0) as u32).0
            };
            assert_eq!(at(object.span[0]), object.rgb, "seed {seed} {object:?}");
            assert_eq!(at(object.span[1] - 0.5), object.rgb_at(object.span[1] - 0.5), "seed {seed} {object:?}");
            if object.span[1] < script.duration {
                assert_ne!(at(object.span[1]), object.rgb, "seed {seed} {object:?}");
            }
            checked += usize::from(object.motion != Motion::Still);
        }
    }
    assert!(checked > 10);
}

#[test]
fn the_same_picture_at_another_size_is_the_same_picture() {
    let mut script = Script::write(Split::HeldOut, 5, &Wishes::default());
    script.scenes.iter_mut().for_each(|scene| scene.grain = 0);
    let large = Renderer::new(&script, 192, 192).picture(1.0);
    let small = Renderer::new(&script, 96, 96).picture(1.0);
    let shrunk = image::imageops::resize(&large, 96, 96, image::imageops::FilterType::Triangle);
    let difference: u64 =
        small.as_raw().iter().zip(shrunk.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>() / (96 * 96 * 3);
    assert!(difference <= 3, "mean difference {difference}");
}

/// The trained model and the committed samples depend on the world being what it was: whoever changes it on purpose trains
/// again and puts the new numbers here.
#[test]
fn the_world_is_what_it_was() {
    let fingerprint = |seed| {
        let script = Script::write(Split::HeldOut, seed, &Wishes::default());
        let picture = Renderer::new(&script, 96, 64).picture(3.2);
        let questions = crate::questions::ask(&script, 16);
        let text = serde_json::to_string(&(&script, &questions)).unwrap();
        // FNV-1a, 64 bits.
        let hash = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        };
        [hash(text.as_bytes()), hash(picture.as_raw())]
    };
    assert_eq!([fingerprint(1), fingerprint(2), fingerprint(3)], FINGERPRINTS);
}

const FINGERPRINTS: [[u64; 2]; 3] = [
    [11_475_632_733_092_151_446, 7_523_364_644_104_422_181],
    [5_280_044_284_170_424_265, 7_247_986_083_587_264_975],
    [8_603_232_166_665_749_470, 2_050_670_310_525_805_349],
];
