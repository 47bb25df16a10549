//! The CUDA kernels in the emulation against the reference, and the reference against what must hold.

use super::{Cut, Filter, Weights, cuda, reference};
use crate::cuda::emulator::Emulator;
use crate::cuda::{Half, Machine};

fn cut(count: usize, from: (usize, usize), to: (usize, usize)) -> Cut {
    Cut { count, from, to, filter: Filter::Bicubic, patch: 4, temporal: 2, merge: 2, scale: [1.0; 3], shift: [0.0; 3] }
}

/// Noise with edges in it.
fn frames(cut: &Cut) -> Vec<u8> {
    let mut state = 12345u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let noise = |i: usize| if (i / 40).is_multiple_of(3) { 255 } else { next() };
    (0..cut.count * cut.from.0 * cut.from.1 * 3).map(noise).collect()
}

#[test]
fn the_kernels_agree_with_the_reference() {
    for (count, from, to, filter) in [
        (1, (8, 8), (8, 8), Filter::Bicubic),
        (3, (20, 37), (16, 24), Filter::Bicubic),
        (2, (9, 11), (24, 16), Filter::Bicubic),
        (5, (64, 16), (8, 16), Filter::Bilinear),
    ] {
        let cut = Cut { filter, ..cut(count, from, to) };
        let frames = frames(&cut);
        for half in [Half::Bf16, Half::F16] {
            let scaled = Cut { scale: [1.0 / 64.0, 1.0, 0.5], shift: [-2.0, 0.0, -64.0], ..cut };
            for (cut, level) in [(cut, [1.0; 3]), (scaled, [1.0 / 64.0, 1.0, 0.5])] {
                let want = reference::patchify(&frames, cut);
                for machine in Emulator::both() {
                    let (Ok(from), Ok(rows)) = (machine.upload(&frames), machine.room(want.len() * 2));
                    let (from, to) = (machine.address(&from), (machine.address(&rows), &rows));
                    // SAFETY: the buffers were made for the cut.
                    let Ok(()) = unsafe { cuda::patchify(&machine, half, from, cut, to.0) };
                    let Ok(got) = machine.download::<u16>(to.1);
                    assert_eq!(got.len(), want.len());
                    let mut off = 0;
                    for (i, (&got, &want)) in got.iter().zip(&want).enumerate() {
                        let got = match half {
                            Half::Bf16 => half::bf16::from_bits(got).to_f32(),
                            Half::F16 => half::f16::from_bits(got).to_f32(),
                        };
                        let level = level[i % cut.row() / (cut.row() / 3)];
                        // Every level is exact in both formats; a sum near a half may be rounded either way.
                        assert!((got - want).abs() <= 1.1 * level, "{half:?} {cut:?}: {i} is {got}, should be {want}");
                        off += usize::from((got - want).abs() > 0.6 * level);
                    }
                    assert!(off * 200 <= want.len(), "{off} of {} bytes are rounded otherwise", want.len());
                }
            }
        }
    }
}

#[test]
fn one_colour_stays_one_colour() {
    let cut = cut(2, (13, 7), (16, 8));
    let frames = [7u8, 100, 255].repeat(2 * 13 * 7);
    let rows = reference::patchify(&frames, cut);
    let channel = cut.row() / 3;
    for row in rows.chunks(cut.row()) {
        assert!(row[..channel].iter().all(|&x| x == 7.0) && row[2 * channel..].iter().all(|&x| x == 255.0));
    }
}

#[test]
fn weights_add_up_and_stay_inside() {
    for (from, to) in [(1, 9), (9, 1), (100, 33), (33, 100), (640, 224), (7, 7)] {
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            let Weights { taps, first, weights } = Weights::new(filter, from, to);
            assert_eq!((first.len(), weights.len()), (to, to * taps));
            for (own, &first) in weights.chunks(taps).zip(&first) {
                assert!((own.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                let last = own.iter().rposition(|&weight| weight != 0.0).unwrap_or(0);
                assert!(first as usize + last < from, "{filter:?} from {from} to {to} reaches beyond");
            }
        }
    }
}
