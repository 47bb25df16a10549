//! A span of a file as a file of its own: copied packet by packet from key frame on, or encoded anew, to the frame.

mod copy;
mod encode;
mod muxer;

use super::error::DecodeError;
use super::info::VideoInfo;
use super::limits::Limits;
use super::native::{self, Code, Demuxer};
use super::open;
use ffmpeg_next::ffi;
use longsight_models::Span;
use longsight_world::media::MediaError;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How a span becomes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// FFmpeg takes names as UTF-8 only
    #[error("{}: is no UTF-8, which FFmpeg needs to write there", path.display())]
    Name {
        /// Where it should have been written
        path: PathBuf,
    },
    /// The container refused the stream, or the disk the bytes
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// Where it should have been written
        path: PathBuf,
        /// FFmpeg's words
        source: ffmpeg_next::Error,
    },
    /// The finished file could not be put in its place
    #[error("{}: cannot be written: {source}", path.display())]
    Place {
        /// Where it should have been put
        path: PathBuf,
        /// Why
        source: std::io::Error,
    },
    /// The encoder
    #[error(transparent)]
    Encode(#[from] MediaError),
}

impl From<Code> for ffmpeg_next::Error {
    fn from(code: Code) -> Self {
        Self::from(code.0)
    }
}

/// Writes `span` of the video at `path` into `folder`, as `stem` with the ending of its container: MP4 where that takes
/// the streams and the source is one (or the pictures are encoded), else Matroska. It appears under its name when it is
/// complete. A span without length means the frame shown then.
///
/// # Errors
/// When the source cannot be read, has nothing there, or the file cannot be written.
pub fn cut(
    path: &Path,
    span: Span,
    how: How,
    folder: &Path,
    stem: &str,
    cancel: &Arc<AtomicBool>,
) -> Result<Cut, CutError> {
    let limits = Limits::default();
    let video = open::open_cancellable(path, &limits, Arc::clone(cancel))?;
    let info = video.info().clone();
    let frame = 1.0 / info.frame_rate.filter(|rate| *rate > 0.0).unwrap_or(25.0);
    let known_end = info.end_s().filter(|_| !info.duration_is_guess).unwrap_or(f64::INFINITY);
    if span.start >= known_end {
        return Err(CutError::Nothing { path: path.to_path_buf(), span });
    }
    let span = Span { start: span.start, end: span.end.max(span.start + frame).min(known_end) };
    let how = if info.orientation == super::Orientation::default() { how } else { How::Encoded };
    let mut source = Source { demuxer: video.demuxer, info, limits, path: path.to_path_buf() };
    let sounds = source.sounds();
    let container = Container::of(&source, &sounds, how);
    let place = folder.join(format!("{stem}.{}", container.ending));
    let draft = folder.join(format!(".{stem}.{}.part", std::process::id()));
    let draft = Draft(draft);
    let span = match how {
        How::Copied => copy::copy(&mut source, &sounds, span, container, &draft.0)?,
        How::Encoded => encode::encode(&mut source, &sounds, span, container, &draft.0, cancel)?,
    };
    std::fs::rename(&draft.0, &place).map_err(|source| CutError::Place { path: place.clone(), source })?;
    Ok(Cut { path: place, span, how })
}

/// A file that is not finished; gone when this is dropped, unless it was given its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already when it was renamed.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The file that is cut.
struct Source {
    demuxer: Demuxer,
    info: VideoInfo,
    limits: Limits,
    path: PathBuf,
}

impl Source {
    /// Streams with sound.
    fn sounds(&self) -> Vec<usize> {
        let kind = |index| self.demuxer.parameters(index).codec_type;
        (0..self.demuxer.stream_count()).filter(|&index| kind(index) == ffi::AVMediaType::AVMEDIA_TYPE_AUDIO).collect()
    }

    /// The next packet of a kept stream; `None` at the end, and where the file is damaged beyond.
    fn next(&mut self, packet: &mut native::Packet) -> Result<Option<()>, CutError> {
        self.demuxer.watch().allow(self.limits.stall_timeout);
        let mut errors = 0;
        loop {
            match self.demuxer.read(packet) {
                Ok(()) => return Ok(Some(())),
                Err(Code::EOF) => return Ok(None),
                Err(_) if self.demuxer.watch().cancelled() => {
                    return Err(DecodeError::Cancelled { path: self.path.clone() }.into());
                }
                Err(_) if errors >= super::limits::MAX_READ_ERRORS || self.demuxer.watch().expired() => {
                    return Ok(None);
                }
                Err(_) => errors += 1,
            }
        }
    }

    /// Seconds of a packet's time on the source clock.
    fn seconds(&self, stream: usize, ticks: i64) -> f64 {
        ticks as f64 * super::info::time_base(self.demuxer.stream(stream).time_base).seconds()
    }

    fn packet(&self) -> Result<native::Packet, CutError> {
        native::Packet::new().map_err(|code| CutError::Write { path: self.path.clone(), source: code.into() })
    }
}

/// What a cut is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Container {
    muxer: &'static CStr,
    ending: &'static str,
}

const MP4: Container = Container { muxer: c"mp4", ending: "mp4" };
const MATROSKA: Container = Container { muxer: c"matroska", ending: "mkv" };
/// What the name of a clip may end with.
pub const CLIP_ENDINGS: [&str; 2] = [MP4.ending, MATROSKA.ending];

impl Container {
    fn of(source: &Source, sounds: &[usize], how: How) -> Self {
        let takes = |stream: usize| native::takes(MP4.muxer, source.demuxer.parameters(stream).codec_id);
        let pictures = match how {
            How::Copied => source.info.format.starts_with("mov") && takes(source.info.stream),
            How::Encoded => true,
        };
        if pictures && sounds.iter().all(|&stream| takes(stream)) { MP4 } else { MATROSKA }
    }
}
