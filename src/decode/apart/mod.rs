//! Decoding in a process of its own, locked in, so that a file that crashes, hangs or takes over its decoder costs that
//! file and nothing else.
//!
//! Comes in: a path, a [`Program`]. Goes out: the same header, frames and reports as from decoding in this process, bit for
//! bit, over a pipe. The child reads one file and nothing else: before it opens it, it gives up files, network, other
//! programs and memory beyond a ceiling, as far as the kernel can hold it to that ([`Confinement`]). This side believes
//! nothing: lengths, sizes, numbers and silence are bounded, and a child that breaks a rule is killed. Every file has a child of
//! its own; a [`ForkServer`] makes starting one cheap.
//!
//! ```text
//! Feed --ask--> Session ==pipe==> serve (child: confined, decodes) ==pipe==> Session --> frames, report | DecodeError
//! ```

mod confine;
mod fork;
mod serve;
mod session;
#[cfg(test)]
mod tests;
mod wire;

pub use confine::Confinement;
pub use fork::{ForkServer, fork_server};
pub use serve::{Replies, Stage, serve};
pub use session::Trespasses;
pub(super) use session::{Call, Home, Reply, Session};
pub(super) use wire::{Ask, Wanted};
pub(crate) use wire::{content, value};

use super::error::DecodeError;
use std::ffi::OsString;
use std::path::PathBuf;

/// Memory of a decoder in bytes, unless something else is asked for: 8K with all its reference pictures takes a third.
pub const MEMORY: u64 = 4 << 30;

/// The program that decodes in a process of its own; its `main` calls [`serve`].
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// The executable
    pub path: PathBuf,
    /// What makes it a decoder
    pub arguments: Vec<OsString>,
    /// All of its environment
    pub environment: Vec<(OsString, OsString)>,
    /// Bytes of memory that it may take
    pub memory: u64,
    /// What starts it faster
    pub fork_server: ForkServer,
}

/// Locks a decoder in without a file and has it try what must not work; gives what is in force and what worked. `target`
/// names a file that does not exist, in a folder that can be written to.
///
/// # Errors
/// When the program cannot be started or does not answer.
pub fn examine(
    program: &Program,
    limits: &super::Limits,
    target: &std::path::Path,
) -> Result<(Confinement, Trespasses), DecodeError> {
    session::examine(program, limits, target)
}

/// Starts a decoder without a file and looks at it, by its process's number, while it waits.
///
/// # Errors
/// When the program cannot be started or does not answer.
pub fn idle<T>(program: &Program, limits: &super::Limits, look: impl FnOnce(u32) -> T) -> Result<T, DecodeError> {
    session::idle(program, limits, look)
}
