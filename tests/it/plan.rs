//! `plan` and `--dry-run` through the binary: what is said before is what happens, and what does not fit is said before it is tried.

use crate::support::command::{Outcome, longsight};
use longsight::decode::{Feed, Limits, VideoFacts};
use longsight::recipe::{self, Options};
use longsight::run::{Forecast, Outline, Prospect, Question, Rates, forecast};
use longsight_models::LoadOptions;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use longsight_world::words::Pair;
use serde_json::Value;
use std::path::PathBuf;

/// A clip of the generated world, and the folder that holds it.
fn clip(seconds: f64) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    encode(&script(seconds), &path, &EncodeOptions { width: 160, height: 120, ..EncodeOptions::default() }).unwrap();
    (folder, path)
}

fn script(seconds: f64) -> Script {
    Script::write(Split::HeldOut, 11, &Wishes { shortest: seconds, longest: seconds })
}

fn json(outcome: &Outcome) -> Value {
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn devices_that_are_not_there_are_usage_errors() {
    let (_folder, path) = clip(2.0);
    let path = path.to_str().unwrap();
    let plan = |device: &str, more: &[&str]| longsight(&[&["plan", path, QUESTION, "--device", device], more].concat());
    for (device, more, says) in [
        ("cuda", &[][..], if cfg!(feature = "cuda") { "cuda:0" } else { "this build runs on the CPU only" }),
        ("cuda:7", &[], "cuda:7"),
        ("cuda", &["--dtype", "q8_0"], "q8_0 is for the CPU"),
        ("gpu", &[], "expected cpu, cuda or cuda:N"),
        ("cuda:x", &[], "named by its number"),
    ] {
        let run = plan(device, more);
        assert_eq!(run.code, Some(2), "{device}: {run:?}");
        assert!(run.stderr.contains(says), "{device}: {}", run.stderr);
    }
}

const QUESTION: &str = "What does the sign say?";

#[test]
fn a_budget_counts_the_closer_looks() {
    let (_folder, path) = clip(30.0);
    let video = Feed::open(&path, &Limits::default()).unwrap();
    let facts = VideoFacts::new(&video, &path).unwrap();
    let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/longsight-tiny");
    let outline = Outline::open("longsight-tiny", &model, &LoadOptions::default()).unwrap();
    // A machine on which the language model is slow.
    let rates = Rates {
        pixel_s: 1e-9,
        patch_s: 1e-7,
        token_s: 1e-3,
        score_s: 1e-12,
        step_s: 1e-3,
        step_key_s: 1e-9,
        loaded_bytes: 1 << 20,
        decoder_bytes: 0,
        start_s: 0.0,
        decode_s: 1e-3,
    };
    let plan = |question: &str, seconds: Option<f64>| -> Forecast {
        let mut options: Options = recipe::load(recipe::DEFAULT).unwrap();
        options.budget.seconds = seconds;
        let question = Question::from(question);
        let (facts, info, pipeline, options) = (&facts, video.info(), recipe::DEFAULT, &options);
        forecast(&outline, &Prospect { facts, info, pipeline, options, questions: &[question] }, &rates).unwrap()
    };
    for question in
        ["When is the red star visible?", QUESTION, "Is the red star first seen before or after the blue ring?"]
    {
        let free = plan(question, None);
        let (whole, check) = (free.estimated_s, free.timing_s.check);
        assert!(check > whole / 4.0, "{question}: {:?}", free.timing_s);
        let kept = plan(question, Some(whole - check / 2.0));
        assert!(kept.estimated_s <= whole - check / 2.0, "{question}: {:?}", kept.timing_s);
        assert!(kept.coverage.visual_tokens_after < free.coverage.visual_tokens_after, "{question}");
        assert_eq!(plan(question, Some(whole)).plan, free.plan, "{question}: it fits");
    }
    let other = "How does the red star move?";
    let free = plan(other, None);
    assert_eq!(free.timing_s.check, 0.0);
    assert_eq!(plan(other, Some(free.estimated_s)).plan, free.plan, "nothing is counted that will not be done");
    let (one, two) = ("When is the red star visible?", "Is the red star first seen before or after the blue ring?");
    let ratio = plan(two, None).timing_s.check / plan(one, None).timing_s.check;
    assert!((ratio - 2.0).abs() < 1e-6, "one look for each of both: {ratio}");
}

#[test]
fn a_plan_counts_closer_looks_where_there_will_be_some() {
    let (_folder, path) = clip(5.0);
    let check = |more: &[&str]| {
        let plan = json(&longsight(&[&["plan", path.to_str().unwrap(), "--json"], more].concat()));
        let timing = &plan["timing_s"];
        let stages: f64 = timing
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "total")
            .filter_map(|(_, s)| s.as_f64())
            .sum();
        assert!((stages - timing["total"].as_f64().unwrap()).abs() < 1e-9, "{plan}");
        timing["check"].as_f64().unwrap()
    };
    for looked_at in [
        QUESTION,
        "When is the red star visible?",
        "How long is the red star visible?",
        "Is there a red star in the video?",
    ] {
        assert!(check(&[looked_at]) > 0.0, "{looked_at}");
    }
    for more in [&[][..], &["How many stars are there?"], &[QUESTION, "--no-check"]] {
        assert!(check(more) == 0.0, "{more:?}");
    }
}

#[test]
fn a_plan_says_what_a_run_then_does() {
    for (seconds, more) in [
        (5.0, &[][..]),
        (21.3, &["--fps", "1"]),
        (21.3, &["--max-frames", "7"]),
        (30.0, &["--compress", "salient", "--keep", "0.3"]),
        (30.0, &["--max-tokens", "100"]),
        (30.0, &["--sample", "diverse", "--sample-keep", "0.4", "--compress", "evs", "--keep", "0.5"]),
        (30.0, &["--from", "4", "--to", "11.5", "--compress", "pooling"]),
        (40.0, &["--compress", "early-pooling", "--keep", "0.3"]),
        (30.0, &["--visual-window", "50"]),
    ] {
        let (_folder, path) = clip(seconds);
        let path = path.to_str().unwrap();
        let plan = json(&longsight(&[&["plan", path, QUESTION, "--json"], more].concat()));
        let dry = json(&longsight(&[&["ask", path, QUESTION, "--dry-run", "--json"], more].concat()));
        let answer = json(&longsight(&[&["ask", path, QUESTION, "--json"], more].concat()));
        assert_eq!(plan["schema"], "longsight.plan/1");
        assert_eq!(dry["plan"], plan["plan"]);
        for key in ["frames_seen", "visual_tokens_before", "visual_tokens_after", "from"] {
            let (planned, seen) = (&plan["coverage"][key], &answer["coverage"][key]);
            // Of a moment that is like the one before, EVS may leave no token; then its frames were not seen.
            let fewer = key == "frames_seen" && more.contains(&"evs") && seen.as_u64() < planned.as_u64();
            assert!(fewer || planned == seen, "{key}: {planned} and {seen}, {more:?}");
        }
        let prompts = (plan["prompt_tokens"].as_u64().unwrap(), answer["usage"]["prompt_tokens"].as_u64().unwrap());
        // Times are written in more digits the later they are.
        let slack = if more.contains(&"diverse") { 12 } else { 0 };
        assert!(prompts.0.abs_diff(prompts.1) <= slack, "{prompts:?}, {more:?}");
        for table in ["decode", "vision", "sample", "compress", "prompt", "generate"] {
            assert_eq!(plan["plan"][table], answer["plan"][table], "{table}, {more:?}");
        }
        let gaps = (plan["coverage"]["max_gap_s"].as_f64().unwrap(), answer["coverage"]["max_gap_s"].as_f64().unwrap());
        // Where chosen moments lie, only the run can tell.
        assert!(more.contains(&"diverse") || gaps.1 < gaps.0 * 1.5 + 0.1, "{gaps:?}, {more:?}");
        assert!(plan["memory_bytes"].as_u64() > plan["kv_bytes"].as_u64());
        assert!(plan["estimated_s"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_plan_counts_every_question_where_it_would_be_asked() {
    let (folder, path) = clip(40.0);
    let path = path.to_str().unwrap();
    let parts = folder.path().join("parts.toml");
    std::fs::write(&parts, "[evidence]\npart = 10.0\n").unwrap();
    let parts = ["--pipeline", parts.to_str().unwrap()];
    let (when, after) = ("When is the red star visible?", "What is shown after 0:21?");
    let last = "How many different objects appear in the last ten seconds?";
    for (questions, more, exactly) in [
        (&[QUESTION, when, "Is there a blue ring in the video?"][..], &[][..], true),
        (&[after], &[], true),
        (&[last, QUESTION, after], &["--from", "3", "--fps", "1.7"], true),
        (&[when, QUESTION, "When is the red star visible before 0:25?"], &parts[..], true),
        (&["When is the red star visible for the second time?"], &parts, true),
        (&[QUESTION, after], &["--sample", "uniform", "--sample-keep", "0.3"], true),
        (&["Which?", after], &["--choices", "A. a red star", "B. a blue ring"], true),
        (&["What appears right before the video ends?", "Is there a star after the red star appears?"], &[], false),
    ] {
        let arguments = [&[path][..], questions, &["--json"], more].concat();
        let plan = json(&longsight(&[&["plan"][..], &arguments].concat()));
        let dry = json(&longsight(&[&["ask"][..], &arguments, &["--dry-run"]].concat()));
        assert_eq!((&dry["questions"], &dry["plan"]), (&plan["questions"], &plan["plan"]));
        let outcome = longsight(&[&["ask"][..], &arguments].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let answers: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = plan["questions"].as_array().unwrap();
        assert_eq!(told.len(), answers.len());
        let sum: u64 = told.iter().map(|one| one["prompt_tokens"].as_u64().unwrap()).sum();
        assert_eq!(plan["prompt_tokens"], sum);
        assert_eq!(plan["coverage"], told[0]["coverage"]);
        for (one, answer) in told.iter().zip(&answers).filter(|_| exactly) {
            assert_eq!(one["question"], answer["question"]);
            assert_eq!(one["prompt_tokens"], answer["usage"]["prompt_tokens"], "{questions:?}: {one}");
            for key in ["from", "to", "frames_seen", "visual_tokens_before", "visual_tokens_after"] {
                assert_eq!(one["coverage"][key], answer["coverage"][key], "{key}, {questions:?}: {one}");
            }
            let gap = |of: &Value| of["coverage"]["max_gap_s"].as_f64().unwrap();
            assert!((gap(one) - gap(answer)).abs() < 0.01, "{questions:?}: {} {}", gap(one), gap(answer));
        }
        if exactly {
            for table in ["decode", "vision", "sample", "compress", "question"] {
                assert_eq!(plan["plan"][table], answers[0]["plan"][table], "{table}, {questions:?}");
            }
        } else {
            assert!(plan["warnings"].to_string().contains("only the run can"), "{plan}");
        }
    }
    let time = |questions: &[&str]| {
        json(&longsight(&[&["plan", path, "--json"], questions].concat()))["timing_s"]["generate"].as_f64().unwrap()
    };
    assert!(time(&[QUESTION, after]) > 1.5 * time(&[QUESTION]));
    // What a run refuses, its plan refuses.
    for command in ["plan", "ask"] {
        let outcome = longsight(&[command, path, "What is shown after 5:00?"]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("nothing is after 300 s"), "{}", outcome.stderr);
    }
}

#[test]
fn limits_are_kept_by_the_mildest_loss_and_told() {
    let (_folder, path) = clip(30.0);
    let path = path.to_str().unwrap();
    let full = json(&longsight(&["plan", path, "--json"]));
    let tokens = full["coverage"]["visual_tokens_before"].as_u64().unwrap();
    assert_eq!(full["plan"]["compress"]["method"], "none");
    let half = (tokens / 2 + 9).to_string();
    let less = json(&longsight(&["plan", path, "--max-tokens", &half, "--json"]));
    assert_eq!(less["coverage"]["frames_seen"], full["coverage"]["frames_seen"], "frames go last");
    assert!(less["coverage"]["visual_tokens_after"].as_u64().unwrap() <= tokens / 2 + 9);
    assert_ne!(less["plan"]["compress"]["method"], "none");
    assert!(less["warnings"].to_string().contains("visual tokens are kept"), "{less}");
    let fewer = json(&longsight(&["plan", path, "--max-tokens", &half, "--compress", "none", "--json"]));
    assert!(fewer["coverage"]["frames_seen"].as_u64() < full["coverage"]["frames_seen"].as_u64());
}

#[test]
fn what_cannot_fit_says_so_and_what_would() {
    let (_folder, path) = clip(10.0);
    let path = path.to_str().unwrap();
    for limit in [["--memory", "1M"], ["--budget", "0.001s"]] {
        for command in [&["plan", path][..], &["ask", path, QUESTION, "--dry-run"], &["ask", path, QUESTION]] {
            let outcome = longsight(&[command, &limit, &["--json"]].concat());
            assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(6), ""), "{}", outcome.stderr);
            let error: Value = serde_json::from_str(outcome.stderr.lines().last().unwrap()).unwrap();
            assert_eq!(error["error"]["code"], "does_not_fit");
            assert!(error["error"]["hint"].as_str().unwrap().contains(limit[0]), "{error}");
        }
    }
    let enough = json(&longsight(&["ask", path, QUESTION, "--memory", "4G", "--budget", "300s", "--json"]));
    assert_eq!(enough["plan"]["compress"]["method"], "none");
}

#[test]
fn a_method_that_is_not_known_names_those_that_are() {
    let (_folder, path) = clip(5.0);
    let outcome = longsight(&["ask", path.to_str().unwrap(), QUESTION, "--compress", "zip"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("v-cast") && outcome.stderr.contains("`zip`"), "{}", outcome.stderr);
}

#[test]
fn what_is_pooled_in_the_tower_is_not_chosen_from() {
    let (_folder, path) = clip(5.0);
    for command in [&["plan"][..], &["ask"]] {
        let more = ["--sample", "diverse", "--compress", "early-pooling"];
        let outcome = longsight(&[command, &[path.to_str().unwrap(), QUESTION], &more].concat());
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.stderr.contains("early-pooling") && outcome.stderr.contains("diverse"), "{}", outcome.stderr);
    }
}

#[test]
fn moments_that_have_to_do_with_the_question_are_chosen() {
    let (_folder, path) = clip(40.0);
    let path = path.to_str().unwrap();
    for sampler in ["uniform", "scenes", "diverse", "relevant", "aks"] {
        let args = [
            "ask",
            path,
            QUESTION,
            "Is there a star in the video?",
            "--sample",
            sampler,
            "--sample-keep",
            "0.3",
            "--json",
        ];
        let outcome = longsight(&args);
        assert_eq!(outcome.code, Some(0), "{sampler}: {}", outcome.stderr);
        let answers: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), 2);
        let coverage = &answers[0]["coverage"];
        assert_eq!(
            (coverage["frames_seen"].as_u64(), coverage["visual_tokens_before"].as_u64()),
            (Some(24), Some(240)),
            "{sampler}"
        );
        assert_eq!(coverage["visual_tokens_after"], 72, "{sampler}");
        assert_eq!(answers[0]["plan"]["sample"]["method"], sampler);
    }
}

#[test]
fn what_may_lie_between_frames_is_not_denied() {
    let (_folder, path) = clip(30.0);
    let path = path.to_str().unwrap();
    let seen: Vec<Pair> = script(30.0).sightings().iter().map(|one| one.pair).collect();
    // Things of which the clip has neither the colour nor the shape.
    let absent = Pair::all().filter(|pair| seen.iter().all(|one| one.colour != pair.colour && one.shape != pair.shape));
    let question = |pair: Pair| format!("When is the {} visible?", pair.name());
    let asked = |question: &str, more: &[&str]| json(&longsight(&[&["ask", path, question, "--json"], more].concat()));
    // What is asked here is what a denial is worth, not whether these weights deny.
    let denied = |answer: &Value| answer["answer"] == "It is not in the video.";
    let mut questions = absent.take(12).map(question);
    let coarsely = ["--fps", "0.25"];
    let question = questions.find(|question| denied(&asked(question, &[])) && denied(&asked(question, &coarsely)));
    let question = question.unwrap();
    let ask = |more: &[&str]| asked(&question, more);
    // In one look, and part by part as long videos are asked.
    let parts = std::path::Path::new(path).with_file_name("parts.toml");
    std::fs::write(&parts, "[evidence]\npart = 10.0\n").unwrap();
    for more in [&[][..], &["--pipeline", parts.to_str().unwrap()]] {
        let (close, coarse) = (ask(more), ask(&[more, &["--fps", "0.25"]].concat()));
        denied_where_it_may(&close, &coarse);
    }
}

fn denied_where_it_may(close: &Value, coarse: &Value) {
    for (answer, status) in [(close, "unanswerable"), (coarse, "partly")] {
        assert_eq!(answer["answer"], "It is not in the video.");
        assert_eq!(answer["status"], status, "{answer}");
        let certain = answer["coverage"]["smallest_event_s"].as_f64().unwrap() <= 1.0;
        assert_eq!(certain, status == "unanswerable");
        assert_eq!(answer["warnings"].to_string().contains("is not certain"), !certain, "{answer}");
    }
}
