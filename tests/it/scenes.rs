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
