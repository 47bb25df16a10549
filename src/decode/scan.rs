//! One pass over a file's packets, without decoding: where the header says nothing, or nothing to believe.

use super::info::VideoInfo;
use super::limits::Limits;
use super::native::{Demuxer, Packet, Watch};
use super::source;
use std::path::Path;
use std::sync::Arc;

/// Fewer bytes a second than any video has: a length that leads to this is wrong.
const LEAST_BYTES_PER_SECOND: f64 = 20.0;

/// What the container says of a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) pts: Option<i64>,
    pub(super) duration: i64,
    pub(super) key: bool,
    pub(super) hidden: bool,
}

/// Every packet of the stream in file order, as far as the file can be read.
pub(super) fn packets(path: &Path, stream: usize, limits: &Limits) -> Option<Vec<Seen>> {
    let watch = Watch::new(Arc::default());
    watch.allow(limits.open_timeout);
    let mut demuxer = Demuxer::open(path, source::FORMATS, limits, Arc::clone(&watch)).ok()?;
    demuxer.keep_only(stream);
    let mut packet = Packet::new().ok()?;
    let mut seen = Vec::new();
    while demuxer.read(&mut packet).is_ok() {
        watch.allow(limits.stall_timeout);
        if packet.stream() == stream {
            let (pts, duration) = (packet.pts(), packet.duration());
            seen.push(Seen { pts, duration, key: packet.is_key(), hidden: packet.is_hidden() });
        }
    }
    Some(seen)
}

/// Whether the header's length can be believed.
pub(super) fn is_plausible(path: &Path, info: &VideoInfo) -> bool {
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let fits = |seconds: f64| seconds.is_finite() && bytes as f64 / seconds >= LEAST_BYTES_PER_SECOND;
    !info.duration_is_guess && info.duration_s.is_some_and(fits)
}

/// Replaces start and length by what the packets say.
pub(super) fn measure(path: &Path, info: &mut VideoInfo, limits: &Limits) {
    let Some(packets) = packets(path, info.stream, limits) else { return };
    let shown = || packets.iter().filter(|packet| !packet.hidden);
    let seconds = |ticks: i64| ticks as f64 * info.time_base.seconds();
    let frame = info.frame_rate.map_or(0.0, |rate| 1.0 / rate);
    let start = shown().filter_map(|packet| packet.pts).min().map(seconds);
    let end = shown().filter_map(|p| Some(seconds(p.pts?) + seconds(p.duration).max(frame))).reduce(f64::max);
    let (start, length) = match (start, end) {
        (Some(start), Some(end)) => (Some(start), end - start),
        // Raw streams carry no times; their frames are counted at the rate that FFmpeg assumes.
        _ => (info.start_s, shown().count() as f64 * frame),
    };
    if length > 0.0 {
        (info.start_s, info.duration_s, info.duration_is_guess) = (start, Some(length), false);
    }
}
