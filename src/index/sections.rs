//! A safetensors file that is read tensor by tensor, each straight to its place and checked on the way.

use super::IndexError;
use candle_core::{DType, Device, Tensor, safetensors};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The name under which the hash of a file's head stands: what its tensors are called, and where they lie.
const HEAD: &str = "";
/// A head is no longer; what says otherwise is damaged.
const MOST_HEAD: u64 = 16 << 20;

/// BLAKE3 of each tensor, and of the head.
pub(super) type Hashes = BTreeMap<String, String>;

/// Where a tensor lies in the file, behind the head.
#[derive(Debug, Clone, Deserialize)]
struct Section {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// A file whose head has been read.
#[derive(Debug)]
pub(super) struct Sections<'h> {
    path: PathBuf,
    body: u64,
    sections: HashMap<String, Section>,
    hashes: &'h Hashes,
}

/// Writes tensors through to the disk and gives their hashes.
pub(super) fn save(tensors: &HashMap<String, Tensor>, path: &Path) -> Result<Hashes, IndexError> {
    safetensors::save(tensors, path)?;
    let io = |source| IndexError::Io { path: path.to_path_buf(), source };
    File::open(path).and_then(|file| file.sync_all()).map_err(io)?;
    let none = Hashes::new();
    let (sections, head) = Sections::parse(path, &none)?;
    let mut hashes = Hashes::from([(HEAD.to_owned(), head)]);
    for (name, section) in &sections.sections {
        let mut bytes = vec![0; usize::try_from(section.data_offsets.1 - section.data_offsets.0).unwrap_or(0)];
        sections.file(section)?.read_exact(&mut bytes).map_err(io)?;
        hashes.insert(name.clone(), hash(&bytes));
    }
    Ok(hashes)
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

impl<'h> Sections<'h> {
    /// Reads the head of a file whose hashes were kept elsewhere.
    pub(super) fn open(path: &Path, hashes: &'h Hashes) -> Result<Self, IndexError> {
        let (sections, head) = Self::parse(path, hashes)?;
        if hashes.get(HEAD) != Some(&head) {
            return Err(sections.damaged("the head is not what was written"));
        }
        Ok(sections)
    }

    fn parse(path: &Path, hashes: &'h Hashes) -> Result<(Self, String), IndexError> {
        let damaged = |message: String| IndexError::Damaged { path: path.to_path_buf(), message };
        let io = |source| IndexError::Io { path: path.to_path_buf(), source };
        let mut file = File::open(path).map_err(io)?;
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io)?;
        let length = u64::from_le_bytes(length);
        if length > MOST_HEAD {
            return Err(damaged(format!("a head of {length} bytes")));
        }
        let mut head = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact(&mut head).map_err(io)?;
        let sections = serde_json::from_slice(&head).map_err(|error| damaged(error.to_string()))?;
        Ok((Self { path: path.to_path_buf(), body: 8 + length, sections, hashes }, hash(&head)))
    }

    /// Whether there is a tensor of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.sections.contains_key(name)
    }

    /// The shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Result<&[usize], IndexError> {
        Ok(&self.section(name)?.shape)
    }

    /// A tensor whose numbers take one, two or four bytes.
    pub(super) fn tensor(&self, name: &str) -> Result<Tensor, IndexError> {
        let section = self.section(name)?;
        let bytes = self.bytes(name)?;
        let dtype = match section.dtype.as_str() {
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            "U32" => DType::U32,
            other => return Err(self.damaged(&format!("{name} is of {other}"))),
        };
        let count: usize = section.shape.iter().product();
        if bytes.len() != count * dtype.size_in_bytes() {
            return Err(self.damaged(&format!("{name} has {} bytes", bytes.len())));
        }
        Ok(Tensor::from_raw_buffer(&bytes, dtype, &section.shape, &Device::Cpu)?)
    }

    /// A tensor's bytes, checked.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, IndexError> {
        let section = self.section(name)?;
        let length = section.data_offsets.1.saturating_sub(section.data_offsets.0);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.read(name, [bytes.as_mut_slice()].into_iter())?;
        Ok(bytes)
    }

    /// Reads a tensor's bytes into some pieces, one after the other, which are all of it.
    pub(super) fn read<'a>(&self, name: &str, pieces: impl Iterator<Item = &'a mut [u8]>) -> Result<(), IndexError> {
        let section = self.section(name)?;
        let io = |source| IndexError::Io { path: self.path.clone(), source };
        let mut file = self.file(section)?;
        let (mut hasher, mut read) = (blake3::Hasher::new(), 0);
        for piece in pieces {
            file.read_exact(piece).map_err(io)?;
            hasher.update(piece);
            read += piece.len() as u64;
        }
        let whole = read == section.data_offsets.1.saturating_sub(section.data_offsets.0);
        if !whole || self.hashes.get(name).map(String::as_str) != Some(hasher.finalize().to_hex().as_str()) {
            return Err(self.damaged(&format!("{name} is not what was written")));
        }
        Ok(())
    }

    fn file(&self, section: &Section) -> Result<File, IndexError> {
        let io = |source| IndexError::Io { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(io)?;
        file.seek(SeekFrom::Start(self.body.saturating_add(section.data_offsets.0))).map_err(io)?;
        Ok(file)
    }

    fn section(&self, name: &str) -> Result<&Section, IndexError> {
        self.sections.get(name).ok_or_else(|| self.damaged(&format!("there is no {name}")))
    }

    /// An error about this file.
    pub(super) fn damaged(&self, message: &str) -> IndexError {
        IndexError::Damaged { path: self.path.clone(), message: message.to_owned() }
    }
}
