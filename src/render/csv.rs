//! Comma-separated values with the columns of PySceneDetect's `list-scenes --skip-cuts`, so that what reads those reads
//! these. Frames are counted from 1 there and `End Frame` is the scene's last; times are seconds on the source clock.

use super::clock;
use crate::scenes::Scenes;
use std::fmt::Write;

const HEADER: &str = "Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,\
    End Time (seconds),Length (frames),Length (timecode),Length (seconds)\n";

pub(super) fn scenes(scenes: &Scenes) -> String {
    let mut text = HEADER.to_owned();
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
