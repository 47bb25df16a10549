//! Charades-STA (Gao et al. 2017): lines of `VIDEO start end##sentence`. Predictions and scores as in lmms-eval
//! (`lmms_eval/tasks/charades_sta`): a map from `video>>>caption>>>[start, end]` to the answer's text.

use super::source::pair;
use super::{Benchmark, Item, Metric, Prediction, Predictions, PublicError, Source, Task, single, spans};
use serde_json::{Map, Value, json};

pub(super) struct CharadesSta;

impl Benchmark for CharadesSta {
    fn name(&self) -> &'static str {
        "charades-sta"
    }

    fn task(&self) -> Task {
        Task::Ground
    }

    fn wording(&self) -> &'static str {
        single::WORDING
    }

    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError> {
        // lmms-eval's own copy is a list of `{"video", "caption", "timestamp"}`.
        if source.text().trim_start().starts_with(['[', '{']) {
            let rows = source.rows(self.name())?;
            let item = |(number, row): (usize, Value)| {
                let (video, query) = (row["video"].as_str(), row["caption"].as_str());
                let (Some(video), Some(query), Some(span)) = (video, query, pair(&row["timestamp"])) else {
                    return Err(
                        source.wrong(self.name(), format!("row {}: no video, caption or timestamp", number + 1))
                    );
                };
                Ok(item(video.to_owned(), query.to_owned(), span))
            };
            return Ok(single::distinct(rows.into_iter().enumerate().map(item).collect::<Result<_, _>>()?));
        }
        let lines = source.text().lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let item = |(number, line): (usize, &str)| {
            parse(line).ok_or_else(|| source.wrong(self.name(), format!("line {}: `{line}`", number + 1)))
        };
        Ok(single::distinct(lines.map(item).collect::<Result<_, _>>()?))
    }

    fn write(&self, items: &[Item], predictions: &Predictions) -> String {
        let entry = |item: &Item| Some((item.key.clone(), json!(predictions.get(&item.key)?.answer)));
        let map: Map<String, Value> = items.iter().filter_map(entry).collect();
        format!("{:#}\n", Value::Object(map))
    }

    fn read(&self, _items: &[Item], source: &Source) -> Result<Predictions, PublicError> {
        let Value::Object(map) = source.json(self.name())? else { return Err(source.wrong(self.name(), "not a map")) };
        let entry = |(key, value): (String, Value)| match value {
            Value::String(answer) => Ok((key, Prediction { answer, windows: Vec::new() })),
            other => Err(source.wrong(self.name(), format!("`{key}`: {other} is no text"))),
        };
        map.into_iter().map(entry).collect()
    }

    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric> {
        single::score(items, predictions, |prediction| spans::lmms_span(&prediction.answer))
    }
}

fn parse(line: &str) -> Option<Item> {
    let (place, sentence) = line.trim().split_once("##")?;
    let mut words = place.split_whitespace();
    let (video, start, end) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(item(format!("{video}.mp4"), sentence.to_owned(), [start, end]))
}

fn item(video: String, query: String, span: [f64; 2]) -> Item {
    let key = single::key(&video, &query, span);
    Item { key, video, query, spans: vec![span], answer: None, row: Value::Null }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::Path;

    #[test]
    fn annotations_predictions_and_scores() {
        let text = "3MSZA 24.3 30.4##person turn a light on.\nAO8RW 0.0 6.9##a person is putting a book on a shelf.\n\
            AO8RW 10.0 20.0##a person leaves.\n";
        let items = CharadesSta.items(&Source::new(Path::new("charades_sta_test.txt"), text.to_owned())).unwrap();
        assert_eq!(items[0].key, "3MSZA.mp4>>>person turn a light on.>>>[24.3, 30.4]");
        let said = [
            (0, "The event happens in the 24.3 - 30.4 seconds."),
            (1, "From 3.45 to 6.9 seconds."),
            (2, "I cannot see it."),
        ];
        let predictions: Predictions = said
            .iter()
            .map(|&(n, answer)| (items[n].key.clone(), Prediction { answer: answer.to_owned(), windows: vec![] }))
            .collect();
        let written = CharadesSta.write(&items, &predictions);
        let read = CharadesSta.read(&items, &Source::new(Path::new("p.json"), written)).unwrap();
        assert_eq!(read, predictions);
        // Overlaps 1, 3.45 / 6.9 = 0.5, and 0 for what names no time.
        let values: Vec<f64> = CharadesSta.score(&items, &read).iter().map(|metric| metric.value.unwrap()).collect();
        for (value, expected) in values.iter().zip([200.0 / 3.0, 200.0 / 3.0, 100.0 / 3.0, 50.0]) {
            assert!((value - expected).abs() < 1e-9, "{values:?}");
        }
        // Only what the file holds is counted.
        let one: Predictions = read.into_iter().filter(|(key, _)| *key == items[0].key).collect();
        let metric = &CharadesSta.score(&items, &one)[3];
        assert_eq!((metric.value, metric.of), (Some(100.0), 1));
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = CharadesSta.items(&Source::new(Path::new("a.txt"), "3MSZA 24.3##x".to_owned())).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
