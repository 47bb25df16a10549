//! Moments by scene, so that a short scene is not lost among long ones.

use super::moments::{Moments, Sampler, cosine, evenly};

/// The most scenes in a video, for each moment that may be kept: the others go to the lengths of the scenes.
const SCENES_PER_MOMENT: f64 = 0.5;

/// Cuts where neighbouring moments are least alike (as Temporal Dynamic Context does, 2504.10443, section 3.1), one moment for every scene
/// between them, and the rest by their lengths.
#[derive(Debug)]
pub(super) struct Scenes;

impl Sampler for Scenes {
    fn choose(&self, moments: &Moments, count: usize) -> Vec<usize> {
        let total = moments.means.len();
        let mut likeness: Vec<(f32, usize)> =
            moments.means.windows(2).zip(1..).map(|(pair, at)| (cosine(&pair[0], &pair[1]), at)).collect();
        likeness.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        likeness.truncate(((count as f64 * SCENES_PER_MOMENT) as usize).min(count.saturating_sub(1)));
        let mut borders: Vec<usize> = likeness.into_iter().map(|(_, at)| at).chain([0, total]).collect();
        borders.sort_unstable();
        let scenes: Vec<_> =
            borders.windows(2).map(|pair| pair[0]..pair[1]).filter(|scene| !scene.is_empty()).collect();
        let lengths: Vec<usize> = scenes.iter().map(ExactSizeIterator::len).collect();
        scenes.into_iter().zip(shares(&lengths, count)).flat_map(|(scene, share)| evenly(scene, share)).collect()
    }
}

/// `count` dealt out to scenes by length, at least one each and at most all of it; needs no more scenes than `count`, and no fewer moments.
fn shares(lengths: &[usize], count: usize) -> Vec<usize> {
    let mut shares = vec![1; lengths.len()];
    for _ in lengths.len()..count {
        // The scene whose moments would stand for the longest stretches gets the next.
        let most = (0..lengths.len())
            .filter(|&n| shares[n] < lengths[n])
            .max_by(|&a, &b| (lengths[a] * (shares[b] + 1)).cmp(&(lengths[b] * (shares[a] + 1))).then(b.cmp(&a)));
        if let Some(most) = most {
            shares[most] += 1;
        }
    }
    shares
}
