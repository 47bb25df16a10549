//! The one way to a file.

use super::error::DecodeError;
use super::info::{self, VideoInfo};
use super::limits::Limits;
use super::native::{self, Code, Codec, Demuxer, Watch};
use super::reader::Reader;
use super::scan;
use super::source;
use ffmpeg_next::ffi;
use ffmpeg_next::packet::side_data;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// An opened file whose video stream is chosen and can be decoded.
pub struct Video {
    pub(super) path: PathBuf,
    pub(super) demuxer: Demuxer,
    pub(super) info: VideoInfo,
    pub(super) limits: Limits,
}

/// Opens a local video file: the first video stream that is no cover picture.
///
/// # Errors
/// When the path names no regular file, the file is no video that is read here, or it exceeds `limits`.
pub fn open(path: impl AsRef<Path>, limits: &Limits) -> Result<Video, DecodeError> {
    open_cancellable(path.as_ref(), limits, Arc::default())
}

/// As [`open`]; setting `cancel` ends this and every later wait for the file.
pub(super) fn open_cancellable(path: &Path, limits: &Limits, cancel: Arc<AtomicBool>) -> Result<Video, DecodeError> {
    source::check(path)?;
    let watch = Watch::new(cancel);
    watch.allow(limits.open_timeout);
    let mut demuxer = Demuxer::open(path, source::FORMATS, limits, Arc::clone(&watch)).map_err(|code| {
        if code == Code::EXIT && watch.cancelled() {
            return DecodeError::Cancelled { path: path.to_path_buf() };
        }
        source::explain(path, code, limits, watch.expired())
    })?;
    let stream = choose(path, &demuxer)?;
    check(path, &demuxer, stream, limits)?;
    demuxer.keep_only(stream);
    let mut info = VideoInfo::read(&demuxer, stream);
    if !scan::is_plausible(path, &info) {
        scan::measure(path, &mut info, limits);
    } else if info::own_length(&demuxer, stream).is_none() {
        scan::count_from_start(path, &mut info, limits);
    }
    Ok(Video { path: path.to_path_buf(), demuxer, info, limits: limits.clone() })
}

impl Video {
    /// What the container says.
    #[must_use]
    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Set by whoever wants decoding to end.
    pub(super) fn cancel(&self) -> Arc<AtomicBool> {
        self.demuxer.watch().cancel()
    }

    /// Walks every frame from the start.
    ///
    /// # Errors
    /// When the decoder cannot be started.
    pub fn reader(self) -> Result<Reader, DecodeError> {
        Reader::new(self)
    }
}

/// Tells lack of memory from damage, after `code`.
///
/// # Errors
/// When it is memory that was missing.
pub(super) fn check_memory(path: &Path, info: &VideoInfo, code: Code) -> Result<(), DecodeError> {
    let pixels = u64::from(info.coded_width) * u64::from(info.coded_height);
    match native::is_out_of_memory(code, pixels) {
        true => Err(DecodeError::OutOfMemory { path: path.to_path_buf(), limit: None }),
        false => Ok(()),
    }
}

/// What FFmpeg failed at where no file makes it fail.
pub(super) fn failed(path: &Path, action: &'static str, code: Code) -> DecodeError {
    let path = path.to_path_buf();
    match code {
        Code::NO_MEMORY => DecodeError::OutOfMemory { path, limit: None },
        _ => DecodeError::Ffmpeg { path, action: action.into(), reason: code.to_string() },
    }
}

/// The first video stream that is no cover picture and can be shown.
fn choose(path: &Path, demuxer: &Demuxer) -> Result<usize, DecodeError> {
    let streams = 0..demuxer.stream_count();
    let mut videos = streams.clone().filter(|&index| info::is_video(demuxer, index));
    videos.next().ok_or_else(|| {
        let has = |wanted| streams.clone().any(|index| demuxer.parameters(index).codec_type == wanted);
        let found = if streams.clone().any(|index| info::is_cover(demuxer, index)) {
            "audio and a cover picture"
        } else if has(ffi::AVMediaType::AVMEDIA_TYPE_AUDIO) {
            "audio only"
        } else if demuxer.stream_count() == 0 {
            "no streams at all"
        } else {
            "other data only"
        };
        DecodeError::NoVideoStream { path: path.to_path_buf(), found: found.into() }
    })
}

fn check(path: &Path, demuxer: &Demuxer, stream: usize, limits: &Limits) -> Result<(), DecodeError> {
    let (path, parameters) = (path.to_path_buf(), demuxer.parameters(stream));
    let encrypted = [b"encv", b"drmi"].iter().any(|tag| parameters.codec_tag == u32::from_le_bytes(**tag));
    if encrypted || demuxer.side_data(stream, side_data::Type::EncryptionInitInfo).is_some() {
        return Err(DecodeError::Encrypted { path });
    }
    if !Codec::exists(demuxer, stream) {
        return Err(DecodeError::UnsupportedCodec { path, codec: codec_words(parameters) });
    }
    let (width, height) = (parameters.width.max(0).unsigned_abs(), parameters.height.max(0).unsigned_abs());
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(DecodeError::TooLarge { path, width, height, max_pixels: limits.max_pixels });
    }
    Ok(())
}

/// The codec's name, or for unknown ones the container's four characters.
fn codec_words(parameters: &ffi::AVCodecParameters) -> String {
    let name = super::native::codec_name(parameters.codec_id);
    let tag = parameters.codec_tag.to_le_bytes();
    let readable = tag.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    match (name == "none" || name.starts_with("unknown"), readable) {
        (true, true) => String::from_utf8_lossy(&tag).into_owned(),
        (true, false) => "unknown".to_owned(),
        (false, _) => name,
    }
}
