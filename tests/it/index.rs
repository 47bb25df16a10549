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
    let entries = lines(&index(&store, &["--list"]))[0]["entries"].as_array().unwrap().clone();
    assert_eq!(entries.iter().filter(|entry| entry["kv"] == "f32").count(), 3);
    // The others are what closer looks saw, without keys and values.
    assert!(
        entries.iter().filter(|entry| entry["kv"].is_null()).all(|entry| entry["bytes"].as_u64().unwrap() < 4 << 20)
    );
}

#[test]
fn a_question_for_a_time_is_answered_part_by_part_from_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let (video, store, pipeline) =
        (film(folder.path(), 23), folder.path().join("index"), folder.path().join("parts.toml"));
    std::fs::write(&pipeline, "[evidence]\npart = 6.0\n").unwrap();
    let with = ["--pipeline", pipeline.to_str().unwrap()];
    let when = |more: &[&str]| {
        let (video, store) = (video.to_str().unwrap(), store.to_str().unwrap());
        let fixed = ["ask", video, "When does the sign appear?", "Is there a sign?", "--json", "--index-dir", store];
        lines(&longsight(&[&fixed, &with[..], more].concat()))
    };
    let before = when(&["--no-index"]);
    let report = lines(&index(&store, &[&[video.to_str().unwrap()], &with[..]].concat()));
    assert_eq!(report[0]["indexed"][0]["readings"], 5, "the whole, and 6, 6, 6 and 2 seconds");
    for _ in 0..2 {
        let after = when(&[]);
        assert!(after.iter().all(|answer| answer["index"].is_string()));
        assert_eq!(substance(&before), substance(&after));
    }
    // The second time, nothing was looked at that was not kept.
    let entries = || lines(&index(&store, &["--list"]))[0]["entries"].as_array().unwrap().len();
    let kept = entries();
    when(&[]);
    assert_eq!(entries(), kept);
    assert_eq!(index(&store, &["--verify"]).code, Some(0));
}

#[test]
fn what_the_parts_say_is_kept_and_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (video, store, pipeline) =
        (film(folder.path(), 25), folder.path().join("index"), folder.path().join("parts.toml"));
    std::fs::write(&pipeline, "[evidence]\npart = 6.0\n").unwrap();
    let (video, with) = (video.to_str().unwrap(), ["--pipeline", pipeline.to_str().unwrap()]);
    let claims = |more: &[&str]| {
        // Some that nothing supports, which are asked of the parts.
        let questions = ["What does the sign say?", "What colour is the star?", "What shape is the red object?"];
        let fixed = ["--json", "--index-dir", store.to_str().unwrap()];
        lines(&longsight(&[&["ask", video], &questions[..], &fixed, &with, more].concat()))
    };
    let before = claims(&["--no-index"]);
    index(&store, &[&[video], &with[..]].concat());
    let mut kept = crate::support::files(&store);
    kept.retain(|path| path.ends_with("parts.safetensors"));
    let [kept] = &kept[..] else { panic!("of the whole alone: {kept:?}") };
    for _ in 0..2 {
        let after = claims(&[]);
        assert!(after.iter().all(|answer| answer["index"].is_string()));
        assert_eq!(substance(&before), substance(&after));
    }
    let mut bytes = std::fs::read(kept).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(kept, bytes).unwrap();
    assert_eq!(substance(&before), substance(&claims(&[])), "what is damaged is not used");
    assert_eq!(index(&store, &["--verify"]).code, Some(3));
}

#[test]
fn quantised_entries_are_smaller_and_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (video, store) = (film(folder.path(), 24), folder.path().join("index"));
    let bytes = |format: &str| {
        lines(&index(&store, &[video.to_str().unwrap(), "--kv", format]));
        let entries = lines(&index(&store, &["--list"]))[0]["entries"].as_array().unwrap().clone();
        entries.iter().find(|entry| entry["kv"] == format).unwrap()["bytes"].as_u64().unwrap()
    };
    let eight = bytes("int8");
    assert!(ask(&video, &store, &[])[0]["index"].is_null(), "full precision does not take eight bits");
    let (four, full) = (bytes("int4"), bytes("f32"));
    assert!(four * 4 < eight * 3 && eight * 2 < full, "{four} {eight} {full}");
    let named: Vec<Value> =
        ["f32", "int8", "int4"].map(|format| ask(&video, &store, &["--kv", format])[0]["index"].clone()).into();
    assert!(named.iter().all(Value::is_string) && named[0] != named[1] && named[1] != named[2]);
    let answer = &ask(&video, &store, &["--kv", "int8"])[0];
    assert_eq!(answer["plan"]["prefill"]["kv"], "int8");
    assert_eq!(answer["answer"], ask(&video, &store, &["--no-index"])[0]["answer"]);
}

#[test]
fn a_seed_that_nothing_draws_by_makes_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let (video, store) = (film(folder.path(), 25), folder.path().join("index"));
    lines(&index(&store, &[video.to_str().unwrap()]));
    assert!(ask(&video, &store, &["--seed", "7"])[0]["index"].is_string());
    let random = ["--compress", "random", "--keep", "0.5"];
    lines(&index(&store, &[&[video.to_str().unwrap()], &random[..]].concat()));
    assert!(ask(&video, &store, &[&random[..], &["--seed", "0"]].concat())[0]["index"].is_string());
    assert!(ask(&video, &store, &[&random[..], &["--seed", "7"]].concat())[0]["index"].is_null());
}

#[test]
fn what_is_found_again_is_not_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    let (videos, store) = (folder.path().join("videos"), folder.path().join("index"));
    std::fs::create_dir(&videos).unwrap();
    let films: Vec<PathBuf> = (26..28).map(|seed| film(&videos, seed)).collect();
    lines(&index(&store, &films.iter().map(|film| film.to_str().unwrap()).collect::<Vec<_>>()));
    let find = || {
        let (videos, store) = (videos.to_str().unwrap(), store.to_str().unwrap());
        lines(&longsight(&["find", videos, "a sign", "--json", "--min-score", "0", "--index-dir", store]))
    };
    let entries = || lines(&index(&store, &["--list"]))[0]["entries"].as_array().unwrap().len();
    let first = find();
    assert_eq!(first.len(), 2);
    let kept = entries();
    let second = find();
    for (first, second) in first.iter().zip(&second) {
        assert!(second["index"].is_string());
        assert_eq!(
            (&second["timing_s"]["decode"], &second["timing_s"]["vision"]),
            (&Value::from(0.0), &Value::from(0.0))
        );
        assert_eq!(first["moments"], second["moments"]);
    }
    assert_eq!(entries(), kept, "nothing was seen that was not kept");
}

/// `batch`: the answers, by video and question, and the folder they are in.
fn batch(videos: &Path, out: &Path, store: &Path, more: &[&str]) -> Vec<Value> {
    let questions = out.with_extension("txt");
    std::fs::write(&questions, QUESTIONS.join("\n")).unwrap();
    let [videos, out, store] = [videos, out, store].map(|path| path.to_str().unwrap());
    let questions = questions.to_str().unwrap();
    let fixed = ["batch", videos, "--questions", questions, "--out", out, "--settle", "0", "--index-dir", store];
    let outcome = longsight(&[&fixed, more].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let text = std::fs::read_to_string(Path::new(out).join("answers.jsonl")).unwrap();
    let mut answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    answers.sort_by_key(|answer| format!("{} {}", answer["video"]["path"], answer["question"]));
    answers
}

#[test]
fn a_batch_uses_the_index_and_fills_it_when_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let (videos, store) = (folder.path().join("videos"), folder.path().join("index"));
    std::fs::create_dir(&videos).unwrap();
    for seed in 28..30 {
        film(&videos, seed);
    }
    let plain = batch(&videos, &folder.path().join("plain"), &store, &[]);
    assert!(plain.len() == 4 && plain.iter().all(|answer| answer["index"].is_null()));
    assert!(!store.exists(), "nobody asked for it");
    let filled = batch(&videos, &folder.path().join("filled"), &store, &["--fill-index"]);
    let used = batch(&videos, &folder.path().join("used"), &store, &[]);
    for answers in [&filled, &used] {
        assert!(answers.iter().all(|answer| answer["index"].is_string()));
        assert!(answers.iter().all(|answer| answer["timing_s"]["decode"] == 0.0));
        assert_eq!(substance(answers), substance(&plain));
    }
    let without = batch(&videos, &folder.path().join("without"), &store, &["--no-index"]);
    assert!(without.iter().all(|answer| answer["index"].is_null()));
}

#[test]
fn a_damaged_entry_of_any_format_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (video, store) = (film(folder.path(), 42), folder.path().join("index"));
    for format in ["f32", "int8", "int4"] {
        let add = || lines(&index(&store, &[video.to_str().unwrap(), "--kv", format]))[0]["indexed"][0].clone();
        let key = add()["key"].as_str().unwrap().to_owned();
        for name in ["kv.safetensors", "slices.safetensors", "tokens.safetensors"] {
            let file = store.join(&key).join(name);
            let whole = std::fs::read(&file).unwrap();
            // A wrong bit, half a file, none.
            let mut wrong = whole.clone();
            wrong[whole.len() / 2] ^= 1;
            for damage in [Some(&wrong[..]), Some(&whole[..whole.len() / 2]), None] {
                match damage {
                    Some(bytes) => std::fs::write(&file, bytes).unwrap(),
                    None => std::fs::remove_file(&file).unwrap(),
                }
                assert_eq!(index(&store, &["--verify"]).code, Some(3), "{format} {name}");
                let answers = ask(&video, &store, &["--kv", format]);
                assert!(name == "slices.safetensors" || answers[0]["index"].is_null());
                assert_eq!(add()["known"], false, "{format} {name}");
                assert_eq!(std::fs::read(&file).unwrap().len(), whole.len());
                assert_eq!(add()["known"], true);
            }
        }
    }
    assert_eq!(index(&store, &["--verify"]).code, Some(0));
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
    // The entry, and those of the answer's closer looks.
    let entries = || lines(&index(&store, &["--list"]))[0]["entries"].as_array().unwrap().len();
    let kept = entries();
    let removed = lines(&index(&store, &["--prune", "1"]));
    assert!(kept > 0 && removed[0]["removed"].as_array().unwrap().len() == kept, "{removed:?}");
    assert_eq!(entries(), 0);
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
    let left = std::fs::read_dir(&store).unwrap().flatten().filter(|entry| entry.file_name() != "known");
    assert_eq!(left.count(), 1, "nothing is left over");
}
