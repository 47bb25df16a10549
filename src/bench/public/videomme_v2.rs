//! Video-MME-v2 (2026): 800 videos with four linked questions each, eight options. Annotations: the released table, exported
//! as JSON lines. Predictions: the table with a `prediction` column, tab-separated. Scores:
//! `evaluation/test_video_mme_v2.py`.

use super::choice::letter;
use super::source::{options, tab_cell, text};
use super::{Benchmark, Item, Metric, Prediction, Predictions, PublicError, Source, Task};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PREFIXES: [&str; 11] = [
    "Final Answer:",
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option is",
    "The correct option is",
    "Best answer:",
    "Best option:",
    "Answer:",
    "Option:",
];
/// Questions of a group, which stand together in the table.
const GROUP: usize = 4;

pub(super) struct VideoMmeV2;

impl Benchmark for VideoMmeV2 {
    fn name(&self) -> &'static str {
        "videomme-v2"
    }

    fn task(&self) -> Task {
        Task::Choose
    }

    /// The authors' prompt without subtitles and without reasoning.
    fn wording(&self) -> &'static str {
        "Question: {}\nSelect the best answer to the following multiple-choice question based on the video. Respond with only \
            the letter (A, B, C, D, E, F, G, or H) of the correct option."
    }

    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError> {
        let item = |(number, row): (usize, Value)| {
            let options = options(&row["options"]);
            let video = text(&row, "video_id");
            if options.is_empty() || video.is_empty() || row["question"].is_null() {
                return Err(source.wrong(self.name(), format!("row {}: no video_id, question or options", number + 1)));
            }
            let query = format!("{}\n{}", text(&row, "question"), options.join("\n"));
            let answer = row["answer"].as_str().map(str::to_owned);
            Ok(Item { key: number.to_string(), video, query, spans: Vec::new(), answer, row })
        };
        source.rows(self.name())?.into_iter().enumerate().map(item).collect()
    }

    fn write(&self, items: &[Item], predictions: &Predictions) -> String {
        let fields: Vec<&String> =
            items.first().and_then(|item| item.row.as_object()).into_iter().flat_map(serde_json::Map::keys).collect();
        let line = |cells: Vec<String>| cells.iter().map(|cell| tab_cell(cell)).collect::<Vec<_>>().join("\t") + "\n";
        let more = ["index", "video", "prediction"].map(str::to_owned);
        let mut table = line(fields.iter().map(|&field| field.clone()).chain(more).collect());
        for item in items {
            let said = predictions.get(&item.key).map_or_else(String::new, |prediction| prediction.answer.clone());
            let cells = fields.iter().map(|field| text(&item.row, field));
            table.push_str(&line(cells.chain([item.key.clone(), item.video.clone(), said]).collect()));
        }
        table
    }

    fn read(&self, _items: &[Item], source: &Source) -> Result<Predictions, PublicError> {
        let rows = source.rows(self.name())?;
        let entry = |row: Value| {
            let (Some(_), Some(answer)) = (row.get("index"), row["prediction"].as_str()) else {
                return Err(source.wrong(self.name(), "a row without index or prediction"));
            };
            Ok((text(&row, "index"), Prediction { answer: answer.to_owned(), windows: Vec::new() }))
        };
        let all = rows.into_iter().map(entry).collect::<Result<Predictions, _>>()?;
        Ok(all.into_iter().filter(|(_, prediction)| !prediction.answer.is_empty()).collect())
    }

    /// Groups of which nothing was answered are left out. The scorer, made for whole runs, counts a question without an answer
    /// as -1, which within a group happens here too (see [`points`]), and gives a chain of four such questions full marks.
    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric> {
        let judged: Vec<i32> = items.iter().map(|item| judge(item, predictions)).collect();
        let valid: Vec<f64> = judged.iter().filter(|&&score| score >= 0).map(|&score| f64::from(score)).collect();
        let mut metrics = vec![Metric::mean("accuracy", &valid)];
        let mut groups: BTreeMap<(usize, String), Vec<f64>> = BTreeMap::new();
        for (items, scores) in items.chunks(GROUP).zip(judged.chunks(GROUP)) {
            let Some(last) = items.last().filter(|_| items.iter().any(|item| predictions.contains_key(&item.key)))
            else {
                continue;
            };
            let field = |name: &str| text(&last.row, name);
            let Some(points) = points(scores, &field("group_type"), &field("group_structure")) else { continue };
            let mut add = |order: usize, name: String| groups.entry((order, name)).or_default().push(points / 100.0);
            add(0, "group score".to_owned());
            add(1, field("group_type"));
            let level = field("level");
            if !level.is_empty() && level != "None" {
                add(2, format!("level {level}"));
            }
            for (order, head) in [(3, "second_head"), (4, "third_head")] {
                let head = field(head);
                if !head.is_empty() && head != "None" {
                    add(order, head);
                }
            }
        }
        metrics.extend(groups.iter().map(|((_, name), points)| Metric::mean(name.clone(), points)));
        metrics
    }
}

/// 1 right, 0 wrong, -1 without a letter.
fn judge(item: &Item, predictions: &Predictions) -> i32 {
    let said = predictions.get(&item.key).map_or("", |prediction| prediction.answer.as_str());
    match letter(said, &PREFIXES, &('A'..='H')) {
        None => -1,
        Some(found) => i32::from(item.answer.as_deref() == Some(found.encode_utf8(&mut [0; 4]))),
    }
}

/// Points of a group, 0 to 100 (`cal_relevance`, `cal_logic`). The -1 of a question without a letter takes one right answer
/// away from a group of related questions, and holds a chain of logic together as if it were right: Python calls it true.
/// `None` for a kind of group that the scorer does not know.
fn points(scores: &[i32], kind: &str, structure: &str) -> Option<f64> {
    let squares = [0.0, 100.0 / 16.0, 25.0, 900.0 / 16.0, 100.0];
    let of = |table: [f64; 5], number: i32| {
        usize::try_from(number).ok().and_then(|at| table.get(at).copied()).unwrap_or(0.0)
    };
    match kind {
        "relevance" => Some(of(squares, scores.iter().sum())),
        "logic" => {
            let mut right = scores.iter().take_while(|&&score| score != 0).count() as i32;
            let is_true = |at: usize| scores.get(at).is_some_and(|&score| score != 0);
            let structure: Value = serde_json::from_str(structure).ok()?;
            let table = if structure == json!([1, 2, 3, 4]) {
                squares
            } else if structure == json!([1, [2, 3], 4]) {
                right += i32::from(right == 1 && is_true(2));
                [0.0, 100.0 / 12.0, 400.0 / 12.0, 700.0 / 12.0, 100.0]
            } else if structure == json!([[1, 2], 3, 4]) {
                right += i32::from(right == 0 && is_true(1));
                [0.0, 10.0, 20.0, 50.0, 100.0]
            } else {
                return None;
            };
            Some(of(table, right))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::Path;

    #[test]
    fn groups_score_as_in_the_authors_program() {
        let close = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-9, "{a:?} {b}");
        for (scores, expected) in [
            ([0, 0, 0, 0], 0.0),
            ([1, 0, 0, 0], 6.25),
            ([1, 1, 0, 0], 25.0),
            ([1, 1, 1, 0], 56.25),
            ([1, 1, 1, 1], 100.0),
        ] {
            close(points(&scores, "relevance", ""), expected);
        }
        // No letter: one right answer less.
        close(points(&[1, 1, -1, 0], "relevance", ""), 6.25);
        close(points(&[-1, -1, -1, -1], "relevance", ""), 0.0);
        close(points(&[1, 1, 0, 1], "logic", "[1, 2, 3, 4]"), 25.0);
        close(points(&[1, 0, 1, 1], "logic", "[1, [2, 3], 4]"), 400.0 / 12.0);
        close(points(&[0, 1, 1, 1], "logic", "[[1, 2], 3, 4]"), 10.0);
        // No letter: the chain goes on.
        close(points(&[1, -1, 1, 0], "logic", "[1, 2, 3, 4]"), 56.25);
        assert_eq!(points(&[1, 1, 1, 1], "logic", "[1]"), None);
    }

    #[test]
    fn annotations_predictions_and_scores() {
        let row = |question: usize| {
            json!({
                "video_id": "001", "question": format!("Q{question}"), "answer": "H", "level": "1", "group_type": "logic",
                "group_structure": "[1, 2, 3, 4]", "second_head": "Order", "third_head": "None",
                "options": "A. a\nB. b\nC. c\nD. d\nE. e\nF. f\nG. g\nH. \"h\"",
            })
        };
        let lines: String = (0..8).map(|question| format!("{}\n", row(question))).collect();
        let items = VideoMmeV2.items(&Source::new(Path::new("test.jsonl"), lines)).unwrap();
        let said = ["H", "Final Answer: H", "Answer: H", "B"];
        let predictions: Predictions = said
            .iter()
            .enumerate()
            .map(|(n, answer)| (n.to_string(), Prediction { answer: (*answer).to_owned(), windows: vec![] }))
            .collect();
        let written = VideoMmeV2.write(&items, &predictions);
        let read = VideoMmeV2.read(&items, &Source::new(Path::new("p.tsv"), written)).unwrap();
        assert_eq!(read, predictions);
        let metrics = VideoMmeV2.score(&items, &read);
        let named: Vec<(&str, Option<f64>, usize)> =
            metrics.iter().map(|metric| (metric.name.as_str(), metric.value, metric.of)).collect();
        let points = Some(56.25);
        assert_eq!(
            named,
            [
                ("accuracy", Some(75.0), 4),
                ("group score", points, 1),
                ("logic", points, 1),
                ("level 1", points, 1),
                ("Order", points, 1)
            ]
        );
    }
}
