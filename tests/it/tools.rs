//! `bench`, `completions` and `man` through the binary.

use crate::support::command::longsight;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use serde_json::Value;

fn report(arguments: &[&str]) -> Value {
    let outcome = longsight(arguments);
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn scenes_are_timed_after_they_were_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let script = Script::write(Split::HeldOut, 15, &Wishes { shortest: 20.0, longest: 20.0 });
    encode(&script, &path, &EncodeOptions { width: 192, height: 128, ..EncodeOptions::default() }).unwrap();
    let path = path.to_str().unwrap();
    let listed = report(&["scenes", path, "--json", "-q"]);
    let timed = report(&["bench", "scenes", path, "--json", "--runs", "2"]);
    assert_eq!(timed["scenes"].as_u64(), Some(listed["scenes"].as_array().unwrap().len() as u64));
    assert_eq!(timed["runs_s"].as_array().unwrap().len(), 2);
}

#[test]
fn attention_is_timed_in_both_precisions() {
    let arguments =
        ["bench", "attention", "--json", "--runs", "1", "--heads", "longsight-tiny", "--tokens", "100", "130"];
    let timed = report(&arguments);
    let rows: Vec<_> =
        timed["timed"].as_array().unwrap().iter().map(|row| (&row["tokens"], &row["precision"])).collect();
    assert_eq!(serde_json::json!(rows), serde_json::json!([[100, "f32"], [100, "bf16"], [130, "f32"], [130, "bf16"]]));
    assert_eq!(longsight(&["bench", "attention", "--heads", "nobody"]).code, Some(2));
}

#[test]
fn needles_are_looked_for_at_every_depth_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let png = folder.path().join("grid.png");
    let arguments =
        ["bench", "niah", "--json", "-q", "--minutes", "0.5", "--depths", "0,1", "--haystacks", "1", "--png"];
    let grid = report(&[&arguments[..], &[png.to_str().unwrap()]].concat());
    let cells = grid["cells"].as_array().unwrap();
    let depths: Vec<_> = cells.iter().map(|cell| (cell["depth"].as_f64(), cell["found"]["of"].as_u64())).collect();
    assert_eq!(depths, [(Some(0.0), Some(3)), (Some(1.0), Some(3))]);
    let missed = grid["missed"].as_array().unwrap().len() as u64;
    assert_eq!(grid["found"]["hits"].as_u64(), Some(6 - missed));
    // Half a minute is less than what the model was trained on.
    assert!(missed <= 2, "{grid}");
    assert!(image::open(&png).unwrap().width() > 100);
    assert_eq!(longsight(&["bench", "niah", "--depths", "2"]).code, Some(2));
}

#[test]
fn answers_about_the_world_come_from_looking() {
    let world = report(&["bench", "world", "--json", "-q", "--clips", "2", "--questions", "12"]);
    let kinds = world["kinds"].as_array().unwrap();
    let sum = |side: &str, part: &str| -> u64 { kinds.iter().map(|kind| kind[side][part].as_u64().unwrap()).sum() };
    assert_eq!((sum("seeing", "of"), sum("blind", "of")), (24, 24));
    assert!(sum("seeing", "hits") > sum("blind", "hits"), "{world}");
    let absent: u64 =
        kinds.iter().filter(|kind| kind["kind"] == "absent").filter_map(|kind| kind["seeing"]["of"].as_u64()).sum();
    assert_eq!(world["false_refusals"]["of"].as_u64(), Some(24 - absent));
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    assert_eq!(longsight(&["man", "--out", out.to_str().unwrap()]).code, Some(0));
    let script = longsight(&["completions", "bash"]);
    assert_eq!(script.code, Some(0), "{}", script.stderr);
    for command in ["ask", "scenes", "frames", "bench", "model", "doctor"] {
        assert!(script.stdout.contains(&format!("longsight,{command})")), "{command}");
        assert!(out.join(format!("longsight-{command}.1")).is_file(), "{command}");
    }
}
