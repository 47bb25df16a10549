//! Every frame in order, as the decoder gives it: planes, exact time, no conversion.

use super::error::{DecodeError, Warning, WarningKind};
use super::index::KeyIndex;
use super::info::VideoInfo;
use super::limits::{Limits, MAX_READ_ERRORS};
use super::native::{Code, Codec, Demuxer, Packet};
use super::open::{self, Video};
use super::report::Warnings;
use super::sampling::{EPSILON_S, Picks};
use ffmpeg_next::frame;
use longsight_models::Timestamp;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Packets held back to know which frame follows which on the screen. H.264 and HEVC reorder by at most 16.
const LOOKAHEAD: usize = 24;
/// Attempts to find the key frame before a time, each one key frame further back.
const SEEK_ATTEMPTS: usize = 4;

/// A decoded frame that belongs to the reader until the next one is asked for.
#[derive(Clone, Copy)]
pub struct Decoded<'a> {
    /// FFmpeg's frame: planes, pixel format, colour description
    pub frame: &'a frame::Video,
    /// Ordinal in presentation order, from 0
    pub index: u64,
    /// Presentation time
    pub time: Timestamp,
    /// How long it is shown, in seconds, if the container says
    pub duration_s: Option<f64>,
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

/// Walks every frame of a video, from the start to the end.
///
/// Damage becomes [`Warning`]s; an error means that nothing more will come.
pub struct Reader {
    path: PathBuf,
    demuxer: Demuxer,
    codec: Codec,
    info: VideoInfo,
    limits: Limits,
    frame: frame::Video,
    state: State,
    mode: Mode,
    /// Packets read and not yet sent
    queue: VecDeque<Packet>,
    /// Times of the packets sent last
    sent: VecDeque<i64>,
    /// Times of packets whose frames were left out on purpose and not yet counted
    left_out: BTreeSet<i64>,
    /// Packets of the stream read or sought past, in file order
    position: u64,
    landed: Option<Landing>,
    /// Time of the key frame that was sought last
    floor: Option<i64>,
    warnings: Warnings,
    next_index: u64,
    frames: u64,
    last_ticks: Option<i64>,
    last_size: (u32, u32),
    packets_since_frame: u32,
    read_errors: u32,
    ever_encrypted: bool,
}

/// Where the packets stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Packets are being read
    Reading,
    /// All packets are read
    Sending,
    /// All packets are sent; the decoder gives its last frames
    Draining,
    /// Nothing more comes
    Ended,
}

/// What is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Every frame
    Everything,
    /// Frames that no wanted frame is built from may be left out
    Sparing,
    /// Key frames only
    KeyFrames,
}

/// A key frame that was sought and has not come out yet.
#[derive(Debug, Clone, Copy)]
struct Landing {
    ticks: i64,
    hidden: bool,
}

/// How a seek ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    /// The next frame is at or before the time
    There,
    /// The container went elsewhere than its index says; decoding has to start afresh
    Lost,
}

impl Reader {
    pub(super) fn new(video: Video) -> Result<Self, DecodeError> {
        let Video { path, demuxer, info, limits } = video;
        let codec = Codec::open(&demuxer, info.stream, &limits)
            .map_err(|code| open::failed(&path, "the decoder cannot be started", code))?;
        Ok(Self {
            path,
            demuxer,
            codec,
            limits,
            frame: frame::Video::empty(),
            state: State::Reading,
            mode: Mode::Everything,
            queue: VecDeque::new(),
            sent: VecDeque::new(),
            left_out: BTreeSet::new(),
            position: 0,
            landed: None,
            floor: None,
            warnings: Warnings::default(),
            next_index: 0,
            frames: 0,
            last_ticks: None,
            last_size: (info.coded_width, info.coded_height),
            packets_since_frame: 0,
            read_errors: 0,
            ever_encrypted: false,
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
        self.frames
    }

    /// The next frame, `None` after the last.
    ///
    /// # Errors
    /// When decoding stops moving, is cancelled, or ends without having given one frame.
    #[expect(clippy::should_implement_trait, reason = "the frame is lent, which an iterator cannot do")]
    pub fn next(&mut self) -> Result<Option<Decoded<'_>>, DecodeError> {
        self.advance(&Picks::Every)
    }

    /// Decodes key frames only from here on.
    pub(super) fn key_frames_only(&mut self) {
        self.mode = Mode::KeyFrames;
    }

    /// Leaves out frames that are neither picked nor needed for one that is, where that changes no pixel.
    pub(super) fn spare(&mut self) {
        // H.264 says of each picture whether others refer to it, and FFmpeg's decoder goes by it.
        if self.info.codec == "h264" {
            self.mode = Mode::Sparing;
        }
    }

    /// The next frame of which `picks` may want something; in the sparing mode others may be left out.
    pub(super) fn advance(&mut self, picks: &Picks) -> Result<Option<Decoded<'_>>, DecodeError> {
        self.demuxer.watch().allow(self.limits.stall_timeout);
        while self.state != State::Ended {
            match self.codec.receive(&mut self.frame) {
                Ok(()) => {
                    self.packets_since_frame = 0;
                    if let Some((index, time, damaged)) = self.describe() {
                        let ticks = self.frame.packet().duration;
                        let duration_s = (ticks > 0).then(|| ticks as f64 * self.info.time_base.seconds());
                        let (frame, key) = (&self.frame, self.frame.is_key());
                        return Ok(Some(Decoded { frame, index, time, duration_s, key, damaged }));
                    }
                }
                Err(Code::EOF) if self.mode == Mode::KeyFrames && !self.queue.is_empty() => self.next_key(),
                Err(Code::EOF) => self.state = State::Ended,
                Err(Code::AGAIN) if self.state != State::Draining => self.feed(picks)?,
                Err(code) => {
                    self.check_memory(code)?;
                    self.warn(WarningKind::Undecodable);
                    self.count_fruitless()?;
                }
            }
        }
        if self.frames == 0 {
            return Err(self.no_frames());
        }
        Ok(None)
    }

    /// Gives the decoder one packet, or tells it that there are no more.
    fn feed(&mut self, picks: &Picks) -> Result<(), DecodeError> {
        self.fill()?;
        let Some(packet) = self.queue.front() else {
            self.drain();
            return Ok(());
        };
        let leave_out = self.mode == Mode::Sparing && !self.may_want(packet, picks);
        if self.mode == Mode::Sparing {
            self.codec.skip_disposable(leave_out);
        }
        match self.codec.send(Some(packet)) {
            Err(Code::AGAIN) => return Ok(()),
            Err(code) => {
                self.check_memory(code)?;
                self.warn(WarningKind::Undecodable);
            }
            Ok(()) => {}
        }
        if let Some(packet) = self.queue.pop_front()
            && let Some(pts) = packet.pts()
        {
            // What leads the key frame that was sought is counted already.
            if leave_out && !packet.is_hidden() && self.floor.is_none_or(|floor| pts >= floor) {
                self.left_out.insert(pts);
            }
            self.sent.push_back(pts);
            if self.sent.len() > LOOKAHEAD {
                self.sent.pop_front();
            }
        }
        if self.mode == Mode::KeyFrames {
            self.drain();
        }
        self.count_fruitless()
    }

    /// Asks the decoder for what it still holds.
    fn drain(&mut self) {
        self.state = State::Draining;
        // The only errors are "already draining" and "out of memory"; `receive` reports the latter too.
        let _ = self.codec.send(None);
    }

    /// Goes on after a key frame has been drained. Each is decoded by itself: without the frames between them, the
    /// decoder would put them in a wrong order.
    fn next_key(&mut self) {
        self.codec.flush();
        self.state = State::Reading;
    }

    /// Whether a packet's frame, shown until the frame after it, may be picked.
    fn may_want(&self, packet: &Packet, picks: &Picks) -> bool {
        let Some(pts) = packet.pts() else { return true };
        let known = self.queue.iter().filter_map(Packet::pts).chain(self.sent.iter().copied());
        let next = known.filter(|&other| other > pts).min();
        let end = next.map_or(f64::INFINITY, |next| self.seconds(next));
        picks.may_want(self.seconds(pts), end)
    }

    /// Reads packets ahead, as far as the mode asks.
    fn fill(&mut self) -> Result<(), DecodeError> {
        let wanted = if self.mode == Mode::Everything { 1 } else { LOOKAHEAD };
        while self.state == State::Reading && self.queue.len() < wanted {
            match self.read_packet()? {
                Some(packet) if self.mode == Mode::KeyFrames && !packet.is_key() => {
                    self.left_out.extend(packet.pts().filter(|_| !packet.is_hidden()));
                }
                Some(packet) => self.queue.push_back(packet),
                None => self.state = State::Sending,
            }
        }
        Ok(())
    }

    /// Reads the next packet of the stream; `None` at the end.
    fn read_packet(&mut self) -> Result<Option<Packet>, DecodeError> {
        let mut packet = Packet::new().map_err(|code| self.failed("a packet cannot be allocated", code))?;
        loop {
            match self.demuxer.read(&mut packet) {
                Ok(()) if packet.stream() == self.info.stream => {
                    self.read_errors = 0;
                    self.position += 1;
                    self.demuxer.watch().allow(self.limits.stall_timeout);
                    if !packet.is_encrypted() {
                        return Ok(Some(packet));
                    }
                    // Decoded as they are, encrypted packets give noise.
                    self.ever_encrypted = true;
                    self.warn(WarningKind::Undecodable);
                    self.count_fruitless()?;
                }
                Ok(()) => {}
                Err(Code::EOF) => return Ok(None),
                Err(code) => {
                    self.check_watch()?;
                    self.check_memory(code)?;
                    self.warn(WarningKind::Unreadable { reason: code.to_string() });
                    self.read_errors += 1;
                    // A demuxer can find its way past invalid data; other errors stay.
                    if code != Code::INVALID || self.read_errors >= MAX_READ_ERRORS {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Reads to the end without decoding, and gives each place where the clock, which stood at `last`, goes back by more than `by` seconds:
    /// from where, and where to.
    pub(super) fn returns(&mut self, mut last: f64, by: f64) -> Result<Vec<(f64, f64)>, DecodeError> {
        let mut returns = Vec::new();
        loop {
            let packet = match self.queue.pop_front() {
                None => self.read_packet()?,
                waiting => waiting,
            };
            let Some(packet) = packet else { return Ok(returns) };
            let Some(time) = packet.pts().map(|pts| self.seconds(pts)) else { continue };
            if time < last - by {
                returns.push((last, time));
                last = time;
            }
            last = last.max(time);
        }
    }

    /// Packets of the stream read so far, or sought past.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Packets that a seek throws away although they may be half decoded.
    pub(super) fn delay(&self) -> u64 {
        self.codec.delay() as u64
    }

    /// The key frames of the file, if it can be sought exactly.
    pub(super) fn key_index(&mut self) -> Option<KeyIndex> {
        if self.queue.is_empty()
            && let Some(packet) = self.read_packet().ok()?
        {
            self.queue.push_back(packet);
        }
        // An MP4's index has decoding times only; the first packet tells how far they lie before the others.
        let first = self.queue.front()?;
        let shift = first.pts()? - first.dts().unwrap_or(first.pts()?);
        KeyIndex::build(&self.demuxer, &self.path, &self.info, shift, &self.limits)
    }

    /// Goes to the last key frame at or before a time.
    pub(super) fn seek(&mut self, seconds: f64, index: &KeyIndex) -> Result<Sought, DecodeError> {
        self.demuxer.watch().allow(self.limits.stall_timeout);
        let Some(mut target) = index.before(seconds).copied() else { return Ok(Sought::Lost) };
        for _ in 0..SEEK_ATTEMPTS {
            self.codec.flush();
            self.queue.clear();
            self.sent.clear();
            self.left_out.clear();
            (self.state, self.landed) = (State::Reading, None);
            let ticks = (target.seconds / self.info.time_base.seconds().max(1e-12)).round() as i64;
            if self.demuxer.seek(self.info.stream, ticks).is_err() {
                return Ok(Sought::Lost);
            }
            let Some(packet) = self.read_packet()? else { return Ok(Sought::Lost) };
            let (Some(pts), true) = (packet.pts(), packet.is_key()) else { return Ok(Sought::Lost) };
            let found = if index.by_dts { packet.dts() } else { Some(pts) };
            let Some((at, key)) = found.and_then(|ticks| index.find(ticks)) else { return Ok(Sought::Lost) };
            if self.seconds(pts) > seconds + EPSILON_S {
                let Some(previous) = at.checked_sub(1).and_then(|at| index.keys.get(at)) else {
                    return Ok(Sought::Lost);
                };
                target = *previous;
                continue;
            }
            self.position = key.packets_before + 1;
            self.landed = Some(Landing { ticks: pts, hidden: packet.is_hidden() });
            self.floor = Some(pts);
            self.queue.push_back(packet);
            self.next_index = key.frames_before + self.count_leading(pts)?;
            return Ok(Sought::There);
        }
        Ok(Sought::Lost)
    }

    /// Frames that follow a key frame in the file and come before it on the screen.
    fn count_leading(&mut self, key: i64) -> Result<u64, DecodeError> {
        while self.state == State::Reading && self.queue.len() < LOOKAHEAD {
            match self.read_packet()? {
                Some(packet) => self.queue.push_back(packet),
                None => self.state = State::Sending,
            }
        }
        let group = self.queue.iter().skip(1).take_while(|packet| !packet.is_key());
        let leading = group.filter(|packet| !packet.is_hidden() && packet.pts().is_some_and(|pts| pts < key));
        Ok(leading.count() as u64)
    }

    /// Whether the last seek turned out to have gone wrong.
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Ended && self.landed.is_some()
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

    /// Whether it is memory that was missing, and not the file that is damaged.
    fn check_memory(&self, code: Code) -> Result<(), DecodeError> {
        open::check_memory(&self.path, &self.info, code)
    }

    fn no_frames(&self) -> DecodeError {
        let path = self.path.clone();
        if self.ever_encrypted {
            return DecodeError::Encrypted { path };
        }
        DecodeError::NoFrames { path, packets: self.position }
    }

    fn failed(&self, action: &'static str, code: Code) -> DecodeError {
        open::failed(&self.path, action, code)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Set by whoever wants decoding to end.
    pub(super) fn cancel(&self) -> Arc<AtomicBool> {
        self.demuxer.watch().cancel()
    }

    /// The frame given last, out of the reader's hands.
    pub(super) fn take_frame(&mut self) -> frame::Video {
        std::mem::replace(&mut self.frame, frame::Video::empty())
    }

    /// What the file may cost.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Ordinal, time and condition of the frame just received, and notes what is odd about it. `None` for a frame that
    /// is not to be given: one from before the key frame that was sought, whose references are missing.
    fn describe(&mut self) -> Option<(u64, Timestamp, bool)> {
        let own = self.frame.timestamp();
        let ticks = own.unwrap_or_else(|| self.guess_ticks());
        if let Some(landing) = self.landed {
            if ticks < landing.ticks {
                return None;
            }
            if ticks > landing.ticks && !landing.hidden {
                // The key frame itself did not come out: it was none. The caller sees this as `is_lost`.
                self.state = State::Ended;
                return None;
            }
            self.landed = None;
        }
        if own.is_none() || own != self.frame.pts() {
            // Counting and leaving out go by the packets' times.
            self.give_up_sparing();
        }
        while let Some(&first) = self.left_out.first().filter(|&&first| first <= ticks) {
            self.left_out.remove(&first);
            self.next_index += u64::from(first < ticks);
        }
        let index = self.next_index;
        self.next_index += 1;
        self.frames += 1;
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
        Some((index, Timestamp { pts: ticks, base: self.info.time_base }, damaged))
    }

    fn give_up_sparing(&mut self) {
        if self.mode == Mode::Sparing {
            self.mode = Mode::Everything;
            self.codec.skip_disposable(false);
        }
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

    fn seconds(&self, pts: i64) -> f64 {
        Timestamp { pts, base: self.info.time_base }.seconds()
    }

    fn warn(&mut self, kind: WarningKind) {
        self.warnings.push(self.last_ticks.map(|ticks| self.seconds(ticks)), kind);
    }
}
