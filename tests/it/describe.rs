//! `longsight describe`, through the binary, on a clip whose scenes are known.

use crate::support::command::longsight;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A clip of 24 s with several scenes, and what is in it.
fn clip(folder: &Path) -> (PathBuf, Script) {
    let script = (4_300_000..)
        .map(|seed| Script::write(Split::HeldOut, seed, &Wishes { shortest: 24.0, longest: 24.0 }))
        .find(|script| script.scenes.len() > 2)
        .unwrap();
    let path = folder.join("clip.mp4");
    encode(&script, &path, &EncodeOptions { width: 192, height: 192, ..EncodeOptions::default() }).unwrap();
    (path, script)
}

fn json(args: &[&str]) -> Value {
    let outcome = longsight(args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn span(of: &Value) -> (f64, f64) {
    (of["start"].as_f64().unwrap(), of["end"].as_f64().unwrap())
}

#[test]
fn every_scene_is_described_once_and_chapters_cover_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = clip(folder.path());
    let path = path.to_str().unwrap();
    let told = json(&["describe", path, "--json", "--no-index"]);
    assert_eq!(told["schema"], "longsight.captions/1");
    let captions = told["captions"].as_array().unwrap();
    let scenes = json(&["scenes", path, "--json"]);
    let expected: Vec<(f64, f64)> = scenes["scenes"].as_array().unwrap().iter().map(span).collect();
    assert!(expected.len() > 2);
    assert_eq!(captions.iter().map(span).collect::<Vec<_>>(), expected);
    for caption in captions {
        assert!(!caption["text"].as_str().unwrap().trim().is_empty());
        let score = caption["score"].as_f64().unwrap();
        assert!(0.0 < score && score <= 1.0, "{score}");
        assert!(caption["frames_seen"].as_u64().unwrap() >= 4, "{caption}");
    }
    let chapters: Vec<(f64, f64)> = told["chapters"].as_array().unwrap().iter().map(span).collect();
    assert_eq!((chapters[0].0, chapters[chapters.len() - 1].1), (expected[0].0, expected[expected.len() - 1].1));
    assert!(chapters.windows(2).all(|two| two[0].1 == two[1].0));
    let made: u64 = told["chapters"].as_array().unwrap().iter().map(|one| one["captions"].as_u64().unwrap()).sum();
    assert_eq!(made, captions.len() as u64);
}

#[test]
fn long_scenes_are_described_part_by_part_and_a_range_is_kept_to() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = clip(folder.path());
    let pipeline = folder.path().join("short.toml");
    std::fs::write(&pipeline, "[evidence]\npart = 2.0\n").unwrap();
    let (path, pipeline) = (path.to_str().unwrap(), pipeline.to_str().unwrap());
    let told = json(&["describe", path, "--json", "--no-index", "--pipeline", pipeline, "--from", "3", "--to", "15"]);
    let captions = told["captions"].as_array().unwrap();
    assert!(captions.len() >= 6, "{}", captions.len());
    let spans: Vec<(f64, f64)> = captions.iter().map(span).collect();
    assert!(spans.iter().all(|(start, end)| start < end && end - start <= 2.51), "{spans:?}");
    assert!(spans.windows(2).all(|two| two[0].1 == two[1].0));
    assert!(spans[0].0 >= 3.0 && spans[spans.len() - 1].1 <= 15.2, "{spans:?}");
}

#[test]
fn captions_go_into_captions_and_chapters_into_chapters() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = clip(folder.path());
    let path = path.to_str().unwrap();
    let told = json(&["describe", path, "--json", "--no-index"]);
    let count = |of: &str| told[of].as_array().unwrap().len();
    let cues =
        |format: &str| longsight(&["describe", path, "--no-index", "--format", format]).stdout.matches(" --> ").count();
    assert_eq!(
        (cues("vtt"), cues("srt"), cues("vtt-chapters")),
        (count("captions"), count("captions"), count("chapters"))
    );
    let chapters = longsight(&["describe", path, "--no-index", "--format", "ffmetadata"]).stdout;
    assert_eq!(chapters.matches("[CHAPTER]").count(), count("chapters"));
    let lines = longsight(&["describe", path, "--no-index", "--format", "csv"]).stdout;
    assert_eq!(lines.lines().count(), count("captions") + 1);
    let text = longsight(&["describe", path, "--no-index"]).stdout;
    assert!(
        told["captions"].as_array().unwrap().iter().all(|one| text.contains(one["text"].as_str().unwrap())),
        "{text}"
    );
}

#[test]
fn nothing_to_ask_or_to_look_at_is_refused() {
    let empty = longsight(&["describe", "samples/world-1.mp4", "--prompt", " "]);
    assert_eq!(empty.code, Some(2), "{}", empty.stderr);
    let missing = longsight(&["describe", "no/such/file.mp4"]);
    assert_eq!(missing.code, Some(3), "{}", missing.stderr);
    let outside = longsight(&["describe", "samples/world-1.mp4", "--from", "9000"]);
    assert_eq!(outside.code, Some(2), "{}", outside.stderr);
}
