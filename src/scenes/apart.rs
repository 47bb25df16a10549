//! A survey in the decoder's process: only rows of scores leave it.

use super::survey::{Row, Survey, Wishes, look};
use crate::decode::apart::{Replies, content, value};
use crate::decode::{DecodeError, Feed, Limits, Part, Warning};
use longsight_models::Span;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Rows in one message: some fifty thousand bytes.
const ROWS_AT_ONCE: usize = 2048;
/// Rows that a decoder may send: three days at 60 frames a second.
const MAX_ROWS: usize = 1 << 24;

/// What is asked.
type Ask = (Wishes, Option<Span>);
/// What comes behind the rows: number of the first frame, end of the last in ticks, warnings.
type Rest = (u64, i64, Vec<Warning>);

#[derive(Debug, Serialize, Deserialize)]
enum Item {
    /// Seconds that are done
    Progress(f64),
    /// The next rows
    Rows(Vec<Row>),
}

/// Has a survey made where the video is decoded; `None` if that is this process.
pub(super) fn survey(
    feed: &Feed,
    wishes: Wishes,
    range: Option<Span>,
    progress: &mut dyn FnMut(f64),
) -> Result<Option<Survey>, DecodeError> {
    let ask: Ask = (wishes, range);
    let Some(mut answer) = feed.ask(content(&ask))? else { return Ok(None) };
    let mut rows: Vec<Row> = Vec::new();
    loop {
        match answer.next()? {
            Part::Item(Item::Progress(seconds)) => progress(seconds),
            Part::Item(Item::Rows(more)) if rows.len() + more.len() <= MAX_ROWS => rows.extend(more),
            Part::Item(Item::Rows(_)) => return Err(answer.garbled("more frames than there can be")),
            Part::Last((first_frame, end_pts, warnings)) => {
                let info = feed.info().clone();
                return Ok(Some(Survey { info, rows, first_frame, end_pts, warnings }));
            }
        }
    }
}

/// Answers [`super::survey`] in the decoder's process.
///
/// # Errors
/// When not one frame can be decoded, or nobody listens any more.
pub fn serve(path: &Path, limits: &Limits, words: &[u8], replies: &Replies) -> Result<Vec<u8>, DecodeError> {
    let nonsense = || DecodeError::Garbled { path: path.to_path_buf(), what: "a question that is none".into() };
    let (wishes, range): Ask = value(words).ok_or_else(nonsense)?;
    // Nobody that listens is told by the next message too.
    let mut progress = |seconds| drop(replies.item(&Item::Progress(seconds)));
    let Survey { rows, first_frame, end_pts, warnings, .. } = look(path, limits, wishes, range, &mut progress)?;
    rows.chunks(ROWS_AT_ONCE).try_for_each(|rows| replies.item(&Item::Rows(rows.to_vec())))?;
    let rest: Rest = (first_frame, end_pts, warnings);
    Ok(content(&rest))
}
