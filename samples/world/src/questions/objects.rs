//! What is there, and what is it like: existence, colour, shape, count, motion.

use crate::dice::Dice;
use crate::words::{Colour, Shape, article, sentence};

use super::facts::Facts;
use super::{Group, Kind, Question, question};
use crate::script::Span;

pub(super) const COLOUR: [&str; 3] =
    ["What colour is the {}?", "Which colour does the {} have?", "What is the colour of the {}?"];
pub(super) const SHAPE: [&str; 3] =
    ["What shape is the {} object?", "Which shape does the {} object have?", "What is the shape of the {} object?"];
pub(super) const MOTION: [&str; 3] =
    ["Which way does the {} move?", "In which direction does the {} move?", "How does the {} move?"];
const IS_THERE: [&str; 3] =
    ["Is there {} in the video?", "Can {} be seen in the video?", "Does {} appear in the video?"];

/// Groups of one present and one absent thing of the same sort.
pub(super) fn existence(facts: &Facts, dice: &mut Dice) -> Vec<Group> {
    let mut groups = Vec::new();
    for thing in &facts.things {
        let absent = facts.absent_pair(dice);
        let name = |name: String| format!("{} {name}", article(&name));
        groups.push(both(dice, &name(thing.pair.name()), thing.spans.clone(), &name(absent.name())));
    }
    for sign in &facts.signs {
        let absent = facts.absent_text(dice);
        let name = |text: &str| format!("a sign that says {text}");
        groups.push(both(dice, &name(&sign.text), vec![sign.span], &name(&absent)));
    }
    groups.extend(counters(facts, dice));
    let (here, away) = parted(&Colour::ALL, &facts.colours());
    if !here.is_empty() && !away.is_empty() {
        let (present, absent) = (*dice.pick(&here), *dice.pick(&away));
        let name = |colour: Colour| format!("{} {} object", article(colour.word()), colour.word());
        let spans = spans_of(facts, |colour, _| colour == present);
        groups.push(both(dice, &name(present), spans, &name(absent)));
    }
    let (here, away) = parted(&Shape::ALL, &facts.shapes());
    if !here.is_empty() && !away.is_empty() {
        let (present, absent) = (*dice.pick(&here), *dice.pick(&away));
        let name = |shape: Shape| format!("{} {}", article(shape.word()), shape.word());
        let spans = spans_of(facts, |_, shape| shape == present);
        groups.push(both(dice, &name(present), spans, &name(absent)));
    }
    groups
}

/// The counter, and a sign that is not there; or the other way round.
fn counters(facts: &Facts, dice: &mut Dice) -> Option<Group> {
    let name = |text: &str| format!("a sign that says {text}");
    match (&facts.counter, facts.signs.as_slice()) {
        (Some(counter), _) => {
            let absent = name(&facts.absent_text(dice));
            Some(both(dice, "a counter", vec![counter.span], &absent))
        }
        (None, [sign, ..]) => Some(both(dice, &name(&sign.text), vec![sign.span], "a counter")),
        (None, []) => None,
    }
}

fn both(dice: &mut Dice, present: &str, spans: Vec<Span>, absent: &str) -> Group {
    vec![
        question(dice, Kind::Existence, &IS_THERE, &[present], "Yes.".to_owned(), spans),
        question(dice, Kind::Existence, &IS_THERE, &[absent], "No.".to_owned(), Vec::new()),
    ]
}

/// Those of `all` that are in `here`, and those that are not.
fn parted<T: Copy + PartialEq>(all: &[T], here: &[T]) -> (Vec<T>, Vec<T>) {
    all.iter().copied().partition(|one| here.contains(one))
}

/// The spans of the things that `wanted` accepts, ordered by start.
fn spans_of(facts: &Facts, wanted: impl Fn(Colour, Shape) -> bool) -> Vec<Span> {
    let found = facts.things.iter().filter(|thing| wanted(thing.pair.colour, thing.pair.shape));
    let mut spans: Vec<Span> = found.flat_map(|thing| thing.spans.iter().copied()).collect();
    spans.sort_by(|a, b| a[0].total_cmp(&b[0]));
    spans
}

pub(super) fn colour(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let mut questions = Vec::new();
    for shape in facts.shapes() {
        if let Some((colour, spans)) = facts.only_colour(shape) {
            questions.push(question(dice, Kind::Colour, &COLOUR, &[shape.word()], sentence(colour.word()), spans));
        }
    }
    questions
}

pub(super) fn shape(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let mut questions = Vec::new();
    for colour in facts.colours() {
        if let Some((shape, spans)) = facts.only_shape(colour) {
            questions.push(question(dice, Kind::Shape, &SHAPE, &[colour.word()], sentence(shape.word()), spans));
        }
    }
    questions
}

/// At most so many questions with the same small number as the answer: few things are alike, most counts are 1.
const ALIKE: usize = 1;

/// Counts of different things. A thing that changes its colour would be two things or one, so then objects are not counted.
pub(super) fn count(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let signs = ["How many signs appear in the video?", "How many signs are there in the video?"];
    let spans: Vec<Span> = facts.signs.iter().map(|sign| sign.span).collect();
    let mut questions = vec![counted(dice, &signs, "", spans.len(), spans)];
    if facts.repainted {
        return questions;
    }
    let all = ["How many different objects appear in the video?", "How many different objects are there in the video?"];
    questions.push(counted(dice, &all, "", facts.things.len(), spans_of(facts, |_, _| true)));
    let some = ["How many {} appear in the video?", "How many different {} are there in the video?"];
    let mut alike: Vec<Question> = Vec::new();
    for shape in Shape::ALL {
        let number = facts.things.iter().filter(|thing| thing.pair.shape == shape).count();
        let spans = spans_of(facts, |_, other| other == shape);
        // Seen twice, one star might be counted as two.
        if spans.len() == number {
            alike.push(counted(dice, &some, shape.plural(), number, spans));
        }
    }
    for colour in Colour::ALL {
        let number = facts.things.iter().filter(|thing| thing.pair.colour == colour).count();
        let spans = spans_of(facts, |other, _| other == colour);
        if spans.len() == number {
            alike.push(counted(dice, &some, &format!("{} objects", colour.word()), number, spans));
        }
    }
    dice.shuffle(&mut alike);
    for answer in ["0.", "1."] {
        let mut left = ALIKE;
        alike.retain(|question| {
            let same = question.answer == answer;
            let keep = !same || left > 0;
            left -= usize::from(same && left > 0);
            keep
        });
    }
    questions.extend(alike);
    questions
}

fn counted(dice: &mut Dice, wordings: &[&str], what: &str, number: usize, spans: Vec<Span>) -> Question {
    question(dice, Kind::Count, wordings, &[what], format!("{number}."), spans)
}

/// Asked where a thing moves the same way each time it is seen.
pub(super) fn motion(facts: &Facts, dice: &mut Dice) -> Vec<Question> {
    let steady =
        facts.things.iter().filter(|thing| !thing.repainted && thing.motions.windows(2).all(|two| two[0] == two[1]));
    steady
        .map(|thing| {
            let answer = sentence(thing.motions[0].phrase());
            question(dice, Kind::Motion, &MOTION, &[&thing.pair.name()], answer, thing.spans.clone())
        })
        .collect()
}
