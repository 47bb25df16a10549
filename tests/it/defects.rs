//! Mistakes and misfortunes on the command line: nothing of the user's is written over, no result is lost in silence, and every
//! error names its thing and its cure.

use crate::support::clip::Clip;
use crate::support::command::{Outcome, longsight, longsight_fed};
use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LONGSIGHT: &str = env!("CARGO_BIN_EXE_longsight");

/// A clip of so many frames; `None` where FFmpeg has no encoder for it.
fn clip(folder: &Path, frames: usize) -> Option<PathBuf> {
    let path = folder.join("clip.mp4");
    Clip::steady(frames).write(&path).then_some(path)
}

fn error(outcome: &Outcome, code: i32) -> (String, String) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    let object: Value = serde_json::from_str(outcome.stderr.lines().last().unwrap()).unwrap();
    let text = |key: &str| object["error"][key].as_str().unwrap().to_owned();
    (text("message"), text("hint"))
}

#[test]
fn the_video_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = clip(folder.path(), 60) else { return };
    let before = std::fs::read(&video).unwrap();
    let (link, hard) = (folder.path().join("link.mp4"), folder.path().join("hard.mp4"));
    std::os::unix::fs::symlink(&video, &link).unwrap();
    std::fs::hard_link(&video, &hard).unwrap();
    let [video, link, hard] = [&video, &link, &hard].map(|path| path.to_str().unwrap());
    for place in [video, link, hard] {
        for arguments in [
            &["scenes", video, "-o", place][..],
            &["ask", video, "What is shown?", "-o", place],
            &["ask", video, "What is shown?", "--contact-sheet", place],
            &["find", video, "a star", "-o", place],
            &["describe", video, "-o", place],
        ] {
            let outcome = longsight(arguments);
            assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
            assert!(outcome.stderr.contains("is the video itself"), "{outcome:?}");
            assert_eq!(std::fs::read(video).unwrap(), before, "{arguments:?}");
        }
    }
    let fed = longsight_fed(&["scenes", "-", "-o", video], std::fs::File::open(video).unwrap().into());
    assert_eq!((fed.code, std::fs::read(video).unwrap() == before), (Some(2), true), "{fed:?}");
}

#[test]
fn places_that_are_none_are_told_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = clip(folder.path(), 30) else { return };
    let (file, questions) = (folder.path().join("file"), folder.path().join("questions"));
    std::fs::write(&file, "").unwrap();
    std::fs::write(&questions, "What is shown?").unwrap();
    let nowhere = folder.path().join("nodir/x");
    let [video, file, questions, nowhere] = [&video, &file, &questions, &nowhere].map(|path| path.to_str().unwrap());
    let folder = folder.path().to_str().unwrap();
    for (arguments, says) in [
        (&["scenes", video, "-o", nowhere][..], nowhere),
        (&["scenes", video, "-o", folder], "is a folder"),
        (&["ask", video, "What?", "--thumbs", file], file),
        (&["ask", video, "What?", "--clips", file], file),
        (&["ask", video, "What?", "--contact-sheet", nowhere], nowhere),
        (&["frames", video, "--out", file], file),
        (&["batch", video, "--questions", questions, "--out", file, "--settle", "0"], file),
        (&["index", video, "--index-dir", file], file),
        (&["man", "--out", file], file),
    ] {
        let (message, hint) = error(&longsight(&[arguments, &["--json"]].concat()), 2);
        assert!(message.contains(says), "{arguments:?}: {message}");
        assert!(!hint.is_empty(), "{arguments:?} has no next step");
    }
}

/// Runs the command into `/dev/full`, where nothing can be written.
fn full(arguments: &[&str]) -> (Option<i32>, String) {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = Command::new(LONGSIGHT).args(arguments).stdin(Stdio::null()).stdout(full).output().unwrap();
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

#[test]
fn a_result_that_is_lost_is_an_error() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = clip(folder.path(), 30) else { return };
    let video = video.to_str().unwrap();
    for arguments in [
        &["frames", video][..],
        &["frames", video, "--json"],
        &["scenes", video],
        &["scenes", video, "--json"],
        &["model", "list"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ] {
        let (code, told) = full(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {told}");
        assert!(told.contains("stdout: the result cannot be written"), "{arguments:?}: {told}");
    }
    // A reader that has seen enough is no error.
    let script = format!("'{LONGSIGHT}' completions bash | head -1; exit ${{PIPESTATUS[0]}}");
    let run = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!((run.status.code(), run.stderr.is_empty()), (Some(0), true), "{run:?}");
}

#[test]
fn a_result_for_a_stdout_that_is_closed_is_lost_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = clip(folder.path(), 30) else { return };
    let video = video.to_str().unwrap();
    let closed = |arguments: &[&str]| {
        let script = "exec \"$0\" \"$@\" >&-";
        Command::new("bash").args(["-c", script, LONGSIGHT]).args(arguments).stdin(Stdio::null()).output().unwrap()
    };
    for arguments in [&["frames", video][..], &["ask", video, "What?", "--json"], &["--help"]] {
        let run = closed(arguments);
        let told = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains("stdout: the result cannot be written: it is closed"), "{arguments:?}: {told}");
    }
    let page = folder.path().join("page.html");
    let run = closed(&["scenes", video, "--format", "html", "--out", page.to_str().unwrap(), "-q"]);
    assert_eq!((run.status.code(), page.is_file()), (Some(0), true), "nothing was for stdout: {run:?}");
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let run = Command::new(LONGSIGHT).args(["frames", video]).stdout(null).status().unwrap();
    assert_eq!(run.code(), Some(0), "somebody wants it thrown away");
}

#[test]
fn a_misspelt_variable_is_told_and_does_no_harm() {
    let run = |name: &str, value: &str, more: &[&str]| {
        Command::new(LONGSIGHT).args(["model", "list"]).args(more).env(name, value).output().unwrap()
    };
    for (name, value, says) in [
        ("LONGSIGHT_MAXFRAMES", "8", "did you mean LONGSIGHT_MAX_FRAMES?"),
        ("LONGSIGHT_CACHE", "here", "is no absolute path"),
        ("LONGSIGHT_LOG", "longsight=loud", "is no filter"),
    ] {
        let told = run(name, value, &[]);
        let stderr = String::from_utf8_lossy(&told.stderr);
        assert_eq!(told.status.code(), Some(0), "{stderr}");
        assert!(stderr.contains(name) && stderr.contains(says), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(run(name, value, &["-q"]).stderr.is_empty());
    }
    assert!(run("LONGSIGHT_MAX_FRAMES", "8", &[]).stderr.is_empty());
}

#[test]
fn arguments_that_are_no_text_are_refused_in_words() {
    let odd = OsStr::from_bytes(b"\xff");
    let (message, _) = error(&longsight(&[odd, OsStr::new("--json")]), 2);
    assert!(message.contains("unrecognized subcommand"), "{message}");
    for arguments in [
        &["scenes".as_ref(), odd][..],
        &["ask".as_ref(), "x.mp4".as_ref(), odd],
        &["find".as_ref(), "x.mp4".as_ref(), odd],
        &["scenes".as_ref(), "x.mp4".as_ref(), "--from".as_ref(), odd],
    ] {
        let outcome = longsight(arguments);
        assert!(matches!(outcome.code, Some(2 | 3)) && !outcome.stderr.contains("panicked"), "{outcome:?}");
    }
}

#[test]
fn a_usage_error_says_in_json_what_it_says_in_words() {
    let (message, hint) = error(&longsight(&["scenes", "--json"]), 2);
    assert!(message.ends_with("were not provided: <VIDEO>") && hint.contains("longsight scenes"), "{message}: {hint}");
    let (message, hint) = error(&longsight(&["ask", "a.mp4", "What?", "--dtype", "f64", "--json"]), 2);
    assert!(message.contains("--dtype") && hint.contains("f32") && hint.contains("bf16"), "{message}: {hint}");
    let (message, hint) = error(&longsight(&["scene", "a.mp4", "--json"]), 2);
    assert!(message.contains("scene") && hint.contains("'scenes'"), "{message}: {hint}");
}

#[test]
fn a_file_name_cannot_talk_to_the_terminal() {
    let outcome = longsight(&["scenes", "no\u{1b}[2J\nlongsight: all is well.mp4"]);
    assert_eq!(outcome.code, Some(3));
    assert!(!outcome.stderr.contains('\u{1b}') && outcome.stderr.lines().count() <= 2, "{outcome:?}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = clip(folder.path(), 30) else { return };
    let video = video.to_str().unwrap();
    let long = "a".repeat(8_001);
    for (arguments, says) in [
        (&["scenes", video, "--threshold=-1"][..], "--threshold"),
        (&["scenes", video, "--max-cuts", "3"], "--max-cuts"),
        (&["scenes", video, "--from", "100"], "--from"),
        (&["frames", video, "--decoder-stall", "0"], "--decoder-stall"),
        (&["frames", video, "--decoder-memory", "1M"], "--decoder-memory"),
        (&["plan", video, ""], "question is empty"),
        (&["ask", video, "\n"], "question is empty"),
        (&["ask", video, &long], "8000 is the limit"),
        (&["find", video, &long], "8000 is the limit"),
        (&["ask", video, "Which?", "--choices", "A. red"], "one choice"),
        (&["ask", video, "Which?", "--choices", "A. red", "A. red"], "two choices"),
        (&["ask", video, "Which?", "--choices", "A. red", ""], "a choice is empty"),
    ] {
        let (message, hint) = error(&longsight(&[arguments, &["--json"]].concat()), 2);
        assert!(message.contains(says) && !hint.is_empty(), "{arguments:?}: {message}: {hint}");
    }
    let cuts = longsight(&["scenes", video, "--detector", "similarity", "--max-cuts", "3", "--json"]);
    assert_eq!(cuts.code, Some(0), "{cuts:?}");
}

#[test]
fn what_does_not_fit_names_the_flag_that_would() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = clip(folder.path(), 30) else { return };
    let video = video.to_str().unwrap();
    let (_, hint) = error(&longsight(&["ask", video, "What?", "--max-new-tokens", "1000000", "--json"]), 6);
    assert!(hint.starts_with("--max-new-tokens "), "{hint}");
    let (message, hint) = error(&longsight(&["ask", video, "What?", "--budget", "0.001", "--json", "-q"]), 6);
    assert!(message.contains("the limit is 0.001s") && !message.contains(" ,"), "{message}");
    assert!(hint.starts_with("--budget "), "{hint}");
}

#[test]
fn an_empty_search_names_where_and_what_for() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_) = clip(folder.path(), 30) else { return };
    let questions = folder.path().join("questions");
    std::fs::write(&questions, "What is shown?").unwrap();
    let (place, questions) = (folder.path().to_str().unwrap(), questions.to_str().unwrap());
    let out = folder.path().join("out");
    let batch = ["batch", place, "--questions", questions, "--out", out.to_str().unwrap(), "--json"];
    let (message, _) = error(&longsight(&[&batch[..], &["--include", "*.nothing"]].concat()), 3);
    assert!(message.contains(place) && message.contains("`*.nothing`"), "{message}");
}

#[test]
fn every_question_has_a_line_of_json() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = clip(folder.path(), 30) else { return };
    let questions = ["What does the sign say?", "Which  of\nthese?"];
    let choices = ["--choices", "A. x", "B. y", "-q", "--format", "jsonl"];
    let outcome = longsight(&[&["ask", video.to_str().unwrap(), questions[0], questions[1]], &choices[..]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let lines: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for question in [questions[0], "Which of these?"] {
        assert!(lines.iter().any(|line| line["question"] == *question), "{lines:?}");
    }
    assert!(lines.iter().all(|line| line["schema"] == "longsight.evidence/1"), "{lines:?}");
}

#[test]
fn a_pipe_is_searched_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = clip(folder.path(), 60) else { return };
    let sheet = folder.path().join("sheet.png");
    let arguments =
        ["find", "-", "a red star", "--min-score", "0", "--json", "--contact-sheet", sheet.to_str().unwrap()];
    let outcome = longsight_fed(&arguments, std::fs::File::open(&video).unwrap().into());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(found["video"]["path"], "-");
    assert!(!outcome.stderr.contains("--min-score 0"), "{outcome:?}");
    if !found["moments"].as_array().unwrap().is_empty() {
        assert_eq!(std::fs::read(&sheet).unwrap()[1..4], *b"PNG");
    }
}

#[test]
fn what_is_interrupted_says_so() {
    // A pipe that nobody writes to keeps every one of them waiting.
    for (arguments, signal, code, word) in [
        (&["scenes", "-", "--json"][..], libc::SIGINT, 130, "interrupted"),
        (&["scenes", "-", "--json"], libc::SIGTERM, 143, "terminated"),
        (&["plan", "-", "--json"], libc::SIGTERM, 143, "terminated"),
        (&["frames", "-", "--json"], libc::SIGINT, 130, "interrupted"),
    ] {
        let mut child = Command::new(LONGSIGHT)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = child.stdin.take();
        caught(child.id(), signal);
        // SAFETY: a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, signal) }, 0);
        let run = child.wait_with_output().unwrap();
        drop(pipe);
        let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
        let outcome = Outcome { code: run.status.code(), stdout: String::new(), stderr };
        assert_eq!(error(&outcome, code).0, word, "{arguments:?}");
    }
}

/// Waits until a process handles a signal.
fn caught(process: u32, signal: i32) {
    let started = Instant::now();
    loop {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim();
        if u64::from_str_radix(mask, 16).unwrap() >> (signal - 1) & 1 == 1 {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "signal {signal} is not handled");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_time_limit_names_the_video() {
    let folder = tempfile::tempdir().unwrap();
    let Some(video) = clip(folder.path(), 30) else { return };
    let video = video.to_str().unwrap();
    let (message, _) = error(&longsight(&["ask", video, "What?", "--timeout", "0", "--json"]), 124);
    assert!(message.contains(video), "{message}");
}
