//! A table for people.

use super::clock;
use crate::scenes::Scenes;
use std::fmt::Write;

pub(super) fn scenes(scenes: &Scenes) -> String {
    let mut text = format!("{:>5}  {:>12}  {:>12}  {:>10}  {:>17}\n", "scene", "start", "end", "seconds", "frames");
    for scene in &scenes.scenes {
        let frames = format!("{}-{}", scene.start_frame, scene.end_frame);
        let (start, end, length) = (clock(scene.start), clock(scene.end), scene.end - scene.start);
        let _ = writeln!(text, "{:>5}  {start:>12}  {end:>12}  {length:>10.3}  {frames:>17}", scene.index);
    }
    text
}
