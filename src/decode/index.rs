//! Where the key frames are, so that long stretches without a wanted frame need not be decoded.

use super::info::VideoInfo;
use super::limits::Limits;
use super::native::Demuxer;
use super::scan;
use std::path::Path;

/// A key frame that can be sought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Key {
    /// Presentation time in seconds; an estimate where only decoding times are known
    pub(super) seconds: f64,
    /// How the container's packet is recognised: `dts` for MP4, `pts` for Matroska
    pub(super) ticks: i64,
    /// Packets before it, in file order
    pub(super) packets_before: u64,
    /// Frames before it that are shown, those that follow it in the file aside
    pub(super) frames_before: u64,
}

/// All key frames, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeyIndex {
    pub(super) keys: Vec<Key>,
    /// Whether `Key::ticks` are decoding times
    pub(super) by_dts: bool,
}

impl KeyIndex {
    /// The index of a file whose container allows exact seeks; `None` otherwise, which means decoding from the start.
    ///
    /// MP4 and MOV carry the index in their header. Matroska is read once from front to back without decoding, which
    /// takes as long as reading the file. Transport streams and raw streams have nothing to rely on.
    /// `shift` is what MP4's decoding times lie before the presentation times of key frames.
    pub(super) fn build(demuxer: &Demuxer, path: &Path, info: &VideoInfo, shift: i64, limits: &Limits) -> Option<Self> {
        let index = match info.format.split(',').next()? {
            "mov" => Self::from_samples(demuxer, info, shift),
            "matroska" => Self::scan(path, info, limits),
            _ => None,
        }?;
        // One key frame gives nothing to jump to; times out of order cannot be trusted.
        let ordered = index.keys.windows(2).all(|pair| pair[0].ticks < pair[1].ticks);
        (index.keys.len() > 1 && ordered).then_some(index)
    }

    fn from_samples(demuxer: &Demuxer, info: &VideoInfo, shift: i64) -> Option<Self> {
        let entries = demuxer.index_entries(info.stream);
        // A fragmented file's index grows as it is read.
        if info.frames.is_none_or(|frames| frames != entries.len() as u64) && entries.iter().all(|entry| !entry.2) {
            return None;
        }
        let (mut keys, mut shown) = (Vec::new(), 0);
        for (at, &(ticks, key, hidden)) in entries.iter().enumerate() {
            if key {
                let seconds = ticks.saturating_add(shift) as f64 * info.time_base.seconds();
                keys.push(Key { seconds, ticks, packets_before: at as u64, frames_before: shown });
            }
            shown += u64::from(!hidden);
        }
        Some(Self { keys, by_dts: true })
    }

    fn scan(path: &Path, info: &VideoInfo, limits: &Limits) -> Option<Self> {
        let packets = scan::packets(path, info.stream, limits)?;
        let packets: Vec<(i64, bool, bool)> =
            packets.iter().map(|packet| Some((packet.pts?, packet.key, packet.hidden))).collect::<Option<_>>()?;
        let mut shown: Vec<i64> = packets.iter().filter(|packet| !packet.2).map(|packet| packet.0).collect();
        shown.sort_unstable();
        let keys = packets.iter().enumerate().filter(|(_, packet)| packet.1).map(|(at, &(ticks, ..))| {
            let leading = packets[at..].iter().skip(1).take_while(|p| !p.1).filter(|p| p.0 < ticks && !p.2).count();
            let before = shown.partition_point(|&time| time < ticks) - leading;
            let seconds = ticks as f64 * info.time_base.seconds();
            Key { seconds, ticks, packets_before: at as u64, frames_before: before as u64 }
        });
        Some(Self { keys: keys.collect(), by_dts: false })
    }

    /// The last key frame at or before a time.
    pub(super) fn before(&self, seconds: f64) -> Option<&Key> {
        let after = self.keys.partition_point(|key| key.seconds <= seconds);
        self.keys[..after].last()
    }

    /// The key frame whose packet carries `ticks`, and its number.
    pub(super) fn find(&self, ticks: i64) -> Option<(usize, Key)> {
        self.keys.binary_search_by_key(&ticks, |key| key.ticks).ok().map(|at| (at, self.keys[at]))
    }
}
