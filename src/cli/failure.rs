//! Why a command failed, as the user is told: one line, a next step, an exit code.

use std::fmt;
use std::io;
use std::path::Path;

/// What went wrong, which decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A defect of this program
    Internal,
    /// Arguments that cannot be used together or understood
    Usage,
    /// Another process is at work on the same output
    Busy,
    /// The input is missing, unreadable or not a video
    Input,
    /// A batch finished and some of its items failed
    Partial,
    /// The model or its weights are missing or refused
    Model,
    /// It does not fit in memory or in the given budget
    DoesNotFit,
    /// No evidence supports an answer, and the user asked for evidence
    NoEvidence,
    /// The time limit was reached
    TimedOut,
    /// Ctrl-C
    Interrupted,
    /// SIGTERM
    Terminated,
}

impl Kind {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage | Self::Busy => 2,
            Self::Input => 3,
            Self::Partial => 4,
            Self::Model => 5,
            Self::DoesNotFit => 6,
            Self::NoEvidence => 7,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The word that stands for this kind in JSON.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Busy => "busy",
            Self::Input => "input",
            Self::Partial => "partial",
            Self::Model => "model",
            Self::DoesNotFit => "does_not_fit",
            Self::NoEvidence => "no_evidence",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }

    /// Whether the same command may succeed later without a change.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self, Self::Busy | Self::TimedOut | Self::Interrupted | Self::Terminated)
    }
}

/// A failed command: the kind, the fact (naming the file), and the next step.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What went wrong
    pub kind: Kind,
    /// The fact, lower case, naming the thing
    pub message: String,
    /// What to do next, empty if there is nothing to do
    pub hint: String,
}

impl Failure {
    /// A failure without a next step.
    pub fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, message: without_backtrace(message.to_string()), hint: String::new() }
    }

    /// Something that cannot be written to a place that the user named with `flag`.
    pub(super) fn unwritable(path: &Path, error: &io::Error, flag: &str) -> Self {
        let kind = of_place(error);
        let room = if kind == Kind::Internal { "make room, or " } else { "" };
        Self::new(kind, format!("{}: cannot be written: {error}", path.display()))
            .hint(format!("{room}choose another place with {flag}"))
    }

    /// The same failure, naming what was worked on where the time was over.
    #[must_use]
    pub(super) fn about(mut self, what: &dyn fmt::Display) -> Self {
        if self.kind == Kind::TimedOut {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }

    /// The same failure, naming the file that it is about if it does not yet.
    #[must_use]
    pub(super) fn of(mut self, file: &str) -> Self {
        if !self.message.contains(file) {
            self.message = format!("{file}: {}", self.message);
        }
        self
    }

    /// The same failure with a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = hint.to_string();
        self
    }
}

/// Whose mistake it is that a place cannot be used: the user's, who named it, unless the disk is full or breaks down.
pub(super) fn of_place(error: &io::Error) -> Kind {
    use io::ErrorKind::{
        AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        ReadOnlyFilesystem,
    };
    match error.kind() {
        AlreadyExists | InvalidFilename | InvalidInput | IsADirectory | NotADirectory | NotFound | PermissionDenied
        | ReadOnlyFilesystem => Kind::Usage,
        _ => Kind::Internal,
    }
}

/// The tensor library writes a backtrace behind its errors' texts where `RUST_BACKTRACE` asks for them; a fact is one line.
fn without_backtrace(mut text: String) -> String {
    if let Some(end) = text.find("\n   0: ") {
        text.truncate(end);
    }
    text
}

/// Results of subcommands.
pub(super) type Result<T = ()> = std::result::Result<T, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_ends_where_a_backtrace_begins() {
        let backtrace = "cannot load x.safetensors: no such tensor\n   0: first\n             at here\n   1: second";
        assert_eq!(Failure::new(Kind::Model, backtrace).message, "cannot load x.safetensors: no such tensor");
        assert_eq!(Failure::new(Kind::DoesNotFit, "a\nb 0: c").message, "a\nb 0: c");
    }
}
