//! The file that is cut, and how it becomes another.

use super::output::Sink;
use super::{CutError, How, copy, encode};
use crate::decode::error::DecodeError;
use crate::decode::info::{self, VideoInfo};
use crate::decode::limits::{self, Limits};
use crate::decode::native::{self, Code, Demuxer};
use crate::decode::{Orientation, open};
use ffmpeg_next::ffi;
use longsight_models::Span;
use serde::{Deserialize, Serialize};
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What is cut out of a file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) span: Span,
    pub(crate) how: How,
}

/// What of the video a clip holds, how it was made, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) piece: Piece,
    /// Which of [`super::CLIP_ENDINGS`]
    pub(super) ending: usize,
}

/// Cuts a piece out of a file, byte by byte to `sink`.
pub(super) fn make<'a>(
    path: &Path,
    limits: &Limits,
    Piece { span, how }: Piece,
    cancel: &Arc<AtomicBool>,
    sink: &'a mut Sink<'a>,
) -> Result<Made, CutError> {
    let video = open::open_cancellable(path, limits, Arc::clone(cancel))?;
    let info = video.info().clone();
    let frame = 1.0 / info.frame_rate.filter(|rate| *rate > 0.0).unwrap_or(25.0);
    let known_end = info.end_s().filter(|_| !info.duration_is_guess).unwrap_or(f64::INFINITY);
    if span.start >= known_end {
        return Err(CutError::Nothing { path: path.to_path_buf(), span });
    }
    let span = Span { start: span.start, end: span.end.max(span.start + frame).min(known_end) };
    // Not every FFmpeg keeps the turn of a picture in a copy.
    let how = if info.orientation == Orientation::default() { how } else { How::Encoded };
    let mut source = Source { demuxer: video.demuxer, info, limits: limits.clone(), path: path.to_path_buf() };
    let sounds = source.sounds();
    let container = Container::of(&source, &sounds, how);
    let span = match how {
        How::Copied => copy::copy(&mut source, &sounds, span, container, sink)?,
        How::Encoded => encode::encode(&mut source, &sounds, span, container, sink, cancel)?,
    };
    let ending = super::CLIP_ENDINGS.iter().position(|ending| *ending == container.ending).unwrap_or(0);
    Ok(Made { piece: Piece { span, how }, ending })
}

/// The file that is cut.
pub(super) struct Source {
    pub(super) demuxer: Demuxer,
    pub(super) info: VideoInfo,
    pub(super) limits: Limits,
    pub(super) path: PathBuf,
}

impl Source {
    /// Streams with sound.
    fn sounds(&self) -> Vec<usize> {
        let kind = |index| self.demuxer.parameters(index).codec_type;
        (0..self.demuxer.stream_count()).filter(|&index| kind(index) == ffi::AVMediaType::AVMEDIA_TYPE_AUDIO).collect()
    }

    /// The next packet of a kept stream; `None` at the end, and where the file is damaged beyond.
    pub(super) fn next(&mut self, packet: &mut native::Packet) -> Result<Option<()>, CutError> {
        self.demuxer.watch().allow(self.limits.stall_timeout);
        let mut errors = 0;
        loop {
            match self.demuxer.read(packet) {
                Ok(()) => return Ok(Some(())),
                Err(Code::EOF) => return Ok(None),
                Err(_) if self.demuxer.watch().cancelled() => {
                    return Err(DecodeError::Cancelled { path: self.path.clone() }.into());
                }
                Err(_) if errors >= limits::MAX_READ_ERRORS || self.demuxer.watch().expired() => {
                    return Ok(None);
                }
                Err(_) => errors += 1,
            }
        }
    }

    /// Seconds of a packet's time on the source clock.
    pub(super) fn seconds(&self, stream: usize, ticks: i64) -> f64 {
        ticks as f64 * info::time_base(self.demuxer.stream(stream).time_base).seconds()
    }

    pub(super) fn packet(&self) -> Result<native::Packet, CutError> {
        native::Packet::new().map_err(|code| CutError::refused(&self.path, code))
    }
}

/// What a cut is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) muxer: &'static CStr,
    pub(super) ending: &'static str,
}

pub(super) const MP4: Container = Container { muxer: c"mp4", ending: "mp4" };
pub(super) const MATROSKA: Container = Container { muxer: c"matroska", ending: "mkv" };

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
