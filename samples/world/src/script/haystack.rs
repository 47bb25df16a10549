//! Needles in a haystack: a long clip in which nothing happens that is asked about, but for a few seconds.

use crate::dice::{Dice, Split};
use crate::words::{Motion, Pair};

use super::place::{Room, hang};
use super::write::{Writer, seconds, steps};
use super::{Entrance, GRID, Scene, Script, Span};

/// The stream of choices a haystack is written from.
const PURPOSE: u8 = 4;
/// How long each needle is seen, in seconds, where nothing else is said.
pub const NEEDLE_S: f64 = 4.0;
/// The shortest haystack, in seconds.
pub const SHORTEST_S: f64 = 30.0;
/// How long the scenes of the haystack are, in steps.
const SCENE_STEPS: [i64; 2] = [16, 80];

/// A haystack and what is hidden in it: three needles, one after the other, each a scene of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Haystack {
    /// The whole clip.
    pub script: Script,
    /// The only sign.
    pub sign: (String, Span),
    /// The only object of its shape.
    pub shaped: (Pair, Span),
    /// The only object of its colour; another colour and shape than those of `shaped`.
    pub coloured: (Pair, Span),
}

/// What a needle shows.
#[derive(Clone, Copy)]
enum Needle {
    Sign,
    Object(Pair),
}

impl Haystack {
    /// A haystack of `duration` seconds, at least [`SHORTEST_S`], with needles of [`NEEDLE_S`] seconds at `depth`: 0 is the start, 1 the end.
    pub fn write(split: Split, seed: u64, duration: f64, depth: f64) -> Self {
        Self::with_needles(split, seed, duration, (depth, NEEDLE_S))
    }

    /// The same with needles of another length, at most [`NEEDLE_S`] seconds.
    pub fn with_needles(split: Split, seed: u64, duration: f64, (depth, needle_s): (f64, f64)) -> Self {
        let mut writer = Writer::new(Dice::new(split, seed, PURPOSE));
        writer.dice.shuffle(&mut writer.colours);
        writer.dice.shuffle(&mut writer.shapes);
        // What the needles alone have is taken out of the hay.
        let shaped = Pair { colour: writer.colours[1], shape: writer.shapes.remove(0) };
        let coloured = Pair { colour: writer.colours.remove(0), shape: writer.shapes[1] };
        (writer.signs, writer.most_spans) = (0, usize::MAX);
        let mut needles = [Needle::Sign, Needle::Object(shaped), Needle::Object(coloured)];
        writer.dice.shuffle(&mut needles);

        let (total, long) = (steps(duration.max(SHORTEST_S)), steps(needle_s.clamp(GRID, NEEDLE_S)));
        let mut at = ((total - 3 * long) as f64 * depth.clamp(0.0, 1.0)).round() as i64;
        let mut scenes = hay(&mut writer, 0, at);
        let (mut sign, mut spans) = ((String::new(), [0.0, 0.0]), Vec::new());
        for needle in needles {
            let span = [seconds(at), seconds(at + long)];
            let scene = prick(&mut writer, needle, span);
            match needle {
                Needle::Sign => sign = (scene.sign.as_ref().map_or_else(String::new, |sign| sign.text.clone()), span),
                Needle::Object(pair) => spans.push((pair, span)),
            }
            scenes.push(scene);
            at += long;
        }
        scenes.extend(hay(&mut writer, at, total));
        spans.sort_by_key(|(pair, _)| *pair != shaped);
        let [shaped, coloured] = [spans[0], spans[1]];
        Self { script: Script { split, seed, duration: seconds(total), scenes }, sign, shaped, coloured }
    }
}

/// Scenes without signs that fill `start..end`, in steps.
fn hay(writer: &mut Writer, start: i64, end: i64) -> Vec<Scene> {
    let mut scenes = Vec::new();
    let mut from = start;
    while from < end {
        let mut to = from + writer.dice.between(SCENE_STEPS[0], SCENE_STEPS[1]);
        // No short rest at the end.
        if end - to < SCENE_STEPS[0] {
            to = end;
        }
        scenes.push(writer.scene(from, to, Entrance::Cut));
        from = to;
    }
    scenes
}

/// A scene that shows the needle alone.
fn prick(writer: &mut Writer, needle: Needle, span: Span) -> Scene {
    let room = Room([0.0, 1.0]);
    let (mut objects, mut sign) = (Vec::new(), None);
    match needle {
        Needle::Sign => {
            let text = writer.text();
            sign = Some(hang(&mut writer.dice, text, false, span, true).0);
        }
        Needle::Object(pair) => {
            objects.extend(writer.placed(pair, span, Motion::Still, 1, room));
        }
    }
    let background = writer.background(&objects);
    Scene { span, entrance: Entrance::Cut, background, camera: None, objects, post: None, sign, flash: None, grain: 0 }
}
