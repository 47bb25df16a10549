//! Every frame in order, as the decoder gives it: planes, exact time, no conversion.

use super::error::{DecodeError, Warning, WarningKind};
use super::info::VideoInfo;
use super::limits::{Limits, MAX_READ_ERRORS};
use super::native::{self, Code, Codec, Demuxer, Packet};
use super::open::Video;
use super::report::Warnings;
use ffmpeg_next::frame;
use longsight_models::Timestamp;
use std::path::PathBuf;

/// A decoded frame that belongs to the reader until the next one is asked for.
#[derive(Clone, Copy)]
pub struct Decoded<'a> {
    /// FFmpeg's frame: planes, pixel format, colour description
    pub frame: &'a frame::Video,
    /// Ordinal in presentation order, from 0
    pub index: u64,
    /// Presentation time
    pub time: Timestamp,
    /// Whether it is a key frame
    pub key: bool,
    /// Whether the decoder says that it had to patch the picture up
    pub damaged: bool,
}

impl Decoded<'_> {
    /// Rows of a plane, top to bottom, `width * bytes per sample` bytes each; none for a plane that is not there.
    pub fn rows(&self, plane: usize) -> impl Iterator<Item = &[u8]> {
        super::planes::rows(self.frame, plane)
    }
}

/// Walks every frame of a video from the start, or from a seek, to the end.
///
/// Damage becomes [`Warning`]s; an error means that nothing more will come.
pub struct Reader {
    path: PathBuf,
    demuxer: Demuxer,
    codec: Codec,
    info: VideoInfo,
    limits: Limits,
    packet: Packet,
    frame: frame::Video,
    state: State,
    warnings: Warnings,
    /// Frames given so far, from the start or the last seek
    next_index: u64,
    last_ticks: Option<i64>,
    last_size: (u32, u32),
    packets_since_frame: u32,
    read_errors: u32,
    packets: u64,
}

/// Where the packets stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The packet in hand has to be sent (again)
    Holding,
    /// A packet has to be read
    Empty,
    /// All packets are sent; the decoder gives its last frames
    Draining,
    /// Nothing more comes
    Ended,
}

impl Reader {
    pub(super) fn new(video: Video) -> Result<Self, DecodeError> {
        let Video { path, demuxer, info, limits } = video;
        let failed = |action: &'static str| {
            let path = path.clone();
            move |code: Code| DecodeError::Ffmpeg { path, action, reason: code.to_string() }
        };
        let codec = Codec::open(&demuxer, info.stream, &limits).map_err(failed("the decoder cannot be started"))?;
        let packet = Packet::new().map_err(failed("a packet cannot be allocated"))?;
        Ok(Self {
            path,
            demuxer,
            codec,
            limits,
            packet,
            frame: frame::Video::empty(),
            state: State::Empty,
            warnings: Warnings::default(),
            next_index: 0,
            last_ticks: None,
            last_size: (info.coded_width, info.coded_height),
            packets_since_frame: 0,
            read_errors: 0,
            packets: 0,
            info,
        })
    }

    /// What the container says.
    #[must_use]
    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    /// What was wrong so far.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        self.warnings.list()
    }

    /// Frames given so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.next_index
    }

    /// The next frame, `None` after the last.
    ///
    /// # Errors
    /// When decoding stops moving, is cancelled, or ends without having given one frame.
    #[expect(clippy::should_implement_trait, reason = "the frame is lent, which an iterator cannot do")]
    pub fn next(&mut self) -> Result<Option<Decoded<'_>>, DecodeError> {
        self.demuxer.watch().allow(self.limits.stall_timeout);
        while self.state != State::Ended {
            match self.codec.receive(&mut self.frame) {
                Ok(()) => {
                    self.packets_since_frame = 0;
                    let (time, damaged) = self.describe();
                    let index = self.next_index;
                    self.next_index += 1;
                    return Ok(Some(Decoded { frame: &self.frame, index, time, key: self.frame.is_key(), damaged }));
                }
                Err(Code::EOF) => self.state = State::Ended,
                Err(Code::AGAIN) if self.state != State::Draining => self.feed()?,
                Err(_) => {
                    self.warn(WarningKind::Undecodable);
                    self.count_fruitless()?;
                }
            }
        }
        if self.next_index == 0 {
            return Err(self.no_frames());
        }
        Ok(None)
    }

    /// Gives the decoder one packet, or tells it that there are no more.
    fn feed(&mut self) -> Result<(), DecodeError> {
        if self.state == State::Empty && !self.read_packet()? {
            self.state = State::Draining;
            // The only errors are "already draining" and "out of memory"; `receive` reports the latter too.
            let _ = self.codec.send(None);
            return Ok(());
        }
        self.state = State::Empty;
        match self.codec.send(Some(&self.packet)) {
            Ok(()) => {}
            Err(Code::AGAIN) => self.state = State::Holding,
            Err(_) => self.warn(WarningKind::Undecodable),
        }
        self.count_fruitless()
    }

    /// Reads the next packet of the stream; `false` at the end.
    fn read_packet(&mut self) -> Result<bool, DecodeError> {
        loop {
            match self.demuxer.read(&mut self.packet) {
                Ok(()) if self.packet.stream() == self.info.stream => {
                    self.read_errors = 0;
                    self.packets += 1;
                    self.demuxer.watch().allow(self.limits.stall_timeout);
                    return Ok(true);
                }
                Ok(()) => {}
                Err(Code::EOF) => return Ok(false),
                Err(code) => {
                    self.check_watch()?;
                    self.warn(WarningKind::Unreadable { reason: code.to_string() });
                    self.read_errors += 1;
                    // A demuxer can find its way past invalid data; other errors stay.
                    if code != Code::INVALID || self.read_errors >= MAX_READ_ERRORS {
                        return Ok(false);
                    }
                }
            }
        }
    }

    fn count_fruitless(&mut self) -> Result<(), DecodeError> {
        self.packets_since_frame += 1;
        if self.packets_since_frame > self.limits.max_packets_without_frame {
            self.state = State::Ended;
            return Err(self.no_frames());
        }
        self.check_watch()
    }

    fn check_watch(&self) -> Result<(), DecodeError> {
        let path = || self.path.clone();
        if self.demuxer.watch().cancelled() {
            return Err(DecodeError::Cancelled { path: path() });
        }
        if self.demuxer.watch().expired() {
            return Err(DecodeError::Stalled { path: path(), limit: self.limits.stall_timeout });
        }
        Ok(())
    }

    fn no_frames(&self) -> DecodeError {
        if self.packet.is_encrypted() {
            return DecodeError::Encrypted { path: self.path.clone() };
        }
        DecodeError::NoFrames { path: self.path.clone(), packets: self.packets }
    }

    /// Time and condition of the frame just received; notes what is odd about it.
    fn describe(&mut self) -> (Timestamp, bool) {
        let ticks = self.frame.timestamp().unwrap_or_else(|| self.guess_ticks());
        self.last_ticks = Some(ticks);
        let damaged = self.frame.is_corrupt() || self.frame.has_decode_errors();
        if damaged {
            self.warn(WarningKind::Concealed);
        }
        let size = (self.frame.width(), self.frame.height());
        if size != self.last_size {
            self.last_size = size;
            self.warn(WarningKind::SizeChanged { width: size.0, height: size.1 });
        }
        (Timestamp { pts: ticks, base: self.info.time_base }, damaged)
    }

    /// The time of a frame without one: a frame's length after the last.
    fn guess_ticks(&mut self) -> i64 {
        self.warn(WarningKind::Untimed);
        let Some(last) = self.last_ticks else { return 0 };
        let own = self.frame.packet().duration;
        let step = if own > 0 {
            own
        } else {
            let rate = self.info.frame_rate.unwrap_or(25.0);
            (1.0 / (rate * self.info.time_base.seconds().max(1e-9))).round() as i64
        };
        last.saturating_add(step.max(1))
    }

    fn warn(&mut self, kind: WarningKind) {
        let base = self.info.time_base;
        self.warnings.push(self.last_ticks.map(|pts| Timestamp { pts, base }.seconds()), kind);
    }
}
