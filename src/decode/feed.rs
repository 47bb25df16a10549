//! A video that frames can be had of, wherever they are decoded: in this process, or in one of their own that is locked
//! in (see [`super::apart`]). Both give the same, bit for bit.

use super::apart::{Ask, Call, Home, Program, Reply, Session, Wanted};
use super::convert::Size;
use super::cut::Piece;
use super::error::DecodeError;
use super::info::VideoInfo;
use super::limits::Limits;
use super::open::{self, Video};
use super::report::DecodeReport;
use super::source;
use super::stream::{self, FrameFacts, FrameStream, Request};
use longsight_models::Frame;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Frames that a decoder in another process may list: three days at 60 a second.
const MAX_LISTED: usize = 1 << 24;

/// A video: its header, and its frames as often as they are asked for.
pub struct Feed {
    path: PathBuf,
    info: VideoInfo,
    limits: Limits,
    place: Place,
}

enum Place {
    /// The video as it was opened, for the first to need it
    Here(Box<Mutex<Option<Video>>>),
    Apart {
        program: Arc<Program>,
        home: Home,
        /// What decoders have spent
        spent: Arc<Mutex<Duration>>,
    },
}

impl Feed {
    /// Opens a local video file: the first video stream that is no cover picture. [`Limits::apart`] says where it is
    /// decoded.
    ///
    /// # Errors
    /// When the path names no regular file, the file is no video that is read here, or it exceeds `limits`; and when its
    /// decoder breaks down.
    pub fn open(path: impl AsRef<Path>, limits: &Limits) -> Result<Self, DecodeError> {
        let path = path.as_ref();
        let (info, place) = match &limits.apart {
            None => {
                let video = open::open(path, limits)?;
                (video.info().clone(), Place::Here(Box::new(Mutex::new(Some(video)))))
            }
            Some(program) => {
                source::check(path)?;
                let (session, info) = Session::start(program, path, limits, &AtomicBool::new(false))?;
                let home = Arc::new(Mutex::new(Some(session)));
                (info, Place::Apart { program: Arc::clone(program), home, spent: Arc::default() })
            }
        };
        Ok(Self { path: path.to_path_buf(), info, limits: limits.clone(), place })
    }

    /// What the container says.
    #[must_use]
    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file may cost.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Processor time that other processes have spent on it in what has come to its end.
    #[must_use]
    pub fn spent_apart(&self) -> Duration {
        match &self.place {
            Place::Here(_) => Duration::ZERO,
            Place::Apart { spent, .. } => *spent.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Ends a process that waits for what is asked next; another is started when something is.
    pub fn rest(&self) {
        if let Place::Apart { home, .. } = &self.place {
            drop(home.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    /// Starts decoding what is wanted, under the limits that the file was opened with; the frames come out in presentation
    /// order.
    ///
    /// # Errors
    /// When the file cannot be opened again or decoding cannot be started; what goes wrong later comes from
    /// [`Frames::finish`].
    pub fn stream(&self, request: &Request) -> Result<Frames, DecodeError> {
        let decoded = match &self.place {
            Place::Here(video) => {
                let opened = video.lock().unwrap_or_else(PoisonError::into_inner).take();
                Decoded::Here(match opened.filter(|_| request.cancel.is_none()) {
                    Some(video) => stream::stream_opened(video, request)?,
                    None => stream::stream(&self.path, &self.limited(request))?,
                })
            }
            Place::Apart { program, home, spent } => {
                let call = self.call(program, home, &Ask::Frames(wanted(request)), request)?;
                Decoded::Apart(Apart { call, spent: Arc::clone(spent), given: 0, stopped: false, ended: None })
            }
        };
        Ok(Frames(decoded))
    }

    /// Only says which frames [`Self::stream`] would give, and makes no pictures.
    ///
    /// # Errors
    /// When decoding stops before its end, or gives no frame at all.
    pub fn list(&self, request: &Request) -> Result<(Vec<FrameFacts>, DecodeReport), DecodeError> {
        match &self.place {
            Place::Here(video) => {
                let opened = video.lock().unwrap_or_else(PoisonError::into_inner).take();
                let video = opened.map_or_else(|| open::open(&self.path, &self.limits), Ok)?;
                stream::list(video, request)
            }
            Place::Apart { program, home, spent } => {
                let call = self.call(program, home, &Ask::List(wanted(request)), request)?;
                let mut answer = Answer { call, spent: Arc::clone(spent) };
                let mut frames: Vec<FrameFacts> = Vec::new();
                loop {
                    match answer.next::<Vec<FrameFacts>, DecodeReport>()? {
                        Part::Item(more) if frames.len() + more.len() <= MAX_LISTED => frames.extend(more),
                        Part::Item(_) => return Err(answer.garbled("more frames than there can be")),
                        Part::Last(report) => return Ok((frames, report)),
                    }
                }
            }
        }
    }

    /// Asks the decoder's process what a later stage of the way wants to know, in its own words; `None` where there is no
    /// such process.
    ///
    /// # Errors
    /// When the decoder breaks down.
    pub(crate) fn ask(&self, words: Vec<u8>) -> Result<Option<Answer>, DecodeError> {
        self.apart(&Ask::Stage(words), &Arc::default())
    }

    /// Has a piece cut out by the decoder's process; `None` where there is no such process.
    pub(super) fn cut(&self, piece: Piece, cancel: &Arc<AtomicBool>) -> Result<Option<Answer>, DecodeError> {
        self.apart(&Ask::Cut(piece), cancel)
    }

    /// Asks for what is no picture.
    fn apart(&self, ask: &Ask, cancel: &Arc<AtomicBool>) -> Result<Option<Answer>, DecodeError> {
        let Place::Apart { program, home, spent } = &self.place else { return Ok(None) };
        let nothing = Request { cancel: Some(Arc::clone(cancel)), ..Request::new(super::Sampling::All) };
        let call = self.call(program, home, ask, &nothing)?;
        Ok(Some(Answer { call, spent: Arc::clone(spent) }))
    }

    fn limited(&self, request: &Request) -> Request {
        Request { limits: self.limits.clone(), ..request.clone() }
    }

    fn call(&self, program: &Program, home: &Home, ask: &Ask, request: &Request) -> Result<Call, DecodeError> {
        let cancel = request.cancel.clone().unwrap_or_default();
        let waiting = home.lock().unwrap_or_else(PoisonError::into_inner).take();
        let session = match waiting {
            Some(session) => session,
            None => Session::start(program, &self.path, &self.limits, &cancel)?.0,
        };
        let (size, most) = (request.size, self.limits.max_pixels);
        Call::new(session, home, ask, cancel, move |width, height| may_be(size, most, width, height))
    }
}

fn wanted(request: &Request) -> Wanted {
    let Request { sampling, from, to, size, .. } = request;
    Wanted { sampling: sampling.clone(), from: *from, to: *to, size: *size }
}

/// Whether a picture that was asked for in a size may be so large.
fn may_be(size: Size, most: u64, width: u32, height: u32) -> bool {
    match size {
        Size::Native => u64::from(width) * u64::from(height) <= most,
        Size::Fit { width: wide, height: high } => width <= wide.max(1) && height <= high.max(1),
        Size::Exact { .. } => (width, height) == size.of(width, height),
    }
}

/// Frames on their way; an iterator. Dropping it ends the decoding.
pub struct Frames(Decoded);

enum Decoded {
    Here(FrameStream),
    Apart(Apart),
}

/// Frames from another process.
struct Apart {
    call: Call,
    spent: Arc<Mutex<Duration>>,
    given: u64,
    /// Whether it was told to end early; then some that it made were never given
    stopped: bool,
    ended: Option<Result<DecodeReport, DecodeError>>,
}

impl Iterator for Frames {
    type Item = Frame;

    /// The next frame; `None` at the end, whose reason [`Frames::finish`] tells.
    fn next(&mut self) -> Option<Frame> {
        match &mut self.0 {
            Decoded::Here(frames) => frames.next(),
            Decoded::Apart(frames) => frames.next(),
        }
    }
}

impl Frames {
    /// Ends the stream and says what was seen of the video. Frames not yet taken are dropped.
    ///
    /// # Errors
    /// When decoding stopped before its end, or gave no frame at all.
    pub fn finish(self) -> Result<DecodeReport, DecodeError> {
        match self.0 {
            Decoded::Here(frames) => frames.finish(),
            Decoded::Apart(frames) => frames.finish(),
        }
    }
}

impl Apart {
    fn next(&mut self) -> Option<Frame> {
        if self.ended.is_some() {
            return None;
        }
        match self.call.next() {
            Ok(Reply::Frame(frame)) => {
                self.given += 1;
                return Some(frame);
            }
            Ok(Reply::Done(spent, report)) => self.ended = Some(self.end(spent, &report)),
            Ok(Reply::Item(_)) => self.ended = Some(Err(self.call.garbled("a part of another answer"))),
            Err(error) => self.ended = Some(Err(error)),
        }
        None
    }

    /// The report, if it is of the frames that came.
    fn end(&mut self, spent: Duration, report: &[u8]) -> Result<DecodeReport, DecodeError> {
        let report: Option<DecodeReport> = super::apart::value(report);
        let right = |report: &DecodeReport| match self.stopped {
            true => report.frames_yielded >= self.given,
            false => report.frames_yielded == self.given,
        };
        match report.filter(|report| right(report) && report.is_sane()) {
            Some(report) => {
                add(&self.spent, spent);
                self.call.close();
                Ok(report)
            }
            None => Err(self.call.garbled("a report of other frames than it gave")),
        }
    }

    fn finish(mut self) -> Result<DecodeReport, DecodeError> {
        if self.ended.is_none() {
            self.stopped = true;
            self.call.stop()?;
        }
        while self.next().is_some() {}
        self.ended.take().unwrap_or_else(|| Err(self.call.garbled("no end")))
    }
}

/// What a decoder's process answers, part by part.
pub(crate) struct Answer {
    call: Call,
    spent: Arc<Mutex<Duration>>,
}

/// A part of an answer.
pub(crate) enum Part<I, L> {
    /// One of many
    Item(I),
    /// The last, after which nothing more comes
    Last(L),
}

impl Answer {
    pub(crate) fn next<I: DeserializeOwned, L: DeserializeOwned>(&mut self) -> Result<Part<I, L>, DecodeError> {
        let nonsense = "a part of an answer that is none";
        match self.call.next()? {
            Reply::Item(item) => super::apart::value(&item).map(Part::Item).ok_or_else(|| self.call.garbled(nonsense)),
            Reply::Done(spent, last) => {
                let last = super::apart::value(&last).ok_or_else(|| self.call.garbled(nonsense))?;
                add(&self.spent, spent);
                self.call.close();
                Ok(Part::Last(last))
            }
            Reply::Frame(_) => Err(self.call.garbled("a picture that nobody asked for")),
        }
    }

    /// What came makes no sense.
    pub(crate) fn garbled(&mut self, what: &'static str) -> DecodeError {
        self.call.garbled(what)
    }
}

fn add(spent: &Mutex<Duration>, more: Duration) {
    let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
    *spent = spent.saturating_add(more);
}
