//! A clip from the decoder's process, which may not write it: its bytes, and what it holds.

use super::output::Sink;
use super::source::{self, Made, Piece};
use super::{CLIP_ENDINGS, CutError};
use crate::decode::apart::{Replies, content};
use crate::decode::error::DecodeError;
use crate::decode::feed::{Answer, Feed, Part};
use crate::decode::limits::Limits;
use longsight_models::Span;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A clip, pictures made anew too, is at most so many times as large as its file, and [`LEAST`] bytes.
const TIMES: u64 = 64;
const LEAST: u64 = 1 << 30;

/// Why there is no clip, where the file can be read.
#[derive(Debug, Serialize, Deserialize)]
enum Refusal {
    Nothing(Span),
    Refused(String),
}

/// Bytes, and where they stand.
type Bytes = (u64, Vec<u8>);
type Ending = Result<Made, Refusal>;

/// Hands the bytes that come on to `sink`.
pub(super) fn receive(video: &Feed, mut answer: Answer, sink: &mut Sink<'_>) -> Result<Made, CutError> {
    let path = || video.path().to_path_buf();
    let placed = |source| CutError::Place { path: path(), source };
    let most = std::fs::metadata(video.path()).map_err(placed)?.len().saturating_mul(TIMES).max(LEAST);
    loop {
        match answer.next::<Bytes, Ending>()? {
            Part::Item((at, bytes)) => match at.checked_add(bytes.len() as u64) {
                Some(end) if end <= most => sink(at, &bytes).map_err(placed)?,
                _ => return Err(answer.garbled("a clip larger than can be of this file").into()),
            },
            Part::Last(Ok(made)) => {
                let Span { start, end } = made.piece.span;
                let sane = made.ending < CLIP_ENDINGS.len() && start.is_finite() && end.is_finite() && start <= end;
                return if sane { Ok(made) } else { Err(answer.garbled("a clip that cannot be").into()) };
            }
            Part::Last(Err(Refusal::Nothing(span))) => return Err(CutError::Nothing { path: path(), span }),
            Part::Last(Err(Refusal::Refused(why))) => return Err(CutError::Refused { path: path(), why }),
        }
    }
}

/// Cuts in the decoder's process.
pub(crate) fn serve(path: &Path, limits: &Limits, piece: Piece, replies: &Replies) -> Result<Vec<u8>, DecodeError> {
    let mut send = |at: u64, bytes: &[u8]| replies.item(&(at, bytes)).map_err(io::Error::other);
    let ending: Ending = match source::make(path, limits, piece, &Arc::default(), &mut send) {
        Ok(made) => Ok(made),
        Err(CutError::Decode(error)) => return Err(error),
        Err(CutError::Nothing { span, .. }) => Err(Refusal::Nothing(span)),
        Err(CutError::Refused { why, .. }) => Err(Refusal::Refused(why)),
        // Nobody listens any more.
        Err(CutError::Place { path, .. }) => return Err(DecodeError::Cancelled { path }),
    };
    Ok(content(&ending))
}
