//! `index` through the binary: a second question gives what the first would have given, and nothing is ever used for something else.

use crate::support::command::{Outcome, longsight};
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use serde_json::Value;
use std::path::{Path, PathBuf};

const QUESTIONS: [&str; 2] = ["What does the sign say?", "Is there a star in the video?"];

fn film(folder: &Path, seed: u64) -> PathBuf {
    let path = folder.join(format!("{seed}.mp4"));
    let script = Script::write(Split::HeldOut, seed, &Wishes { shortest: 20.0, longest: 20.0 });
    encode(&script, &path, &EncodeOptions { width: 128, height: 128, ..EncodeOptions::default() }).unwrap();
    path
}

fn lines(outcome: &Outcome) -> Vec<Value> {
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ask(video: &Path, index: &Path, more: &[&str]) -> Vec<Value> {
    let (video, index) = (video.to_str().unwrap(), index.to_str().unwrap());
    let fixed = ["ask", video, QUESTIONS[0], QUESTIONS[1], "--json", "--index-dir", index];
    lines(&longsight(&[&fixed, more].concat()))
}

fn index(index: &Path, more: &[&str]) -> Outcome {
    longsight(&[&["index", "--json", "--index-dir", index.to_str().unwrap()], more].concat())
}

/// What must not depend on where the reading came from.
fn substance(answers: &[Value]) -> Vec<Value> {
    let keys = ["answer", "status", "evidence", "coverage", "plan", "usage", "video"];
    answers.iter().map(|answer| keys.iter().map(|&key| answer[key].clone()).collect()).collect()
}

#[test]
fn later_questions_are_answered_from_the_index_as_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let (video, store) = (film(folder.path(), 21), folder.path().join("index"));
    for more in [&[][..], &["--compress", "salient", "--keep", "0.4"], &["--prefill", "sparse", "--from", "3"]] {
        let before = ask(&video, &store, more);
        assert!(before.iter().all(|answer| answer["index"].is_null()));
        let report = lines(&index(&store, &[&[video.to_str().unwrap()], more].concat()));
        assert_eq!(report[0]["indexed"][0]["known"], false);
        let after = ask(&video, &store, more);
        assert!(after.iter().all(|answer| answer["index"] == report[0]["indexed"][0]["key"]));
        let same = |answers: &[Value]| {
            let mut substance = substance(answers);
            // How much of the prompt was run is what differs.
            substance.iter_mut().for_each(|one| one[4]["prefill"]["density"] = Value::Null);
            substance
        };
        assert_eq!(same(&before), same(&after), "{more:?}");
        assert!(after.iter().all(|answer| answer["timing_s"]["decode"] == 0.0));
        assert!(ask(&video, &store, &[more, &["--no-index"]].concat())[0]["index"].is_null());
        assert_eq!(lines(&index(&store, &[&[video.to_str().unwrap()], more].concat()))[0]["indexed"][0]["known"], true);
    }
    assert_eq!(lines(&index(&store, &["--list"]))[0]["entries"].as_array().unwrap().len(), 3);
}

#[test]
fn nothing_is_used_for_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two, store) = (film(folder.path(), 31), film(folder.path(), 32), folder.path().join("index"));
    lines(&index(&store, &[one.to_str().unwrap()]));
    let named = |path: &Path, more: &[&str]| ask(path, &store, more)[0]["index"].clone();
    assert!(named(&one, &[]).is_string());
    // Of the same shape and asked the same.
    assert!(named(&two, &[]).is_null());
    for more in [["--fps", "1"], ["--to", "12"], ["--dtype", "bf16"], ["--prefill", "sparse"], ["--compress", "evs"]] {
        assert!(named(&one, &more).is_null(), "{more:?}");
    }
    // A copy is the same video; a changed file at the same place is not.
    let copy = folder.path().join("copy.mp4");
    std::fs::copy(&one, &copy).unwrap();
    assert!(named(&copy, &[]).is_string());
    std::fs::copy(&two, &one).unwrap();
    assert!(named(&one, &[]).is_null());
    // What depends on the question is not kept.
    assert_eq!(index(&store, &[two.to_str().unwrap(), "--sample", "relevant"]).code, Some(2));
}

#[test]
fn a_damaged_entry_is_told_and_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (video, store) = (film(folder.path(), 41), folder.path().join("index"));
    let key = lines(&index(&store, &[video.to_str().unwrap()]))[0]["indexed"][0]["key"].as_str().unwrap().to_owned();
    assert_eq!(index(&store, &["--verify"]).code, Some(0));
    let file = store.join(&key).join("kv.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let report = index(&store, &["--verify"]);
    assert_eq!(report.code, Some(3));
    assert!(report.stdout.contains(&key) && report.stdout.contains("kv.safetensors"), "{}", report.stdout);
    assert!(ask(&video, &store, &[])[0]["index"].is_null());
    let removed = lines(&index(&store, &["--prune", "1"]));
    assert_eq!(removed[0]["removed"].as_array().unwrap().len(), 1);
    assert_eq!(lines(&index(&store, &["--list"]))[0]["entries"].as_array().unwrap().len(), 0);
}

#[test]
fn writers_at_the_same_time_leave_one_whole_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (video, store) = (film(folder.path(), 51), folder.path().join("index"));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| lines(&index(&store, &[video.to_str().unwrap()])));
        }
    });
    assert_eq!(lines(&index(&store, &["--list"]))[0]["entries"].as_array().unwrap().len(), 1);
    assert_eq!(index(&store, &["--verify"]).code, Some(0));
    assert_eq!(std::fs::read_dir(&store).unwrap().count(), 1, "nothing is left over");
}
