//! The script seen as a viewer sees it: things with a name, and when they are visible.

use crate::dice::Dice;
use crate::script::{Script, Sign, Span};
use crate::words::{Colour, Motion, Pair, SIGN_WORDS, Shape};

/// Everything the questions are made of.
pub(super) struct Facts {
    pub(super) duration: f64,
    /// Ordered by first start.
    pub(super) things: Vec<Thing>,
    /// Words and numbers, ordered by start.
    pub(super) signs: Vec<SignFact>,
    /// The clip's only counter.
    pub(super) counter: Option<SignFact>,
    /// Ordered, without gaps.
    pub(super) scenes: Vec<Span>,
    /// Whether some object changes its colour.
    pub(super) repainted: bool,
}

/// All that is seen of one pair.
pub(super) struct Thing {
    pub(super) pair: Pair,
    pub(super) spans: Vec<Span>,
    /// One for each span.
    pub(super) motions: Vec<Motion>,
    pub(super) repainted: bool,
}

/// `text` is what a counter shows at first.
pub(super) struct SignFact {
    pub(super) text: String,
    pub(super) span: Span,
}

/// Something with a name and one span.
pub(super) struct Item {
    /// "red star", "sign EXIT" or "counter".
    pub(super) name: String,
    pub(super) span: Span,
}

impl Facts {
    pub(super) fn new(script: &Script) -> Self {
        let mut things: Vec<Thing> = Vec::new();
        let sightings = script.sightings();
        for seen in &sightings {
            let place = things.iter().position(|thing| thing.pair == seen.pair).unwrap_or_else(|| {
                things.push(Thing { pair: seen.pair, spans: Vec::new(), motions: Vec::new(), repainted: false });
                things.len() - 1
            });
            things[place].spans.push(seen.span);
            things[place].motions.push(seen.motion);
            things[place].repainted |= seen.repainted;
        }
        let (counters, signs): (Vec<&Sign>, Vec<&Sign>) = script.signs().into_iter().partition(|sign| sign.counts);
        let fact = |sign: &&Sign| SignFact { text: sign.text.clone(), span: sign.span };
        Self {
            duration: script.duration,
            things,
            signs: signs.iter().map(fact).collect(),
            counter: counters.first().map(fact),
            scenes: script.scenes.iter().map(|scene| scene.span).collect(),
            repainted: sightings.iter().any(|seen| seen.repainted),
        }
    }

    /// Things and signs that are seen once and keep their colour, ordered by start.
    pub(super) fn items(&self) -> Vec<Item> {
        let things = self.things.iter().filter(|thing| thing.spans.len() == 1 && !thing.repainted);
        let things = things.map(|thing| Item { name: thing.pair.name(), span: thing.spans[0] });
        let mut items: Vec<Item> = things.chain(self.plates()).collect();
        items.sort_by(|a, b| a.span[0].total_cmp(&b.span[0]));
        items
    }

    /// Things, signs and the counter that are seen in one span.
    pub(super) fn once(&self) -> Vec<Item> {
        let things = self.things.iter().filter(|thing| thing.spans.len() == 1);
        let things = things.map(|thing| Item { name: thing.pair.name(), span: thing.spans[0] });
        things.chain(self.plates()).collect()
    }

    /// Signs and the counter.
    pub(super) fn plates(&self) -> impl Iterator<Item = Item> {
        let signs = self.signs.iter().map(|sign| Item { name: sign_name(&sign.text), span: sign.span });
        signs.chain(self.counter.iter().map(|counter| Item { name: COUNTER.to_owned(), span: counter.span }))
    }

    /// The number of the scene in which something is seen, counted from 1, where it is one scene.
    pub(super) fn scene_of(&self, [start, end]: Span) -> Option<usize> {
        self.scenes.iter().position(|scene| scene[0] <= start && end <= scene[1]).map(|place| place + 1)
    }

    /// Everything seen in this colour, if it has one shape only.
    pub(super) fn only_shape(&self, colour: Colour) -> Option<(Shape, Vec<Span>)> {
        let mut found = self.things.iter().filter(|thing| thing.pair.colour == colour);
        let thing = found.next()?;
        found.next().is_none().then(|| (thing.pair.shape, thing.spans.clone()))
    }

    /// Everything seen in this shape, if it has one colour only.
    pub(super) fn only_colour(&self, shape: Shape) -> Option<(Colour, Vec<Span>)> {
        let mut found = self.things.iter().filter(|thing| thing.pair.shape == shape);
        let thing = found.next()?;
        found.next().is_none().then(|| (thing.pair.colour, thing.spans.clone()))
    }

    pub(super) fn has(&self, pair: Pair) -> bool {
        self.things.iter().any(|thing| thing.pair == pair)
    }

    /// A pair that is not in the clip; mostly one whose colour or shape, or both apart, are.
    pub(super) fn absent_pair(&self, dice: &mut Dice) -> Pair {
        loop {
            let mut pair = Pair { colour: *dice.pick(&Colour::ALL), shape: *dice.pick(&Shape::ALL) };
            let near = dice.below(4);
            if !self.things.is_empty() && near != 0 {
                if near != 1 {
                    pair.colour = dice.pick(&self.things).pair.colour;
                }
                if near != 2 {
                    pair.shape = dice.pick(&self.things).pair.shape;
                }
            }
            if !self.has(pair) {
                return pair;
            }
        }
    }

    /// A sign text that is not in the clip; half the time, where the clip has a number, one with a digit of it changed.
    pub(super) fn absent_text(&self, dice: &mut Dice) -> String {
        let numbers: Vec<&str> =
            self.signs.iter().map(|sign| sign.text.as_str()).filter(|text| text.parse::<u32>().is_ok()).collect();
        loop {
            let text = match dice.below(10) {
                0..5 if !numbers.is_empty() => with_a_digit_changed(numbers[dice.below(numbers.len())], dice),
                0..8 => (*dice.pick(&SIGN_WORDS)).to_owned(),
                _ => dice.between(10, 99).to_string(),
            };
            if self.signs.iter().all(|sign| sign.text != text) {
                return text;
            }
        }
    }

    /// The shapes of the clip, each once.
    pub(super) fn shapes(&self) -> Vec<Shape> {
        Shape::ALL.into_iter().filter(|shape| self.things.iter().any(|thing| thing.pair.shape == *shape)).collect()
    }

    /// The colours of the clip, each once.
    pub(super) fn colours(&self) -> Vec<Colour> {
        Colour::ALL.into_iter().filter(|colour| self.things.iter().any(|thing| thing.pair.colour == *colour)).collect()
    }
}

/// The number with one of its digits, chosen evenly, drawn anew; the first is never 0.
fn with_a_digit_changed(number: &str, dice: &mut Dice) -> String {
    let at = dice.below(number.len());
    let digit = dice.between(i64::from(at == 0), 9).to_string();
    format!("{}{digit}{}", &number[..at], &number[at + 1..])
}

/// What a counter is called.
pub(super) const COUNTER: &str = "counter";

/// "sign EXIT".
pub(super) fn sign_name(text: &str) -> String {
    format!("sign {text}")
}
