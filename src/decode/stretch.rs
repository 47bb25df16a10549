//! Every frame of a stretch of a video, for stages that look at all of it and want all cores.
//!
//! Comes in: a [`Video`] and two of its [`Joint`]s. Goes out: its frames in presentation order, decoded on the calling
//! thread, and the times of those that were left out because a [`Gate`] said so. Several stretches of one video can be
//! walked at the same time, each through its own `Video`; that scales better than a decoder's own threads, which wait
//! for each other's rows.

use super::error::{DecodeError, Warning, WarningKind};
use super::limits::{Limits, MAX_READ_ERRORS};
use super::native::{Code, Codec, Packet};
use super::open::{self, Video};
use super::reader::Decoded;
use super::report::Warnings;
use ffmpeg_next::frame;
use longsight_models::{Span, Timestamp};
use std::collections::BTreeMap;

/// A key frame at which a video can be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joint {
    /// Where to seek, in ticks of whatever clock the container's index uses
    seek: i64,
    /// Presentation time of the key frame, in ticks
    pts: i64,
}

impl Joint {
    /// Presentation time of the key frame, in ticks.
    #[must_use]
    pub fn pts(self) -> i64 {
        self.pts
    }
}

/// What is known of a frame before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// Presentation time in ticks
    pub pts: i64,
    /// Compressed bytes
    pub bytes: usize,
    /// Whether it is a key frame
    pub key: bool,
}

/// Decides before each packet whether it may be left out, if no other frame refers to it.
pub trait Gate {
    /// Whether the frame is wanted; one that is not may still come.
    fn wants(&mut self, ahead: Ahead) -> bool;
}

/// A gate that wants every frame.
#[derive(Debug, Clone, Copy)]
pub struct Open;

impl Gate for Open {
    fn wants(&mut self, _ahead: Ahead) -> bool {
        true
    }
}

/// One step along a stretch.
pub enum Step<'a> {
    /// A frame, and the one given before it
    Frame {
        /// The frame
        decoded: Decoded<'a>,
        /// The one before, if there was one
        before: Option<&'a frame::Video>,
    },
    /// A frame that was left out
    Skipped(Timestamp),
}

/// A walk from one joint to another.
pub struct Stretch<G> {
    video: Video,
    codec: Codec,
    packet: Packet,
    frame: frame::Video,
    /// The last frame given, once another is in hand
    before: frame::Video,
    /// Whether the frame in `frame` was given
    was_given: bool,
    gate: G,
    from: Option<Joint>,
    until: Option<i64>,
    /// Packets sent with leave to skip them: their times and lengths
    skippable: BTreeMap<i64, i64>,
    state: State,
    /// Ticks of the frame in hand, if it has not been given yet
    held: Option<i64>,
    given: u64,
    sent: u64,
    fruitless: u32,
    read_errors: u32,
    last_ticks: Option<i64>,
    last_length: i64,
    warnings: Warnings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// The packet in hand was refused and has to be sent again
    Holding,
    Draining,
    Ended,
}

impl Video {
    /// Whether the container has an index of its key frames; transport streams and raw ones have nothing to rely on.
    #[must_use]
    pub fn seeks_exactly(&self) -> bool {
        ["mov", "matroska"].iter().any(|name| self.info.format.starts_with(name))
    }

    /// Key frames near the inner borders of `parts` equal parts of `span`, in order; none where the container allows no
    /// exact seek.
    ///
    /// The video stands somewhere else afterwards: walk it from one of the joints, or open it again.
    pub fn joints(&mut self, span: Span, parts: usize) -> Vec<Joint> {
        let mut joints: Vec<Joint> = Vec::new();
        if !self.seeks_exactly() {
            return joints;
        }
        for part in 1..parts {
            let target = self.ticks_at(span.start + span.duration() * part as f64 / parts as f64);
            let Some(joint) = self.joint_at(target) else { continue };
            // The first group begins where the span does.
            if joints.last().map_or(self.ticks_at(span.start), |last| last.pts) < joint.pts {
                joints.push(joint);
            }
        }
        joints
    }

    /// The last key frame shown at or before `seconds`, as far as the index knows; `None` where seeks are not exact.
    pub fn joint_before(&mut self, seconds: f64) -> Option<Joint> {
        let target = self.ticks_at(seconds);
        // An index may hold decoding times, which run ahead of presentation by the length of a reordered group.
        let found = [0.0, 1.0, 10.0].into_iter().find_map(|earlier| {
            let joint = self.joint_at(self.ticks_at(seconds - earlier))?;
            (joint.pts <= target).then_some(joint)
        });
        found.filter(|_| self.seeks_exactly())
    }

    /// Frames shown before the one at `pts`, counted by their packets from where the video stands.
    pub fn frames_before(&mut self, pts: i64) -> u64 {
        let Ok(mut packet) = Packet::new() else { return 0 };
        let mut frames = 0;
        self.demuxer.watch().allow(self.limits.stall_timeout);
        while self.demuxer.read(&mut packet).is_ok() {
            if packet.stream() != self.info.stream || packet.is_hidden() {
                continue;
            }
            self.demuxer.watch().allow(self.limits.stall_timeout);
            match packet.pts() {
                Some(time) if time > pts && packet.is_key() => break,
                Some(time) if time >= pts => {}
                _ => frames += 1,
            }
        }
        frames
    }

    fn ticks_at(&self, seconds: f64) -> i64 {
        (seconds / self.info.time_base.seconds().max(1e-9)).round() as i64
    }

    /// The key frame that a seek to `target` ticks finds; the last at or before it, as far as the index knows.
    pub fn joint_at(&mut self, target: i64) -> Option<Joint> {
        self.demuxer.watch().allow(self.limits.stall_timeout);
        self.demuxer.seek(self.info.stream, target).ok()?;
        let mut packet = Packet::new().ok()?;
        loop {
            self.demuxer.read(&mut packet).ok()?;
            if packet.stream() == self.info.stream {
                let found = packet.is_key() && !packet.is_hidden();
                return found.then(|| packet.pts()).flatten().map(|pts| Joint { seek: target, pts });
            }
        }
    }

    /// The error of a key frame that was there before and is not found again.
    #[must_use]
    pub fn lost(&self) -> DecodeError {
        let (path, action) = (self.path.clone(), "a key frame cannot be found again".into());
        DecodeError::Ffmpeg { path, action, reason: "its index has changed".to_owned() }
    }

    /// Walks every frame from `from` up to the one at `until` ticks (or the end), without it. Without `from` the walk
    /// goes from where the video stands, which is the start when it has just been opened.
    ///
    /// # Errors
    /// When the decoder cannot be started or the seek fails.
    pub fn stretch<G: Gate>(
        mut self,
        from: Option<Joint>,
        until: Option<i64>,
        gate: G,
    ) -> Result<Stretch<G>, DecodeError> {
        let path = self.path.clone();
        let failed = |action: &'static str| {
            let path = path.clone();
            move |code: Code| open::failed(&path, action, code)
        };
        let codec = Codec::open(&self.demuxer, self.info.stream, &self.limits)
            .map_err(failed("the decoder cannot be started"))?;
        let packet = Packet::new().map_err(failed("a packet cannot be allocated"))?;
        if let Some(joint) = from {
            self.demuxer.seek(self.info.stream, joint.seek).map_err(failed("a key frame cannot be found again"))?;
        }
        Ok(Stretch {
            video: self,
            codec,
            packet,
            frame: frame::Video::empty(),
            before: frame::Video::empty(),
            was_given: false,
            gate,
            from,
            until,
            skippable: BTreeMap::new(),
            state: State::Reading,
            held: None,
            given: 0,
            sent: 0,
            fruitless: 0,
            read_errors: 0,
            last_ticks: None,
            last_length: 0,
            warnings: Warnings::default(),
        })
    }
}

impl<G: Gate> Stretch<G> {
    /// The video, for another walk from a joint.
    #[must_use]
    pub fn into_video(self) -> Video {
        self.video
    }

    /// The gate, to be told what became of its choices.
    pub fn gate(&mut self) -> &mut G {
        &mut self.gate
    }

    /// The last frame given, if there was one.
    #[must_use]
    pub fn last(&self) -> Option<&frame::Video> {
        (self.given > 0).then_some(if self.was_given { &self.frame } else { &self.before })
    }

    /// What was wrong so far.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        self.warnings.list()
    }

    /// Length of the last frame given, in ticks; 0 where the container does not say.
    #[must_use]
    pub fn last_length(&self) -> i64 {
        self.last_length
    }

    /// The next frame, decoded or left out; `None` after the last.
    ///
    /// # Errors
    /// When decoding stops moving, is cancelled, or ends without having given one frame.
    #[expect(clippy::should_implement_trait, reason = "the frame is lent, which an iterator cannot do")]
    pub fn next(&mut self) -> Result<Option<Step<'_>>, DecodeError> {
        self.video.demuxer.watch().allow(self.video.limits.stall_timeout);
        loop {
            if let Some(pts) = self.next_skipped() {
                return Ok(Some(Step::Skipped(self.time(pts))));
            }
            if let Some(pts) = self.held.take() {
                if self.from.is_some_and(|joint| pts < joint.pts) {
                    // A picture before the key frame in presentation, after it in the file: the last stretch has it.
                    continue;
                }
                if self.until.is_some_and(|until| pts >= until) {
                    self.state = State::Ended;
                    return Ok(None);
                }
                return Ok(Some(self.give(pts)));
            }
            if self.state == State::Ended {
                return if self.given == 0 { Err(self.no_frames()) } else { Ok(None) };
            }
            if std::mem::take(&mut self.was_given) {
                std::mem::swap(&mut self.frame, &mut self.before);
            }
            match self.codec.receive(&mut self.frame) {
                Ok(()) => {
                    self.fruitless = 0;
                    self.held = Some(self.ticks());
                }
                Err(Code::EOF) => self.state = State::Ended,
                Err(Code::AGAIN) if self.state != State::Draining => self.feed()?,
                Err(code) => {
                    self.check_memory(code)?;
                    self.warn(WarningKind::Undecodable);
                    self.count_fruitless()?;
                }
            }
        }
    }

    /// Takes the earliest frame that was left out before the one in hand, or before the end.
    fn next_skipped(&mut self) -> Option<i64> {
        let reached = match self.held {
            Some(pts) => {
                self.skippable.remove(&pts);
                pts
            }
            None if self.state == State::Ended => i64::MAX,
            None => return None,
        };
        let reached = reached.min(self.until.unwrap_or(i64::MAX));
        loop {
            let (&pts, &length) = self.skippable.first_key_value().filter(|(pts, _)| **pts < reached)?;
            self.skippable.remove(&pts);
            if self.from.is_none_or(|joint| pts >= joint.pts) {
                self.last_ticks = Some(pts);
                self.last_length = length;
                return Some(pts);
            }
        }
    }

    fn give(&mut self, pts: i64) -> Step<'_> {
        let damaged = self.frame.is_corrupt() || self.frame.has_decode_errors();
        self.last_ticks = Some(pts);
        self.last_length = self.frame.packet().duration;
        if damaged {
            self.warn(WarningKind::Concealed);
        }
        let (index, time, key) = (self.given, self.time(pts), self.frame.is_key());
        let duration_s = (self.last_length > 0).then(|| self.last_length as f64 * time.base.seconds());
        self.given += 1;
        self.was_given = true;
        let decoded = Decoded { frame: &self.frame, index, time, duration_s, key, damaged };
        Step::Frame { decoded, before: (index > 0).then_some(&self.before) }
    }

    fn time(&self, pts: i64) -> Timestamp {
        Timestamp { pts, base: self.video.info.time_base }
    }

    /// Ticks of the frame in hand; without a timestamp, a frame's length after the last.
    fn ticks(&mut self) -> i64 {
        if let Some(ticks) = self.frame.timestamp() {
            return ticks;
        }
        self.warn(WarningKind::Untimed);
        let info = &self.video.info;
        let step = 1.0 / (info.frame_rate.unwrap_or(25.0) * info.time_base.seconds().max(1e-9));
        let own = self.frame.packet().duration;
        let step = if own > 0 { own } else { step.round() as i64 };
        self.last_ticks.map_or(0, |last| last.saturating_add(step.max(1)))
    }

    /// Gives the decoder one packet, or tells it that there are no more.
    fn feed(&mut self) -> Result<(), DecodeError> {
        if self.state == State::Reading {
            if !self.read_packet()? {
                self.state = State::Draining;
                // The only errors are "already draining" and "out of memory"; `receive` reports the latter too.
                let _ = self.codec.send(None);
                return Ok(());
            }
            self.sent += 1;
            self.ask_gate();
        }
        self.state = State::Reading;
        match self.codec.send(Some(&self.packet)) {
            Ok(()) => {}
            Err(Code::AGAIN) => self.state = State::Holding,
            Err(code) => {
                self.check_memory(code)?;
                self.warn(WarningKind::Undecodable);
            }
        }
        self.count_fruitless()
    }

    fn ask_gate(&mut self) {
        let wanted = match self.packet.pts() {
            Some(pts) if !self.packet.is_hidden() => {
                let wanted = self.gate.wants(Ahead { pts, bytes: self.packet.bytes(), key: self.packet.is_key() });
                if !wanted {
                    self.skippable.insert(pts, self.packet.duration());
                }
                wanted
            }
            _ => true,
        };
        self.codec.skip_disposable(!wanted);
    }

    /// Reads the next packet of the stream; `false` at the end.
    fn read_packet(&mut self) -> Result<bool, DecodeError> {
        loop {
            match self.video.demuxer.read(&mut self.packet) {
                Ok(()) if self.packet.stream() == self.video.info.stream => {
                    self.read_errors = 0;
                    return Ok(true);
                }
                Ok(()) => {}
                Err(Code::EOF) => return Ok(false),
                Err(code) => {
                    self.check_watch()?;
                    self.check_memory(code)?;
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
        self.fruitless += 1;
        if self.fruitless > self.video.limits.max_packets_without_frame {
            self.state = State::Ended;
            return Err(self.no_frames());
        }
        self.check_watch()
    }

    fn check_watch(&self) -> Result<(), DecodeError> {
        let (watch, path) = (self.video.demuxer.watch(), || self.video.path.clone());
        if watch.cancelled() {
            return Err(DecodeError::Cancelled { path: path() });
        }
        if watch.expired() {
            return Err(DecodeError::Stalled { path: path(), limit: self.video.limits.stall_timeout });
        }
        Ok(())
    }

    /// Whether it is memory that was missing, and not the file that is damaged.
    fn check_memory(&self, code: Code) -> Result<(), DecodeError> {
        open::check_memory(&self.video.path, &self.video.info, code)
    }

    fn no_frames(&self) -> DecodeError {
        let path = self.video.path.clone();
        if self.packet.is_encrypted() {
            return DecodeError::Encrypted { path };
        }
        DecodeError::NoFrames { path, packets: self.sent }
    }

    fn warn(&mut self, kind: WarningKind) {
        let after = self.last_ticks.map(|pts| self.time(pts).seconds());
        self.warnings.push(after, kind);
    }
}

impl Limits {
    /// The same limits with that many decoder threads.
    #[must_use]
    pub fn with_threads(&self, threads: usize) -> Self {
        Self { threads, ..self.clone() }
    }

    /// Threads that may decode at a time.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.thread_count()
    }
}
