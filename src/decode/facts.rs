//! What every result says about the video it came from.

use super::feed::Feed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Files up to this size are fingerprinted whole.
const WHOLE_BYTES: u64 = 64 << 20;
/// Length of each piece of a larger file that goes into its fingerprint.
const PIECE_BYTES: u64 = 1 << 20;
/// Pieces, evenly spaced from the first byte to the last.
const PIECES: u64 = 32;

/// The `video` object of every JSON result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VideoFacts {
    /// As the user gave it
    pub path: String,
    /// BLAKE3 of the content, in hex; see [`fingerprint`]
    pub fingerprint: String,
    /// Length in seconds; of the stream if the container says, else of the file
    pub duration_s: Option<f64>,
    /// Width as displayed: after pixel aspect and turning
    pub width: u32,
    /// Height as displayed
    pub height: u32,
    /// Whether frames seem to come at irregular times
    pub vfr: bool,
}

impl VideoFacts {
    /// Facts about an opened video; `name` is what the user called it.
    ///
    /// # Errors
    /// When the file can no longer be read.
    pub fn new(video: &Feed, name: &Path) -> io::Result<Self> {
        Ok(Self::known(video, name, fingerprint(video.path())?))
    }

    /// The same where the content's [`fingerprint`] is known already.
    #[must_use]
    pub fn known(video: &Feed, name: &Path, fingerprint: String) -> Self {
        let info = video.info();
        Self {
            path: name.to_string_lossy().into_owned(),
            fingerprint,
            duration_s: info.duration_s,
            width: info.width,
            height: info.height,
            vfr: info.vfr,
        }
    }
}

/// BLAKE3 of a file in hex: of its whole content up to 64 MiB, and of its length and 32 evenly spaced pieces of 1 MiB,
/// first and last included, beyond. The same file has the same fingerprint under any name.
///
/// # Errors
/// When the file cannot be read.
pub fn fingerprint(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    if length <= WHOLE_BYTES {
        hasher.update_reader(&mut file)?;
    } else {
        hasher.update(b"longsight pieces 1");
        hasher.update(&length.to_le_bytes());
        for piece in 0..PIECES {
            let at = u128::from(length - PIECE_BYTES) * u128::from(piece) / u128::from(PIECES - 1);
            file.seek(SeekFrom::Start(u64::try_from(at).unwrap_or(0)))?;
            hasher.update_reader((&mut file).take(PIECE_BYTES))?;
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use std::io::Write;

    #[test]
    fn a_fingerprint_follows_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"hello").unwrap();
        assert_eq!(fingerprint(&path).unwrap(), blake3::hash(b"hello").to_hex().to_string());
    }

    #[test]
    fn a_large_file_is_known_by_its_length_and_both_ends() {
        let folder = tempfile::tempdir().unwrap();
        let prints: Vec<String> = [(0u64, b'a'), (0, b'b'), (1, b'a')]
            .iter()
            .enumerate()
            .map(|(at, &(longer, last))| {
                let path = folder.path().join(at.to_string());
                let mut file = File::create(&path).unwrap();
                file.set_len(WHOLE_BYTES + 100 + longer).unwrap();
                file.seek(SeekFrom::End(-1)).unwrap();
                file.write_all(&[last]).unwrap();
                fingerprint(&path).unwrap()
            })
            .collect();
        assert_ne!(prints[0], prints[1], "the last byte counts");
        assert_ne!(prints[0], prints[2], "the length counts");
    }
}
