//! WebVTT of three kinds: captions to be read while the video plays, chapters to go to, metadata for a page's script.

use super::plain::clock;
use super::reel::{Mark, Reel};
use serde_json::json;
use std::fmt::Write;

pub(super) fn captions(reels: &[Reel]) -> String {
    cues(reels.iter().flat_map(Reel::cues), |cue| cue.lines().map(escape).collect::<Vec<_>>().join("\n"))
}

pub(super) fn chapters(reels: &[Reel]) -> String {
    cues(reels.iter().flat_map(Reel::chapters), |cue| escape(&cue.title))
}

pub(super) fn metadata(reels: &[Reel]) -> String {
    cues(reels.iter().flat_map(Reel::cues), |cue| {
        let payload = json!({"title": cue.title, "text": cue.text, "score": cue.score, "data": cue.data});
        // Of JSON's two ways to write a character of a string, the one that is no arrow.
        payload.to_string().replace("-->", "--\\u003e")
    })
}

fn cues(marks: impl Iterator<Item = Mark>, payload: impl Fn(&Mark) -> String) -> String {
    let mut text = "WEBVTT\n".to_owned();
    for (number, cue) in marks.enumerate() {
        let (start, end) = (clock(cue.span.start), clock(cue.span.end));
        let _ = write!(text, "\n{}\n{start} --> {end}\n{}\n", number + 1, payload(&cue));
    }
    text
}

/// Text that is no markup and no arrow.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
