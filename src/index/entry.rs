//! One entry: `entry.json` with all that is text, `tokens.safetensors`, `kv.safetensors`, `slices.safetensors` and `parts.safetensors` with
//! what is numbers, the hashes of their tensors in the first.

use super::kv::{self, KvFormat, Layers};
use super::sections::{Hashes, Sections, save};
use super::{ENTRY, FORMAT, IndexError};
use crate::evidence::Coverage;
use candle_core::{Device, Tensor};
use longsight_models::{Coordinate, FrameRef, Medium, PatchTime, Sequence, TimeBase, Timestamp, VisualTokens};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const TOKENS: &str = "tokens.safetensors";
const KV: &str = "kv.safetensors";

/// What was seen of a video, and what the language model made of the part of its prompts that comes before any question.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What is text
    pub reading: Reading,
    /// Visual tokens that reach the language model
    pub tokens: VisualTokens,
    /// Keys and values `[kv_heads, tokens, head_dim]` of each layer, for `reading.prefix`, with room behind these tokens where they were
    /// read from a file; empty where none are kept
    pub kv: Vec<(Tensor, Tensor)>,
    /// Where it was read from
    pub folder: Option<PathBuf>,
}

/// The beginning of a prompt that has been run: what it was, and its keys and values.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Up to the last visual token
    pub known: Sequence,
    /// `[kv_heads, tokens, head_dim]` of each layer
    pub kv: Vec<(Tensor, Tensor)>,
}

impl Prompt {
    /// Whether a prompt begins with all of it. Only then is nothing written over its keys and values, which others may share.
    #[must_use]
    pub fn begins(&self, sequence: &Sequence) -> bool {
        self.known.common_prefix(sequence) == self.known.len()
    }
}

/// How what was seen is cut into pieces, each of which has a prompt of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Short stretches, which are asked about for yes or no
    Slices,
    /// Parts, which are asked what they say instead
    Parts,
}

impl Cut {
    const ALL: [Self; 2] = [Self::Slices, Self::Parts];

    fn file(self) -> &'static str {
        match self {
            Self::Slices => "slices.safetensors",
            Self::Parts => "parts.safetensors",
        }
    }
}

/// The prompts about the pieces of what was seen.
#[derive(Debug, Clone)]
pub struct Pieces {
    /// The first temporal patch of each, in their order
    pub starts: Vec<usize>,
    /// One for each piece
    pub prompts: Vec<Prompt>,
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
    /// How keys and values are kept; `None` if they are not
    pub kv: Option<KvFormat>,
    /// The width of a head, whose numbers do not share scales with those of others
    pub head_dim: usize,
    /// The first temporal patches of the pieces that are kept, by file
    pub pieces: BTreeMap<String, Vec<usize>>,
    /// BLAKE3 of the tensors in the other files, by file and name
    pub hashes: BTreeMap<String, Hashes>,
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
    pub(super) fn write(&self, pieces: &[(Cut, Pieces)], folder: &Path) -> Result<(), IndexError> {
        let mut tensors = HashMap::from([
            ("embeddings".to_owned(), self.tokens.embeddings().contiguous()?),
            ("coordinates".to_owned(), coordinates(&self.tokens)?),
        ]);
        for (level, rows) in self.tokens.deepstack().iter().enumerate() {
            tensors.insert(format!("deepstack.{level}"), rows.contiguous()?);
        }
        let mut reading = self.reading.clone();
        let mut write = |name: &str, tensors: &HashMap<String, Tensor>| -> Result<(), IndexError> {
            reading.hashes.insert(name.to_owned(), save(tensors, &folder.join(name))?);
            Ok(())
        };
        write(TOKENS, &tensors)?;
        if let Some(format) = self.reading.kv {
            write(KV, &kv::encode(&self.kv, format)?)?;
            for (cut, pieces) in pieces {
                write(cut.file(), &joined(&pieces.prompts, format)?)?;
            }
            let starts = |(cut, pieces): &(Cut, Pieces)| (cut.file().to_owned(), pieces.starts.clone());
            reading.pieces = pieces.iter().map(starts).collect();
        }
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
        let tokens = tokens(&open(&reading, folder, TOKENS)?, &reading)?;
        let kv = match reading.kv {
            Some(format) => {
                kv::decode(&open(&reading, folder, KV)?, format, reading.prefix.len(), true, reading.head_dim)?
            }
            None => Vec::new(),
        };
        Ok(Some(Self { reading, tokens, kv, folder: Some(folder.to_path_buf()) }))
    }

    /// Reads a folder whole, to see that it is what was written; `false` if it is no entry.
    pub(super) fn check(folder: &Path) -> Result<bool, IndexError> {
        let Some(kept) = Self::read(folder)? else { return Ok(false) };
        for cut in Cut::ALL {
            kept.pieces(cut)?;
        }
        Ok(true)
    }

    /// The prompts of pieces, where they are kept: read when they are needed.
    ///
    /// # Errors
    /// When they are not what was written.
    pub fn pieces(&self, cut: Cut) -> Result<Option<Pieces>, IndexError> {
        let Reading { kv: Some(format), head_dim, .. } = self.reading else { return Ok(None) };
        let (Some(starts), Some(folder)) = (self.reading.pieces.get(cut.file()), &self.folder) else { return Ok(None) };
        let file = open(&self.reading, folder, cut.file())?;
        let numbers = |name: &str| -> Result<Vec<u32>, IndexError> { Ok(file.tensor(name)?.flatten_all()?.to_vec1()?) };
        let (lengths, ids, positions) = (numbers("lengths")?, numbers("ids")?, numbers("positions")?);
        let total: usize = lengths.iter().map(|&length| length as usize).sum();
        if ids.len() != total || positions.len() != 3 * total {
            return Err(file.damaged("the pieces' lengths are not those of their tokens"));
        }
        if lengths.len() != starts.len() {
            return Err(file.damaged("there are not as many pieces as were written"));
        }
        let layers = kv::decode(&file, format, total, false, head_dim)?;
        let mut prompts = Vec::with_capacity(lengths.len());
        let mut start = 0;
        for length in lengths {
            let rows = start..start + length as usize;
            let axis = |axis: usize| positions[axis * total..][rows.clone()].to_vec();
            let known = Sequence::new(ids[rows.clone()].to_vec(), std::array::from_fn(axis), Vec::new());
            let part = |tensor: &Tensor| tensor.narrow(1, rows.start, rows.len());
            let kv = layers.iter().map(|(keys, values)| Ok((part(keys)?, part(values)?)));
            prompts.push(Prompt { known, kv: kv.collect::<Result<_, IndexError>>()? });
            start = rows.end;
        }
        Ok(Some(Pieces { starts: starts.clone(), prompts }))
    }
}

fn open<'r>(reading: &'r Reading, folder: &Path, name: &str) -> Result<Sections<'r>, IndexError> {
    let unknown = || IndexError::Damaged { path: folder.join(name), message: "its hashes are not kept".to_owned() };
    Sections::open(&folder.join(name), reading.hashes.get(name).ok_or_else(unknown)?)
}

fn tokens(file: &Sections<'_>, reading: &Reading) -> Result<VisualTokens, IndexError> {
    let mut deepstack = Vec::new();
    while file.has(&format!("deepstack.{}", deepstack.len())) {
        deepstack.push(file.tensor(&format!("deepstack.{}", deepstack.len()))?);
    }
    let places: Vec<Vec<u32>> = file.tensor("coordinates")?.to_vec2()?;
    let place = |place: &Vec<u32>| match place[..] {
        [t, h, w] => Ok(Coordinate { t, h, w }),
        _ => Err(file.damaged(&format!("places of {} numbers", place.len()))),
    };
    let places = places.iter().map(place).collect::<Result<_, _>>()?;
    let time = |&(first, last): &(KeptFrame, KeptFrame)| PatchTime { first: first.into(), last: last.into() };
    let times = reading.patches.iter().map(time).collect();
    Ok(VisualTokens::restore(file.tensor("embeddings")?, deepstack, places, times, reading.grid, Medium::Video)?)
}

/// All prompts as one table, one after the other.
fn joined(prompts: &[Prompt], format: KvFormat) -> Result<HashMap<String, Tensor>, IndexError> {
    let count = prompts.first().map_or(0, |prompt| prompt.kv.len());
    let joined = |layer: usize, part: fn(&(Tensor, Tensor)) -> &Tensor| -> Result<Tensor, IndexError> {
        let parts: Option<Vec<&Tensor>> = prompts.iter().map(|prompt| prompt.kv.get(layer).map(part)).collect();
        Ok(Tensor::cat(&parts.unwrap_or_default(), 1)?)
    };
    let layers = (0..count).map(|layer| Ok((joined(layer, |kv| &kv.0)?, joined(layer, |kv| &kv.1)?)));
    let mut tensors = kv::encode(&layers.collect::<Result<Layers, IndexError>>()?, format)?;
    let mut insert = |name: &str, numbers: Vec<u32>| -> Result<(), IndexError> {
        let length = numbers.len();
        tensors.insert(name.to_owned(), Tensor::from_vec(numbers, length, &Device::Cpu)?);
        Ok(())
    };
    insert("lengths", prompts.iter().map(|prompt| prompt.known.len() as u32).collect())?;
    insert("ids", prompts.iter().flat_map(|prompt| prompt.known.ids().iter().copied()).collect())?;
    let axis = |axis: usize| prompts.iter().flat_map(move |prompt| prompt.known.positions()[axis].iter().copied());
    insert("positions", (0..3).flat_map(axis).collect())?;
    Ok(tensors)
}

/// `[tokens, 3]`
fn coordinates(tokens: &VisualTokens) -> Result<Tensor, IndexError> {
    let flat: Vec<u32> = tokens.coordinates().iter().flat_map(|at| [at.t, at.h, at.w]).collect();
    Ok(Tensor::from_vec(flat, (tokens.len(), 3), &Device::Cpu)?)
}
