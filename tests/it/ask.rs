//! `ask` through the binary: the answer object, its evidence, its exit codes.

use crate::support::command::{Outcome, longsight};
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Haystack, Script, Wishes};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn script(seconds: f64) -> Script {
    Script::write(Split::HeldOut, 7, &Wishes { shortest: seconds, longest: seconds })
}

/// A clip of the generated world, and the folder that holds it.
fn clip(seconds: f64) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    encode(&script(seconds), &path, &EncodeOptions { width: 128, height: 96, ..EncodeOptions::default() }).unwrap();
    (folder, path)
}

fn ask(path: &Path, more: &[&str]) -> Outcome {
    let mut args = vec!["ask", path.to_str().unwrap()];
    args.extend(more);
    longsight(&args)
}

fn answers(outcome: &Outcome) -> Vec<Value> {
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn error(outcome: &Outcome, code: i32) -> Value {
    assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
    let last = outcome.stderr.lines().last().unwrap();
    serde_json::from_str::<Value>(last).unwrap()["error"].clone()
}

#[test]
fn an_answer_rests_on_frames_that_the_file_holds() {
    let (_folder, path) = clip(12.0);
    let frames = longsight(&["frames", path.to_str().unwrap(), "--fps", "1000", "--json"]);
    let frames: Value = serde_json::from_str(&frames.stdout).unwrap();
    let times: Vec<(i64, f64)> = frames["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| (frame["pts"].as_i64().unwrap(), frame["time_s"].as_f64().unwrap()))
        .collect();
    let things = script(12.0).sightings();
    let questions: Vec<String> =
        things.iter().map(|seen| format!("When is the {} visible?", seen.pair.name())).collect();
    let mut arguments: Vec<&str> = questions.iter().map(String::as_str).collect();
    arguments.push("--json");
    let mut spans = 0;
    for answer in answers(&ask(&path, &arguments)) {
        let coverage = &answer["coverage"];
        assert_eq!(coverage["frames_seen"], 24);
        assert_eq!(coverage["visual_tokens_after"], answer["plan"]["vision"]["tokens"]);
        assert!(answer["usage"]["prompt_tokens"].as_u64() > coverage["visual_tokens_after"].as_u64());
        for span in answer["evidence"].as_array().unwrap() {
            spans += 1;
            let (start, end) = (span["start"].as_f64().unwrap(), span["end"].as_f64().unwrap());
            assert!(
                start <= end && start >= coverage["from"].as_f64().unwrap() && end <= coverage["to"].as_f64().unwrap()
            );
            assert!(times.iter().any(|&(_, time)| time == start), "{start} is no frame's time");
            for frame in span["frames"].as_array().unwrap() {
                let frame = (frame["pts"].as_i64().unwrap(), frame["time_s"].as_f64().unwrap());
                assert!(times.contains(&frame) && frame.1 >= start && frame.1 < end, "{frame:?}");
            }
        }
    }
    assert!(spans > 0, "none of {questions:?} was answered with a time");
}

#[test]
fn several_questions_share_one_reading_and_answer_as_they_would_alone() {
    let (_folder, path) = clip(10.0);
    let questions = ["Is there a star in the video?", "What does the sign say?"];
    let together = answers(&ask(&path, &[questions[0], questions[1], "--json"]));
    assert_eq!(together.len(), 2);
    for (question, answer) in questions.iter().zip(&together) {
        let alone = answers(&ask(&path, &[question, "--json"]));
        assert_eq!(answer["question"], *question);
        assert_eq!(answer["answer"], alone[0]["answer"]);
        assert_eq!(answer["usage"], alone[0]["usage"]);
    }
}

#[test]
fn the_same_command_gives_the_same_answer() {
    let (_folder, path) = clip(10.0);
    let args = ["What happens?", "--temperature", "1.0", "--seed", "3", "--json"];
    let (one, two) = (answers(&ask(&path, &args)), answers(&ask(&path, &args)));
    assert_eq!(one[0]["answer"], two[0]["answer"]);
    assert_eq!(one[0]["plan"]["generate"]["seed"], 3);
}

#[test]
fn a_choice_comes_back_as_it_was_given() {
    let (_folder, path) = clip(10.0);
    let choices = ["--choices", "A. a red star", "B. a blue ring", "C. a green heart", "D. a white cross"];
    let answer = &answers(&ask(&path, &[&["Which of these is in the video?", "--json"], &choices[..]].concat()))[0];
    assert!(choices[1..].contains(&answer["choice"].as_str().unwrap()), "{answer}");
}

#[test]
fn flags_win_over_the_pipeline_file_and_are_echoed() {
    let (folder, path) = clip(12.0);
    let pipeline = folder.path().join("mine.toml");
    std::fs::write(&pipeline, "[decode]\nfps = 1.0\nmax_frames = 6\n").unwrap();
    let args = [
        "What is shown?",
        "--pipeline",
        pipeline.to_str().unwrap(),
        "--fps",
        "0.25",
        "--from",
        "2",
        "--to",
        "0:10",
        "--json",
    ];
    let answer = &answers(&ask(&path, &args))[0];
    assert_eq!(answer["plan"]["decode"]["fps"], 0.25);
    assert_eq!(answer["plan"]["decode"]["max_frames"], 2);
    assert_eq!((&answer["coverage"]["from"], &answer["coverage"]["to"]), (&Value::from(2.0), &Value::from(10.0)));
}

#[test]
fn a_sparse_prefill_says_what_it_left_and_answers_alike_where_it_leaves_little() {
    let (folder, path) = clip(30.0);
    let generous = folder.path().join("generous.toml");
    let pattern = "pattern = { kind = \"vertical-slash\", vertical = 5000, slash = 64, local = 512 }";
    std::fs::write(&generous, format!("[prefill]\nmode = \"sparse\"\nchunk = 256\n{pattern}\n")).unwrap();
    let question = "Is there a star in the video?";
    let dense = &answers(&ask(&path, &[question, "--prefill", "dense", "--json"]))[0];
    assert_eq!(
        (&dense["plan"]["prefill"]["mode"], &dense["plan"]["prefill"]["density"]),
        (&"dense".into(), &Value::Null)
    );
    let sparse = &answers(&ask(&path, &[question, "--pipeline", generous.to_str().unwrap(), "--json"]))[0];
    assert_eq!(sparse["answer"], dense["answer"]);
    let plan = &sparse["plan"]["prefill"];
    assert_eq!(
        (&plan["mode"], &plan["patterns"]["vertical-slash"], &plan["chunk"]),
        (&"sparse".into(), &24.into(), &256.into())
    );
    assert!((0.1..=1.3).contains(&plan["density"].as_f64().unwrap()), "{plan}");
    let mistaken = folder.path().join("mistaken.toml");
    std::fs::write(&mistaken, "[prefill]\npattern = { kind = \"gird\" }\n").unwrap();
    let refused = error(&ask(&path, &[question, "--pipeline", mistaken.to_str().unwrap(), "--json"]), 2);
    assert!(refused.to_string().contains("gird"), "{refused}");
}

#[test]
fn coverage_tells_how_densely_each_scene_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cuts.mp4");
    // Scenes of 4 to 20 s, all of them cut hard.
    let film = Haystack::write(Split::HeldOut, 3, 60.0, 0.5).script;
    encode(&film, &path, &EncodeOptions { width: 128, height: 96, ..EncodeOptions::default() }).unwrap();
    let covered = |more: &[&str]| -> (Value, Vec<(f64, f64, u64, f64)>) {
        let args = [&["What does the sign say?", "--no-check", "--no-index", "--json"], more].concat();
        let coverage = answers(&ask(&path, &args))[0]["coverage"].clone();
        let number = |scene: &Value, name: &str| scene[name].as_f64().unwrap();
        let scene = |scene: &Value| {
            let frames = scene["frames_seen"].as_u64().unwrap();
            (number(scene, "start"), number(scene, "end"), frames, number(scene, "fps"))
        };
        let scenes = coverage["scenes"].as_array().unwrap().iter().map(scene).collect();
        (coverage, scenes)
    };
    for more in [&[][..], &["--sample", "scenes", "--sample-keep", "0.3"], &["--from", "20", "--to", "50"]] {
        let (coverage, scenes) = covered(more);
        assert_eq!(scenes.iter().map(|scene| scene.2).sum::<u64>(), coverage["frames_seen"].as_u64().unwrap());
        assert_eq!(scenes[0].0, coverage["from"].as_f64().unwrap(), "{more:?}");
        assert_eq!(scenes.last().unwrap().1, coverage["to"].as_f64().unwrap(), "{more:?}");
        assert!(scenes.windows(2).all(|pair| pair[0].1 == pair[1].0), "{more:?}: {scenes:?}");
        for (start, end, frames, fps) in &scenes {
            assert!((fps - *frames as f64 / (end - start)).abs() < 1e-9, "{more:?}");
        }
        // Most cuts are found, at the first of the two frames a second behind them.
        let (from, to) = (scenes[0].0, scenes[scenes.len() - 1].1);
        let cuts: Vec<f64> =
            film.scenes.iter().map(|scene| scene.span[0]).filter(|&cut| from < cut && cut < to).collect();
        let found = |cut: &&f64| scenes.iter().any(|scene| (0.0..0.6).contains(&(scene.0 - **cut)));
        assert!(cuts.len() > 3 && 3 * cuts.iter().filter(found).count() >= 2 * cuts.len(), "{cuts:?}: {scenes:?}");
    }
    let (_, even) = covered(&[]);
    assert!(even.iter().all(|scene| (1.5..2.6).contains(&scene.3)), "{even:?}");
    let (_, chosen) = covered(&["--sample", "scenes", "--sample-keep", "0.3"]);
    assert!(chosen.iter().any(|scene| scene.3 < 1.5), "{chosen:?}");
    let plan = longsight(&["plan", path.to_str().unwrap(), "--json"]);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["coverage"]["scenes"], Value::Array(Vec::new()));
}

#[test]
fn a_coarse_look_is_told() {
    let (_folder, path) = clip(30.0);
    let answer = &answers(&ask(&path, &["What is shown?", "--max-tokens", "6", "--json"]))[0];
    assert!(answer["coverage"]["visual_tokens_after"].as_u64().unwrap() <= 6);
    assert!(answer["coverage"]["max_gap_s"].as_f64().unwrap() > 2.0);
    assert!(answer["warnings"][0].as_str().unwrap().contains("shorter events can be missed"), "{}", answer["warnings"]);
}

#[test]
fn every_failure_has_its_code_and_a_next_step() {
    let (folder, path) = clip(10.0);
    let missing = folder.path().join("missing.mp4");
    for (video, args, code, word) in [
        (&missing, &["What?", "--json"][..], 3, "input"),
        (&path, &[" ", "--json"], 2, "usage"),
        (&path, &["What?", "--json", "--pipeline", "nosuch"], 2, "usage"),
        (&path, &["What?", "--json", "--fps", "0"], 2, "usage"),
        (&path, &["What?", "--json", "--from", "20", "--to", "30"], 2, "usage"),
        (&path, &["What?", "--json", "--model", "/no/such/model"], 5, "model"),
        (&path, &["What?", "--json", "--max-tokens", "5", "--compress", "none"], 6, "does_not_fit"),
        (&path, &["What?", "--json", "--timeout", "0.001"], 124, "timed_out"),
    ] {
        let error = error(&ask(video, args), code);
        assert_eq!(error["code"], word);
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn without_evidence_the_answer_comes_with_exit_code_7_when_it_was_required() {
    let (_folder, path) = clip(10.0);
    let outcome = ask(&path, &["How many signs are there in the video?", "--require-evidence", "--json"]);
    assert_eq!(outcome.code, Some(7), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("longsight.answer/1") && outcome.stderr.contains("no_evidence"));
}

#[test]
fn a_damaged_file_is_answered_from_what_can_be_decoded() {
    let (folder, path) = clip(20.0);
    let mut bytes = std::fs::read(&path).unwrap();
    // The first half of the pictures' data stays: a file whose copy broke off, index in front or behind.
    let middle = bytes.len() / 2;
    let end = bytes.len() * 3 / 4;
    bytes[middle..end].fill(0);
    let damaged = folder.path().join("damaged.mp4");
    std::fs::write(&damaged, bytes).unwrap();
    let answer = &answers(&ask(&damaged, &["What is shown?", "--json"]))[0];
    assert!(!answer["warnings"].as_array().unwrap().is_empty());
    assert!(answer["coverage"]["frames_seen"].as_u64().unwrap() > 0);
}
