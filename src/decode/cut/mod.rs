//! A span of a file as a file of its own: copied packet by packet from key frame on, or encoded anew, to the frame.
//!
//! ```text
//! source (demuxer) --> copy | encode --> muxer --> output --bytes and where they stand--> sink: a file, or the pipe to one
//! ```
//!
//! Where decoding is locked in, so is cutting: the decoder's process sends the clip's bytes, and this one writes them.

mod apart;
mod copy;
mod encode;
mod muxer;
mod output;
mod source;

use super::error::DecodeError;
use super::feed::Feed;
pub(crate) use apart::serve;
use longsight_models::Span;
use serde::{Deserialize, Serialize};
pub(crate) use source::Piece;
use source::{MATROSKA, MP4, Made};
use std::fmt::Display;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What the name of a clip may end with.
pub const CLIP_ENDINGS: [&str; 2] = [MP4.ending, MATROSKA.ending];

/// How a span becomes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// The packets as they are, from the key frame at or before the span: fast and without loss, with earlier borders
    Copied,
    /// H.264 made anew from the frames of the span; sound is copied
    Encoded,
}

/// A file that was cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// The file
    pub path: PathBuf,
    /// What of the video it holds, in seconds on the source clock
    pub span: Span,
    /// How it was made; a turned picture is always encoded, because not every FFmpeg keeps the turn in a copy
    pub how: How,
}

/// Why a span could not become a file.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The source
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// No packet or frame of the video lies there
    #[error("{}: nothing between {:.3} and {:.3} s can be cut out", path.display(), span.start, span.end)]
    Nothing {
        /// The source
        path: PathBuf,
        /// As asked for
        span: Span,
    },
    /// The encoder refused the pictures, or the container a stream
    #[error("{}: no clip can be made of it: {why}", path.display())]
    Refused {
        /// The source
        path: PathBuf,
        /// FFmpeg's words
        why: String,
    },
    /// The disk refused the bytes, or the finished file its name
    #[error("{}: cannot be written: {source}", path.display())]
    Place {
        /// Where it should have been written
        path: PathBuf,
        /// Why
        source: std::io::Error,
    },
}

impl CutError {
    fn refused(path: &Path, why: impl Display) -> Self {
        Self::Refused { path: path.to_path_buf(), why: why.to_string() }
    }
}

/// Writes `span` of a video into `folder`, as `stem` with the ending of its container: MP4 where that takes
/// the streams and the source is one (or the pictures are encoded), else Matroska. It appears under its name when it is
/// complete. A span without length means the frame shown then.
///
/// # Errors
/// When the source cannot be read, has nothing there, or the file cannot be written.
pub fn cut(
    video: &Feed,
    span: Span,
    how: How,
    folder: &Path,
    stem: &str,
    cancel: &Arc<AtomicBool>,
) -> Result<Cut, CutError> {
    let draft = Draft(folder.join(format!(".{stem}.{}.part", std::process::id())));
    let placed = |path: &Path, source| CutError::Place { path: path.to_path_buf(), source };
    let file = File::create(&draft.0).map_err(|source| placed(&draft.0, source))?;
    let mut write = |at: u64, bytes: &[u8]| file.write_all_at(bytes, at);
    let piece = Piece { span, how };
    let made = match video.cut(piece, cancel)? {
        None => source::make(video.path(), video.limits(), piece, cancel, &mut write),
        Some(answer) => apart::receive(video, answer, &mut write),
    };
    let Made { piece, ending } = made.map_err(|error| match error {
        CutError::Place { source, .. } => placed(&draft.0, source),
        error => error,
    })?;
    let place = folder.join(format!("{stem}.{}", CLIP_ENDINGS[ending]));
    std::fs::rename(&draft.0, &place).map_err(|source| placed(&place, source))?;
    Ok(Cut { path: place, span: piece.span, how: piece.how })
}

/// A file that is not finished; gone when this is dropped, unless it was given its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already when it was renamed.
        let _ = std::fs::remove_file(&self.0);
    }
}
