//! What the container says about its video, before a frame is decoded.

use super::error::printable;
use super::limits::Limits;
use super::native::{self, Demuxer};
use super::orientation::Orientation;
use ffmpeg_next::ffi;
use ffmpeg_next::packet::side_data;
use longsight_models::{Span, TimeBase};
use serde::{Deserialize, Serialize};

/// Pixels wider or higher than this are taken for damage.
const MAX_ASPECT: u64 = 16;

/// A video stream, as its container describes it. Nothing here is checked against the frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoInfo {
    /// FFmpeg's name of the container
    #[serde(deserialize_with = "printable")]
    pub format: String,
    /// Which of the file's streams this is
    pub stream: usize,
    /// FFmpeg's name of the codec
    #[serde(deserialize_with = "printable")]
    pub codec: String,
    /// FFmpeg's name of the pixel format, empty if unknown
    #[serde(deserialize_with = "printable")]
    pub pixel_format: String,
    /// Bits per component
    pub bit_depth: u8,
    /// Width as displayed: after pixel aspect and turning
    pub width: u32,
    /// Height as displayed: after turning
    pub height: u32,
    /// Width of the stored picture
    pub coded_width: u32,
    /// Height of the stored picture
    pub coded_height: u32,
    /// Width of a pixel over its height, 1/1 if unknown
    pub pixel_aspect: (u32, u32),
    /// How the stored picture is turned for display
    pub orientation: Orientation,
    /// The clock of the stream's timestamps
    pub time_base: TimeBase,
    /// First timestamp in seconds, if the container says
    pub start_s: Option<f64>,
    /// Length in seconds, of the stream if the container says, else of the file
    pub duration_s: Option<f64>,
    /// Whether the length is no more than a guess from the bit rate
    pub duration_is_guess: bool,
    /// Average frames per second
    pub frame_rate: Option<f64>,
    /// The lowest rate in which all timestamps can be written; far above the average where frames come irregularly
    pub tick_rate: Option<f64>,
    /// Whether frames seem to come at irregular times
    pub vfr: bool,
    /// Frames, if the header counts them; edit lists may hide some
    pub frames: Option<u64>,
    /// Whether the file has audio too
    pub has_audio: bool,
    /// Video streams in the file, cover pictures aside
    pub video_streams: usize,
    /// Whether the transfer curve is PQ or HLG
    pub hdr: bool,
}

impl VideoInfo {
    pub(super) fn read(demuxer: &Demuxer, stream: usize) -> Self {
        let (av, parameters) = (demuxer.stream(stream), demuxer.parameters(stream));
        let time_base = time_base(av.time_base);
        let seconds = |ticks: i64| ticks as f64 * time_base.seconds();
        let orientation = orientation(demuxer, stream);
        let (coded_width, coded_height) =
            (u32::try_from(parameters.width).unwrap_or(0), u32::try_from(parameters.height).unwrap_or(0));
        let pixel_aspect = pixel_aspect(av.sample_aspect_ratio, parameters.sample_aspect_ratio);
        let (width, height) = displayed(coded_width, coded_height, pixel_aspect, orientation);
        let (pixel_format, bit_depth) = native::pixel_format(parameters.format).unwrap_or_default();
        let samples = samples(demuxer, stream);
        let whole = |ticks: i64| seconds(ticks.saturating_add(untold(&samples, ticks)));
        let own_duration = own_length(demuxer, stream).map(whole);
        let file_duration = demuxer.duration_us().filter(|&us| us > 0).map(|us| us as f64 / 1e6);
        let (frame_rate, tick_rate) = (rate(av.avg_frame_rate), rate(av.r_frame_rate));
        let streams = || (0..demuxer.stream_count()).map(|index| demuxer.parameters(index).codec_type);
        Self {
            format: demuxer.format(),
            stream,
            codec: native::codec_name(parameters.codec_id),
            pixel_format,
            bit_depth,
            width,
            height,
            coded_width,
            coded_height,
            pixel_aspect,
            orientation,
            time_base,
            start_s: native::known(av.start_time).map(seconds),
            duration_s: own_duration.or(file_duration),
            duration_is_guess: own_duration.is_none() && demuxer.duration_is_guess(),
            frame_rate,
            tick_rate,
            vfr: irregular(&samples).unwrap_or_else(|| rates_differ(frame_rate, tick_rate)),
            frames: u64::try_from(av.nb_frames).ok().filter(|&frames| frames > 0),
            has_audio: streams().any(|kind| kind == ffi::AVMediaType::AVMEDIA_TYPE_AUDIO),
            video_streams: (0..demuxer.stream_count()).filter(|&index| is_video(demuxer, index)).count(),
            hdr: matches!(
                parameters.color_trc,
                ffi::AVColorTransferCharacteristic::AVCOL_TRC_SMPTE2084
                    | ffi::AVColorTransferCharacteristic::AVCOL_TRC_ARIB_STD_B67
            ),
        }
    }

    /// The part of `asked` that the video covers, as far as the header says; open ends (infinities) are closed where it
    /// says anything.
    #[must_use]
    pub fn clip(&self, asked: Span) -> Span {
        let start = if asked.start.is_finite() { asked.start } else { self.start_s.unwrap_or(0.0) };
        Span { start, end: asked.end.min(self.end_s().unwrap_or(f64::INFINITY)).max(start) }
    }

    /// Whether a file can have such a header, where another process says so.
    pub(super) fn is_sane(&self, limits: &Limits) -> bool {
        let numbers = [self.start_s, self.duration_s, self.frame_rate, self.tick_rate];
        let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
        let (wide, high) = self.pixel_aspect;
        numbers.iter().flatten().all(|number| number.is_finite())
            && pixels(self.coded_width, self.coded_height) <= limits.max_pixels
            && pixels(self.width, self.height) <= limits.max_pixels * MAX_ASPECT
            && (wide > 0 && high > 0)
    }

    /// End of the stream in seconds on the source clock, as far as the header says.
    #[must_use]
    pub fn end_s(&self) -> Option<f64> {
        self.duration_s.map(|duration| self.start_s.unwrap_or(0.0) + duration)
    }

    /// A second of a small video, for tests.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            format: "mov".into(),
            stream: 0,
            codec: "h264".into(),
            pixel_format: "yuv420p".into(),
            bit_depth: 8,
            width: 64,
            height: 64,
            coded_width: 64,
            coded_height: 64,
            pixel_aspect: (1, 1),
            orientation: Orientation::default(),
            time_base: TimeBase { num: 1, den: 25 },
            start_s: Some(0.0),
            duration_s: Some(1.0),
            duration_is_guess: false,
            frame_rate: Some(25.0),
            tick_rate: Some(25.0),
            vfr: false,
            frames: Some(25),
            has_audio: false,
            video_streams: 1,
            hdr: false,
        }
    }
}

/// A stream's own length in ticks, where the container says it.
pub(super) fn own_length(demuxer: &Demuxer, stream: usize) -> Option<i64> {
    native::known(demuxer.stream(stream).duration).filter(|&ticks| ticks > 0)
}

/// Whether a stream shows moving pictures: no cover picture, no thumbnail track.
pub(super) fn is_video(demuxer: &Demuxer, stream: usize) -> bool {
    demuxer.parameters(stream).codec_type == ffi::AVMediaType::AVMEDIA_TYPE_VIDEO && !is_cover(demuxer, stream)
}

/// Whether a stream is a cover picture.
pub(super) fn is_cover(demuxer: &Demuxer, stream: usize) -> bool {
    demuxer.stream(stream).disposition & ffi::AV_DISPOSITION_ATTACHED_PIC != 0
}

/// The displayed size of a stored picture: square pixels of the stored height, then turned.
pub(super) fn displayed(width: u32, height: u32, aspect: (u32, u32), orientation: Orientation) -> (u32, u32) {
    let wide = (f64::from(width) * f64::from(aspect.0) / f64::from(aspect.1)).round();
    orientation.apply_size((wide as u32).max(u32::from(width > 0)), height)
}

/// The container's pixel aspect, else the codec's, else square; ratios beyond 1:16 are taken for damage.
pub(super) fn pixel_aspect(container: ffi::AVRational, codec: ffi::AVRational) -> (u32, u32) {
    [container, codec]
        .into_iter()
        .filter_map(|ratio| Some((u32::try_from(ratio.num).ok()?, u32::try_from(ratio.den).ok()?)))
        .find(|&(num, den)| {
            let (num, den) = (u64::from(num), u64::from(den));
            num > 0 && den > 0 && num <= den * MAX_ASPECT && den <= num * MAX_ASPECT
        })
        .unwrap_or((1, 1))
}

pub(super) fn time_base(ratio: ffi::AVRational) -> TimeBase {
    TimeBase { num: u32::try_from(ratio.num).unwrap_or(0), den: u32::try_from(ratio.den).unwrap_or(0) }
}

fn orientation(demuxer: &Demuxer, stream: usize) -> Orientation {
    let Some(bytes) = demuxer.side_data(stream, side_data::Type::DisplayMatrix) else { return Orientation::default() };
    let mut matrix = [0i32; 9];
    if bytes.len() < size_of_val(&matrix) {
        return Orientation::default();
    }
    for (number, bytes) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
        *number = i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    Orientation::from_matrix(matrix)
}

fn rate(ratio: ffi::AVRational) -> Option<f64> {
    (ratio.num > 0 && ratio.den > 0).then(|| f64::from(ratio.num) / f64::from(ratio.den))
}

/// When the samples of an MP4's index are decoded, and whether an edit list hides them; empty without an index.
fn samples(demuxer: &Demuxer, stream: usize) -> Vec<(i64, bool)> {
    if !demuxer.format().starts_with("mov") {
        return Vec::new();
    }
    demuxer.index_entries(stream).into_iter().map(|(time, _, hidden)| (time, hidden)).collect()
}

/// What a track's length leaves out where its last sample takes no time, as some writers leave it: the frame lasts as long as the one
/// before it.
fn untold(samples: &[(i64, bool)], length: i64) -> i64 {
    let shown: Vec<i64> = samples.iter().filter(|sample| !sample.1).map(|sample| sample.0).collect();
    let [.., before, last] = shown[..] else { return 0 };
    if last.saturating_sub(shown[0]) >= length { last.saturating_sub(before).max(0) } else { 0 }
}

/// Whether the gaps between the samples of an MP4's index differ by more than rounding; `None` without an index.
fn irregular(samples: &[(i64, bool)]) -> Option<bool> {
    // The last gap is often cut or stretched to the track's end.
    let gaps = || samples.windows(2).map(|pair| pair[1].0 - pair[0].0).take(samples.len().saturating_sub(2));
    let (least, most) = (gaps().min()?, gaps().max()?);
    Some(most - least > 1.max(least / 50))
}

/// Whether the average rate is so far below the tick rate that frames cannot be evenly spaced.
fn rates_differ(frame_rate: Option<f64>, tick_rate: Option<f64>) -> bool {
    match (frame_rate, tick_rate) {
        // An average of 1000 and the like is the clock of a container that does not know.
        (Some(average), Some(ticks)) => average < 500.0 && (average - ticks).abs() > 0.02 * ticks,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_sample_without_a_length_lasts_as_long_as_the_one_before_it() {
        let samples = [(-2, true), (0, false), (3, false), (7, false)];
        assert_eq!(untold(&samples, 7), 4);
        assert_eq!(untold(&samples, 8), 0, "it has a length");
        assert_eq!((untold(&samples[..2], 5), untold(&[], 5)), (0, 0), "the header is all that is known");
        assert_eq!(untold(&[(i64::MIN, false), (i64::MAX, false)], 7), i64::MAX);
    }
}
