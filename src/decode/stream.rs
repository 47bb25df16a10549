//! Frames as they are wanted, decoded on a thread of their own.

use super::convert::{Converter, Size, Unconvertible};
use super::error::{DecodeError, WarningKind};
use super::limits::Limits;
use super::open::{self, Video};
use super::report::DecodeReport;
use super::sampling::Sampling;
use super::walk::{Picked, Walk};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use longsight_models::{Frame, Span, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pictures that wait between decoding and use, and decoded frames that wait to become pictures: 25 and 12 MB at 1080p.
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
    let work = Work::new(video, request, Arc::clone(&progress))?;
    let thread = std::thread::Builder::new()
        .name("decode".to_owned())
        .spawn(move || work.run(&sender))
        .map_err(|source| DecodeError::Unreadable { path: path.clone(), source })?;
    Ok(FrameStream { path, frames: Some(frames), thread: Some(thread), cancel, progress, stall_timeout, stuck: false })
}

/// A frame's place and size, without its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    let mut work = Work::new(video, request, Arc::default())?;
    let mut frames = Vec::new();
    while let Some(picked) = work.walk.next()? {
        let (width, height) = work.converter.displayed_size(&picked.frame);
        work.report.see(picked.time);
        frames.push(FrameFacts { index: picked.index, time: picked.time, width, height });
    }
    Ok((frames, work.report.finish(&work.walk)))
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
            action: "decoding ended unexpectedly",
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

/// What the decoding thread owns.
struct Work {
    walk: Walk,
    converter: Converter,
    report: DecodeReport,
}

impl Work {
    fn new(video: Video, request: &Request, progress: Arc<AtomicU64>) -> Result<Self, DecodeError> {
        let info = video.info();
        let asked = Span { start: request.from.unwrap_or(f64::NEG_INFINITY), end: request.to.unwrap_or(f64::INFINITY) };
        let covered = info.clip(asked);
        let picks = request.sampling.resolve(covered, info);
        let max_frames = match request.sampling {
            Sampling::Fps { max_frames, .. } => max_frames.unwrap_or(u64::MAX),
            _ => u64::MAX,
        };
        let (converter, report) = (Converter::new(request.size, info), DecodeReport::new(covered));
        Ok(Self { walk: Walk::new(video, picks, asked, max_frames, progress)?, converter, report })
    }

    /// Decodes here and makes pictures on a second thread: one frame's picture takes as long as decoding several.
    fn run(mut self, frames: &Sender<Frame>) -> Result<DecodeReport, DecodeError> {
        let (sender, picked) = bounded(FRAMES_IN_FLIGHT);
        let (walk, converter, report) = (&mut self.walk, &mut self.converter, &mut self.report);
        std::thread::scope(|scope| {
            scope.spawn(move || make_pictures(&picked, converter, report, frames));
            while let Some(frame) = walk.next()? {
                // Nobody takes pictures any more.
                if sender.send(frame).is_err() {
                    break;
                }
            }
            drop(sender);
            Ok(())
        })?;
        Ok(self.report.finish(&self.walk))
    }
}

fn make_pictures(
    picked: &Receiver<Picked>,
    converter: &mut Converter,
    report: &mut DecodeReport,
    frames: &Sender<Frame>,
) {
    for picked in picked {
        match converter.convert(&picked.frame) {
            Ok(image) => {
                report.see(picked.time);
                if frames.send(Frame { index: picked.index, time: picked.time, image }).is_err() {
                    break;
                }
            }
            Err(Unconvertible) => report.warn(picked.time, WarningKind::Unconvertible),
        }
    }
}
