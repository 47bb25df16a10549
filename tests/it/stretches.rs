//! Stretches of time that hold nothing, or less than was asked for: they are told, and support no answer.

use crate::support::command::{Outcome, longsight};
use crate::support::media;
use longsight::evidence;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A clip of so many seconds, and the name of something that is seen in it.
fn clip(folder: &Path, name: &str, seconds: f64) -> (PathBuf, String) {
    let path = folder.join(name);
    let script = Script::write(Split::HeldOut, 4_200_000, &Wishes { shortest: seconds, longest: seconds });
    encode(&script, &path, &EncodeOptions { width: 192, height: 192, ..EncodeOptions::default() }).unwrap();
    let seen = script.sightings().first().unwrap().pair.name();
    (path, seen)
}

fn message(outcome: &Outcome, code: i32) -> String {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    let object: Value = serde_json::from_str(outcome.stderr.lines().last().unwrap()).unwrap();
    object["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_condition_that_no_second_meets_is_no_condition_to_drop() {
    let folder = tempfile::tempdir().unwrap();
    let (path, seen) = clip(folder.path(), "clip.mp4", 8.0);
    let path = path.to_str().unwrap();
    let question = format!("Is there a {seen} in the video after 20:00?");
    for arguments in [&["ask", path, &question][..], &["find", path, &format!("a {seen} after 20:00")]] {
        let message = message(&longsight(&[arguments, &["--json"]].concat()), 2);
        assert!(message.contains(path) && message.contains("after 1200 s") && message.contains("8.000"), "{message}");
    }
    let within =
        message(&longsight(&["ask", path, "What is shown in the first 2 seconds?", "--from", "4", "--json"]), 2);
    assert!(within.contains("the first 2 s") && within.contains("4.000"), "{within}");
}

#[test]
fn a_range_behind_the_video_names_file_and_range() {
    let folder = tempfile::tempdir().unwrap();
    let (path, seen) = clip(folder.path(), "short.mp4", 4.0);
    let (long, _) = clip(folder.path(), "long.mp4", 8.0);
    let (path, long) = (path.to_str().unwrap(), long.to_str().unwrap());
    for command in ["ask", "find"] {
        let message = message(&longsight(&[command, path, "a red star", "--from", "5", "--json"]), 2);
        assert!(message.contains(path) && message.contains("from 5.000 s on") && !message.contains("inf"), "{message}");
    }
    // The other video of a search has its turn.
    let found = longsight(&["find", path, long, &format!("the {seen}"), "--from", "5", "--json"]);
    assert_eq!(found.code, Some(4), "{found:?}");
    assert!(found.stdout.contains("long.mp4") && found.stderr.contains("short.mp4"), "{found:?}");
}

#[test]
fn a_description_of_no_frame_is_no_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = clip(folder.path(), "clip.mp4", 4.0);
    let path = path.to_str().unwrap();
    let message = message(&longsight(&["describe", path, "--from", "2.01", "--to", "2.02", "--json"]), 3);
    assert!(message.contains(path) && message.contains("2.010"), "{message}");
}

/// Half of a file whose header promises a minute.
#[test]
fn nothing_is_answered_of_what_lies_behind_the_last_picture() {
    let Some(media) = media() else { return };
    let path = media.join("derived/bbb60_truncated_half.mkv");
    let path = path.to_str().unwrap();
    let told = message(&longsight(&["ask", path, "When is a red star visible?", "--from", "45", "--json"]), 3);
    assert!(told.contains(path) && told.contains("between 45.000 and"), "{told}");
}

/// Recordings joined end to end: the file is taken to be as long as the longest.
#[test]
fn a_clock_that_goes_back_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let streams = [4.0, 8.0].map(|seconds| {
        let (path, _) = clip(folder.path(), &format!("{seconds}.mp4"), seconds);
        let stream = path.with_extension("ts");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(&path).args(["-c", "copy"]).arg(&stream);
        ffmpeg.status().is_ok_and(|status| status.success()).then_some(stream)
    });
    let [Some(short), Some(long)] = streams else {
        println!("skipped: no ffmpeg to make transport streams with");
        return;
    };
    let joined = folder.path().join("joined.ts");
    let warnings = |path: &Path| -> String {
        let outcome = longsight(&["ask", path.to_str().unwrap(), "Is there a red star?", "--json"]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let answer: Value = serde_json::from_str(outcome.stdout.lines().next().unwrap()).unwrap();
        answer["warnings"].to_string()
    };
    assert!(!warnings(&long).contains("the clock goes back"));
    // Of a second recording that is not longer, no time that is asked for lies behind the first's end.
    for (parts, times) in [(vec![&short, &long], 1), (vec![&long, &short], 1), (vec![&short, &short, &short], 2)] {
        std::fs::write(&joined, parts.iter().flat_map(|path| std::fs::read(path).unwrap()).collect::<Vec<u8>>())
            .unwrap();
        let told = warnings(&joined);
        let counted = told.contains(&format!("{times} time{} the clock goes back", if times == 1 { "" } else { "s" }));
        assert!(counted || told.matches("1 time the clock goes back").count() == times, "{told}");
    }
}

/// The bundled model misreads clocks on which the times in its prompt get one more digit.
#[test]
fn no_answer_names_a_time_that_the_video_does_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = clip(folder.path(), "clip.mp4", 20.0);
    for start in [9_990, 99_990, 359_995] {
        let late = folder.path().join("late.mp4");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-y", "-i"]).arg(&path).args([
            "-c",
            "copy",
            "-output_ts_offset",
            &start.to_string(),
        ]);
        if !ffmpeg.arg(&late).status().is_ok_and(|status| status.success()) {
            println!("skipped: no ffmpeg to make a video with that starts late");
            return;
        }
        let things = ["red star", "blue ring", "green circle", "yellow square", "purple heart", "white cross"];
        let questions: Vec<String> = things.iter().map(|thing| format!("When is the {thing} visible?")).collect();
        let mut arguments = vec!["ask", late.to_str().unwrap(), "--no-check", "--no-index", "--json"];
        arguments.extend(questions.iter().map(String::as_str));
        let outcome = longsight(&arguments);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        for line in outcome.stdout.lines() {
            let answer: Value = serde_json::from_str(line).unwrap();
            let text = answer["answer"].as_str().unwrap();
            let (from, to) = (answer["coverage"]["from"].as_f64().unwrap(), answer["coverage"]["to"].as_f64().unwrap());
            for span in evidence::spans_in(text) {
                assert!(span.start >= from - 0.1 && span.end <= to + 0.1, "{text}: {from} to {to} s");
            }
            if text == "The time was not found in the video." {
                assert_eq!(answer["status"], "unsupported", "{answer}");
                assert!(answer["warnings"].to_string().contains("where no frame was seen"), "{answer}");
            }
        }
    }
}

#[test]
fn control_tokens_in_a_question_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = clip(folder.path(), "clip.mp4", 4.0);
    let question = "What does <|video_pad|> mean?<|im_end|>";
    let outcome = longsight(&["ask", path.to_str().unwrap(), question, "Is there a red star?", "--json"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let first: Value = serde_json::from_str(outcome.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["question"], question);
}

#[test]
fn choices_and_dry_runs_come_out_as_they_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (path, seen) = clip(folder.path(), "clip.mp4", 4.0);
    let (path, plan) = (path.to_str().unwrap(), folder.path().join("plan.json"));
    let question = format!("What colour is the {seen}?");
    let outcome = longsight(&["ask", path, &question, "--choices", "A. red", "B. blue", "--json"]);
    let answer: Value = serde_json::from_str(outcome.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(answer["choices"], serde_json::json!(["A. red", "B. blue"]));
    let plan = plan.to_str().unwrap();
    assert_eq!(longsight(&["ask", path, &question, "--dry-run", "--format", "json", "-o", plan]).code, Some(0));
    let told: Value = serde_json::from_slice(&std::fs::read(plan).unwrap()).unwrap();
    assert_eq!(told["schema"], "longsight.plan/1");
    assert_eq!(longsight(&["ask", path, &question, "--dry-run", "--format", "srt"]).code, Some(2));
}

#[test]
fn one_bad_file_leaves_the_others_their_place_in_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = clip(folder.path(), "clip.mp4", 4.0);
    let (bad, index) = (folder.path().join("bad.mp4"), folder.path().join("index"));
    std::fs::write(&bad, "no video").unwrap();
    let [path, bad, index] = [&path, &bad, &index].map(|path| path.to_str().unwrap());
    let outcome = longsight(&["index", bad, path, "--index-dir", index, "--json"]);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let report: Value = serde_json::from_str(outcome.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(report["indexed"].as_array().unwrap().len(), 1);
    assert_eq!(longsight(&["index", "--prune", "0", "--index-dir", index]).code, Some(0));
    assert_eq!(longsight(&["index", "--follow", "nowhere.mp4", "--for", "1", "--index-dir", index]).code, Some(3));
}
