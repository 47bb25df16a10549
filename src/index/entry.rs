//! One entry: `entry.json` with all that is text, `tokens.safetensors` and `kv.safetensors` with what is numbers, their hashes in the first.

use super::{ENTRY, FORMAT, IndexError};
use crate::evidence::Coverage;
use candle_core::{Device, Tensor, safetensors};
use longsight_models::{Coordinate, FrameRef, Medium, PatchTime, TimeBase, Timestamp, VisualTokens};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::Path;

const TOKENS: &str = "tokens.safetensors";
const KV: &str = "kv.safetensors";

/// What was seen of a video, and what the language model made of the part of its prompts that comes before any question.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What is text
    pub reading: Reading,
    /// Visual tokens that reach the language model
    pub tokens: VisualTokens,
    /// Keys and values `[kv_heads, tokens, head_dim]` of each layer, for `reading.prefix`
    pub kv: Vec<(Tensor, Tensor)>,
}

/// `entry.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// [`FORMAT`]
    pub format: String,
    /// The video, as it was called
    pub video: String,
    /// The model, as it was called
    pub model: String,
    /// Frames that were seen
    pub frames: Vec<KeptFrame>,
    /// First and last frame of each temporal patch
    pub patches: Vec<(KeptFrame, KeptFrame)>,
    /// Rows and columns of a patch before any selection
    pub grid: (usize, usize),
    /// What was looked at
    pub coverage: Coverage,
    /// What was wrong with the file
    pub warnings: Vec<String>,
    /// Ids of the prompt's tokens that `kv` is of
    pub prefix: Vec<u32>,
    /// Their positions on three axes
    pub positions: [Vec<u32>; 3],
    /// BLAKE3 of the other files, by name
    pub hashes: BTreeMap<String, String>,
}

/// A frame's number, its time in ticks, and the length of a tick as a fraction of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFrame(u64, i64, u32, u32);

impl From<&FrameRef> for KeptFrame {
    fn from(frame: &FrameRef) -> Self {
        Self(frame.index, frame.time.pts, frame.time.base.num, frame.time.base.den)
    }
}

impl From<KeptFrame> for FrameRef {
    fn from(KeptFrame(index, pts, num, den): KeptFrame) -> Self {
        Self { index, time: Timestamp { pts, base: TimeBase { num, den } } }
    }
}

impl Kept {
    /// Writes all files into an empty folder, `entry.json` last.
    pub(super) fn write(&self, folder: &Path) -> Result<(), IndexError> {
        let mut tensors = HashMap::from([
            ("embeddings".to_owned(), self.tokens.embeddings().contiguous()?),
            ("coordinates".to_owned(), coordinates(&self.tokens)?),
        ]);
        for (level, rows) in self.tokens.deepstack().iter().enumerate() {
            tensors.insert(format!("deepstack.{level}"), rows.contiguous()?);
        }
        let mut reading = self.reading.clone();
        reading.hashes.insert(TOKENS.to_owned(), save(&tensors, &folder.join(TOKENS))?);
        let mut tensors = HashMap::new();
        for (layer, (keys, values)) in self.kv.iter().enumerate() {
            tensors.insert(format!("{layer}.keys"), keys.contiguous()?);
            tensors.insert(format!("{layer}.values"), values.contiguous()?);
        }
        reading.hashes.insert(KV.to_owned(), save(&tensors, &folder.join(KV))?);
        let path = folder.join(ENTRY);
        let io = |source| IndexError::Io { path: path.clone(), source };
        let text = serde_json::to_vec(&reading).map_err(|error| io(error.into()))?;
        fs::write(&path, text).map_err(io)?;
        File::open(&path).and_then(|file| file.sync_all()).map_err(io)
    }

    /// Reads a folder; `None` if it is no entry, or one of another format.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, IndexError> {
        let Ok(text) = fs::read(folder.join(ENTRY)) else { return Ok(None) };
        let damaged = |message: String| IndexError::Damaged { path: folder.to_path_buf(), message };
        let reading: Reading = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if reading.format != FORMAT {
            return Ok(None);
        }
        let load = |name: &str| -> Result<HashMap<String, Tensor>, IndexError> {
            let path = folder.join(name);
            let bytes = fs::read(&path).map_err(|source| IndexError::Io { path: path.clone(), source })?;
            if reading.hashes.get(name) != Some(&blake3::hash(&bytes).to_hex().to_string()) {
                return Err(damaged(format!("{name} is not what was written")));
            }
            Ok(safetensors::load_buffer(&bytes, &Device::Cpu)?)
        };
        let mut tensors = load(TOKENS)?;
        let mut take = |name: &str| tensors.remove(name).ok_or_else(|| damaged(format!("{TOKENS} has no {name}")));
        let (embeddings, places) = (take("embeddings")?, take("coordinates")?);
        let mut deepstack = Vec::new();
        while let Ok(rows) = take(&format!("deepstack.{}", deepstack.len())) {
            deepstack.push(rows);
        }
        let places: Vec<Vec<u32>> = places.to_vec2()?;
        let place = |place: &Vec<u32>| match place[..] {
            [t, h, w] => Ok(Coordinate { t, h, w }),
            _ => Err(damaged(format!("{TOKENS} has places of {} numbers", place.len()))),
        };
        let places = places.iter().map(place).collect::<Result<_, _>>()?;
        let time = |&(first, last): &(KeptFrame, KeptFrame)| PatchTime { first: first.into(), last: last.into() };
        let times = reading.patches.iter().map(time).collect();
        let tokens = VisualTokens::restore(embeddings, deepstack, places, times, reading.grid, Medium::Video)?;
        let mut tensors = load(KV)?;
        let mut kv = Vec::new();
        while let (Some(keys), Some(values)) =
            (tensors.remove(&format!("{}.keys", kv.len())), tensors.remove(&format!("{}.values", kv.len())))
        {
            kv.push((keys, values));
        }
        Ok(Some(Self { reading, tokens, kv }))
    }
}

/// `[tokens, 3]`
fn coordinates(tokens: &VisualTokens) -> Result<Tensor, IndexError> {
    let flat: Vec<u32> = tokens.coordinates().iter().flat_map(|at| [at.t, at.h, at.w]).collect();
    Ok(Tensor::from_vec(flat, (tokens.len(), 3), &Device::Cpu)?)
}

/// Writes tensors through to the disk and gives the file's hash.
fn save(tensors: &HashMap<String, Tensor>, path: &Path) -> Result<String, IndexError> {
    safetensors::save(tensors, path)?;
    let io = |source| IndexError::Io { path: path.to_path_buf(), source };
    File::open(path).and_then(|file| file.sync_all()).map_err(io)?;
    let mut hash = blake3::Hasher::new();
    hash.update_mmap(path).map_err(io)?;
    Ok(hash.finalize().to_hex().to_string())
}
