//! Frames as they are wanted, decoded on a thread of their own.

use super::convert::{Converter, Size, Unconvertible};
use super::error::{DecodeError, WarningKind};
use super::info::VideoInfo;
use super::limits::Limits;
use super::native;
use super::open::{self, Video};
use super::report::DecodeReport;
use super::sampling::{Picks, Sampling};
use super::walk::{Picked, Walk, Walked};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use longsight_models::{Frame, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pictures that wait between decoding and use, and decoded frames of each walk that wait to become pictures: 25 and 12 MB
/// at 1080p.
pub const FRAMES_IN_FLIGHT: usize = 4;

/// What is wanted of a video.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which frames
    pub sampling: Sampling,
    /// First second wanted, on the source clock; the start if `None`
    pub from: Option<f64>,
    /// First second no longer wanted; the end if `None`
    pub to: Option<f64>,
    /// How large
    pub size: Size,
    /// What the file may cost
    pub limits: Limits,
    /// Ends the work when set
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Request {
    /// The frames of `sampling` over the whole video, in native size.
    #[must_use]
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling, from: None, to: None, size: Size::Native, limits: Limits::default(), cancel: None }
    }
}

/// Starts decoding on a thread of its own; the frames come out in presentation order.
///
/// # Errors
/// When the file cannot be opened; what goes wrong later comes from [`FrameStream::finish`].
pub fn stream(path: impl AsRef<Path>, request: &Request) -> Result<FrameStream, DecodeError> {
    let cancel = request.cancel.clone().unwrap_or_default();
    let video = open::open_cancellable(path.as_ref(), &request.limits, Arc::clone(&cancel))?;
    stream_opened(video, request)
}

/// As [`stream`], for a video that is open already.
///
/// # Errors
/// When the decoder or its thread cannot be started.
pub fn stream_opened(video: Video, request: &Request) -> Result<FrameStream, DecodeError> {
    let path = video.path().to_path_buf();
    let cancel = video.cancel();
    let stall_timeout = video.limits.stall_timeout;
    let (sender, frames) = bounded(FRAMES_IN_FLIGHT);
    let progress = Arc::new(AtomicU64::new(0));
    let plan = Plan::new(video.info(), request);
    let walks = plan.walks(video, &progress)?;
    let thread = std::thread::Builder::new()
        .name("decode".to_owned())
        .spawn(move || run(&plan, walks, &sender))
        .map_err(|source| DecodeError::Unreadable { path: path.clone(), source })?;
    Ok(FrameStream { path, frames: Some(frames), thread: Some(thread), cancel, progress, stall_timeout, stuck: false })
}

/// A frame's place and size, without its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameFacts {
    /// Ordinal in presentation order, where decoding knows it
    pub index: u64,
    /// Presentation time
    pub time: Timestamp,
    /// Width of the picture that [`stream`] would give
    pub width: u32,
    /// Height of it
    pub height: u32,
}

/// As [`stream_opened`], but only says which frames come, and makes no pictures.
///
/// # Errors
/// When decoding stops before its end, or gives no frame at all.
pub fn list(video: Video, request: &Request) -> Result<(Vec<FrameFacts>, DecodeReport), DecodeError> {
    let plan = Plan::new(video.info(), request);
    let (info, converter, mut report) = (video.info().clone(), plan.converter(), plan.report());
    let mut walk = plan.walk(video, plan.picks.clone(), Arc::default())?;
    let mut frames = Vec::new();
    while let Some(picked) = walk.next()? {
        let (width, height) = converter.displayed_size(&picked.frame);
        report.see(picked.time);
        frames.push(FrameFacts { index: picked.index, time: picked.time, width, height });
    }
    Ok((frames, report.finish(&info, vec![walk.walked()])))
}

/// Frames on their way; an iterator. Dropping it ends the decoding.
pub struct FrameStream {
    path: PathBuf,
    frames: Option<Receiver<Frame>>,
    thread: Option<JoinHandle<Result<DecodeReport, DecodeError>>>,
    cancel: Arc<AtomicBool>,
    progress: Arc<AtomicU64>,
    stall_timeout: Duration,
    stuck: bool,
}

impl FrameStream {
    /// Ends the stream and says what was seen of the video. Frames not yet taken are dropped.
    ///
    /// # Errors
    /// When decoding stopped before its end, or gave no frame at all.
    pub fn finish(mut self) -> Result<DecodeReport, DecodeError> {
        // Frames not yet taken are not the thread's fault: without a receiver it ends and reports.
        self.frames = None;
        if self.stuck {
            // The decoder hangs inside FFmpeg, where nothing reaches it; its thread is left behind.
            self.cancel.store(true, Ordering::Relaxed);
            self.thread = None;
            return Err(DecodeError::Stalled { path: self.path.clone(), limit: self.stall_timeout });
        }
        let lost = || DecodeError::Ffmpeg {
            path: self.path.clone(),
            action: "decoding ended unexpectedly".into(),
            reason: "its thread panicked".to_owned(),
        };
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| lost())?,
            None => Err(lost()),
        }
    }
}

impl Iterator for FrameStream {
    type Item = Frame;

    /// The next frame; `None` at the end, whose reason [`FrameStream::finish`] tells.
    fn next(&mut self) -> Option<Frame> {
        let frames = self.frames.as_ref()?;
        let mut seen = self.progress.load(Ordering::Relaxed);
        loop {
            // Twice the decoder's own limit: that one normally strikes first.
            match frames.recv_timeout(self.stall_timeout * 2) {
                Ok(frame) => return Some(frame),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    let now = self.progress.load(Ordering::Relaxed);
                    if now == seen {
                        self.stuck = true;
                        return None;
                    }
                    seen = now;
                }
            }
        }
    }
}

impl Drop for FrameStream {
    fn drop(&mut self) {
        // Without a receiver the thread ends at its next frame; a seek far ahead could take longer.
        self.frames = None;
        if let Some(thread) = self.thread.take().filter(|_| !self.stuck) {
            self.cancel.store(true, Ordering::Relaxed);
            // Its outcome no longer matters.
            let _ = thread.join();
        }
    }
}

/// A request against a video.
struct Plan {
    info: VideoInfo,
    /// What was asked for; infinite where it was left open
    asked: Span,
    /// What of it the video holds
    covered: Span,
    picks: Picks,
    max_frames: u64,
    size: Size,
}

impl Plan {
    fn new(info: &VideoInfo, request: &Request) -> Self {
        let asked = Span { start: request.from.unwrap_or(f64::NEG_INFINITY), end: request.to.unwrap_or(f64::INFINITY) };
        let covered = info.clip(asked);
        let max_frames = match request.sampling {
            Sampling::Fps { max_frames, .. } => max_frames.unwrap_or(u64::MAX),
            _ => u64::MAX,
        };
        let picks = request.sampling.resolve(covered, info);
        Self { info: info.clone(), asked, covered, picks, max_frames, size: request.size }
    }

    fn walk(&self, video: Video, picks: Picks, progress: Arc<AtomicU64>) -> Result<Walk, DecodeError> {
        Walk::new(video, picks, self.asked, self.max_frames, progress)
    }

    fn converter(&self) -> Converter {
        Converter::new(self.size, &self.info)
    }

    fn report(&self) -> DecodeReport {
        DecodeReport::new(self.covered)
    }

    /// Bytes of a picture, as far as the header knows.
    fn picture_bytes(&self) -> usize {
        let (width, height) = self.size.of(self.info.width, self.info.height);
        (width as usize).saturating_mul(height as usize).saturating_mul(3).max(1)
    }

    /// The walks: one for each core where the container says without further reading where to part, else one, with a
    /// decoder that has all cores. Parting is better: a decoder's own threads wait for each other's rows.
    fn walks(&self, mut video: Video, progress: &Arc<AtomicU64>) -> Result<Vec<Walk>, DecodeError> {
        let count = self.walk_count(&video);
        if count < 2 {
            return Ok(vec![self.walk(video, self.picks.clone(), Arc::clone(progress))?]);
        }
        let joints = self.joints(&mut video, count);
        // Looking for joints has moved the video; what follows opens it again.
        let (path, limits, cancel) = (video.path().to_path_buf(), video.limits.clone(), video.cancel());
        drop(video);
        let (hands, limits) = match self.picks.deal(&joints, count) {
            Some(hands) => (hands, limits.with_threads(1)),
            None => (vec![self.picks.clone()], limits),
        };
        let open = |picks| {
            let video = open::open_cancellable(&path, &limits, Arc::clone(&cancel))?;
            self.walk(video, picks, Arc::clone(progress))
        };
        hands.into_iter().map(open).collect()
    }

    /// How many walks are worth it: more than one with an index at hand, times so close that everything has to be decoded
    /// anyway, and pictures small enough for each walk to have some waiting.
    fn walk_count(&self, video: &Video) -> usize {
        let dense = matches!(self.picks, Picks::Grid { step, .. } if step < DENSE_S);
        let room = WAITING_BYTES / MIN_WAITING / self.picture_bytes();
        if dense && self.info.format.starts_with("mov") { video.limits.cores().min(room).max(1) } else { 1 }
    }

    /// Seconds of key frames near the borders of equal parts, each about as long as what a walk may have waiting.
    fn joints(&self, video: &mut Video, walks: usize) -> Vec<f64> {
        let Picks::Grid { step, .. } = self.picks else { return Vec::new() };
        let part_s = (waiting(self.picture_bytes(), walks) as f64 * step).max(MIN_PART_S);
        let parts = (self.covered.duration() / part_s).clamp(1.0, MAX_PARTS) as usize;
        let base = self.info.time_base;
        let joints = video.joints(self.covered, parts.max(walks));
        joints.into_iter().map(|joint| Timestamp { pts: joint.pts(), base }.seconds()).collect()
    }
}

/// Wanted times closer than this leave no group of pictures without one.
const DENSE_S: f64 = 1.0;
/// Parts shorter than this would be mostly seeking.
const MIN_PART_S: f64 = 2.0;
/// Parts of a video: an hour in parts of two seconds.
const MAX_PARTS: f64 = 1800.0;
/// Pictures of all walks that wait for those before them, in bytes.
const WAITING_BYTES: usize = 128 << 20;
/// Pictures that each walk may have waiting at least, and at most.
const MIN_WAITING: usize = 2;
const MAX_WAITING: usize = 64;

/// Native pictures that a decoder holds for reference and reordering, in the usual case.
const REFERENCES: u64 = 4;

/// Bytes of pictures that decoding `frames` wanted frames of `pixels` pixels, `seconds` of video in all, holds on `cores` cores: native ones in
/// the decoders and on their way to becoming RGB, and RGB ones. The walk that is ahead has its room full of them, others next to none.
#[must_use]
pub fn held_bytes(pixels: u64, frames: u64, seconds: f64, cores: usize) -> (u64, u64) {
    let (rgb, native) = (pixels * 3, pixels * 3 / 2);
    let walks = ((seconds / MIN_PART_S) as usize).clamp(1, cores.max(1));
    let room = waiting(usize::try_from(rgb).unwrap_or(usize::MAX).max(1), walks) as u64;
    let waiting = (walks as u64 - 1) * room.min(frames / walks as u64) * 3 / 5 + (FRAMES_IN_FLIGHT as u64).min(frames);
    (walks as u64 * (REFERENCES + FRAMES_IN_FLIGHT as u64 / 2) * native, waiting * rgb)
}

/// How many pictures of so many bytes each of `walks` walks may have waiting.
fn waiting(picture_bytes: usize, walks: usize) -> usize {
    (WAITING_BYTES / walks.max(1) / picture_bytes).clamp(MIN_WAITING, MAX_WAITING)
}

/// Runs the walks, each on its thread, and gives their frames in order.
fn run(plan: &Plan, walks: Vec<Walk>, frames: &Sender<Frame>) -> Result<DecodeReport, DecodeError> {
    let room = if walks.len() > 1 { waiting(plan.picture_bytes(), walks.len()) } else { FRAMES_IN_FLIGHT };
    std::thread::scope(|scope| {
        let (mut streams, mut threads) = (Vec::new(), Vec::new());
        for walk in walks {
            let (sender, pictures) = bounded(room);
            threads.push(scope.spawn(move || decode(plan, walk, &sender)));
            streams.push(pictures);
        }
        let mut report = plan.report();
        merge(&streams, &mut report, frames);
        // Without a receiver the walks end at their next frame.
        drop(streams);
        let mut walked = Vec::new();
        for thread in threads {
            // A panic goes on in the thread that waits for this one, and becomes an error there.
            walked.push(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(report.finish(&plan.info, walked))
    })
}

/// A frame, or why there is none at this time.
type Picture = Result<Frame, Timestamp>;

/// Takes the earliest of what the walks have, until they have nothing or nobody wants more.
fn merge(streams: &[Receiver<Picture>], report: &mut DecodeReport, frames: &Sender<Frame>) {
    let time = |picture: &Picture| match picture {
        Ok(frame) => frame.time.seconds(),
        Err(time) => time.seconds(),
    };
    let mut heads: Vec<Option<Picture>> = streams.iter().map(|stream| stream.recv().ok()).collect();
    loop {
        let waiting = heads.iter().enumerate().filter_map(|(at, head)| Some((at, time(head.as_ref()?))));
        let Some((at, _)) = waiting.min_by(|a, b| a.1.total_cmp(&b.1)) else { return };
        match std::mem::replace(&mut heads[at], streams[at].recv().ok()) {
            Some(Ok(frame)) => {
                report.see(frame.time);
                if frames.send(frame).is_err() {
                    return;
                }
            }
            Some(Err(time)) => report.warn(time, WarningKind::Unconvertible),
            None => {}
        }
    }
}

/// One walk: decodes here and makes pictures on a second thread, since one frame's picture takes as long as decoding several.
fn decode(plan: &Plan, mut walk: Walk, pictures: &Sender<Picture>) -> Result<Walked, DecodeError> {
    let (sender, picked) = bounded::<Picked>(FRAMES_IN_FLIGHT);
    let path = walk.path().to_path_buf();
    std::thread::scope(|scope| {
        let converting = scope.spawn(move || {
            let mut converter = plan.converter();
            for picked in picked {
                let picture = match converter.convert(&picked.frame) {
                    Ok(image) => Ok(Frame { index: picked.index, time: picked.time, image }),
                    Err(Unconvertible) if native::lacks(plan.picture_bytes() as u64) => {
                        return Err(DecodeError::OutOfMemory { path, limit: None });
                    }
                    Err(Unconvertible) => Err(picked.time),
                };
                if pictures.send(picture).is_err() {
                    break;
                }
            }
            Ok(())
        });
        while let Some(frame) = walk.next()? {
            // Nobody takes pictures any more.
            if sender.send(frame).is_err() {
                break;
            }
        }
        drop(sender);
        converting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(walk.walked())
}
