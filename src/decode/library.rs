//! What the FFmpeg that this program runs on can do.

use serde::Serialize;

/// Versions and licence of the linked libraries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Library {
    /// Version of libavcodec
    pub libavcodec: String,
    /// Version of libavformat
    pub libavformat: String,
    /// Licence that it was built under
    pub license: String,
}

/// The linked FFmpeg.
#[must_use]
pub fn library() -> Library {
    let version = |packed: u32| format!("{}.{}.{}", packed >> 16, packed >> 8 & 0xff, packed & 0xff);
    Library {
        libavcodec: version(ffmpeg_next::codec::version()),
        libavformat: version(ffmpeg_next::format::version()),
        license: ffmpeg_next::codec::license().to_owned(),
    }
}

/// The name of the decoder that a codec (`h264`, `av1`, ...) would be decoded with; `None` if there is none.
#[must_use]
pub fn decoder_of(codec: &str) -> Option<String> {
    let name = std::ffi::CString::new(codec).ok()?;
    // SAFETY: `name` is a C string that lives through the call; the descriptor that comes back is static.
    let descriptor = unsafe { ffmpeg_next::ffi::avcodec_descriptor_get_by_name(name.as_ptr()) };
    if descriptor.is_null() {
        return None;
    }
    // SAFETY: not null, and static.
    let id = unsafe { (*descriptor).id };
    ffmpeg_next::decoder::find(id.into()).map(|decoder| decoder.name().to_owned())
}
