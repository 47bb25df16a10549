//! The parent's side of a decoder: starts it, asks it, believes nothing, ends it.

use super::Program;
use super::confine::Confinement;
use super::fork::{Process, Started};
use super::wire::{self, Ask, FRAME_BYTES, FrameHead, HEAD_BYTES, Kind, Ready, Start};
use crate::decode::Limits;
use crate::decode::error::DecodeError;
use crate::decode::info::VideoInfo;
use image::RgbImage;
use longsight_models::Frame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often cancellation is looked for while nothing comes.
const LOOK: Duration = Duration::from_millis(50);
/// How long a process may take to end once it has closed its pipe, or was killed.
const ENDING: Duration = Duration::from_secs(2);
/// Bytes kept of what a decoder writes to stderr: its last words.
const LAST_WORDS: usize = 400;

/// What Rust says on stderr when it gets no memory, for a value or for a thread.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of ", "failed to spawn thread"];

/// What a locked-in decoder could still do when it tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Trespasses {
    /// Open another file
    pub reads_files: bool,
    /// Write a file or make a folder
    pub writes_files: bool,
    /// Open a socket
    pub opens_sockets: bool,
    /// Start another program
    pub starts_programs: bool,
    /// Take all of its memory, beside what it has
    pub exceeds_memory: bool,
}

/// Where a decoder that has nothing to do waits for the next ask about its file.
pub(crate) type Home = Arc<Mutex<Option<Session>>>;

/// A running decoder of one file. Dropping it kills the process.
pub(crate) struct Session {
    path: PathBuf,
    process: Process,
    asks: ChildStdin,
    replies: ChildStdout,
    stderr: Option<ChildStderr>,
    last_words: Vec<u8>,
    /// Bytes that it may have
    memory: u64,
    /// Silence after which it counts as stuck
    silence: Duration,
    asked: u64,
}

/// What a decoder says.
pub(crate) enum Reply {
    /// A frame
    Frame(Frame),
    /// A part of an answer
    Item(Vec<u8>),
    /// The last part, and the processor time that the process has spent since it last said
    Done(Duration, Vec<u8>),
}

impl Session {
    /// Starts a decoder of the file at `path`, and waits until it is locked in and has read the header.
    pub(crate) fn start(
        program: &Program,
        path: &Path,
        limits: &Limits,
        cancel: &AtomicBool,
    ) -> Result<(Self, VideoInfo), DecodeError> {
        let (session, ready) = Self::launch(program, Some(path), limits, cancel)?;
        match ready.info.filter(|info| info.is_sane(limits)) {
            Some(info) => Ok((session, info)),
            None => Err(session.garbled("a header that cannot be")),
        }
    }

    fn launch(
        program: &Program,
        path: Option<&Path>,
        limits: &Limits,
        cancel: &AtomicBool,
    ) -> Result<(Self, Ready), DecodeError> {
        let name = path.unwrap_or(&program.path);
        let failed = |source| DecodeError::NotStarted { path: name.to_path_buf(), source };
        let Started { process, asks, replies, stderr } = program.start().map_err(failed)?;
        for pipe in [asks.as_raw_fd(), replies.as_raw_fd(), stderr.as_raw_fd()] {
            never_wait(pipe).map_err(failed)?;
        }
        let mut session = Self {
            path: name.to_path_buf(),
            process,
            asks,
            replies,
            stderr: Some(stderr),
            last_words: Vec::new(),
            memory: program.memory,
            silence: limits.open_timeout.max(limits.stall_timeout) * 2,
            asked: 0,
        };
        // Locked in, the child could not count the cores as this process does.
        let limits = Limits { apart: None, threads: limits.cores(), ..limits.clone() };
        let path = path.map(|path| everywhere(path).into_os_string().into_vec());
        let start = Start { path, limits, memory: program.memory };
        session.send(Kind::Start, &wire::content(&start), cancel)?;
        match session.message(cancel)? {
            (Kind::Ready, content) => match wire::value(&content) {
                Some(ready) => Ok((session, ready)),
                None => Err(session.garbled("no greeting")),
            },
            (Kind::Failed, content) => Err(session.failure(&content)?),
            _ => Err(session.garbled("something else than a greeting")),
        }
    }

    /// Asks something; the answer comes by [`Call::next`].
    fn ask(&mut self, ask: &Ask, cancel: &AtomicBool) -> Result<(), DecodeError> {
        self.asked += 1;
        self.send(Kind::Ask, &wire::content(ask), cancel)
    }

    /// Wants no more of what was asked last.
    fn stop(&mut self, cancel: &AtomicBool) -> Result<(), DecodeError> {
        let number = wire::content(&self.asked);
        self.send(Kind::Stop, &number, cancel)
    }

    /// The next reply, or the file's own error. After an error of the decoder nothing more can be asked.
    fn hear(&mut self, size: &dyn Fn(u32, u32) -> bool, cancel: &AtomicBool) -> Result<Heard, DecodeError> {
        let (kind, bytes) = self.head(cancel)?;
        if kind == Kind::Frame {
            return self.frame(bytes, size, cancel).map(|frame| Ok(Reply::Frame(frame)));
        }
        let content = self.content(bytes, cancel)?;
        match kind {
            Kind::Item => Ok(Ok(Reply::Item(content))),
            Kind::Done => match wire::split(&content) {
                Some((spent, rest)) => Ok(Ok(Reply::Done(spent, rest))),
                None => Err(self.garbled("an end that cannot be")),
            },
            Kind::Failed => Ok(Err(self.failure(&content)?)),
            _ => Err(self.garbled("a message out of turn")),
        }
    }

    fn frame(
        &mut self,
        bytes: usize,
        size: &dyn Fn(u32, u32) -> bool,
        cancel: &AtomicBool,
    ) -> Result<Frame, DecodeError> {
        let mut head = [0; FRAME_BYTES];
        self.fill(&mut head, cancel)?;
        let head = FrameHead::parse(head);
        let FrameHead { index, time, width, height } = head;
        let fits = head.pixels().and_then(|pixels| pixels.checked_add(FRAME_BYTES)) == Some(bytes);
        if !fits || !size(width, height) {
            return Err(self.garbled("a picture of a size that was not asked for"));
        }
        let mut pixels = vec![0; bytes - FRAME_BYTES];
        self.fill(&mut pixels, cancel)?;
        match RgbImage::from_raw(width, height, pixels) {
            Some(image) => Ok(Frame { index, time, image }),
            None => Err(self.garbled("a picture that is none")),
        }
    }

    /// A whole message that holds no picture.
    fn message(&mut self, cancel: &AtomicBool) -> Result<(Kind, Vec<u8>), DecodeError> {
        let (kind, bytes) = self.head(cancel)?;
        if kind == Kind::Frame {
            return Err(self.garbled("a picture out of turn"));
        }
        Ok((kind, self.content(bytes, cancel)?))
    }

    /// The next head that is no sign of life.
    fn head(&mut self, cancel: &AtomicBool) -> Result<(Kind, usize), DecodeError> {
        loop {
            let mut head = [0; HEAD_BYTES];
            self.fill(&mut head, cancel)?;
            match wire::parse_head(head) {
                Some((Kind::Alive, 0)) => {}
                Some(head) => return Ok(head),
                None => return Err(self.garbled("what is no message")),
            }
        }
    }

    fn content(&mut self, bytes: usize, cancel: &AtomicBool) -> Result<Vec<u8>, DecodeError> {
        let mut content = vec![0; bytes];
        self.fill(&mut content, cancel)?;
        Ok(content)
    }

    fn send(&mut self, kind: Kind, content: &[u8], cancel: &AtomicBool) -> Result<(), DecodeError> {
        let head = wire::head(kind, content.len()).ok().filter(|_| content.len() <= wire::MAX_BYTES);
        let Some(head) = head else { return Err(self.garbled("more than a message can hold")) };
        let since = Instant::now();
        for part in [&head, content] {
            let mut left = part;
            while !left.is_empty() {
                match self.asks.write(left) {
                    Ok(written) => left = &left[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.wait((self.asks.as_raw_fd(), libc::POLLOUT), since, cancel)?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return Err(self.ended()),
                }
            }
        }
        Ok(())
    }

    fn fill(&mut self, mut left: &mut [u8], cancel: &AtomicBool) -> Result<(), DecodeError> {
        let since = Instant::now();
        while !left.is_empty() {
            match self.replies.read(left) {
                Ok(0) => return Err(self.ended()),
                Ok(read) => left = &mut left[read..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait((self.replies.as_raw_fd(), libc::POLLIN), since, cancel)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.ended()),
            }
        }
        Ok(())
    }

    /// Waits a moment for a pipe, and keeps stderr from filling up meanwhile.
    fn wait(&mut self, pipe: (RawFd, i16), since: Instant, cancel: &AtomicBool) -> Result<(), DecodeError> {
        if cancel.load(Ordering::Relaxed) {
            return Err(DecodeError::Cancelled { path: self.path.clone() });
        }
        if since.elapsed() > self.silence {
            return Err(DecodeError::Stalled { path: self.path.clone(), limit: self.silence });
        }
        let stderr = self.stderr.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let wanted = |(fd, events)| libc::pollfd { fd, events, revents: 0 };
        let mut pipes = [wanted(pipe), wanted((stderr, libc::POLLIN))];
        let timeout = libc::c_int::try_from(LOOK.as_millis()).unwrap_or(0);
        // SAFETY: the array has two valid entries, and is written to during the call only; a negative descriptor is skipped.
        unsafe { libc::poll(pipes.as_mut_ptr(), 2, timeout) };
        if pipes[1].revents != 0 {
            self.overhear();
        }
        Ok(())
    }

    /// Reads a little of what stands on stderr and keeps the last of it.
    fn overhear(&mut self) {
        let mut some = [0; 4096];
        match self.stderr.as_mut().map(|stderr| stderr.read(&mut some)) {
            Some(Ok(read)) if read > 0 => {
                self.last_words.extend(&some[..read]);
                let old = self.last_words.len().saturating_sub(LAST_WORDS);
                self.last_words.drain(..old);
            }
            Some(Err(error)) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            _ => self.stderr = None,
        }
    }

    /// It has ended without an answer.
    fn ended(&mut self) -> DecodeError {
        let since = Instant::now();
        let status = loop {
            match self.process.try_wait() {
                Ok(Some(status)) => break status.to_string(),
                Ok(None) if since.elapsed() < ENDING => std::thread::sleep(Duration::from_millis(1)),
                _ => break "it closed its pipe".to_owned(),
            }
        };
        self.overhear();
        let words = String::from_utf8_lossy(&self.last_words);
        if OUT_OF_MEMORY.iter().any(|said| words.contains(said)) {
            return self.out_of_memory();
        }
        let last = words.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        let last: String = last.chars().filter(|letter| !letter.is_control()).collect();
        let how = if last.is_empty() { status } else { format!("{status}: {last}") };
        DecodeError::Crashed { path: self.path.clone(), how }
    }

    fn garbled(&self, what: &'static str) -> DecodeError {
        DecodeError::Garbled { path: self.path.clone(), what: what.into() }
    }

    fn out_of_memory(&self) -> DecodeError {
        DecodeError::OutOfMemory { path: self.path.clone(), limit: Some(self.memory) }
    }

    /// The file's error that came; what this side alone can know of a decoder is none.
    fn failure(&self, content: &[u8]) -> Result<DecodeError, DecodeError> {
        match wire::value::<DecodeError>(content) {
            Some(
                DecodeError::Cancelled { .. }
                | DecodeError::NotStarted { .. }
                | DecodeError::Crashed { .. }
                | DecodeError::Garbled { .. },
            )
            | None => Err(self.garbled("an error that is none")),
            Some(DecodeError::OutOfMemory { .. }) => Ok(self.out_of_memory()),
            Some(error) => Ok(error.at(&self.path)),
        }
    }
}

/// A reply, or why the file gives none.
type Heard = Result<Reply, DecodeError>;

impl Drop for Session {
    fn drop(&mut self) {
        // Both fail only where it has ended; one that hangs inside the kernel is left behind.
        let _ = self.process.kill();
        let since = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && since.elapsed() < ENDING {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The path under which another process finds the same file: `/dev/stdin` is another one there.
fn everywhere(path: &Path) -> PathBuf {
    let own = ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
    let elsewhere = if own { path.canonicalize().ok() } else { None };
    elsewhere.unwrap_or_else(|| path.to_path_buf())
}

/// Makes reading from and writing to this side of a pipe return at once.
fn never_wait(pipe: RawFd) -> io::Result<()> {
    // SAFETY: plain numbers; the descriptor is open, since its owner lives.
    let flags = unsafe { libc::fcntl(pipe, libc::F_GETFL) };
    // SAFETY: as above.
    if flags < 0 || unsafe { libc::fcntl(pipe, libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// One thing asked of a decoder, until it is answered.
pub(crate) struct Call {
    path: PathBuf,
    session: Option<Session>,
    home: Home,
    cancel: Arc<AtomicBool>,
    /// Which sizes of pictures were asked for
    size: Box<dyn Fn(u32, u32) -> bool + Send>,
}

impl Call {
    pub(crate) fn new(
        mut session: Session,
        home: &Home,
        ask: &Ask,
        cancel: Arc<AtomicBool>,
        size: impl Fn(u32, u32) -> bool + Send + 'static,
    ) -> Result<Self, DecodeError> {
        session.ask(ask, &cancel)?;
        let path = session.path.clone();
        Ok(Self { path, session: Some(session), home: Arc::clone(home), cancel, size: Box::new(size) })
    }

    /// The next part of the answer. After an error nothing more comes.
    pub(crate) fn next(&mut self) -> Result<Reply, DecodeError> {
        let Some(session) = &mut self.session else {
            return Err(self.garbled("an answer after its end"));
        };
        match session.hear(&*self.size, &self.cancel) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => {
                self.close();
                Err(error)
            }
            Err(error) => {
                self.session = None;
                Err(error)
            }
        }
    }

    /// The answer came to its end and was right: the decoder can be asked again.
    pub(crate) fn close(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.session.take();
    }

    /// Wants no more parts but the last.
    pub(crate) fn stop(&mut self) -> Result<(), DecodeError> {
        let cancel = Arc::clone(&self.cancel);
        self.session.as_mut().map_or(Ok(()), |session| session.stop(&cancel))
    }

    /// What came makes no sense.
    pub(crate) fn garbled(&mut self, what: &'static str) -> DecodeError {
        self.session = None;
        DecodeError::Garbled { path: self.path.clone(), what: what.into() }
    }
}

pub(super) fn examine(
    program: &Program,
    limits: &Limits,
    target: &Path,
) -> Result<(Confinement, Trespasses), DecodeError> {
    let cancel = Arc::default();
    let (session, ready) = Session::launch(program, None, limits, &cancel)?;
    let ask = Ask::Trespass(target.as_os_str().as_bytes().to_vec());
    let mut call = Call::new(session, &Home::default(), &ask, cancel, |_, _| false)?;
    match call.next()? {
        Reply::Done(_, rest) => match wire::value(&rest) {
            Some(trespasses) => Ok((ready.confinement, trespasses)),
            None => Err(call.garbled("no outcome")),
        },
        _ => Err(call.garbled("something else than an outcome")),
    }
}

pub(super) fn idle<T>(program: &Program, limits: &Limits, look: impl FnOnce(u32) -> T) -> Result<T, DecodeError> {
    let (session, _) = Session::launch(program, None, limits, &AtomicBool::new(false))?;
    Ok(look(session.process.id()))
}
