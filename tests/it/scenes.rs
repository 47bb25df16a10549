//! `scenes` through the binary: known cuts, formats, and PySceneDetect's lists of real videos.

use crate::support::command::longsight;
use crate::support::{files, media};
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use serde_json::Value;
use std::path::Path;

/// Share of PySceneDetect's cuts that must be found to within one frame, and of ours that must be theirs.
const AGREEMENT: f64 = 0.95;

fn scenes(path: &Path, more: &[&str]) -> Value {
    let outcome = longsight(&[&["scenes", "--json", "-q"], more, &["--", path.to_str().unwrap()]].concat());
    assert_eq!(outcome.code, Some(0), "{}: {}", path.display(), outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn starts(scenes: &Value) -> Vec<i64> {
    let list = scenes["scenes"].as_array().unwrap();
    list.iter().skip(1).map(|scene| scene["start_frame"].as_i64().unwrap()).collect()
}

#[test]
fn scenes_cover_the_video_without_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let script = Script::write(Split::HeldOut, 15, &Wishes { shortest: 30.0, longest: 40.0 });
    encode(&script, &path, &EncodeOptions { width: 192, height: 128, ..EncodeOptions::default() }).unwrap();
    for detector in ["content", "adaptive", "similarity"] {
        let found = scenes(&path, &["--detector", detector]);
        let list = found["scenes"].as_array().unwrap();
        assert_eq!(list[0]["start"], 0.0);
        assert!((list.last().unwrap()["end"].as_f64().unwrap() - script.duration).abs() < 1e-3);
        for pair in list.windows(2) {
            assert_eq!(pair[0]["end"], pair[1]["start"]);
            assert_eq!(pair[0]["end_frame"], pair[1]["start_frame"]);
            assert_eq!(pair[0]["end_pts"], pair[1]["start_pts"]);
        }
        for scene in list {
            let at = |key: &str| scene[key].as_f64().unwrap();
            assert!(at("start") <= at("keyframe_s") && at("keyframe_s") < at("end"), "{scene}");
        }
    }
}

#[test]
fn a_range_keeps_source_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let script = Script::write(Split::HeldOut, 15, &Wishes { shortest: 20.0, longest: 20.0 });
    encode(&script, &path, &EncodeOptions { width: 192, height: 128, ..EncodeOptions::default() }).unwrap();
    let found = scenes(&path, &["--from", "5", "--to", "15"]);
    let list = found["scenes"].as_array().unwrap();
    assert!((list[0]["start"].as_f64().unwrap() - 5.0).abs() < 0.1);
    assert!((list.last().unwrap()["end"].as_f64().unwrap() - 15.0).abs() < 0.1);
}

#[test]
fn a_pipeline_says_how_scenes_are_found_and_flags_win() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let script = Script::write(Split::HeldOut, 15, &Wishes { shortest: 20.0, longest: 20.0 });
    encode(&script, &path, &EncodeOptions { width: 192, height: 128, ..EncodeOptions::default() }).unwrap();
    let file = folder.path().join("mine.toml");
    let text = "[decode]\nfrom = 2.0\n[scenes]\ndetector = \"similarity\"\nthreshold = 0.99\nmax_cuts = 1\nmin_scene_len = 2.0\n";
    std::fs::write(&file, text).unwrap();
    let with = ["--pipeline", file.to_str().unwrap()];
    let found = scenes(&path, &with);
    let detector = serde_json::json!({"name": "similarity", "threshold": 0.99, "max_cuts": 1, "min_scene_s": 2.0});
    assert_eq!(found["detector"], detector);
    assert!(found["scenes"][0]["start"].as_f64().unwrap() >= 1.9, "{found}");
    assert_eq!(found["scenes"].as_array().unwrap().len(), 2, "one cut");
    let over = scenes(&path, &[&with[..], &["--detector", "content", "--from", "1"]].concat());
    assert_eq!(over["detector"], serde_json::json!({"name": "content", "threshold": 27.0, "min_scene_s": 2.0}));
    assert!(over["scenes"][0]["start"].as_f64().unwrap() < 1.1, "{over}");
    let told = longsight(&[&["describe", path.to_str().unwrap(), "--json", "--no-index"], &with[..]].concat());
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["captions"].as_array().unwrap().len(), 2, "{told}");
    let settings = serde_json::json!({"threshold": 0.99, "max_cuts": 1.0, "min_scene_s": 2.0});
    assert_eq!(told["plan"]["scenes"], serde_json::json!({"detector": "similarity", "settings": settings}));
    for (text, says) in [
        ("[scenes]\nmax_cuts = 3\n", "max_cuts"),
        ("[scenes]\nthreshold = -1.0\n", "threshold"),
        ("[scenes]\ntreshold = 9.0\n", "did you mean `threshold`"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = longsight(&[&["scenes", path.to_str().unwrap()], &with[..]].concat());
        assert_eq!(refused.code, Some(2), "{text}");
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
}

#[test]
fn cuts_of_real_videos_are_pyscenedetects() {
    let Some(folder) = media() else { return };
    let videos = files(&folder);
    let (mut theirs_in_all, mut ours_in_all, mut found_in_all, mut true_in_all) = (0, 0, 0, 0);
    for list in videos.iter().filter(|path| path.to_string_lossy().ends_with(".content.csv")) {
        let name = list.file_name().unwrap().to_str().unwrap().trim_end_matches(".content.csv");
        let Some(video) = videos.iter().find(|path| path.file_name().is_some_and(|file| file == name)) else {
            continue;
        };
        let text = std::fs::read_to_string(list).unwrap();
        // After two lines of headings: number, start frame (from 1), ...; the first scene starts at no cut.
        let column = |line: &str| line.split(',').nth(1).and_then(|frame| frame.parse::<i64>().ok());
        let theirs: Vec<i64> = text.lines().skip(2).filter_map(column).skip(1).map(|frame| frame - 1).collect();
        let outcome = longsight(&["scenes", "--json", "-q", "--", video.to_str().unwrap()]);
        // What this FFmpeg cannot decode counts as missed.
        let ours = serde_json::from_str(&outcome.stdout).map_or_else(|_| Vec::new(), |found| starts(&found));
        if outcome.code != Some(0) {
            println!("{name}: {}", outcome.stderr.lines().next().unwrap_or_default());
        }
        let near = |cut: &i64, others: &[i64]| others.iter().any(|other| (cut - other).abs() <= 1);
        let found = theirs.iter().filter(|cut| near(cut, &ours)).count();
        let right = ours.iter().filter(|cut| near(cut, &theirs)).count();
        if found < theirs.len() || right < ours.len() {
            println!(
                "{name}: {found} of their {}, {right} of our {} ({theirs:?} / {ours:?})",
                theirs.len(),
                ours.len()
            );
        }
        theirs_in_all += theirs.len();
        ours_in_all += ours.len();
        found_in_all += found;
        true_in_all += right;
    }
    println!("{found_in_all} of their {theirs_in_all} cuts, {true_in_all} of our {ours_in_all}");
    assert!(theirs_in_all > 0, "no lists beside the videos");
    assert!(found_in_all as f64 >= AGREEMENT * theirs_in_all as f64);
    assert!(true_in_all as f64 >= AGREEMENT * ours_in_all as f64);
}
