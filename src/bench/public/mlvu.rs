//! MLVU (Zhou et al. 2024): a JSON file for each task of the development set (give their folder), or the test set's
//! `test_question.json`. Predictions: the test set's list of `question_id, question_type, option`, for the development set a
//! list with the question in place of the id. Scores: `choice_bench.py`, `check_ans`; M-Avg is the mean over the tasks.
//! Its two tasks of free text, sub-scene and summary, are judged by a model and are not asked here.

use super::choice::{letter_of, named, shares};
use super::source::{options, text};
use super::{Benchmark, Item, Metric, Prediction, Predictions, PublicError, Source, Task};
use serde_json::{Value, json};

const TASK: &str = "question_type";

pub(super) struct Mlvu;

impl Benchmark for Mlvu {
    fn name(&self) -> &'static str {
        "mlvu"
    }

    fn task(&self) -> Task {
        Task::Choose
    }

    /// As in `test_bench.py`, with the opened bracket of the answer at the end of the question, as lmms-eval has it.
    fn wording(&self) -> &'static str {
        "Carefully watch this video and pay attention to every detail. Based on your observations, select the best option that \
            accurately addresses the question.\nQuestion: {}\nOnly give the best option.\nBest Option: ("
    }

    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError> {
        let mut items = Vec::new();
        for (number, row) in source.rows(self.name())?.into_iter().enumerate() {
            if row["candidates"].is_null() {
                continue;
            }
            let (options, video, question) = (options(&row["candidates"]), text(&row, "video"), text(&row, "question"));
            if options.is_empty() || video.is_empty() || question.is_empty() {
                return Err(source.wrong(self.name(), format!("row {}: no video, question or candidates", number + 1)));
            }
            let answer = row["answer"].as_str();
            let answer =
                answer.and_then(|answer| options.iter().position(|option| option == answer)).and_then(letter_of);
            let lines = options.iter().zip('A'..).map(|(option, letter)| format!("\n({letter}) {option}"));
            let query: String = std::iter::once(format!("{question}\nOptions:")).chain(lines).collect();
            items.push(Item { key: key(&row, &video, &question), video, query, spans: Vec::new(), answer, row });
        }
        Ok(super::single::distinct(items))
    }

    fn write(&self, items: &[Item], predictions: &Predictions) -> String {
        let entry = |item: &Item| {
            let said = &predictions.get(&item.key)?.answer;
            // The benchmark's programs make the model go on behind a bracket; ours may begin with one.
            let option = named(said).map_or_else(|| said.clone(), String::from);
            let kind = &item.row[TASK];
            Some(match item.row.get("question_id") {
                Some(id) => json!({"question_id": id, "question_type": kind, "option": option}),
                None => json!({
                    "question": item.row["question"], "question_type": kind, "video": item.video, "pred": option,
                    "gt": item.answer.as_ref().map(|letter| format!("({letter}) {}", text(&item.row, "answer"))),
                }),
            })
        };
        format!("{:#}\n", Value::Array(items.iter().filter_map(entry).collect()))
    }

    fn read(&self, _items: &[Item], source: &Source) -> Result<Predictions, PublicError> {
        let mut rows = source.json(self.name())?;
        // The development set's program wraps its list.
        if rows["res_list"].is_array() {
            rows = rows["res_list"].take();
        }
        let rows = rows.as_array().ok_or_else(|| source.wrong(self.name(), "not a list"))?;
        let entry = |row: &Value| {
            let said = ["option", "pred"].iter().find_map(|field| row[*field].as_str());
            let answer =
                said.ok_or_else(|| source.wrong(self.name(), format!("no option or pred in {row}")))?.to_owned();
            Ok((key(row, &text(row, "video"), &text(row, "question")), Prediction { answer, windows: Vec::new() }))
        };
        rows.iter().map(entry).collect()
    }

    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric> {
        let mut metrics = shares(items, &[TASK], |item| {
            let answer = item.answer.as_deref()?;
            Some(option(&predictions.get(&item.key)?.answer) == answer)
        });
        let tasks: Vec<f64> =
            metrics.iter().skip(1).filter_map(|metric| metric.value.map(|value| value / 100.0)).collect();
        metrics.insert(0, Metric::mean("M-Avg", &tasks));
        metrics
    }
}

/// What stands before the closing bracket (`check_ans`), compared as it is: `B`, `B) blue`; `B. blue` is no letter.
fn option(said: &str) -> &str {
    said.split(')').next().unwrap_or_default()
}

/// The id of the test set; the development set has none, and its questions are known by their video's name and words.
fn key(row: &Value, video: &str, question: &str) -> String {
    match row.get("question_id") {
        Some(_) => text(row, "question_id"),
        None => format!("{}>>>{question}", video.rsplit('/').next().unwrap_or(video)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::Path;

    #[test]
    fn annotations_predictions_and_scores() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rows: Value| std::fs::write(folder.path().join(name), rows.to_string()).unwrap();
        let row = |video: &str, kind: &str, answer: &str| {
            json!({"video": video, "duration": 480.0, "question": "What?", "candidates": ["red", "blue"], "answer": answer,
                "question_type": kind})
        };
        write("1_plotQA.json", json!([row("a.mp4", "plotQA", "blue"), row("b.mp4", "plotQA", "red")]));
        write("4_count.json", json!([row("c.mp4", "count", "red")]));
        write(
            "9_summary.json",
            json!([{"video": "d.mp4", "question": "Tell.", "answer": "so", "question_type": "summary"}]),
        );
        let items = Mlvu.items(&Source::read(folder.path()).unwrap()).unwrap();
        assert_eq!(items.len(), 3, "tasks of free text are not asked");
        assert_eq!(items[0].query, "What?\nOptions:\n(A) red\n(B) blue");
        let said = [(0, "(B) blue"), (1, "B"), (2, "A. red")];
        let predictions: Predictions = said
            .map(|(n, answer)| (items[n].key.clone(), Prediction { answer: answer.to_owned(), windows: vec![] }))
            .into();
        let written = Mlvu.write(&items, &predictions);
        let read = Mlvu.read(&items, &Source::new(Path::new("p.json"), written)).unwrap();
        let metrics = Mlvu.score(&items, &read);
        let of = |name: &str| metrics.iter().find(|metric| metric.name == name).and_then(|metric| metric.value);
        assert_eq!((of("question_type: plotQA"), of("question_type: count")), (Some(50.0), Some(100.0)));
        assert_eq!(of("M-Avg"), Some(75.0));
        assert!((of("accuracy").unwrap() - 200.0 / 3.0).abs() < 1e-9);
        // The benchmark's own rule, on what other programs wrote.
        let raw = json!([
            {"question": "What?", "video": "/data/a.mp4", "pred": "B) blue"},
            {"question": "What?", "video": "b.mp4", "pred": "(A) red"},
        ]);
        let read = Mlvu.read(&items, &Source::new(Path::new("p.json"), raw.to_string())).unwrap();
        assert_eq!(Mlvu.score(&items, &read)[1].value, Some(50.0), "an opening bracket is part of the answer");
    }
}
