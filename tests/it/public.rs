//! The public benchmarks through the binary: annotations and videos in, their own prediction files and scores out.

use crate::support::command::{Outcome, longsight};
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use serde_json::{Value, json};
use std::path::Path;

/// A folder with one clip, of which things can be asked.
fn videos() -> (tempfile::TempDir, Script) {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::write(Split::HeldOut, 7, &Wishes { shortest: 12.0, longest: 12.0 });
    std::fs::create_dir(folder.path().join("videos")).unwrap();
    let film = EncodeOptions { width: 128, height: 96, ..EncodeOptions::default() };
    encode(&script, &folder.path().join("videos/3MSZA.mp4"), &film).unwrap();
    (folder, script)
}

fn bench(what: &[&str], folder: &Path, annotations: &str, more: &[&str]) -> Outcome {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (annotations, videos, out) = (at(annotations), at("videos"), at("predictions"));
    let args = [&["bench"], what, &[&annotations, "--videos", &videos, "--out", &out, "--json"], more].concat();
    longsight(&args)
}

fn report(outcome: &Outcome) -> Value {
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn metric(report: &Value, name: &str) -> f64 {
    let metrics = report["metrics"].as_array().unwrap();
    metrics.iter().find(|metric| metric["name"] == name).unwrap()["value"].as_f64().unwrap()
}

#[test]
fn grounding_goes_on_where_it_stopped_and_scores_what_it_wrote() {
    let (folder, script) = videos();
    let seen = script.sightings();
    let lines: String = seen
        .iter()
        .map(|seen| format!("3MSZA {:.1} {:.1}##is the {} visible\n", seen.span[0], seen.span[1], seen.pair.name()))
        .collect();
    std::fs::write(folder.path().join("sta.txt"), lines + "GONE1 0.0 2.0##somebody leaves\n").unwrap();
    let ground = ["ground", "--dataset", "charades-sta"];
    // In words that the bundled model knows.
    let wording = ["--wording", "When {}?"];
    let first = bench(&ground, folder.path(), "sta.txt", &wording);
    let first = report(&first);
    assert_eq!(first["questions"], seen.len() + 1);
    assert_eq!(first["predictions"], seen.len());
    assert_eq!(first["missing_videos"], json!(["GONE1.mp4"]));
    assert_eq!(first["settings"]["wording"], "When {}?");
    let path = folder.path().join("predictions");
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(written.as_object().unwrap().len(), seen.len());

    // The last answer is lost, as if the run had been killed: it alone is asked again.
    let journal = folder.path().join("predictions.journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let cut = text.trim_end().rfind('\n').unwrap() + 20;
    std::fs::write(&journal, &text[..cut]).unwrap();
    let again = bench(&ground, folder.path(), "sta.txt", &wording);
    assert!(again.stderr.contains(&format!("{} questions were answered before", seen.len() - 1)), "{}", again.stderr);
    assert_eq!(report(&again)["metrics"], first["metrics"]);
    // The words are the same; a score's last digits depend on what was asked in the same breath.
    let words = |text: &str| -> Vec<(Value, Value)> {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (line["key"].clone(), line["answer"].clone())).collect()
    };
    assert_eq!(words(&std::fs::read_to_string(&journal).unwrap()), words(&text));

    // The file is scored alike by itself.
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let scored = longsight(
        &[&["bench"], &ground[..], &[&at("sta.txt"), "--predictions", path.to_str().unwrap(), "--json"]].concat(),
    );
    assert_eq!(report(&scored)["metrics"], first["metrics"]);

    // Other settings are not mixed in.
    let other = bench(&ground, folder.path(), "sta.txt", &["--wording", "Find {}"]);
    assert_eq!(other.code, Some(2), "{}", other.stderr);
    assert!(other.stderr.contains("other settings: wording"), "{}", other.stderr);
}

#[test]
fn questions_with_options_are_asked_and_counted() {
    let (folder, script) = videos();
    let there = script.sightings()[0].pair.name();
    let row = |id: &str, video: &str| {
        json!({
            "video_id": id, "videoID": video, "duration": "short", "domain": "Knowledge", "sub_category": "Law",
            "question_id": format!("{id}-1"), "task_type": "Object Recognition", "answer": "B",
            "question": "Which of these is in the video?", "options": ["A. nothing", format!("B. a {there}")],
        })
    };
    let rows = format!("{}\n{}\n", row("001", "3MSZA"), row("002", "gone"));
    std::fs::write(folder.path().join("videomme.jsonl"), rows).unwrap();
    let outcome = bench(&["videomme"], folder.path(), "videomme.jsonl", &[]);
    let report = report(&outcome);
    assert_eq!((&report["predictions"], &report["missing_videos"]), (&json!(1), &json!(["gone"])));
    let written: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("predictions")).unwrap()).unwrap();
    let said = written[0]["questions"][0]["response"].as_str().unwrap();
    assert_eq!((&written[0]["missing"], &written[1]["missing"]), (&json!(false), &json!(true)));
    if said.contains(['A', 'B', 'C', 'D']) {
        let first = said.chars().find(|letter| ('A'..='D').contains(letter)).unwrap();
        assert_eq!(metric(&report, "accuracy"), if first == 'B' { 100.0 } else { 0.0 });
    }
}

#[test]
fn what_cannot_be_read_is_told_with_a_next_step() {
    let (folder, _) = videos();
    let path = folder.path();
    std::fs::write(path.join("test.parquet"), b"PAR1").unwrap();
    std::fs::write(path.join("broken.json"), b"{").unwrap();
    std::fs::write(path.join("sta.txt"), b"GONE1 0.0 2.0##somebody leaves\n").unwrap();
    for (what, file, words) in [
        (&["videomme", "--v2"][..], "test.parquet", "read_parquet"),
        (&["lvbench"], "broken.json", "lvbench"),
        (&["longvideobench"], "no-such.json", "no-such.json"),
        (&["ground", "--dataset", "charades-sta"], "sta.txt", "none of the 1 videos"),
    ] {
        let outcome = bench(what, path, file, &[]);
        assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    let neither = longsight(&["bench", "mlvu", path.join("broken.json").to_str().unwrap()]);
    assert_eq!(neither.code, Some(2));
}
