//! The child: locks itself in, opens the file, answers.

use super::confine::confine;
use super::session::Trespasses;
use super::wire::{self, Ask, FrameHead, Kind, Ready, Start, Wanted};
use crate::decode::error::DecodeError;
use crate::decode::open::{self, Video};
use crate::decode::report::DecodeReport;
use crate::decode::stream::{self, FrameFacts, Request};
use crate::decode::{Limits, cut, native};
use longsight_models::Frame;
use serde::Serialize;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the other side hears that something moves.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Facts of frames in one message: some ten thousand bytes.
const FACTS_AT_ONCE: usize = 1024;

/// Answers what a later stage of the way asks about the file: its words, and where the parts of the answer go. Gives the
/// last part.
pub type Stage<'a> = dyn Fn(&Path, &Limits, &[u8], &Replies) -> Result<Vec<u8>, DecodeError> + 'a;

/// Where answers go.
#[derive(Clone)]
pub struct Replies(Arc<Mutex<dyn Write + Send>>);

impl Replies {
    /// Sends a part of an answer.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub fn item<T: Serialize + ?Sized>(&self, item: &T) -> Result<(), DecodeError> {
        self.send(Kind::Item, &[&wire::content(item)])
    }

    fn frame(&self, frame: &Frame) -> Result<(), DecodeError> {
        let (width, height) = frame.image.dimensions();
        let head = FrameHead { index: frame.index, time: frame.time, width, height };
        self.send(Kind::Frame, &[&head.bytes(), frame.image.as_raw()])
    }

    fn send(&self, kind: Kind, parts: &[&[u8]]) -> Result<(), DecodeError> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wire::write(&mut *out, kind, parts).map_err(|_| DecodeError::Cancelled { path: "".into() })
    }
}

/// Serves one file to the process at the other end of `input` and `output`, which has to be the first thing that this
/// process does: it locks itself in. Returns when there is nothing to serve; `hang_up` is called, from another thread and
/// whatever this one does then, when the other end is gone.
pub fn serve(
    mut input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    stage: &Stage<'_>,
    hang_up: impl FnOnce() + Send + 'static,
) {
    let Some(Start { path, limits, memory }) = start(&mut input) else { return };
    let path = path.as_deref().map(|path| Path::new(OsStr::from_bytes(path)));
    let confinement = confine(path, memory);
    let replies = Replies(Arc::new(Mutex::new(output)));
    let (sender, asks) = mpsc::channel();
    let stopped = Arc::new(AtomicU64::new(0));
    let listener = {
        let stopped = Arc::clone(&stopped);
        move || {
            listen(&mut input, &sender, &stopped);
            hang_up();
        }
    };
    let beat = {
        let replies = replies.clone();
        move || heartbeat(&replies)
    };
    let threads = [("listen", Box::new(listener) as Box<dyn FnOnce() + Send>), ("heartbeat", Box::new(beat))];
    for (name, work) in threads {
        if std::thread::Builder::new().name(name.to_owned()).spawn(work).is_err() {
            return;
        }
    }
    let opened = path.map(|path| open::open(path, &limits)).transpose();
    let greeted = match &opened {
        Ok(video) => {
            let info = video.as_ref().map(|video| video.info().clone());
            replies.send(Kind::Ready, &[&wire::content(&Ready { confinement, info })])
        }
        Err(error) => replies.send(Kind::Failed, &[&wire::content(error)]),
    };
    if let (Ok(video), Ok(())) = (opened, greeted) {
        let (path, told) = (path.unwrap_or(Path::new("")), Duration::ZERO);
        Server { path, limits, memory, video, replies, stopped, told, stage }.answer(&asks);
    }
}

fn start(input: &mut impl Read) -> Option<Start> {
    match wire::read(input)? {
        (Kind::Start, content) => wire::value(&content),
        _ => None,
    }
}

/// Takes asks in, until the other end is gone or talks nonsense.
fn listen(input: &mut impl Read, asks: &Sender<Ask>, stopped: &AtomicU64) {
    while let Some((kind, content)) = wire::read(input) {
        let heard = match kind {
            Kind::Ask => wire::value(&content).is_some_and(|ask| asks.send(ask).is_ok()),
            Kind::Stop => wire::value(&content).map(|number| stopped.fetch_max(number, Ordering::Relaxed)).is_some(),
            _ => false,
        };
        if !heard {
            break;
        }
    }
}

/// Tells, for as long as somebody listens, that FFmpeg has read or decoded something.
fn heartbeat(replies: &Replies) {
    let mut seen = native::moves();
    loop {
        std::thread::sleep(HEARTBEAT);
        let now = native::moves();
        if std::mem::replace(&mut seen, now) != now && replies.send(Kind::Alive, &[]).is_err() {
            break;
        }
    }
}

struct Server<'a> {
    path: &'a Path,
    limits: Limits,
    memory: u64,
    /// As it was opened, for the first to need it
    video: Option<Video>,
    replies: Replies,
    /// The last ask of which no more is wanted
    stopped: Arc<AtomicU64>,
    /// Processor time that was told already
    told: Duration,
    stage: &'a Stage<'a>,
}

impl Server<'_> {
    fn answer(mut self, asks: &Receiver<Ask>) {
        for (ask, number) in asks.iter().zip(1..) {
            let outcome = match ask {
                Ask::Frames(wanted) => self.frames(wanted, number).map(|report| wire::content(&report)),
                Ask::List(wanted) => self.list(wanted).map(|report| wire::content(&report)),
                Ask::Cut(piece) => cut::serve(self.path, &self.limits, piece, &self.replies),
                Ask::Stage(words) => (self.stage)(self.path, &self.limits, &words, &self.replies),
                Ask::Trespass(target) => {
                    Ok(wire::content(&trespass(Path::new(OsStr::from_bytes(&target)), self.memory)))
                }
            };
            let told = match outcome {
                Ok(rest) => {
                    let spent = processor_time();
                    let more = spent.saturating_sub(std::mem::replace(&mut self.told, spent));
                    self.replies.send(Kind::Done, &[&wire::content(&more), &rest])
                }
                Err(error) => self.replies.send(Kind::Failed, &[&wire::content(&error)]),
            };
            if told.is_err() {
                break;
            }
        }
    }

    fn open(&mut self) -> Result<Video, DecodeError> {
        self.video.take().map_or_else(|| open::open(self.path, &self.limits), Ok)
    }

    fn frames(&mut self, wanted: Wanted, number: u64) -> Result<DecodeReport, DecodeError> {
        let mut stream = stream::stream_opened(self.open()?, &self.request(wanted))?;
        while self.stopped.load(Ordering::Relaxed) < number
            && let Some(frame) = stream.next()
        {
            self.replies.frame(&frame)?;
        }
        stream.finish()
    }

    fn list(&mut self, wanted: Wanted) -> Result<DecodeReport, DecodeError> {
        let (frames, report) = stream::list(self.open()?, &self.request(wanted))?;
        frames.chunks(FACTS_AT_ONCE).try_for_each(|facts: &[FrameFacts]| self.replies.item(facts))?;
        Ok(report)
    }

    fn request(&self, wanted: Wanted) -> Request {
        let Wanted { sampling, from, to, size } = wanted;
        Request { sampling, from, to, size, limits: self.limits.clone(), cancel: None }
    }
}

/// What this process and its threads have spent.
fn processor_time() -> Duration {
    cpu_time::ProcessTime::try_now().map_or(Duration::ZERO, |now| now.as_duration())
}

/// Tries what must not work.
fn trespass(target: &Path, memory: u64) -> Trespasses {
    let mut much: Vec<u8> = Vec::new();
    let much = std::hint::black_box(&mut much).try_reserve_exact(usize::try_from(memory).unwrap_or(usize::MAX));
    Trespasses {
        reads_files: File::open("/proc/self/exe").is_ok() || File::open("/").is_ok(),
        writes_files: File::create_new(target).is_ok() || std::fs::create_dir(target).is_ok(),
        opens_sockets: UdpSocket::bind("127.0.0.1:0").is_ok(),
        starts_programs: Command::new("/bin/true").status().is_ok(),
        exceeds_memory: much.is_ok(),
    }
}
