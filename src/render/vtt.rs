//! WebVTT: a cue for each scene, for players that show chapters or metadata tracks.

use super::clock;
use crate::scenes::Scenes;
use std::fmt::Write;

pub(super) fn scenes(scenes: &Scenes) -> String {
    let mut text = "WEBVTT\n".to_owned();
    for scene in &scenes.scenes {
        // Cue times have no sign; an edit list can put the first frame before 0.
        let (start, end) = (clock(scene.start.max(0.0)), clock(scene.end.max(0.001)));
        let _ = write!(text, "\n{number}\n{start} --> {end}\nScene {number}\n", number = scene.index + 1);
    }
    text
}
