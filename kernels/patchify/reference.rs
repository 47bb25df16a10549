//! The same, one number at a time, with sums in f64.

use super::{Cut, Weights};

/// Rows of the patches.
///
/// # Panics
/// When the sizes are none or no multiples, or the frames are fewer than the cut says.
#[must_use]
pub fn patchify(frames: &[u8], cut: Cut) -> Vec<f32> {
    cut.check();
    let ((from_height, from_width), (height, width)) = (cut.from, cut.to);
    assert!(frames.len() == cut.count * from_height * from_width * 3, "frames are not {cut:?}");
    if cut.count == 0 {
        return Vec::new();
    }
    let wide = resample(frames, (cut.count * from_height, from_width, 3), width, cut);
    let pictures = resample(&wide, (cut.count, from_height, width * 3), height, cut);
    let mut rows = Vec::with_capacity(cut.patches() * cut.row());
    for moment in 0..cut.count.div_ceil(cut.temporal) {
        for (band, block) in pairs(height / cut.patch / cut.merge, width / cut.patch / cut.merge) {
            for (down, right) in pairs(cut.merge, cut.merge) {
                let (top, left) = ((band * cut.merge + down) * cut.patch, (block * cut.merge + right) * cut.patch);
                for (channel, time) in pairs(3, cut.temporal) {
                    let picture = (moment * cut.temporal + time).min(cut.count - 1);
                    for (y, x) in pairs(cut.patch, cut.patch) {
                        let byte = pictures[((picture * height + top + y) * width + left + x) * 3 + channel];
                        rows.push(f32::from(byte) * cut.scale[channel] + cut.shift[channel]);
                    }
                }
            }
        }
    }
    rows
}

fn pairs(outer: usize, inner: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..outer).flat_map(move |a| (0..inner).map(move |b| (a, b)))
}

/// Along the middle axis.
fn resample(from: &[u8], (outer, length, inner): (usize, usize, usize), to: usize, cut: Cut) -> Vec<u8> {
    if length == to {
        return from.to_vec();
    }
    let Weights { taps, first, weights } = Weights::new(cut.filter, length, to);
    let mut bytes = Vec::with_capacity(outer * to * inner);
    for line in 0..outer {
        for (entry, inside) in pairs(to, inner) {
            let term = |tap: usize| {
                let weight = f64::from(weights[entry * taps + tap]);
                let at = first[entry] as usize + tap;
                if weight == 0.0 { 0.0 } else { weight * f64::from(from[(line * length + at) * inner + inside]) }
            };
            bytes.push(((0..taps).map(term).sum::<f64>() + 0.5).floor().clamp(0.0, 255.0) as u8);
        }
    }
    bytes
}
