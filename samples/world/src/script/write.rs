//! Seed -> script.

use crate::dice::{Dice, Split};
use crate::words::{Colour, Motion, Pair, SIGN_WORDS, Shape};

use super::place::{BESIDE, OVERLAPPING, Place, Room, hang, keeps_apart, place};
use super::{
    Background, Camera, Entrance, GRID, Object, Pattern, Post, Repaint, Scene, Script, Sign, Span, TICK, Wishes, shown,
};

/// The stream of choices a script is written from.
const PURPOSE: u8 = 0;
/// Scenes are at least this long, in steps of [`GRID`], unless the clip is shorter.
const SCENE_STEPS: i64 = 6;
/// Objects and signs are visible for at least this long, in steps, unless the scene is shorter.
const SPAN_STEPS: i64 = 4;
/// Two spans of the same pair lie at least this far apart, in seconds.
const PAUSE: f64 = 1.0;
/// Scenes of a clip of a minute or less; a longer one has one more for each further minute, up to [`MOST_SCENES_EVER`].
const MOST_SCENES: i64 = 6;
const MOST_SCENES_EVER: i64 = 40;
/// What moves is visible for at most this long, in steps, so that it moves visibly: an object, and one that grows or shrinks.
const MOVING_STEPS: i64 = 12;
const GROWING_STEPS: i64 = 8;
/// A counter is visible for at most this long, in steps.
const COUNTING_STEPS: i64 = 600;
/// Tries to find a place beside the objects already there.
const TRIES: usize = 24;

impl Script {
    /// Writes the clip of a seed.
    pub fn write(split: Split, seed: u64, wishes: &Wishes) -> Self {
        let mut writer = Writer::new(Dice::new(split, seed, PURPOSE));
        let low = steps(wishes.shortest).max(2);
        let total = writer.dice.between(low, steps(wishes.longest).max(low));
        let mut scenes: Vec<Scene> = Vec::new();
        for [start, end] in writer.split_into_scenes(total) {
            let entrance = if start == 0 { Entrance::Cut } else { writer.entrance() };
            scenes.push(writer.scene(start, end, entrance));
        }
        // A clip in which nothing happens cannot be asked about.
        if scenes.iter().all(|scene| scene.objects.is_empty() && scene.sign.is_none()) {
            let (start, end) = (steps(scenes[0].span[0]), steps(scenes[0].span[1]));
            scenes[0].objects = writer.objects(start, end, 1, Room([0.0, 1.0]), BESIDE);
            scenes[0].background = writer.background(&scenes[0].objects);
        }
        Self { split, seed, duration: seconds(total), scenes }
    }
}

/// The choices, what they are made among, and what has been used up.
pub(super) struct Writer {
    pub(super) dice: Dice,
    pub(super) colours: Vec<Colour>,
    pub(super) shapes: Vec<Shape>,
    /// Of a hundred scenes, how many have a sign.
    pub(super) signs: usize,
    /// Of a hundred signs that are no counters, how many have a word; the others have a number.
    pub(super) words: usize,
    /// In how many spans a pair may be seen.
    pub(super) most_spans: usize,
    seen: Vec<(Pair, Span)>,
    texts: Vec<String>,
    repaints: usize,
    counted: bool,
}

impl Writer {
    /// Chooses among everything there is.
    pub(super) fn new(dice: Dice) -> Self {
        Self {
            dice,
            colours: Colour::ALL.to_vec(),
            shapes: Shape::ALL.to_vec(),
            signs: 45,
            words: 70,
            most_spans: 2,
            seen: Vec::new(),
            texts: Vec::new(),
            repaints: 0,
            counted: false,
        }
    }

    /// Start and end of each scene, in steps.
    fn split_into_scenes(&mut self, total: i64) -> Vec<[i64; 2]> {
        let minutes = steps(60.0);
        let allowed = (MOST_SCENES + ((total - minutes) / minutes).max(0)).min(MOST_SCENES_EVER);
        let most = (total / SCENE_STEPS).clamp(1, allowed);
        let count = self.dice.between(1, most);
        let spare = total - count * SCENE_STEPS;
        // Cuts of the spare time, in order: scenes of every length are equally likely.
        let mut cuts: Vec<i64> = (1..count).map(|_| self.dice.between(0, spare)).collect();
        cuts.sort_unstable();
        let mut starts: Vec<i64> = cuts.iter().zip(1..).map(|(cut, place)| cut + place * SCENE_STEPS).collect();
        starts.insert(0, 0);
        let ends: Vec<i64> = starts[1..].iter().copied().chain([total]).collect();
        starts.into_iter().zip(ends).map(|(start, end)| [start, end]).collect()
    }

    fn entrance(&mut self) -> Entrance {
        let tenths = self.dice.between(2, 6) as f64 / 10.0;
        match self.dice.below(10) {
            0..=6 => Entrance::Cut,
            7 | 8 => Entrance::CrossDissolve { seconds: tenths },
            _ => Entrance::ThroughBlack { seconds: tenths },
        }
    }

    pub(super) fn scene(&mut self, start: i64, end: i64, entrance: Entrance) -> Scene {
        let count = *self.dice.pick(&[0, 1, 1, 1, 2, 2, 2, 3]);
        let mut room = Room([0.0, 1.0]);
        let mut sign: Option<Sign> = None;
        if self.dice.chance(self.signs) {
            let counts = !self.counted && self.dice.chance(25);
            let span = self.span(start, end, if counts { COUNTING_STEPS } else { i64::MAX });
            let text = if counts { self.count(span) } else { self.text() };
            let (hung, left) = hang(&mut self.dice, text, counts, span, count == 0);
            (sign, room) = (Some(hung), left);
        }
        let count = if sign.is_some() { count.min(2) } else { count };
        let apart = if self.dice.chance(25) { OVERLAPPING } else { BESIDE };
        let objects = self.objects(start, end, count, room, apart);
        let background = self.background(&objects);
        let span = [seconds(start), seconds(end)];
        let camera = if self.dice.chance(30) { Some(self.camera()) } else { None };
        let post = if self.dice.chance(12) { Some(self.post(&objects)) } else { None };
        let flash = if self.dice.chance(10) { self.flash(start, end) } else { None };
        let grain = if self.dice.chance(30) { self.dice.between(3, 9) as u8 } else { 0 };
        Scene { span, entrance, background, camera, objects, post, sign, flash, grain }
    }

    /// Somewhere within the scene, at any tenth of a second.
    fn flash(&mut self, start: i64, end: i64) -> Option<f64> {
        let tenths = |steps: i64| (seconds(steps) * 10.0) as i64;
        let at = self.dice.between(tenths(start) + 1, tenths(end) - 3);
        (at < tenths(end) - 2).then_some(at as f64 / 10.0)
    }

    fn camera(&mut self) -> Camera {
        let tenths = |dice: &mut Dice, low, high| dice.between(low, high) as f64 / 10.0;
        let pan = std::array::from_fn(|_| tenths(&mut self.dice, -12, 12));
        Camera { pan, zoom: tenths(&mut self.dice, 7, 16) }
    }

    fn post(&mut self, objects: &[Object]) -> Post {
        let Background { one, .. } = self.background(objects);
        let hundredths = |dice: &mut Dice, low, high| dice.between(low, high) as f64 / 100.0;
        Post { x: hundredths(&mut self.dice, 15, 85), width: hundredths(&mut self.dice, 5, 9), rgb: one }
    }

    fn objects(&mut self, start: i64, end: i64, count: usize, room: Room, apart: f64) -> Vec<Object> {
        let mut objects: Vec<Object> = Vec::new();
        for _ in 0..count {
            for _ in 0..TRIES {
                let Some(object) = self.object(start, end, count, room) else { continue };
                if !keeps_apart(&object, &objects, apart) {
                    continue;
                }
                self.seen.push((Pair { colour: object.colour, shape: object.shape }, object.span));
                if let Some(repaint) = object.repaint {
                    self.repaints += 1;
                    self.seen.push((Pair { colour: repaint.colour, shape: object.shape }, object.span));
                }
                objects.push(object);
                break;
            }
        }
        objects
    }

    /// An object that might be; `None` where its pair may not be seen then or it finds no room to move.
    fn object(&mut self, start: i64, end: i64, crowd: usize, room: Room) -> Option<Object> {
        let motion = match self.dice.below(20) {
            0..=5 => Motion::Still,
            6..=12 => *self.dice.pick(&[Motion::Left, Motion::Right, Motion::Up, Motion::Down]),
            13..=16 => *self.dice.pick(&[Motion::UpLeft, Motion::UpRight, Motion::DownLeft, Motion::DownRight]),
            _ => *self.dice.pick(&[Motion::Grows, Motion::Shrinks]),
        };
        let longest = match motion {
            Motion::Still => i64::MAX,
            Motion::Grows | Motion::Shrinks => GROWING_STEPS,
            _ => MOVING_STEPS,
        };
        let span = self.span(start, end, longest);
        let again = !self.seen.is_empty() && self.dice.chance(20);
        let pair = if again { self.dice.pick(&self.seen).0 } else { self.pair() };
        if !self.may_appear(pair, span) {
            return None;
        }
        let object = self.placed(pair, span, motion, crowd, room)?;
        let repaint = if motion == Motion::Still && self.repaints == 0 && self.dice.chance(12) {
            self.repaint(pair, span)
        } else {
            None
        };
        Some(Object { repaint, ..object })
    }

    /// An object somewhere in the room; `None` where it finds no place to move.
    pub(super) fn placed(
        &mut self,
        pair: Pair,
        span: Span,
        motion: Motion,
        crowd: usize,
        room: Room,
    ) -> Option<Object> {
        let Place { diameters, from, to } = place(&mut self.dice, room, motion, crowd)?;
        let rgb = self.tint(pair.colour);
        let Pair { colour, shape } = pair;
        Some(Object { colour, shape, rgb, span, motion, from, to, diameters, repaint: None })
    }

    pub(super) fn pair(&mut self) -> Pair {
        Pair { colour: *self.dice.pick(&self.colours), shape: *self.dice.pick(&self.shapes) }
    }

    /// A pair is seen in few spans, with a pause between, never twice at the same time.
    fn may_appear(&self, pair: Pair, span: Span) -> bool {
        let spans: Vec<Span> = self.seen.iter().filter(|seen| seen.0 == pair).map(|seen| seen.1).collect();
        spans.len() < self.most_spans
            && spans.iter().all(|other| span[0] >= other[1] + PAUSE || other[0] >= span[1] + PAUSE)
    }

    fn repaint(&mut self, pair: Pair, span: Span) -> Option<Repaint> {
        let (first, last) = (steps(span[0]) + SPAN_STEPS, steps(span[1]) - SPAN_STEPS);
        let colour = *self.dice.pick(&self.colours);
        let new = Pair { colour, ..pair };
        let unused = self.seen.iter().all(|seen| seen.0 != new && seen.0 != pair);
        (first <= last && colour != pair.colour && unused).then(|| Repaint {
            at: seconds(self.dice.between(first, last)),
            colour,
            rgb: self.tint(colour),
        })
    }

    /// The whole scene, or a part with at least one end inside it, of at most `longest` steps.
    fn span(&mut self, start: i64, end: i64, longest: i64) -> Span {
        let least = SPAN_STEPS.min(end - start);
        let (mut from, mut to) = (start, end);
        match self.dice.below(10) {
            0..=3 => {}
            4 | 5 => from = self.dice.between(start, end - least),
            6 | 7 => to = self.dice.between(start + least, end),
            _ => {
                from = self.dice.between(start, end - least);
                to = self.dice.between(from + least, end);
            }
        }
        if to - from > longest {
            let length = self.dice.between(least, longest);
            from = self.dice.between(from, to - length);
            to = from + length;
        }
        [seconds(from), seconds(to)]
    }

    /// Where a counter starts, so that it does not pass ten minutes.
    fn count(&mut self, [start, end]: Span) -> String {
        self.counted = true;
        let ticks = ((end - start) / TICK).ceil() as i64;
        shown(self.dice.between(0, 599 - ticks) as u32)
    }

    /// A text that has not been shown yet.
    pub(super) fn text(&mut self) -> String {
        loop {
            let text = if self.dice.chance(self.words) {
                (*self.dice.pick(&SIGN_WORDS)).to_owned()
            } else {
                self.dice.between(10, 99).to_string()
            };
            if !self.texts.contains(&text) {
                self.texts.push(text.clone());
                return text;
            }
        }
    }

    fn tint(&mut self, colour: Colour) -> [u8; 3] {
        colour.rgb().map(|level| (i64::from(level) + self.dice.between(-10, 10)).clamp(0, 255) as u8)
    }

    /// Muted, and far from the colours of `objects`.
    pub(super) fn background(&mut self, objects: &[Object]) -> Background {
        let pattern = *self.dice.pick(&Pattern::ALL);
        let cells = self.dice.between(3, 9) as u32;
        let grain = self.dice.below(1 << 20) as u32;
        let mut best = ([0; 3], [0; 3], 0);
        for _ in 0..12 {
            let level = self.dice.between(45, 175);
            let second = level + self.dice.between(-30, 30);
            let (one, other) = (self.muted(level), self.muted(second));
            let distance = objects
                .iter()
                .flat_map(|object| [Some(object.rgb), object.repaint.map(|repaint| repaint.rgb)])
                .flatten()
                .flat_map(|rgb| [squared_distance(rgb, one), squared_distance(rgb, other)])
                .min()
                .unwrap_or(i64::MAX);
            if distance > best.2 {
                best = (one, other, distance);
            }
            if distance > 110 * 110 {
                break;
            }
        }
        Background { pattern, one: best.0, other: best.1, cells, grain }
    }

    /// Nearly the grey of `level`.
    fn muted(&mut self, level: i64) -> [u8; 3] {
        std::array::from_fn(|_| (level + self.dice.between(-14, 14)).clamp(20, 200) as u8)
    }
}

fn squared_distance(a: [u8; 3], b: [u8; 3]) -> i64 {
    a.iter().zip(b).map(|(&a, b)| (i64::from(a) - i64::from(b)).pow(2)).sum()
}

pub(super) fn steps(seconds: f64) -> i64 {
    (seconds / GRID).round() as i64
}

pub(super) fn seconds(steps: i64) -> f64 {
    steps as f64 * GRID
}
