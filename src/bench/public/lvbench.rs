//! LVBench (Wang et al. 2024): `video_info.meta.jsonl`, one video a line with its `qa`. Predictions: a map from question to
//! letter. Scores: `lvbench/metrics/compute_accuracy.py` after `lvbench/utils/answer_util.py`.

use super::choice::shares;
use super::source::text;
use super::{Benchmark, Item, Metric, Prediction, Predictions, PublicError, Source, Task};
use serde_json::{Map, Value, json};

pub(super) struct LvBench;

impl Benchmark for LvBench {
    fn name(&self) -> &'static str {
        "lvbench"
    }

    fn task(&self) -> Task {
        Task::Choose
    }

    /// The questions hold their options; the repository prescribes no more than that a letter is wanted.
    fn wording(&self) -> &'static str {
        "{}\nAnswer with the letter of the right option only."
    }

    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError> {
        let mut items = Vec::new();
        for (number, video) in source.rows(self.name())?.into_iter().enumerate() {
            let (Some(name), Some(questions)) = (video["key"].as_str(), video["qa"].as_array()) else {
                return Err(source.wrong(self.name(), format!("line {}: no key or qa", number + 1)));
            };
            items.extend(questions.iter().map(|row| Item {
                key: text(row, "uid"),
                video: name.to_owned(),
                query: text(row, "question"),
                spans: Vec::new(),
                answer: row["answer"].as_str().map(str::to_owned),
                row: row.clone(),
            }));
        }
        Ok(items)
    }

    fn write(&self, items: &[Item], predictions: &Predictions) -> String {
        let entry = |item: &Item| Some((item.key.clone(), json!(polish(&predictions.get(&item.key)?.answer))));
        format!("{:#}\n", Value::Object(items.iter().filter_map(entry).collect::<Map<_, _>>()))
    }

    fn read(&self, _items: &[Item], source: &Source) -> Result<Predictions, PublicError> {
        read_map(source, self.name())
    }

    /// Only questions that are in the file count; what is there is compared as it is.
    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric> {
        shares(items, &["question_type"], |item| {
            let answer = &predictions.get(&item.key)?.answer;
            Some(item.answer.as_deref() == Some(polish(answer).as_str()))
        })
    }
}

/// `{key: text}`
pub(super) fn read_map(source: &Source, benchmark: &'static str) -> Result<Predictions, PublicError> {
    let Value::Object(map) = source.json(benchmark)? else { return Err(source.wrong(benchmark, "not a map")) };
    let entry = |(key, value): (String, Value)| match value {
        Value::String(answer) => Ok((key, Prediction { answer, windows: Vec::new() })),
        other => Err(source.wrong(benchmark, format!("`{key}`: {other} is no text"))),
    };
    map.into_iter().map(entry).collect()
}

/// The first character of the first word of what stands before `)` and behind `(` (`polish_answer`): any character, so that
/// "The answer is (B)" is `B` and "The answer is B" is `T`.
fn polish(answer: &str) -> String {
    let before = answer.trim().split(')').next().unwrap_or_default().trim();
    let behind = before.split('(').nth(1).map_or(before, str::trim);
    behind.split(' ').next().and_then(|word| word.chars().next()).map_or_else(String::new, String::from)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::Path;

    #[test]
    fn answers_are_polished_as_in_the_repository() {
        for (answer, polished) in [
            ("B", "B"),
            ("(C) On the wall", "C"),
            ("D) no", "D"),
            ("The answer is (B)", "B"),
            ("The answer is B", "T"),
            ("  ", ""),
        ] {
            assert_eq!(polish(answer), polished, "{answer}");
        }
    }

    #[test]
    fn annotations_predictions_and_scores() {
        let text = r#"{"key": "Cm73ma6Ibcs", "type": "cartoon", "video_info": {"duration_minutes": 80}, "qa": [
{"uid": "2", "question": "Who?\n(A) he\n(B) she", "answer": "A", "question_type": ["entity recognition", "reasoning"], "time_reference": "01:00-02:00"},
{"uid": "3", "question": "When?\n(A) now\n(B) then", "answer": "B", "question_type": ["reasoning"]},
{"uid": "4", "question": "Why?\n(A) so\n(B) thus", "answer": "B", "question_type": ["summarization"]}]}"#
            .replace("[\n", "[")
            .replace("},\n", "},");
        let items = LvBench.items(&Source::new(Path::new("video_info.meta.jsonl"), text)).unwrap();
        assert_eq!((items.len(), items[2].video.as_str()), (3, "Cm73ma6Ibcs"));
        let said = [("2", "(A) he"), ("3", "A")];
        let predictions: Predictions = said
            .map(|(key, answer)| (key.to_owned(), Prediction { answer: answer.to_owned(), windows: vec![] }))
            .into();
        let written = LvBench.write(&items, &predictions);
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), json!({"2": "A", "3": "A"}));
        let read = LvBench.read(&items, &Source::new(Path::new("p.json"), written)).unwrap();
        let metrics = LvBench.score(&items, &read);
        let of = |name: &str| metrics.iter().find(|metric| metric.name == name).map(|metric| (metric.value, metric.of));
        // A question of two kinds counts in both; what was not answered in none.
        assert_eq!(of("accuracy"), Some((Some(50.0), 2)));
        assert_eq!(of("question_type: entity recognition"), Some((Some(100.0), 1)));
        assert_eq!(of("question_type: reasoning"), Some((Some(50.0), 2)));
        assert_eq!(of("question_type: summarization"), None);
    }
}
