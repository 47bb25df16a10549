//! Comma-separated values. Scenes have the columns of PySceneDetect's `list-scenes --skip-cuts`, so that what reads those
//! reads these: frames are counted from 1 there and `End Frame` is the scene's last. Times are seconds on the source clock.

use super::plain::{clock, one_line, word};
use crate::run::{Answer, Captions, Moments};
use crate::scenes::Scenes;
use std::fmt::Write;

const SCENES: &str = "Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,\
    End Time (seconds),Length (frames),Length (timecode),Length (seconds)\n";
const ANSWERS: &str = "Video,Question,Answer,Status,Start Timecode,Start Time (seconds),End Timecode,End Time (seconds),\
    Score,Verified\n";
const MOMENTS: &str = "Video,Query,Rank,Start Timecode,Start Time (seconds),End Timecode,End Time (seconds),Score\n";
const CAPTIONS: &str =
    "Video,Scene Number,Start Timecode,Start Time (seconds),End Timecode,End Time (seconds),Caption,Score\n";

pub(super) fn scenes(scenes: &Scenes) -> String {
    let mut text = SCENES.to_owned();
    for scene in &scenes.scenes {
        let length = scene.end - scene.start;
        let _ = writeln!(
            text,
            "{},{},{},{:.3},{},{},{:.3},{},{},{length:.3}",
            scene.index + 1,
            scene.start_frame + 1,
            clock(scene.start),
            scene.start,
            scene.end_frame,
            clock(scene.end),
            scene.end,
            scene.end_frame - scene.start_frame,
            clock(length),
        );
    }
    text
}

/// A row for each span; an answer without any has one row without times.
pub(super) fn answers(answers: &[Answer]) -> String {
    let mut text = ANSWERS.to_owned();
    for answer in answers {
        let status = word(&answer.status);
        let (video, question) = (cell(&answer.video.path), cell(&answer.question));
        let about = format!("{video},{question},{},{status}", cell(&answer.answer));
        if answer.evidence.is_empty() {
            let _ = writeln!(text, "{about},,,,,,");
        }
        for span in &answer.evidence {
            let times = times(span.start, span.end);
            let _ = writeln!(text, "{about},{times},{:.4},{}", span.score, span.verified);
        }
    }
    text
}

/// A row for each moment.
pub(super) fn moments<'a>(found: impl Iterator<Item = &'a Moments>) -> String {
    let mut text = MOMENTS.to_owned();
    for one in found {
        let (video, query) = (cell(&one.video.path), cell(&one.query));
        for (rank, moment) in one.moments.iter().enumerate() {
            let times = times(moment.start, moment.end);
            let _ = writeln!(text, "{video},{query},{},{times},{:.4}", rank + 1, moment.score);
        }
    }
    text
}

/// A row for each stretch.
pub(super) fn captions(told: &Captions) -> String {
    let mut text = CAPTIONS.to_owned();
    let video = cell(&told.video.path);
    for caption in &told.captions {
        let times = times(caption.start, caption.end);
        let _ = writeln!(text, "{video},{},{times},{},{:.4}", caption.scene + 1, cell(&caption.text), caption.score);
    }
    text
}

fn times(start: f64, end: f64) -> String {
    format!("{},{start:.3},{},{end:.3}", clock(start), clock(end))
}

/// A quoted cell on one line. Spreadsheets run what begins like a formula, so that gets an apostrophe in front.
fn cell(text: &str) -> String {
    let line = one_line(text);
    let formula = line.starts_with(['=', '+', '-', '@']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, line.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_text() {
        assert_eq!(cell("plain, \"quoted\"\nline"), "\"plain, \"\"quoted\"\" line\"");
        assert_eq!(cell("\t=HYPERLINK(\"http://e\")"), "\"'=HYPERLINK(\"\"http://e\"\")\"");
        assert_eq!(cell("-2+3"), "\"'-2+3\"");
    }
}
