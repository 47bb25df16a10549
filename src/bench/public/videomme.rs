//! Video-MME (Fu et al. 2024): 900 videos with three questions each. Annotations: the released table, exported as JSON lines
//! (one row a question), or its authors' JSON (one object a video). Predictions: their result file, one object a video with
//! `"response"` beside each question. Scores: `evaluation/eval_your_results.py`.

use super::choice::{letter, letter_of, shares};
use super::source::{first, options, text};
use super::{Benchmark, Item, Metric, Prediction, Predictions, PublicError, Source, Task};
use serde_json::{Map, Value, json};

/// The scorer's list as Python reads it: two commas are missing, so that four of its entries are two that no answer has.
const PREFIXES: [&str; 6] = [
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    "The best option isThe correct option is",
    "Best answer:Best option:",
];

pub(super) struct VideoMme;

impl Benchmark for VideoMme {
    fn name(&self) -> &'static str {
        "videomme"
    }

    fn task(&self) -> Task {
        Task::Choose
    }

    /// The authors' prompt without subtitles (README).
    fn wording(&self) -> &'static str {
        "Select the best answer to the following multiple-choice question based on the video. Respond with only the letter \
            (A, B, C, or D) of the correct option.\n{}\nThe best answer is:"
    }

    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError> {
        let mut items = Vec::new();
        for (number, row) in source.rows(self.name())?.into_iter().enumerate() {
            match row["questions"].as_array() {
                Some(questions) => {
                    for question in questions {
                        items.push(item(&row, question));
                    }
                }
                None => items.push(item(&row, &row)),
            }
            if items.last().is_none_or(|last| last.as_ref().is_none_or(|item| item.key.is_empty())) {
                return Err(
                    source.wrong(self.name(), format!("row {}: no question_id, question or options", number + 1))
                );
            }
        }
        items.into_iter().collect::<Option<_>>().ok_or_else(|| source.wrong(self.name(), "a question without options"))
    }

    fn write(&self, items: &[Item], predictions: &Predictions) -> String {
        let mut videos: Vec<(String, Value)> = Vec::new();
        for item in items {
            let row = &item.row;
            let id = text(row, "video_id");
            if videos.last().is_none_or(|(last, _)| *last != id) {
                let field = |names: &[&str]| first(row, names).map_or(Value::Null, |name| row[name].clone());
                let video = json!({
                    "video_id": id,
                    "duration": field(&["duration", "duration_category"]),
                    "domain": field(&["domain", "video_category"]),
                    "sub_category": field(&["sub_category", "video_sub_category", "video_subcategory"]),
                    "missing": false,
                    "questions": [],
                });
                videos.push((id, video));
            }
            let question = json!({
                "question_id": item.key, "task_type": row["task_type"], "question": row["question"],
                "options": row[first(row, &["options", "choices"]).unwrap_or("options")], "answer": item.answer,
                "response": predictions.get(&item.key).map(|prediction| &prediction.answer),
            });
            if let Some((_, video)) = videos.last_mut() {
                // A video that was not there is one that the scorer passes over when it is told to.
                let missing = video["missing"].as_bool().unwrap_or(false) || question["response"].is_null();
                video["missing"] = json!(missing);
                if let Some(questions) = video["questions"].as_array_mut() {
                    questions.push(question);
                }
            }
        }
        format!("{:#}\n", Value::Array(videos.into_iter().map(|(_, video)| video).collect()))
    }

    fn read(&self, _items: &[Item], source: &Source) -> Result<Predictions, PublicError> {
        let mut predictions = Predictions::new();
        for video in source.rows(self.name())? {
            let questions = video["questions"].as_array();
            for question in questions.ok_or_else(|| source.wrong(self.name(), "a video without questions"))? {
                if let Some(response) = question["response"].as_str() {
                    let answer = response.to_owned();
                    predictions.insert(text(question, "question_id"), Prediction { answer, windows: Vec::new() });
                }
            }
        }
        Ok(predictions)
    }

    /// Answers without a letter leave the denominator, as the scorer has it.
    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric> {
        shares(items, &["duration", "duration_category", "domain", "video_category", "task_type"], |item| {
            let found = letter(&predictions.get(&item.key)?.answer, &PREFIXES, &('A'..='D'))?;
            Some(item.answer.as_deref() == Some(found.encode_utf8(&mut [0; 4])))
        })
    }
}

/// A question, and what is said of its video.
fn item(video: &Value, question: &Value) -> Option<Item> {
    let options = options(&question[first(question, &["options", "choices"])?]);
    let key = text(question, "question_id");
    let name = text(video, first(video, &["videoID", "youtube_id", "video_id"])?);
    let mut row = Map::new();
    row.extend(
        video.as_object()?.iter().filter(|(field, _)| *field != "questions").map(|(k, v)| (k.clone(), v.clone())),
    );
    row.extend(question.as_object()?.clone());
    let answer = question["answer"].as_str().map(str::trim).filter(|answer| !answer.is_empty()).map(|answer| {
        // A letter, or the option itself.
        let place = options.iter().position(|option| option == answer);
        place.and_then(letter_of).unwrap_or_else(|| answer.to_owned())
    });
    let lettered = options.iter().zip('A'..).all(|(option, letter)| option.trim_start().starts_with(letter));
    let query = match lettered {
        true => format!("{}\n{}", text(question, "question"), options.join("\n")),
        false => super::choice::lettered(&text(question, "question"), &options),
    };
    Some(Item { key, video: name, query, spans: Vec::new(), answer, row: Value::Object(row) })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::Path;

    fn rows() -> Vec<Item> {
        let row = |id: &str, video: &str, duration: &str, answer: &str| {
            json!({
                "video_id": video, "duration": duration, "domain": "Knowledge", "sub_category": "Law", "videoID": "fFjv93ACGo8",
                "question_id": id, "task_type": "OCR Problems", "question": "Which?", "answer": answer,
                "options": ["A. Black.", "B. Gray.", "C. Green.", "D. Brown."],
            })
        };
        let rows = [
            row("001-1", "001", "short", "A"),
            row("001-2", "001", "short", "B"),
            row("301-1", "301", "medium", "C"),
            row("301-2", "301", "medium", "D"),
        ];
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        VideoMme.items(&Source::new(Path::new("videomme.jsonl"), lines)).unwrap()
    }

    #[test]
    fn a_letter_is_found_as_the_scorer_finds_it_with_its_missing_commas() {
        for (answer, expected) in [
            ("A", Some('A')),
            (" The best answer is C. Green", Some('C')),
            ("The answer is (D)", Some('D')),
            ("The best option is D", Some('D')),
            // The prefix was meant to go, and its B is taken for the letter.
            ("Best answer: C", Some('B')),
            ("Answer: C", Some('A')),
            ("i think that it is the one with the green car, c", None),
            ("", None),
        ] {
            assert_eq!(letter(answer, &PREFIXES, &('A'..='D')), expected, "{answer}");
        }
    }

    #[test]
    fn annotations_predictions_and_scores() {
        let items = rows();
        assert_eq!((items[0].video.as_str(), items[3].answer.as_deref()), ("fFjv93ACGo8", Some("D")));
        assert_eq!(items[0].query, "Which?\nA. Black.\nB. Gray.\nC. Green.\nD. Brown.");
        let said = [("001-1", "A"), ("001-2", "The answer is C"), ("301-1", "no idea")];
        let predictions: Predictions = said
            .map(|(key, answer)| (key.to_owned(), Prediction { answer: answer.to_owned(), windows: vec![] }))
            .into();
        let written = VideoMme.write(&items, &predictions);
        let file: Value = serde_json::from_str(&written).unwrap();
        assert_eq!((file[0]["missing"].as_bool(), file[1]["missing"].as_bool()), (Some(false), Some(true)));
        assert_eq!(file[1]["questions"][0]["response"], "no idea");
        let read = VideoMme.read(&items, &Source::new(Path::new("p.json"), written)).unwrap();
        assert_eq!(read, predictions);
        let metrics = VideoMme.score(&items, &read);
        // "no idea" has no letter and does not count; nor does what was not answered.
        let overall = &metrics[0];
        assert_eq!((overall.value, overall.of), (Some(50.0), 2));
        assert!(metrics.iter().any(|metric| metric.name == "duration: short" && metric.of == 2));
        assert!(!metrics.iter().any(|metric| metric.name == "duration: medium"));
    }

    #[test]
    fn the_authors_json_is_read_too() {
        let text = r#"[{"video_id":"001","duration_category":"short","video_category":"Knowledge","video_sub_category":"Law",
            "url":"u","questions":[{"question_id":"001-1","task_type":"OCR Problems","question":"Which?",
            "choices":["Black.","Gray."],"answer":"B"}]}]"#;
        let items = VideoMme.items(&Source::new(Path::new("v.json"), text.to_owned())).unwrap();
        assert_eq!((items[0].query.as_str(), items[0].answer.as_deref()), ("Which?\nA. Black.\nB. Gray.", Some("B")));
    }
}
