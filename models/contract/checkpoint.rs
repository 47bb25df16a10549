//! A Hugging Face checkpoint folder: its JSON files and its safetensors shards.

use super::{DTypeName, ModelError};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest JSON file and safetensors header that is read: real ones stay below 20 MB (tokenizer.json).
const JSON_LIMIT: u64 = 256 << 20;

/// A checkpoint folder whose files were found but not loaded.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    folder: PathBuf,
    config: Value,
    shards: Vec<PathBuf>,
}

impl Checkpoint {
    /// Finds config.json and the weights in `folder`.
    ///
    /// # Errors
    /// When the folder holds no readable config.json or no safetensors; pickle weights are refused.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let config = read_json(&folder.join("config.json"))?;
        let shards = find_shards(folder)?;
        Ok(Self { folder: folder.to_path_buf(), config, shards })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// config.json.
    #[must_use]
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The safetensors files.
    #[must_use]
    pub fn shards(&self) -> &[PathBuf] {
        &self.shards
    }

    /// The first of `architectures` in config.json, or an empty string.
    #[must_use]
    pub fn architecture(&self) -> &str {
        self.config["architectures"][0].as_str().unwrap_or_default()
    }

    /// Another JSON file of the folder, `None` if it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read or parsed.
    pub fn json(&self, name: &str) -> Result<Option<Value>, ModelError> {
        let path = self.folder.join(name);
        if path.is_file() { read_json(&path).map(Some) } else { Ok(None) }
    }

    /// A text file of the folder, `None` if it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn text(&self, name: &str) -> Result<Option<String>, ModelError> {
        let path = self.folder.join(name);
        if path.is_file() { read_text(&path).map(Some) } else { Ok(None) }
    }

    /// Number of weights, their bytes, and the dtype that most of them are stored in, from the shards' headers.
    ///
    /// # Errors
    /// When a header cannot be read.
    pub fn weights(&self) -> Result<(u64, u64, DTypeName), ModelError> {
        let mut by_type = [(DTypeName::F32, 0u64), (DTypeName::F16, 0), (DTypeName::Bf16, 0)];
        let (mut parameters, mut bytes) = (0, 0);
        for shard in &self.shards {
            for (name, tensor) in read_header(shard)?.as_object().into_iter().flatten() {
                if name == "__metadata__" {
                    continue;
                }
                let sizes = tensor["shape"].as_array().into_iter().flatten();
                let count: u64 = sizes.filter_map(Value::as_u64).product();
                let offset = |i: usize| tensor["data_offsets"][i].as_u64().unwrap_or(0);
                parameters += count;
                bytes += offset(1).saturating_sub(offset(0));
                let kind = match tensor["dtype"].as_str() {
                    Some("F16") => 1,
                    Some("BF16") => 2,
                    _ => 0,
                };
                by_type[kind].1 += count;
            }
        }
        let most = by_type.into_iter().max_by_key(|&(_, count)| count).map_or(DTypeName::F32, |(name, _)| name);
        Ok((parameters, bytes, most))
    }
}

fn read_text(path: &Path) -> Result<String, ModelError> {
    let fail = |source| ModelError::Read { path: path.to_path_buf(), source };
    let file = fs::File::open(path).map_err(fail)?;
    let mut text = String::new();
    file.take(JSON_LIMIT).read_to_string(&mut text).map_err(fail)?;
    Ok(text)
}

fn read_json(path: &Path) -> Result<Value, ModelError> {
    serde_json::from_str(&read_text(path)?)
        .map_err(|error| ModelError::Config { path: path.to_path_buf(), message: error.to_string() })
}

/// A safetensors file's JSON header: 8 bytes of length, then the text.
fn read_header(path: &Path) -> Result<Value, ModelError> {
    let fail = |source| ModelError::Read { path: path.to_path_buf(), source };
    let wrong = |message: String| ModelError::Config { path: path.to_path_buf(), message };
    let mut file = fs::File::open(path).map_err(fail)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(fail)?;
    let length = u64::from_le_bytes(length);
    if length > JSON_LIMIT {
        return Err(wrong(format!("a safetensors header of {length} bytes")));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(fail)?;
    serde_json::from_slice(&header).map_err(|error| wrong(format!("no safetensors header: {error}")))
}

/// The shards that the index names, or model.safetensors, or whatever other safetensors lie in the folder.
fn find_shards(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let index = folder.join("model.safetensors.index.json");
    if index.is_file() {
        let map = read_json(&index)?;
        let names: BTreeSet<&str> =
            map["weight_map"].as_object().into_iter().flatten().filter_map(|(_, file)| file.as_str()).collect();
        // A name is a file of this folder and nothing else: an index from elsewhere must not reach out of it.
        if let Some(name) = names.iter().find(|name| Path::new(name).components().count() != 1 || name.contains("..")) {
            let message = format!("weight_map names {name}, which is no file of the folder");
            return Err(ModelError::Config { path: index, message });
        }
        let shards: Vec<PathBuf> = names.into_iter().map(|name| folder.join(name)).collect();
        if let Some(missing) = shards.iter().find(|shard| !shard.is_file()) {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(ModelError::Read { path: missing.clone(), source });
        }
        return refuse_pickle(shards, folder);
    }
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let entries = fs::read_dir(folder).map_err(|source| ModelError::Read { path: folder.to_path_buf(), source })?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let extension = |path: &PathBuf, names: &[&str]| path.extension().is_some_and(|e| names.iter().any(|n| e == *n));
    let references = ["frames.safetensors", "golden.safetensors"];
    let shards: Vec<PathBuf> = files
        .iter()
        .filter(|path| extension(path, &["safetensors"]) && !references.iter().any(|name| path.ends_with(name)))
        .cloned()
        .collect();
    if shards.is_empty()
        && let Some(path) = files.iter().find(|path| extension(path, &["bin", "pt", "pth", "pkl", "ckpt"]))
    {
        return Err(ModelError::Pickle { path: path.clone() });
    }
    refuse_pickle(shards, folder)
}

fn refuse_pickle(shards: Vec<PathBuf>, folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    match shards.iter().find(|shard| shard.extension().is_none_or(|e| e != "safetensors")) {
        Some(path) => Err(ModelError::Pickle { path: path.clone() }),
        None if shards.is_empty() => Err(ModelError::NoWeights { path: folder.to_path_buf() }),
        None => Ok(shards),
    }
}
