//! A fork server: a process that has everything loaded which a decoder needs, and becomes one by copying itself. Starting a
//! program of FFmpeg's size takes a linker longer than decoding a short clip.
//!
//! It knows no path and reads no file. Each copy serves one file, as a process that was started for it would, and locks itself
//! in the same way. It is a child of the process that wants it, not of the server, which is told its number alone.
//!
//! ```text
//! to the server     the three pipes of a decoder     (over a socket)
//! from the server   the process's number, 0 if there is none
//! ```

use super::Program;
use std::ffi::OsString;
use std::io::{self, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a server may take to answer; copying a process takes a thousandth of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// stdin, stdout and stderr.
const PIPES: usize = 3;

/// What makes a [`Program`] a fork server, and the server once it runs: from the second decoder on, since one alone is
/// started as fast without.
#[derive(Debug, Default)]
pub struct ForkServer {
    /// None if the program cannot be one
    arguments: Option<Vec<OsString>>,
    state: Mutex<State>,
}

/// What it is made from is what it is.
impl PartialEq for ForkServer {
    fn eq(&self, other: &Self) -> bool {
        self.arguments == other.arguments
    }
}

impl Eq for ForkServer {}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unused,
    Wanted,
    Running(Server),
    /// It broke down, and is not started again
    Gone,
}

#[derive(Debug)]
struct Server {
    process: Child,
    socket: UnixStream,
}

/// A decoder's process, and its pipes.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) asks: ChildStdin,
    pub(super) replies: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// A child of this process, whoever started it.
pub(super) enum Process {
    Started(Child),
    Forked { id: libc::pid_t, ended: Option<ExitStatus> },
}

impl ForkServer {
    /// Of a program that is one when it is called with these arguments, and calls [`fork_server`] then.
    #[must_use]
    pub fn by(arguments: Vec<OsString>) -> Self {
        Self { arguments: Some(arguments), state: Mutex::default() }
    }

    /// A decoder from the server; `None` if it has to be started in another way.
    fn fork(&self, program: &Program) -> Option<Started> {
        let arguments = self.arguments.as_ref()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Unused => *state = State::Wanted,
            State::Wanted => *state = Server::start(program, arguments).map_or(State::Gone, State::Running),
            State::Running(_) | State::Gone => {}
        }
        let State::Running(server) = &mut *state else { return None };
        let started = server.fork();
        if let Err(error) = &started {
            tracing::info!("decoders are started one by one: {error}");
            *state = State::Gone;
        }
        started.ok()
    }
}

impl Server {
    fn start(program: &Program, arguments: &[OsString]) -> io::Result<Self> {
        let (socket, other) = UnixStream::pair()?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut command = program.command(arguments);
        let process = command.stdin(OwnedFd::from(other)).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { process, socket })
    }

    fn fork(&mut self) -> io::Result<Started> {
        let ((its_asks, asks), (replies, its_replies), (stderr, its_stderr)) = (pipe()?, pipe()?, pipe()?);
        send(&self.socket, [its_asks.as_raw_fd(), its_replies.as_raw_fd(), its_stderr.as_raw_fd()])?;
        let mut id = [0; size_of::<libc::pid_t>()];
        self.socket.read_exact(&mut id)?;
        let id = libc::pid_t::from_ne_bytes(id);
        if id <= 0 {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(Started {
            process: Process::Forked { id, ended: None },
            asks: OwnedFd::from(asks).into(),
            replies: OwnedFd::from(replies).into(),
            stderr: OwnedFd::from(stderr).into(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails only where it has ended. It has no work to finish, and what is killed ends.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Program {
    fn command(&self, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(key, value)| (key, value)));
        // Ctrl-C is this process's to answer; the decoder goes when its pipe closes.
        command.process_group(0);
        command
    }

    /// Starts a decoder: a copy of the fork server, or the program itself.
    pub(super) fn start(&self) -> io::Result<Started> {
        if let Some(started) = self.fork_server.fork(self) {
            return Ok(started);
        }
        let mut command = self.command(&self.arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(asks), Some(replies), Some(stderr)) => {
                Ok(Started { process: Process::Started(child), asks, replies, stderr })
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Process {
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Started(child) => child.id(),
            Self::Forked { id, .. } => id.unsigned_abs(),
        }
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        match self {
            Self::Started(child) => child.kill(),
            Self::Forked { ended: Some(_), .. } => Ok(()),
            // SAFETY: plain numbers; a child that was not waited for keeps its number.
            Self::Forked { id, .. } => match unsafe { libc::kill(*id, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            },
        }
    }

    /// How it ended, if it has.
    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        match self {
            Self::Started(child) => child.try_wait(),
            Self::Forked { ended: Some(status), .. } => Ok(Some(*status)),
            Self::Forked { id, ended } => {
                let mut status = 0;
                // SAFETY: the number is valid, and written to during the call only.
                match unsafe { libc::waitpid(*id, &raw mut status, libc::WNOHANG) } {
                    0 => Ok(None),
                    -1 => Err(io::Error::last_os_error()),
                    _ => Ok(Some(*ended.insert(ExitStatus::from_raw(status)))),
                }
            }
        }
    }
}

/// Serves as a fork server to the process at the other end of stdin, which has to be the first thing that this process does: it
/// may have no other threads. Gives `true` in every copy, which has a decoder's pipes as stdin, stdout and stderr, and `false`
/// when no more are wanted.
#[must_use]
pub fn fork_server() -> bool {
    let Ok(mut socket) = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else { return false };
    while let Some(pipes) = receive(&socket) {
        match copy() {
            // The first takes the socket's place, whose other handle goes with this function.
            0 => return pipes.iter().zip(0..).all(|(pipe, place)| takes(pipe, place)),
            id => {
                if socket.write_all(&id.max(0).to_ne_bytes()).is_err() {
                    break;
                }
            }
        }
    }
    false
}

/// Copies this process; 0 in the copy, whose number the original gets, negative if there is none.
#[cfg(target_os = "linux")]
fn copy() -> libc::pid_t {
    const NOTHING: libc::c_long = 0;
    // A child of this process's parent, so that the parent can wait for it.
    let flags = libc::c_long::from(libc::CLONE_PARENT | libc::SIGCHLD);
    // SAFETY: without a stack of its own and without shared memory this is a fork. There is one thread, so that no lock is held
    // that the copy would wait for; nothing that runs in the copy before its end depends on what the C library notes at a fork
    // (the thread's number, which it asks the system for where it sends itself a signal).
    let id = unsafe { libc::syscall(libc::SYS_clone, flags, NOTHING, NOTHING, NOTHING, NOTHING) };
    libc::pid_t::try_from(id).unwrap_or(-1)
}

/// Elsewhere nobody could wait for the copy.
#[cfg(not(target_os = "linux"))]
fn copy() -> libc::pid_t {
    -1
}

/// Gives a pipe another number.
fn takes(pipe: &OwnedFd, place: RawFd) -> bool {
    // SAFETY: plain numbers; what stood under the second is a handle that this process was started with, and owned by nobody.
    unsafe { libc::dup2(pipe.as_raw_fd(), place) == place }
}

/// Room for descriptors that travel with a message, as aligned as their head has to be.
#[repr(C, align(16))]
struct Control([u8; 64]);

/// Bytes of the descriptors.
const HANDLES: u32 = (PIPES * size_of::<RawFd>()) as u32;

/// Calls `use_message` with a message of one byte that has room for three descriptors.
fn message<T>(use_message: impl FnOnce(&mut libc::msghdr) -> T) -> T {
    let (mut byte, mut control) = ([0_u8], Control([0; 64]));
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: arithmetic on a length.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(HANDLES) } as _;
    use_message(&mut message)
}

fn send(socket: &UnixStream, pipes: [RawFd; PIPES]) -> io::Result<()> {
    message(|message| {
        // SAFETY: the message's room holds a head and three descriptors, and lives until the call is over.
        let sent = unsafe {
            let head = libc::CMSG_FIRSTHDR(message);
            ((*head).cmsg_level, (*head).cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
            (*head).cmsg_len = libc::CMSG_LEN(HANDLES) as _;
            libc::CMSG_DATA(head).cast::<[RawFd; PIPES]>().write_unaligned(pipes);
            libc::sendmsg(socket.as_raw_fd(), message, libc::MSG_NOSIGNAL)
        };
        if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
    })
}

/// The next three pipes; `None` at the end, and at what is no request.
fn receive(socket: &UnixStream) -> Option<[OwnedFd; PIPES]> {
    message(|message| {
        // SAFETY: the message's room is valid and lives until the call is over.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), message, libc::MSG_CMSG_CLOEXEC) };
        // SAFETY: the kernel has written whole heads, or none.
        let head = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }.filter(|_| received == 1)?;
        // SAFETY: arithmetic on a length.
        let whole = head.cmsg_len as usize == unsafe { libc::CMSG_LEN(HANDLES) } as usize;
        if (head.cmsg_level, head.cmsg_type, whole) != (libc::SOL_SOCKET, libc::SCM_RIGHTS, true) {
            return None;
        }
        // SAFETY: the head says that three descriptors follow it.
        let pipes = unsafe { libc::CMSG_DATA(head).cast::<[RawFd; PIPES]>().read_unaligned() };
        // SAFETY: the kernel has just made them for this process.
        Some(pipes.map(|pipe| unsafe { OwnedFd::from_raw_fd(pipe) }))
    })
}
