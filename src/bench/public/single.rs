//! Scores of benchmarks that ask for one span: recall at one, mean overlap.

use super::spans::overlap;
use super::{Item, Metric, Prediction, Predictions};

/// The wording with which TimeLens asks (`evaluation/utils.py`), which the released grounding models know.
pub(super) const WORDING: &str = "Please find the visual event described by the sentence '{}', determining its starting and \
    ending times. The format should be: 'The event happens in <start time> - <end time> seconds'.";

/// R1 at 0.3, 0.5 and 0.7 and the mean overlap, over the items that have a prediction: the scorers count the entries of the
/// prediction file. A prediction without a span counts as 0.
pub(super) fn score(
    items: &[Item],
    predictions: &Predictions,
    first: impl Fn(&Prediction) -> Option<[f64; 2]>,
) -> Vec<Metric> {
    let overlap = |item: &Item| {
        let prediction = predictions.get(&item.key)?;
        let truth = *item.spans.first()?;
        Some(first(prediction).map_or(0.0, |span| overlap(truth, span)))
    };
    let overlaps: Vec<f64> = items.iter().filter_map(overlap).collect();
    let recall = |threshold: f64| {
        let hits: Vec<f64> = overlaps.iter().map(|&overlap| f64::from(overlap >= threshold)).collect();
        Metric::mean(format!("R1@{threshold}"), &hits)
    };
    vec![recall(0.3), recall(0.5), recall(0.7), Metric::mean("mIoU", &overlaps)]
}

/// Items without those whose key is there already: the prediction files are maps, which hold a key once.
pub(super) fn distinct(items: Vec<Item>) -> Vec<Item> {
    let mut seen = std::collections::HashSet::new();
    items.into_iter().filter(|item| seen.insert(item.key.clone())).collect()
}

/// `video>>>query>>>[start, end]`, the span as Python writes a list of floats.
pub(super) fn key(video: &str, query: &str, span: [f64; 2]) -> String {
    format!("{video}>>>{query}>>>[{:?}, {:?}]", span[0], span[1])
}
