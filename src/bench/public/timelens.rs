//! TimeLens-Bench (`{charades,activitynet,qvhighlights}-timelens.json`): `{video: {duration, spans, queries}}`. Predictions
//! and scores as in its repository (README, `evaluation/compute_metrics.py`): a map from `video.mp4>>>query>>>[start, end]`
//! to `{"timestamps": [[start, end]], "answers": text}`, of which the times win where both are given.

use super::source::pair;
use super::{Benchmark, Item, Metric, Prediction, Predictions, PublicError, Source, Task, single, spans};
use serde_json::{Map, Value, json};

pub(super) struct TimeLens;

impl Benchmark for TimeLens {
    fn name(&self) -> &'static str {
        "timelens"
    }

    fn task(&self) -> Task {
        Task::Ground
    }

    fn wording(&self) -> &'static str {
        single::WORDING
    }

    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError> {
        items(source, self.name(), "spans", "queries")
    }

    fn write(&self, items: &[Item], predictions: &Predictions) -> String {
        write(items, predictions)
    }

    fn read(&self, _items: &[Item], source: &Source) -> Result<Predictions, PublicError> {
        read(source, self.name())
    }

    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric> {
        single::score(items, predictions, first)
    }
}

/// `{video: {<spans>: [[start, end]], <queries>: [text]}}`
pub(super) fn items(
    source: &Source,
    benchmark: &'static str,
    spans: &str,
    queries: &str,
) -> Result<Vec<Item>, PublicError> {
    let Value::Object(map) = source.json(benchmark)? else {
        return Err(source.wrong(benchmark, "not a map of videos"));
    };
    let mut items = Vec::new();
    for (video, facts) in &map {
        let (Some(spans), Some(queries)) = (facts[spans].as_array(), facts[queries].as_array()) else {
            return Err(source.wrong(benchmark, format!("`{video}` has no {spans} or {queries}")));
        };
        if spans.len() != queries.len() {
            let what = format!("`{video}` has {} spans and {} queries", spans.len(), queries.len());
            return Err(source.wrong(benchmark, what));
        }
        for (span, query) in spans.iter().zip(queries) {
            let (Some(span), Some(query)) = (pair(span), query.as_str()) else {
                return Err(source.wrong(benchmark, format!("`{video}`: {span} is no span, or {query} no query")));
            };
            let (video, query) = (format!("{video}.mp4"), tidy(query));
            let key = single::key(&video, &query, span);
            items.push(Item { key, video, query, spans: vec![span], answer: None, row: Value::Null });
        }
    }
    Ok(single::distinct(items))
}

/// A query as the benchmark's loader gives it (`timelens_data.py`, `parse_query`): spaces once, no full stops around it.
fn tidy(query: &str) -> String {
    query.split_whitespace().collect::<Vec<_>>().join(" ").trim_matches('.').trim().to_owned()
}

pub(super) fn write(items: &[Item], predictions: &Predictions) -> String {
    let entry = |item: &Item| {
        let prediction = predictions.get(&item.key)?;
        let times = times(prediction);
        // Without times the scorer reads the text, and finds none there either.
        let value = match times.is_empty() {
            true => json!({"answers": prediction.answer}),
            false => json!({"timestamps": times, "answers": prediction.answer}),
        };
        Some((item.key.clone(), value))
    };
    let map: Map<String, Value> = items.iter().filter_map(entry).collect();
    format!("{:#}\n", Value::Object(map))
}

pub(super) fn read(source: &Source, benchmark: &'static str) -> Result<Predictions, PublicError> {
    let Value::Object(map) = source.json(benchmark)? else { return Err(source.wrong(benchmark, "not a map")) };
    let entry = |(key, value): (String, Value)| {
        let answer =
            ["answers", "answer"].iter().find_map(|field| value[*field].as_str()).unwrap_or_default().to_owned();
        let times = value["timestamps"].as_array();
        if times.is_none() && answer.is_empty() && value.get("answers").is_none() {
            return Err(source.wrong(benchmark, format!("`{key}` has neither timestamps nor answers")));
        }
        let windows = times.into_iter().flatten().filter_map(pair).map(|[start, end]| [start, end, 1.0]).collect();
        Ok((key, Prediction { answer, windows }))
    };
    map.into_iter().map(entry).collect()
}

/// The first span that was given, or else that the text names.
pub(super) fn first(prediction: &Prediction) -> Option<[f64; 2]> {
    times(prediction).first().copied()
}

fn times(prediction: &Prediction) -> Vec<[f64; 2]> {
    let given: Vec<[f64; 2]> = prediction.windows.iter().map(|&[start, end, _]| [start, end]).collect();
    if given.is_empty() { spans::timelens_spans(&prediction.answer) } else { given }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::Path;

    #[test]
    fn annotations_predictions_and_scores() {
        let text = r#"{"v_BrgYIg6UXhU": {"duration": 30.5, "spans": [[0.0, 4.0], [10, 20], [5, 6]],
            "queries": ["A man wearing a  blue jacket approaches a blue car.", "He drives off", "gone"]}}"#;
        let items = TimeLens.items(&Source::new(Path::new("activitynet-timelens.json"), text.to_owned())).unwrap();
        let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
        assert_eq!(keys[0], "v_BrgYIg6UXhU.mp4>>>A man wearing a blue jacket approaches a blue car>>>[0.0, 4.0]");
        let file = json!({
            keys[0]: {"timestamps": [[0.0, 5.0]], "answers": "The event happens in 90.0 - 95.0 seconds."},
            keys[1]: {"answers": "from 0:15 to 0:25"},
            keys[2]: {"answers": "it is not there"},
        });
        let read = TimeLens.read(&items, &Source::new(Path::new("p.json"), file.to_string())).unwrap();
        // 4/5, 5/15, 0.
        let values: Vec<f64> = TimeLens.score(&items, &read).iter().map(|metric| metric.value.unwrap()).collect();
        let expected = [200.0 / 3.0, 100.0 / 3.0, 100.0 / 3.0, (0.8 + 1.0 / 3.0) * 100.0 / 3.0];
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-9, "{values:?}");
        }
        let written: Value = serde_json::from_str(&TimeLens.write(&items, &read)).unwrap();
        assert_eq!(written[keys[0]]["timestamps"], json!([[0.0, 5.0]]));
        assert_eq!(written[keys[1]]["timestamps"], json!([[15.0, 25.0]]));
        assert_eq!(written[keys[2]], json!({"answers": "it is not there"}));
    }
}
