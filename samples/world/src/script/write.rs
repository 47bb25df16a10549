//! Seed -> script.

use crate::dice::{Dice, Split};
use crate::words::{Colour, Motion, Pair, SIGN_WORDS, Shape};

use super::place::{Room, hang, keeps_apart, place};
use super::{Background, Entrance, GRID, Object, Pattern, Repaint, Scene, Script, Sign, Span, Wishes};

/// The stream of choices a script is written from.
const PURPOSE: u8 = 0;
/// Scenes are at least this long, in steps of [`GRID`], unless the clip is shorter.
const SCENE_STEPS: i64 = 6;
/// Objects and signs are visible for at least this long, in steps, unless the scene is shorter.
const SPAN_STEPS: i64 = 4;
/// Two spans of the same pair lie at least this far apart, in seconds.
const PAUSE: f64 = 1.0;
const MOST_SCENES: i64 = 6;
/// Tries to find a place beside the objects already there.
const TRIES: usize = 24;

impl Script {
    /// Writes the clip of a seed.
    pub fn write(split: Split, seed: u64, wishes: &Wishes) -> Self {
        let mut writer =
            Writer { dice: Dice::new(split, seed, PURPOSE), seen: Vec::new(), texts: Vec::new(), repaints: 0 };
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
            scenes[0].objects = writer.objects(start, end, 1, Room([0.0, 1.0]));
            scenes[0].background = writer.background(&scenes[0].objects);
        }
        Self { split, seed, duration: seconds(total), scenes }
    }
}

/// The choices and what has been used up.
struct Writer {
    dice: Dice,
    seen: Vec<(Pair, Span)>,
    texts: Vec<String>,
    repaints: usize,
}

impl Writer {
    /// Start and end of each scene, in steps.
    fn split_into_scenes(&mut self, total: i64) -> Vec<[i64; 2]> {
        let most = (total / SCENE_STEPS).clamp(1, MOST_SCENES);
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
        let tenths = self.dice.between(2, 4) as f64 / 10.0;
        match self.dice.below(10) {
            0..=6 => Entrance::Cut,
            7 | 8 => Entrance::CrossDissolve { seconds: tenths },
            _ => Entrance::ThroughBlack { seconds: tenths },
        }
    }

    fn scene(&mut self, start: i64, end: i64, entrance: Entrance) -> Scene {
        let count = *self.dice.pick(&[0, 1, 1, 1, 2, 2, 2, 3]);
        let mut room = Room([0.0, 1.0]);
        let mut sign: Option<Sign> = None;
        if self.dice.chance(40) {
            let text = self.text();
            let span = self.span(start, end);
            let (hung, left) = hang(&mut self.dice, text, span, count == 0);
            (sign, room) = (Some(hung), left);
        }
        let count = if sign.is_some() { count.min(2) } else { count };
        let objects = self.objects(start, end, count, room);
        let background = self.background(&objects);
        Scene { span: [seconds(start), seconds(end)], entrance, background, objects, sign }
    }

    fn objects(&mut self, start: i64, end: i64, count: usize, room: Room) -> Vec<Object> {
        let mut objects: Vec<Object> = Vec::new();
        for _ in 0..count {
            for _ in 0..TRIES {
                let Some(object) = self.object(start, end, count, room) else { continue };
                if !keeps_apart(&object, &objects) {
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
        let span = self.span(start, end);
        let again = !self.seen.is_empty() && self.dice.chance(20);
        let pair = if again { self.dice.pick(&self.seen).0 } else { self.pair() };
        if !self.may_appear(pair, span) {
            return None;
        }
        let motion = if self.dice.chance(25) { Motion::Still } else { *self.dice.pick(&Motion::ALL[1..]) };
        let place = place(&mut self.dice, room, motion, crowd)?;
        let rgb = self.tint(pair.colour);
        let repaint = if motion == Motion::Still && self.repaints == 0 && self.dice.chance(12) {
            self.repaint(pair, span)
        } else {
            None
        };
        let Pair { colour, shape } = pair;
        Some(Object {
            colour,
            shape,
            rgb,
            span,
            motion,
            from: place.from,
            to: place.to,
            diameter: place.diameter,
            repaint,
        })
    }

    fn pair(&mut self) -> Pair {
        Pair { colour: *self.dice.pick(&Colour::ALL), shape: *self.dice.pick(&Shape::ALL) }
    }

    /// A pair is seen once or in two spans with a pause between, never twice at the same time.
    fn may_appear(&self, pair: Pair, span: Span) -> bool {
        let spans: Vec<Span> = self.seen.iter().filter(|seen| seen.0 == pair).map(|seen| seen.1).collect();
        spans.len() < 2 && spans.iter().all(|other| span[0] >= other[1] + PAUSE || other[0] >= span[1] + PAUSE)
    }

    fn repaint(&mut self, pair: Pair, span: Span) -> Option<Repaint> {
        let (first, last) = (steps(span[0]) + SPAN_STEPS, steps(span[1]) - SPAN_STEPS);
        let colour = *self.dice.pick(&Colour::ALL);
        let new = Pair { colour, ..pair };
        let unused = self.seen.iter().all(|seen| seen.0 != new && seen.0 != pair);
        (first <= last && colour != pair.colour && unused).then(|| Repaint {
            at: seconds(self.dice.between(first, last)),
            colour,
            rgb: self.tint(colour),
        })
    }

    /// The whole scene, or a part with at least one end inside it.
    fn span(&mut self, start: i64, end: i64) -> Span {
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
        [seconds(from), seconds(to)]
    }

    /// A text that has not been shown yet.
    fn text(&mut self) -> String {
        loop {
            let text = if self.dice.chance(70) {
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
    fn background(&mut self, objects: &[Object]) -> Background {
        let pattern = *self.dice.pick(&[
            Pattern::Solid,
            Pattern::GradientDown,
            Pattern::GradientAcross,
            Pattern::StripesDown,
            Pattern::StripesAcross,
            Pattern::Checker,
            Pattern::Noise,
        ]);
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

fn steps(seconds: f64) -> i64 {
    (seconds / GRID).round() as i64
}

fn seconds(steps: i64) -> f64 {
    steps as f64 * GRID
}
