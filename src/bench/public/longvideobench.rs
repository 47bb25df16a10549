//! LongVideoBench (Wu et al. 2024): `lvb_val.json`, `lvb_test_wo_gt.json`. Predictions as lmms-eval submits them
//! (`lmms_eval/tasks/longvideobench`): a map from question to the answer's text. Scores by its rule too, except that an
//! answer without a letter is wrong here, where it draws a letter by lot.

use super::choice::{letter, letter_of, lettered, shares};
use super::source::text;
use super::{Benchmark, Item, Metric, Predictions, PublicError, Source, Task};
use serde_json::{Map, Value, json};

const PREFIXES: [&str; 8] = [
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option is",
    "The correct option is",
    "Best answer:",
    "Best option:",
];

pub(super) struct LongVideoBench;

impl Benchmark for LongVideoBench {
    fn name(&self) -> &'static str {
        "longvideobench"
    }

    fn task(&self) -> Task {
        Task::Choose
    }

    /// As in its loader (`longvideobench_dataset.py`).
    fn wording(&self) -> &'static str {
        "Question: {}\nAnswer with the option's letter from the given choices directly."
    }

    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError> {
        let item = |(number, row): (usize, Value)| {
            let (id, video) = (text(&row, "id"), text(&row, "video_path"));
            let options = options(&row);
            if id.is_empty() || video.is_empty() || options.is_empty() {
                return Err(source.wrong(self.name(), format!("row {}: no id, video_path or options", number + 1)));
            }
            let query = lettered(&text(&row, "question"), &options);
            let answer = text(&row, "correct_choice").parse().ok().and_then(letter_of);
            Ok(Item { key: id, video, query, spans: Vec::new(), answer, row })
        };
        source.rows(self.name())?.into_iter().enumerate().map(item).collect()
    }

    fn write(&self, items: &[Item], predictions: &Predictions) -> String {
        let entry = |item: &Item| Some((item.key.clone(), json!(predictions.get(&item.key)?.answer)));
        format!("{:#}\n", Value::Object(items.iter().filter_map(entry).collect::<Map<_, _>>()))
    }

    fn read(&self, _items: &[Item], source: &Source) -> Result<Predictions, PublicError> {
        super::lvbench::read_map(source, self.name())
    }

    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric> {
        shares(items, &["duration_group", "question_category"], |item| {
            let answer = item.answer.as_deref()?;
            let found = letter(&predictions.get(&item.key)?.answer, &PREFIXES, &('A'..='E'));
            Some(found.is_some_and(|found| answer == found.encode_utf8(&mut [0; 4])))
        })
    }
}

/// `candidates`, or `option0` to `option4` up to the first that is not there.
fn options(row: &Value) -> Vec<String> {
    if !row["candidates"].is_null() {
        return super::source::options(&row["candidates"]);
    }
    let option =
        |number: usize| row[format!("option{number}")].as_str().filter(|option| *option != "N/A").map(str::to_owned);
    (0..5).map_while(option).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::Prediction;
    use super::*;
    use std::path::Path;

    #[test]
    fn annotations_predictions_and_scores() {
        let text = r#"[
            {"id": "a_0", "video_path": "86CxyhFV9MI.mp4", "question": "Where?", "option0": "sea", "option1": "land", "option2": "N/A",
             "option3": "N/A", "option4": "N/A", "correct_choice": 1, "duration_group": 15, "question_category": "S2E"},
            {"id": "a_1", "video_path": "86CxyhFV9MI.mp4", "question": "Who?", "candidates": ["he", "she"], "correct_choice": 0,
             "duration_group": 15, "question_category": "T3O"},
            {"id": "b_0", "video_path": "b.mp4", "question": "Who?", "candidates": ["he", "she"], "duration_group": 3600}]"#;
        let items = LongVideoBench.items(&Source::new(Path::new("lvb_val.json"), text.to_owned())).unwrap();
        assert_eq!((items[0].query.as_str(), items[0].answer.as_deref()), ("Where?\nA. sea\nB. land", Some("B")));
        // The commas that Video-MME's scorer lacks are there: the prefix goes, and with it its B.
        let said = [("a_0", "Best answer: B. land"), ("a_1", "nobody"), ("b_0", "A")];
        let predictions: Predictions = said
            .map(|(key, answer)| (key.to_owned(), Prediction { answer: answer.to_owned(), windows: vec![] }))
            .into();
        let written = LongVideoBench.write(&items, &predictions);
        let read = LongVideoBench.read(&items, &Source::new(Path::new("p.json"), written)).unwrap();
        assert_eq!(read, predictions);
        let metrics = LongVideoBench.score(&items, &read);
        assert_eq!((metrics[0].value, metrics[0].of), (Some(50.0), 2));
        let of = |name: &str| metrics.iter().find(|metric| metric.name == name).and_then(|metric| metric.value);
        assert_eq!((of("question_category: S2E"), of("question_category: T3O")), (Some(100.0), Some(0.0)));
    }
}
