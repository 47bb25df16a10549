//! Which moments of what was encoded go into the prompt: a moment is a temporal patch, some frames that the tower saw as one.
//!
//! Frames are decoded and encoded at the rate that was asked for; a sampler keeps a share of the moments. So what a prompt costs is
//! decided by a budget, and what it holds by what the video shows, and, for some, by the question. All moments' tokens are held until
//! the choice is made: unlike compression alone, this takes memory that grows with the video.

use super::{aks, diverse, scenes};

/// What samplers go by.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// The mean of each moment's visual tokens
    pub means: Vec<Vec<f32>>,
    /// How much each moment has to do with the questions; all equal where that was not asked for
    pub relevance: Vec<f32>,
}

/// A way to choose moments: exactly `count` of them, ascending, from at least so many.
pub trait Sampler: std::fmt::Debug + Send + Sync {
    /// Whether [`Moments::relevance`] is looked at.
    fn reads_questions(&self) -> bool {
        false
    }

    /// The numbers of the moments that stay.
    fn choose(&self, moments: &Moments, count: usize) -> Vec<usize>;
}

/// Every sampler and its name in pipelines.
const SAMPLERS: &[(&str, &dyn Sampler)] = &[
    ("uniform", &Uniform),
    ("scenes", &scenes::Scenes),
    ("diverse", &diverse::Diverse { reads_questions: false }),
    ("relevant", &diverse::Diverse { reads_questions: true }),
    ("aks", &aks::Aks),
];

/// The names of all samplers.
pub fn samplers() -> impl Iterator<Item = &'static str> {
    SAMPLERS.iter().map(|&(name, _)| name)
}

/// The sampler of that name.
#[must_use]
pub fn sampler(name: &str) -> Option<&'static dyn Sampler> {
    SAMPLERS.iter().find(|(known, _)| *known == name).map(|&(_, sampler)| sampler)
}

/// Moments that are left of so many by a share: never none.
#[must_use]
pub fn chosen(moments: usize, keep: f64) -> usize {
    ((moments as f64 * keep).round() as usize).clamp(1.min(moments), moments)
}

/// Moments at equal distances.
#[derive(Debug)]
struct Uniform;

impl Sampler for Uniform {
    fn choose(&self, moments: &Moments, count: usize) -> Vec<usize> {
        evenly(0..moments.means.len(), count)
    }
}

/// The middles of `count` equal parts of a range that is at least as long.
pub(super) fn evenly(range: std::ops::Range<usize>, count: usize) -> Vec<usize> {
    (0..count).map(|n| range.start + (2 * n + 1) * range.len() / (2 * count)).collect()
}

/// How much each moment has to do with some words: for each word the likeness of the moment's most alike token, less the word's mean over
/// the video, so that words which nothing shows, or everything does, say nothing; summed over the words. Tokens of moment `n` are `moments[n]`;
/// all vectors are of one width. (The tower's tokens live in the space of the language model's words, better or worse as the model goes.)
#[must_use]
pub fn relevance(moments: &[&[Vec<f32>]], words: &[Vec<f32>]) -> Vec<f32> {
    let mut sums = vec![0.0; moments.len()];
    for word in words {
        let likeness: Vec<f32> = moments
            .iter()
            .map(|tokens| tokens.iter().map(|token| cosine(token, word)).fold(f32::NEG_INFINITY, f32::max))
            .map(|best| if best.is_finite() { best } else { 0.0 })
            .collect();
        let mean = likeness.iter().sum::<f32>() / likeness.len().max(1) as f32;
        sums.iter_mut().zip(&likeness).for_each(|(sum, like)| *sum += like - mean);
    }
    sums
}

/// The cosine between two vectors; 0 where one of them is 0.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 1e-12 { dot(a, b) / norms } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_sampler_gives_as_many_as_asked_in_order(
            values in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, 4), 1..60),
            keep in 0.01f64..1.0,
            still in any::<bool>(),
        ) {
            let means = if still { vec![vec![1.0; 4]; values.len()] } else { values.clone() };
            let relevance = values.iter().map(|value| value[0]).collect();
            let moments = Moments { means, relevance };
            let count = chosen(values.len(), keep);
            for name in samplers() {
                let chosen = sampler(name).unwrap().choose(&moments, count);
                prop_assert_eq!(chosen.len(), count, "{}", name);
                prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]), "{}", name);
                prop_assert!(chosen.iter().all(|&moment| moment < values.len()), "{}", name);
            }
        }
    }

    /// Three scenes of very unlike lengths; the question is about something in the short one.
    fn film() -> Moments {
        let scene = |n: usize| {
            if n < 40 {
                [1.0, 0.0, 0.0]
            } else if n < 44 {
                [0.0, 1.0, 0.0]
            } else {
                [0.0, 0.0, 1.0]
            }
        };
        let means = (0..80).map(|n| scene(n).to_vec()).collect();
        let relevance = (0..80).map(|n| if (40..44).contains(&n) { 1.0 } else { 0.0 }).collect();
        Moments { means, relevance }
    }

    #[test]
    fn short_scenes_and_what_is_asked_for_are_not_lost() {
        let short = |name: &str, count| {
            let chosen = sampler(name).unwrap().choose(&film(), count);
            chosen.into_iter().filter(|moment| (40..44).contains(moment)).count()
        };
        assert_eq!(short("uniform", 4), 0);
        assert!(short("scenes", 4) > 0);
        assert!(short("diverse", 4) > 0);
        assert!(short("relevant", 4) > 0);
        assert!(short("aks", 8) > short("uniform", 8));
    }

    #[test]
    fn words_that_say_nothing_have_no_say() {
        let (a, b) = (vec![vec![1.0, 0.0]], vec![vec![0.0, 1.0]]);
        let shown = relevance(&[&a, &b, &a], &[vec![0.0, 1.0], vec![1.0, 1.0]]);
        assert!(shown[1] > shown[0] && shown[0] == shown[2]);
        let flat = relevance(&[&a, &b], &[vec![1.0, 1.0]]);
        assert!((flat[0] - flat[1]).abs() < 1e-6);
    }
}
