//! CMX 3600 edit decision list. Its timecodes count frames at a whole rate without dropping any, so they are made from
//! frame numbers; in a video with irregular frames they are not times.

use super::file_name;
use crate::scenes::Scenes;
use std::fmt::Write;

pub(super) fn scenes(scenes: &Scenes) -> String {
    let rate = (scenes.frame_rate.round() as u64).max(1);
    let name: String = file_name(scenes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut text = format!("TITLE: {name}\nFCM: NON-DROP FRAME\n");
    for scene in &scenes.scenes {
        let (from, to) = (timecode(scene.start_frame, rate), timecode(scene.end_frame, rate));
        let number = scene.index + 1;
        let _ =
            write!(text, "\n{number:03}  AX       V     C        {from} {to} {from} {to}\n* FROM CLIP NAME: {name}\n");
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
