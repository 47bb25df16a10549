//! The VIDEO argument of every command: a file, or `-` for a pipe.

use super::failure::{Failure, Kind, Result};
use crate::decode::{self, DecodeError, Feed, Limits, Spooled, VideoFacts};
use std::path::{Path, PathBuf};

/// A VIDEO argument that has been opened. A pipe's content lives as long as this does.
pub(super) struct Input {
    /// What the user wrote
    pub(super) name: PathBuf,
    /// The file to open (again)
    pub(super) path: PathBuf,
    /// The video, opened
    pub(super) video: Feed,
    _spooled: Option<Spooled>,
}

/// An input whose decoder is not needed any more.
pub(super) struct Closed {
    /// The file to open again
    pub(super) path: PathBuf,
    _spooled: Option<Spooled>,
}

impl Input {
    /// Opens what the user named; `-` copies stdin to a temporary file first.
    ///
    /// # Errors
    /// With exit code 3 when it is no video.
    pub(super) fn open(name: &Path, limits: &Limits) -> Result<Self> {
        let spooled = match name.to_str() {
            Some("-") => Some(decode::spool(std::io::stdin().lock(), limits).map_err(Failure::from)?),
            _ => None,
        };
        let path = spooled.as_ref().map_or(name, Spooled::path).to_path_buf();
        let video = Feed::open(&path, limits).map_err(|error| {
            let mut failure = Failure::from(error);
            if spooled.is_some() {
                failure.message = failure.message.replace(&path.display().to_string(), "the pipe");
            }
            failure
        })?;
        Ok(Self { name: name.to_path_buf(), path, video, _spooled: spooled })
    }

    /// Gives the decoder up; the file stays, a pipe's content as long as what is given back lives.
    pub(super) fn close(self) -> Closed {
        Closed { path: self.path, _spooled: self._spooled }
    }

    /// The `video` object of the result.
    ///
    /// # Errors
    /// When the file can no longer be read.
    pub(super) fn facts(&self) -> Result<VideoFacts> {
        VideoFacts::new(&self.video, &self.name)
            .map_err(|source| DecodeError::Unreadable { path: self.name.clone(), source }.into())
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        let kind = match error {
            DecodeError::Cancelled { .. } => Kind::Interrupted,
            DecodeError::OutOfMemory { .. } => Kind::DoesNotFit,
            DecodeError::Ffmpeg { .. } | DecodeError::NotStarted { .. } => Kind::Internal,
            _ => Kind::Input,
        };
        Self::new(kind, &error).hint(error.hint())
    }
}
