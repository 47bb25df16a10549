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
    let (demuxer, watch) = open(path, stream, limits)?;
    rest(demuxer, &watch, stream, limits)
}

fn open(path: &Path, stream: usize, limits: &Limits) -> Option<(Demuxer, Arc<Watch>)> {
    let watch = Watch::new(Arc::default());
    watch.allow(limits.open_timeout);
    let mut demuxer = Demuxer::open(path, source::FORMATS, limits, Arc::clone(&watch)).ok()?;
    demuxer.keep_only(stream);
    Some((demuxer, watch))
}

fn rest(mut demuxer: Demuxer, watch: &Watch, stream: usize, limits: &Limits) -> Option<Vec<Seen>> {
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

/// Where the pictures of some packets end, in seconds.
fn end_of(packets: &[Seen], info: &VideoInfo) -> Option<f64> {
    let seconds = |ticks: i64| ticks as f64 * info.time_base.seconds();
    let frame = info.frame_rate.map_or(0.0, |rate| 1.0 / rate);
    let shown = packets.iter().filter(|packet| !packet.hidden);
    shown.filter_map(|packet| Some(seconds(packet.pts?) + seconds(packet.duration).max(frame))).reduce(f64::max)
}

/// Where a stream that starts late has no length of its own, the file's is taken from its start on: Matroska's and FLV's writers count it
/// from zero or from the first picture, and nothing in the file says which. What is nearer to the last packets is right.
pub(super) fn count_from_start(path: &Path, info: &mut VideoInfo, limits: &Limits) {
    let (Some(start), Some(length)) = (info.start_s, info.duration_s) else { return };
    // A length that ends before the start is no time on the clock.
    if start <= 0.0 || length <= start {
        return;
    }
    // Not worth a look at the file where it makes less than a frame: FFmpeg, and what is built on it, counts from zero.
    let end = if info.frame_rate.is_some_and(|rate| start * rate < 1.0) { None } else { tail(path, info, limits) };
    if end.is_none_or(|end| end < length + start / 2.0) {
        info.duration_s = Some(length - start);
    }
}

/// Where the pictures end, by the packets from the last key frame on.
fn tail(path: &Path, info: &VideoInfo, limits: &Limits) -> Option<f64> {
    let (mut demuxer, watch) = open(path, info.stream, limits)?;
    let sought = demuxer.seek(info.stream, i64::MAX).ok();
    let last = sought.and_then(|()| end_of(&rest(demuxer, &watch, info.stream, limits)?, info));
    // Without an index, as in many FLV files, all of it has to be read.
    last.or_else(|| end_of(&packets(path, info.stream, limits)?, info))
}

/// Replaces start and length by what the packets say.
pub(super) fn measure(path: &Path, info: &mut VideoInfo, limits: &Limits) {
    let Some(packets) = packets(path, info.stream, limits) else { return };
    let shown = || packets.iter().filter(|packet| !packet.hidden);
    let seconds = |ticks: i64| ticks as f64 * info.time_base.seconds();
    let frame = info.frame_rate.map_or(0.0, |rate| 1.0 / rate);
    let start = shown().filter_map(|packet| packet.pts).min().map(seconds);
    let end = end_of(&packets, info);
    let (start, length) = match (start, end) {
        (Some(start), Some(end)) => (Some(start), end - start),
        // Raw streams carry no times; their frames are counted at the rate that FFmpeg assumes.
        _ => (info.start_s, shown().count() as f64 * frame),
    };
    if length > 0.0 {
        (info.start_s, info.duration_s, info.duration_is_guess) = (start, Some(length), false);
    }
}
