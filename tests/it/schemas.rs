//! The committed schemas are those of the types that are printed, and what is printed keeps to them.

use crate::support::clip::Clip;
use crate::support::command::longsight;
use serde_json::Value;
use std::path::Path;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

#[test]
fn committed_schemas_are_current() {
    for (name, schema) in longsight::cli::schemas() {
        let path = folder().join(format!("{name}.json"));
        let current = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("LONGSIGHT_BLESS").is_some() {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, &current).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == current, "{} is not current: run the tests with LONGSIGHT_BLESS=1", path.display());
    }
}

fn check(name: &str, args: &[&str]) {
    let outcome = longsight(args);
    assert_eq!(outcome.code, Some(0), "{args:?}: {}", outcome.stderr);
    keeps_to(name, outcome.stdout.trim());
}

fn keeps_to(name: &str, text: &str) {
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()).unwrap();
    let printed: Value = serde_json::from_str(text).unwrap();
    let errors: Vec<String> =
        jsonschema::validator_for(&schema).unwrap().iter_errors(&printed).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:?}");
}

#[test]
fn what_is_printed_keeps_to_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    if !Clip::steady(60).write(&path) {
        return;
    }
    let path = path.to_str().unwrap();
    check("answer", &["ask", path, "When is the red star visible?", "--json"]);
    check("moments", &["find", path, "a red star", "--json"]);
    check("frames", &["frames", path, "--json"]);
    check("scenes", &["scenes", path, "--json"]);
    check("doctor", &["doctor", "--json"]);
    check("models", &["model", "list", "--json"]);
    check("model", &["model", "info", "--json"]);
}

#[test]
fn a_batch_keeps_to_its_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let videos = folder.path().join("videos");
    std::fs::create_dir(&videos).unwrap();
    if !Clip::steady(60).write(&videos.join("clip.mp4")) {
        return;
    }
    std::fs::write(videos.join("empty.mp4"), "").unwrap();
    let (questions, out) = (folder.path().join("questions"), folder.path().join("out"));
    std::fs::write(&questions, "What is shown?").unwrap();
    let [videos, questions, out] = [&videos, &questions, &out].map(|path| path.to_str().unwrap());
    let batch = ["batch", videos, "--questions", questions, "--out", out, "--settle", "0", "--json"];
    check("batch_plan", &[&batch[..], &["--dry-run"]].concat());
    let outcome = longsight(&batch);
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    keeps_to("batch", outcome.stdout.trim());
    for (file, schemas) in [("answers.jsonl", &["batch_answer", "answer"][..]), ("failed.jsonl", &["batch_failure"])] {
        let text = std::fs::read_to_string(Path::new(out).join(file)).unwrap();
        schemas.iter().for_each(|schema| keeps_to(schema, text.lines().next().unwrap()));
    }
}

#[test]
fn errors_keep_to_their_schema_on_stderr() {
    let outcome = longsight(&["ask", "no-such-file.mp4", "What?", "--json"]);
    assert_eq!(outcome.code, Some(3));
    keeps_to("error", outcome.stderr.lines().last().unwrap());
}
