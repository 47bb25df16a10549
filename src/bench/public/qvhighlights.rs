//! QVHighlights (Lei et al. 2021): JSON lines of `qid, query, duration, vid, relevant_windows, …`. Predictions and scores as
//! in moment_detr (`standalone_eval/eval.py`): JSON lines of `qid, query, vid, pred_relevant_windows [[start, end, score]]`.
//! Its second task, the saliency of every two-second clip, is not predicted here.

use super::spans::{overlap, timelens_spans};
use super::{Benchmark, Item, Metric, Prediction, Predictions, PublicError, Source, Task, single};
use serde_json::{Value, json};

/// Windows of a prediction that are looked at.
const MAX_WINDOWS: usize = 10;
/// Lengths of true windows in seconds, exclusive and inclusive, and what they are called.
const RANGES: [(&str, f64, f64); 3] = [("short", 0.0, 10.0), ("middle", 10.0, 30.0), ("long", 30.0, 150.0)];

pub(super) struct QvHighlights;

impl Benchmark for QvHighlights {
    fn name(&self) -> &'static str {
        "qvhighlights"
    }

    fn task(&self) -> Task {
        Task::Ground
    }

    fn wording(&self) -> &'static str {
        single::WORDING
    }

    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError> {
        let item = |(number, row): (usize, Value)| {
            let (Some(query), Some(video)) = (row["query"].as_str(), row["vid"].as_str()) else {
                return Err(source.wrong(self.name(), format!("line {}: no query or vid", number + 1)));
            };
            // The test split may come without windows.
            let windows = row["relevant_windows"].as_array().map_or(&[][..], Vec::as_slice);
            let spans = windows.iter().filter_map(super::source::pair).collect();
            let (query, video) = (query.to_owned(), video.to_owned());
            Ok(Item { key: row["qid"].to_string(), video, query, spans, answer: None, row })
        };
        source.rows(self.name())?.into_iter().enumerate().map(item).collect()
    }

    /// A prediction without windows gets one without length: the scorer, which knows no other way to say so, takes the first
    /// of each.
    fn write(&self, items: &[Item], predictions: &Predictions) -> String {
        let line = |item: &Item| {
            let windows = windows(predictions.get(&item.key)?);
            let windows = if windows.is_empty() { vec![[0.0; 3]] } else { windows };
            let line = json!({
                "qid": item.row["qid"], "query": item.query, "vid": item.video, "pred_relevant_windows": windows,
            });
            Some(format!("{line}\n"))
        };
        items.iter().filter_map(line).collect()
    }

    fn read(&self, _items: &[Item], source: &Source) -> Result<Predictions, PublicError> {
        let entry = |(number, row): (usize, Value)| {
            let wrong = || source.wrong(self.name(), format!("line {}: no windows of three numbers", number + 1));
            let windows = row["pred_relevant_windows"].as_array().ok_or_else(wrong)?;
            let three =
                |window: &Value| Some([window.get(0)?.as_f64()?, window.get(1)?.as_f64()?, window.get(2)?.as_f64()?]);
            let windows = windows.iter().map(three).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
            Ok((row["qid"].to_string(), Prediction { answer: String::new(), windows }))
        };
        source.rows(self.name())?.into_iter().enumerate().map(entry).collect()
    }

    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric> {
        let answered: Vec<Case> = items
            .iter()
            .filter(|item| !item.spans.is_empty())
            .filter_map(|item| Some(Case { truth: item.spans.clone(), windows: windows(predictions.get(&item.key)?) }))
            .collect();
        let best: Vec<f64> = answered.iter().map(Case::first_overlap).collect();
        let recall = |threshold: f64| {
            let hits: Vec<f64> = best.iter().map(|&overlap| f64::from(overlap >= threshold)).collect();
            Metric::mean(format!("R1@{threshold}"), &hits)
        };
        let mut metrics = vec![recall(0.3), recall(0.5), recall(0.7), Metric::mean("mIoU", &best)];
        metrics.extend([("mAP@0.5", 0.5), ("mAP@0.75", 0.75)].map(|(name, threshold)| {
            Metric::mean(name, &answered.iter().filter_map(|case| case.precision(threshold)).collect::<Vec<_>>())
        }));
        metrics.push(mean_precision("mAP".to_owned(), &answered));
        metrics.extend(RANGES.map(|(name, above, to)| {
            let within: Vec<Case> = answered.iter().filter_map(|case| case.within(above, to)).collect();
            mean_precision(format!("mAP {name}"), &within)
        }));
        metrics
    }
}

/// Windows as predicted, else as the text names them, all with the same score.
fn windows(prediction: &Prediction) -> Vec<[f64; 3]> {
    if !prediction.windows.is_empty() || prediction.answer.is_empty() {
        return prediction.windows.clone();
    }
    timelens_spans(&prediction.answer).into_iter().map(|[start, end]| [start, end, 1.0]).collect()
}

/// A query that was answered.
struct Case {
    truth: Vec<[f64; 2]>,
    windows: Vec<[f64; 3]>,
}

impl Case {
    /// Of the first window with the true one that it overlaps most (`compute_mr_r1`).
    fn first_overlap(&self) -> f64 {
        let Some(&[start, end, _]) = self.windows.first() else { return 0.0 };
        self.truth.iter().map(|&truth| overlap(truth, [start, end])).fold(0.0, f64::max)
    }

    /// The same with the true windows of a range of lengths alone (`get_data_by_range`); `None` where there is none.
    fn within(&self, above: f64, to: f64) -> Option<Self> {
        let fits = |window: &&[f64; 2]| above < window[1] - window[0] && window[1] - window[0] <= to;
        let truth: Vec<[f64; 2]> = self.truth.iter().filter(fits).copied().collect();
        (!truth.is_empty()).then(|| Self { truth, windows: self.windows.clone() })
    }

    /// Average precision at an overlap (`compute_average_precision_detection`): windows by falling score, each taking the
    /// free true window that it overlaps most, if by enough; the area under the precision that is never to rise again.
    /// `None` without windows: the scorer's mean is over queries that have some.
    fn precision(&self, threshold: f64) -> Option<f64> {
        let mut windows: Vec<[f64; 3]> = self.windows.iter().take(MAX_WINDOWS).copied().collect();
        if windows.is_empty() {
            return None;
        }
        windows.sort_by(|a, b| b[2].total_cmp(&a[2]));
        let mut free = vec![true; self.truth.len()];
        let (mut hits, mut points) = (0.0, Vec::with_capacity(windows.len()));
        for (number, &[start, end, _]) in windows.iter().enumerate() {
            let overlap_with = |at: usize| overlap(self.truth[at], [start, end]);
            let able = (0..free.len()).filter(|&at| free[at] && overlap_with(at) >= threshold);
            if let Some(taken) = able.max_by(|&a, &b| overlap_with(a).total_cmp(&overlap_with(b))) {
                free[taken] = false;
                hits += 1.0;
            }
            points.push((hits / self.truth.len() as f64, hits / (number + 1) as f64));
        }
        let (mut area, mut recall_before) = (0.0, 0.0);
        for at in 0..points.len() {
            let highest = points[at..].iter().map(|&(_, precision)| precision).fold(0.0, f64::max);
            area += (points[at].0 - recall_before) * highest;
            recall_before = points[at].0;
        }
        Some(area)
    }
}

/// Mean over the overlaps 0.5, 0.55, …, 0.95 of the mean over queries (`compute_mr_ap`).
fn mean_precision(name: String, cases: &[Case]) -> Metric {
    let at = |case: &Case| {
        let thresholds = (0..10).map(|step| f64::from(50 + 5 * step) / 100.0);
        thresholds.map(|threshold| case.precision(threshold)).sum::<Option<f64>>().map(|sum| sum / 10.0)
    };
    Metric::mean(name, &cases.iter().filter_map(at).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::Path;

    const ANNOTATIONS: &str = r#"{"qid": 2579, "query": "A girl and her mother cooked.", "duration": 150, "vid": "NUsG9BgSes0_210.0_360.0", "relevant_clip_ids": [0, 1], "saliency_scores": [[4, 4, 2], [3, 4, 2]], "relevant_windows": [[0, 70], [78, 146]]}
{"qid": 7, "query": "A cat.", "duration": 150, "vid": "x_0.0_150.0", "relevant_windows": [[10, 20]]}
"#;

    fn items() -> Vec<Item> {
        QvHighlights.items(&Source::new(Path::new("highlight_val_release.jsonl"), ANNOTATIONS.to_owned())).unwrap()
    }

    fn value(metrics: &[Metric], name: &str) -> f64 {
        metrics.iter().find(|metric| metric.name == name).unwrap().value.unwrap()
    }

    #[test]
    fn scores_are_those_worked_out_by_hand() {
        // Query 2579: the first window is right to 69/70; the second, by score, is a miss; the third takes the other.
        // Query 7: its window overlaps by 8/12.
        let file = r#"{"qid": 2579, "query": "", "vid": "", "pred_relevant_windows": [[0, 69, 0.9], [0, 146, 0.5], [78, 146, 0.4]]}
{"qid": 7, "query": "", "vid": "", "pred_relevant_windows": [[12, 22, 1.0]]}
"#;
        let read = QvHighlights.read(&items(), &Source::new(Path::new("p.jsonl"), file.to_owned())).unwrap();
        let metrics = QvHighlights.score(&items(), &read);
        assert!((value(&metrics, "R1@0.5") - 100.0).abs() < 1e-9 && (value(&metrics, "R1@0.7") - 50.0).abs() < 1e-9);
        assert!((value(&metrics, "mIoU") - (69.0 / 70.0 + 8.0 / 12.0) * 50.0).abs() < 1e-9);
        // 2579: recalls 1/2, 1/2, 1 at precisions 1, 1/2, 2/3: 1/2 + 1/2 * 2/3 = 5/6, at every overlap up to 0.95 but those
        // at which [0, 146] overlaps something: with [0, 70] by 70/146, with [78, 146] by 68/146, which are below 0.5.
        let first = 5.0 / 6.0;
        assert!((value(&metrics, "mAP@0.5") - (first + 1.0) * 50.0).abs() < 1e-9);
        assert!((value(&metrics, "mAP@0.75") - first * 50.0).abs() < 1e-9);
        // 7: overlap 0.667 counts at 0.5, 0.55, 0.6 and 0.65.
        assert!((value(&metrics, "mAP") - (first + 0.4) * 50.0).abs() < 1e-9);
        assert!((value(&metrics, "mAP short") - 40.0).abs() < 1e-9);
        assert!((value(&metrics, "mAP long") - first * 100.0).abs() < 1e-9);
        assert_eq!(metrics.iter().find(|metric| metric.name == "mAP middle").unwrap().value, None);
    }

    #[test]
    fn what_finds_nothing_is_written_so_that_the_scorer_counts_it_as_nothing() {
        let nothing = Prediction { answer: "It is not in the video.".to_owned(), windows: Vec::new() };
        let predictions: Predictions = [("7".to_owned(), nothing)].into();
        let written = QvHighlights.write(&items(), &predictions);
        assert_eq!(
            written,
            "{\"qid\":7,\"query\":\"A cat.\",\"vid\":\"x_0.0_150.0\",\"pred_relevant_windows\":[[0.0,0.0,0.0]]}\n"
        );
        let read = QvHighlights.read(&items(), &Source::new(Path::new("p.jsonl"), written)).unwrap();
        let metrics = QvHighlights.score(&items(), &read);
        assert_eq!((value(&metrics, "R1@0.3"), value(&metrics, "mAP")), (0.0, 0.0));
    }
}
