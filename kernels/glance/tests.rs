#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

/// V to red, U to blue, minus U to green, minus V to green.
const BT601: [i64; 4] = [104_597, 132_201, 25_675, 53_279];

/// Samples that look random and are the same everywhere.
fn noise(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

/// FNV-1a over the rows without their padding, channel after channel.
fn fingerprint(glance: &Glance) -> u64 {
    let rows = glance.channels.iter().flat_map(|channel| channel.chunks(glance.stride()));
    rows.flat_map(|row| &row[..glance.width])
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The planes of a 4:2:0 picture of noise, one after another.
fn noisy_420(width: usize, height: usize) -> [Vec<u8>; 3] {
    let chroma = width.div_ceil(2) * height.div_ceil(2);
    [noise(width * height, 1), noise(chroma, 2), noise(chroma, 3)]
}

/// The rows of three planes.
fn rows(planes: [(&[u8], usize); 3]) -> [Vec<&[u8]>; 3] {
    planes.map(|(data, stride)| data.chunks(stride).collect())
}

fn rows_420(planes: &[Vec<u8>; 3], width: usize) -> [Vec<&[u8]>; 3] {
    let half = width.div_ceil(2);
    rows([(&planes[0], width), (&planes[1], half), (&planes[2], half)])
}

fn picture_420<'a>(rows: &'a [Vec<&'a [u8]>; 3], width: usize, height: usize, full_range: bool) -> Picture<'a> {
    Picture {
        width,
        height,
        planes: rows.each_ref().map(|rows| Plane { rows, step: 1, bits: 8 }),
        colour: Colour::Yuv { matrix: Matrix::new(BT601, full_range), chroma: [1, 1] },
    }
}

fn levels() -> Vec<Level> {
    if Level::detect() == Level::Portable { vec![Level::Portable] } else { vec![Level::Portable, Level::detect()] }
}

fn every_version_agrees(picture: &Picture) {
    for (level, every) in levels().into_iter().flat_map(|level| [(level, 1), (level, 4)]) {
        let expected = reference::glance(picture, every);
        let mut glancer = Glancer::sparse(level, every);
        let mut out = Glance::default();
        // Twice: what is kept from the first picture must not show in the second.
        for _ in 0..2 {
            glancer.look(picture, &mut out);
            assert!(out == expected, "{level:?} differs from the reference at {}x{}", picture.width, picture.height);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_version_equals_the_reference(
        width in 1usize..700, height in 1usize..400, chroma in prop::sample::select(vec![[0, 0], [1, 0], [1, 1], [2, 2]]),
        bits in prop::sample::select(vec![8u32, 10, 12]), interleaved: bool, full_range: bool, seed: u32, pad in 0usize..40,
    ) {
        let bytes = if bits > 8 { 2 } else { 1 };
        let across = ((width - 1) >> chroma[0]) + 1;
        let down = ((height - 1) >> chroma[1]) + 1;
        let step = if interleaved { 2 * bytes } else { bytes };
        let mut luma = noise((width * bytes + pad) * height, seed);
        let mut colour = noise((across * step + pad) * down + step, seed ^ 1);
        if bits > 8 {
            // Words of more bits than promised do not occur.
            for data in [&mut luma, &mut colour] {
                data.iter_mut().skip(1).step_by(2).for_each(|high| *high &= (1 << (bits - 8)) - 1);
            }
        }
        let second = if interleaved { &colour[bytes..] } else { &colour[..] };
        let stride = (across * step + pad) & !(bytes - 1);
        let rows = rows([(&luma, (width * bytes + pad) & !(bytes - 1)), (&colour, stride), (second, stride)]);
        every_version_agrees(&Picture {
            width, height,
            planes: [
                Plane { rows: &rows[0], step: bytes, bits },
                Plane { rows: &rows[1], step, bits },
                Plane { rows: &rows[2], step, bits },
            ],
            colour: Colour::Yuv { matrix: Matrix::new(BT601, full_range), chroma },
        });
    }

    #[test]
    fn packed_bgr_equals_the_reference(width in 1usize..600, height in 1usize..300, seed: u32) {
        let data = noise(width * height * 3, seed);
        let rows = rows([0, 1, 2].map(|channel| (&data[channel..], width * 3)));
        let planes = rows.each_ref().map(|rows| Plane { rows, step: 3, bits: 8 });
        every_version_agrees(&Picture { width, height, planes, colour: Colour::Bgr });
    }

    #[test]
    fn delta_equals_the_reference(width in 1usize..300, height in 1usize..200, seed: u32) {
        let [a, b] = [seed, seed ^ 1].map(|seed| {
            let data = noise(width * height, seed);
            let rows: Vec<&[u8]> = data.chunks(width).collect();
            let plane = Plane { rows: &rows, step: 1, bits: 8 };
            reference::glance(&Picture { width, height, planes: [plane; 3], colour: Colour::Bgr }, 1)
        });
        prop_assert_eq!(delta(&a, &b), reference::delta(&a, &b));
        prop_assert_eq!(delta(&a, &a), [0.0; 3]);
    }
}

/// Fingerprints that `tests/peers/scenes_pyscenedetect.py --goldens` computes with OpenCV 5.0 from the same noise.
#[test]
fn glances_are_opencvs_to_the_bit() {
    for (width, height, full_range, expected) in GOLDENS {
        let planes = noisy_420(width, height);
        let glance = reference::glance(&picture_420(&rows_420(&planes, width), width, height, full_range), 1);
        assert_eq!(fingerprint(&glance), expected, "{width}x{height} full range {full_range}");
    }
}

const GOLDENS: [(usize, usize, bool, u64); 6] = [
    (64, 48, false, 0xf92fb6a3121f0915),
    (448, 252, false, 0xfe00ad100f48ac4a),
    (640, 360, true, 0xe261a7eb17d9d642),
    (1280, 720, false, 0xf8d261110ee31d9d),
    (720, 576, true, 0x34859cca9d236e19),
    (300, 1000, false, 0x722c674d4d44f699),
];

/// `cv2.cvtColor(..., COLOR_BGR2HSV)` of OpenCV 5.0.
#[test]
fn colours_are_opencvs() {
    for (bgr, hsv) in COLOURS {
        assert_eq!(reference::hsv(bgr), hsv, "{bgr:?}");
    }
}

const COLOURS: [([u8; 3], [u8; 3]); 18] = [
    ([0, 0, 0], [0, 0, 0]),
    ([255, 255, 255], [0, 0, 255]),
    ([128, 128, 128], [0, 0, 128]),
    ([255, 0, 0], [120, 255, 255]),
    ([0, 255, 0], [60, 255, 255]),
    ([0, 0, 255], [0, 255, 255]),
    ([0, 255, 255], [30, 255, 255]),
    ([255, 0, 255], [150, 255, 255]),
    ([255, 255, 0], [90, 255, 255]),
    ([10, 20, 30], [15, 170, 30]),
    ([30, 20, 10], [105, 170, 30]),
    ([20, 30, 10], [75, 170, 30]),
    ([1, 0, 0], [120, 255, 1]),
    ([254, 255, 255], [30, 1, 255]),
    ([17, 99, 230], [12, 236, 230]),
    ([230, 99, 17], [108, 236, 230]),
    ([64, 128, 63], [60, 129, 128]),
    ([200, 199, 201], [165, 3, 201]),
];

#[test]
fn a_division_in_single_precision_rounds_like_one_in_double() {
    for whole in 1..=255u8 {
        for unit in [255 << 12, 30 << 12] {
            let single = (unit as f32 / f32::from(whole)).round_ties_even();
            assert_eq!(f64::from(single), (f64::from(unit) / f64::from(whole)).round(), "{unit} / {whole}");
        }
    }
}

#[test]
#[should_panic(expected = "too short")]
fn a_plane_that_is_too_short_is_refused() {
    let mut planes = noisy_420(64, 48);
    planes[2].pop();
    Glancer::default().look(&picture_420(&rows_420(&planes, 64), 64, 48, false), &mut Glance::default());
}
