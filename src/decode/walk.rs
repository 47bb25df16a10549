//! From wanted times to frames, by the shortest way: forward, or over a seek where whole groups of pictures hold
//! nothing that is wanted.

use super::error::{DecodeError, Warning, WarningKind};
use super::index::KeyIndex;
use super::open::{self, Video};
use super::reader::{Reader, Sought};
use super::report::Warnings;
use super::sampling::{EPSILON_S, Picks};
use ffmpeg_next::frame;
use longsight_models::{Span, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A frame that was asked for; the pixels are shared with the decoder.
pub(super) struct Picked {
    pub(super) frame: frame::Video,
    pub(super) index: u64,
    pub(super) time: Timestamp,
    pub(super) end_s: Option<f64>,
}

/// How a walk went.
pub(super) struct Walked {
    /// Frames decoded, wanted or not
    pub(super) decoded: u64,
    /// Where the pictures end, in seconds, if the walk went that far
    pub(super) end_s: Option<f64>,
    /// What was wrong
    pub(super) warnings: Vec<Warning>,
}

/// Walks a video and gives the frames that were picked.
pub(super) struct Walk {
    reader: Reader,
    picks: Picks,
    /// The stretch asked for; infinite where it was left open
    span: Span,
    /// Whether the picks start at the start of the stretch
    on_start: bool,
    index: Option<KeyIndex>,
    /// Packets before the key frame that was last sought: where its time turns out to be later than the index has it, the seek
    /// ends at an earlier one, and is not tried again
    sought: u64,
    /// The frame before the one just decoded: it is wanted once its end is known
    held: Option<Picked>,
    last_given: Option<i64>,
    /// After a jump, frames up to this one were given before it
    resume_after: Option<i64>,
    given: u64,
    max_frames: u64,
    decoded: u64,
    warnings: Warnings,
    progress: Arc<AtomicU64>,
    last_start_s: Option<f64>,
    last_end_s: Option<f64>,
    end_s: Option<f64>,
    ended: bool,
}

/// Times that go back by more than this, in seconds, are another recording's; less is jitter.
const BACK_S: f64 = 1.0;

/// Containers that recordings are joined in as bytes.
const JOINABLE: [&str; 2] = ["mpegts", "mpeg"];

impl Walk {
    /// `progress` counts decoded frames for whoever watches over the thread.
    pub(super) fn new(
        video: Video,
        picks: Picks,
        span: Span,
        max_frames: u64,
        progress: Arc<AtomicU64>,
    ) -> Result<Self, DecodeError> {
        let mut reader = video.reader()?;
        let index = if worth_an_index(&picks, span, &reader) { reader.key_index() } else { None };
        configure(&mut reader, &picks);
        let on_start = picks.next_time().is_some_and(|first| (first - span.start).abs() < EPSILON_S);
        Ok(Self {
            reader,
            picks,
            span,
            on_start,
            index,
            sought: 0,
            held: None,
            last_given: None,
            resume_after: None,
            given: 0,
            max_frames,
            decoded: 0,
            warnings: Warnings::default(),
            progress,
            last_start_s: None,
            last_end_s: None,
            end_s: None,
            ended: false,
        })
    }

    /// The next picked frame in presentation order, `None` when there are no more.
    pub(super) fn next(&mut self) -> Result<Option<Picked>, DecodeError> {
        while !self.ended && !self.picks.is_done() {
            self.seek_ahead()?;
            self.progress.fetch_add(1, Ordering::Relaxed);
            let picked = match self.decode() {
                Ok(Some(frame)) => self.take(frame),
                Ok(None) | Err(DecodeError::NoFrames { .. }) if self.reader.is_lost() => {
                    self.start_afresh()?;
                    None
                }
                Ok(None) => {
                    self.ended = true;
                    self.end_s = self.last_end_s;
                    self.take_last()
                }
                Err(error) => return Err(error),
            };
            if let Some(picked) = picked {
                if self.given >= self.max_frames {
                    // The file is longer than its header said when the rate was chosen.
                    let kind = WarningKind::LimitReached { max_frames: self.max_frames };
                    self.warnings.push(Some(picked.time.seconds()), kind);
                    return Ok(None);
                }
                self.last_given = Some(picked.time.pts);
                self.given += 1;
                return Ok(Some(picked));
            }
        }
        if !self.ended {
            self.ended = true;
            self.listen_on()?;
        }
        Ok(None)
    }

    /// Reads what is left of a stream whose recordings can be joined end to end, where it was asked for to its end: of a second one that is
    /// not longer than the first the header says nothing, and no time that was asked for lies behind it.
    fn listen_on(&mut self) -> Result<(), DecodeError> {
        let info = self.reader.info();
        let joinable = info.format.split(',').any(|name| JOINABLE.contains(&name));
        // Who asks for some times does not ask for the rest.
        let to_end =
            matches!(self.picks, Picks::Grid { .. }) && info.end_s().is_none_or(|end| self.span.end >= end - EPSILON_S);
        let Some(last) = self.last_start_s.filter(|_| joinable && to_end) else { return Ok(()) };
        for (before, to_s) in self.reader.returns(last, BACK_S)? {
            self.warnings.push(Some(before), WarningKind::TimesGoBack { to_s });
        }
        Ok(())
    }

    /// The next frame of the reader, taken out of it.
    fn decode(&mut self) -> Result<Option<Picked>, DecodeError> {
        let Some(decoded) = self.reader.advance(&self.picks)? else { return Ok(None) };
        let (index, time) = (decoded.index, decoded.time);
        let end_s = decoded.duration_s.map(|duration| time.seconds() + duration);
        let before = self.last_start_s.replace(time.seconds());
        if let Some(before) = before.filter(|before| time.seconds() < before - BACK_S) {
            self.warnings.push(Some(before), WarningKind::TimesGoBack { to_s: time.seconds() });
        }
        self.last_end_s = end_s.or(Some(time.seconds()));
        Ok(Some(Picked { frame: self.reader.take_frame(), index, time, end_s }))
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        self.reader.path()
    }

    /// How it went so far.
    pub(super) fn walked(&self) -> Walked {
        Walked {
            decoded: self.decoded + self.reader.frames(),
            end_s: self.end_s,
            warnings: self.reader.warnings().iter().chain(self.warnings.list()).cloned().collect(),
        }
    }

    /// Seeks if the next wanted time lies in a later group of pictures and enough packets are saved.
    fn seek_ahead(&mut self) -> Result<(), DecodeError> {
        let Some(index) = &self.index else { return Ok(()) };
        let start = matches!(self.picks, Picks::Every | Picks::Keys).then_some(self.span.start);
        let start = start.filter(|start| start.is_finite() && self.given == 0);
        let Some(time) = self.picks.next_time().or(start) else { return Ok(()) };
        let Some(key) = index.before(time) else { return Ok(()) };
        // What is half decoded is lost at a seek, so a short way is walked.
        if key.packets_before <= (self.reader.position() + self.reader.delay()).max(self.sought) {
            return Ok(());
        }
        self.sought = key.packets_before;
        (self.held, self.resume_after, self.last_start_s) = (None, self.last_given, None);
        if self.reader.seek(time, index)? == Sought::Lost { self.start_afresh() } else { Ok(()) }
    }

    /// Opens the file again and walks it from the start, without further seeks.
    fn start_afresh(&mut self) -> Result<(), DecodeError> {
        self.decoded += self.reader.frames();
        let (path, limits) = (self.reader.path().to_path_buf(), self.reader.limits().clone());
        self.reader = open::open_cancellable(&path, &limits, self.reader.cancel())?.reader()?;
        configure(&mut self.reader, &self.picks);
        (self.index, self.held, self.resume_after, self.last_start_s) = (None, None, self.last_given, None);
        Ok(())
    }

    /// Takes a decoded frame: it is given at once, or held until its end is known and the held one may be given.
    fn take(&mut self, next: Picked) -> Option<Picked> {
        if self.resume_after.is_some_and(|last| next.time.pts <= last) {
            return None;
        }
        let starts = next.time.seconds();
        if matches!(self.picks, Picks::Every | Picks::Keys) {
            return self.take_every(next, starts);
        }
        let held = self.held.replace(next)?;
        if self.belongs_to_next(&held, starts) || !self.picks.take_before(starts) {
            return None;
        }
        Some(held)
    }

    fn take_every(&mut self, next: Picked, starts: f64) -> Option<Picked> {
        if starts < self.span.start - EPSILON_S {
            self.held = Some(next);
            return None;
        }
        if starts < self.span.end - EPSILON_S {
            return Some(next);
        }
        self.ended = true;
        // A stretch inside one long frame shows that frame.
        self.held.take().filter(|_| self.given == 0)
    }

    /// The first time of a stretch goes to the first frame inside it, unless an earlier frame is still shown at the
    /// second time: what lies before the stretch was not asked for.
    fn belongs_to_next(&self, held: &Picked, next_starts: f64) -> bool {
        let first = self.on_start && self.given == 0 && held.time.seconds() < self.span.start - EPSILON_S;
        let until = self.picks.time_after_next().unwrap_or(self.span.end);
        first && next_starts < until - EPSILON_S && self.picks.next_time().is_some_and(|time| time < next_starts)
    }

    fn take_last(&mut self) -> Option<Picked> {
        let held = self.held.take()?;
        let start = held.time.seconds();
        match &self.picks {
            Picks::Every | Picks::Keys => (self.given == 0 && self.span.start > start).then_some(held),
            Picks::Grid { .. } => {
                let header_end = self.reader.info().end_s().unwrap_or(start);
                let end = held.end_s.unwrap_or(start).max(header_end).max(start + 2.0 * EPSILON_S);
                self.picks.take_before(end).then_some(held)
            }
            Picks::List { times, .. } => {
                let end = held.end_s.unwrap_or(start);
                if let Some(&asked) = times.iter().find(|&&time| time > end + EPSILON_S) {
                    self.warnings.push(None, WarningKind::PastEnd { asked_s: asked, end_s: end });
                }
                self.picks.take_before(f64::INFINITY).then_some(held)
            }
        }
    }
}

fn configure(reader: &mut Reader, picks: &Picks) {
    match picks {
        Picks::Keys => reader.key_frames_only(),
        Picks::Every => {}
        Picks::Grid { .. } | Picks::List { .. } => reader.spare(),
    }
}

/// Below this distance between wanted times the index is not worth reading for containers that have none ready.
const SPARSE_S: f64 = 2.0;

fn worth_an_index(picks: &Picks, span: Span, reader: &Reader) -> bool {
    let free = reader.info().format.starts_with("mov");
    let sparse = match picks {
        Picks::Keys => return false,
        Picks::Every => false,
        Picks::Grid { step, .. } => *step >= SPARSE_S,
        Picks::List { times, .. } => {
            let end = reader.info().end_s().unwrap_or(0.0);
            times.len() as f64 * SPARSE_S <= end
        }
    };
    let late = span.start.is_finite() && span.start > reader.info().start_s.unwrap_or(0.0) + SPARSE_S;
    free || sparse || late
}
