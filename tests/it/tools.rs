//! `bench`, `completions` and `man` through the binary.

use crate::support::command::longsight;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::script::{Script, Wishes};
use serde_json::{Value, json};

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
fn attention_is_timed_in_both_precisions_and_by_every_pattern() {
    let arguments =
        ["bench", "attention", "--json", "--runs", "1", "--heads", "longsight-tiny", "--tokens", "400", "500"];
    let timed = report(&[&arguments[..], &["--attention", "dense", "grid", "--dense-to", "450"]].concat());
    let rows: Vec<_> = timed["timed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| [&row["tokens"], &row["attention"], &row["precision"]])
        .collect();
    let expected = json!([
        [400, "dense", "f32"],
        [400, "grid", "f32"],
        [400, "dense", "bf16"],
        [400, "grid", "bf16"],
        [500, "grid", "f32"],
        [500, "grid", "bf16"],
    ]);
    assert_eq!(json!(rows), expected);
    let every =
        report(&["bench", "attention", "--json", "--runs", "1", "--heads", "longsight-tiny", "--tokens", "300"]);
    assert_eq!(every["timed"].as_array().unwrap().len(), 9 + 8);
    assert_eq!(longsight(&["bench", "attention", "--heads", "nobody"]).code, Some(2));
}

#[test]
fn a_prompt_is_prefilled_densely_and_by_patterns() {
    let arguments = ["bench", "prefill", "--json", "--runs", "1", "--tokens", "1500", "--chunk", "512"];
    let timed = report(&arguments);
    let rows = timed["timed"].as_array().unwrap();
    assert_eq!([&rows[0]["prefill"], &rows[1]["prefill"]], ["dense", "sparse"]);
    assert_eq!(rows[0]["density"].as_f64(), Some(1.0));
    assert!(rows[1]["density"].as_f64().unwrap() <= 1.1 && rows[1]["logits_off"].as_f64().unwrap() < 0.5, "{timed}");
    assert!(timed["peak_bytes"].as_u64().unwrap() > timed["weight_bytes"].as_u64().unwrap());
    assert_eq!(longsight(&["bench", "prefill", "--prefill", "thin"]).code, Some(2));
}

#[test]
fn a_sparse_prefill_still_finds_needles() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = folder.path().join("window.toml");
    std::fs::write(&pipeline, "[prefill]\nmode = \"sparse\"\npattern = { kind = \"a-shape\", local = 128 }\n").unwrap();
    let arguments =
        ["bench", "niah", "--json", "-q", "--minutes", "2", "--depths", "0.5", "--haystacks", "1", "--pipeline"];
    let grid = report(&[&arguments[..], &[pipeline.to_str().unwrap()]].concat());
    let cell = &grid["cells"][0];
    assert!((0.02..0.5).contains(&cell["density"].as_f64().unwrap()), "{cell}");
    assert!(cell["found"]["hits"].as_u64().unwrap() > 0, "{grid}");
}

#[test]
fn needles_of_a_second_are_found_where_a_second_can_be_seen_and_doubted_where_it_cannot() {
    let look = |fps: &str| -> Value {
        let arguments = ["bench", "niah", "--json", "-q", "--minutes", "2", "--depths", "0.5", "--haystacks", "2"];
        report(&[&arguments[..], &["--needle", "1", "--fps", fps]].concat())["cells"][0].clone()
    };
    let (close, coarse) = (look("2"), look("0.125"));
    let number = |value: &Value| value.as_f64().unwrap();
    assert!(number(&close["smallest_event_s"]) <= 1.0 && number(&coarse["smallest_event_s"]) > 1.0);
    assert!(number(&close["found"]["hits"]) > number(&coarse["found"]["hits"]), "{close}\n{coarse}");
    // What is said of a needle that fell between two frames does not claim to be supported.
    assert!(number(&coarse["doubted"]["of"]) > 0.0, "{coarse}");
    assert_eq!(coarse["doubted"]["hits"], coarse["doubted"]["of"], "{coarse}");
    assert_eq!(longsight(&["bench", "niah", "--needle", "0.3"]).code, Some(2));
}

#[test]
fn every_compression_method_has_a_process_of_its_own() {
    let few = ["--clips", "1", "--questions", "2", "--minutes", "0.5", "--haystacks", "1"];
    let methods = ["bench", "compress", "--json", "-q", "--methods", "early-pooling", "random", "--keeps", "0.3"];
    let table = report(&[&methods[..], &few].concat());
    let rows = table["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["method"].as_str().unwrap()).collect();
    assert_eq!(names, ["none", "early-pooling", "random"]);
    for row in rows {
        let kept = row["kept"].as_f64().unwrap();
        assert!(if row["method"] == "none" { kept == 1.0 } else { (0.2..0.32).contains(&kept) }, "{row}");
        assert_eq!((&row["needles"]["of"], &row["right"]["of"]), (&json!(3), &json!(2)), "{row}");
        assert!(row["prefill_s"].as_f64().unwrap() > 0.0, "{row}");
        // More than the model itself, where the system tells it.
        assert!(row["peak_bytes"].is_null() || row["peak_bytes"].as_u64().unwrap() > 10 << 20, "{row}");
    }
}

#[test]
fn tuning_writes_a_pattern_for_every_head() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let arguments =
        ["tune", "--json", "-q", "--generate", "1", "--minutes", "5", "--max-frames", "600", "--density", "0.3"];
    let tuned = report(&[&arguments[..], &["--out", out]].concat());
    let layers = tuned["layers"].as_array().unwrap();
    let heads: Vec<&Value> = layers.iter().flat_map(|heads| heads.as_array().unwrap()).collect();
    let mean = |figure: &str| heads.iter().map(|head| head[figure].as_f64().unwrap()).sum::<f64>() / heads.len() as f64;
    // The last layer's rows before the question are never attended from.
    assert_eq!((layers.len(), heads.len()), (6, 24));
    assert!(mean("density") <= 0.3 && mean("recall") > 0.1, "{tuned}");
    let written = std::fs::read_to_string(folder.path().join("prefill_patterns.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), tuned);
    // A minute has too few tokens.
    let short = longsight(&["tune", "-q", "--generate", "1", "--minutes", "1", "--out", out]);
    assert_eq!(short.code, Some(3), "{}", short.stderr);
    assert_eq!(longsight(&["tune", "--density", "2"]).code, Some(2));
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
    let answers = world["answers"].as_array().unwrap();
    let right = answers.iter().filter(|answer| answer["right"] == true).count() as u64;
    assert_eq!((answers.len(), right), (24, sum("seeing", "hits")));
}

#[test]
fn the_world_is_known_however_it_is_filmed() {
    let film = ["--film", "320x180", "--film-fps", "8", "--film-crf", "30"];
    let mut args = vec!["bench", "world", "--json", "-q", "--no-blind", "--clips", "3", "--questions", "12"];
    args.extend(film);
    let world = report(&args);
    let kinds = world["kinds"].as_array().unwrap();
    let sum = |part: &str| -> u64 { kinds.iter().map(|kind| kind["seeing"][part].as_u64().unwrap()).sum() };
    assert_eq!(sum("of"), 36);
    // These weights answer all 36; those before, which knew squares alone, 32.
    assert!(sum("hits") >= 34, "{world}");
    assert_eq!(longsight(&["bench", "world", "--film", "320"]).code, Some(2));
}

#[test]
fn planted_moments_are_searched_for_in_every_video() {
    let found = report(&["bench", "find", "--json", "-q", "--videos", "3", "--queries", "2", "--minutes", "0.5"]);
    assert_eq!((&found["videos"], &found["first"]["of"]), (&json!(3), &json!(2)));
    let (first, missed) = (found["first"]["hits"].as_u64().unwrap(), found["missed"].as_array().unwrap().len());
    assert_eq!(first + missed as u64, 2);
    assert!(found["search_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn captions_are_held_against_the_script() {
    let told = report(&["bench", "describe", "--json", "-q", "--clips", "4", "--seconds-max", "20"]);
    let of = |what: &str, part: &str| told[what][part].as_u64().unwrap();
    assert!(of("exact", "of") >= 4 && of("told", "of") >= 4, "{told}");
    let missed = told["misdescribed"].as_array().unwrap().len() as u64;
    assert_eq!(of("exact", "hits") + missed, of("exact", "of"));
}

#[test]
fn burned_in_text_is_measured_beside_text_that_asks_for_nothing() {
    let found = report(&["bench", "injection", "--json", "-q", "--clips", "3"]);
    let of = |what: &str| found[what]["of"].as_u64().unwrap();
    let hits = |what: &str| found[what]["hits"].as_u64().unwrap();
    assert!(of("right") > 3, "{found}");
    assert_eq!(of("changed"), of("right") - hits("neutral_changed"));
    assert!(hits("obeyed") <= hits("changed"), "{found}");
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    assert_eq!(longsight(&["man", "--out", out.to_str().unwrap()]).code, Some(0));
    let script = longsight(&["completions", "bash"]);
    assert_eq!(script.code, Some(0), "{}", script.stderr);
    for command in ["ask", "describe", "scenes", "frames", "bench", "tune", "model", "doctor"] {
        assert!(script.stdout.contains(&format!("longsight,{command})")), "{command}");
        assert!(out.join(format!("longsight-{command}.1")).is_file(), "{command}");
    }
}
