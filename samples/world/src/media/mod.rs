//! Pictures -> H.264 and back.
//!
//! In: RGB pictures in order. Out: an MP4 file ([`write_mp4`]), or packets for a [`Decoder`] in the same process. Always
//! 4:2:0, BT.709, limited range, and tagged so. Never knows what the pictures show.

mod decode;
mod encode;
mod yuv;

use std::path::PathBuf;
use std::sync::Once;

pub use decode::Decoder;
pub use encode::{EncodeOptions, Encoder, write_mp4};

/// Why a clip could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// 4:2:0 needs even sides.
    #[error("a picture of {width}x{height} pixels cannot be encoded: both sides must be even and at least 16")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The installed FFmpeg lacks an encoder or decoder.
    #[error("this FFmpeg has no {0}")]
    Missing(&'static str),
    /// A picture of another size than the encoder was opened for.
    #[error("a picture of {found:?} pixels where {expected:?} were announced")]
    Picture {
        /// Width and height the encoder was opened for.
        expected: (u32, u32),
        /// Width and height of the picture.
        found: (u32, u32),
    },
    /// A file could not be written.
    #[error("cannot write {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What FFmpeg said.
        source: ffmpeg_next::Error,
    },
    /// FFmpeg failed.
    #[error("FFmpeg failed to {doing}")]
    Ffmpeg {
        /// What it was asked to do.
        doing: &'static str,
        /// What it said.
        source: ffmpeg_next::Error,
    },
}

/// For `map_err`: what was being done when FFmpeg failed.
fn failed(doing: &'static str) -> impl Fn(ffmpeg_next::Error) -> MediaError {
    move |source| MediaError::Ffmpeg { doing, source }
}

/// Registers FFmpeg's parts once and keeps x264's statistics off stderr.
fn ready() -> Result<(), MediaError> {
    static QUIET: Once = Once::new();
    ffmpeg_next::init().map_err(failed("start"))?;
    QUIET.call_once(|| ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Fatal));
    Ok(())
}

#[cfg(test)]
mod tests;
