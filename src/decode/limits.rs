//! What an untrusted file may cost, in one place.

use super::apart::Program;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Pixels of a picture: 8K (7680 x 4320, 33 million) with room to spare.
pub const MAX_PIXELS: u64 = 8192 * 8192;
/// Streams of a container; broadcast recordings reach dozens.
pub const MAX_STREAMS: u32 = 256;
/// Time to open a file and read its headers.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Time without a packet read or a frame decoded, after which the file counts as stuck.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Video packets in a row that give no picture. A stream that is joined in the middle of a long group of pictures
/// gives none for its first seconds; ten thousand are more than five minutes at 30 frames a second.
pub const MAX_PACKETS_WITHOUT_FRAME: u32 = 10_000;
/// Read errors in a row after which the rest of the file counts as lost.
pub const MAX_READ_ERRORS: u32 = 64;
/// Warnings kept; further ones are only counted.
pub const MAX_WARNINGS: usize = 64;
/// Decoder threads: with frame threading each holds a picture, and more gain little.
pub const MAX_THREADS: usize = 16;
/// Bytes taken from a pipe.
pub const MAX_SPOOL_BYTES: u64 = 64 << 30;

/// What an untrusted file may cost. The defaults are this module's constants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Pixels of a picture
    pub max_pixels: u64,
    /// Streams of a container
    pub max_streams: u32,
    /// Time to open a file and read its headers
    pub open_timeout: Duration,
    /// Time without a packet read or a frame decoded
    pub stall_timeout: Duration,
    /// Video packets in a row that give no picture
    pub max_packets_without_frame: u32,
    /// Bytes taken from a pipe
    pub max_spool_bytes: u64,
    /// Decoder threads; 0 takes one for each core, up to [`MAX_THREADS`]
    pub threads: usize,
    /// The program in whose process a [`Feed`](super::Feed) decodes; this process if `None`
    #[serde(skip)]
    pub apart: Option<Arc<Program>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: MAX_PIXELS,
            max_streams: MAX_STREAMS,
            open_timeout: OPEN_TIMEOUT,
            stall_timeout: STALL_TIMEOUT,
            max_packets_without_frame: MAX_PACKETS_WITHOUT_FRAME,
            max_spool_bytes: MAX_SPOOL_BYTES,
            threads: 0,
            apart: None,
        }
    }
}

impl Limits {
    /// Decoder threads to start.
    pub(super) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
            wanted => wanted.min(MAX_THREADS),
        }
    }
}
