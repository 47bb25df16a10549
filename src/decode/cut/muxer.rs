//! Packets -> a file, with times from its first picture on.

use super::{Container, CutError, Source};
use crate::decode::native;
use ffmpeg_next::{Packet, Rational, codec, format};
use std::path::{Path, PathBuf};

/// A file that is being written.
pub(super) struct Muxer {
    output: format::context::Output,
    path: PathBuf,
    /// By stream of the file: the clock of its packets as they come, and the clock that the container chose
    clocks: Vec<(Rational, Rational)>,
}

impl Muxer {
    /// A file with a stream for each of `streams`: their parameters, and the clock of their packets.
    pub(super) fn create(
        path: &Path,
        container: Container,
        streams: Vec<(codec::Parameters, Rational)>,
    ) -> Result<Self, CutError> {
        let wrong = |source| CutError::Write { path: path.to_path_buf(), source };
        // `ffmpeg-next` panics at a name that is no UTF-8, and at a zero byte in it.
        let name = path.to_str().filter(|name| !name.contains('\0'));
        let name = name.ok_or_else(|| CutError::Name { path: path.to_path_buf() })?;
        let muxer = container.muxer.to_str().unwrap_or_default();
        // The prefix keeps names with colons from being read as protocols.
        let mut output = format::output_as(&format!("file:{name}"), muxer).map_err(wrong)?;
        let mut clocks = Vec::with_capacity(streams.len());
        for (parameters, clock) in streams {
            let mut stream = output.add_stream(codec::Id::None).map_err(wrong)?;
            stream.set_parameters(parameters);
            stream.set_time_base(clock);
            clocks.push((clock, clock));
        }
        output.write_header().map_err(wrong)?;
        for (index, clock) in clocks.iter_mut().enumerate() {
            clock.1 = output.stream(index).map_or(clock.0, |stream| stream.time_base());
        }
        Ok(Self { output, path: path.to_path_buf(), clocks })
    }

    /// Writes a packet of stream `index`, whose times are moved back by `start` ticks of its clock.
    pub(super) fn write(&mut self, mut packet: Packet, index: usize, start: i64) -> Result<(), CutError> {
        let (from, to) = self.clocks[index];
        packet.set_stream(index);
        packet.set_position(-1);
        packet.set_pts(packet.pts().map(|ticks| ticks - start));
        packet.set_dts(packet.dts().map(|ticks| ticks - start));
        packet.rescale_ts(from, to);
        packet.write_interleaved(&mut self.output).map_err(|source| self.wrong(source))
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<(), CutError> {
        self.output.write_trailer().map_err(|source| self.wrong(source))
    }

    fn wrong(&self, source: ffmpeg_next::Error) -> CutError {
        CutError::Write { path: self.path.clone(), source }
    }
}

/// A stream of the source as it is, for another container.
pub(super) fn copied(source: &Source, stream: usize, container: Container) -> Option<(codec::Parameters, Rational)> {
    let mut parameters = source.demuxer.codec_parameters(stream)?;
    let same_family = container == super::MP4 && source.info.format.starts_with("mov");
    if !same_family {
        native::untag(&mut parameters);
    }
    Some((parameters, clock(source, stream)))
}

/// The clock of a stream's packets.
pub(super) fn clock(source: &Source, stream: usize) -> Rational {
    Rational::from(source.demuxer.stream(stream).time_base)
}

/// Seconds in ticks of a clock.
pub(super) fn ticks(seconds: f64, clock: Rational) -> i64 {
    (seconds * f64::from(clock.denominator()) / f64::from(clock.numerator().max(1))).round() as i64
}
