//! Packets -> a file, with times from its first picture on.

use super::CutError;
use super::output::{Output, Sink};
use super::source::{Container, MP4, Source};
use crate::decode::native::{self, Code};
use ffmpeg_next::{Packet, Rational, codec};
use std::path::{Path, PathBuf};

/// A file that is being written.
pub(super) struct Muxer<'a> {
    output: Output<'a>,
    /// The source, for what goes wrong
    path: PathBuf,
    /// By stream of the file: the clock of its packets as they come, and the clock that the container chose
    clocks: Vec<(Rational, Rational)>,
}

impl<'a> Muxer<'a> {
    /// A file with a stream for each of `streams`: their parameters, and the clock of their packets.
    pub(super) fn create(
        path: &Path,
        container: Container,
        streams: &[(codec::Parameters, Rational)],
        sink: &'a mut Sink<'a>,
    ) -> Result<Self, CutError> {
        let wrong = |code: Code| CutError::refused(path, code);
        let output = Output::new(container.muxer, sink).map_err(wrong)?;
        let mut muxer = Self { output, path: path.to_path_buf(), clocks: Vec::with_capacity(streams.len()) };
        for (parameters, clock) in streams {
            muxer.output.add(parameters, *clock).map_err(wrong)?;
        }
        muxer.output.write_header().map_err(|code| muxer.wrong(code))?;
        for (index, (_, clock)) in streams.iter().enumerate() {
            muxer.clocks.push((*clock, muxer.output.clock(index).unwrap_or(*clock)));
        }
        Ok(muxer)
    }

    /// Writes a packet of stream `index`, whose times are moved back by `start` ticks of its clock.
    pub(super) fn write(&mut self, mut packet: Packet, index: usize, start: i64) -> Result<(), CutError> {
        let (from, to) = self.clocks[index];
        packet.set_stream(index);
        packet.set_position(-1);
        packet.set_pts(packet.pts().map(|ticks| ticks - start));
        packet.set_dts(packet.dts().map(|ticks| ticks - start));
        packet.rescale_ts(from, to);
        self.output.write(&mut packet).map_err(|code| self.wrong(code))
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<(), CutError> {
        self.output.write_trailer().map_err(|code| self.wrong(code))?;
        self.output.trouble().map_or(Ok(()), |source| Err(self.place(source)))
    }

    /// What went wrong: where the bytes went, if that was it.
    fn wrong(&mut self, code: Code) -> CutError {
        match self.output.trouble() {
            Some(source) => self.place(source),
            None => CutError::refused(&self.path, code),
        }
    }

    fn place(&self, source: std::io::Error) -> CutError {
        CutError::Place { path: self.path.clone(), source }
    }
}

/// A stream of the source as it is, for another container.
pub(super) fn copied(source: &Source, stream: usize, container: Container) -> Option<(codec::Parameters, Rational)> {
    let mut parameters = source.demuxer.codec_parameters(stream)?;
    let same_family = container == MP4 && source.info.format.starts_with("mov");
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
