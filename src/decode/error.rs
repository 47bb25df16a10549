//! Why a file cannot be used, and what was wrong with one that can.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a video cannot be used. Damage that leaves something to decode is a [`Warning`] instead.
///
/// It can be sent to another process, without the path, which is known there ([`DecodeError::at`]).
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum DecodeError {
    /// Nothing has this name
    #[error("{}: no such file", path.display())]
    NotFound {
        /// As given
        #[serde(skip)]
        path: PathBuf,
    },
    /// A URL or an FFmpeg protocol prefix in place of a file
    #[error("{}: `{scheme}:` names a protocol, not a file", path.display())]
    Protocol {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// Before the colon
        #[serde(deserialize_with = "printable")]
        scheme: String,
    },
    /// A folder
    #[error("{}: is a folder", path.display())]
    Folder {
        /// As given
        #[serde(skip)]
        path: PathBuf,
    },
    /// A device, socket or named pipe
    #[error("{}: is no regular file", path.display())]
    NotRegular {
        /// As given
        #[serde(skip)]
        path: PathBuf,
    },
    /// The operating system refused
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// Why
        #[serde(with = "os_error")]
        source: io::Error,
    },
    /// No bytes
    #[error("{}: is empty", path.display())]
    Empty {
        /// As given
        #[serde(skip)]
        path: PathBuf,
    },
    /// A pipe gave more than the limit
    #[error("{}: more than {limit} bytes", path.display())]
    TooLong {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// In bytes
        limit: u64,
    },
    /// The bytes are no known container
    #[error("{}: is no video file that FFmpeg knows", path.display())]
    NotVideo {
        /// As given
        #[serde(skip)]
        path: PathBuf,
    },
    /// A known format that is not read here: a playlist, a picture, subtitles
    #[error("{}: is `{format}`, which is not read as a video", path.display())]
    RefusedFormat {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// FFmpeg's name for it
        #[serde(deserialize_with = "printable")]
        format: String,
    },
    /// An MP4 or MOV whose index (`moov`) is missing: the recording or the download was cut off
    #[error("{}: has no index (`moov`): the file was cut off or is still being written", path.display())]
    Incomplete {
        /// As given
        #[serde(skip)]
        path: PathBuf,
    },
    /// A known container that FFmpeg cannot open
    #[error("{}: is damaged: {reason}", path.display())]
    Damaged {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// In FFmpeg's words
        #[serde(deserialize_with = "printable")]
        reason: String,
    },
    /// Audio, subtitles or a cover picture only
    #[error("{}: has no video stream ({found})", path.display())]
    NoVideoStream {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// What it has instead
        #[serde(deserialize_with = "printable")]
        found: Cow<'static, str>,
    },
    /// FFmpeg has no decoder for the stream
    #[error("{}: no decoder for its video codec ({codec})", path.display())]
    UnsupportedCodec {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// FFmpeg's name for it, or its four characters
        #[serde(deserialize_with = "printable")]
        codec: String,
    },
    /// The samples are encrypted
    #[error("{}: its video is encrypted", path.display())]
    Encrypted {
        /// As given
        #[serde(skip)]
        path: PathBuf,
    },
    /// More pixels than the limit
    #[error("{}: {width}x{height} is more than {max_pixels} pixels", path.display())]
    TooLarge {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// Coded width
        width: u32,
        /// Coded height
        height: u32,
        /// The limit
        max_pixels: u64,
    },
    /// Opening took longer than the limit
    #[error("{}: could not be opened within {limit:?}", path.display())]
    OpenTimeout {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// The limit
        limit: Duration,
    },
    /// Decoding stopped moving
    #[error("{}: decoding stopped moving for {limit:?}", path.display())]
    Stalled {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// The limit
        limit: Duration,
    },
    /// Packets, but not one picture
    #[error("{}: not one frame could be decoded ({packets} packets were tried)", path.display())]
    NoFrames {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// Video packets that were tried
        packets: u64,
    },
    /// Decoding takes more memory than there is for it
    #[error("{}: {}", path.display(), scarce(*limit))]
    OutOfMemory {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// Bytes that the decoder's process may have; `None` where it has none of its own
        limit: Option<u64>,
    },
    /// The caller's cancel flag was set
    #[error("{}: decoding was cancelled", path.display())]
    Cancelled {
        /// As given
        #[serde(skip)]
        path: PathBuf,
    },
    /// FFmpeg failed where it should not
    #[error("{}: {action}: {reason}", path.display())]
    Ffmpeg {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// What was being done
        #[serde(deserialize_with = "printable")]
        action: Cow<'static, str>,
        /// In FFmpeg's words
        #[serde(deserialize_with = "printable")]
        reason: String,
    },
    /// The decoder's process could not be started
    #[error("{}: its decoder cannot be started: {source}", path.display())]
    NotStarted {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// Why
        #[serde(with = "os_error")]
        source: io::Error,
    },
    /// The decoder's process ended without an answer
    #[error("{}: its decoder broke down ({how})", path.display())]
    Crashed {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// How the process ended, and its last words
        #[serde(deserialize_with = "printable")]
        how: String,
    },
    /// The decoder's process said what no decoder says
    #[error("{}: its decoder talks nonsense: {what}", path.display())]
    Garbled {
        /// As given
        #[serde(skip)]
        path: PathBuf,
        /// What it sent
        #[serde(deserialize_with = "printable")]
        what: Cow<'static, str>,
    },
}

impl DecodeError {
    /// What the user can do, empty if there is nothing to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "check the path",
            Self::Protocol { .. } => "download it first and give the file, or pipe it in with `-`",
            Self::Folder { .. } => "give one of the files in it",
            Self::NotRegular { .. } => "pipe it in with `-`, or copy it to a file",
            Self::Unreadable { .. } => "check its permissions",
            Self::Empty { .. } => "was it downloaded completely?",
            Self::TooLong { .. } => "store it as a file and give its path",
            Self::NotVideo { .. } => "give a video file: MP4, MOV, MKV, WebM, AVI, MPEG-TS, ...",
            Self::RefusedFormat { .. } => "give a video file, not a playlist, a picture, audio or subtitles",
            Self::Incomplete { .. } => "get the complete file, or repair it with a recovery tool",
            Self::Damaged { .. } => "get the file again, or try `ffmpeg -i FILE -c copy FIXED.mkv`",
            Self::NoVideoStream { .. } => "give a file with pictures",
            Self::UnsupportedCodec { .. } => "convert it: `ffmpeg -i FILE -c:v libx264 FIXED.mp4`",
            Self::Encrypted { .. } => "give a copy without copy protection",
            Self::TooLarge { .. } => "scale it down: `ffmpeg -i FILE -vf scale=1920:-2 SMALL.mp4`",
            Self::OpenTimeout { .. } | Self::Stalled { .. } => "copy it to a local disk and try again",
            Self::NoFrames { .. } => "the file is damaged or encrypted; does it play elsewhere?",
            Self::OutOfMemory { limit: Some(_), .. } => "give its decoder more with --decoder-memory",
            Self::OutOfMemory { .. } => {
                "free some memory, or scale it down: `ffmpeg -i FILE -vf scale=1920:-2 SMALL.mp4`"
            }
            Self::NotStarted { .. } => "`--in-process-decoder` decodes without a process of its own",
            Self::Crashed { .. } => "the file is damaged or hostile, or needs more memory than --decoder-memory allows",
            Self::Garbled { .. } => "the file is damaged or hostile",
            Self::Cancelled { .. } | Self::Ffmpeg { .. } => "",
        }
    }

    /// Whether it is the decoder that failed, rather than the file that was refused.
    #[must_use]
    pub fn is_breakdown(&self) -> bool {
        use DecodeError::{Crashed, Garbled, NotStarted, OutOfMemory, Stalled};
        matches!(self, NotStarted { .. } | Crashed { .. } | Garbled { .. } | Stalled { .. } | OutOfMemory { .. })
    }

    /// The same error of the file at `path`.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        let (Self::NotFound { path: own }
        | Self::Protocol { path: own, .. }
        | Self::Folder { path: own }
        | Self::NotRegular { path: own }
        | Self::Unreadable { path: own, .. }
        | Self::Empty { path: own }
        | Self::TooLong { path: own, .. }
        | Self::NotVideo { path: own }
        | Self::RefusedFormat { path: own, .. }
        | Self::Incomplete { path: own }
        | Self::Damaged { path: own, .. }
        | Self::NoVideoStream { path: own, .. }
        | Self::UnsupportedCodec { path: own, .. }
        | Self::Encrypted { path: own }
        | Self::TooLarge { path: own, .. }
        | Self::OpenTimeout { path: own, .. }
        | Self::Stalled { path: own, .. }
        | Self::NoFrames { path: own, .. }
        | Self::OutOfMemory { path: own, .. }
        | Self::Cancelled { path: own }
        | Self::Ffmpeg { path: own, .. }
        | Self::NotStarted { path: own, .. }
        | Self::Crashed { path: own, .. }
        | Self::Garbled { path: own, .. }) = &mut self;
        path.clone_into(own);
        self
    }
}

fn scarce(limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!("decoding it takes more memory than the {}M that its decoder may have", limit >> 20),
        None => "there is not enough memory to decode it".to_owned(),
    }
}

/// Text from another process that may be shown: without what a terminal would obey.
pub(super) fn printable<'de, D: Deserializer<'de>, T: From<String>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.chars().any(char::is_control) { Err(de::Error::custom("a control character")) } else { Ok(text.into()) }
}

/// An error of the operating system as its number.
mod os_error {
    use super::{Deserialize, Deserializer, Serialize, Serializer, io};

    pub(super) fn serialize<S: Serializer>(error: &io::Error, serializer: S) -> Result<S::Ok, S::Error> {
        error.raw_os_error().unwrap_or(libc::EIO).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<io::Error, D::Error> {
        i32::deserialize(deserializer).map(io::Error::from_raw_os_error)
    }
}

/// Something was wrong with a file, and decoding went on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// Seconds on the source clock after which it happened; `None` before the first frame
    pub after_s: Option<f64>,
    /// What happened
    pub kind: WarningKind,
    /// How often in a row
    pub count: u32,
}

/// What was wrong with a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum WarningKind {
    /// Packets that the decoder refused
    Undecodable,
    /// Frames that the decoder patched up
    Concealed,
    /// Read errors inside the file
    Unreadable {
        /// In FFmpeg's words
        #[serde(deserialize_with = "printable")]
        reason: String,
    },
    /// The file ends before the time its header gives
    EndsEarly {
        /// Where the pictures end, in seconds
        end_s: f64,
        /// Where the header says, in seconds
        header_s: f64,
    },
    /// Frames without a timestamp, whose times were guessed from their neighbours'
    Untimed,
    /// The picture size changed
    SizeChanged {
        /// Coded width from here
        width: u32,
        /// Coded height from here
        height: u32,
    },
    /// Times asked for that lie after the last frame
    PastEnd {
        /// The first of them, in seconds
        asked_s: f64,
        /// Where the pictures end, in seconds
        end_s: f64,
    },
    /// Pictures whose times lie before those of pictures that came before: recordings joined end to end. They are not looked at; of
    /// those behind the last time that was asked for, streams that can be joined as bytes tell where they were asked for to the end
    TimesGoBack {
        /// The first of them, in seconds
        to_s: f64,
    },
    /// The frame limit was reached before the end
    LimitReached {
        /// The limit
        max_frames: u64,
    },
    /// A frame whose pixel format cannot be converted to RGB
    Unconvertible,
    /// Further warnings were only counted
    More,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.count;
        let s = if n == 1 { "" } else { "s" };
        match &self.kind {
            WarningKind::Undecodable => write!(f, "{n} packet{s} could not be decoded")?,
            WarningKind::Concealed => write!(f, "{n} frame{s} damaged and patched up by the decoder")?,
            WarningKind::Unreadable { reason } => write!(f, "{n} read error{s} ({reason})")?,
            WarningKind::EndsEarly { end_s, header_s } => {
                write!(f, "the pictures end at {end_s:.3} s, the header says {header_s:.3} s")?;
            }
            WarningKind::Untimed => write!(f, "{n} frame{s} without a timestamp; times guessed")?,
            WarningKind::SizeChanged { width, height } => write!(f, "the picture size changed to {width}x{height}")?,
            WarningKind::PastEnd { asked_s, end_s } => {
                write!(f, "{asked_s:.3} s lies after the end ({end_s:.3} s); the last frame is given")?;
            }
            WarningKind::TimesGoBack { to_s } => write!(
                f,
                "{n} time{s} the clock goes back, first to {to_s:.3} s, as where recordings are joined end to end: what comes \
                 behind is not looked at until the clock has come as far again; FFmpeg's concat demuxer joins them in one clock"
            )?,
            WarningKind::LimitReached { max_frames } => {
                write!(f, "stopped at the limit of {max_frames} frames before the end")?;
            }
            WarningKind::Unconvertible => write!(f, "{n} frame{s} in a pixel format that cannot be shown")?,
            WarningKind::More => write!(f, "{n} further warning{s}")?,
        }
        match self.after_s {
            Some(after) => write!(f, ", after {after:.3} s"),
            None => Ok(()),
        }
    }
}
