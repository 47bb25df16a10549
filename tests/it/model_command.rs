//! `longsight model` through the binary: references are replayed, bad checkpoints refused.

use crate::support::command::longsight;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A committed checkpoint with its reference; see tests/fixtures/make_goldens.py.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/goldens").join(name)
}

fn verify(folder: &Path) -> (Option<i32>, Value) {
    let outcome = longsight(&["model".as_ref(), "verify".as_ref(), folder.as_os_str(), "--json".as_ref()]);
    let report = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{folder:?}: {}", outcome.stderr));
    (outcome.code, report)
}

fn assert_passes(folder: &Path) {
    let (code, report) = verify(folder);
    assert_eq!((code, &report["pass"]), (Some(0), &Value::Bool(true)), "{}: {report}", folder.display());
    for key in ["input_ids", "position_ids", "generated_ids"] {
        assert_eq!(report[key]["equal"], true, "{}: {key}", folder.display());
    }
    // The network alone agrees far better than the tolerance asks.
    for key in ["vision_embeds", "logits"] {
        assert!(report[key]["rel"].as_f64().unwrap() < 1e-5, "{}: {key} {}", folder.display(), report[key]);
    }
    assert_eq!(report["schema"], "longsight.verify/1");
    assert_eq!(report["logits"]["argmax_agreement"], 1.0);
}

#[test]
fn committed_references_are_reproduced() {
    for name in ["qwen3_vl-a", "qwen3_vl-b", "qwen2_5_vl-a", "qwen2_5_vl-b"] {
        assert_passes(&fixture(name));
    }
}

/// More shapes than are worth committing: `make_goldens.py DIR --set variants`.
#[test]
fn references_outside_the_repository_are_reproduced() {
    let Some(folder) = std::env::var_os("LONGSIGHT_TEST_GOLDENS") else {
        println!("skipped: LONGSIGHT_TEST_GOLDENS names no folder of references");
        return;
    };
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = folders.filter(|folder| folder.join("frames.safetensors").is_file()).collect();
    assert!(!folders.is_empty(), "LONGSIGHT_TEST_GOLDENS holds no reference");
    folders.iter().for_each(|folder| assert_passes(folder));
}

/// A copy of a fixture that may be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

#[test]
fn a_difference_is_found() {
    let times = copy("qwen3_vl-a");
    edit(&times.path().join("golden.json"), |golden| golden["fps"] = 5.0.into());
    let (code, report) = verify(times.path());
    assert_eq!((code, &report["pass"], &report["input_ids"]["equal"]), (Some(1), &false.into(), &false.into()));

    let positions = copy("qwen2_5_vl-a");
    edit(&positions.path().join("config.json"), |config| config["vision_config"]["tokens_per_second"] = 20.into());
    let (code, report) = verify(positions.path());
    assert_eq!((code, &report["position_ids"]["equal"]), (Some(1), &false.into()));
    assert!(report["logits"]["rel"].as_f64().unwrap() > 1e-3);

    let pixels = copy("qwen2_5_vl-a");
    edit(&pixels.path().join("processor_config.json"), |config| config["video_processor"]["resample"] = 2.into());
    edit(&pixels.path().join("processor_config.json"), |config| {
        config["video_processor"]["image_mean"] = serde_json::json!([0.5, 0.5, 0.5]);
    });
    let (code, report) = verify(pixels.path());
    assert_eq!(code, Some(1));
    assert!(report["pixel_values"]["max_grey_levels"].as_f64().unwrap() > 2.0);
    assert!(report["logits"]["rel"].as_f64().unwrap() < 1e-5, "the network is compared from the reference's pixels");

    let windows = copy("qwen2_5_vl-a");
    edit(&windows.path().join("config.json"), |config| config["vision_config"]["window_size"] = 28.into());
    let (code, report) = verify(windows.path());
    assert_eq!(code, Some(1));
    assert!(report["vision_embeds"]["rel"].as_f64().unwrap() > 1e-3);
}

#[test]
fn half_formats_stay_near_the_reference() {
    for (dtype, most) in [("f16", 0.02), ("bf16", 0.1)] {
        for name in ["qwen3_vl-a", "qwen2_5_vl-b"] {
            let folder = fixture(name);
            let args = ["model", "verify", folder.to_str().unwrap(), "--json", "--dtype", dtype];
            let outcome = longsight(&args);
            let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
            let rel = report["logits"]["rel"].as_f64().unwrap();
            assert!(rel > 1e-6 && rel < most, "{name} in {dtype}: {rel}");
            assert_eq!(outcome.code, Some(0), "{name} in {dtype}: {report}");
        }
    }
}

/// Runs `model verify` on a folder that must be refused, and gives the error object.
fn refused(folder: &Path, code: i32) -> Value {
    let outcome = longsight(&["model".as_ref(), "verify".as_ref(), folder.as_os_str(), "--json".as_ref()]);
    assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
    serde_json::from_str::<Value>(&outcome.stderr).unwrap()["error"].clone()
}

fn says(error: &Value, words: &str) {
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(words), "`{message}` does not say `{words}`");
}

#[test]
fn pickle_weights_are_refused() {
    let folder = copy("qwen3_vl-a");
    fs::rename(folder.path().join("model.safetensors"), folder.path().join("pytorch_model.bin")).unwrap();
    let error = refused(folder.path(), 5);
    says(&error, "pytorch_model.bin");
    says(&error, "pickle");
    assert_eq!(error["code"], "model");
}

#[test]
fn broken_checkpoints_are_refused_with_the_file_and_the_fault() {
    type Breakage = fn(&Path);
    let cases: [(&str, Breakage, &str); 12] = [
        ("qwen3_vl-a", |dir| fs::remove_file(dir.join("model.safetensors")).unwrap(), "no *.safetensors"),
        ("qwen3_vl-a", |dir| fs::remove_file(dir.join("config.json")).unwrap(), "config.json"),
        ("qwen3_vl-a", |dir| fs::write(dir.join("config.json"), "{").unwrap(), "config.json"),
        ("qwen3_vl-a", |dir| fs::remove_file(dir.join("tokenizer.json")).unwrap(), "tokenizer.json"),
        ("qwen3_vl-a", |dir| fs::remove_file(dir.join("processor_config.json")).unwrap(), "processor_config.json"),
        ("qwen3_vl-a", |dir| truncate(&dir.join("model.safetensors"), 4000), "model.safetensors"),
        (
            "qwen3_vl-a",
            |dir| edit(&dir.join("config.json"), |c| c["architectures"][0] = "LlamaForCausalLM".into()),
            "LlamaForCausalLM",
        ),
        (
            "qwen3_vl-a",
            |dir| edit(&dir.join("config.json"), |c| c["text_config"]["num_attention_heads"] = 0.into()),
            "attention heads",
        ),
        ("qwen3_vl-a", |dir| edit(&dir.join("config.json"), |c| c["text_config"]["hidden_size"] = 72.into()), "width"),
        (
            "qwen3_vl-a",
            |dir| edit(&dir.join("config.json"), |c| c["text_config"]["intermediate_size"] = 7.into()),
            "mlp.gate_proj.weight",
        ),
        (
            "qwen2_5_vl-b",
            |dir| {
                edit(&dir.join("model.safetensors.index.json"), |i| {
                    i["weight_map"]["lm_head.weight"] = "../elsewhere.safetensors".into();
                });
            },
            "../elsewhere.safetensors",
        ),
        (
            "qwen2_5_vl-b",
            |dir| {
                let shard = fs::read_dir(dir)
                    .unwrap()
                    .map(|e| e.unwrap().path())
                    .find(|p| p.to_string_lossy().contains("-00002-of"));
                fs::remove_file(shard.unwrap()).unwrap();
            },
            "-00002-of",
        ),
    ];
    for (name, breakage, words) in cases {
        let folder = copy(name);
        breakage(folder.path());
        says(&refused(folder.path(), 5), words);
    }
}

fn truncate(path: &Path, bytes: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

#[test]
fn a_missing_reference_is_a_missing_input() {
    let folder = copy("qwen3_vl-a");
    fs::remove_file(folder.path().join("golden.json")).unwrap();
    says(&refused(folder.path(), 3), "golden.json");
    says(&refused(Path::new("/nowhere/at/all"), 5), "no such folder");
}

/// `longsight model ARGS --json` with a Hugging Face cache of its own.
fn with_cache(cache: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_longsight"))
        .arg("model")
        .args(args)
        .arg("--json")
        .env("HF_HOME", cache)
        .env_remove("HF_HUB_CACHE")
        .output()
        .unwrap();
    let text = if output.status.success() { &output.stdout } else { &output.stderr };
    (output.status.code(), serde_json::from_slice(text).unwrap())
}

#[test]
fn models_of_the_hugging_face_cache_are_found_by_id() {
    let cache = tempfile::tempdir().unwrap();
    let repository = cache.path().join("hub/models--Some--Model-2B");
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), "0123abcd").unwrap();
    let snapshot = repository.join("snapshots/0123abcd");
    fs::create_dir_all(&snapshot).unwrap();
    for entry in fs::read_dir(fixture("qwen2_5_vl-b")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), snapshot.join(entry.file_name())).unwrap();
    }

    let (code, info) = with_cache(cache.path(), &["info", "Some/Model-2B"]);
    assert_eq!(code, Some(0), "{info}");
    let facts = ["family", "dtype", "layers", "heads", "kv_heads", "vocabulary"].map(|key| info[key].clone());
    let expected = ["qwen2_5_vl".into(), "bf16".into(), 3.into(), 3.into(), 1.into(), 400.into()];
    assert_eq!(facts, expected as [Value; 6]);
    assert_eq!(info["path"], snapshot.to_str().unwrap());

    let (code, list) = with_cache(cache.path(), &["list"]);
    assert_eq!(code, Some(0));
    let found = list["models"].as_array().unwrap().iter().find(|model| model["id"] == "Some/Model-2B").unwrap();
    assert_eq!((&found["family"], &found["source"]), (&"qwen2_5_vl".into(), &"cache".into()));

    let (code, error) = with_cache(cache.path(), &["info", "Some/Other"]);
    assert_eq!((code, &error["error"]["code"]), (Some(5), &"model".into()));
}

#[test]
fn pull_says_that_there_is_no_network_code() {
    let outcome = longsight(&["model", "pull", "Some/Model"]);
    assert_eq!(outcome.code, Some(5));
    assert!(outcome.stderr.contains("huggingface-cli download Some/Model"), "{}", outcome.stderr);
}
