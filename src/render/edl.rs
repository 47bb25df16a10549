//! CMX 3600 edit decision list. Its timecodes count frames at a whole rate without dropping any, so they are made from
//! frame numbers; in a video with irregular frames they are not times.
//!
//! Scenes keep their places on the record side; evidence and moments are laid one behind the other, a reel of selects.

use super::reel::{Kind, Reel};
use std::fmt::Write;

/// What a line of a list holds, by the habit of the readers.
const COMMENT_CHARS: usize = 200;

pub(super) fn edits(reels: &[Reel]) -> String {
    let title = reels.first().map_or_else(String::new, Reel::name);
    let mut text = format!("TITLE: {title}\nFCM: NON-DROP FRAME\n");
    let (mut number, mut recorded) = (0, 0);
    for reel in reels {
        let (name, rate) = (reel.name(), (reel.rate().round() as u64).max(1));
        for mark in reel.marks() {
            number += 1;
            if reel.kind == Kind::Scenes {
                recorded = mark.first_frame;
            }
            let (from, to) = (timecode(mark.first_frame, rate), timecode(mark.end_frame, rate));
            let start = timecode(recorded, rate);
            recorded += mark.end_frame - mark.first_frame;
            let end = timecode(recorded, rate);
            let _ = write!(
                text,
                "\n{number:03}  AX       V     C        {from} {to} {start} {end}\n* FROM CLIP NAME: {name}\n"
            );
            if reel.kind != Kind::Scenes {
                let comment: String = mark.lines().collect::<Vec<_>>().join(" ").chars().take(COMMENT_CHARS).collect();
                let _ = writeln!(text, "* COMMENT: {comment}");
            }
        }
    }
    text
}

/// A frame number as `HH:MM:SS:FF`.
fn timecode(frame: u64, rate: u64) -> String {
    let seconds = frame / rate;
    format!("{:02}:{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60, frame % rate)
}

#[cfg(test)]
mod tests {
    use super::timecode;

    #[test]
    fn timecodes_count_frames() {
        assert_eq!(timecode(0, 25), "00:00:00:00");
        assert_eq!(timecode(24, 25), "00:00:00:24");
        assert_eq!(timecode(90_000 + 25 * 61 + 3, 25), "01:01:01:03");
    }
}
